//! Rollups as bytes. The layout is described in the module.

use std::io::Read;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use serde::{Deserialize, Serialize};
use weir_disk::checksum_of;
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::build::Made;
use super::{Builder, OWN_SHARE_MAX_PERCENT, Rollup, SHARE_MAX_PERCENT, STREAM_BYTES_MAX};

const ZSTD_LEVEL: i32 = 3;

/// Where the groups of a rollup are.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Listed {
    pub(crate) rollup: Rollup,
    /// How many there are.
    pub(crate) groups: u64,
    pub(crate) base: Blob,
    pub(crate) sketches: Option<Blob>,
}

/// Groups or sketches of the rollup at a place of the list.
struct Stream {
    at: usize,
    is_own: bool,
    is_sketches: bool,
    bytes: Vec<u8>,
}

/// Bytes behind the list.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Blob {
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) checksum: u64,
}

/// The section of a segment of `segment_bytes` bytes: the list with its length in front, and everything else.
pub(crate) fn encode(builder: Builder, segment_bytes: u64) -> SeamResult<(Vec<u8>, Vec<u8>)> {
    let mut streams: Vec<Stream> = Vec::new();
    let mut made = Vec::new();
    for Made { rollup, is_own, groups, sketches } in builder.finish() {
        let at = made.len();
        streams.push(Stream { at, is_own, is_sketches: false, bytes: compressed(&groups)? });
        if let Some(sketches) = &sketches {
            streams.push(Stream { at, is_own, is_sketches: true, bytes: compressed(sketches)? });
        }
        made.push((rollup, groups.num_rows() as u64));
    }
    // The smallest first; a stream of sketches is of no use without its groups.
    streams.sort_by_key(|stream| (stream.is_sketches, stream.bytes.len(), stream.at));
    let mut left = segment_bytes / 100 * SHARE_MAX_PERCENT;
    let mut left_own = segment_bytes / 100 * OWN_SHARE_MAX_PERCENT;
    let mut body = Vec::new();
    let mut places = vec![[None, None]; made.len()];
    for Stream { at, is_own, is_sketches, bytes } in streams {
        let left = if is_own { &mut left_own } else { &mut left };
        let has_base = !is_sketches || places[at][0].is_some();
        if bytes.len() as u64 <= *left && has_base {
            *left -= bytes.len() as u64;
            let blob = Blob { offset: body.len() as u64, bytes: bytes.len() as u64, checksum: checksum_of(&bytes) };
            places[at][usize::from(is_sketches)] = Some(blob);
            body.extend_from_slice(&bytes);
        }
    }
    let listed = made
        .into_iter()
        .zip(places)
        .filter_map(|((rollup, groups), [base, sketches])| Some(Listed { rollup, groups, base: base?, sketches }));
    let list = serde_json::to_vec(&listed.collect::<Vec<_>>()).map_err(|error| unwritten(Box::new(error)))?;
    Ok((list, body))
}

fn unwritten(error: Box<dyn std::error::Error + Send + Sync>) -> SeamError {
    SeamError::caused(ErrorKind::Closed, "cannot write the rollups of a segment", error)
}

fn compressed(batch: &RecordBatch) -> SeamResult<Vec<u8>> {
    let write = || -> Result<Vec<u8>, arrow::error::ArrowError> {
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
        writer.write(batch)?;
        writer.into_inner()
    };
    let stream = write().map_err(|error| unwritten(Box::new(error)))?;
    zstd::bulk::compress(&stream, ZSTD_LEVEL).map_err(|error| unwritten(Box::new(error)))
}

/// The list.
pub(crate) fn parse_list(bytes: &[u8]) -> Result<Vec<Listed>, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("the list of rollups: {error}"))
}

/// The groups in a stream, which has been compared with its checksum, and how many bytes of memory they take: Arrow would say
/// of each column that it takes as much as all of them, as they share what they were read from.
pub(crate) fn decode(bytes: &[u8]) -> Result<(RecordBatch, usize), String> {
    let mut stream = Vec::new();
    let decoder = zstd::Decoder::new(bytes).map_err(|error| error.to_string())?;
    let read = decoder.take(STREAM_BYTES_MAX + 1).read_to_end(&mut stream).map_err(|error| error.to_string())?;
    if read as u64 > STREAM_BYTES_MAX {
        return Err(format!("a rollup has more than {STREAM_BYTES_MAX} bytes"));
    }
    let reader = StreamReader::try_new(stream.as_slice(), None).map_err(|error| error.to_string())?;
    let schema = reader.schema();
    let batches = reader.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    let groups = concat_batches(&Arc::clone(&schema), &batches).map_err(|error| error.to_string())?;
    Ok((groups, read))
}
