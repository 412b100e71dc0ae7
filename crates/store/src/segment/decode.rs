//! Reads a whole segment back, after comparing it with what the catalog says of it. Refuses to read a part of one.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{ParquetMetaDataReader, RowGroupMetaData};
use weir_disk::{checksum_of, read_file};
use weir_model::{ErrorKind, SeamError, SeamResult, Vfs};

use crate::SegmentRef;
use crate::schema::adapt;

/// Rows per batch that is read.
const BATCH_ROWS: usize = 8_192;
/// Bytes of a view of a text.
const VIEW_BYTES: u64 = 16;

/// The bytes of a segment.
///
/// # Errors
/// `Corrupt` when the file is missing, has another size or does not match its checksum.
pub(crate) fn checked_bytes(vfs: &dyn Vfs, segment: &SegmentRef) -> SeamResult<Bytes> {
    let bytes = match &segment.remote {
        None => Bytes::from(read_file(vfs, &segment.path)?),
        Some(remote) => remote.read(0, segment.bytes)?,
    };
    let shown = segment.remote.as_ref().map_or_else(|| segment.path.display().to_string(), |remote| remote.shown());
    let damaged = |why: String| SeamError::new(ErrorKind::Corrupt, format!("{shown} {why}"));
    if bytes.len() as u64 != segment.bytes {
        return Err(damaged(format!("has {} bytes and should have {}", bytes.len(), segment.bytes)));
    }
    if checksum_of(&bytes) != segment.checksum {
        return Err(damaged("does not match its checksum".to_owned()));
    }
    Ok(bytes)
}

/// The rows of a segment in `schema`.
///
/// # Errors
/// `Corrupt` as [`checked_bytes`], or when it is not readable as Parquet.
pub(crate) fn decode(vfs: &dyn Vfs, segment: &SegmentRef, schema: &SchemaRef) -> SeamResult<Vec<RecordBatch>> {
    unpacked(checked_bytes(vfs, segment)?, segment, schema)
}

/// The rows of a segment, whose bytes these are, in `schema`.
///
/// # Errors
/// `Corrupt` when it is not readable as Parquet.
pub(crate) fn unpacked(bytes: Bytes, segment: &SegmentRef, schema: &SchemaRef) -> SeamResult<Vec<RecordBatch>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(|builder| builder.with_batch_size(BATCH_ROWS).build())
        .map_err(|error| unreadable(segment, error.into()))?;
    reader.map(|batch| adapt(&batch.map_err(|error| unreadable(segment, error.into()))?, schema)).collect()
}

/// About how much memory the rows of a segment take that has these bytes: what its pages are unpacked, and a view of each value.
///
/// # Errors
/// `Corrupt` when it is not readable as Parquet.
pub(crate) fn memory_of(bytes: &Bytes, segment: &SegmentRef) -> SeamResult<u64> {
    let metadata = ParquetMetaDataReader::new().parse_and_finish(bytes);
    let metadata = metadata.map_err(|error| unreadable(segment, error.into()))?;
    let of = |group: &RowGroupMetaData| {
        let values = group.num_rows().unsigned_abs().saturating_mul(group.num_columns() as u64);
        group.total_byte_size().unsigned_abs().saturating_add(values.saturating_mul(VIEW_BYTES))
    };
    Ok(metadata.row_groups().iter().map(of).fold(0, u64::saturating_add))
}

fn unreadable(segment: &SegmentRef, error: Box<dyn std::error::Error + Send + Sync>) -> SeamError {
    SeamError::caused(ErrorKind::Corrupt, format!("cannot read {}", segment.path.display()), error)
}
