//! A number that orders lines of the same time: a hash of the line's content, the same wherever and however the line is
//! stored; distinguishes nothing that is equal.
//!
//! Where lines say where they come from (`source_file`, `source_offset`) only that is hashed. Otherwise every column is,
//! each with its name and added up, so that neither the order of columns nor new ones without a value change it; numbers
//! as floats, because a column of integers may become one of floats.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion::prelude::ident;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::encode::Values;

/// The column of the file that a line comes from.
pub(super) const FILE: &str = "source_file";
/// The column of its place there.
pub(super) const OFFSET: &str = "source_offset";
const ORIGIN: [&str; 2] = [FILE, OFFSET];

/// The key of rows with `schema`.
pub(super) fn row_key(schema: &Schema) -> Expr {
    let known = ORIGIN.iter().all(|name| schema.index_of(name).is_ok());
    let names: Vec<String> = match known {
        true => ORIGIN.map(str::to_owned).to_vec(),
        false => schema.fields().iter().map(|field| field.name().clone()).collect(),
    };
    let columns = names.iter().map(|name| ident(name.as_str())).collect();
    ScalarUDF::new_from_impl(RowKey { names, signature: Signature::variadic_any(Volatility::Immutable) }).call(columns)
}

#[derive(Debug)]
struct RowKey {
    names: Vec<String>,
    signature: Signature,
}

impl PartialEq for RowKey {
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names
    }
}

impl Eq for RowKey {}

impl Hash for RowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.names.hash(state);
    }
}

impl ScalarUDFImpl for RowKey {
    fn name(&self) -> &str {
        "row_key"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Int64)
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut keys = vec![0_u64; arguments.number_rows];
        for (name, column) in self.names.iter().zip(arguments.args) {
            let column = column.into_array(arguments.number_rows)?;
            add(&mut keys, xxh3_64(name.as_bytes()), &column)?;
        }
        let keys: Int64Array = keys.into_iter().map(u64::cast_signed).collect();
        Ok(ColumnarValue::Array(Arc::new(keys)))
    }
}

fn add(keys: &mut [u64], seed: u64, column: &ArrayRef) -> Result<()> {
    if column.data_type().is_numeric() {
        let column = cast(column, &DataType::Float64)?;
        let numbers = column.as_primitive::<Float64Type>();
        for (key, number) in keys.iter_mut().zip(numbers).filter_map(|(key, number)| Some((key, number?))) {
            *key = key.wrapping_add(xxh3_64_with_seed(&number.to_bits().to_le_bytes(), seed));
        }
        return Ok(());
    }
    let values = Values::new(column);
    let mut text = Vec::new();
    for (row, key) in keys.iter_mut().enumerate().filter(|(row, _)| !values.is_null(*row)) {
        text.clear();
        values.json(row, &mut text);
        *key = key.wrapping_add(xxh3_64_with_seed(&text, seed));
    }
    Ok(())
}
