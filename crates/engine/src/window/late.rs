//! What the late output gets: the row as the window saw it, how late it was, which window it missed, and where it is from.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::DataType;

use super::results::instants;
use super::spans::Spans;
use super::table::batch;
use crate::rows::{Rows, Timing};

/// The columns that late rows get; a column of the row that is called so becomes `row_<name>`.
const LATE_COLUMNS: [&str; 7] =
    ["event_time", "late_by_ms", "window_start", "window_end", "source_file", "source_offset", "pipeline"];

/// Builds late rows.
#[derive(Debug)]
pub(crate) struct LateNames {
    pipeline: String,
}

impl LateNames {
    pub(crate) fn new(pipeline: &str) -> Self {
        Self { pipeline: pipeline.to_owned() }
    }

    /// `rows`, all of them late, as the late output gets them. A row was late by as much as the watermark before it,
    /// its partition's or the one that dropped the window, was ahead of it.
    pub(crate) fn rows(&self, rows: &Rows, spans: &Spans, reached: i64) -> RecordBatch {
        let times = rows.timing().expect("rows without a time are not late").0;
        let starts: Vec<i64> = times.iter().map(|time| spans.newest(*time)).collect();
        let ends = starts.iter().map(|start| spans.end(*start)).collect();
        self.rows_missing((instants(starts), instants(ends)), rows, reached)
    }

    /// The same for rows that were late for something that is no window: start and end of what they missed are null.
    pub(crate) fn rows_of_no_window(&self, rows: &Rows, reached: i64) -> RecordBatch {
        let none = || new_null_array(instants(Vec::new()).data_type(), rows.len());
        self.rows_missing((none(), none()), rows, reached)
    }

    /// The same for rows that missed something that began and ended at these instants.
    pub(crate) fn rows_missing(&self, (starts, ends): (ArrayRef, ArrayRef), rows: &Rows, reached: i64) -> RecordBatch {
        let (times, marks) = rows.timing().expect("rows without a time are not late");
        let late_by = times.iter().zip(marks.iter()).map(|(time, mark)| {
            // How late a row is that replaces another says nothing: the window had counted that one.
            (*mark != Timing::CORRECTION).then(|| (*mark).max(reached).saturating_sub(*time) / 1_000)
        });
        let text =
            |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows.len()))) };
        let (file, offsets) = match &rows.origin {
            Some(origin) => {
                let offsets = origin.offsets.iter().map(|offset| i64::try_from(*offset).unwrap_or(i64::MAX));
                (text(&origin.name), Arc::new(offsets.collect::<Int64Array>()) as ArrayRef)
            }
            // A step made them, out of who knows which.
            None => (new_null_array(&DataType::Utf8, rows.len()), new_null_array(&DataType::Int64, rows.len())),
        };
        // The column that it was read from need not be one that the step takes.
        let event_times = instants(times.to_vec());
        let late_by: ArrayRef = Arc::new(late_by.collect::<Int64Array>());
        let added = [event_times, late_by, starts, ends, file, offsets, text(&self.pipeline)];
        let schema = rows.columns.schema();
        let own = schema.fields().iter().map(|field| match LATE_COLUMNS.contains(&field.name().as_str()) {
            true => format!("row_{}", field.name()),
            false => field.name().clone(),
        });
        let names = own.chain(LATE_COLUMNS.map(str::to_owned)).collect();
        batch(names, rows.columns.columns().iter().cloned().chain(added).collect(), rows.len())
    }
}
