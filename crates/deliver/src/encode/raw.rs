//! Rows of which one column is the whole record: its bytes, or its text. Refuses to make a text of anything else.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::values;

/// The value of `column` of each row, or why it is none.
///
/// # Errors
/// Why no row has one: there is no such column, or it holds neither bytes nor text.
pub(crate) fn raw_values(rows: &RecordBatch, column: &str) -> Result<Vec<Result<Vec<u8>, String>>, String> {
    let Some(array) = rows.column_by_name(column) else {
        let schema = rows.schema();
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        return Err(format!("there is no column `{column}`; there are: {}", names.join(", ")));
    };
    let spread = match array.data_type() {
        DataType::Dictionary(_, of) => cast(array, of).map_err(|error| error.to_string())?,
        _ => Arc::clone(array),
    };
    let array = &spread;
    let each = |value: &dyn Fn(usize) -> Vec<u8>| {
        let one = |row| if array.is_null(row) { Err(format!("column \"{column}\" is null")) } else { Ok(value(row)) };
        (0..rows.num_rows()).map(one).collect()
    };
    if let Some(text) = values::text(array) {
        return Ok(each(&|row| text(row).as_bytes().to_vec()));
    }
    match values::bytes(array) {
        Some(bytes) => Ok(each(&|row| bytes(row).to_vec())),
        None => Err(format!("column `{column}` is {}; expected text or bytes", array.data_type())),
    }
}
