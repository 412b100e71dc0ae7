//! Searches in the short language as a whole: what their stages make of the rows, and what could be written next.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::expr::Like;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::prelude::ident;

use super::search::{scan_all, scan_range};
use super::{LogFilter, escaped};
use crate::encode::Values;
use crate::engine::QueryEngine;
use crate::error::QueryError;
use crate::language::{Before, CANDIDATES_MAX, Candidate, CandidateKind, Completion, Search};
use crate::language::{apply, before, candidates, column_named, written};
use crate::limits::RunOptions;
use crate::plan::Session;
use crate::result::QueryResult;
use crate::snapshot::{Snapshot, Table};
use crate::statement::find_table;

/// Rows of a search without stages, when it does not say how many.
const ROWS: usize = 10_000;
/// How much of the newest event time is looked at for values, in microseconds.
const VALUES_SPAN: i64 = 3_600_000_000;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StagedSearch {
    /// The table; it may be one without event times.
    pub table: String,
    /// What is looked for, and what is made of it.
    pub search: Search,
    /// Not before this event time, in microseconds.
    pub from: Option<i64>,
    /// Before this event time, in microseconds.
    pub to: Option<i64>,
}

impl QueryEngine {
    /// Answers a search. Without stages that order or combine them these are the rows, the newest first, at most 10,000
    /// unless the search says `limit`.
    ///
    /// # Errors
    /// `UnknownTable`, `UnknownColumn`, `InvalidQuery`; and as queries fail.
    pub async fn search(&self, asked: &StagedSearch, options: RunOptions) -> Result<QueryResult, QueryError> {
        let snapshot = Arc::new(self.snapshot()?);
        let table = find_table(&asked.table, &snapshot, "")?.clone();
        let asked = asked.clone();
        let make = move |session: &Session| {
            let filter = LogFilter { search: Some(asked.search.clone()), ..LogFilter::default() };
            let conditions = filter.conditions(&table.schema)?;
            let rows = scan(session, &table, conditions, asked.from, asked.to)?;
            let plan = apply(rows, &asked.search, table.time_column.as_deref(), ROWS)?;
            plan.build().map_err(|error| QueryError::from_datafusion(&error, ""))
        };
        self.run_plan_with(&snapshot, options, make).await
    }

    /// What could be written at the cursor, which stands behind the first `cursor` characters of `text`. Values of a
    /// column are those of the newest hour, the most frequent first.
    ///
    /// # Errors
    /// `UnknownTable`; and as queries fail, when values are looked for.
    pub async fn complete_search(&self, table: &str, text: &str, cursor: usize) -> Result<Completion, QueryError> {
        let snapshot = Arc::new(self.snapshot()?);
        let table = find_table(table, &snapshot, "")?.clone();
        let written: String = text.chars().take(cursor).collect();
        let (before, replaced) = before(&written);
        let to = written.chars().count();
        let candidates = match &before {
            Before::Value { column, piece } => self.values(&snapshot, &table, column, piece).await?,
            other => candidates(other, &table.schema),
        };
        Ok(Completion { from: to - replaced, to, candidates })
    }

    /// The values of a column that begin with `piece`.
    async fn values(
        &self,
        snapshot: &Arc<Snapshot>,
        table: &Table,
        column: &str,
        piece: &str,
    ) -> Result<Vec<Candidate>, QueryError> {
        let Some(field) = column_named(column, &table.schema) else { return Ok(Vec::new()) };
        if field.data_type().is_nested() || matches!(field.data_type(), DataType::Timestamp(..)) {
            return Ok(Vec::new());
        }
        let (name, table) = (field.name().clone(), table.clone());
        let pattern = format!("{}%", escaped(piece));
        let make = move |session: &Session| -> Result<LogicalPlan, QueryError> {
            let value = cast(ident(name.as_str()), DataType::Utf8View);
            let begins = Expr::Like(Like::new(false, Box::new(value.clone()), Box::new(lit(pattern)), None, true));
            let newest = table.time_range().map(|(_, last)| last.saturating_sub(VALUES_SPAN));
            let rows = scan(session, &table, vec![begins], newest, None)?;
            let plan = rows.aggregate(vec![value.alias("value")], vec![count(lit(1_i64)).alias("rows")]);
            let plan = plan.and_then(|plan| {
                let order = vec![ident("rows").sort(false, false), ident("value").sort(true, false)];
                plan.sort_with_limit(order, Some(CANDIDATES_MAX))?.build()
            });
            plan.map_err(|error| QueryError::from_datafusion(&error, ""))
        };
        let found = self.run_plan(snapshot, make).await?.collect_one().await?;
        let (values, counts) = (Values::new(found.column(0)), Values::new(found.column(1)));
        let text = |values: &Values<'_>, row| {
            let mut bytes = Vec::new();
            values.plain(row, &mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let candidate = |row| Candidate {
            text: written(&text(&values, row)),
            kind: CandidateKind::Value,
            detail: format!("{} rows", text(&counts, row)),
        };
        Ok((0..found.num_rows()).map(candidate).collect())
    }
}

/// The rows of a table that fulfil all conditions; a table without event times has no range.
fn scan(
    session: &Session,
    table: &Table,
    conditions: Vec<Expr>,
    from: Option<i64>,
    to: Option<i64>,
) -> Result<LogicalPlanBuilder, QueryError> {
    let range = from.is_some() || to.is_some();
    let plan = match table.time_column.as_deref().filter(|_| range) {
        Some(time) => {
            let (min, max) = (from.unwrap_or(i64::MIN), to.map_or(i64::MAX, |to| to.saturating_sub(1)));
            scan_range(session, table, time, conditions, min, max)
        }
        None => scan_all(session, table, conditions),
    };
    plan.map_err(|error| QueryError::from_datafusion(&error, ""))
}
