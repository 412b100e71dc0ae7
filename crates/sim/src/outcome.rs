//! What the engine said, in words that can be compared and read.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::util::display::array_value_to_string;
use weir_engine::Effect;
use weir_model::EventTime;

/// Everything that became visible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Results: each with its id and revision, or 0 and an empty id if it is not of a window.
    pub results: Vec<(String, i64, String)>,
    /// Late rows.
    pub late: Vec<String>,
    /// Rejected rows.
    pub rejected: Vec<String>,
}

impl Outcome {
    /// Adds what an effect makes visible, and returns it as lines of text. A snapshot makes nothing visible.
    pub(crate) fn add(&mut self, effect: &Effect) -> Vec<String> {
        match effect {
            Effect::Emit { rows, .. } => {
                let revisions =
                    rows.column_by_name("revision").map(|column| column.as_primitive::<Int64Type>().clone());
                let ids = rows.column_by_name("row_id").map(|column| column.as_string::<i32>().clone());
                let texts: Vec<String> = (0..rows.num_rows()).map(|row| show(rows, row)).collect();
                self.results.extend(texts.iter().enumerate().map(|(row, text)| {
                    let revision = revisions.as_ref().map_or(0, |revisions| revisions.value(row));
                    (ids.as_ref().map_or(String::new(), |ids| ids.value(row).to_owned()), revision, text.clone())
                }));
                texts
            }
            Effect::Late { rows, .. } => {
                let texts: Vec<String> = (0..rows.num_rows()).map(|row| format!("late {}", show(rows, row))).collect();
                self.late.extend_from_slice(&texts);
                texts
            }
            Effect::Reject { partition, offset, reason } => {
                let text = format!("rejected {partition}@{offset}: {reason}");
                self.rejected.push(text.clone());
                vec![text]
            }
            Effect::RejectRow { partition, offset, row, reason, .. } => {
                let text = format!("rejected {partition}@{offset} ({}): {reason}", show(row, 0));
                self.rejected.push(text.clone());
                vec![text]
            }
            Effect::RejectResult { rows, reason, .. } => {
                let texts = (0..rows.num_rows()).map(|row| format!("rejected result {}: {reason}", show(rows, row)));
                let texts: Vec<String> = texts.collect();
                self.rejected.extend_from_slice(&texts);
                texts
            }
            // When exactly depends on how rows are cut into batches.
            Effect::Pause(partition) => vec![format!("pause {partition}")],
            Effect::Resume(partition) => vec![format!("resume {partition}")],
            Effect::Snapshot(_) => Vec::new(),
        }
    }

    /// The same in an order that does not depend on how it came about.
    pub(crate) fn sorted(mut self) -> Self {
        self.results.sort();
        self.late.sort();
        self.rejected.sort();
        self
    }

    /// The last revision of each result by its id.
    pub fn last_revisions(&self) -> BTreeMap<&str, (i64, &str)> {
        let mut last = BTreeMap::new();
        for (id, revision, text) in &self.results {
            let entry = last.entry(id.as_str()).or_insert((*revision, text.as_str()));
            if *revision > entry.0 {
                *entry = (*revision, text);
            }
        }
        last
    }
}

/// A row in words: windows as `start..end`, ids left out.
fn show(rows: &RecordBatch, row: usize) -> String {
    let mut words = Vec::new();
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let value = || match is_null(column, row) {
            true => "-".to_owned(),
            false => array_value_to_string(column, row).unwrap_or_else(|error| error.to_string()),
        };
        match field.name().as_str() {
            "window_start" => words.push(time_of_day(column, row)),
            "window_end" => words.push(format!("..{}", time_of_day(column, row))),
            name @ ("row_window_start" | "row_window_end" | "event_time") => {
                words.push(format!("{name}={}", time_of_day(column, row)));
            }
            "row_id" | "pipeline" => {}
            "pane" | "key" => words.push(value()),
            name => words.push(format!("{name}={}", value())),
        }
    }
    words.join(" ").replace(" ..", "..")
}

fn time_of_day(column: &dyn Array, row: usize) -> String {
    if is_null(column, row) {
        return "-".to_owned();
    }
    let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
    let text = EventTime::from_micros(micros).to_string();
    text.strip_prefix("2026-01-01T").and_then(|text| text.strip_suffix('Z')).map_or(text.clone(), str::to_owned)
}

/// Whether there is no value; a column that has never had one is of the type of nulls.
fn is_null(column: &dyn Array, row: usize) -> bool {
    column.logical_nulls().is_some_and(|nulls| nulls.is_null(row))
}
