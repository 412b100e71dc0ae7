//! The thread that writes a topic: groups of appends become durable together, and only then are they acknowledged.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use weir_disk::{disk_error, sync_error};
use weir_model::{ErrorKind, Offset, ProcessingTime, SeamError, SeamResult, VfsFile, planted};

use crate::AppendAck;
use crate::frame::Frame;
use crate::keys::{Keys, Mark, Marked};
use crate::segment::Segment;
use crate::topic::Topic;

/// Records that somebody waits to be durable.
#[derive(Debug)]
pub(crate) struct Append {
    pub(crate) records: Vec<Bytes>,
    /// What a repetition is known by.
    pub(crate) mark: Option<Mark>,
    pub(crate) reply: oneshot::Sender<SeamResult<AppendAck>>,
    /// Its share of the bytes that may wait.
    pub(crate) _room: OwnedSemaphorePermit,
}

/// The file being appended to.
#[derive(Debug)]
struct Open {
    file: Box<dyn VfsFile>,
    /// Its name is not durable yet.
    is_new: bool,
}

/// Writes one topic.
pub(crate) struct Writer {
    topic: Arc<Topic>,
    /// Whether the last segment may be appended to.
    appendable: bool,
    open: Option<Open>,
    buffer: Vec<u8>,
    keys: Keys,
}

impl Writer {
    pub(crate) fn new(topic: Arc<Topic>, appendable: bool, keys: Keys) -> Self {
        Self { topic, appendable, open: None, buffer: Vec::new(), keys }
    }

    /// Serves appends until nobody can send any more.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Append>) {
        while let Some(first) = queue.blocking_recv() {
            let mut bytes = first.records.iter().map(Bytes::len).sum::<usize>();
            let mut group = vec![first];
            while bytes < self.topic.config.group_bytes
                && let Ok(next) = queue.try_recv()
            {
                bytes += next.records.iter().map(Bytes::len).sum::<usize>();
                group.push(next);
            }
            self.serve(group);
        }
    }

    fn serve(&mut self, group: Vec<Append>) {
        let first = self.topic.end();
        let arrival = self.topic.clock.now();
        let (mut fresh, mut marked): (Vec<Append>, Vec<Marked>) = Default::default();
        let mut repeated: Vec<(Append, Mark)> = Vec::new();
        let mut next = first;
        for append in group {
            if let Some(mark) = append.mark {
                let in_group = marked.iter().any(|other| other.mark.key == mark.key);
                if in_group || self.keys.find(mark).is_some() {
                    repeated.push((append, mark));
                    continue;
                }
                let count = append.records.len() as u32;
                marked.push(Marked { mark, first: next, count, arrival: arrival.micros() });
            }
            next += append.records.len() as u64;
            fresh.push(append);
        }
        let closed = self.topic.progress.borrow().closed.clone();
        let written = match closed {
            Some(why) => Err(self.topic.closed(&why)),
            None if fresh.is_empty() => Ok(()),
            None => self.write(&fresh, first, arrival),
        };
        let mut next = first;
        for append in fresh {
            let count = append.records.len() as u64;
            answer(append, outcome(&written, AppendAck { first_offset: Offset(next), count, repeated: false }));
            next += count;
        }
        for (append, mark) in repeated {
            let of_group = marked.iter().find(|other| other.mark.key == mark.key);
            let heard = match (of_group, self.keys.find(mark)) {
                (_, Some(known)) => known.answer(mark),
                (Some(now), None) => outcome(&written, ()).and_then(|()| now.answer(mark)),
                (None, None) => unreachable!("it is repeated because one of the two knows it"),
            };
            answer(append, heard);
        }
        if written.is_ok() {
            marked.into_iter().for_each(|marked| self.keys.add(marked));
        }
    }

    /// Makes a group durable, its first record at offset `first`, or leaves nothing of it.
    fn write(&mut self, group: &[Append], first: u64, arrival: ProcessingTime) -> SeamResult<()> {
        self.encode(group, first, arrival);
        let topic = Arc::clone(&self.topic);
        let room = topic.reserve.allows(&*topic.vfs, topic.root(), self.buffer.len() as u64);
        match room {
            Ok(true) => {}
            Ok(false) => return Err(SeamError::new(ErrorKind::Retry, disk_is_full(&topic))),
            Err(error) => return Err(disk_error("ask for the free space at", topic.root(), error)),
        }
        let mut open = self.opened(first)?;
        let (path, before) = {
            let segments = topic.segments();
            let segment = segments.last().expect("a segment is open");
            (segment.path.clone(), segment.bytes)
        };
        if let Err(error) = io::Write::write_all(&mut open.file, &self.buffer) {
            return Err(self.undo(open, &path, before, error));
        }
        let mut synced = if planted!(AckBeforeSync) { Ok(()) } else { open.file.sync() };
        if planted!(SyncRetried) && synced.is_err() {
            synced = open.file.sync();
        }
        let names = open.is_new && !planted!(SegmentNameNotSynced);
        let synced = synced.map_err(|error| sync_error(&path, error)).and_then(|()| match names {
            true => topic.vfs.sync_folder(&topic.folder).map_err(|error| sync_error(&topic.folder, error)),
            false => Ok(()),
        });
        if let Err(error) = synced {
            // The kernel takes what it could not write for written: the next process would find it, a sync would say yes,
            // and a loss of power would take it. Nobody was told of it, so it goes.
            if !planted!(UnsyncedLeft) {
                let _ = topic.vfs.truncate(&path, before);
            }
            self.close(&error);
            return Err(error);
        }
        open.is_new = false;
        self.open = Some(open);
        let records: u64 = group.iter().map(|append| append.records.len() as u64).sum();
        {
            let mut segments = topic.segments();
            let segment = segments.last_mut().expect("a segment is open");
            segment.learn(first, before);
            segment.bytes = before + self.buffer.len() as u64;
        }
        topic.progress.send_modify(|progress| progress.end = first + records);
        Ok(())
    }

    fn encode(&mut self, group: &[Append], first: u64, arrival: ProcessingTime) {
        self.buffer.clear();
        let mut offset = first;
        for append in group {
            if let Some(mark) = append.mark {
                let following = append.records.len() as u32;
                let frame = Frame { offset, arrival, following, payload: Mark::BYTES, is_mark: true };
                frame.encode(&mark.encode(), &mut self.buffer);
            }
            for (index, record) in append.records.iter().enumerate() {
                let following = (append.records.len() - 1 - index) as u32;
                let frame = Frame { offset, arrival, following, payload: record.len(), is_mark: false };
                frame.encode(record, &mut self.buffer);
                offset += 1;
            }
        }
    }

    /// The file that the next group goes to; a new one when the last is full, damaged or not there.
    fn opened(&mut self, first: u64) -> SeamResult<Open> {
        let topic = Arc::clone(&self.topic);
        let (last, is_full) = {
            let segments = topic.segments();
            let last = segments.last().cloned();
            let is_full = last.as_ref().is_none_or(|last| last.bytes >= topic.config.segment_bytes);
            (last, is_full || !self.appendable)
        };
        if let (Some(last), false) = (last, is_full) {
            return match self.open.take() {
                Some(open) => Ok(open),
                // A file that was created and could not be written is not durably named yet.
                None => {
                    let file = topic.vfs.append(&last.path).map_err(|error| disk_error("open", &last.path, error))?;
                    Ok(Open { file, is_new: true })
                }
            };
        }
        topic.vfs.create_folder(&topic.folder).map_err(|error| disk_error("create", &topic.folder, error))?;
        self.summarize(first);
        let segment = Segment::new(&topic.folder, first, 0);
        let file = topic.vfs.create(&segment.path).map_err(|error| disk_error("create", &segment.path, error))?;
        topic.segments().push(segment);
        self.appendable = true;
        Ok(Open { file, is_new: true })
    }

    /// Writes what is remembered of the last segment beside it, as it is closed where the record `end` would begin.
    fn summarize(&self, end: u64) {
        let Some(base) = self.topic.segments().last().map(|last| last.base) else { return };
        if let Err(error) = self.topic.summarize(base, &self.keys.of_segment(base, end)) {
            // The segment itself has it all; it is only read once more at the next start.
            tracing::warn!(topic = self.topic.name, error = error.full(), "no summary of the keys of a segment");
        }
    }

    /// After a failed write: a full disk leaves half a group, which must go before anything else is written. What
    /// cannot be undone closes the topic.
    fn undo(&mut self, open: Open, path: &std::path::Path, before: u64, error: io::Error) -> SeamError {
        let error = disk_error("write", path, error);
        if error.kind != ErrorKind::Retry {
            let error = SeamError { kind: ErrorKind::Closed, ..error };
            self.close(&error);
            return error;
        }
        if !planted!(HalfWriteLeft)
            && let Err(cut) = self.topic.vfs.truncate(path, before)
        {
            let error =
                SeamError::caused(ErrorKind::Closed, format!("cannot undo half a write to {}", path.display()), cut);
            self.close(&error);
            return error;
        }
        self.open = Some(open);
        SeamError::new(ErrorKind::Retry, disk_is_full(&self.topic))
    }

    fn close(&self, error: &SeamError) {
        tracing::error!(topic = self.topic.name, error = error.full(), "the log takes nothing more");
        self.topic.progress.send_modify(|progress| progress.closed = Some(error.full().into()));
    }
}

/// `value` if the group was written, else why not.
fn outcome<T>(written: &SeamResult<()>, value: T) -> SeamResult<T> {
    written.as_ref().map(|()| value).map_err(|error| SeamError::new(error.kind, error.full()))
}

/// Who does not wait any more does not hear of it; the records are safe all the same.
fn answer(append: Append, outcome: SeamResult<AppendAck>) {
    let _ = append.reply.send(outcome);
}

fn disk_is_full(topic: &Topic) -> String {
    format!(
        "disk is full: topic {} takes new records again when there are {} bytes free at {}",
        topic.name,
        topic.reserve.bytes,
        topic.folder.display()
    )
}
