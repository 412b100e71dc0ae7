//! Reads a whole segment back, after comparing it with what the catalog says of it. Refuses to read a part of one.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use weir_disk::{checksum_of, read_file};
use weir_model::{ErrorKind, SeamError, SeamResult, Vfs};

use super::packed::Packed;
use crate::SegmentRef;

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
    Packed::new(segment, checked_bytes(vfs, segment)?)?.read(schema)?.collect()
}
