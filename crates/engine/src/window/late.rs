//! What the late output gets: the row as the window saw it, how late it was, which window it missed, and where it is from.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};

use super::results::instants;
use super::spans::Spans;
use super::table::batch;
use crate::rows::Rows;

/// The columns that late rows get; a column of the row that is called so becomes `row_<name>`.
const LATE_COLUMNS: [&str; 6] =
    ["late_by_ms", "window_start", "window_end", "source_file", "source_offset", "pipeline"];

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
        let origin = rows.origin.as_ref().expect("rows of a source are late, results are not");
        let ahead = origin.times.iter().zip(origin.marks.iter());
        let late_by = ahead.map(|(time, mark)| (*mark).max(reached).saturating_sub(*time) / 1_000);
        let starts: Vec<i64> = origin.times.iter().map(|time| spans.newest(*time)).collect();
        let ends = starts.iter().map(|start| spans.end(*start)).collect();
        let offsets = origin.offsets.iter().map(|offset| i64::try_from(*offset).unwrap_or(i64::MAX));
        let text =
            |text: &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows.len()))) };
        let added: [ArrayRef; 6] = [
            Arc::new(late_by.collect::<Int64Array>()),
            instants(starts),
            instants(ends),
            text(&origin.name),
            Arc::new(offsets.collect::<Int64Array>()),
            text(&self.pipeline),
        ];
        let schema = rows.columns.schema();
        let own = schema.fields().iter().map(|field| match LATE_COLUMNS.contains(&field.name().as_str()) {
            true => format!("row_{}", field.name()),
            false => field.name().clone(),
        });
        let names = own.chain(LATE_COLUMNS.map(str::to_owned)).collect();
        batch(names, rows.columns.columns().iter().cloned().chain(added).collect(), rows.len())
    }
}
