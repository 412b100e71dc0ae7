//! Columns as plain JSON, for comparison: times as numbers of their column's unit, decimals unscaled, bytes in hex.

use arrow::array::cast::AsArray;
use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Decimal256Type, Float64Type, Int32Type, Int64Type, Time64MicrosecondType,
    TimeUnit, TimestampMicrosecondType, TimestampNanosecondType, UInt64Type,
};
use serde_json::{Map, Value, json};

pub(crate) fn row(rows: &RecordBatch, row: usize) -> Value {
    let schema = rows.schema();
    let members = schema.fields().iter().zip(rows.columns());
    Value::Object(members.map(|(field, column)| (field.name().clone(), value(column, row))).collect())
}

pub(crate) fn hex(bytes: &[u8]) -> Value {
    Value::String(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn value(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => json!(array.as_boolean().value(row)),
        DataType::Int64 => json!(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt64 => json!(array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float64 => json!(array.as_primitive::<Float64Type>().value(row)),
        DataType::Utf8 => json!(array.as_string::<i32>().value(row)),
        DataType::Utf8View => json!(array.as_string_view().value(row)),
        DataType::BinaryView => hex(array.as_binary_view().value(row)),
        DataType::Date32 => json!(array.as_primitive::<Date32Type>().value(row)),
        DataType::Time64(_) => json!(array.as_primitive::<Time64MicrosecondType>().value(row)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            json!(array.as_primitive::<TimestampMicrosecondType>().value(row))
        }
        DataType::Timestamp(_, _) => json!(array.as_primitive::<TimestampNanosecondType>().value(row)),
        DataType::Decimal128(..) => json!(array.as_primitive::<Decimal128Type>().value(row).to_string()),
        DataType::Decimal256(..) => json!(array.as_primitive::<Decimal256Type>().value(row).to_string()),
        DataType::Dictionary(..) => {
            let array = array.as_dictionary::<Int32Type>();
            value(array.values(), array.key(row).expect("it is not null"))
        }
        DataType::List(_) => {
            let items = array.as_list::<i32>().value(row);
            (0..items.len()).map(|index| value(&items, index)).collect()
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let keys = entries.column(0).as_string_view().clone();
            let mut map = Map::new();
            for index in 0..entries.len() {
                map.insert(keys.value(index).to_owned(), value(entries.column(1), index));
            }
            Value::Object(map)
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            let members = fields.iter().zip(columns);
            Value::Object(members.map(|(field, column)| (field.name().clone(), value(column, row))).collect())
        }
        other => panic!("no decoder makes {other}"),
    }
}
