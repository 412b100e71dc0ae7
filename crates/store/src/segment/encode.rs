//! Writes batches as one segment, durably.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::compute::interleave;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use weir_model::{NewSegment, SeamResult, Vfs};

use super::order::{SortedBy, by_time, time_range, unordered};
use super::profile::sample;
use super::write::{Plan, ROW_GROUP_BYTES, SegmentWriter};
use crate::TableSettings;

pub(super) const PAGE_ROWS: usize = 8_192;
/// Rows that are put in order at a time.
pub(super) const CHUNK_ROWS: usize = 2 * PAGE_ROWS;

/// How a table's segments are written.
#[derive(Clone, Debug)]
pub(crate) struct Encoding {
    pub(crate) table: String,
    pub(crate) schema: SchemaRef,
    pub(crate) time_column: Option<String>,
    pub(crate) settings: Arc<TableSettings>,
}

/// Writes `batches` (in `encoding.schema`, at least one row) as a new segment under the data folder `folder`, and
/// returns when it is durable.
///
/// # Errors
/// `Retry` when the disk is full: nothing is left behind but a temporary file.
pub(crate) fn encode(
    vfs: &dyn Vfs,
    folder: &Path,
    encoding: &Encoding,
    batches: &[RecordBatch],
) -> SeamResult<NewSegment> {
    let time = encoding.time_column.as_deref().and_then(|name| encoding.schema.index_of(name).ok());
    let order = SortedBy::of(encoding)?.order(batches)?;
    let plan = Plan {
        rows: batches.iter().map(RecordBatch::num_rows).sum(),
        sample: &sample(batches),
        row_group_bytes: ROW_GROUP_BYTES,
    };
    let mut writer = SegmentWriter::begin(vfs, folder, encoding, &plan)?;
    match order {
        None => batches.iter().try_for_each(|batch| writer.write(batch))?,
        Some(rows) => {
            for chunk in rows.chunks(CHUNK_ROWS) {
                writer.write(&in_order(&encoding.schema, batches, chunk).map_err(unordered)?)?;
            }
        }
    }
    writer.finish(time_range(batches, time))
}

/// The rows of `batches` (in `schema`) in the order of their times, those of one time as they came.
pub(crate) fn in_order_of_time(
    schema: &SchemaRef,
    batches: Vec<RecordBatch>,
    time: Option<&str>,
) -> SeamResult<Vec<RecordBatch>> {
    let Some(rows) = time.and_then(|time| by_time(&batches, time)) else { return Ok(batches) };
    let chunks = rows.chunks(CHUNK_ROWS).map(|chunk| in_order(schema, &batches, chunk));
    chunks.collect::<Result<_, _>>().map_err(unordered)
}

/// Those rows of `batches`.
pub(super) fn in_order(
    schema: &SchemaRef,
    batches: &[RecordBatch],
    rows: &[(usize, usize)],
) -> Result<RecordBatch, ArrowError> {
    // Rows of a chunk come from few batches: leaving the others out keeps the chunk from referring to all buffers.
    let mut used: Vec<usize> = rows.iter().map(|(batch, _)| *batch).collect();
    used.sort_unstable();
    used.dedup();
    let mut renumbered = vec![0; batches.len()];
    used.iter().enumerate().for_each(|(new, &old)| renumbered[old] = new);
    let rows: Vec<(usize, usize)> = rows.iter().map(|&(batch, row)| (renumbered[batch], row)).collect();
    let columns = (0..schema.fields().len()).map(|column| {
        let arrays: Vec<&dyn Array> = used.iter().map(|&batch| batches[batch].column(column).as_ref()).collect();
        interleave(&arrays, &rows)
    });
    RecordBatch::try_new(Arc::clone(schema), columns.collect::<Result<_, _>>()?)
}
