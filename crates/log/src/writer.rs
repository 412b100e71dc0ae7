//! The thread that writes a partition: groups of appends become durable together, and only then are they acknowledged.

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use weir_disk::{disk_error, sync_error};
use weir_model::{ErrorKind, Offset, ProcessingTime, SeamError, SeamResult, VfsFile, planted};

use crate::AppendAck;
use crate::frame::Frame;
use crate::keys::{Mark, Marked};
use crate::partition::Partition;
use crate::segment::Segment;

/// How often it is tried to cut off what nobody was told of.
const CUTS_MAX: u32 = 8;

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

/// Writes one partition.
pub(crate) struct Writer {
    partition: Arc<Partition>,
    /// Whether the last segment may be appended to.
    appendable: bool,
    open: Option<Open>,
    buffer: Vec<u8>,
}

impl Writer {
    pub(crate) fn new(partition: Arc<Partition>, appendable: bool) -> Self {
        Self { partition, appendable, open: None, buffer: Vec::new() }
    }

    /// Serves appends until nobody can send any more.
    pub(crate) fn run(mut self, mut queue: mpsc::Receiver<Append>) {
        while let Some(first) = queue.blocking_recv() {
            let mut bytes = first.records.iter().map(Bytes::len).sum::<usize>();
            let mut group = vec![first];
            while bytes < self.partition.config.group_bytes
                && let Ok(next) = queue.try_recv()
            {
                bytes += next.records.iter().map(Bytes::len).sum::<usize>();
                group.push(next);
            }
            self.serve(group);
        }
    }

    fn serve(&mut self, group: Vec<Append>) {
        let (first, partition) = (self.partition.end(), self.partition.number);
        let arrival = self.partition.clock.now();
        let (mut fresh, mut marked): (Vec<Append>, Vec<Marked>) = Default::default();
        let mut repeated: Vec<(Append, Mark)> = Vec::new();
        let mut next = first;
        for append in group {
            if let Some(mark) = append.mark {
                let in_group = marked.iter().any(|other| other.mark.key == mark.key);
                if in_group || self.partition.keys().find(mark).is_some() {
                    repeated.push((append, mark));
                    continue;
                }
                let count = append.records.len() as u32;
                marked.push(Marked { mark, first: next, count, arrival: arrival.micros() });
            }
            next += append.records.len() as u64;
            fresh.push(append);
        }
        let closed = self.partition.progress.borrow().closed.clone();
        let written = match closed {
            Some(why) => Err(self.partition.closed(&why)),
            None if fresh.is_empty() => Ok(()),
            None => self.write(&fresh, first, arrival),
        };
        let mut next = first;
        for append in fresh {
            let count = append.records.len() as u64;
            answer(
                append,
                outcome(&written, AppendAck { partition, first_offset: Offset(next), count, repeated: false }),
            );
            next += count;
        }
        for (append, mark) in repeated {
            let of_group = marked.iter().find(|other| other.mark.key == mark.key);
            let known = self.partition.keys().find(mark).copied();
            let heard = match (of_group, known) {
                (_, Some(known)) => known.answer(mark, partition),
                (Some(now), None) => outcome(&written, ()).and_then(|()| now.answer(mark, partition)),
                (None, None) => unreachable!("it is repeated because one of the two knows it"),
            };
            answer(append, heard);
        }
        if written.is_ok() {
            let mut keys = self.partition.keys();
            marked.into_iter().for_each(|marked| keys.add(marked));
        }
    }

    /// Makes a group durable, its first record at offset `first`, or leaves nothing of it.
    fn write(&mut self, group: &[Append], first: u64, arrival: ProcessingTime) -> SeamResult<()> {
        self.encode(group, first, arrival);
        let partition = Arc::clone(&self.partition);
        let room = partition.reserve.allows(&*partition.vfs, partition.root(), self.buffer.len() as u64);
        match room {
            Ok(true) => {}
            Ok(false) => return Err(SeamError::new(ErrorKind::Retry, disk_is_full(&partition))),
            Err(error) => return Err(disk_error("ask for the free space at", partition.root(), error)),
        }
        // What could not be named may be there all the same, and found by the next attempt without being durable.
        let opened = self.opened(first);
        if let Err(error) = &opened
            && error.kind == ErrorKind::Closed
        {
            self.close(error);
        }
        let mut open = opened?;
        let (path, before) = {
            let segments = partition.segments();
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
            true => partition.vfs.sync_folder(&partition.folder).map_err(|error| sync_error(&partition.folder, error)),
            false => Ok(()),
        });
        if let Err(error) = synced {
            // The kernel takes what it could not write for written: the next process would find it, a sync would say yes,
            // and a loss of power would take it. Nobody was told of it, so it goes.
            if !planted!(UnsyncedLeft)
                && let Err(cut) = self.cut(&path, before)
            {
                tracing::error!(topic = partition.name, error = %cut, "what could not be made durable cannot be cut off");
            }
            self.close(&error);
            return Err(error);
        }
        open.is_new = false;
        self.open = Some(open);
        let records: u64 = group.iter().map(|append| append.records.len() as u64).sum();
        {
            let mut segments = partition.segments();
            let segment = segments.last_mut().expect("a segment is open");
            segment.learn(first, before);
            segment.bytes = before + self.buffer.len() as u64;
        }
        partition.progress.send_modify(|progress| progress.end = first + records);
        Ok(())
    }

    fn encode(&mut self, group: &[Append], first: u64, arrival: ProcessingTime) {
        self.buffer.clear();
        let mut offset = first;
        for append in group {
            if let Some(mark) = append.mark {
                let following = append.records.len() as u32;
                let group = Some(self.buffer.len() as u32);
                let frame = Frame { offset, arrival, following, group, payload: Mark::BYTES, is_mark: true };
                frame.encode(&mark.encode(), &mut self.buffer);
            }
            for (index, record) in append.records.iter().enumerate() {
                let following = (append.records.len() - 1 - index) as u32;
                let group = Some(self.buffer.len() as u32);
                let frame = Frame { offset, arrival, following, group, payload: record.len(), is_mark: false };
                frame.encode(record, &mut self.buffer);
                offset += 1;
            }
        }
    }

    /// The file that the next group goes to; a new one when the last is full, damaged or not there.
    fn opened(&mut self, first: u64) -> SeamResult<Open> {
        let partition = Arc::clone(&self.partition);
        let (last, is_full) = {
            let segments = partition.segments();
            let last = segments.last().cloned();
            let is_full = last.as_ref().is_none_or(|last| last.bytes >= partition.config.segment_bytes);
            (last, is_full || !self.appendable)
        };
        if let (Some(last), false) = (last, is_full) {
            return match self.open.take() {
                Some(open) => Ok(open),
                // A file that was created and could not be written is not durably named yet.
                None => {
                    let file =
                        partition.vfs.append(&last.path).map_err(|error| disk_error("open", &last.path, error))?;
                    Ok(Open { file, is_new: true })
                }
            };
        }
        partition
            .vfs
            .create_folder(&partition.folder)
            .map_err(|error| disk_error("create", &partition.folder, error))?;
        self.summarize(first);
        let segment = Segment::new(&partition.folder, first, 0);
        let file = partition.vfs.create(&segment.path).map_err(|error| disk_error("create", &segment.path, error))?;
        partition.segments().push(segment);
        self.appendable = true;
        Ok(Open { file, is_new: true })
    }

    /// Writes what is remembered of the last segment beside it, as it is closed where the record `end` would begin.
    fn summarize(&self, end: u64) {
        let Some(base) = self.partition.segments().last().map(|last| last.base) else { return };
        let marked = self.partition.keys().of_segment(base, end);
        self.partition.summarize(base, &marked);
    }

    /// After a failed write: a full disk leaves half a group, which must go before anything else is written. What
    /// cannot be undone closes the partition.
    fn undo(&mut self, open: Open, path: &Path, before: u64, error: io::Error) -> SeamError {
        let error = disk_error("write", path, error);
        if error.kind != ErrorKind::Retry {
            let error = SeamError { kind: ErrorKind::Closed, ..error };
            self.close(&error);
            return error;
        }
        if !planted!(HalfWriteLeft)
            && let Err(cut) = self.cut(path, before)
        {
            let error =
                SeamError::caused(ErrorKind::Closed, format!("cannot undo half a write to {}", path.display()), cut);
            self.close(&error);
            return error;
        }
        self.open = Some(open);
        SeamError::new(ErrorKind::Retry, disk_is_full(&self.partition))
    }

    /// Cuts off what follows `before` bytes. A full disk may refuse even that for a moment.
    fn cut(&self, path: &Path, before: u64) -> io::Result<()> {
        let mut cut = self.partition.vfs.truncate(path, before);
        for _ in 1..CUTS_MAX {
            if cut.is_ok() {
                break;
            }
            cut = self.partition.vfs.truncate(path, before);
        }
        cut
    }

    fn close(&self, error: &SeamError) {
        tracing::error!(topic = self.partition.name, error = error.full(), "the log takes nothing more");
        self.partition.progress.send_modify(|progress| progress.closed = Some(error.full().into()));
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

fn disk_is_full(partition: &Partition) -> String {
    format!(
        "disk is full: topic {} takes new records again when there are {} bytes free at {}",
        partition.name,
        partition.reserve.bytes,
        partition.folder.display()
    )
}
