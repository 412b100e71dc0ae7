//! The schema of columns: whatever Avro has a type for keeps its meaning.

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use serde_json::{Map, Value, json};

/// The schema of rows with these columns, as a record `name`, which may have a namespace. A column that Avro would not take
/// the name of has another, and its own in the field's `doc`. Every column may be null.
pub(crate) fn schema_of(name: &str, columns: &Fields) -> Value {
    let (namespace, short) = match name.rsplit_once('.') {
        Some((namespace, short)) => (Some(namespace), short),
        None => (None, name),
    };
    let mut record = record(&plain(short), columns);
    if let (Some(namespace), Some(members)) = (namespace, record.as_object_mut()) {
        members.insert("namespace".to_owned(), json!(namespace));
    }
    record
}

fn record(name: &str, columns: &Fields) -> Value {
    let names = names(columns);
    let field = |(field, own): (&std::sync::Arc<Field>, &String)| {
        let mut written = Map::new();
        written.insert("name".to_owned(), json!(own));
        if own != field.name() {
            written.insert("doc".to_owned(), json!(format!("column {}", field.name())));
        }
        written.insert("type".to_owned(), nullable(&format!("{name}_{own}"), field.data_type()));
        written.insert("default".to_owned(), Value::Null);
        Value::Object(written)
    };
    json!({ "type": "record", "name": name, "fields": columns.iter().zip(&names).map(field).collect::<Vec<_>>() })
}

/// The names that columns have in Avro, all different.
pub(in crate::encode) fn names(columns: &Fields) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(columns.len());
    for field in columns {
        let own = plain(field.name());
        let mut name = own.clone();
        let mut number = 2;
        while names.contains(&name) || (name != *field.name() && columns.iter().any(|other| *other.name() == name)) {
            name = format!("{own}_{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}

/// A name as Avro allows it: letters, digits and `_`, no digit in front.
pub(crate) fn plain(name: &str) -> String {
    let mut plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if !plain.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        plain.insert(0, '_');
    }
    plain
}

fn nullable(name: &str, data_type: &DataType) -> Value {
    match type_of(name, data_type) {
        Value::String(word) if word == "null" => json!("null"),
        of => json!(["null", of]),
    }
}

fn type_of(name: &str, data_type: &DataType) -> Value {
    let logical = |of: &str, word: &str| json!({ "type": of, "logicalType": word });
    let decimal = |precision: u8, scale: i8| json!({ "type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale });
    match data_type {
        DataType::Null => json!("null"),
        DataType::Boolean => json!("boolean"),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => json!("int"),
        DataType::Int64 | DataType::UInt32 => json!("long"),
        // Avro has no whole numbers of 64 bits without a sign.
        DataType::UInt64 => decimal(20, 0),
        DataType::Float16 | DataType::Float32 => json!("float"),
        DataType::Float64 => json!("double"),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            json!("bytes")
        }
        DataType::Date32 => logical("int", "date"),
        DataType::Time32(_) | DataType::Time64(_) => logical("long", "time-micros"),
        DataType::Timestamp(unit, zone) => {
            let unit = match unit {
                TimeUnit::Second | TimeUnit::Millisecond => "millis",
                TimeUnit::Microsecond => "micros",
                TimeUnit::Nanosecond => "nanos",
            };
            let local = if zone.is_some() { "" } else { "local-" };
            logical("long", &format!("{local}timestamp-{unit}"))
        }
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) if *scale >= 0 => {
            decimal(*precision, *scale)
        }
        DataType::Dictionary(_, values) => type_of(name, values),
        DataType::List(item) | DataType::LargeList(item) => {
            json!({ "type": "array", "items": nullable(&format!("{name}_item"), item.data_type()) })
        }
        DataType::Map(entries, _) => {
            let value = match entries.data_type() {
                DataType::Struct(members) => members.get(1).map(|value| value.data_type().clone()),
                _ => None,
            };
            let value = value.unwrap_or(DataType::Null);
            json!({ "type": "map", "values": nullable(&format!("{name}_value"), &value) })
        }
        DataType::Struct(members) => record(name, members),
        // Text, and types that no decoder and no aggregate makes, which are written as text.
        _ => json!("string"),
    }
}
