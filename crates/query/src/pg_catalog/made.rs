//! Tables of a catalog, column by column.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

/// A table with its columns as they come.
pub(super) struct Made {
    columns: Vec<(&'static str, ArrayRef)>,
    rows: usize,
}

impl Made {
    pub(super) fn new(rows: usize) -> Self {
        Self { columns: Vec::new(), rows }
    }

    pub(super) fn numbers(mut self, name: &'static str, values: impl IntoIterator<Item = i64>) -> Self {
        self.columns.push((name, Arc::new(Int64Array::from_iter_values(values))));
        self
    }

    pub(super) fn texts(mut self, name: &'static str, values: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.columns.push((name, Arc::new(StringArray::from_iter_values(values))));
        self
    }

    /// Numbers as the standard's tables have them.
    pub(super) fn counts(mut self, name: &'static str, values: impl IntoIterator<Item = Option<i32>>) -> Self {
        self.columns.push((name, Arc::new(Int32Array::from_iter(values))));
        self
    }

    /// Columns that say the same in every row.
    pub(super) fn all(self, names: &[&'static str], value: i64) -> Self {
        names.iter().fold(self, |made, name| {
            let rows = made.rows;
            made.numbers(name, std::iter::repeat_n(value, rows))
        })
    }

    pub(super) fn all_text(self, names: &[&'static str], value: &str) -> Self {
        names.iter().fold(self, |made, name| {
            let rows = made.rows;
            made.texts(name, std::iter::repeat_n(value, rows))
        })
    }

    pub(super) fn flags(mut self, names: &[&'static str], value: bool) -> Self {
        for name in names {
            self.columns.push((name, Arc::new(BooleanArray::from(vec![value; self.rows]))));
        }
        self
    }

    pub(super) fn nulls(mut self, names: &[&'static str]) -> Self {
        for name in names {
            self.columns.push((name, new_null_array(&DataType::Utf8, self.rows)));
        }
        self
    }

    pub(super) fn null_counts(mut self, names: &[&'static str]) -> Self {
        for name in names {
            self.columns.push((name, new_null_array(&DataType::Int32, self.rows)));
        }
        self
    }

    pub(super) fn null_lists(mut self, names: &[&'static str]) -> Self {
        for name in names {
            self.columns.push((name, new_null_array(&DataType::new_list(DataType::Utf8, true), self.rows)));
        }
        self
    }

    pub(super) fn done(self) -> Result<RecordBatch, ArrowError> {
        RecordBatch::try_from_iter_with_nullable(self.columns.into_iter().map(|(name, column)| (name, column, true)))
    }
}
