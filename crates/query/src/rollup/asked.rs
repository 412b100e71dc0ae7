//! What an aggregate asks of a table, if a rollup could know it. Reads nothing.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use datafusion::common::TableReference;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{Aggregate, BinaryExpr, Expr, LogicalPlan, Operator, TableScan};
use datafusion::prelude::ident;
use datafusion::scalar::ScalarValue;
use weir_store::rollups::BUCKET;

use crate::prune::{TimeBounds, is_comparison};
use crate::table::ScannedTable;

const DAY_US: i64 = 86_400_000_000;
const HOUR_US: i64 = 3_600_000_000;
const MINUTE_US: i64 = 60_000_000;

/// An aggregate over the rows of one table.
pub(super) struct Asked {
    pub(super) relation: TableReference,
    pub(super) table: ScannedTable,
    /// Everything that rows must fulfil.
    pub(super) predicates: Vec<Expr>,
    /// Those among them that are not about the time.
    pub(super) by_value: Vec<Expr>,
    pub(super) bounds: TimeBounds,
    pub(super) group: Vec<Expr>,
    pub(super) parts: Vec<Part>,
    /// The columns that a rollup must tell apart.
    pub(super) by: BTreeSet<String>,
    /// The columns whose numbers it must know.
    pub(super) measures: BTreeSet<String>,
    /// Spans of time must divide this.
    pub(super) every_us: i64,
}

/// An aggregate that a rollup knows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Part {
    Rows,
    Count(String),
    Sum(String),
    Min(String),
    Max(String),
    Avg(String),
    Percentile(String, f64),
}

impl Part {
    pub(super) fn measure(&self) -> Option<&str> {
        match self {
            Self::Rows => None,
            Self::Count(name) | Self::Sum(name) | Self::Min(name) | Self::Max(name) | Self::Avg(name) => Some(name),
            Self::Percentile(name, _) => Some(name),
        }
    }
}

impl Asked {
    /// What `aggregate` asks; `None` when no rollup could answer it.
    pub(super) fn of(aggregate: &Aggregate) -> Option<Self> {
        let mut input = aggregate.input.as_ref();
        if let LogicalPlan::Projection(projection) = input
            && projection.expr.iter().all(|expression| matches!(expression, Expr::Column(_)))
        {
            input = projection.input.as_ref();
        }
        let mut predicates: Vec<Expr> = Vec::new();
        if let LogicalPlan::Filter(filter) = input {
            predicates.extend(split_conjunction(&filter.predicate).into_iter().cloned());
            input = filter.input.as_ref();
        }
        let LogicalPlan::TableScan(scan @ TableScan { fetch: None, .. }) = input else { return None };
        predicates
            .extend(scan.filters.iter().filter(|filter| !predicates.contains(filter)).cloned().collect::<Vec<_>>());
        let table = ScannedTable::of(scan)?;
        let time = table.table.time_column.clone()?;
        let (about_time, by_value): (Vec<Expr>, Vec<Expr>) =
            predicates.iter().cloned().partition(|predicate| is_comparison(predicate, &time));
        let mut asked = Self {
            relation: scan.table_name.clone(),
            bounds: TimeBounds::of(&about_time, &time),
            by: BTreeSet::new(),
            measures: BTreeSet::new(),
            every_us: DAY_US,
            group: aggregate.group_expr.clone(),
            parts: aggregate.aggr_expr.iter().map(part).collect::<Option<_>>()?,
            table,
            predicates,
            by_value,
        };
        // Of whole numbers there are no sketches.
        let is_float = |name: &str| {
            let field = asked.table.table.schema.field_with_name(name);
            field.is_ok_and(|field| *field.data_type() == DataType::Float64)
        };
        if asked.parts.iter().any(|part| matches!(part, Part::Percentile(name, _) if !is_float(name))) {
            return None;
        }
        asked.measures = asked.parts.iter().filter_map(Part::measure).map(ToOwned::to_owned).collect();
        for predicate in &asked.by_value {
            let columns = columns_of(predicate);
            if columns.contains(&time) || !is_simple(predicate) {
                return None;
            }
            asked.by.extend(columns);
        }
        for key in aggregate.group_expr.clone() {
            let columns = columns_of(&key);
            match columns.contains(&time) {
                true => asked.every_us = common(asked.every_us, span(&key, &time, asked.bounds.min)?),
                false if !is_simple(&key) => return None,
                false => asked.by.extend(columns),
            }
        }
        Some(asked)
    }

    /// Whether there is something that only sketches know.
    pub(super) fn needs_sketches(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Percentile(..)))
    }

    /// `key`, from the buckets of a rollup.
    pub(super) fn over_buckets(&self, key: &Expr) -> Result<Expr> {
        let time = self.table.table.time_column.clone().unwrap_or_default();
        let changed = key.clone().transform(|part| {
            Ok(match &part {
                Expr::Column(column) if column.name == time => Transformed::yes(ident(BUCKET)),
                _ => Transformed::no(part),
            })
        });
        Ok(changed?.data)
    }
}

/// Whether an expression depends on nothing but the columns that it names.
fn is_simple(expression: &Expr) -> bool {
    let is_other = |part: &Expr| {
        matches!(
            part,
            Expr::GroupingSet(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::ScalarSubquery(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::Placeholder(_)
        )
    };
    !expression.is_volatile() && !expression.exists(|part| Ok(is_other(part))).unwrap_or(true)
}

fn columns_of(expression: &Expr) -> BTreeSet<String> {
    expression.column_refs().into_iter().map(|column| column.name.clone()).collect()
}

/// The largest span that divides both.
fn common(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { common(b, a % b) }
}

/// How long the spans are into which `key` cuts the time: two times of one span have the same key.
fn span(key: &Expr, time: &str, from: i64) -> Option<i64> {
    // A cast to a finer or coarser unit is the same instant, or the beginning of its second.
    let is_time = |expression: &Expr| match expression {
        Expr::Cast(cast) if matches!(cast.field.data_type(), DataType::Timestamp(..)) => is_column(&cast.expr, time),
        other => is_column(other, time),
    };
    match key {
        Expr::Alias(alias) => span(&alias.expr, time, from),
        Expr::ScalarFunction(call) => match (call.func.name(), call.args.as_slice()) {
            ("date_trunc", [Expr::Literal(unit, _), this]) if is_time(this) => {
                match unit.try_as_str()??.to_ascii_lowercase().as_str() {
                    "minute" => Some(MINUTE_US),
                    "hour" => Some(HOUR_US),
                    "day" | "week" | "month" | "quarter" | "year" => Some(DAY_US),
                    _ => None,
                }
            }
            ("date_bin", [Expr::Literal(width, _), this, origin @ ..]) if is_time(this) => {
                let width = match width {
                    ScalarValue::IntervalMonthDayNano(Some(width)) if width.months == 0 && width.days == 0 => {
                        (width.nanoseconds % 1_000 == 0).then_some(width.nanoseconds / 1_000)?
                    }
                    ScalarValue::DurationMicrosecond(Some(width)) => *width,
                    _ => return None,
                };
                let origin = match origin {
                    [] => 0,
                    [Expr::Literal(ScalarValue::TimestampMicrosecond(Some(origin), _), _)] => *origin,
                    [Expr::Literal(ScalarValue::TimestampNanosecond(Some(origin), _), _)] if origin % 1_000 == 0 => {
                        origin / 1_000
                    }
                    _ => return None,
                };
                (width > 0).then(|| common(width, origin.checked_abs().unwrap_or(1)))
            }
            _ => None,
        },
        // What histograms count by: (time - start) / width, of times that are not before the start.
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Divide, right }) => {
            let width = whole(right).filter(|width| *width > 0)?;
            let start = match left.as_ref() {
                Expr::BinaryExpr(BinaryExpr { left, op: Operator::Minus, right }) if is_micros(left, &is_time) => {
                    whole(right)?
                }
                left if is_micros(left, &is_time) => 0,
                _ => return None,
            };
            (from >= start).then(|| common(width, start.checked_abs().unwrap_or(1)))
        }
        _ => None,
    }
}

fn is_column(expression: &Expr, name: &str) -> bool {
    matches!(expression, Expr::Column(column) if column.name == name)
}

fn is_micros(expression: &Expr, is_time: &dyn Fn(&Expr) -> bool) -> bool {
    matches!(expression, Expr::Cast(cast) if is_time(&cast.expr) && cast.field.data_type().is_signed_integer())
}

fn whole(expression: &Expr) -> Option<i64> {
    match expression {
        Expr::Literal(ScalarValue::Int64(Some(value)), _) => Some(*value),
        _ => None,
    }
}

fn part(expression: &Expr) -> Option<Part> {
    let expression = match expression {
        Expr::Alias(alias) => alias.expr.as_ref(),
        other => other,
    };
    let Expr::AggregateFunction(AggregateFunction { func, params }) = expression else { return None };
    if params.distinct || params.filter.is_some() || params.null_treatment.is_some() {
        return None;
    }
    let column = |expression: &Expr| match expression {
        Expr::Column(column) => Some(column.name.clone()),
        _ => None,
    };
    Some(match (func.name(), params.args.as_slice()) {
        ("count", [Expr::Literal(value, _)]) if !value.is_null() => Part::Rows,
        ("count", [this]) => Part::Count(column(this)?),
        ("sum", [this]) => Part::Sum(column(this)?),
        ("min", [this]) => Part::Min(column(this)?),
        ("max", [this]) => Part::Max(column(this)?),
        // Of whole numbers it is taken as floats.
        ("avg", [Expr::Cast(cast)]) if *cast.field.data_type() == DataType::Float64 => Part::Avg(column(&cast.expr)?),
        ("avg", [this]) => Part::Avg(column(this)?),
        ("approx_percentile_cont", [this, Expr::Literal(ScalarValue::Float64(Some(quantile)), _)])
            if params.order_by.iter().all(|order| order.asc) && (0.0..=1.0).contains(quantile) =>
        {
            Part::Percentile(column(this)?, *quantile)
        }
        _ => return None,
    })
}
