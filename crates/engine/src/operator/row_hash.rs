//! A number per row that depends on the values of some columns alone: the same in every run, on every machine.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use xxhash_rust::xxh3::Xxh3;

use crate::compiled::Trouble;

/// A hash of 128 bits of each row's values, taken as text: two rows of different values do not have the same one.
pub(super) fn row_hashes(columns: &[ArrayRef], rows: usize) -> Result<Vec<u128>, Trouble> {
    let text = |column: &ArrayRef| match column.data_type() {
        DataType::Struct(_) | DataType::List(_) | DataType::LargeList(_) | DataType::Map(..) => {
            Err(Trouble::Types(format!("{} cannot be a key", column.data_type())))
        }
        _ => cast(column, &DataType::Utf8).map_err(|error| Trouble::Types(error.to_string())),
    };
    let texts = columns.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    let texts: Vec<_> = texts.iter().map(|column| column.as_string::<i32>()).collect();
    let hash = |row| {
        let mut hash = Xxh3::new();
        for column in &texts {
            match column.is_null(row) {
                true => hash.update(&u64::MAX.to_le_bytes()),
                false => {
                    hash.update(&(column.value(row).len() as u64).to_le_bytes());
                    hash.update(column.value(row).as_bytes());
                }
            }
        }
        hash.digest128()
    };
    Ok((0..rows).map(hash).collect())
}
