//! `GET /api/v1/tables`: the tables there are, with their columns and size, and those of open windows. It reads no rows.

use std::sync::Arc;

use arrow::datatypes::Schema;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use weir_model::EventTime;
use weir_query::{LIVE_SCHEMA, Table, encode::type_name};

use crate::app::App;
use crate::error::ApiResult;

#[derive(Serialize)]
pub(crate) struct Tables {
    tables: Vec<Shown>,
    /// What the open windows of pipelines say, under the names by which SQL has them.
    live: Vec<ShownLive>,
    /// What is out of reach, one sentence each.
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct Shown {
    name: String,
    rows: u64,
    bytes: u64,
    segments: usize,
    columns: Vec<ShownColumn>,
    min_time: Option<String>,
    max_time: Option<String>,
    time_column: Option<String>,
}

#[derive(Serialize)]
struct ShownColumn {
    name: String,
    r#type: String,
}

#[derive(Serialize)]
struct ShownLive {
    name: String,
    columns: Vec<ShownColumn>,
}

fn columns(schema: &Schema) -> Vec<ShownColumn> {
    let shown = |name: &String, data_type| ShownColumn { name: name.clone(), r#type: type_name(data_type).to_string() };
    schema.fields().iter().map(|field| shown(field.name(), field.data_type())).collect()
}

impl Shown {
    fn new(name: String, table: &Table) -> Self {
        let time = |micros| EventTime::from_micros(micros).to_string();
        let range = table.time_range();
        Self {
            name,
            rows: table.rows(),
            bytes: table.bytes(),
            segments: table.segments.len(),
            columns: columns(&table.schema),
            min_time: range.map(|(min, _)| time(min)),
            max_time: range.map(|(_, max)| time(max)),
            time_column: table.time_column.clone(),
        }
    }
}

pub(crate) async fn get(State(app): State<Arc<App>>) -> ApiResult<Json<Tables>> {
    let snapshot = app.snapshot().await?;
    let declared = snapshot.live.iter().flat_map(|live| live.declared());
    let live = declared
        .map(|(name, schema)| ShownLive { name: format!("{LIVE_SCHEMA}.{name}"), columns: columns(&schema) })
        .collect();
    let tables = snapshot.tables.into_iter().map(|(name, table)| Shown::new(name, &table)).collect();
    Ok(Json(Tables { tables, live, warnings: snapshot.warnings }))
}
