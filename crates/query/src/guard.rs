//! Makes a running query stop when it is told to, and refuses calls that make much of nothing; limits nothing by size
//! that the memory pool sees.
//!
//! DataFusion's operators give way to others between batches of input. A join without a key may compare for hours
//! without one batch of output, and a filter above a cross join may throw its output away as long: nothing could
//! interrupt them. So the conditions of joins ask whether they should stop, and what joins put out gives way.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::{ScalarFunction, WindowFunction};
use datafusion::logical_expr::{
    ColumnarValue, Expr, LogicalPlan, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    WindowFunctionDefinition,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::joins::{CrossJoinExec, HashJoinExec, NestedLoopJoinExec, SortMergeJoinExec};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::unnest::UnnestExec;
use datafusion::scalar::ScalarValue;

use crate::error::{QueryError, QueryErrorCode};

/// Says to everything that a query runs that it should stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The optimized plan with conditions of joins that notice `stop`.
pub(crate) fn stoppable(plan: LogicalPlan, stop: &Stop) -> Result<LogicalPlan> {
    let guard = Arc::new(ScalarUDF::new_from_impl(UnlessStopped {
        stop: stop.clone(),
        signature: Signature::exact(vec![DataType::Boolean], Volatility::Volatile),
    }));
    let guarded = plan.transform_up_with_subqueries(|node| match node {
        LogicalPlan::Join(mut join) if join.filter.is_some() => {
            join.filter = join.filter.map(|condition| guard.call(vec![condition]));
            Ok(Transformed::yes(LogicalPlan::Join(join)))
        }
        other => Ok(Transformed::no(other)),
    });
    Ok(guarded?.data)
}

/// The plan with joins that give way after each batch, and without sorts that keep no row, at which DataFusion panics.
pub(crate) fn yielding(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let changed = plan.transform_up(|node| {
        if node.downcast_ref::<SortExec>().is_some_and(|sort| sort.fetch() == Some(0)) {
            let partitions = node.properties().output_partitioning().partition_count();
            let nothing = EmptyExec::new(node.schema()).with_partitions(partitions);
            return Ok(Transformed::yes(Arc::new(nothing) as Arc<dyn ExecutionPlan>));
        }
        let multiplies = node.is::<CrossJoinExec>()
            || node.is::<NestedLoopJoinExec>()
            || node.is::<HashJoinExec>()
            || node.is::<SortMergeJoinExec>()
            || node.is::<UnnestExec>();
        Ok(match multiplies {
            true => Transformed::yes(Arc::new(CooperativeExec::new(node)) as Arc<dyn ExecutionPlan>),
            false => Transformed::no(node),
        })
    });
    Ok(changed?.data)
}

/// The identity on truth values, unless the query should stop.
#[derive(Debug)]
struct UnlessStopped {
    stop: Stop,
    signature: Signature,
}

impl PartialEq for UnlessStopped {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.stop.0, &other.stop.0)
    }
}

impl Eq for UnlessStopped {}

impl Hash for UnlessStopped {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.stop.0).hash(state);
    }
}

impl ScalarUDFImpl for UnlessStopped {
    fn name(&self) -> &str {
        "unless_stopped"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, mut arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if self.stop.is_set() {
            return Err(DataFusionError::Execution("the query was stopped".into()));
        }
        arguments.args.pop().ok_or_else(|| DataFusionError::Internal("a condition is missing".into()))
    }
}

/// How many times a text or a list may be repeated, or how long it may be made, by one call.
const REPEAT_MAX: i64 = 10_000;
/// How many numbers one call may make.
const SERIES_MAX: i64 = 100_000;

/// Refuses calls whose results the memory pool does not see: texts and series of any length from a short argument,
/// running lists that grow with every row.
pub(crate) fn refuse_bombs(plan: &LogicalPlan) -> std::result::Result<(), QueryError> {
    let mut refused = None;
    let walked = plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                refused = match part {
                    Expr::ScalarFunction(call) => repeats(call),
                    Expr::WindowFunction(call) => running_list(call),
                    _ => None,
                };
                Ok(if refused.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
            })
        })
    });
    walked.map_err(|error| QueryError::from_datafusion(&error, ""))?;
    refused.map_or(Ok(()), Err)
}

fn repeats(call: &ScalarFunction) -> Option<QueryError> {
    let name = call.func.name();
    let (made, max) = match name {
        "repeat" | "array_repeat" | "lpad" | "rpad" | "array_resize" => (repetitions(call), REPEAT_MAX),
        "range" | "generate_series" => (series_length(&call.args), SERIES_MAX),
        _ => return None,
    };
    let what = match made {
        Some(made) if made <= max => return None,
        Some(made) => format!("{name} would make {made} of one; at most {max} are allowed"),
        None => format!("{name} needs a number that is written out, to know how much it makes"),
    };
    Some(QueryError::new(QueryErrorCode::TooComplex, what))
}

/// How much a call makes of its argument, calls in the argument included.
fn repetitions(call: &ScalarFunction) -> Option<i64> {
    // array_repeat(element, count), repeat(text, count), lpad(text, length), array_resize(list, length)
    let own = integer(call.args.get(1)?)?.max(1);
    let inner = match call.args.first()? {
        Expr::ScalarFunction(inner) if inner.func.name() == "repeat" || inner.func.name() == "array_repeat" => {
            repetitions(inner)?
        }
        _ => 1,
    };
    Some(own.saturating_mul(inner))
}

fn series_length(arguments: &[Expr]) -> Option<i64> {
    let numbers = arguments.iter().map(integer).collect::<Option<Vec<i64>>>()?;
    let (start, stop, step) = match numbers[..] {
        [stop] => (0, stop, 1),
        [start, stop] => (start, stop, 1),
        [start, stop, step] => (start, stop, step),
        _ => return None,
    };
    let span = stop.checked_sub(start)?.checked_abs()?;
    Some(span.checked_div(step.checked_abs()?).unwrap_or(0).saturating_add(1))
}

fn integer(expression: &Expr) -> Option<i64> {
    match expression {
        Expr::Literal(value, _) => match value.cast_to(&DataType::Int64).ok()? {
            ScalarValue::Int64(value) => value,
            _ => None,
        },
        Expr::Negative(inner) => integer(inner)?.checked_neg(),
        _ => None,
    }
}

/// A list of all rows so far, for every row.
fn running_list(call: &WindowFunction) -> Option<QueryError> {
    let WindowFunctionDefinition::AggregateUDF(function) = &call.fun else { return None };
    matches!(function.name(), "array_agg" | "string_agg").then(|| {
        let message = format!("{} over a window would make a list for every row", function.name());
        QueryError::new(QueryErrorCode::TooComplex, message).hint("group by something instead")
    })
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{Field, Schema};
    use datafusion::physical_expr::{LexOrdering, PhysicalSortExpr, expressions::col};

    use super::*;

    #[test]
    fn a_sort_that_keeps_no_row_is_nothing() {
        let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
        let by = PhysicalSortExpr::new_default(col("n", &schema).expect("it has the column"));
        let sort = |fetch| {
            let input = Arc::new(EmptyExec::new(Arc::clone(&schema)));
            let sort = SortExec::new(LexOrdering::new([by.clone()]).expect("it is by one column"), input);
            yielding(Arc::new(sort.with_fetch(fetch))).expect("it can be changed")
        };
        assert!(sort(Some(0)).is::<EmptyExec>());
        assert!(sort(Some(1)).is::<SortExec>() && sort(None).is::<SortExec>());
    }
}
