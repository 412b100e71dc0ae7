//! What was answered: a row, or that there is none.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringArray, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value};
use weir_engine::EnrichPlan;

use super::key::Key;
use crate::outward::{Asker, Unanswered};

/// A row as it is answered.
pub(super) type Object = Map<String, Value>;

/// An answer.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// The row.
    Row(Arc<Object>),
    /// There is none: 404, 410 or 204.
    None,
}

impl Answer {
    /// Asks.
    pub(super) async fn ask(asker: &Asker, url: &str) -> Result<Self, Unanswered> {
        let answer = asker.get(url, HeaderMap::new()).await?;
        if matches!(answer.status(), StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::NO_CONTENT) {
            return Ok(Self::None);
        }
        let body = asker.body(answer).await?;
        let row = serde_json::from_slice(&body);
        row.map(|row| Self::Row(Arc::new(row)))
            .map_err(|error| Unanswered::Refused(format!("the answer is no object of JSON: {error}")))
    }
}

/// Rows as the columns of a table: the keys, and what is taken. Of a row without values the taken columns are null.
pub(super) fn columns(
    plan: &EnrichPlan,
    schema: &BTreeMap<String, DataType>,
    rows: &[(&Key, Option<&Arc<Object>>)],
) -> RecordBatch {
    let keys = plan.on.iter().enumerate().map(|(at, (_, name))| {
        let values: StringArray = rows.iter().map(|(key, _)| Some(key[at].as_str())).collect();
        (Field::new(name, DataType::Utf8, true), Arc::new(values) as ArrayRef)
    });
    let is_key = |name: &String| plan.on.iter().any(|(_, key)| key == name);
    let taken = plan.take.iter().filter(|name| !is_key(name)).map(|name| {
        let texts: StringArray = rows.iter().map(|(_, row)| text(row.as_ref()?.get(name)?)).collect();
        let declared = schema.get(name).unwrap_or(&DataType::Utf8);
        // What is not of the declared type is null.
        let values = cast(&texts, declared).unwrap_or_else(|_| new_null_array(declared, rows.len()));
        (Field::new(name, declared.clone(), true), values)
    });
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = keys.chain(taken).unzip();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let columns = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options);
    columns.expect("every column has a value per row")
}

/// A value as text: what is inside of others stays JSON.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Some(value.to_string()),
    }
}
