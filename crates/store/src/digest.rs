//! Rows by what they say: two rows are the same when they have the same values, in whichever segment and order of columns.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::row::{RowConverter, Rows, SortField};
use weir_model::{ErrorKind, SeamError, SeamResult};
use xxhash_rust::xxh3::xxh3_128;

use crate::schema::{adapt, grow, place, plain, schema_of};

/// The columns of a table of `live` that takes rows with those of `other`.
pub fn union_of(live: &Schema, other: &Schema) -> SchemaRef {
    schema_of(grow(live.fields(), other.fields()))
}

/// `batch` as a table of `schema`, which has all of its columns, shows it.
///
/// # Errors
/// When a value cannot be converted.
pub fn as_shown(batch: &RecordBatch, schema: &SchemaRef) -> SeamResult<RecordBatch> {
    let (placed, _) = place(plain(batch)?, schema.fields())?;
    adapt(&placed, schema)
}

/// A hash of each row: XXH3-128 of the names and values of its columns that are not null, in the order of the names.
///
/// # Errors
/// When a column has a type that no table has.
pub fn digests(batch: &RecordBatch) -> SeamResult<Vec<u128>> {
    let mut columns: Vec<(&str, &Arc<dyn Array>)> =
        batch.schema_ref().fields().iter().map(|field| field.name().as_str()).zip(batch.columns()).collect();
    columns.sort_unstable_by_key(|(name, _)| *name);
    let converted: Vec<(&str, &Arc<dyn Array>, Rows)> = columns
        .into_iter()
        .map(|(name, column)| {
            let converter = RowConverter::new(vec![SortField::new(column.data_type().clone())]);
            let rows = converter.and_then(|converter| converter.convert_columns(&[Arc::clone(column)]));
            let odd = |error| SeamError::caused(ErrorKind::Closed, format!("cannot compare the column {name}"), error);
            rows.map(|rows| (name, column, rows)).map_err(odd)
        })
        .collect::<SeamResult<_>>()?;
    let mut bytes = Vec::new();
    let digest = |row: usize| {
        bytes.clear();
        for (name, column, rows) in &converted {
            if column.is_valid(row) {
                let value = rows.row(row);
                bytes.extend_from_slice(&(name.len() as u64).to_le_bytes());
                bytes.extend_from_slice(name.as_bytes());
                bytes.extend_from_slice(&(value.as_ref().len() as u64).to_le_bytes());
                bytes.extend_from_slice(value.as_ref());
            }
        }
        xxh3_128(&bytes)
    };
    Ok((0..batch.num_rows()).map(digest).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, StringViewArray};

    #[test]
    fn rows_are_the_same_whatever_the_order_of_columns_and_columns_that_are_null() {
        let number: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(1), None]));
        let text: ArrayRef = Arc::new(StringViewArray::from(vec![Some("a"), Some("b"), Some("a")]));
        let none: ArrayRef = Arc::new(Int64Array::from(vec![None::<i64>; 3]));
        let one = RecordBatch::try_from_iter([("n", number.clone()), ("t", text.clone())]).expect("a batch");
        let other = RecordBatch::try_from_iter([("t", text), ("x", none), ("n", number)]).expect("a batch");
        let digests_of = digests(&one).expect("comparable");
        assert_eq!(digests_of, digests(&other).expect("comparable"));
        assert!(digests_of[0] != digests_of[1] && digests_of[0] != digests_of[2], "other values, another digest");
    }
}
