//! Segments that are damaged: found by their checksums or by whoever reads them, and put aside. Repairs nothing.

use std::path::Path;
use std::sync::PoisonError;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use weir_model::{ErrorKind, SeamResult};

use crate::segment::{checked_bytes, decode, memory_of, unpacked};
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

    /// The rows of a segment, with the columns of `schema`; one that is damaged is put aside.
    ///
    /// # Errors
    /// `Corrupt` when it is damaged; else as the disk, the bucket or the catalog says.
    pub(crate) fn rows_of(&self, segment: &SegmentRef, schema: &SchemaRef) -> SeamResult<Vec<RecordBatch>> {
        self.sound(segment, decode(&**self.vfs(), segment, schema))
    }

    /// As [`Store::rows_of`], from the bytes of the segment.
    pub(crate) fn unpacked(
        &self,
        bytes: Bytes,
        segment: &SegmentRef,
        schema: &SchemaRef,
    ) -> SeamResult<Vec<RecordBatch>> {
        self.sound(segment, unpacked(bytes, segment, schema))
    }

    /// About how much memory the rows of a segment take that has these bytes.
    pub(crate) fn memory_of(&self, bytes: &Bytes, segment: &SegmentRef) -> SeamResult<u64> {
        self.sound(segment, memory_of(bytes, segment))
    }

    /// All bytes of a segment, as [`Store::rows_of`].
    pub(crate) fn bytes_of(&self, segment: &SegmentRef) -> SeamResult<Bytes> {
        self.sound(segment, checked_bytes(&**self.vfs(), segment))
    }

    fn sound<T>(&self, segment: &SegmentRef, read: SeamResult<T>) -> SeamResult<T> {
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
