//! Deletes old segments: whole files, oldest first, never what a reader still needs.

use std::io::Read;

use weir_disk::{disk_error, sync_error};
use weir_model::{SeamResult, planted};

use crate::frame::{Found, HEADER_BYTES, find};
use crate::keys::summary_path;
use crate::segment::Segment;
use crate::topic::Topic;

impl Topic {
    /// Deletes segments that the limits of the configuration do not keep and that end at or before `needed_from`;
    /// returns how many.
    pub(crate) fn retain(&self, needed_from: u64) -> SeamResult<usize> {
        let mut deleted = 0;
        while let Some(oldest) = self.to_delete(needed_from)? {
            // Out of sight before it is gone; a crash in between leaves it to the next call.
            self.segments().retain(|segment| segment.base != oldest.base);
            // Before the segment, so that no summary is ever without one.
            let summary = summary_path(&self.folder, oldest.base);
            if self.vfs.len(&summary).is_ok() {
                self.vfs.remove(&summary).map_err(|error| disk_error("remove", &summary, error))?;
            }
            self.vfs.remove(&oldest.path).map_err(|error| disk_error("remove", &oldest.path, error))?;
            deleted += 1;
        }
        if deleted > 0 {
            self.vfs.sync_folder(&self.folder).map_err(|error| sync_error(&self.folder, error))?;
        }
        Ok(deleted)
    }

    /// The oldest segment, if it may go. The last one never may: it says where the topic is.
    fn to_delete(&self, needed_from: u64) -> SeamResult<Option<Segment>> {
        let (oldest, next, all) = match self.segments().as_slice() {
            [oldest, next, rest @ ..] if next.base <= needed_from || planted!(RetainsUnread) => {
                let all = oldest.bytes + next.bytes + rest.iter().map(|segment| segment.bytes).sum::<u64>();
                (oldest.clone(), next.clone(), all)
            }
            _ => return Ok(None),
        };
        let too_large = self.config.retain_bytes.is_some_and(|max| all > max);
        let too_old = match self.config.retain_age {
            None => false,
            Some(age) => {
                let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
                self.first_arrival(&next)?
                    .is_some_and(|arrival| arrival < self.clock.now().micros().saturating_sub(age))
            }
        };
        Ok((too_large || too_old).then_some(oldest))
    }

    /// When the first record of a segment arrived; everything in older segments arrived before.
    pub(crate) fn first_arrival(&self, segment: &Segment) -> SeamResult<Option<i64>> {
        let mut head = Vec::new();
        let bytes = (HEADER_BYTES + self.config.record_bytes_max) as u64;
        let read = self.vfs.open(&segment.path, 0).and_then(|file| file.take(bytes).read_to_end(&mut head));
        read.map_err(|error| disk_error("read", &segment.path, error))?;
        Ok(match find(&head, self.config.record_bytes_max) {
            Found::Frame(frame) => Some(frame.arrival.micros()),
            Found::Partial(_) | Found::Damage => None,
        })
    }
}
