//! Puts rollups in the place of rows: partial results of both, put together by one more aggregate.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::{MemTable, provider_as_source};
use datafusion::error::Result;
use datafusion::functions::expr_fn::coalesce;
use datafusion::functions_aggregate::expr_fn::{count, max, min, sum};
use datafusion::logical_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, cast, lit};
use datafusion::prelude::ident;
use datafusion::scalar::ScalarValue;
use weir_store::TokenIndex;
use weir_store::rollups::{BUCKET, ROWS, Rollup, count_column, max_column, min_column, sketch_column, sum_column};

use super::asked::{Asked, Part};
use super::sketches::{quantile_of, sketch_of, sketch_of_sketches};
use crate::abreast::Threads;
use crate::snapshot::Segment;
use crate::table::ScannedTable;

/// The plan with rollups where they answer, if there is any such place; what they answer is said to the scans of the table.
pub(crate) fn from_rollups(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let changed = plan.clone().transform_down(|node| match &node {
        LogicalPlan::Aggregate(aggregate) => Ok(match answered(aggregate)? {
            Some(answered) => Transformed::new(answered, true, TreeNodeRecursion::Jump),
            None => Transformed::no(node),
        }),
        _ => Ok(Transformed::no(node)),
    })?;
    Ok(changed.transformed.then_some(changed.data))
}

fn answered(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    let Some(asked) = Asked::of(aggregate) else { return Ok(None) };
    let Some(chosen) = Chosen::of(&asked) else { return Ok(None) };
    asked.table.scans.say(chosen.said(&asked));
    let mut all = from_groups(&asked, &chosen)?;
    for (table, range) in chosen.rows(&asked) {
        all = LogicalPlanBuilder::from(all).union(from_rows(&asked, table, range)?)?.build()?;
    }
    put_together(&asked, all, aggregate).map(Some)
}

/// The rollup that answers, and what it has of each segment.
struct Chosen {
    rollup: Rollup,
    covered: BTreeMap<PathBuf, RecordBatch>,
    /// The spans that are answered begin here, and end before `to`; `None` for no limit.
    from: Option<i64>,
    to: Option<i64>,
}

/// So many groups are read for one answer, at most: they are in memory all at once.
const GROUPS_READ_MAX: u64 = 1 << 20;
/// The same of groups with their sketches, which are some hundred bytes each.
const SKETCHES_READ_MAX: u64 = 1 << 18;

/// Whether so many groups may be read for one answer.
fn is_bounded(groups: u64, with_sketches: bool) -> bool {
    groups <= if with_sketches { SKETCHES_READ_MAX } else { GROUPS_READ_MAX }
}

/// A rollup that could answer.
struct Candidate<'a> {
    rollup: Rollup,
    /// The segments that have it, their indexes, and its place in them.
    segments: Vec<(&'a Segment, Arc<TokenIndex>, usize)>,
    /// How many groups they have.
    groups: u64,
    /// How many groups and rows would be read.
    left: u64,
}

impl Candidate<'_> {
    /// Whether it has the groups of `segment` already.
    fn is_of(&self, segment: &Segment) -> bool {
        self.segments.last().is_some_and(|(last, ..)| last.path == segment.path)
    }
}

/// Whether `rollup` is the same of another segment.
fn is_like(known: &Candidate<'_>, rollup: &Rollup) -> bool {
    known.rollup.every_us == rollup.every_us && known.rollup.by == rollup.by
}

/// The rollups that could answer for some of `segments`.
fn candidates<'a>(asked: &Asked, segments: &[&'a Segment]) -> Vec<Candidate<'a>> {
    let rows: u64 = segments.iter().map(|segment| segment.rows).sum();
    let mut candidates: Vec<Candidate<'a>> = Vec::new();
    let all = asked.table.indexes.threads_for(segments).map(segments, |segment| {
        let Some(index) = asked.table.indexes.index(segment)? else { return Ok(None) };
        let listed = index.rollups()?;
        Ok(Some((index, listed)))
    });
    for (&segment, listed) in segments.iter().zip(all) {
        let listed = listed.inspect_err(|fault| asked.table.unread(segment, fault));
        let Ok(Some((index, listed))) = listed else { continue };
        for (at, (rollup, groups, has_sketches)) in listed.into_iter().enumerate() {
            if !answers(&rollup, asked) || (asked.needs_sketches() && !has_sketches) {
                continue;
            }
            if candidates.iter().any(|known| is_like(known, &rollup) && known.is_of(segment)) {
                continue;
            }
            let cost = groups + edge_rows(segment, &rollup, asked);
            match candidates.iter_mut().find(|known| is_like(known, &rollup)) {
                Some(known) => {
                    known.segments.push((segment, Arc::clone(&index), at));
                    known.groups += groups;
                    known.left = (known.left + cost).saturating_sub(segment.rows);
                }
                None => {
                    let left = (rows + cost).saturating_sub(segment.rows);
                    candidates.push(Candidate {
                        rollup,
                        segments: vec![(segment, Arc::clone(&index), at)],
                        groups,
                        left,
                    });
                }
            }
        }
    }
    candidates
}

impl Chosen {
    /// The rollup that leaves the fewest groups and rows to read; `None` when there is none, or it saves little.
    fn of(asked: &Asked) -> Option<Self> {
        let table = &asked.table;
        let segments: Vec<&Segment> =
            table.table.segments.iter().filter(|segment| asked.bounds.may_pass(segment.time_range)).collect();
        let rows: u64 = segments.iter().map(|segment| segment.rows).sum();
        let mut candidates = candidates(asked, &segments);
        candidates.retain(|candidate| is_bounded(candidate.groups, asked.needs_sketches()));
        let best = candidates.into_iter().min_by_key(|candidate| (candidate.left, candidate.rollup.by.len()))?;
        if best.left > rows / 2 {
            return None;
        }
        let mut covered = BTreeMap::new();
        let is_cold = |(_, index, at): &&(_, Arc<TokenIndex>, usize)| !index.has_in_memory(*at, asked.needs_sketches());
        let threads = Threads::to_wait_for(best.segments.iter().filter(is_cold));
        let all = threads.map(&best.segments, |(_, index, at)| index.rollup(*at, asked.needs_sketches()));
        for ((segment, ..), read) in best.segments.iter().zip(all) {
            match read {
                // One that has columns of other types than the table has now is left to its rows.
                Ok(groups) => {
                    covered.extend(narrowed(&groups, asked).map(|groups| (segment.path.clone(), groups)));
                }
                Err(fault) => asked.table.unread(segment, &fault),
            }
        }
        table.indexes.trim();
        let (from, to) = aligned(asked, best.rollup.every_us)?;
        Some(Self { rollup: best.rollup, covered, from, to })
    }

    fn said(&self, asked: &Asked) -> String {
        let groups: usize = self.covered.values().map(RecordBatch::num_rows).sum();
        let by = if self.rollup.by.is_empty() { "all rows".to_owned() } else { self.rollup.by.join(", ") };
        let (name, seconds) = (&asked.table.name, self.rollup.every_us / 1_000_000);
        format!(
            "{name}: answered by the rollup of {by} every {seconds} s, {groups} groups of {} segments",
            self.covered.len()
        )
    }

    /// Where rows are read all the same: parts of the table, each with the times that are meant.
    fn rows(&self, asked: &Asked) -> Vec<(ScannedTable, Option<Expr>)> {
        let time = asked.table.table.time_column.clone().unwrap_or_default();
        let instant = |micros| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
        let is_covered = |segment: &Segment| self.covered.contains_key(&segment.path);
        let mut parts = Vec::new();
        let others = asked.table.part(|segment| !is_covered(segment), true);
        if !others.table.segments.is_empty() || !others.table.fresh.is_empty() {
            parts.push((others, None));
        }
        let before = self.from.filter(|from| *from > asked.bounds.min).map(|from| ident(&time).lt(instant(from)));
        let after = self.to.filter(|to| to - 1 < asked.bounds.max).map(|to| ident(&time).gt_eq(instant(to)));
        for edge in [before, after].into_iter().flatten() {
            parts.push((asked.table.part(is_covered, false), Some(edge)));
        }
        parts
    }
}

fn answers(rollup: &Rollup, asked: &Asked) -> bool {
    asked.table.table.time_column.as_ref() == Some(&rollup.time)
        && asked.by.iter().all(|column| rollup.by.contains(column))
        && asked.measures.iter().all(|column| rollup.measures.contains(column))
        && asked.every_us % rollup.every_us == 0
        && aligned(asked, rollup.every_us).is_some()
}

/// Begin and end of the whole spans in the range that is asked for; `None` when there are none.
fn aligned(asked: &Asked, every: i64) -> Option<(Option<i64>, Option<i64>)> {
    let from = match asked.bounds.min {
        i64::MIN => None,
        min => Some(min.checked_add(every - 1)?.div_euclid(every) * every),
    };
    let to = match asked.bounds.max {
        i64::MAX => None,
        max => Some(max.checked_add(1)?.div_euclid(every) * every),
    };
    from.zip(to).is_none_or(|(from, to)| from < to).then_some((from, to))
}

/// About how many rows of a segment lie in the cut spans at the ends of the range.
fn edge_rows(segment: &Segment, rollup: &Rollup, asked: &Asked) -> u64 {
    let (Some((first, last)), Some((from, to))) = (segment.time_range, aligned(asked, rollup.every_us)) else {
        return 0;
    };
    let overlap = |low: i64, high: i64| (i128::from(high.min(last)) - i128::from(low.max(first)) + 1).max(0);
    let before = from.map_or(0, |from| overlap(asked.bounds.min, from - 1));
    let after = to.map_or(0, |to| overlap(to, asked.bounds.max));
    let span = i128::from(last) - i128::from(first) + 1;
    u64::try_from(i128::from(segment.rows) * (before + after) / span.max(1)).unwrap_or(segment.rows)
}

fn key(at: usize) -> String {
    format!("#key {at}")
}

fn partial(at: usize) -> String {
    format!("#part {at}")
}

fn partial_count(at: usize) -> String {
    format!("#part {at} count")
}

/// The partial results of rows, for each part: an aggregate of its own, and for averages one more.
fn of_rows(parts: &[Part]) -> Vec<Expr> {
    let mut exprs = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        let this = |name: &String| ident(name.as_str());
        exprs.push(match part {
            Part::Rows => count(lit(1_i64)),
            Part::Count(name) => count(this(name)),
            Part::Sum(name) => sum(this(name)),
            Part::Avg(name) => sum(cast(this(name), DataType::Float64)),
            Part::Min(name) => min(this(name)),
            Part::Max(name) => max(this(name)),
            Part::Percentile(name, _) => sketch_of(this(name)),
        });
        let last = exprs.pop().map(|expr| expr.alias(partial(at)));
        exprs.extend(last);
        if let Part::Avg(name) = part {
            exprs.push(count(this(name)).alias(partial_count(at)));
        }
    }
    exprs
}

/// The same of groups.
fn of_groups(parts: &[Part]) -> Vec<Expr> {
    let mut exprs = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        exprs.push(match part {
            Part::Rows => sum(ident(ROWS)).alias(partial(at)),
            Part::Count(name) => sum(ident(count_column(name))).alias(partial(at)),
            Part::Sum(name) => sum(ident(sum_column(name))).alias(partial(at)),
            Part::Avg(name) => sum(cast(ident(sum_column(name)), DataType::Float64)).alias(partial(at)),
            Part::Min(name) => min(ident(min_column(name))).alias(partial(at)),
            Part::Max(name) => max(ident(max_column(name))).alias(partial(at)),
            Part::Percentile(name, _) => sketch_of_sketches(ident(sketch_column(name))).alias(partial(at)),
        });
        if let Part::Avg(name) = part {
            exprs.push(sum(ident(count_column(name))).alias(partial_count(at)));
        }
    }
    exprs
}

fn from_groups(asked: &Asked, chosen: &Chosen) -> Result<LogicalPlan> {
    let batches = chosen.covered.values().cloned().collect();
    let table = MemTable::try_new(Arc::new(groups_schema(asked)), vec![batches])?;
    let instant = |micros| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
    let mut conditions = asked.by_value.clone();
    conditions.extend(chosen.from.map(|from| ident(BUCKET).gt_eq(instant(from))));
    conditions.extend(chosen.to.map(|to| ident(BUCKET).lt(instant(to))));
    if !asked.bounds.null_passes {
        conditions.push(ident(BUCKET).is_not_null());
    }
    let mut plan = LogicalPlanBuilder::scan(asked.relation.clone(), provider_as_source(Arc::new(table)), None)?;
    if let Some(condition) = conditions.into_iter().reduce(Expr::and) {
        plan = plan.filter(condition)?;
    }
    let keys = asked.group.iter().enumerate().map(|(at, expr)| Ok(asked.over_buckets(expr)?.alias(key(at))));
    plan.aggregate(keys.collect::<Result<Vec<_>>>()?, of_groups(&asked.parts))?.build()
}

/// The columns of groups, in the types that the table has.
fn groups_schema(asked: &Asked) -> Schema {
    let kind = |name: &String| {
        asked.table.table.schema.field_with_name(name).map_or(DataType::Null, |field| field.data_type().clone())
    };
    let utc = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()));
    let mut fields = vec![Field::new(BUCKET, utc, true), Field::new(ROWS, DataType::Int64, true)];
    fields.extend(asked.by.iter().map(|name| Field::new(name, kind(name), true)));
    for measure in &asked.measures {
        fields.push(Field::new(count_column(measure), DataType::Int64, true));
        let numbers = [sum_column(measure), min_column(measure), max_column(measure)];
        fields.extend(numbers.map(|name| Field::new(name, kind(measure), true)));
    }
    let sketched = asked.measures.iter().filter(|measure| has_percentile(asked, measure));
    fields.extend(sketched.map(|measure| Field::new(sketch_column(measure), DataType::Binary, true)));
    Schema::new(fields)
}

fn has_percentile(asked: &Asked, measure: &str) -> bool {
    asked.parts.iter().any(|part| matches!(part, Part::Percentile(name, _) if name == measure))
}

/// The columns that are asked for; `None` when one is not there, or not of a type that becomes the table's.
fn narrowed(groups: &RecordBatch, asked: &Asked) -> Option<RecordBatch> {
    let schema = groups_schema(asked);
    let column = |field: &Arc<Field>| {
        let column = groups.column_by_name(field.name())?;
        if column.data_type() == field.data_type() {
            return Some(Arc::clone(column));
        }
        let widens = (column.data_type(), field.data_type()) == (&DataType::Int64, &DataType::Float64);
        widens.then(|| arrow::compute::cast(column, field.data_type()).ok()).flatten()
    };
    let columns = schema.fields().iter().map(column).collect::<Option<Vec<_>>>()?;
    RecordBatch::try_new(Arc::new(schema), columns).ok()
}

fn from_rows(asked: &Asked, table: ScannedTable, range: Option<Expr>) -> Result<LogicalPlan> {
    let mut plan = LogicalPlanBuilder::scan(asked.relation.clone(), table.into_source(), None)?;
    if let Some(condition) = asked.predicates.iter().cloned().chain(range).reduce(Expr::and) {
        plan = plan.filter(condition)?;
    }
    let keys = asked.group.iter().enumerate().map(|(at, expr)| expr.clone().alias(key(at)));
    plan.aggregate(keys.collect::<Vec<_>>(), of_rows(&asked.parts))?.build()
}

/// The results, under the names that the rest of the plan knows.
fn put_together(asked: &Asked, partials: LogicalPlan, aggregate: &Aggregate) -> Result<LogicalPlan> {
    let mut finals = Vec::new();
    for (at, part) in asked.parts.iter().enumerate() {
        let this = ident(partial(at));
        finals.push(match part {
            Part::Rows | Part::Count(_) | Part::Sum(_) | Part::Avg(_) => sum(this).alias(partial(at)),
            Part::Min(_) => min(this).alias(partial(at)),
            Part::Max(_) => max(this).alias(partial(at)),
            Part::Percentile(..) => sketch_of_sketches(this).alias(partial(at)),
        });
        if let Part::Avg(_) = part {
            finals.push(sum(ident(partial_count(at))).alias(partial_count(at)));
        }
    }
    let keys: Vec<Expr> = (0..asked.group.len()).map(|at| ident(key(at))).collect();
    let plan = LogicalPlanBuilder::from(partials).aggregate(keys, finals)?;
    let results = asked.parts.iter().enumerate().map(|(at, part)| match part {
        Part::Rows | Part::Count(_) => coalesce(vec![ident(partial(at)), lit(0_i64)]),
        Part::Sum(_) | Part::Min(_) | Part::Max(_) => ident(partial(at)),
        Part::Avg(_) => ident(partial(at)) / cast(ident(partial_count(at)), DataType::Float64),
        Part::Percentile(_, quantile) => quantile_of(ident(partial(at)), *quantile),
    });
    let columns = (0..asked.group.len()).map(|at| ident(key(at))).chain(results);
    let named = columns.zip(aggregate.schema.iter());
    let named = named.map(|(expr, (relation, field))| expr.alias_qualified(relation.cloned(), field.name()));
    plan.project(named.collect::<Vec<_>>())?.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_do_not_fit_into_memory_are_left_to_the_rows() {
        assert!(is_bounded(GROUPS_READ_MAX, false) && !is_bounded(GROUPS_READ_MAX + 1, false));
        assert!(is_bounded(SKETCHES_READ_MAX, true) && !is_bounded(SKETCHES_READ_MAX + 1, true));
    }
}
