//! A table to look up in: made once, outside of the engine if it is large, and then only read.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::EnrichPlan;
use crate::keys::{Digest, digests};

/// A version of a table, with its rows found by key.
#[derive(Debug)]
pub struct Table {
    version: String,
    key_types: Vec<DataType>,
    taken: Vec<(Arc<Field>, ArrayRef)>,
    rows: HashMap<Digest, u32, FixedState>,
    duplicates: usize,
}

/// Why some columns are no table to look up in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// A column that is looked up by or taken is not there.
    #[error("there is no column {name} in the table; there are {}", .known.join(", "))]
    NoColumn {
        /// What is missing.
        name: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A column cannot be looked up by.
    #[error("{0}")]
    Key(String),
}

impl Table {
    /// Indexes the columns that `plan` needs. Of rows with equal keys the last one counts; a row with a key that is null
    /// is never found.
    ///
    /// # Errors
    /// When a column is missing or cannot be a key.
    pub fn new(plan: &EnrichPlan, version: impl Into<String>, columns: &RecordBatch) -> Result<Self, TableError> {
        let column = |name: &String| {
            columns.schema().index_of(name).map_err(|_| TableError::NoColumn {
                name: name.clone(),
                known: columns.schema().fields().iter().map(|field| field.name().clone()).collect(),
            })
        };
        let keys = plan.on.iter().map(|(_, name)| Ok(columns.column(column(name)?).clone()));
        let keys = keys.collect::<Result<Vec<ArrayRef>, TableError>>()?;
        let taken = plan.take.iter().map(|name| {
            let values = columns.column(column(name)?).clone();
            Ok((Arc::new(Field::new(name, values.data_type().clone(), true)), values))
        });
        let taken = taken.collect::<Result<Vec<_>, TableError>>()?;
        let (mut rows, mut duplicates) = (HashMap::default(), 0);
        for (key, row) in digests(&keys, columns.num_rows()).map_err(TableError::Key)?.into_iter().zip(0u32..) {
            let before = key.and_then(|key| rows.insert(key, row));
            duplicates += usize::from(before.is_some());
        }
        let key_types = keys.iter().map(|values| values.data_type().clone()).collect();
        Ok(Self { version: version.into(), key_types, taken, rows, duplicates })
    }

    /// What names its content.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// How many rows can be found.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// How many rows cannot be found, as a later one has the same keys.
    #[must_use]
    pub fn duplicates(&self) -> usize {
        self.duplicates
    }

    /// The columns that rows get.
    pub(super) fn taken(&self) -> &[(Arc<Field>, ArrayRef)] {
        &self.taken
    }

    /// Where each row's keys are; null where they are not.
    pub(super) fn find(&self, keys: &[ArrayRef], rows: usize) -> Result<UInt32Array, String> {
        let keys = keys.iter().zip(&self.key_types).map(|(values, wanted)| as_type(values, wanted));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let found = digests(&keys, rows)?.into_iter().map(|key| self.rows.get(&key?).copied());
        Ok(found.collect())
    }

    /// About how many bytes it holds.
    pub(super) fn size(&self) -> usize {
        let columns: usize = self.taken.iter().map(|(_, values)| values.get_array_memory_size()).sum();
        columns + self.rows.capacity() * (size_of::<(Digest, u32)>() + 1)
    }
}

/// Text and what is not text are compared as what the table has; what cannot be turned into it is not found.
fn as_type(values: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, String> {
    if *values.data_type() == DataType::Null || is_text(values.data_type()) == is_text(wanted) {
        return Ok(values.clone());
    }
    cast(values, plain(wanted)).map_err(|error| error.to_string())
}

fn is_text(data_type: &DataType) -> bool {
    matches!(plain(data_type), DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8)
}

fn plain(data_type: &DataType) -> &DataType {
    match data_type {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}
