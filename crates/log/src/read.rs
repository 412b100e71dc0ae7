//! Reads durable records by offset, checking every one.

use std::io::Read;

use bytes::Bytes;
use weir_disk::{disk_error, read_file};
use weir_model::{ErrorKind, Offset, SeamError, SeamResult};

use crate::frame::{Found, find, resume};
use crate::partition::Partition;
use crate::segment::Segment;

/// Bytes read from a file at a time, at least.
const CHUNK_BYTES: usize = 256 << 10;

impl Partition {
    /// Records from `from` on: as many as fit `max_bytes`, but at least one if there is one.
    pub(crate) fn read(&self, from: u64, max_bytes: usize) -> SeamResult<Vec<(Offset, Bytes)>> {
        let end = self.end();
        let mut taken = Taken { records: Vec::new(), bytes: 0, max_bytes };
        let (mut next, mut skipped) = (from, None);
        while next < end && !taken.is_full() {
            let Some(found) = self.segment_of(next) else {
                let start = self.start();
                let message =
                    format!("offset {next} of topic {} is gone: reading can go on at offset {start}", self.name);
                return Err(SeamError::new(ErrorKind::Corrupt, message));
            };
            let before = next;
            next = self.read_segment(&found, next, end, &mut taken)?;
            if next > before {
                continue;
            }
            if !taken.records.is_empty() {
                break;
            }
            // Damage on the way: either the record lies behind it, and its place is known from now on, or it is lost.
            let following = self.resumption(&found, next)?;
            if following > next || skipped == Some(next) {
                return Err(self.lost(&found, next, following));
            }
            skipped = Some(next);
        }
        Ok(taken.records)
    }

    /// The oldest offset that is still here.
    pub(crate) fn start(&self) -> u64 {
        self.segments().first().map_or_else(|| self.end(), |first| first.base)
    }

    fn segment_of(&self, offset: u64) -> Option<Segment> {
        let segments = self.segments();
        let after = segments.partition_point(|segment| segment.base <= offset);
        after.checked_sub(1).map(|index| segments[index].clone())
    }

    /// Takes records from `next` on out of one segment, until it ends, is damaged or enough is taken; returns the
    /// offset to go on at, `next` itself if there is nothing to take here.
    fn read_segment(&self, segment: &Segment, from: u64, end: u64, taken: &mut Taken) -> SeamResult<u64> {
        let (mut at, mut next) = (segment.place_before(from), None);
        let mut chunk_bytes = CHUNK_BYTES.max(taken.max_bytes.min(4 << 20));
        while at < segment.bytes && !taken.is_full() {
            let chunk = self.read_chunk(segment, at, chunk_bytes)?;
            let mut used = 0;
            while !taken.is_full() {
                match find(&chunk[used..], self.config.record_bytes_max) {
                    Found::Frame(frame) if next.is_none_or(|next| frame.offset == next) && frame.offset < end => {
                        if frame.is_mark {
                            used += frame.bytes();
                            continue;
                        }
                        let payload = chunk.slice(used + frame.header()..used + frame.bytes());
                        self.learn(segment.base, frame.offset, at + used as u64);
                        if frame.offset >= from && !taken.take(frame.offset, payload) {
                            return Ok(frame.offset);
                        }
                        next = Some(frame.offset + 1);
                        used += frame.bytes();
                    }
                    Found::Partial(bytes) if at + ((used + bytes) as u64) <= segment.bytes => {
                        chunk_bytes = chunk_bytes.max(bytes);
                        break;
                    }
                    Found::Frame(_) | Found::Partial(_) | Found::Damage => return Ok(next.unwrap_or(from).max(from)),
                }
            }
            at += used as u64;
        }
        Ok(next.unwrap_or(from).max(from))
    }

    fn read_chunk(&self, segment: &Segment, at: u64, bytes: usize) -> SeamResult<Bytes> {
        let bytes = (segment.bytes - at).min(bytes as u64);
        let mut chunk = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        let read = self.vfs.open(&segment.path, at).and_then(|file| file.take(bytes).read_to_end(&mut chunk));
        read.map_err(|error| disk_error("read", &segment.path, error))?;
        Ok(Bytes::from(chunk))
    }

    fn learn(&self, base: u64, offset: u64, at: u64) {
        let mut segments = self.segments();
        if let Ok(index) = segments.binary_search_by_key(&base, |segment| segment.base) {
            segments[index].learn(offset, at);
        }
    }

    /// The error of reading `offset`, which `segment` should hold and does not: says where reading can go on.
    fn lost(&self, segment: &Segment, offset: u64, following: u64) -> SeamError {
        let path = segment.path.display();
        let message = format!(
            "{path} is damaged: records {offset} to {} of topic {} are lost; reading can go on at offset {following}",
            following.saturating_sub(1),
            self.name
        );
        SeamError::new(ErrorKind::Corrupt, message)
    }

    /// The first offset from `offset` on that is sound behind the damage in `segment`; the next segment's first if
    /// there is none.
    fn resumption(&self, segment: &Segment, offset: u64) -> SeamResult<u64> {
        let content = read_file(&*self.vfs, &segment.path)?;
        let content = &content[..content.len().min(usize::try_from(segment.bytes).unwrap_or(usize::MAX))];
        let from = usize::try_from(segment.place_before(offset)).unwrap_or(0);
        let mut segments = self.segments();
        if let Some((at, frame)) = resume(content, from, offset, self.config.record_bytes_max) {
            if let Ok(index) = segments.binary_search_by_key(&segment.base, |segment| segment.base) {
                segments[index].learn_resumption(frame.offset, at as u64);
            }
            return Ok(frame.offset);
        }
        let after = segments.iter().map(|other| other.base).find(|base| *base > segment.base);
        Ok(after.unwrap_or_else(|| self.end()))
    }

    /// The first offset from `from` on that can be read; the end if there is none.
    pub(crate) fn readable_from(&self, from: u64) -> SeamResult<u64> {
        let (mut from, end) = (from.max(self.start()), self.end());
        while from < end {
            let Some(segment) = self.segment_of(from) else { break };
            let mut taken = Taken { records: Vec::new(), bytes: 0, max_bytes: 1 };
            self.read_segment(&segment, from, end, &mut taken)?;
            if !taken.records.is_empty() {
                break;
            }
            let following = self.resumption(&segment, from)?;
            if following == from {
                break;
            }
            from = following;
        }
        Ok(from)
    }
}

/// Records taken so far.
#[derive(Debug)]
struct Taken {
    records: Vec<(Offset, Bytes)>,
    bytes: usize,
    max_bytes: usize,
}

impl Taken {
    fn is_full(&self) -> bool {
        self.bytes >= self.max_bytes && !self.records.is_empty()
    }

    /// Takes a record unless it is one too many.
    fn take(&mut self, offset: u64, payload: Bytes) -> bool {
        if !self.records.is_empty() && self.bytes + payload.len() > self.max_bytes {
            return false;
        }
        self.bytes += payload.len();
        self.records.push((Offset(offset), payload));
        true
    }
}
