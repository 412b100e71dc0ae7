//! Questions for the newest rows: what is read first, so that little else is read. Changes no answer: it only says in which
//! order files and parts of them are looked at; who sorts them leaves out what comes too late.

use std::sync::Arc;

use arrow::compute::SortOptions;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use datafusion::physical_expr::PhysicalSortExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::{ExecutionPlan, SortOrderPushdownResult};
use weir_store::BLOCK_ROWS;

use crate::table::{Part, ScannedTable};

/// The first steps into a segment have so many rows.
const STEP_ROWS: usize = 2 * BLOCK_ROWS;
/// So many steps are alike; each further one is half as large again: what is read in vain is a part of what was read before.
const ALIKE: usize = 4;
/// The first of the large steps has so many rows; each further one is three times as large again.
pub(crate) const LARGE_STEP_ROWS: usize = 4 * STEP_ROWS;
/// So many of the newest segments are read in steps.
const STEPPED_MAX: usize = 2;
/// A segment of fewer rows is read at once.
const STEPPED_ROWS_MIN: u64 = 4 * STEP_ROWS as u64;

/// How the newest rows of a table are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Newest {
    /// Step by step into the newest segments: nobody knows how far back they reach.
    InSteps,
    /// The same in larger steps, for columns that cost less to read than a step costs to begin.
    InLargeSteps,
    /// Segment by segment: how old they are will be known when rows are read.
    Known,
}

/// The plan with scans that know that the newest rows are wanted first; whether there are any.
///
/// Whoever runs it should keep the newest of all threads together: threads that each look for as many for themselves read that
/// many times as much.
pub(crate) fn newest_first(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_down_with_subqueries(|node| {
        let LogicalPlan::Sort(sort) = &node else { return Ok(Transformed::no(node)) };
        let first = sort.expr.first().filter(|first| sort.fetch.is_some() && !first.asc);
        let Some(Expr::Column(column)) = first.map(|first| &first.expr) else { return Ok(Transformed::no(node)) };
        let name = column.name.clone();
        let input = mark(sort.input.as_ref().clone(), &name)?;
        if !input.transformed {
            return Ok(Transformed::no(node));
        }
        let mut sort = sort.clone();
        sort.input = Arc::new(input.data);
        Ok(Transformed::new(LogicalPlan::Sort(sort), true, TreeNodeRecursion::Jump))
    })
}

/// Marks the scans of tables with event times in `time` that lie below nothing but filters, projections and unions.
fn mark(plan: LogicalPlan, time: &str) -> Result<Transformed<LogicalPlan>> {
    plan.transform_down(|node| match &node {
        LogicalPlan::Filter(_) | LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) | LogicalPlan::Union(_) => {
            Ok(Transformed::no(node))
        }
        LogicalPlan::TableScan(scan) => Ok(match marked(scan, time) {
            Some(scan) => Transformed::yes(LogicalPlan::TableScan(scan)),
            None => Transformed::no(node),
        }),
        _ => Ok(Transformed::new(node, false, TreeNodeRecursion::Jump)),
    })
}

/// `scan` if its rows have their event times in `time`, looking for the newest first.
fn marked(scan: &TableScan, time: &str) -> Option<TableScan> {
    let table = ScannedTable::of(scan)?;
    let is_by_time = table.table.time_column.as_deref() == Some(time) && scan.fetch.is_none();
    is_by_time.then(|| looking(scan, table, Newest::InSteps))
}

/// `scan` of `table`, looking for the newest rows in this way.
fn looking(scan: &TableScan, table: ScannedTable, newest: Newest) -> TableScan {
    TableScan { source: ScannedTable { newest: Some(newest), ..table }.into_source(), ..scan.clone() }
}

/// The plan with scans that will know how old the newest rows are before they read any.
pub(crate) fn once_known(plan: LogicalPlan) -> Result<LogicalPlan> {
    let known = plan.transform_down_with_subqueries(|node| {
        let LogicalPlan::TableScan(scan) = &node else { return Ok(Transformed::no(node)) };
        Ok(match ScannedTable::of(scan).filter(|table| table.newest.is_some()) {
            Some(table) => Transformed::yes(LogicalPlan::TableScan(looking(scan, table, Newest::Known))),
            None => Transformed::no(node),
        })
    });
    Ok(known?.data)
}

/// `parts`, of which the newest are first, with the first of them taken apart: each step with how many come before it in
/// its segment.
pub(crate) fn in_steps<'a>(parts: &[Part<'a>], are_large: bool) -> Vec<(Part<'a>, usize)> {
    let first = if are_large { LARGE_STEP_ROWS } else { STEP_ROWS };
    let (mut steps, mut stepped) = (Vec::with_capacity(parts.len()), 0);
    for (segment, rows) in parts {
        // The end of an object in a bucket would be fetched for every step.
        if stepped == STEPPED_MAX || segment.rows < STEPPED_ROWS_MIN || segment.remote.is_some() {
            steps.push(((*segment, rows.clone()), 0));
            continue;
        }
        stepped += 1;
        let all = usize::try_from(segment.rows).unwrap_or(usize::MAX);
        let (mut to, mut size, mut before) = (all, first, 0);
        while to > 0 {
            let from = if to < 2 * size { 0 } else { to - size };
            let step = span(from, to, all);
            let step = rows.as_ref().map_or_else(|| step.clone(), |rows| rows.intersection(&step));
            if step.selects_any() {
                steps.push(((*segment, Some(step)), before));
            }
            (to, before) = (from, before + 1);
            size = match are_large {
                true => 4 * size,
                false if before < ALIKE => size,
                false => (size + size / 2).next_multiple_of(BLOCK_ROWS),
            };
        }
    }
    steps
}

/// The rows from `from` to before `to`.
fn span(from: usize, to: usize, all: usize) -> RowSelection {
    let parts = [RowSelector::skip(from), RowSelector::select(to - from), RowSelector::skip(all - to)];
    parts.into_iter().filter(|part| part.row_count > 0).collect::<Vec<_>>().into()
}

/// `scan` with the last parts of each file first.
pub(crate) fn backwards(scan: &Arc<dyn ExecutionPlan>, time: &str) -> Result<Arc<dyn ExecutionPlan>> {
    let Ok(at) = scan.schema().index_of(time) else { return Ok(Arc::clone(scan)) };
    let options = SortOptions { descending: true, nulls_first: true };
    let order = [PhysicalSortExpr::new(Arc::new(Column::new(time, at)), options)];
    Ok(match scan.try_pushdown_sort(&order)? {
        SortOrderPushdownResult::Inexact { inner } => inner,
        SortOrderPushdownResult::Exact { .. } | SortOrderPushdownResult::Unsupported => Arc::clone(scan),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Stage, many};

    #[test]
    fn steps_into_a_segment_are_all_its_rows_and_the_last_come_first() {
        let stage = Stage::new();
        let mut segment = stage.segment("a", &many(0, 10));
        segment.rows = 1_000_001;
        let picked: RowSelection =
            vec![RowSelector::skip(5), RowSelector::select(20), RowSelector::skip(999_976)].into();
        let small = stage.segment("b", &many(0, 10));
        let parts = [(&segment, None), (&small, None), (&segment, Some(picked)), (&segment, None)];
        let steps = in_steps(&parts, false);
        let rows = |(part, _): &(Part<'_>, usize)| part.1.as_ref().map(RowSelection::row_count);
        let first: Vec<_> = steps.iter().map(rows).take(6).collect();
        assert_eq!(first, [STEP_ROWS, STEP_ROWS, STEP_ROWS, STEP_ROWS, 3 * BLOCK_ROWS, 5 * BLOCK_ROWS].map(Some));
        let whole =
            steps.iter().take_while(|step| rows(step).is_some()).map(|step| rows(step).unwrap_or(0)).sum::<usize>();
        assert_eq!(whole, 1_000_001);
        let behind: Vec<_> = steps.iter().skip_while(|step| rows(step).is_some()).map(rows).collect();
        assert_eq!(behind, [None, Some(20), None], "the small one, what was picked, and one too many");
        let large: Vec<_> = in_steps(&parts[..1], true).iter().map(rows).collect();
        let first = LARGE_STEP_ROWS;
        let last = 1_000_001 - 5 * first;
        assert_eq!(large, [first, 4 * first, last].map(Some), "few steps, which are all rows");
    }
}
