//! One incarnation of a file while it is read: from its position to its end, and on when it grows.
//! Refuses to decide which file it is: that is `identity`.

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weir_model::{Framer, Offset, PartitionId, Position, Raw, SourceEvent};

use super::buffers::Buffers;
use super::content::{Content, Packing};
use super::discover::{Found, cannot_read};
use super::identity::{HEAD_BYTES_MAX, Identity, Known};
use crate::cutter::{CHUNK_BYTES, Cut, Cutter};

/// How long a followed archive must stay as it is to be taken as complete (or, if it ends in the middle, as damaged).
pub(crate) const ARCHIVE_PATIENCE: Duration = Duration::from_secs(10);

/// What reading needs to know besides the file.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    pub(crate) follow: bool,
    pub(crate) max_record_bytes: u64,
    pub(crate) join_timeout: Duration,
}

/// A file that was looked into.
pub(crate) struct Opened {
    pub(crate) found: Found,
    pub(crate) packing: Packing,
    /// The first bytes of its content.
    pub(crate) head: Vec<u8>,
}

/// One incarnation of a file.
pub(crate) struct Tail {
    pub(crate) id: PartitionId,
    /// The file as it was last seen.
    pub(crate) found: Found,
    pub(crate) packing: Packing,
    /// What the file is called towards people: the path where it was found first.
    origin: Arc<str>,
    /// The first bytes of the content, as far as they were read.
    head: Vec<u8>,
    cutter: Cutter,
    waits_for_more: bool,
    pub(crate) content: Option<Content>,
    /// When it was read last, to close the file that was not needed for longest.
    pub(crate) used: u64,
    state: State,
    /// Its file is not found any more; what the open file still gives is read.
    gone: bool,
    /// The archive ends in the middle, or is broken.
    damage: Option<Error>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Reading,
    /// Everything that is there was read; at the deadline it is decided that nothing more will come.
    CaughtUp {
        deadline: Option<Instant>,
    },
    Finished,
}

impl Tail {
    /// The incarnation `id` of a file, from `offset` on.
    pub(crate) fn new(id: PartitionId, file: Opened, offset: u64, framer: Arc<dyn Framer>, manner: &Manner) -> Self {
        let Opened { found, packing, mut head } = file;
        head.truncate(usize::try_from(offset).unwrap_or(HEAD_BYTES_MAX));
        Self {
            id,
            origin: found.path.to_string_lossy().into(),
            found,
            packing,
            head,
            waits_for_more: framer.needs_lookahead(),
            cutter: Cutter::new(framer, manner.max_record_bytes, offset),
            content: None,
            used: 0,
            state: State::Reading,
            gone: false,
            damage: None,
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Where to go on after a restart.
    pub(crate) fn position(&self, offset: u64) -> Position {
        let head = &self.head[..self.head.len().min(usize::try_from(offset).unwrap_or(HEAD_BYTES_MAX))];
        let identity = Identity::of(&self.path(), self.found.number, head, self.packed_size());
        Position { offset: Offset(offset), token: Some(identity.token()), ..Position::default() }
    }

    /// A batch without records that says where to go on.
    pub(crate) fn position_only(&self) -> SourceEvent {
        let offset = self.cutter.offset();
        self.records(Cut { bytes: bytes::Bytes::new(), records: Vec::new(), next: offset })
    }

    /// What is known of it, by everything that was read.
    pub(crate) fn known(&self) -> Known {
        Known {
            id: self.id.clone(),
            identity: Identity::of(&self.path(), self.found.number, &self.head, self.packed_size()),
            offset: self.cutter.read_to(),
            finished: self.is_finished(),
        }
    }

    fn path(&self) -> String {
        self.found.path.to_string_lossy().into_owned()
    }

    fn packed_size(&self) -> Option<u64> {
        self.packing.is_compressed().then_some(self.found.size)
    }

    /// Whether [`Tail::read`] has something to do at `now`.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        match self.state {
            State::Reading => true,
            State::CaughtUp { deadline } => deadline.is_some_and(|deadline| deadline <= now),
            State::Finished => false,
        }
    }

    /// When [`Tail::is_due`] becomes true by itself.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::CaughtUp { deadline } => deadline,
            State::Reading | State::Finished => None,
        }
    }

    /// The file was found again, maybe under another name. Returns false when it is another incarnation by now:
    /// shorter than what was read of it, or with another beginning.
    pub(crate) fn seen(&mut self, found: Found) -> bool {
        let changed = found.size != self.found.size || found.modified != self.found.modified;
        if changed && !self.packing.is_compressed() && (found.size < self.cutter.read_to() || !self.head_is(&found)) {
            return false;
        }
        self.gone = false;
        self.found = found;
        let more = if self.packing.is_compressed() { changed } else { self.found.size > self.cutter.read_to() };
        if more && matches!(self.state, State::CaughtUp { .. }) {
            self.state = State::Reading;
        }
        true
    }

    /// The content is found in another file: a copy, or an archive.
    pub(crate) fn moved_to(&mut self, file: Opened) {
        self.found = file.found;
        self.packing = file.packing;
        self.content = None;
        self.gone = false;
        self.state = State::Reading;
    }

    /// The file is not found any more.
    pub(crate) fn missing(&mut self, now: Instant, manner: &Manner) {
        let more = self.content.as_ref().is_some_and(|content| {
            !self.packing.is_compressed()
                && content.file().metadata().is_ok_and(|metadata| metadata.size() > self.cutter.read_to())
        });
        let first = !std::mem::replace(&mut self.gone, true);
        if let State::CaughtUp { .. } = self.state {
            if more {
                self.state = State::Reading;
            } else if first {
                self.state = State::CaughtUp { deadline: Some(now + manner.join_timeout) };
            }
        }
    }

    fn head_is(&self, found: &Found) -> bool {
        let mut head = vec![0; self.head.len()];
        let read = match &self.content {
            Some(content) => content.file().read_exact_at(&mut head, 0),
            None => File::open(&found.path).and_then(|file| file.read_exact_at(&mut head, 0)),
        };
        // A file that cannot be read is reported when it is read.
        read.is_err() || head == self.head
    }

    /// Reads the next piece, or decides at a deadline.
    pub(super) fn read(&mut self, now: Instant, manner: &Manner, buffers: &mut Buffers) -> Vec<SourceEvent> {
        if let State::CaughtUp { .. } = self.state {
            return self.decide();
        }
        self.damage = None;
        if self.content.is_none()
            && let Err(error) = self.open()
        {
            return self.unreadable(&error);
        }
        let expected = self.expected_bytes();
        let mut buffer = self.cutter.buffer_from(expected, |bytes| buffers.take(bytes));
        let before = buffer.len();
        let result = match &mut self.content {
            Some(content) => content.append(CHUNK_BYTES as u64, &mut buffer),
            None => Ok(0),
        };
        let read = buffer.len() - before;
        self.extend_head(&buffer[before..]);
        let at_end = read < CHUNK_BYTES;
        let events = match result {
            Ok(_) if at_end && !manner.follow => self.finish_with(buffer),
            Ok(_) if at_end => self.caught_up(buffer, now, manner),
            Ok(_) => self.cut(buffer, false),
            Err(error) => self.broken(buffer, error, now, manner),
        };
        if let Some(SourceEvent::Records(raw)) = events.first() {
            buffers.lend(&raw.bytes);
        }
        events
    }

    fn open(&mut self) -> Result<()> {
        let content = Content::open(&self.found.path, self.cutter.read_to())?;
        let metadata = content.file().metadata()?;
        if (metadata.dev(), metadata.ino()) != self.found.number {
            return Err(Error::new(ErrorKind::NotFound, "another file has taken its place"));
        }
        self.packing = content.packing();
        self.content = Some(content);
        Ok(())
    }

    /// Room for what the file probably holds, so that small files need small buffers.
    fn expected_bytes(&self) -> usize {
        if self.packing.is_compressed() {
            return CHUNK_BYTES;
        }
        let left = self.found.size.saturating_sub(self.cutter.read_to());
        usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES) + 1
    }

    fn extend_head(&mut self, bytes: &[u8]) {
        let missing = HEAD_BYTES_MAX.saturating_sub(self.head.len());
        self.head.extend_from_slice(&bytes[..bytes.len().min(missing)]);
    }

    fn cut(&mut self, buffer: Vec<u8>, end: bool) -> Vec<SourceEvent> {
        let cuts = self.cutter.push(buffer, end);
        cuts.into_iter().map(|cut| self.records(cut)).collect()
    }

    fn records(&self, cut: Cut) -> SourceEvent {
        SourceEvent::Records(Raw {
            partition: self.id.clone(),
            origin: self.origin.clone(),
            bytes: cut.bytes,
            records: cut.records,
            next: self.position(cut.next),
            fallback_time: Some(self.found.modified),
        })
    }

    fn caught_up(&mut self, buffer: Vec<u8>, now: Instant, manner: &Manner) -> Vec<SourceEvent> {
        let mut events = self.cut(buffer, false);
        let patience = if self.gone {
            Some(manner.join_timeout)
        } else if self.packing.is_compressed() {
            // An archive that is left alone must not hold a decompressor.
            self.content = None;
            Some(ARCHIVE_PATIENCE)
        } else {
            (self.waits_for_more && self.cutter.pending_bytes() > 0).then_some(manner.join_timeout)
        };
        self.state = State::CaughtUp { deadline: patience.map(|patience| now + patience) };
        events.push(SourceEvent::CaughtUp(self.id.clone()));
        events
    }

    /// Nothing has come for long enough.
    fn decide(&mut self) -> Vec<SourceEvent> {
        if self.gone || self.packing.is_compressed() {
            let damage = self.damage.take();
            return self.finish_damaged(damage);
        }
        self.state = State::CaughtUp { deadline: None };
        let cuts = self.cutter.give_up_waiting();
        let mut events: Vec<_> = cuts.into_iter().map(|cut| self.records(cut)).collect();
        if !events.is_empty() {
            events.push(SourceEvent::CaughtUp(self.id.clone()));
        }
        events
    }

    fn finish_with(&mut self, buffer: Vec<u8>) -> Vec<SourceEvent> {
        let mut events = self.cut(buffer, true);
        // Only the very last records may say that nothing follows them.
        if let Some(SourceEvent::Records(last)) = events.last_mut() {
            last.next.finished = true;
        }
        self.state = State::Finished;
        self.content = None;
        events.push(SourceEvent::PartitionFinished(self.id.clone()));
        events
    }

    /// Takes what is left as a record, and ends.
    pub(crate) fn finish(&mut self) -> Vec<SourceEvent> {
        let rest = self.cutter.buffer(0);
        self.finish_with(rest)
    }

    fn broken(&mut self, buffer: Vec<u8>, error: Error, now: Instant, manner: &Manner) -> Vec<SourceEvent> {
        let may_be_being_written = manner.follow && error.kind() == ErrorKind::UnexpectedEof && !self.gone;
        self.content = None;
        if may_be_being_written {
            let events = self.caught_up(buffer, now, manner);
            self.damage = Some(error);
            return events;
        }
        let mut events = self.cut(buffer, false);
        events.extend(self.finish_damaged(Some(error)));
        events
    }

    /// Ends; where the file is damaged, says at which offset and what became of the bytes before it. The bytes of a
    /// record that did not end are a record like any other: if it is broken, the decoder rejects it with its position.
    fn finish_damaged(&mut self, damage: Option<Error>) -> Vec<SourceEvent> {
        let (pending, read_to) = (self.cutter.pending_bytes(), self.cutter.read_to());
        let mut events = self.finish();
        if let Some(error) = damage {
            let what = match (self.packing, error.kind()) {
                (Packing::Plain, _) => format!("cannot be read on: {error}"),
                (packing, ErrorKind::UnexpectedEof) => format!("is a {} file that ends in the middle", packing.name()),
                (packing, _) => format!("is a damaged {} file: {error}", packing.name()),
            };
            let taken = match pending {
                0 => "everything before was taken".to_owned(),
                bytes => {
                    format!("everything before was taken, the last {bytes} bytes as a record that may be incomplete")
                }
            };
            let message = format!(
                "{} {what}; what follows byte {read_to} of its content is lost, {taken}; \
                 put a whole copy in its place to read the rest",
                self.found.path.display()
            );
            let last = events.len() - 1;
            events.insert(last, SourceEvent::Trouble { message, partition: Some(self.id.clone()) });
        }
        events
    }

    fn unreadable(&mut self, error: &Error) -> Vec<SourceEvent> {
        let read_to = self.cutter.read_to();
        let message = match error.kind() {
            ErrorKind::NotFound => format!(
                "{} disappeared after byte {read_to} of at least {}: what followed was not read",
                self.found.path.display(),
                self.found.size
            ),
            _ => cannot_read(&self.found.path, error),
        };
        let mut events = self.finish();
        let last = events.len() - 1;
        events.insert(last, SourceEvent::Trouble { message, partition: Some(self.id.clone()) });
        events
    }

    /// Ends because its file was truncated or written over in place.
    pub(crate) fn truncated(&mut self, size: u64) -> Vec<SourceEvent> {
        let message = format!(
            "{} was truncated or written over: it was read up to byte {} and has {size} bytes now; \
             it is read from its beginning",
            self.found.path.display(),
            self.cutter.read_to()
        );
        let mut events = self.finish();
        events.push(SourceEvent::Trouble { message, partition: Some(self.id.clone()) });
        events
    }
}
