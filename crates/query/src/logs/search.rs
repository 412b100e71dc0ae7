//! The newest lines that match, page by page, without gaps or doubles.
//!
//! First only the times are read, to find where the page ends; then the lines between two times that are known, so that
//! files and pages outside of them are not touched, however wide the table is. Each costs a plan and a turn: there are two.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::{SortColumn, SortOptions, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::prelude::ident;
use datafusion::scalar::ScalarValue;

use super::cursor::Cursor;
use super::filter::LogFilter;
use super::row_key::row_key;
use super::timed_table;
use crate::engine::QueryEngine;
use crate::error::{QueryError, QueryErrorCode};
use crate::plan::Session;
use crate::snapshot::{Snapshot, Table};

/// The most lines of one page.
pub(super) const LIMIT_MAX: usize = 10_000;
/// The name of the key while lines are sorted.
const KEY: &str = "\u{0}row_key";

/// What lines are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSearch {
    /// The table.
    pub table: String,
    /// Which lines.
    pub filter: LogFilter,
    /// Not before this event time, in microseconds.
    pub from: Option<i64>,
    /// Before this event time, in microseconds.
    pub to: Option<i64>,
    /// How many lines; at most 10,000.
    pub limit: usize,
    /// Only lines after this cursor: [`LogPage::next`] of the page before.
    pub before: Option<String>,
}

/// Lines, the newest first. Lines without an event time are never among them.
#[derive(Clone, Debug)]
pub struct LogPage {
    /// The lines, with all columns of the table.
    pub rows: RecordBatch,
    /// The cursor of the next page; `None` when this was the last.
    pub next: Option<String>,
    /// How long it took.
    pub elapsed: Duration,
    /// What the answer lacks.
    pub warnings: Vec<String>,
}

impl QueryEngine {
    /// The newest lines that match.
    ///
    /// # Errors
    /// `UnknownTable`, `NoTime`, `InvalidRequest` for a cursor that is none; and as queries fail.
    pub async fn search_logs(&self, search: &LogSearch) -> Result<LogPage, QueryError> {
        let started = Instant::now();
        let cursor = search.before.as_deref().map(Cursor::parse).transpose()?;
        let snapshot = Arc::new(self.snapshot()?);
        let (table, time) = timed_table(&snapshot, &search.table)?;
        let scan = Scan {
            engine: self,
            table: table.clone(),
            time: time.to_owned(),
            conditions: search.filter.conditions(&table.schema)?,
            snapshot: Arc::clone(&snapshot),
        };
        let range =
            Range { min: search.from.unwrap_or(i64::MIN), max: search.to.map_or(i64::MAX, |to| to.saturating_sub(1)) };
        let limit = search.limit.clamp(1, LIMIT_MAX);
        let (rows, more) = scan.page(range, cursor, limit).await?;
        let next = if more { last_of(&rows, time, cursor)? } else { None };
        let rows = rows.project(&(0..table.schema.fields().len()).collect::<Vec<_>>()).map_err(mismatch)?;
        let warnings = snapshot.warnings.clone();
        Ok(LogPage { rows, next: next.map(|cursor| cursor.to_string()), elapsed: started.elapsed(), warnings })
    }
}

/// Event times in microseconds, both ends included.
#[derive(Clone, Copy, Debug)]
pub(super) struct Range {
    pub(super) min: i64,
    pub(super) max: i64,
}

pub(super) struct Scan<'a> {
    pub(super) engine: &'a QueryEngine,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) table: Table,
    pub(super) time: String,
    pub(super) conditions: Vec<Expr>,
}

impl Scan<'_> {
    /// The next `limit` lines after `cursor` with their keys, and whether there are more.
    pub(super) async fn page(
        &self,
        range: Range,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<(RecordBatch, bool), QueryError> {
        let mut parts = Vec::with_capacity(3);
        let mut range = range;
        let mut left = limit;
        if let Some(cursor) = cursor.filter(|cursor| (range.min..=range.max).contains(&cursor.time)) {
            let same_time = self.after(cursor, left + 1).await?;
            if same_time.num_rows() > left {
                return Ok((same_time.slice(0, left), true));
            }
            left -= same_time.num_rows();
            parts.push(same_time);
        }
        if let Some(cursor) = cursor {
            range.max = range.max.min(cursor.time.saturating_sub(1));
        }
        let times = self.newest_times(range, left + 1).await?;
        let more = times.len() > left;
        match (more, left.checked_sub(1).and_then(|last| times.get(last))) {
            (true, Some(&end)) => {
                let page = Range { min: end, max: range.max };
                let is_cut_between_moments = times.get(left).is_some_and(|&next| next < end);
                parts.push(match is_cut_between_moments {
                    true => self.between(page, left).await?,
                    false => self.newest(page, left).await?,
                });
            }
            (true, None) => {}
            (false, _) => {
                // a needle in a haystack: only where it was found is looked again
                let found = Range { min: times.last().copied().unwrap_or(1), max: times.first().copied().unwrap_or(0) };
                parts.push(self.between(found, times.len()).await?);
            }
        }
        let Some(schema) = parts.first().map(RecordBatch::schema) else {
            return Ok((RecordBatch::new_empty(Arc::clone(&self.table.schema)), more));
        };
        Ok((concat_batches(&schema, &parts).map_err(mismatch)?, more))
    }

    /// The `count` newest times, the newest first.
    async fn newest_times(&self, range: Range, count: usize) -> Result<Vec<i64>, QueryError> {
        let time = self.time.clone();
        let batch = self.query(range, move |plan, _| {
            plan.project(vec![ident(time.as_str())])?
                .sort_with_limit(vec![ident(time.as_str()).sort(false, false)], Some(count))
        });
        let batch = batch.await?;
        Ok(times_of(batch.column(0))?.values().to_vec())
    }

    /// All lines of a range, of which it is known that there are `count`.
    async fn between(&self, range: Range, count: usize) -> Result<RecordBatch, QueryError> {
        let range = if count == 0 { Range { min: 1, max: 0 } } else { range };
        let lines = self.query(range, move |plan, columns| plan.project(columns)?.limit(0, Some(count))).await?;
        let descending = SortOptions { descending: true, nulls_first: false };
        let ascending = SortOptions { descending: false, nulls_first: false };
        let time = lines.column_by_name(&self.time).map(Arc::clone);
        let key = lines.column_by_name(KEY).map(Arc::clone);
        let (Some(time), Some(key)) = (time, key) else { return Ok(lines) };
        let order = [
            SortColumn { values: time, options: Some(descending) },
            SortColumn { values: key, options: Some(ascending) },
        ];
        let order: UInt32Array = lexsort_to_indices(&order, None).map_err(mismatch)?;
        take_record_batch(&lines, &order).map_err(mismatch)
    }

    /// The `count` newest lines of a range, in which there are more.
    async fn newest(&self, range: Range, count: usize) -> Result<RecordBatch, QueryError> {
        let time = self.time.clone();
        let lines = self.query(range, move |plan, columns| {
            let order = vec![ident(time.as_str()).sort(false, false), ident(KEY).sort(true, false)];
            plan.project(columns)?.sort_with_limit(order, Some(count))
        });
        lines.await
    }

    /// The first `count` lines after `cursor` of its moment.
    async fn after(&self, cursor: Cursor, count: usize) -> Result<RecordBatch, QueryError> {
        let skipped = usize::try_from(cursor.shown).unwrap_or(usize::MAX);
        let moment = Range { min: cursor.time, max: cursor.time };
        let lines = self.query(moment, move |plan, columns| {
            let plan = plan.project(columns)?.filter(ident(KEY).gt_eq(lit(cursor.key)))?;
            plan.sort_with_limit(vec![ident(KEY).sort(true, false)], Some(count.saturating_add(skipped)))
        });
        let lines = lines.await?;
        // lines equal to the last one shown come first; those that were shown are left out
        let keys = lines.column_by_name(KEY).and_then(|keys| keys.as_primitive_opt::<Int64Type>());
        let equal = keys.map_or(0, |keys| keys.values().iter().take_while(|key| **key == cursor.key).count());
        let skipped = skipped.min(equal);
        Ok(lines.slice(skipped, (lines.num_rows() - skipped).min(count)))
    }

    /// Runs what `shape` makes of the lines of a range; it is given the columns of the table and the key.
    async fn query(
        &self,
        range: Range,
        shape: impl FnOnce(LogicalPlanBuilder, Vec<Expr>) -> datafusion::error::Result<LogicalPlanBuilder> + Send + 'static,
    ) -> Result<RecordBatch, QueryError> {
        let (table, time, conditions) = (self.table.clone(), self.time.clone(), self.conditions.clone());
        let make = move |session: &Session| -> Result<LogicalPlan, QueryError> {
            let key = row_key(&table.schema).alias(KEY);
            let columns = table.schema.fields().iter().map(|field| ident(field.name())).chain([key]).collect();
            let plan = scan_range(session, &table, &time, conditions, range.min, range.max);
            let plan = plan.and_then(|plan| shape(plan, columns)?.build());
            plan.map_err(|error| QueryError::from_datafusion(&error, ""))
        };
        self.engine.run_plan(&self.snapshot, make).await?.collect_one().await
    }
}

/// The rows of `table` with event times from `min` to `max`, both included, that fulfil all conditions.
pub(super) fn scan_range(
    session: &Session,
    table: &Table,
    time: &str,
    conditions: Vec<Expr>,
    min: i64,
    max: i64,
) -> datafusion::error::Result<LogicalPlanBuilder> {
    let instant = |micros| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
    let in_range = ident(time).gt_eq(instant(min)).and(ident(time).lt_eq(instant(max)));
    scan_all(session, table, std::iter::once(in_range).chain(conditions).collect())
}

/// The rows of `table` that fulfil all conditions.
pub(super) fn scan_all(
    session: &Session,
    table: &Table,
    conditions: Vec<Expr>,
) -> datafusion::error::Result<LogicalPlanBuilder> {
    let scan = LogicalPlanBuilder::scan("logs", provider_as_source(session.scanned("rows", table)), None)?;
    match conditions.into_iter().reduce(Expr::and) {
        Some(condition) => scan.filter(condition),
        None => Ok(scan),
    }
}

/// The cursor after the last of `rows`, which come after `before`.
pub(super) fn last_of(rows: &RecordBatch, time: &str, before: Option<Cursor>) -> Result<Option<Cursor>, QueryError> {
    let (Some(times), Some(keys)) = (rows.column_by_name(time), rows.column_by_name(KEY)) else { return Ok(None) };
    let (times, keys) = (times_of(times)?, keys.as_primitive_opt::<Int64Type>());
    let (Some(keys), Some(last)) = (keys, rows.num_rows().checked_sub(1)) else { return Ok(before) };
    let same = |row: &usize| times.value(*row) == times.value(last) && keys.value(*row) == keys.value(last);
    let shown = (0..rows.num_rows()).rev().take_while(same).count() as u64;
    let cursor = Cursor { time: times.value(last), key: keys.value(last), shown };
    let earlier = before.filter(|before| before.time == cursor.time && before.key == cursor.key);
    Ok(Some(Cursor { shown: shown + earlier.map_or(0, |before| before.shown), ..cursor }))
}

fn times_of(column: &dyn Array) -> Result<Int64Array, QueryError> {
    let times = column.as_primitive_opt::<TimestampMicrosecondType>();
    let times = times.ok_or_else(|| {
        let kind = column.data_type();
        QueryError::new(QueryErrorCode::Internal, format!("the time column is of type {kind}, not microseconds in UTC"))
    })?;
    Ok(Int64Array::new(times.values().clone(), None))
}

pub(super) fn mismatch(error: arrow::error::ArrowError) -> QueryError {
    QueryError::new(QueryErrorCode::Internal, format!("the parts of a page do not fit together: {error}"))
}
