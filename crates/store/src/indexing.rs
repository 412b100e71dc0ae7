//! Keeps the search index of every segment there: finds those that are missing, and makes them again from the rows.
//! Nothing is lost with an index, so nothing here can fail a query or a commit.

use std::io::ErrorKind as Io;
use std::path::Path;
use std::sync::PoisonError;

use weir_disk::{disk_error, publish};
use weir_model::{ErrorKind, SeamResult};

use crate::tokens::{Builder, Subject, encode, index_path};
use crate::{SegmentRef, Store, TableSettings, TableSnapshot};

impl Store {
    /// A reader found the search index of the segment at `path` missing or damaged: it is made again by
    /// [`Store::index_once`].
    pub fn found_bad_index(&self, path: &Path, reason: &str) {
        let is_new = self.unindexed().insert(path.to_owned());
        if is_new {
            tracing::warn!(path = %path.display(), reason, "a segment is searched without its index");
        }
    }

    /// Makes one search index that is missing or damaged, and returns whether there was one to make. Call it until it
    /// returns `false`, from a thread that may block.
    ///
    /// # Errors
    /// `Retry` when the disk is full. `Corrupt` when the segment is damaged: it was put aside, call it again.
    pub fn index_once(&self) -> SeamResult<bool> {
        self.owned()?;
        // A segment that is about to be replaced needs no index.
        let _one_at_a_time = self.compacting.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(path) = self.next_unindexed() {
            let tables = self.snapshot()?.tables;
            let mut live = tables.values().flat_map(|table| table.segments.iter().map(move |segment| (table, segment)));
            let found = live.find(|(_, segment)| segment.path == path);
            let Some((table, segment)) = found.filter(|(_, segment)| segment.index().is_some()) else {
                self.unindexed().remove(&path);
                continue;
            };
            let settings = self.settings(&table.name);
            self.index(segment, table, &settings)?;
            self.unindexed().remove(&path);
            tracing::info!(path = %path.display(), rows = segment.rows, "made the search index of a segment");
            return Ok(true);
        }
        Ok(false)
    }

    fn next_unindexed(&self) -> Option<std::path::PathBuf> {
        self.unindexed().first().cloned()
    }

    fn index(&self, segment: &SegmentRef, table: &TableSnapshot, settings: &TableSettings) -> SeamResult<()> {
        let mut builder = Builder::new(&table.schema, table.time_column.as_deref(), settings);
        let read = self.packed(segment).and_then(|packed| {
            self.each_batch(segment, &packed, &table.schema, |batch| {
                builder.add(batch);
                Ok(())
            })
        });
        if read.as_ref().is_err_and(|error| error.kind == ErrorKind::Corrupt) {
            self.unindexed().remove(&segment.path);
        }
        read?;
        let bytes = encode(builder, Subject { bytes: segment.bytes, checksum: segment.checksum })?;
        self.remove_index(&segment.path)?;
        publish(&**self.vfs(), &index_path(&segment.path), &bytes).map(|_| ())
    }

    /// Removes the index of the segment at `path`, if it has one.
    pub(crate) fn remove_index(&self, path: &Path) -> SeamResult<()> {
        let index = index_path(path);
        match self.vfs().remove(&index) {
            Err(error) if error.kind() != Io::NotFound => Err(disk_error("remove", &index, error)),
            _ => Ok(()),
        }
    }

    /// Finds segments that have no index: those of a crash in between, of a backup, of an older version.
    pub(crate) fn find_missing_indexes(&self) -> SeamResult<()> {
        let tables = self.snapshot()?.tables;
        let mut missing = 0;
        for segment in tables.values().flat_map(|table| &table.segments) {
            if segment.index().is_some_and(|index| self.vfs().len(&index).is_err()) {
                self.unindexed().insert(segment.path.clone());
                missing += 1;
            }
        }
        if missing > 0 {
            tracing::warn!(segments = missing, "segments have no search index; they are made in the background");
        }
        Ok(())
    }

    fn unindexed(&self) -> std::sync::MutexGuard<'_, std::collections::BTreeSet<std::path::PathBuf>> {
        self.unindexed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
