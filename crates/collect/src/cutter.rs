//! Cuts the bytes of one partition into records, whatever pieces they come in. Pure. Refuses to know where the bytes
//! come from, and to hold more of a record than its limit.
//!
//! Where records end is a function of the bytes alone, also for records over the limit:
//!
//! * a **line** over the limit becomes one record of which the beginning is kept ([`KEPT_BYTES_MAX`]); the rest is
//!   counted and dropped up to the next newline, and framing begins anew after it;
//! * an **event of several lines** over the limit is cut after the last of its lines that ends within the limit;
//!   what follows is framed anew, so that nothing of it is lost.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use memchr::memchr;
use weir_model::{Framed, Framer, Offset, RecordSpan};

/// How many new bytes are cut at once: the size of a read.
pub(crate) const CHUNK_BYTES: usize = 1 << 20;
/// How many records one batch holds at most.
pub(crate) const RECORDS_MAX: usize = 8192;
/// How much of a line over the limit is kept, to be shown.
pub(crate) const KEPT_BYTES_MAX: usize = 64 << 10;
/// How far a framer may have to look past the end of a record to know that it has ended. Only beyond the limit plus
/// this is a record that has not ended called too long; sooner, the answer would depend on how the bytes were read.
const LOOKAHEAD_BYTES: usize = 64 << 10;
/// What a file may begin with to say that it is UTF-8; no part of the first record.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Records that lie in one buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) bytes: Bytes,
    pub(crate) records: Vec<RecordSpan>,
    /// The offset after the last of them.
    pub(crate) next: u64,
}

/// The state between two pieces.
pub(crate) struct Cutter {
    framer: Arc<dyn Framer>,
    limit: usize,
    /// The offset of the first byte of `tail`.
    offset: u64,
    /// The beginning of a record that has not ended; never more than the limit, the lookahead and a chunk.
    tail: Vec<u8>,
    /// How much of `tail` the framer has seen in vain.
    scanned: usize,
    /// A line over the limit whose end has not been seen; `tail` is empty then.
    skipping: Option<LongLine>,
}

struct LongLine {
    kept: Bytes,
    offset: u64,
    bytes: u64,
    ends_in_cr: bool,
}

/// What to do at the front of the buffer.
enum Front {
    Record { bytes: usize, next: usize },
    LongLine,
    Wait,
}

impl Cutter {
    /// Begins at `offset`, which is where a record begins.
    pub(crate) fn new(framer: Arc<dyn Framer>, max_record_bytes: u64, offset: u64) -> Self {
        let limit = usize::try_from(max_record_bytes).unwrap_or(usize::MAX / 4).clamp(1, u32::MAX as usize / 4);
        Self { framer, limit, offset, tail: Vec::new(), scanned: 0, skipping: None }
    }

    /// Begins at `offset` instead; nothing was pushed yet.
    pub(crate) fn go_to(&mut self, offset: u64) {
        assert!(self.tail.is_empty() && self.skipping.is_none(), "bytes were taken already");
        self.offset = offset;
    }

    /// The offset of the first byte that is not in a record yet.
    pub(crate) fn offset(&self) -> u64 {
        match &self.skipping {
            Some(line) => line.offset,
            None => self.offset,
        }
    }

    /// The offset after the last byte that was taken.
    pub(crate) fn read_to(&self) -> u64 {
        self.offset + self.tail.len() as u64
    }

    /// Bytes of a record that has not ended.
    pub(crate) fn pending_bytes(&self) -> u64 {
        self.read_to() - self.offset()
    }

    /// A buffer to append the next piece to and hand to [`Cutter::push`].
    pub(crate) fn buffer(&mut self, expected: usize) -> Vec<u8> {
        self.buffer_from(expected, Vec::with_capacity)
    }

    /// The same, of what `make` gives: an empty buffer with room for so many bytes.
    pub(crate) fn buffer_from(&mut self, expected: usize, make: impl FnOnce(usize) -> Vec<u8>) -> Vec<u8> {
        let mut buffer = make(self.tail.len() + expected);
        buffer.append(&mut self.tail);
        self.tail = Vec::new();
        buffer
    }

    /// Cuts what [`Cutter::buffer`] gave and what was appended to it; `end` says that nothing follows.
    pub(crate) fn push(&mut self, buffer: Vec<u8>, end: bool) -> Vec<Cut> {
        let mut cuts = Vec::new();
        let mut buffer = Bytes::from(buffer);
        if self.skipping.is_some() {
            buffer = self.skip(buffer, end, &mut cuts);
        }
        if !buffer.is_empty() {
            self.cut(buffer, end, &mut cuts);
        }
        debug_assert!(!end || self.pending_bytes() == 0, "at the end nothing may be left");
        cuts
    }

    /// Takes the lines that wait for what follows as a whole record: nothing has followed for long enough. A line that
    /// is half written goes on waiting, and what it may belong to with it.
    pub(crate) fn give_up_waiting(&mut self) -> Vec<Cut> {
        if !self.tail.ends_with(b"\n") {
            return Vec::new();
        }
        let lines = self.buffer(0);
        self.push(lines, true)
    }

    fn cut(&mut self, buffer: Bytes, end: bool, cuts: &mut Vec<Cut>) {
        let mut at = self.byte_order_mark(&buffer, end);
        let mut batch = Batch { first: at, records: Vec::new() };
        while at < buffer.len() {
            match self.front(&buffer[at..], end) {
                Front::Record { bytes, next } => {
                    batch.add(at, bytes, self.offset, bytes);
                    at += next;
                    self.advance(next);
                    if batch.records.len() == RECORDS_MAX {
                        cuts.extend(batch.close(&buffer, at, self.offset));
                    }
                }
                Front::LongLine => {
                    let kept = self.limit.min(KEPT_BYTES_MAX);
                    let Some(newline) = memchr(b'\n', &buffer[at..]) else {
                        cuts.extend(batch.close(&buffer, at, self.offset));
                        self.begin_skipping(&buffer[at..], kept);
                        if end {
                            cuts.extend(self.end_skipping(0));
                        }
                        return;
                    };
                    let line = without_cr(&buffer[at..at + newline]);
                    batch.add(at, kept, self.offset, line);
                    at += newline + 1;
                    self.advance(newline + 1);
                }
                Front::Wait => break,
            }
        }
        cuts.extend(batch.close(&buffer, at, self.offset));
        self.scanned = buffer.len() - at;
        // A long beginning of a record is kept where it is; a short one must not hold a large buffer.
        let keep = at == 0 && self.scanned > KEPT_BYTES_MAX;
        self.tail = if keep { Vec::from(buffer) } else { buffer[at..].to_vec() };
    }

    fn front(&self, buffer: &[u8], end: bool) -> Front {
        match self.framer.frame(buffer, self.scanned.min(buffer.len()), end) {
            Framed::Record { record, next } if record <= self.limit => {
                assert!(next > 0 && record <= next && next <= buffer.len(), "a framer must advance inside its buffer");
                Front::Record { bytes: record, next }
            }
            Framed::Record { .. } => self.too_long(buffer),
            Framed::Incomplete if buffer.len() >= self.limit + LOOKAHEAD_BYTES => self.too_long(buffer),
            Framed::Incomplete if end => Front::Record { bytes: buffer.len(), next: buffer.len() },
            Framed::Incomplete => Front::Wait,
        }
    }

    /// The front of a record over the limit: its whole lines within the limit, or else a line over the limit.
    fn too_long(&self, buffer: &[u8]) -> Front {
        let within = &buffer[..buffer.len().min(self.limit + 2)];
        let last_line_end = memchr::memrchr_iter(b'\n', within).find(|&at| without_cr(&within[..at]) <= self.limit);
        match last_line_end {
            Some(at) => Front::Record { bytes: without_cr(&within[..at]), next: at + 1 },
            None => Front::LongLine,
        }
    }

    /// Goes on at the next record.
    fn advance(&mut self, bytes: usize) {
        self.offset += bytes as u64;
        self.scanned = 0;
    }

    /// Steps over the byte order mark; returns its length.
    fn byte_order_mark(&mut self, buffer: &[u8], end: bool) -> usize {
        let at_start = self.offset == 0 && (end || buffer.len() >= BYTE_ORDER_MARK.len());
        if !at_start || !buffer.starts_with(BYTE_ORDER_MARK) {
            return 0;
        }
        self.offset = BYTE_ORDER_MARK.len() as u64;
        self.scanned = 0;
        BYTE_ORDER_MARK.len()
    }

    fn begin_skipping(&mut self, line: &[u8], kept: usize) {
        self.skipping = Some(LongLine {
            kept: Bytes::copy_from_slice(&line[..kept.min(line.len())]),
            offset: self.offset,
            bytes: line.len() as u64,
            ends_in_cr: line.ends_with(b"\r"),
        });
        self.advance(line.len());
    }

    /// Drops `buffer` up to the end of the long line; returns what follows it.
    fn skip(&mut self, mut buffer: Bytes, end: bool, cuts: &mut Vec<Cut>) -> Bytes {
        let newline = memchr(b'\n', &buffer);
        let dropped = newline.unwrap_or(buffer.len());
        if let Some(line) = &mut self.skipping
            && dropped > 0
        {
            line.bytes += dropped as u64;
            line.ends_in_cr = buffer[dropped - 1] == b'\r';
        }
        self.advance(dropped);
        if newline.is_some() || end {
            cuts.extend(self.end_skipping(usize::from(newline.is_some())));
        }
        buffer.split_off(newline.map_or(dropped, |at| at + 1))
    }

    /// The long line as a record, after which `line_end` more bytes are passed.
    fn end_skipping(&mut self, line_end: usize) -> Option<Cut> {
        let line = self.skipping.take()?;
        self.advance(line_end);
        let line_break_in_two = line_end == 1 && line.ends_in_cr;
        let original_bytes = line.bytes - u64::from(line_break_in_two);
        let record = RecordSpan { start: 0, end: line.kept.len() as u32, offset: Offset(line.offset), original_bytes };
        Some(Cut { bytes: line.kept, records: vec![record], next: self.offset })
    }
}

/// Records of one buffer that go out together.
struct Batch {
    /// Where the batch begins in the buffer.
    first: usize,
    records: Vec<RecordSpan>,
}

impl Batch {
    /// Adds the record whose first `kept` bytes of `original` lie at `at` in the buffer.
    fn add(&mut self, at: usize, kept: usize, offset: u64, original: usize) {
        let start = (at - self.first) as u32;
        let end = start + kept as u32;
        self.records.push(RecordSpan { start, end, offset: Offset(offset), original_bytes: original as u64 });
    }

    /// The records so far, which lie before `at`; the next batch begins there.
    fn close(&mut self, buffer: &Bytes, at: usize, next: u64) -> Option<Cut> {
        let first = std::mem::replace(&mut self.first, at);
        let records = std::mem::take(&mut self.records);
        (!records.is_empty()).then(|| Cut { bytes: buffer.slice(first..at), records, next })
    }
}

/// The length of a line without the carriage return before its newline.
fn without_cr(line: &[u8]) -> usize {
    line.len() - usize::from(line.ends_with(b"\r"))
}
