//! What stands around a log line: the lines before and after it, of the same file where lines say where they come from,
//! else by time.

use std::sync::Arc;

use arrow::array::{RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use datafusion::logical_expr::{Expr, LogicalPlan, lit};
use datafusion::prelude::ident;
use datafusion::scalar::ScalarValue;

use super::filter::LogFilter;
use super::row_key::{FILE, OFFSET};
use super::search::scan_all;
use super::timed_table;
use crate::engine::QueryEngine;
use crate::error::{QueryError, QueryErrorCode};
use crate::plan::Session;
use crate::snapshot::{Snapshot, Table};

/// The most lines before, and the most after.
const LINES_MAX: usize = 1_000;

/// Around which line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogContext {
    /// The table.
    pub table: String,
    /// The line's event time, in microseconds.
    pub at: i64,
    /// Where it comes from: its `source_file` and `source_offset`. Without them its neighbours are those in time.
    pub origin: Option<(String, i64)>,
    /// Which lines; none is left out by default.
    pub filter: LogFilter,
    /// How many lines before it, at most 1,000.
    pub before: usize,
    /// How many after it, at most 1,000.
    pub after: usize,
}

/// Lines in their order, the oldest first.
#[derive(Clone, Debug)]
pub struct LogSurroundings {
    /// The lines, with all columns of the table: those before, the line itself (all of its moment, when only the time is
    /// known), those after.
    pub rows: RecordBatch,
    /// How many of them come after the line.
    pub after: usize,
    /// What the answer lacks.
    pub warnings: Vec<String>,
}

impl QueryEngine {
    /// The lines around one.
    ///
    /// # Errors
    /// `UnknownTable`, `NoTime`, `UnknownColumn` when the table does not say where lines come from and an origin is
    /// given; and as queries fail.
    pub async fn log_context(&self, asked: &LogContext) -> Result<LogSurroundings, QueryError> {
        let snapshot = Arc::new(self.snapshot()?);
        let (table, time) = timed_table(&snapshot, &asked.table)?;
        let order = match &asked.origin {
            None => time,
            Some(_) if [FILE, OFFSET].iter().all(|name| table.schema.index_of(name).is_ok()) => OFFSET,
            Some(_) => {
                let message = format!("table {} does not say where its lines come from", asked.table);
                return Err(QueryError::new(QueryErrorCode::UnknownColumn, message).hint("ask without file and offset"));
            }
        };
        let place = match &asked.origin {
            Some((_, offset)) => lit(*offset),
            None => lit(ScalarValue::TimestampMicrosecond(Some(asked.at), Some("UTC".into()))),
        };
        let mut conditions = asked.filter.conditions(&table.schema)?;
        conditions.extend(asked.origin.as_ref().map(|(file, _)| ident(FILE).eq(lit(file.as_str()))));
        let near = Near { engine: self, snapshot: &snapshot, table, order, conditions };
        let (before, after) = (asked.before.min(LINES_MAX), asked.after.min(LINES_MAX));
        let earlier = near.lines(ident(order).lt_eq(place.clone()), false, before + 1).await?;
        let later = near.lines(ident(order).gt(place), true, after).await?;
        let backwards: UInt32Array = (0..u32::try_from(earlier.num_rows()).unwrap_or(0)).rev().collect();
        let joined = take_record_batch(&earlier, &backwards)
            .and_then(|earlier| arrow::compute::concat_batches(&later.schema(), [&earlier, &later]));
        let rows = joined.map_err(|error| QueryError::new(QueryErrorCode::Internal, error.to_string()))?;
        Ok(LogSurroundings { rows, after: later.num_rows(), warnings: snapshot.warnings.clone() })
    }
}

struct Near<'a> {
    engine: &'a QueryEngine,
    snapshot: &'a Arc<Snapshot>,
    table: &'a Table,
    order: &'a str,
    conditions: Vec<Expr>,
}

impl Near<'_> {
    /// The first `count` lines on one side.
    async fn lines(&self, side: Expr, ascending: bool, count: usize) -> Result<RecordBatch, QueryError> {
        if count == 0 {
            return Ok(RecordBatch::new_empty(Arc::clone(&self.table.schema)));
        }
        let (table, order) = (self.table.clone(), self.order.to_owned());
        let conditions = self.conditions.iter().cloned().chain([side]).collect();
        let make = move |session: &Session| -> Result<LogicalPlan, QueryError> {
            let plan = scan_all(session, &table, conditions).and_then(|rows| {
                rows.sort_with_limit(vec![ident(order.as_str()).sort(ascending, false)], Some(count))?.build()
            });
            plan.map_err(|error| QueryError::from_datafusion(&error, ""))
        };
        self.engine.run_plan(self.snapshot, make).await?.collect_one().await
    }
}
