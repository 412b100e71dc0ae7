//! What a topic remembers of keyed appends across restarts: read back from summaries, or from the segments themselves.

use weir_disk::{disk_error, read_file, temporary};
use weir_model::SeamResult;

use crate::keys::{Keys, Marked, read_summary, summary_path, write_summary};
use crate::recover::marked;
use crate::topic::Topic;

impl Topic {
    /// Writes the summary of the keyed appends of the closed segment that begins at `base`, unless it is there.
    pub(crate) fn summarize(&self, base: u64, marked: &[Marked]) -> SeamResult<()> {
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

    /// The keys that count after a restart: of the last segment, and of those before it that have young records.
    pub(crate) fn remembered_keys(&self, of_last: Vec<Marked>) -> SeamResult<Keys> {
        let age = i64::try_from(self.config.keys_age.as_micros()).unwrap_or(i64::MAX);
        let too_old = self.clock.now().micros().saturating_sub(age);
        let mut found = vec![of_last];
        let mut count = found[0].len();
        let segments = self.segments().clone();
        for pair in segments.windows(2).rev() {
            let [segment, next] = pair else { break };
            // What a segment holds arrived before what the next one begins with.
            if count >= self.config.keys_max || self.first_arrival(next)?.is_some_and(|arrival| arrival < too_old) {
                break;
            }
            let summary = read_summary(&*self.vfs, &summary_path(&self.folder, segment.base));
            let marked = match summary {
                Some(marked) => marked,
                None => {
                    let content = read_file(&*self.vfs, &segment.path)?;
                    marked(&content, segment.base, self.config.record_bytes_max)
                }
            };
            count += marked.len();
            found.push(marked);
        }
        let mut keys = Keys::new(self.config.keys_max, age);
        found.into_iter().rev().flatten().for_each(|marked| keys.add(marked));
        Ok(keys)
    }
}
