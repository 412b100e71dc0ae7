//! What a partition remembers of keyed appends across restarts: read back from summaries, or from the segments themselves.

use std::path::PathBuf;

use weir_disk::{disk_error, read_file, temporary};
use weir_model::{FileKind, SeamResult};

use crate::keys::{Marked, read_summary, summary_base, summary_path, write_summary};
use crate::partition::{Partition, micros};
use crate::recover::marked;
use crate::segment::Segment;

impl Partition {
    /// Writes the summary of the keyed appends of the closed segment that begins at `base`, unless it is there. A failure
    /// is no loss: the segment has it all, and is only read once more at the next start.
    pub(crate) fn summarize(&self, base: u64, marked: &[Marked]) {
        if let Err(error) = self.try_to_summarize(base, marked) {
            tracing::warn!(topic = self.name, error = error.full(), "no summary of the keys of a segment");
        }
    }

    fn try_to_summarize(&self, base: u64, marked: &[Marked]) -> SeamResult<()> {
        let path = summary_path(&self.folder, base);
        if read_summary(&*self.vfs, &path).is_some() {
            return Ok(());
        }
        for left in [&path, &temporary(&path)] {
            if self.vfs.len(left).is_ok() {
                self.vfs.remove(left).map_err(|error| disk_error("remove", left, error))?;
            }
        }
        write_summary(&*self.vfs, &path, marked)
    }

    /// Reads back the keys that count after a restart: of the last segment, of those before it that have young records,
    /// and of segments that are gone.
    pub(crate) fn remember(&self, of_last: Vec<Marked>) -> SeamResult<()> {
        let too_old = self.keys_too_old();
        let mut found = vec![of_last];
        let mut count = found[0].len();
        let segments = self.segments().clone();
        let mut all_young = true;
        for pair in segments.windows(2).rev() {
            let [segment, next] = pair else { break };
            // What a segment holds arrived before what the next one begins with.
            let is_old = self.first_arrival(next)?.is_some_and(|arrival| arrival < too_old);
            if count >= self.config.keys_max || is_old {
                all_young = false;
                break;
            }
            let marked = self.marked(segment)?;
            count += marked.len();
            found.push(marked);
        }
        if all_young {
            for (_, marked) in self.summaries_without_segment()?.into_iter().rev() {
                if count >= self.config.keys_max || marked.last().is_none_or(|last| last.arrival < too_old) {
                    break;
                }
                count += marked.len();
                found.push(marked);
            }
        }
        let mut keys = self.keys();
        found.into_iter().rev().flatten().for_each(|marked| keys.add(marked));
        Ok(())
    }

    /// The keyed appends of a closed segment: from its summary, which is written if it is missing or damaged.
    fn marked(&self, segment: &Segment) -> SeamResult<Vec<Marked>> {
        if let Some(marked) = read_summary(&*self.vfs, &summary_path(&self.folder, segment.base)) {
            return Ok(marked);
        }
        let content = read_file(&*self.vfs, &segment.path)?;
        let marked = marked(&content, segment.base, self.config.record_bytes_max);
        self.summarize(segment.base, &marked);
        Ok(marked)
    }

    /// The summaries of segments that retention has deleted, oldest first; a damaged one has no keys.
    pub(crate) fn summaries_without_segment(&self) -> SeamResult<Vec<(PathBuf, Vec<Marked>)>> {
        let start = self.start();
        let listed = self.vfs.list(&self.folder).map_err(|error| disk_error("list", &self.folder, error))?;
        let orphans = listed
            .into_iter()
            .filter(|(path, kind)| *kind == FileKind::File && summary_base(path).is_some_and(|base| base < start));
        Ok(orphans
            .map(|(path, _)| {
                let marked = read_summary(&*self.vfs, &path).unwrap_or_default();
                (path, marked)
            })
            .collect())
    }

    /// Keys that arrived before this moment count no more.
    pub(crate) fn keys_too_old(&self) -> i64 {
        self.clock.now().micros().saturating_sub(micros(self.config.keys_age))
    }
}
