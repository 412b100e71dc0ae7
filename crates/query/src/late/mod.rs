//! Questions for the newest rows of many columns: from the columns that say which rows these are it is found out first how old
//! the oldest of them is; then rows that are no older are read, with all their columns. Changes no answer.
//!
//! Rows that are wanted lie scattered, so each costs its pages of every column, and whoever looks for them reads ahead in vain.
//! Reading the other columns late saves that: Abadi et al., Materialization Strategies in a Column-Oriented DBMS, ICDE 2007.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::source_as_provider;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{
    Expr, Filter, LogicalPlan, LogicalPlanBuilder, Operator, Sort, TableScan, TableScanBuilder,
};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, DynamicFilterPhysicalExpr, Literal};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, collect};
use datafusion::scalar::ScalarValue;
use futures::{TryStreamExt, stream};

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
    let Some((conditions, scan)) = column_of(&first.expr).and_then(|time| rows_below(sort, &time)) else {
        return Ok(None);
    };
    let Some((narrow, time, said)) = narrowed(scan, &conditions, fetch) else { return Ok(None) };
    let mut times = LogicalPlan::TableScan(narrow);
    for condition in conditions.into_iter().rev() {
        times = LogicalPlan::Filter(Filter::try_new(condition.clone(), Arc::new(times))?);
    }
    let order = time.clone().sort(first.asc, first.nulls_first);
    let times = LogicalPlanBuilder::from(times).project([time])?.sort_with_limit([order], Some(fetch))?.build()?;
    Ok(Some(Late { times, said }))
}

fn column_of(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Column(column) => Some(column.name.clone()),
        Expr::Alias(alias) => column_of(&alias.expr),
        _ => None,
    }
}

/// The scan of which `sort` puts rows into the order of the column `time`, and the conditions on it.
fn rows_below<'a>(sort: &'a Sort, time: &str) -> Option<(Vec<&'a Expr>, &'a TableScan)> {
    let (mut plan, mut time) = (sort.input.as_ref(), time.to_owned());
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
                let provider = source_as_provider(&scan.source).ok()?;
                let table = provider.downcast_ref::<ScannedTable>()?;
                let is_by_time =
                    table.newest == Some(Newest::InSteps) && table.table.time_column.as_deref() == Some(&time);
                return is_by_time.then_some((conditions, scan));
            }
            _ => return None,
        }
    }
}

/// The scan of nothing but the time and what `conditions` ask for; the time; what is to be said.
fn narrowed(scan: &TableScan, conditions: &[&Expr], fetch: usize) -> Option<(TableScan, Expr, String)> {
    let provider = source_as_provider(&scan.source).ok()?;
    let table = provider.downcast_ref::<ScannedTable>()?;
    let time = table.table.time_column.clone()?;
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
    let field = narrow.projected_schema.qualified_field_with_unqualified_name(&time).ok()?;
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

/// `rows` with its sort of the newest rows told by `times`, which it waits for.
pub(crate) fn after_times(
    rows: Arc<dyn ExecutionPlan>,
    times: &Arc<dyn ExecutionPlan>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let told = rows.transform_down(|node| {
        let Some(sort) = node.downcast_ref::<SortExec>() else { return Ok(Transformed::no(node)) };
        let is_whole = sort.fetch().is_some() && sort.properties().partitioning.partition_count() == 1;
        if !is_whole || filter_of(sort).is_none() {
            return Ok(Transformed::new(node, false, TreeNodeRecursion::Stop));
        }
        let told = Arc::new(NewestExec { times: Arc::clone(times), rows: node });
        Ok(Transformed::new(told as Arc<dyn ExecutionPlan>, true, TreeNodeRecursion::Stop))
    });
    Ok(told?.data)
}

/// What a sort tells the scan below it: which rows come too late.
fn filter_of(sort: &SortExec) -> Option<Arc<dyn PhysicalExpr>> {
    sort.dynamic_expressions_produced().into_iter().find(|filter| filter.is::<DynamicFilterPhysicalExpr>())
}

/// Asks for the times of the newest rows, and then for rows that are no older than the oldest of them.
#[derive(Debug)]
struct NewestExec {
    times: Arc<dyn ExecutionPlan>,
    /// A sort that keeps as many rows.
    rows: Arc<dyn ExecutionPlan>,
}

impl NewestExec {
    /// Tells the sort what is found out.
    fn tell(&self, times: &[RecordBatch]) -> Result<()> {
        let Some(oldest) = oldest(times)? else { return Ok(()) };
        let Some(filter) = self.rows.downcast_ref::<SortExec>().and_then(filter_of) else { return Ok(()) };
        let (Some(filter), Some(&time)) =
            (filter.downcast_ref::<DynamicFilterPhysicalExpr>(), filter.children().first())
        else {
            return Ok(());
        };
        let oldest = Arc::new(Literal::new(oldest));
        filter.update(Arc::new(BinaryExpr::new(Arc::clone(time), Operator::GtEq, oldest)))
    }
}

/// The oldest of some times; `None` where one is not known, or there is none.
fn oldest(times: &[RecordBatch]) -> Result<Option<ScalarValue>> {
    let mut oldest: Option<(i64, Option<Arc<str>>)> = None;
    for batch in times {
        let column = batch.column(0);
        let Some(values) = column.as_primitive_opt::<TimestampMicrosecondType>() else {
            return Err(DataFusionError::Internal(format!("times of type {}", column.data_type())));
        };
        if values.null_count() > 0 {
            return Ok(None);
        }
        if let Some(least) = arrow::compute::min(values) {
            let least = oldest.map_or(least, |(oldest, _)| oldest.min(least));
            oldest = Some((least, values.timezone().map(Arc::from)));
        }
    }
    Ok(oldest.map(|(oldest, zone)| ScalarValue::TimestampMicrosecond(Some(oldest), zone)))
}

impl DisplayAs for NewestExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewestExec: times first")
    }
}

impl ExecutionPlan for NewestExec {
    fn name(&self) -> &'static str {
        "NewestExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.rows.properties()
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.times, &self.rows]
    }

    fn with_new_children(self: Arc<Self>, children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        let [times, rows] = <[Arc<dyn ExecutionPlan>; 2]>::try_from(children)
            .map_err(|children| DataFusionError::Internal(format!("{} children instead of two", children.len())))?;
        Ok(Arc::new(Self { times, rows }))
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let this = Self { times: Arc::clone(&self.times), rows: Arc::clone(&self.rows) };
        let rows = async move {
            let times = collect(Arc::clone(&this.times), Arc::clone(&context)).await?;
            this.tell(&times)?;
            this.rows.execute(partition, context)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream::once(rows).try_flatten())))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::testing::{Stage, ask, logs, logs_schema, many, shown};

    /// Whether the times of the newest rows are asked for first.
    fn is_late(stage: &Arc<Stage>, sql: &str) -> bool {
        shown(&stage.engine(), &format!("EXPLAIN {sql}")).contains(" newest rows, then all columns of rows no older")
    }

    fn stage() -> Arc<Stage> {
        let segments: Vec<_> = [0, 300, 100, 200].map(|from| many(from, 100)).into();
        let stage = Stage::with_logs(&segments, &[many(400, 7)]);
        // As wide as tables are.
        let mut fields: Vec<_> = logs_schema().fields().to_vec();
        fields.extend(["a", "b", "c"].map(|name| Arc::new(logs_schema().field(4).clone().with_name(name))));
        stage.change(|snapshot| {
            let table = snapshot.tables.get_mut("logs").expect("it is there");
            table.schema = Arc::new(arrow::datatypes::Schema::new(fields));
            let fresh = table.fresh.drain(..).map(|batch| weir_store::adapt(&batch, &table.schema).expect("it fits"));
            table.fresh = fresh.collect();
        });
        stage
    }

    #[test]
    fn the_newest_rows_are_the_same_whether_or_not_their_times_are_asked_for_first() {
        let stage = stage();
        let engine = stage.engine();
        for (condition, newest) in [
            ("level = 'ERROR'", vec![404, 401, 398, 395, 392]),
            ("level IN ('WARN', 'nothing') AND n < 250", vec![247, 244, 241, 238, 235]),
            ("n BETWEEN 98 AND 101", vec![101, 100, 99, 98]),
            ("level ILIKE 'info'", vec![405, 402, 399, 396, 393]),
            ("level = 'nothing'", vec![]),
            ("true", vec![406, 405, 404, 403, 402]),
        ] {
            for order in ["ts DESC", "ts DESC NULLS LAST, level", "ts DESC, n DESC"] {
                let sql = format!("SELECT * FROM logs WHERE {condition} ORDER BY {order} LIMIT 5");
                assert!(is_late(&stage, &sql), "{sql}");
                let rows = ask(&engine, &sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
                assert_eq!(rows.num_columns(), 8, "{sql}");
                let rows = shown(&engine, &format!("SELECT n FROM ({sql}) AS newest"));
                let is: Vec<i64> = rows.lines().filter_map(|line| line.trim_matches(['|', ' ']).parse().ok()).collect();
                assert_eq!(is, newest, "{sql}");
            }
        }
    }

    #[test]
    fn rows_of_one_moment_are_told_apart_by_what_else_they_are_sorted_by() {
        let stage = stage();
        let same: Vec<_> = ["d", "b", "a", "c"].map(|message| (500, "INFO", message)).into();
        stage.change(|snapshot| {
            let table = snapshot.tables.get_mut("logs").expect("it is there");
            table.fresh.push(weir_store::adapt(&logs(&same), &table.schema).expect("it fits"));
        });
        let sql = "SELECT * FROM logs WHERE level = 'INFO' ORDER BY ts DESC, message LIMIT 3";
        assert!(is_late(&stage, sql));
        let rows = shown(&stage.engine(), sql);
        let messages: Vec<_> = rows.lines().filter_map(|line| line.split('|').nth(3)).map(str::trim).collect();
        assert_eq!(messages, ["message", "a", "b", "c"]);
    }

    #[test]
    fn rows_without_a_time_come_where_they_are_wanted() {
        let stage = stage();
        stage.change(|snapshot| {
            let table = snapshot.tables.get_mut("logs").expect("it is there");
            let row = table.fresh[0].slice(0, 1);
            let columns = row.columns().iter().enumerate().map(|(at, column)| match at {
                0 => arrow::array::new_null_array(column.data_type(), 1),
                _ => Arc::clone(column),
            });
            let row = arrow::array::RecordBatch::try_new(row.schema(), columns.collect()).expect("all may be null");
            table.fresh.push(row);
        });
        let engine = stage.engine();
        let newest = |nulls: &str| {
            let sql = format!("SELECT * FROM logs WHERE level = 'WARN' ORDER BY ts DESC NULLS {nulls} LIMIT 2");
            assert!(is_late(&stage, &sql), "{sql}");
            let rows = shown(&engine, &format!("SELECT n FROM ({sql}) AS newest"));
            rows.lines().filter_map(|line| line.trim_matches(['|', ' ']).parse().ok()).collect::<Vec<i64>>()
        };
        assert_eq!(newest("FIRST"), [400, 406]);
        assert_eq!(newest("LAST"), [406, 403]);
    }

    #[test]
    fn questions_that_it_would_not_help_are_asked_at_once() {
        let stage = stage();
        for sql in [
            "SELECT * FROM logs WHERE message LIKE '%7%' ORDER BY ts DESC LIMIT 5",
            "SELECT * FROM logs WHERE level ~ 'E.*' ORDER BY ts DESC LIMIT 5",
            "SELECT * FROM logs WHERE abs(n) = 7 ORDER BY ts DESC LIMIT 5",
            "SELECT ts, level FROM logs WHERE level = 'INFO' ORDER BY ts DESC LIMIT 5",
            "SELECT * FROM logs WHERE level = 'INFO' ORDER BY ts LIMIT 5",
            "SELECT * FROM logs WHERE level = 'INFO' ORDER BY n DESC LIMIT 5",
            "SELECT * FROM logs WHERE level = 'INFO' ORDER BY ts DESC",
            "SELECT * FROM logs WHERE level = 'INFO' ORDER BY ts DESC LIMIT 10001",
        ] {
            assert!(!is_late(&stage, sql), "{sql}");
        }
    }
}
