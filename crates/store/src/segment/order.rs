//! In which order rows are written: by time, and rows of one time as they came. Rows without a time come last.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;

/// The order of the rows of `batches` and what it is sorted by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Order {
    /// The batch and the row in it, for each row to write; `None` when they already lie in order.
    pub(super) rows: Option<Vec<(usize, usize)>>,
    /// Smallest and largest time; `None` when no row has one.
    pub(super) time_range: Option<(i64, i64)>,
}

/// The order by the timestamps of column `time` of each batch.
pub(super) fn by_time(batches: &[RecordBatch], time: usize) -> Order {
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    let mut keys: Vec<(i64, u32, u32)> = Vec::with_capacity(rows);
    let mut range: Option<(i64, i64)> = None;
    for (index, batch) in batches.iter().enumerate() {
        let times = batch.column(time).as_primitive::<TimestampMicrosecondType>();
        if let (Some(min), Some(max)) = (arrow::compute::min(times), arrow::compute::max(times)) {
            range = Some(range.map_or((min, max), |(low, high)| (low.min(min), high.max(max))));
        }
        let value = |row| if times.is_null(row) { i64::MAX } else { times.value(row) };
        keys.extend((0..times.len()).map(|row| (value(row), index as u32, row as u32)));
    }
    if keys.is_sorted() {
        return Order { rows: None, time_range: range };
    }
    // The stable sort is the faster one here: logs come nearly sorted, and it makes use of the runs.
    keys.sort();
    let rows = keys.into_iter().map(|(_, batch, row)| (batch as usize, row as usize)).collect();
    Order { rows: Some(rows), time_range: range }
}
