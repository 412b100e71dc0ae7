//! Which kinds of log lines there are: their patterns, how many lines each has, and one of them.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::logical_expr::{LogicalPlan, lit};
use datafusion::prelude::ident;

use super::filter::{LogFilter, MESSAGE};
use super::search::scan_range;
use super::timed_table;
use crate::engine::QueryEngine;
use crate::error::{QueryError, QueryErrorCode};
use crate::pattern::pattern;
use crate::plan::Session;

/// The most patterns of one answer.
const PATTERNS_MAX: usize = 1_000;

/// What lines are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPatterns {
    /// The table; it has a column `message`.
    pub table: String,
    /// Which lines.
    pub filter: LogFilter,
    /// Not before this event time, in microseconds.
    pub from: Option<i64>,
    /// Before this event time, in microseconds.
    pub to: Option<i64>,
    /// How many patterns; at most 1,000.
    pub limit: usize,
}

/// Lines that are alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPattern {
    /// What they have in common, as the SQL function `pattern` says it.
    pub pattern: String,
    /// How many there are.
    pub lines: u64,
    /// Their first and last event time, in microseconds.
    pub times: (i64, i64),
    /// The message of one of them.
    pub sample: String,
}

/// The most frequent patterns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPatternList {
    /// The most frequent first.
    pub patterns: Vec<LogPattern>,
    /// What the answer lacks.
    pub warnings: Vec<String>,
}

impl QueryEngine {
    /// The patterns of the lines that match, the most frequent first.
    ///
    /// # Errors
    /// `UnknownTable`, `NoTime`, `UnknownColumn` without a column `message`; and as queries fail.
    pub async fn log_patterns(&self, asked: &LogPatterns) -> Result<LogPatternList, QueryError> {
        let snapshot = Arc::new(self.snapshot()?);
        let (table, time) = timed_table(&snapshot, &asked.table)?;
        if table.schema.index_of(MESSAGE).is_err() {
            let message = format!("table {} has no column {MESSAGE} to find patterns in", asked.table);
            return Err(QueryError::new(QueryErrorCode::UnknownColumn, message).hint("SQL has pattern(column)"));
        }
        let (table, time) = (table.clone(), time.to_owned());
        let conditions = asked.filter.conditions(&table.schema)?;
        let (from, to) = (asked.from.unwrap_or(i64::MIN), asked.to.map_or(i64::MAX, |to| to.saturating_sub(1)));
        let limit = asked.limit.clamp(1, PATTERNS_MAX);
        let make = move |session: &Session| -> Result<LogicalPlan, QueryError> {
            let rows = scan_range(session, &table, &time, conditions, from, to);
            let plan = rows.and_then(|rows| {
                let found = pattern().call(vec![ident(MESSAGE)]).alias("pattern");
                let each = vec![
                    count(lit(1_i64)).alias("lines"),
                    min(ident(time.as_str())).alias("first"),
                    max(ident(time.as_str())).alias("last"),
                    min(ident(MESSAGE)).alias("sample"),
                ];
                let order = vec![ident("lines").sort(false, false), ident("pattern").sort(true, false)];
                rows.filter(ident(MESSAGE).is_not_null())?
                    .project(vec![found, ident(MESSAGE), ident(time.as_str())])?
                    .aggregate(vec![ident("pattern")], each)?
                    .sort_with_limit(order, Some(limit))?
                    .build()
            });
            plan.map_err(|error| QueryError::from_datafusion(&error, ""))
        };
        let mut answer = self.run_plan(&snapshot, make).await?;
        let found = answer.collect_one().await?;
        Ok(LogPatternList { patterns: listed(&found)?, warnings: answer.warnings().to_vec() })
    }
}

fn listed(found: &RecordBatch) -> Result<Vec<LogPattern>, QueryError> {
    let failed = || QueryError::new(QueryErrorCode::Internal, "the patterns are not what was asked for");
    let texts = |column: usize| cast(found.column(column), &DataType::Utf8View).map_err(|_| failed());
    let (patterns, samples) = (texts(0)?, texts(4)?);
    let (patterns, samples) = (patterns.as_string_view(), samples.as_string_view());
    let lines = found.column(1).as_primitive_opt::<Int64Type>().ok_or_else(failed)?;
    let times = |column: usize| found.column(column).as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(failed);
    let (first, last) = (times(2)?, times(3)?);
    let one = |row: usize| LogPattern {
        pattern: patterns.value(row).to_owned(),
        lines: u64::try_from(lines.value(row)).unwrap_or(0),
        times: (first.value(row), last.value(row)),
        sample: samples.value(row).to_owned(),
    };
    Ok((0..found.num_rows()).filter(|row| patterns.is_valid(*row)).map(one).collect())
}
