//! Questions for the newest rows of many columns: from the columns that say which rows these are it is found out first how old
//! the oldest of them is; then rows that are no older are read, with all their columns. Changes no answer.
//!
//! Rows that are wanted lie scattered, so each costs its pages of every column, and whoever looks for them reads ahead in vain.
//! Reading the other columns late saves that: Abadi et al., Materialization Strategies in a Column-Oriented DBMS, ICDE 2007.

mod exec;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNode;
use datafusion::error::Result;
use datafusion::logical_expr::{
    Expr, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Sort, TableScan, TableScanBuilder,
};

pub(crate) use exec::after_times;

use crate::caseless::WHOLE_VALUE;
use crate::newest::Newest;
use crate::table::ScannedTable;

/// Of more rows the times are not looked up first.
const ROWS_MAX: usize = 10_000;
/// As many columns must be left for later.
const LATER_MIN: usize = 4;

/// What is asked before the question.
#[derive(Debug)]
pub(crate) struct Late {
    /// The times of the newest rows, as many as are wanted: one column.
    pub(crate) times: LogicalPlan,
    /// How many are wanted.
    pub(crate) fetch: usize,
    /// What `EXPLAIN` says of it.
    pub(crate) said: String,
}

/// What to ask before `plan`, whose scans know that the newest rows are wanted first; `None` where that would not help.
pub(crate) fn times_of_newest(plan: &LogicalPlan) -> Result<Option<Late>> {
    let sort = match plan {
        LogicalPlan::Sort(sort) => sort,
        LogicalPlan::Explain(explain) => return times_of_newest(&explain.plan),
        LogicalPlan::Analyze(analyze) => return times_of_newest(&analyze.input),
        LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Limit(_) => {
            return plan.inputs().first().map_or(Ok(None), |input| times_of_newest(input));
        }
        _ => return Ok(None),
    };
    let (Some(fetch), Some(first)) = (sort.fetch.filter(|fetch| (1..=ROWS_MAX).contains(fetch)), sort.expr.first())
    else {
        return Ok(None);
    };
    let Some(below) = column_of(&first.expr).and_then(|time| rows_below(sort, time)) else { return Ok(None) };
    let Some((narrow, time, said)) = narrowed(&below, fetch) else { return Ok(None) };
    let mut times = LogicalPlan::TableScan(narrow);
    for condition in below.conditions.into_iter().rev() {
        times = LogicalPlan::Filter(Filter::try_new(condition.clone(), Arc::new(times))?);
    }
    let order = time.clone().sort(first.asc, first.nulls_first);
    let times = LogicalPlanBuilder::from(times).project([time])?.sort_with_limit([order], Some(fetch))?.build()?;
    Ok(Some(Late { times, fetch, said }))
}

fn column_of(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Column(column) => Some(column.name.clone()),
        Expr::Alias(alias) => column_of(&alias.expr),
        _ => None,
    }
}

/// What lies below a sort by time.
struct Below<'a> {
    scan: &'a TableScan,
    table: ScannedTable,
    conditions: Vec<&'a Expr>,
    /// The column of the table in which the times are.
    time: String,
}

/// The scan of which `sort` puts rows into the order of the column `time`, as the sort calls it.
fn rows_below(sort: &Sort, mut time: String) -> Option<Below<'_>> {
    let mut plan = sort.input.as_ref();
    let mut conditions = Vec::new();
    loop {
        match plan {
            LogicalPlan::SubqueryAlias(alias) if conditions.is_empty() => plan = &alias.input,
            LogicalPlan::Projection(projection) if conditions.is_empty() => {
                let is_it = |field: &&Expr| {
                    field.schema_name().to_string() == time || field.name_for_alias().ok().as_deref() == Some(&time)
                };
                time = projection.expr.iter().find(is_it).and_then(column_of)?;
                plan = &projection.input;
            }
            LogicalPlan::Filter(filter) => {
                conditions.push(&filter.predicate);
                plan = &filter.input;
            }
            LogicalPlan::TableScan(scan) => {
                let table = ScannedTable::of(scan)?;
                let is_by_time =
                    table.newest == Some(Newest::InSteps) && table.table.time_column.as_deref() == Some(&time);
                return is_by_time.then_some(Below { scan, table, conditions, time });
            }
            _ => return None,
        }
    }
}

/// The scan of nothing but the time and what the conditions ask for; the time; what is to be said.
fn narrowed(below: &Below<'_>, fetch: usize) -> Option<(TableScan, Expr, String)> {
    let Below { scan, table, conditions, time } = below;
    let schema = &table.table.schema;
    // What scans are told is a part of these, perhaps in other words.
    if !conditions.iter().all(|condition| compares_values(condition)) {
        return None;
    }
    let all = conditions.iter().copied().chain(&scan.filters);
    let asked = all.flat_map(|condition| condition.column_refs().into_iter().map(|column| column.name.clone()));
    let names: BTreeSet<String> = asked.chain([time.clone()]).collect();
    let columns =
        names.iter().map(|name| schema.index_of(name)).collect::<std::result::Result<BTreeSet<_>, _>>().ok()?;
    if scan.projected_schema.fields().len() < columns.len() + LATER_MIN {
        return None;
    }
    let columns = columns.into_iter().collect();
    let source = ScannedTable { newest: Some(Newest::InLargeSteps), ..table.clone() }.into_source();
    let narrow = TableScanBuilder::new(scan.table_name.clone(), source);
    let narrow = narrow.with_projection(Some(columns)).with_filters(scan.filters.clone()).build().ok()?;
    let field = narrow.projected_schema.qualified_field_with_unqualified_name(time).ok()?;
    let time = Expr::Column(field.into());
    let names: Vec<String> = names.into_iter().collect();
    let said = format!(
        "{}: first {} of the {fetch} newest rows, then all columns of rows no older",
        table.name,
        names.join(", ")
    );
    Some((narrow, time, said))
}

/// Whether a condition compares whole values, which is cheap beside reading other columns: it looks for no part of a text.
fn compares_values(condition: &Expr) -> bool {
    let searches = |part: &Expr| {
        let is_search = matches!(
            part,
            Expr::Like(_) | Expr::SimilarTo(_) | Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_)
        );
        let by_pattern = |operator: &Operator| {
            use Operator::{
                ILikeMatch, LikeMatch, NotILikeMatch, NotLikeMatch, RegexIMatch, RegexMatch, RegexNotIMatch,
                RegexNotMatch,
            };
            matches!(
                operator,
                ILikeMatch
                    | LikeMatch
                    | NotILikeMatch
                    | NotLikeMatch
                    | RegexIMatch
                    | RegexMatch
                    | RegexNotIMatch
                    | RegexNotMatch
            )
        };
        is_search
            || matches!(part, Expr::BinaryExpr(binary) if by_pattern(&binary.op))
            || matches!(part, Expr::ScalarFunction(call) if call.func.name() != WHOLE_VALUE)
    };
    !condition.exists(|part| Ok(searches(part))).unwrap_or(true)
}
