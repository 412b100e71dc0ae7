//! In which order rows are written: by time or by chosen columns, and equal ones as they came. Rows without a value come last.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::SortOptions;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::row::{RowConverter, Rows, SortField};
use weir_model::{ErrorKind, SeamError, SeamResult};

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
    for (index, batch) in batches.iter().enumerate() {
        let times = batch.column(time).as_primitive::<TimestampMicrosecondType>();
        let value = |row| if times.is_null(row) { i64::MAX } else { times.value(row) };
        keys.extend((0..times.len()).map(|row| (value(row), index as u32, row as u32)));
    }
    let time_range = time_range(batches, Some(time));
    if keys.is_sorted() {
        return Order { rows: None, time_range };
    }
    // The stable sort is the faster one here: logs come nearly sorted, and it makes use of the runs.
    keys.sort();
    let rows = keys.into_iter().map(|(_, batch, row)| (batch as usize, row as usize)).collect();
    Order { rows: Some(rows), time_range }
}

/// Smallest and largest timestamp of column `time`.
pub(super) fn time_range(batches: &[RecordBatch], time: Option<usize>) -> Option<(i64, i64)> {
    let range = |batch: &RecordBatch| {
        let times = batch.column(time?).as_primitive::<TimestampMicrosecondType>();
        arrow::compute::min(times).zip(arrow::compute::max(times))
    };
    batches.iter().filter_map(range).reduce(|(low, high), (min, max)| (low.min(min), high.max(max)))
}

/// The order by the values of `columns` of each batch; those that have no order are left out.
pub(super) fn by_columns(batches: &[RecordBatch], columns: &[usize], time: Option<usize>) -> SeamResult<Order> {
    let failed = |error| SeamError::caused(ErrorKind::Closed, "cannot put rows in order", error);
    let time_range = time_range(batches, time);
    let options = SortOptions { descending: false, nulls_first: false };
    let field = |column: usize| {
        let kind = batches.first()?.schema_ref().field(column).data_type().clone();
        let field = SortField::new_with_options(kind, options);
        RowConverter::supports_fields(std::slice::from_ref(&field)).then_some((column, field))
    };
    let (columns, fields): (Vec<usize>, Vec<SortField>) = columns.iter().filter_map(|column| field(*column)).unzip();
    if columns.is_empty() {
        return Ok(Order { rows: None, time_range });
    }
    let converter = RowConverter::new(fields).map_err(failed)?;
    let of_batch = |batch: &RecordBatch| -> SeamResult<Rows> {
        let values: Vec<_> = columns.iter().map(|column| batch.column(*column).clone()).collect();
        converter.convert_columns(&values).map_err(failed)
    };
    let values = batches.iter().map(of_batch).collect::<SeamResult<Vec<_>>>()?;
    let places = batches.iter().enumerate().flat_map(|(at, batch)| (0..batch.num_rows()).map(move |row| (at, row)));
    let mut places: Vec<(usize, usize)> = places.collect();
    let key = |&(batch, row): &(usize, usize)| values[batch].row(row);
    if places.is_sorted_by(|one, next| key(one) <= key(next)) {
        return Ok(Order { rows: None, time_range });
    }
    places.sort_by(|one, next| key(one).cmp(&key(next)));
    Ok(Order { rows: Some(places), time_range })
}
