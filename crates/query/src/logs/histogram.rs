//! How many lines there are over time, by level.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, lit};
use datafusion::prelude::ident;
use datafusion::scalar::ScalarValue;

use super::filter::{LEVEL, LogFilter};
use super::search::scan_range;
use super::timed_table;
use crate::engine::QueryEngine;
use crate::error::{QueryError, QueryErrorCode};
use crate::plan::Session;
use crate::snapshot::{Snapshot, Table};

/// The most buckets of a histogram.
const BUCKETS_MAX: usize = 1_000;
const MILLIS: i64 = 1_000;
const SECOND: i64 = 1_000 * MILLIS;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The widths that buckets have, in microseconds: what a clock or a calendar would say. Beyond: multiples of the last.
const WIDTHS: [i64; 32] = [
    MILLIS,
    2 * MILLIS,
    5 * MILLIS,
    10 * MILLIS,
    20 * MILLIS,
    50 * MILLIS,
    100 * MILLIS,
    200 * MILLIS,
    500 * MILLIS,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    30 * DAY,
    90 * DAY,
    365 * DAY,
];

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogHistogram {
    /// The table.
    pub table: String,
    /// Which lines.
    pub filter: LogFilter,
    /// Not before this event time, in microseconds; `None`: from the first line of the table.
    pub from: Option<i64>,
    /// Before this event time, in microseconds; `None`: to the last line of the table.
    pub to: Option<i64>,
    /// About how many buckets, at most 1,000; there are never more, but for those that the ends cut.
    pub buckets: usize,
}

/// Counts over time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Where the first bucket begins, in microseconds; a multiple of the width.
    pub from: i64,
    /// Where the last bucket ends.
    pub to: i64,
    /// How wide a bucket is, in microseconds.
    pub bucket_us: i64,
    /// The counts, by level; levels in the order of their names, lines without one under "".
    pub series: Vec<Series>,
    /// All lines.
    pub total: u64,
    /// What the answer lacks.
    pub warnings: Vec<String>,
}

/// The counts of one level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// The level as written in the data.
    pub level: String,
    /// One count per bucket.
    pub counts: Vec<u64>,
}

impl QueryEngine {
    /// How many lines match, over time and by level.
    ///
    /// # Errors
    /// `UnknownTable`, `NoTime`, `InvalidRequest` for an empty range; and as queries fail.
    pub async fn log_histogram(&self, asked: &LogHistogram) -> Result<Histogram, QueryError> {
        let snapshot = Arc::new(self.snapshot()?);
        let counting = asked.over(&snapshot)?;
        let grid = counting.grid;
        let counted = self.run_plan(&snapshot, move |session| counting.plan(session)).await?.collect_one().await?;
        let (series, total) = series(&counted, grid.buckets)?;
        let warnings = snapshot.warnings.clone();
        Ok(Histogram { from: grid.from, to: grid.to(), bucket_us: grid.width, series, total, warnings })
    }
}

impl LogHistogram {
    /// What is counted of the tables of one moment.
    pub(crate) fn over(&self, snapshot: &Snapshot) -> Result<Counting, QueryError> {
        let (table, time) = timed_table(snapshot, &self.table)?;
        let (first, last) = table.time_range().unwrap_or((0, 0));
        let (from, to) = (self.from.unwrap_or(first), self.to.unwrap_or(last.saturating_add(1)));
        if from >= to && self.from.is_some() && self.to.is_some() {
            return Err(QueryError::new(
                QueryErrorCode::InvalidRequest,
                "the range is empty: `from` is not before `to`",
            ));
        }
        let to = to.max(from.saturating_add(1));
        Ok(Counting {
            table: table.clone(),
            time: time.to_owned(),
            conditions: self.filter.conditions(&table.schema)?,
            range: (from, to - 1),
            grid: Grid::over(from, to, self.buckets.clamp(1, BUCKETS_MAX)),
        })
    }
}

/// A histogram of a table as it is.
pub(crate) struct Counting {
    table: Table,
    time: String,
    conditions: Vec<Expr>,
    /// The first and the last event time.
    range: (i64, i64),
    grid: Grid,
}

impl Counting {
    /// The counts by place of the bucket and by level, in a form that rollups answer.
    pub(crate) fn plan(self, session: &Session) -> Result<LogicalPlan, QueryError> {
        let micros = datafusion::logical_expr::cast(ident(self.time.as_str()), DataType::Int64);
        let bucket = ((micros - lit(self.grid.from)) / lit(self.grid.width)).alias("bucket");
        let has_level = self.table.schema.index_of(LEVEL).is_ok();
        let level: Expr = if has_level { ident(LEVEL) } else { lit(ScalarValue::Utf8(None)).alias(LEVEL) };
        let (min, max) = self.range;
        scan_range(session, &self.table, &self.time, self.conditions, min, max)
            .and_then(|plan| plan.aggregate(vec![bucket, level], vec![count(lit(1_i64)).alias("lines")]))
            .and_then(LogicalPlanBuilder::build)
            .map_err(|error| QueryError::from_datafusion(&error, ""))
    }
}

/// Buckets of one width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    from: i64,
    width: i64,
    buckets: usize,
}

impl Grid {
    /// The narrowest nice buckets of which `buckets` or fewer cover the span.
    fn over(from: i64, to: i64, buckets: usize) -> Self {
        let span = i128::from(to) - i128::from(from);
        let needed = span.div_euclid(buckets as i128) + i128::from(span.rem_euclid(buckets as i128) != 0);
        let widest = WIDTHS[WIDTHS.len() - 1];
        let width = WIDTHS.iter().copied().find(|&width| i128::from(width) >= needed).unwrap_or_else(|| {
            let times = needed.div_euclid(i128::from(widest)) + 1;
            i64::try_from(times * i128::from(widest)).unwrap_or(i64::MAX)
        });
        let start = from.div_euclid(width).saturating_mul(width);
        let covered = i128::from(to) - i128::from(start);
        let count = covered.div_euclid(i128::from(width)) + i128::from(covered.rem_euclid(i128::from(width)) != 0);
        Self { from: start, width, buckets: usize::try_from(count).unwrap_or(1).max(1) }
    }

    fn to(self) -> i64 {
        self.from.saturating_add(self.width.saturating_mul(i64::try_from(self.buckets).unwrap_or(i64::MAX)))
    }
}

fn series(counted: &RecordBatch, buckets: usize) -> Result<(Vec<Series>, u64), QueryError> {
    let failed = |error: String| QueryError::new(QueryErrorCode::Internal, error);
    let levels = cast(counted.column(1), &DataType::Utf8).map_err(|error| failed(error.to_string()))?;
    let levels = levels.as_string::<i32>();
    let numbers = |column: usize| {
        let numbers = counted.column(column).as_primitive_opt::<Int64Type>();
        numbers.ok_or_else(|| failed("the counts of a histogram are not numbers".into()))
    };
    let (places, counts) = (numbers(0)?, numbers(2)?);
    let mut series: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    let mut total = 0;
    for row in 0..counted.num_rows() {
        let level = if levels.is_null(row) { "" } else { levels.value(row) };
        let lines = u64::try_from(counts.value(row)).unwrap_or(0);
        let place = usize::try_from(places.value(row)).unwrap_or(0).min(buckets - 1);
        series.entry(level).or_insert_with(|| vec![0; buckets])[place] += lines;
        total += lines;
    }
    let series = series.into_iter().map(|(level, counts)| Series { level: level.to_owned(), counts });
    Ok((series.collect(), total))
}
