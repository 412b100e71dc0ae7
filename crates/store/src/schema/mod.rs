//! The columns of a table and how they grow: only wider, never by renaming, and no value is ever dropped.

mod place;
mod rest;
#[cfg(test)]
mod tests;
mod wire;

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};

pub use place::adapt;
pub(crate) use place::{place, plain};
pub(crate) use wire::{schema_from_bytes, schema_from_text, schema_to_bytes, schema_to_text};

/// The column for values that fit no other: a JSON object's text, by the names of the columns they did not fit.
pub(crate) const REST_COLUMN: &str = "_rest";
/// Which timestamp column is the event time when nobody says.
const TIME_COLUMN_NAMES: [&str; 5] = ["ts", "time", "timestamp", "@timestamp", "window_start"];

/// The type that a table's column has for values of type `seen`; `None` for a column that has only nulls so far.
pub(crate) fn plain_type(seen: &DataType) -> Option<DataType> {
    Some(match seen {
        DataType::Null => return None,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8View,
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => {
            DataType::Int64
        }
        DataType::Float16 | DataType::Float32 => DataType::Float64,
        DataType::Timestamp(_, _) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Dictionary(_, values) => return plain_type(values),
        // Parquet has no struct without fields: an empty object is no value.
        DataType::Struct(fields) => match plain_fields(fields) {
            fields if fields.is_empty() => return None,
            fields => DataType::Struct(fields),
        },
        DataType::List(item) | DataType::LargeList(item) => DataType::List(Arc::new(plain_item(item))),
        other => other.clone(),
    })
}

/// The columns of a table for rows with the fields `seen`.
pub(crate) fn plain_fields(seen: &Fields) -> Fields {
    seen.iter()
        .filter_map(|field| plain_type(field.data_type()).map(|plain| Field::new(field.name(), plain, true)))
        .collect()
}

/// A list of nulls only has no better type than text.
fn plain_item(item: &FieldRef) -> Field {
    Field::new("item", plain_type(item.data_type()).unwrap_or(DataType::Utf8View), true)
}

/// The columns of a table that has `table` after rows with `seen` (both plain) came: the union, in the order in which
/// columns were first seen. Where types clash the table's stays.
pub(crate) fn grow(table: &Fields, seen: &Fields) -> Fields {
    let mut grown: Vec<FieldRef> = table
        .iter()
        .map(|old| match seen.find(old.name()) {
            Some((_, new)) if new.data_type() != old.data_type() => {
                Arc::new(Field::new(old.name(), widened(old.data_type(), new.data_type()), true))
            }
            _ => Arc::clone(old),
        })
        .collect();
    grown.extend(seen.iter().filter(|new| table.find(new.name()).is_none()).cloned());
    grown.into()
}

/// The type that holds values of both, or `old` when there is none.
fn widened(old: &DataType, new: &DataType) -> DataType {
    match (old, new) {
        (DataType::Int64, DataType::Float64) => DataType::Float64,
        (DataType::Struct(old), DataType::Struct(new)) => DataType::Struct(grow(old, new)),
        (DataType::List(old), DataType::List(new)) => {
            DataType::List(Arc::new(Field::new("item", widened(old.data_type(), new.data_type()), true)))
        }
        (old, _) => old.clone(),
    }
}

/// Whether every value of the plain type `from` can be held by `to` as it is.
pub(crate) fn fits(from: &DataType, to: &DataType) -> bool {
    match (from, to) {
        (DataType::Int64, DataType::Float64) => true,
        (DataType::Struct(from), DataType::Struct(to)) => from
            .iter()
            .all(|field| to.find(field.name()).is_some_and(|(_, to)| fits(field.data_type(), to.data_type()))),
        (DataType::List(from), DataType::List(to)) => fits(from.data_type(), to.data_type()),
        (from, to) => from == to,
    }
}

/// Which column of `schema` is the event time: `asked` if it is a timestamp, else the likeliest timestamp.
pub(crate) fn time_column(schema: &Fields, asked: Option<&str>) -> Option<String> {
    let is_time =
        |name: &str| schema.find(name).is_some_and(|(_, field)| matches!(field.data_type(), DataType::Timestamp(_, _)));
    if let Some(asked) = asked {
        return is_time(asked).then(|| asked.to_owned());
    }
    let known = TIME_COLUMN_NAMES.into_iter().find(|name| is_time(name)).map(ToOwned::to_owned);
    known.or_else(|| schema.iter().map(|field| field.name()).find(|name| is_time(name)).cloned())
}

/// `fields` as a schema.
pub(crate) fn schema_of(fields: Fields) -> SchemaRef {
    Arc::new(Schema::new(fields))
}
