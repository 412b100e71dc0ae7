//! What the stages of a search make of the rows, as a plan; runs nothing.

use arrow::datatypes::{DataType, Schema};
use datafusion::functions::expr_fn::date_bin;
use datafusion::functions_aggregate::expr_fn::{approx_percentile_cont, avg, count, count_distinct, max, min, sum};
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, lit};
use datafusion::prelude::ident;
use datafusion::scalar::ScalarValue;

use super::condition::{column, matches};
use super::cursor::error_at;
use super::{At, Call, Direction, Function, Search, Stage};
use crate::encode::type_name;
use crate::error::{QueryError, QueryErrorCode};

/// The plan of all stages over `plan`, whose rows are those that the search finds. Until a stage orders or combines
/// them they are the newest first, at most `rows_max`.
pub(crate) fn apply(
    mut plan: LogicalPlanBuilder,
    search: &Search,
    time: Option<&str>,
    rows_max: usize,
) -> Result<LogicalPlanBuilder, QueryError> {
    let shaping = Shaping { text: &search.text, time };
    let orders =
        |stage: &Stage| matches!(stage, Stage::Stats { .. } | Stage::Timeline { .. } | Stage::Top(..) | Stage::Sort(_));
    if !search.stages.iter().any(orders) {
        plan = newest_first(plan, search, time, rows_max)?;
    }
    search.stages.iter().try_fold(plan, |plan, stage| shaping.stage(plan, stage))
}

fn newest_first(
    plan: LogicalPlanBuilder,
    search: &Search,
    time: Option<&str>,
    rows_max: usize,
) -> Result<LogicalPlanBuilder, QueryError> {
    let first_limit =
        search.stages.iter().take_while(|stage| !matches!(stage, Stage::Where(_))).find_map(|stage| match stage {
            Stage::Limit(rows) => usize::try_from(*rows).ok(),
            _ => None,
        });
    let filtered_later = search.stages.iter().any(|stage| matches!(stage, Stage::Where(_)));
    let rows = first_limit.or((!filtered_later).then_some(rows_max));
    let plan = match time {
        Some(time) => plan.sort_with_limit(vec![ident(time).sort(false, false)], rows),
        None => plan.limit(0, rows),
    };
    plan.map_err(|error| failed(&error, search.text()))
}

fn failed(error: &datafusion::error::DataFusionError, text: &str) -> QueryError {
    QueryError { place: None, ..QueryError::from_datafusion(error, text) }
}

struct Shaping<'a> {
    text: &'a str,
    time: Option<&'a str>,
}

impl Shaping<'_> {
    fn stage(&self, plan: LogicalPlanBuilder, stage: &Stage) -> Result<LogicalPlanBuilder, QueryError> {
        let schema = plan.schema().as_arrow().clone();
        let shaped = match stage {
            Stage::Where(condition) => match matches(condition, &schema, self.text)? {
                Some(condition) => plan.filter(condition),
                None => Ok(plan),
            },
            Stage::Stats { calls, by } => return self.stats(plan, calls, self.columns(by, &schema)?, &schema),
            Stage::Timeline { every, by, nth } => return self.timeline(plan, *every, by, *nth, &schema),
            Stage::Top(rows, by) => {
                let by = self.columns(std::slice::from_ref(by), &schema)?;
                let counted = self.stats(plan, &[counted()], by.clone(), &schema)?;
                let order = [ident("count").sort(false, false)]
                    .into_iter()
                    .chain(by.into_iter().map(|by| by.sort(true, false)));
                counted.sort_with_limit(order.collect::<Vec<_>>(), usize::try_from(*rows).ok())
            }
            Stage::Sort(columns) => {
                let order = columns.iter().map(|(name, direction)| {
                    let field = column(name, &schema, self.text)?;
                    Ok(ident(field.name().as_str()).sort(*direction == Direction::Ascending, false))
                });
                plan.sort(order.collect::<Result<Vec<_>, QueryError>>()?)
            }
            Stage::Limit(rows) => plan.limit(0, usize::try_from(*rows).ok()),
            Stage::Fields(columns) => plan.project(self.columns(columns, &schema)?),
        };
        shaped.map_err(|error| failed(&error, self.text))
    }

    fn columns(&self, names: &[At<String>], schema: &Schema) -> Result<Vec<Expr>, QueryError> {
        names.iter().map(|name| Ok(ident(column(name, schema, self.text)?.name().as_str()))).collect()
    }

    /// Groups by `by`; the groups come in the order of their keys.
    fn stats(
        &self,
        plan: LogicalPlanBuilder,
        calls: &[Call],
        by: Vec<Expr>,
        schema: &Schema,
    ) -> Result<LogicalPlanBuilder, QueryError> {
        let aggregates = calls.iter().map(|call| self.aggregate(call, schema)).collect::<Result<Vec<_>, _>>()?;
        let keys = by.iter().map(|key| ident(key.schema_name().to_string())).collect::<Vec<_>>();
        let grouped = plan.aggregate(by, aggregates).and_then(|grouped| match keys.is_empty() {
            true => Ok(grouped),
            false => grouped.sort(keys.into_iter().map(|key| key.sort(true, false))),
        });
        grouped.map_err(|error| failed(&error, self.text))
    }

    fn timeline(
        &self,
        plan: LogicalPlanBuilder,
        every: i64,
        by: &[At<String>],
        nth: usize,
        schema: &Schema,
    ) -> Result<LogicalPlanBuilder, QueryError> {
        let time = self.time.filter(|time| schema.index_of(time).is_ok()).ok_or_else(|| {
            let message = "timeline needs the column of event times, and it is not there";
            error_at(self.text, nth, QueryErrorCode::NoTime, message)
                .hint("put timeline before stages that leave it out")
        })?;
        let span = ScalarValue::new_interval_mdn(0, 0, every.saturating_mul(1_000));
        let epoch = ScalarValue::TimestampMicrosecond(Some(0), Some("UTC".into()));
        let bin = date_bin(lit(span), ident(time), lit(epoch)).alias(time);
        let by = std::iter::once(Ok(bin)).chain(self.columns(by, schema)?.into_iter().map(Ok));
        self.stats(plan, &[counted()], by.collect::<Result<Vec<_>, QueryError>>()?, schema)
    }

    fn aggregate(&self, call: &Call, schema: &Schema) -> Result<Expr, QueryError> {
        let Some(name) = &call.column else {
            return Ok(count(lit(1_i64)).alias(call.name.as_deref().unwrap_or("count")));
        };
        let field = column(name, schema, self.text)?;
        let this = ident(field.name().as_str());
        let number = || {
            let kind = field.data_type();
            if kind.is_numeric() {
                return Ok(ident(field.name().as_str()));
            }
            let message =
                format!("{} is a {}, and only numbers have a {}", field.name(), type_name(kind), named(call.function));
            Err(error_at(self.text, name.nth, QueryErrorCode::InvalidQuery, message))
        };
        let computed = match call.function {
            Function::Count => count(this),
            Function::Distinct => count_distinct(this),
            Function::Sum => sum(number()?),
            Function::Avg => avg(number()?),
            Function::Min => min(this),
            Function::Max => max(this),
            Function::Percentile(tenths) => {
                let value = cast(number()?, DataType::Float64);
                approx_percentile_cont(value.sort(true, false), lit(f64::from(tenths) / 1_000.0), None)
            }
        };
        let own = format!("{}_{}", named(call.function), field.name());
        Ok(computed.alias(call.name.clone().unwrap_or(own)))
    }
}

/// `count()`
fn counted() -> Call {
    Call { function: Function::Count, column: None, name: None }
}

fn named(function: Function) -> String {
    match function {
        Function::Count => "count".into(),
        Function::Distinct => "distinct".into(),
        Function::Sum => "sum".into(),
        Function::Avg => "avg".into(),
        Function::Min => "min".into(),
        Function::Max => "max".into(),
        Function::Percentile(tenths) if tenths % 10 == 0 => format!("p{}", tenths / 10),
        Function::Percentile(tenths) => format!("p{}.{}", tenths / 10, tenths % 10),
    }
}
