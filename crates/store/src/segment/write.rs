//! A segment while it is written: rows in the order in which they will lie, with the search index that is made as they pass.
//! Puts nothing in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use parquet::arrow::ArrowWriter;
use weir_disk::{ChecksummedWriter, Published, disk_error, publish};
use weir_model::{ErrorKind, NewSegment, SeamResult, Vfs};

use super::TABLES_FOLDER;
use super::encode::Encoding;
use super::properties::{parquet_error, properties};
use crate::schema::schema_to_text;
use crate::tokens::{self, Builder, INDEXED_ROWS_MIN, Subject, index_path};
use crate::writer::used_bytes;

/// A row group of wide rows ends when it has about so many bytes: until then it is in memory.
pub(super) const ROW_GROUP_BYTES: usize = 64 << 20;
/// Such a part of it is given to Parquet at a time, unpacked: it looks at the size of a row group only in between.
const PIECE_PART: usize = 4;

/// What is known of the rows before they come.
pub(super) struct Plan<'a> {
    /// How many.
    pub(super) rows: usize,
    /// Some of them, which show what the columns are like.
    pub(super) sample: &'a [RecordBatch],
    /// Usually [`ROW_GROUP_BYTES`].
    pub(super) row_group_bytes: usize,
}

/// A segment that is not durable yet.
pub(super) struct SegmentWriter<'a> {
    vfs: &'a dyn Vfs,
    encoding: &'a Encoding,
    relative: String,
    path: PathBuf,
    rows: usize,
    piece_bytes: usize,
    writer: ArrowWriter<ChecksummedWriter>,
    index: Option<Builder>,
}

impl<'a> SegmentWriter<'a> {
    /// Begins a file under the data folder `folder`.
    pub(super) fn begin(vfs: &'a dyn Vfs, folder: &Path, encoding: &'a Encoding, plan: &Plan<'_>) -> SeamResult<Self> {
        assert!(plan.rows > 0, "a segment has rows");
        let relative = format!("{TABLES_FOLDER}/{}/{}.parquet", encoding.table, vfs.unused_name());
        let path = folder.join(&relative);
        let properties = properties(encoding, plan);
        let parent = path.parent().unwrap_or(folder);
        vfs.create_folder(parent).map_err(|error| disk_error("create", parent, error))?;
        let file = ChecksummedWriter::create(vfs, &path)?;
        let writer = ArrowWriter::try_new(file, Arc::clone(&encoding.schema), Some(properties));
        let writer = writer.map_err(|error| parquet_error(&path, error))?;
        let index = (plan.rows as u64 >= INDEXED_ROWS_MIN)
            .then(|| Builder::new(&encoding.schema, encoding.time_column.as_deref(), &encoding.settings));
        let piece_bytes = plan.row_group_bytes / PIECE_PART;
        Ok(Self { vfs, encoding, relative, path, rows: plan.rows, piece_bytes, writer, index })
    }

    /// The next rows.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> SeamResult<()> {
        if let Some(index) = &mut self.index {
            index.add(batch);
        }
        let (rows, piece) = (batch.num_rows(), self.rows_at_once(batch));
        for from in (0..rows).step_by(piece) {
            let piece = batch.slice(from, piece.min(rows - from));
            self.writer.write(&piece).map_err(|error| parquet_error(&self.path, error))?;
        }
        Ok(())
    }

    /// How many rows of `batch` are written at a time: all of them, if they are not wide.
    fn rows_at_once(&self, batch: &RecordBatch) -> usize {
        let bytes: usize = batch.columns().iter().map(used_bytes).sum();
        (batch.num_rows() / bytes.div_ceil(self.piece_bytes).max(1)).max(1)
    }

    /// Makes it durable, when all rows have come.
    pub(super) fn finish(self, time_range: Option<(i64, i64)>) -> SeamResult<NewSegment> {
        let Self { vfs, encoding, relative, path, rows, piece_bytes: _, writer, index } = self;
        let published = writer.into_inner().map_err(|error| parquet_error(&path, error))?.publish(vfs)?;
        if let Some(index) = index {
            write_index(vfs, &path, index, published)?;
        }
        Ok(NewSegment {
            table: encoding.table.clone(),
            path: relative,
            bytes: published.bytes,
            checksum: published.checksum,
            rows: rows as u64,
            time_range,
            schema: schema_to_text(&encoding.schema)?,
        })
    }
}

/// Writes the search index of the segment at `path`. A segment is whole without it: when the disk is full it is left to
/// [`crate::Store::index_once`].
fn write_index(vfs: &dyn Vfs, path: &Path, index: Builder, segment: Published) -> SeamResult<()> {
    let bytes = tokens::encode(index, Subject { bytes: segment.bytes, checksum: segment.checksum })?;
    match publish(vfs, &index_path(path), &bytes) {
        Err(error) if error.kind == ErrorKind::Retry => {
            tracing::warn!(path = %path.display(), error = error.full(), "a segment has no search index for now");
            Ok(())
        }
        written => written.map(|_| ()),
    }
}
