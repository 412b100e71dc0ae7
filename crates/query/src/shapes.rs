//! Conditions on texts that the shapes of a segment answer row by row: where they do, exactly those rows are read, and the
//! text itself only if it is asked for. Where they do not, everything stays as it was; changes no answer.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::common::Column;
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Like, ScalarFunction};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Operator, TableScan};
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use datafusion::prelude::ident;
use weir_store::{Form, IndexFault};

use crate::needle::text_of;
use crate::prune::TimeBounds;
use crate::snapshot::Segment;
use crate::table::ScannedTable;
use crate::words;

/// More rows of a segment than one in so many are not picked one by one.
const PICKED: u64 = 8;

/// The rows of segments that are read, by the path of the segment; of others all are.
pub(crate) type Picked = BTreeMap<PathBuf, RowSelection>;

/// The plan with the rows picked that fulfil conditions on texts, if there is any such place.
pub(crate) fn by_shapes(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let changed = plan.clone().transform_down_with_subqueries(|node| match &node {
        LogicalPlan::Filter(filter) => Ok(match picked(filter)? {
            Some(picked) => Transformed::new(picked, true, TreeNodeRecursion::Jump),
            None => Transformed::no(node),
        }),
        _ => Ok(Transformed::no(node)),
    })?;
    Ok(changed.transformed.then_some(changed.data))
}

/// What the shapes of one segment say.
struct Found {
    /// The rows that fulfil all conditions that have a form; these, and perhaps others.
    rows: Vec<u32>,
    is_exact: bool,
}

fn picked(filter: &Filter) -> Result<Option<LogicalPlan>> {
    let LogicalPlan::TableScan(scan @ TableScan { fetch: None, .. }) = filter.input.as_ref() else { return Ok(None) };
    let Some(table) = scanned(scan) else { return Ok(None) };
    let conditions = split_conjunction(&filter.predicate);
    let forms: Vec<(&str, Form)> = conditions.iter().filter_map(|condition| form(condition)).collect();
    if forms.is_empty() {
        return Ok(None);
    }
    let filters: Vec<Expr> = conditions.iter().map(|condition| (*condition).clone()).collect();
    let bounds = table.table.time_column.as_deref().map(|column| TimeBounds::of(&filters, column));
    let passes = |segment: &Segment| bounds.is_none_or(|bounds| bounds.may_pass(segment.time_range));
    let (mut exact, mut narrowed) = (Picked::new(), Picked::new());
    let segments: Vec<&Segment> = table.table.segments.iter().filter(|segment| passes(segment)).collect();
    let all = table.indexes.threads_for(&segments).map(&segments, |segment| found(&table, segment, &forms));
    for (segment, found) in segments.into_iter().zip(all) {
        match found {
            Ok(Some(Found { rows, is_exact })) if rows.len() as u64 <= segment.rows / PICKED => {
                let kept = if is_exact { &mut exact } else { &mut narrowed };
                kept.insert(segment.path.clone(), selection(&rows, segment.rows));
            }
            Ok(_) => {}
            Err(fault) => {
                table.unread(segment, &fault);
            }
        }
    }
    table.indexes.trim();
    if exact.is_empty() && narrowed.is_empty() {
        return Ok(None);
    }
    let others = filters.iter().filter(|condition| form(condition).is_none()).cloned();
    let others: Vec<Expr> = others.collect();
    let parts = Parts { scan, table: &table };
    let mut plans = Vec::new();
    if !exact.is_empty() {
        let mut known = table.part(|segment| !passes(segment) || exact.contains_key(&segment.path), false);
        known.picked = Some(Arc::new(exact.clone()));
        plans.push(parts.plan(known, &others)?);
    }
    let is_left = |segment: &Segment| match plans.is_empty() {
        true => true,
        false => passes(segment) && !exact.contains_key(&segment.path),
    };
    let mut rest = table.part(is_left, true);
    if plans.is_empty() || !rest.table.segments.is_empty() || !rest.table.fresh.is_empty() {
        rest.picked = Some(Arc::new(narrowed));
        plans.push(parts.plan(rest, &filters)?);
    }
    parts.together(plans).map(Some)
}

fn scanned(scan: &TableScan) -> Option<ScannedTable> {
    // What is picked already is not picked again.
    ScannedTable::of(scan).filter(|table| table.picked.is_none())
}

/// What the shapes of `segment` say about all `forms`; `None` when one of them is not known.
fn found(
    table: &ScannedTable,
    segment: &Segment,
    forms: &[(&str, Form)],
) -> std::result::Result<Option<Found>, IndexFault> {
    let Some(index) = table.indexes.index(segment)? else { return Ok(None) };
    let mut found: Option<Found> = None;
    for (column, form) in forms {
        let Some(rows) = index.rows_with(column, form)? else { return Ok(None) };
        found = Some(match found {
            None => Found { rows: rows.rows, is_exact: rows.is_exact },
            Some(mut found) => {
                found.rows.retain(|row| rows.rows.binary_search(row).is_ok());
                Found { is_exact: found.is_exact && rows.is_exact, ..found }
            }
        });
    }
    Ok(found)
}

/// These rows of so many.
fn selection(rows: &[u32], all: u64) -> RowSelection {
    let mut selectors: Vec<RowSelector> = Vec::with_capacity(rows.len() * 2);
    let mut at = 0;
    for run in rows.chunk_by(|one, next| *next == one + 1) {
        let first = run[0] as usize;
        if first > at {
            selectors.push(RowSelector::skip(first - at));
        }
        selectors.push(RowSelector::select(run.len()));
        at = first + run.len();
    }
    let all = usize::try_from(all).unwrap_or(usize::MAX);
    if all > at {
        selectors.push(RowSelector::skip(all - at));
    }
    selectors.into()
}

/// Makes plans in the place of a filtered scan.
struct Parts<'a> {
    scan: &'a TableScan,
    table: &'a ScannedTable,
}

impl Parts<'_> {
    /// The rows of `table` that fulfil `conditions`, in the columns of the scan.
    fn plan(&self, table: ScannedTable, conditions: &[Expr]) -> Result<LogicalPlan> {
        let mut plan = LogicalPlanBuilder::scan(self.scan.table_name.clone(), table.into_source(), None)?;
        if let Some(condition) = conditions.iter().cloned().reduce(Expr::and) {
            plan = plan.filter(condition)?;
        }
        let columns = self.scan.projected_schema.fields().iter().map(|field| ident(field.name().as_str()));
        plan.project(columns.collect::<Vec<_>>())?.build()
    }

    /// All rows, under the names that the rest of the plan knows.
    fn together(&self, plans: Vec<LogicalPlan>) -> Result<LogicalPlan> {
        let mut plans = plans.into_iter();
        let first = plans.next().expect("there is one plan at least");
        let plan = plans.try_fold(LogicalPlanBuilder::from(first), |all, next| all.union(next))?;
        let names = self.scan.projected_schema.iter();
        let columns = plan.schema().columns();
        let named = columns.into_iter().zip(names).map(|(column, (relation, field)): (Column, _)| {
            Expr::Column(column).alias_qualified(relation.cloned(), field.name())
        });
        let named = named.collect::<Vec<_>>();
        debug_assert_eq!(named.len(), self.scan.projected_schema.fields().len(), "{}", self.table.name);
        plan.project(named)?.build()
    }
}

/// The column of texts that a condition is about, and what they must be like.
fn form(condition: &Expr) -> Option<(&str, Form)> {
    match condition {
        Expr::Alias(alias) => form(&alias.expr),
        Expr::Like(Like { negated: false, expr, pattern, escape_char, case_insensitive }) => {
            Some((column_of(expr)?, like(text_of(pattern)?, escape_char.unwrap_or('\\'), *case_insensitive)?))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let form = match op {
                Operator::Eq => Form::of_parts(&[text_of(right)?.to_owned()], [true, true], false)?,
                Operator::LikeMatch => like(text_of(right)?, '\\', false)?,
                Operator::ILikeMatch => like(text_of(right)?, '\\', true)?,
                _ => return None,
            };
            Some((column_of(left)?, form))
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            let [column, asked] = args.as_slice() else { return None };
            let (column, asked) = (column_of(column)?, text_of(asked)?);
            let part = |ends| Form::of_parts(&[asked.to_owned()], ends, false);
            let form = match func.name() {
                "contains" => part([false, false])?,
                "starts_with" => part([true, false])?,
                "ends_with" => part([false, true])?,
                words::HAS_WORDS => Form::of_words(words::words(asked)),
                _ => return None,
            };
            Some((column, form))
        }
        _ => None,
    }
}

fn column_of(expression: &Expr) -> Option<&str> {
    match expression {
        Expr::Column(column) => Some(&column.name),
        _ => None,
    }
}

/// A text that is like `pattern`; `None` when a single character may be anything, which may be one of several digits.
fn like(pattern: &str, escape: char, ignores_case: bool) -> Option<Form> {
    let mut parts = vec![String::new()];
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => parts.push(String::new()),
            '_' => return None,
            c if c == escape => parts.last_mut()?.push(chars.next()?),
            c => parts.last_mut()?.push(c),
        }
    }
    let ends = [!parts.first()?.is_empty(), !parts.last()?.is_empty()];
    parts.retain(|part| !part.is_empty());
    // A pattern without `%` is the whole text; one of nothing else says nothing.
    if parts.is_empty() { None } else { Form::of_parts(&parts, ends, ignores_case) }
}

#[cfg(test)]
mod tests;
