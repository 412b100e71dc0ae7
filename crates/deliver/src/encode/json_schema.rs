//! The JSON Schema (draft 7) of rows as they are written as JSON. Refuses properties that no column has, so that a later schema can
//! be compared with it.

use arrow::datatypes::{DataType, Fields};
use serde_json::{Map, Value, json};

/// The schema of rows with these columns. Every column may be null.
pub(crate) fn json_schema(title: &str, columns: &Fields) -> Value {
    let mut schema = object(columns);
    if let Some(members) = schema.as_object_mut() {
        members.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
        members.insert("title".to_owned(), json!(title));
        members.insert("type".to_owned(), json!("object"));
    }
    schema
}

fn object(columns: &Fields) -> Value {
    let property = |field: &std::sync::Arc<arrow::datatypes::Field>| (field.name().clone(), of(field.data_type()));
    let properties: Map<String, Value> = columns.iter().map(property).collect();
    json!({ "type": ["object", "null"], "properties": properties, "additionalProperties": false })
}

fn of(data_type: &DataType) -> Value {
    let or_null = |word: &str| json!({ "type": [word, "null"] });
    match data_type {
        DataType::Null => json!({ "type": "null" }),
        DataType::Boolean => or_null("boolean"),
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64 => or_null("integer"),
        DataType::Float16 | DataType::Float32 | DataType::Float64 => or_null("number"),
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => {
            json!({ "type": ["string", "null"], "format": "date-time" })
        }
        DataType::Dictionary(_, values) => of(values),
        DataType::List(item) | DataType::LargeList(item) => {
            json!({ "type": ["array", "null"], "items": of(item.data_type()) })
        }
        DataType::Map(entries, _) => {
            let value = match entries.data_type() {
                DataType::Struct(members) => members.get(1).map(|member| of(member.data_type())),
                _ => None,
            };
            json!({ "type": ["object", "null"], "additionalProperties": value.unwrap_or(Value::Bool(true)) })
        }
        DataType::Struct(members) => object(members),
        // Text; bytes as base64; decimals, times of day and everything else as it is shown.
        _ => or_null("string"),
    }
}
