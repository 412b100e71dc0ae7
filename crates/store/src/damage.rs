//! Segments that are damaged: found by their checksums or by whoever reads them, and put aside. Repairs nothing.

use std::path::Path;
use std::sync::PoisonError;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use weir_model::{ErrorKind, SeamResult};

use crate::segment::{Packed, checked_bytes};
use crate::{SegmentRef, Store, Trouble};

impl Store {
    /// Compares every segment with its checksum; those that differ are put aside and returned.
    ///
    /// # Errors
    /// As the catalog says.
    pub fn verify(&self) -> SeamResult<Vec<Trouble>> {
        let mut found = Vec::new();
        for segment in self.snapshot()?.tables.values().flat_map(|table| &table.segments) {
            found.extend(self.compare(segment)?);
        }
        Ok(found)
    }

    /// Compares the next segments with their checksums, at most `bytes_max` bytes of them and at least one, and begins
    /// anew behind the last; those that differ are put aside and returned.
    ///
    /// # Errors
    /// As the catalog says.
    pub fn scrub(&self, bytes_max: u64) -> SeamResult<Vec<Trouble>> {
        let mut last = self.scrubbed.lock().unwrap_or_else(PoisonError::into_inner);
        let snapshot = self.snapshot()?;
        let all = snapshot.tables.values().flat_map(|table| &table.segments);
        // What lies in a bucket is looked after there.
        let mut segments: Vec<_> = all.filter(|segment| segment.remote.is_none()).collect();
        segments.sort_by(|a, b| a.path.cmp(&b.path));
        let next = segments.partition_point(|segment| segment.path <= *last);
        let next = if next == segments.len() { 0 } else { next };
        let (mut found, mut bytes) = (Vec::new(), 0);
        for segment in &segments[next..] {
            if bytes > 0 && bytes + segment.bytes > bytes_max {
                break;
            }
            bytes += segment.bytes;
            found.extend(self.compare(segment)?);
            last.clone_from(&segment.path);
        }
        Ok(found)
    }

    /// Compares a segment with its checksum, and puts it aside when it differs.
    fn compare(&self, segment: &SegmentRef) -> SeamResult<Option<Trouble>> {
        match checked_bytes(&**self.vfs(), segment) {
            Ok(_) => Ok(None),
            Err(error) if error.kind == ErrorKind::Corrupt => self.quarantine(&segment.path, &error.full()),
            Err(error) => Err(error),
        }
    }

    /// A segment as it lies in its file; one that is damaged is put aside.
    ///
    /// # Errors
    /// `Corrupt` when it is damaged; else as the disk, the bucket or the catalog says.
    pub(crate) fn packed(&self, segment: &SegmentRef) -> SeamResult<Packed> {
        self.sound(segment, checked_bytes(&**self.vfs(), segment).and_then(|bytes| Packed::new(segment, bytes)))
    }

    /// Gives `take` the rows of a segment, with the columns of `schema`, a batch at a time.
    ///
    /// # Errors
    /// As [`Store::packed`]; what `take` says.
    pub(crate) fn each_batch(
        &self,
        segment: &SegmentRef,
        packed: &Packed,
        schema: &SchemaRef,
        mut take: impl FnMut(&RecordBatch) -> SeamResult<()>,
    ) -> SeamResult<()> {
        let mut batches = self.sound(segment, packed.read(schema))?;
        while let Some(batch) = self.sound(segment, batches.next().transpose())? {
            take(&batch)?;
        }
        Ok(())
    }

    /// All bytes of a segment, as [`Store::packed`].
    pub(crate) fn bytes_of(&self, segment: &SegmentRef) -> SeamResult<Bytes> {
        self.sound(segment, checked_bytes(&**self.vfs(), segment))
    }

    /// What was read of a segment, which is put aside if it is damaged.
    pub(crate) fn sound<T>(&self, segment: &SegmentRef, read: SeamResult<T>) -> SeamResult<T> {
        if let Err(error) = &read
            && error.kind == ErrorKind::Corrupt
        {
            self.quarantine(&segment.path, &error.full())?;
        }
        read
    }

    /// Puts a segment aside that a reader found to be damaged: its file stays where it is, and queries go on without
    /// it and say so. Returns the trouble, or `None` when the segment is not part of a table (any more).
    ///
    /// # Errors
    /// As the catalog says.
    pub fn quarantine(&self, path: &Path, reason: &str) -> SeamResult<Option<Trouble>> {
        let mut catalog = self.catalog();
        let Some((id, trouble)) = self.tables().put_aside(path, reason) else { return Ok(None) };
        tracing::error!(table = trouble.table, path = %path.display(), rows = trouble.rows, reason, "segment put aside");
        if !self.is_read_only() {
            catalog.set_trouble(id, reason)?;
        }
        Ok(Some(trouble))
    }
}
