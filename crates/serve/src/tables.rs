//! `GET /api/v1/tables`: the tables there are, with their columns and size. It reads no rows.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use weir_model::EventTime;
use weir_query::{Table, encode::type_name};

use crate::app::App;
use crate::error::ApiResult;

#[derive(Serialize)]
pub(crate) struct Tables {
    tables: Vec<Shown>,
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

impl Shown {
    fn new(name: String, table: &Table) -> Self {
        let columns = table
            .schema
            .fields()
            .iter()
            .map(|field| ShownColumn { name: field.name().clone(), r#type: type_name(field.data_type()).to_string() });
        let time = |micros| EventTime::from_micros(micros).to_string();
        let range = table.time_range();
        Self {
            name,
            rows: table.rows(),
            bytes: table.bytes(),
            segments: table.segments.len(),
            columns: columns.collect(),
            min_time: range.map(|(min, _)| time(min)),
            max_time: range.map(|(_, max)| time(max)),
            time_column: table.time_column.clone(),
        }
    }
}

pub(crate) async fn get(State(app): State<Arc<App>>) -> ApiResult<Json<Tables>> {
    let snapshot = app.snapshot().await?;
    let tables = snapshot.tables.into_iter().map(|(name, table)| Shown::new(name, &table)).collect();
    Ok(Json(Tables { tables, warnings: snapshot.warnings }))
}
