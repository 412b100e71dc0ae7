//! Answers about the tables themselves, from the snapshot alone; reads no rows.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};

use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::explain::ExplainExec;

use crate::encode::type_name;
use crate::error::{QueryError, QueryErrorCode};
use crate::snapshot::{Snapshot, Table};

/// `SHOW TABLES`: name, rows, bytes, segments, min_time, max_time.
pub(crate) fn tables(snapshot: &Snapshot) -> Result<RecordBatch, QueryError> {
    let tables = || snapshot.tables.values();
    let numbers = |of: fn(&Table) -> u64| -> ArrayRef {
        Arc::new(tables().map(|table| i64::try_from(of(table)).unwrap_or(i64::MAX)).collect::<Int64Array>())
    };
    let times = |of: fn((i64, i64)) -> i64| -> ArrayRef {
        let times: TimestampMicrosecondArray = tables().map(|table| table.time_range().map(of)).collect();
        Arc::new(times.with_timezone("UTC"))
    };
    let names: StringArray = snapshot.tables.keys().map(Some).collect();
    batch(vec![
        ("table", Arc::new(names)),
        ("rows", numbers(Table::rows)),
        ("bytes", numbers(Table::bytes)),
        ("segments", numbers(|table| table.segments.len() as u64)),
        ("min_time", times(|(min, _)| min)),
        ("max_time", times(|(_, max)| max)),
    ])
}

/// `DESCRIBE table`: column, type.
pub(crate) fn columns(table: &Table) -> Result<RecordBatch, QueryError> {
    let fields = table.schema.fields();
    let names: StringArray = fields.iter().map(|field| Some(field.name())).collect();
    let types: StringArray = fields.iter().map(|field| Some(type_name(field.data_type()))).collect();
    batch(vec![("column", Arc::new(names)), ("type", Arc::new(types))])
}

/// `EXPLAIN`: as DataFusion says it, and what is read of each table.
pub(crate) fn explained(explained: &ExplainExec, reads: &[String]) -> Result<RecordBatch, QueryError> {
    let shown = explained.stringified_plans().iter().filter(|plan| plan.should_display(explained.verbose()));
    let mut rows: Vec<(String, String)> =
        shown.map(|plan| (plan.plan_type.to_string(), plan.plan.to_string())).collect();
    if !explained.verbose() {
        // What was optimized twice is shown as it is at last.
        let kinds: Vec<String> = rows.iter().map(|(kind, _)| kind.clone()).collect();
        let mut at = 0;
        rows.retain(|(kind, _)| {
            at += 1;
            !kinds[at..].contains(kind)
        });
    }
    if !reads.is_empty() {
        rows.push(("reads".to_owned(), reads.join("\n")));
    }
    let (kinds, plans): (Vec<String>, Vec<String>) = rows.into_iter().unzip();
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(kinds)), Arc::new(StringArray::from(plans))];
    RecordBatch::try_new(explained.schema(), columns)
        .map_err(|error| QueryError::new(QueryErrorCode::Internal, error.to_string()))
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> Result<RecordBatch, QueryError> {
    let columns = columns.into_iter().map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns)
        .map_err(|error| QueryError::new(QueryErrorCode::Internal, error.to_string()))
}
