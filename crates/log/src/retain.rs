//! Deletes old segments: whole files, oldest first, and what a reader still needs only where the user has said so.

use std::io::Read;
use std::sync::atomic::Ordering;

use weir_disk::{disk_error, sync_error};
use weir_model::{SeamResult, planted};

use crate::Unread;
use crate::frame::{Found, HEADER_BYTES_MAX, find};
use crate::partition::{Partition, micros};
use crate::segment::Segment;

/// What a look at a partition has deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Segment files deleted.
    pub segments: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records among them that the slowest reader had not read; only where [`Unread::Drop`] says so.
    pub unread_records: u64,
    /// Bytes that stay although the limits would have them gone, because they were not read yet.
    pub held_bytes: u64,
}

/// The figures of a partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartitionMeasure {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: u32,
    /// The oldest offset that is there.
    pub start: u64,
    /// The offset that the next record gets.
    pub end: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// How many segments there are.
    pub segments: u64,
    /// Segments that retention has deleted since the start of the process.
    pub deleted_segments: u64,
    /// Their bytes.
    pub deleted_bytes: u64,
    /// Records that were deleted although some reader had not read them.
    pub deleted_unread_records: u64,
    /// Bytes over the limits that stay because they were not read yet.
    pub held_bytes: u64,
}

/// What to do with the oldest segment.
enum Verdict {
    /// The limits keep it.
    Keep,
    /// The limits do not keep it, a reader does.
    Held(u64),
    /// It goes, with so many records that were not read.
    Delete(Segment, u64),
}

impl Partition {
    /// Deletes segments that the limits do not keep, those that end after `needed_from` only if unread records may go;
    /// and the keys of deleted segments when they count no more.
    pub(crate) fn retain(&self, needed_from: u64) -> SeamResult<Retained> {
        let mut retained = Retained::default();
        loop {
            match self.judge(needed_from)? {
                Verdict::Keep => break,
                Verdict::Held(bytes) => {
                    retained.held_bytes = bytes;
                    break;
                }
                Verdict::Delete(oldest, unread) => {
                    self.delete(&oldest, unread)?;
                    retained.segments += 1;
                    retained.bytes += oldest.bytes;
                    retained.unread_records += unread;
                }
            }
        }
        let forgotten = self.forget_keys()?;
        if retained.segments > 0 || forgotten {
            self.vfs.sync_folder(&self.folder).map_err(|error| sync_error(&self.folder, error))?;
        }
        self.deleted.segments.fetch_add(retained.segments, Ordering::Relaxed);
        self.deleted.bytes.fetch_add(retained.bytes, Ordering::Relaxed);
        self.deleted.unread_records.fetch_add(retained.unread_records, Ordering::Relaxed);
        self.deleted.held_bytes.store(retained.held_bytes, Ordering::Relaxed);
        Ok(retained)
    }

    fn delete(&self, oldest: &Segment, unread: u64) -> SeamResult<()> {
        if unread > 0 {
            let path = oldest.path.display();
            tracing::error!(
                topic = self.name,
                "{path} is deleted with {unread} records that were not read: `unread: drop` says so"
            );
        }
        // Out of sight before it is gone; a crash in between leaves it to the next call. Its keys stay for their time.
        self.segments().retain(|segment| segment.base != oldest.base);
        self.vfs.remove(&oldest.path).map_err(|error| {
            // Still there: were the next one deleted before it, there would be a hole.
            self.segments().insert(0, oldest.clone());
            disk_error("remove", &oldest.path, error)
        })
    }

    /// Removes the keys of deleted segments that count no more; returns whether there were any.
    fn forget_keys(&self) -> SeamResult<bool> {
        let too_old = self.keys_too_old();
        let mut forgotten = false;
        for (path, marked) in self.summaries_without_segment()? {
            if marked.last().is_none_or(|last| last.arrival < too_old) {
                self.vfs.remove(&path).map_err(|error| disk_error("remove", &path, error))?;
                forgotten = true;
            }
        }
        Ok(forgotten)
    }

    /// What to do with the oldest segment. The last one never goes: it says where the partition is.
    fn judge(&self, needed_from: u64) -> SeamResult<Verdict> {
        let (oldest, next, all) = match self.segments().as_slice() {
            [oldest, next, rest @ ..] => {
                let all = oldest.bytes + next.bytes + rest.iter().map(|segment| segment.bytes).sum::<u64>();
                (oldest.clone(), next.clone(), all)
            }
            _ => return Ok(Verdict::Keep),
        };
        let over = self.retain.bytes.map_or(0, |max| all.saturating_sub(max));
        let too_old = match self.retain.age {
            None => false,
            Some(age) => {
                let limit = self.clock.now().micros().saturating_sub(micros(age));
                self.first_arrival(&next)?.is_some_and(|arrival| arrival < limit)
            }
        };
        if over == 0 && !too_old {
            return Ok(Verdict::Keep);
        }
        let unread = next.base.saturating_sub(oldest.base.max(needed_from));
        Ok(match self.retain.unread {
            Unread::Keep if unread > 0 && !planted!(RetainsUnread) => Verdict::Held(over.max(oldest.bytes)),
            Unread::Keep | Unread::Drop => Verdict::Delete(oldest, unread),
        })
    }

    /// When the first record of a segment arrived; everything in older segments arrived before.
    pub(crate) fn first_arrival(&self, segment: &Segment) -> SeamResult<Option<i64>> {
        let mut head = Vec::new();
        let bytes = (HEADER_BYTES_MAX + self.config.record_bytes_max) as u64;
        let read = self.vfs.open(&segment.path, 0).and_then(|file| file.take(bytes).read_to_end(&mut head));
        read.map_err(|error| disk_error("read", &segment.path, error))?;
        Ok(match find(&head, self.config.record_bytes_max) {
            Found::Frame(frame) => Some(frame.arrival.micros()),
            Found::Partial(_) | Found::Damage => None,
        })
    }

    /// The figures of this partition of `topic`.
    pub(crate) fn measure(&self, topic: &str) -> PartitionMeasure {
        let (start, end) = (self.start(), self.end());
        let segments = self.segments();
        let deleted = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        PartitionMeasure {
            topic: topic.to_owned(),
            partition: self.number,
            start,
            end,
            bytes: segments.iter().map(|segment| segment.bytes).sum(),
            segments: segments.len() as u64,
            deleted_segments: deleted(&self.deleted.segments),
            deleted_bytes: deleted(&self.deleted.bytes),
            deleted_unread_records: deleted(&self.deleted.unread_records),
            held_bytes: deleted(&self.deleted.held_bytes),
        }
    }
}
