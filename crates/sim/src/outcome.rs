//! What the engine said, in words that can be compared and read.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, TimestampMicrosecondArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{Field, Int64Type, TimestampMicrosecondType};
use arrow::util::display::{ArrayFormatter, FormatOptions};
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
                let texts = show(rows);
                self.results.extend(texts.iter().enumerate().map(|(row, text)| {
                    let revision = revisions.as_ref().map_or(0, |revisions| revisions.value(row));
                    (ids.as_ref().map_or(String::new(), |ids| ids.value(row).to_owned()), revision, text.clone())
                }));
                texts
            }
            Effect::Late { rows, .. } => {
                let texts: Vec<String> = show(rows).iter().map(|row| format!("late {row}")).collect();
                self.late.extend_from_slice(&texts);
                texts
            }
            Effect::Reject { partition, offset, reason } => {
                let text = format!("rejected {partition}@{offset}: {reason}");
                self.rejected.push(text.clone());
                vec![text]
            }
            Effect::RejectRow { partition, offset, row, reason, .. } => {
                let text = format!("rejected {partition}@{offset} ({}): {reason}", show(row).concat());
                self.rejected.push(text.clone());
                vec![text]
            }
            Effect::RejectResult { rows, reason, .. } => {
                let texts: Vec<String> =
                    show(rows).iter().map(|row| format!("rejected result {row}: {reason}")).collect();
                self.rejected.extend_from_slice(&texts);
                texts
            }
            // When exactly depends on how rows are cut into batches.
            Effect::Pause(partition) => vec![format!("pause {partition}")],
            Effect::Resume(partition) => vec![format!("resume {partition}")],
            Effect::Snapshot(_) => Vec::new(),
            Effect::Lost { node, error } => vec![format!("step {node} has lost something: {}", error.full())],
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

/// Each row in words: windows as `start..end`, ids left out.
fn show(rows: &RecordBatch) -> Vec<String> {
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    let options = FormatOptions::new().with_display_error(true);
    let shown = |(field, values): (&'_ Arc<Field>, _)| Shown::of(field.name(), values, &options);
    let columns: Vec<Shown<'_>> = columns.filter_map(shown).collect();
    let line = |row: usize| {
        let mut line = String::new();
        for (place, column) in columns.iter().enumerate() {
            line.push_str(if place == 0 || column.joins { "" } else { " " });
            column.write(row, &mut line);
        }
        line
    };
    (0..rows.num_rows()).map(line).collect()
}

/// A column that is shown.
struct Shown<'a> {
    /// What stands before its values.
    name: String,
    /// Whether it goes on with the word before.
    joins: bool,
    /// A column that has never had a value is of the type of nulls.
    nulls: Option<NullBuffer>,
    values: Values<'a>,
}

enum Values<'a> {
    Times(&'a TimestampMicrosecondArray),
    Others(ArrayFormatter<'a>),
}

impl<'a> Shown<'a> {
    fn of(name: &str, values: &'a ArrayRef, options: &FormatOptions<'a>) -> Option<Self> {
        let (label, is_time) = match name {
            "row_id" | "pipeline" => return None,
            "window_start" => (String::new(), true),
            "window_end" => ("..".to_owned(), true),
            "row_window_start" | "row_window_end" | "event_time" => (format!("{name}="), true),
            "pane" | "key" => (String::new(), false),
            name => (format!("{name}="), false),
        };
        let nulls = values.logical_nulls();
        let values = match values.as_primitive_opt::<TimestampMicrosecondType>().filter(|_| is_time) {
            Some(times) => Values::Times(times),
            None => Values::Others(ArrayFormatter::try_new(values, options).expect("it can be shown")),
        };
        Some(Self { joins: name == "window_end", name: label, nulls, values })
    }

    fn write(&self, row: usize, line: &mut String) {
        line.push_str(&self.name);
        match &self.values {
            _ if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) => line.push('-'),
            Values::Times(times) => line.push_str(&time_of_day(times.value(row))),
            Values::Others(values) => write!(line, "{}", values.value(row)).expect("writing to text does not fail"),
        }
    }
}

/// A time without the day that stories play on.
fn time_of_day(micros: i64) -> String {
    let text = EventTime::from_micros(micros).to_string();
    text.strip_prefix("2026-01-01T").and_then(|text| text.strip_suffix('Z')).map_or(text.clone(), str::to_owned)
}
