//! `_rest`: values that fit no column, as one JSON object per row. Slow and rare; nothing is dropped here.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringViewBuilder, StructArray};
use arrow::datatypes::{DataType, Field};
use arrow::json::LineDelimitedWriter;
use serde_json::{Map, Value};
use std::sync::Arc;
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::place::in_zone;

/// Values whose type clashes with their column's.
#[derive(Debug)]
pub(super) struct Misfit {
    /// The column and the fields inside it that lead to the values.
    pub(super) path: Vec<String>,
    /// One value per row.
    pub(super) values: ArrayRef,
}

/// `_rest` of `rows` rows: what was there (`rest`) and `misfits`.
pub(super) fn into_rest(rest: Option<&ArrayRef>, misfits: &[Misfit], rows: usize) -> SeamResult<ArrayRef> {
    let mut objects: Vec<Map<String, Value>> = vec![Map::new(); rows];
    for misfit in misfits {
        for (row, value) in as_json(&misfit.values)?.into_iter().enumerate() {
            if !value.is_null() {
                insert(&mut objects[row], &misfit.path, value);
            }
        }
    }
    let rest = rest.map(|rest| rest.as_string_view());
    let mut texts = StringViewBuilder::with_capacity(rows);
    for (row, object) in objects.into_iter().enumerate() {
        let before = rest.filter(|rest| rest.is_valid(row)).map(|rest| rest.value(row));
        match (before, object.is_empty()) {
            (None, true) => texts.append_null(),
            (Some(before), true) => texts.append_value(before),
            (None, false) => texts.append_value(Value::Object(object).to_string()),
            (Some(before), false) => texts.append_value(merged(before, object)),
        }
    }
    Ok(Arc::new(texts.finish()))
}

fn insert(object: &mut Map<String, Value>, path: &[String], value: Value) {
    match path {
        [] => {}
        [name] => {
            object.insert(name.clone(), value);
        }
        [name, inner @ ..] => {
            let slot = object.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(child) = slot {
                insert(child, inner, value);
            }
        }
    }
}

/// What was in `_rest` already is kept as it was; where it has the same name, the new value gets a free one.
fn merged(before: &str, object: Map<String, Value>) -> String {
    let mut all = match serde_json::from_str(before) {
        Ok(Value::Object(all)) => all,
        Ok(other) => Map::from_iter([(String::new(), other)]),
        Err(_) => Map::from_iter([(String::new(), Value::String(before.to_owned()))]),
    };
    for (mut name, value) in object {
        while all.get(&name).is_some_and(|there| *there != value) {
            name.push('_');
        }
        all.insert(name, value);
    }
    Value::Object(all).to_string()
}

/// `values` with times in a zone that can be written without a table of zones.
fn printable(values: &ArrayRef) -> ArrayRef {
    match values.data_type() {
        DataType::Timestamp(_, Some(_)) => in_zone(values, "+00:00"),
        DataType::Struct(fields) => {
            let rows = values.as_struct();
            let columns: Vec<ArrayRef> = rows.columns().iter().map(printable).collect();
            let fields = fields
                .iter()
                .zip(&columns)
                .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true));
            let made = StructArray::try_new_with_length(fields.collect(), columns, rows.nulls().cloned(), rows.len());
            made.map_or_else(|_| Arc::clone(values), |made| Arc::new(made))
        }
        _ => Arc::clone(values),
    }
}

/// Each value as JSON; null where there is none.
fn as_json(values: &ArrayRef) -> SeamResult<Vec<Value>> {
    let failed = |error| SeamError::caused(ErrorKind::Closed, "cannot write values as JSON", error);
    let values = &printable(values);
    let field = Arc::new(Field::new("v", values.data_type().clone(), true));
    let batch = RecordBatch::from(StructArray::from(vec![(field, Arc::clone(values))]));
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(&batch).and_then(|()| writer.finish()).map_err(failed)?;
    let lines = serde_json::Deserializer::from_slice(&writer.into_inner())
        .into_iter::<Map<String, Value>>()
        .map(|line| line.map(|mut line| line.remove("v").unwrap_or(Value::Null)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| SeamError::caused(ErrorKind::Closed, "cannot read values written as JSON", error))?;
    assert_eq!(lines.len(), values.len(), "one JSON value per row of {}", DataType::to_string(values.data_type()));
    Ok(lines)
}
