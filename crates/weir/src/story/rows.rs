//! Rows that came out of a pipeline, as values that can be compared and shown.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use serde_json::Value;
use weir_query::encode::Values;

/// A row, its columns in their order.
#[derive(Clone, Debug)]
pub struct Row {
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl Row {
    /// The rows of a batch.
    pub fn all(batch: &RecordBatch) -> Vec<Self> {
        let columns: Arc<[String]> = batch.schema().fields().iter().map(|field| field.name().clone()).collect();
        let values: Vec<Values<'_>> = batch.columns().iter().map(Values::new).collect();
        let value = |column: &Values<'_>, row: usize| {
            let mut json = Vec::new();
            column.json(row, &mut json);
            serde_json::from_slice(&json).unwrap_or(Value::Null)
        };
        let row = |row| Self {
            columns: Arc::clone(&columns),
            values: values.iter().map(|column| value(column, row)).collect(),
        };
        (0..batch.num_rows()).map(row).collect()
    }

    /// The names of its columns.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The value of a column, null where there is none of that name.
    pub fn get(&self, column: &str) -> &Value {
        let index = self.columns.iter().position(|name| name == column);
        index.map_or(&Value::Null, |index| &self.values[index])
    }

    /// As a JSON object.
    pub fn object(&self) -> Value {
        self.columns.iter().cloned().zip(self.values.iter().cloned()).collect()
    }

    /// A text that is the same for rows that say the same: columns that are null do not count, nor does it matter
    /// whether a whole number is held as a float, or which columns came first. `passed_over` is not looked at.
    pub fn meaning(&self, passed_over: Option<&str>) -> String {
        let mut known: Vec<(&String, &Value)> = self.columns.iter().zip(&self.values).collect();
        known.retain(|(name, value)| !value.is_null() && Some(name.as_str()) != passed_over);
        known.sort_by_key(|(name, _)| *name);
        known.into_iter().fold(String::new(), |mut text, (name, value)| {
            let separator = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{separator}{name}: {}", meaning(value));
            text
        })
    }
}

/// Whole numbers up to this are the same as floats.
const EXACT_IN_FLOAT_MAX: f64 = 9_007_199_254_740_992.0;

fn meaning(value: &Value) -> String {
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 && number.abs() <= EXACT_IN_FLOAT_MAX => format!("{number:.0}"),
        Some(_) | None => value.to_string(),
    }
}
