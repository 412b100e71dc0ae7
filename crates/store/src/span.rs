//! A span of event time, and which rows belong to it. Knows nothing of segments.

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{TimestampMicrosecondType, TimestampMillisecondType};
use serde::{Deserialize, Serialize};

/// From `from` up to but not including `to`, in microseconds since 1970.
///
/// The result of a window (a row with `window_start` and `window_end`) belongs to it when the window overlaps it; every
/// other row when its event time lies in it. A row without a time belongs to no span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeSpan {
    /// Where it begins.
    pub from: i64,
    /// Where it ends.
    pub to: i64,
}

impl TimeSpan {
    /// When each row of `batch` begins and ends: a window's span, or an instant.
    fn times(batch: &RecordBatch, time: Option<&str>) -> Vec<Option<(i64, i64)>> {
        let column = |name: &str| instants(batch, name);
        let instants = time.and_then(column).unwrap_or_else(|| vec![None; batch.num_rows()]);
        let instant = |time: Option<i64>| time.map(|time| (time, time.saturating_add(1)));
        let (Some(starts), Some(ends)) = (column("window_start"), column("window_end")) else {
            return instants.into_iter().map(instant).collect();
        };
        let windows = starts.into_iter().zip(ends).map(|(start, end)| start.zip(end));
        windows.zip(instants).map(|(window, time)| window.or(instant(time))).collect()
    }

    /// Which rows of `batch` belong to it; `time` is their column of event times.
    pub fn holds(&self, batch: &RecordBatch, time: Option<&str>) -> BooleanArray {
        let holds = |(start, end): (i64, i64)| start < self.to && end > self.from;
        Self::times(batch, time).into_iter().map(|times| Some(times.is_some_and(holds))).collect()
    }

    /// Which rows of `batch` are windows that began before it, or end after it.
    pub fn crosses(&self, batch: &RecordBatch, time: Option<&str>) -> BooleanArray {
        let over = |at: i64, (start, end): (i64, i64)| start < at && end > at;
        let crosses = |times| over(self.from, times) || over(self.to, times);
        Self::times(batch, time).into_iter().map(|times| Some(times.is_some_and(crosses))).collect()
    }

    /// When the last of those rows of `batch` ends that begin before `at`.
    pub fn end_of_those_before(at: i64, batch: &RecordBatch, time: Option<&str>) -> Option<i64> {
        let before = Self::times(batch, time).into_iter().flatten().filter(|(start, _)| *start < at);
        before.map(|(_, end)| end).max()
    }
}

/// The microseconds of a column of instants.
fn instants(batch: &RecordBatch, name: &str) -> Option<Vec<Option<i64>>> {
    let column = batch.column_by_name(name)?;
    if let Some(micros) = column.as_primitive_opt::<TimestampMicrosecondType>() {
        return Some(micros.iter().collect());
    }
    let millis = column.as_primitive_opt::<TimestampMillisecondType>()?;
    debug_assert_eq!(millis.len(), batch.num_rows());
    Some(millis.iter().map(|millis| millis.map(|millis| millis.saturating_mul(1_000))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, TimestampMicrosecondArray};
    use std::sync::Arc;

    fn column(values: &[Option<i64>]) -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(values.to_vec()).with_timezone("UTC"))
    }

    fn true_at(found: &BooleanArray) -> Vec<usize> {
        (0..found.len()).filter(|row| found.value(*row)).collect()
    }

    #[test]
    fn a_window_belongs_to_every_span_that_it_overlaps_and_a_row_to_that_of_its_time() {
        let span = TimeSpan { from: 10, to: 20 };
        let windows = RecordBatch::try_from_iter([
            ("window_start", column(&[Some(0), Some(5), Some(10), Some(19), Some(20), None])),
            ("window_end", column(&[Some(10), Some(11), Some(20), Some(25), Some(30), None])),
            ("event_time", column(&[None, None, None, None, None, Some(12)])),
        ])
        .expect("a batch");
        assert_eq!(true_at(&span.holds(&windows, Some("event_time"))), [1, 2, 3, 5], "the last missed no window");
        assert_eq!(true_at(&span.crosses(&windows, Some("event_time"))), [1, 3]);
        let end = |at| TimeSpan::end_of_those_before(at, &windows, Some("event_time"));
        assert_eq!((end(0), end(6), end(13)), (None, Some(11), Some(20)));

        let rows = RecordBatch::try_from_iter([("ts", column(&[Some(9), Some(10), Some(19), Some(20), None]))]);
        let rows = rows.expect("a batch");
        assert_eq!(true_at(&span.holds(&rows, Some("ts"))), [1, 2]);
        assert_eq!(true_at(&span.holds(&rows, None)), [0; 0], "nobody knows when they happened");
    }
}
