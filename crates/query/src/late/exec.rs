//! The two goes of a question for the newest rows as plans that run: the times of the newest file first, of others only if they
//! may have newer ones, and then the rows of the files that may have rows as new. Plans nothing.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfig, FileScanConfigBuilder};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{BinaryExpr, DynamicFilterPhysicalExpr, Literal};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, collect};
use datafusion::scalar::ScalarValue;
use futures::{TryStreamExt, stream};

use crate::newest::LARGE_STEP_ROWS;
use crate::table::FileTimes;

/// Files of so many rows are looked at first.
const FIRST_ROWS: usize = LARGE_STEP_ROWS;

/// `rows` with its sort of the newest rows told by `times`, which is the plan of the `fetch` newest times.
pub(crate) fn after_times(
    rows: Arc<dyn ExecutionPlan>,
    times: &Arc<dyn ExecutionPlan>,
    fetch: usize,
) -> Result<Arc<dyn ExecutionPlan>> {
    let told = rows.transform_down(|node| {
        let Some(sort) = node.downcast_ref::<SortExec>() else { return Ok(Transformed::no(node)) };
        if !is_whole(sort) || filter_of(sort).is_none() {
            return Ok(Transformed::new(node, false, TreeNodeRecursion::Stop));
        }
        let told = Arc::new(NewestExec { times: Arc::clone(times), rows: node, fetch });
        Ok(Transformed::new(told as Arc<dyn ExecutionPlan>, true, TreeNodeRecursion::Stop))
    });
    Ok(told?.data)
}

fn is_whole(sort: &SortExec) -> bool {
    sort.fetch().is_some() && sort.properties().partitioning.partition_count() == 1
}

/// What a sort tells the scan below it: which rows come too late.
fn filter_of(sort: &SortExec) -> Option<Arc<dyn PhysicalExpr>> {
    sort.dynamic_expressions_produced().into_iter().find(|filter| filter.is::<DynamicFilterPhysicalExpr>())
}

/// Tells the scan below the sort of `plan` that no rows older than `oldest` are wanted.
fn tell(plan: &Arc<dyn ExecutionPlan>, oldest: &ScalarValue) -> Result<()> {
    plan.apply(|node| {
        let Some(filter) = node.downcast_ref::<SortExec>().filter(|sort| is_whole(sort)).and_then(filter_of) else {
            return Ok(TreeNodeRecursion::Continue);
        };
        if let (Some(filter), Some(&time)) =
            (filter.downcast_ref::<DynamicFilterPhysicalExpr>(), filter.children().first())
        {
            let oldest = Arc::new(Literal::new(oldest.clone()));
            filter.update(Arc::new(BinaryExpr::new(Arc::clone(time), Operator::GtEq, oldest)))?;
        }
        Ok(TreeNodeRecursion::Stop)
    })?;
    Ok(())
}

/// Asks for the times of the newest rows, and then for rows that are no older than the oldest of them.
#[derive(Debug)]
struct NewestExec {
    times: Arc<dyn ExecutionPlan>,
    /// A sort that keeps as many rows.
    rows: Arc<dyn ExecutionPlan>,
    /// How many rows are wanted.
    fetch: usize,
}

impl NewestExec {
    /// How old rows may be; `None` where a time is not known, or there is none.
    ///
    /// The newest files are looked at alone, by one thread: mostly they have all rows that are wanted, and then nobody needs to
    /// begin with the others, or to read ahead.
    async fn oldest(&self, context: &Arc<TaskContext>) -> Result<Option<ScalarValue>> {
        let mut files = files_of(&self.times)?;
        let others = files.split_off(first_of(&files));
        if others.is_empty() {
            return oldest(&collect(Arc::clone(&self.times), Arc::clone(context)).await?, self.fetch);
        }
        let first = untold(with_files(&self.times, &files, 1)?)?;
        let mut times = collect(first, Arc::clone(context)).await?;
        let is_full = times.iter().map(RecordBatch::num_rows).sum::<usize>() >= self.fetch;
        let bound = if is_full { oldest(&times, self.fetch)? } else { None };
        let others = no_older(others, bound.as_ref());
        if !others.is_empty() {
            if let Some(bound) = &bound {
                tell(&self.times, bound)?;
            }
            let others = of_files_alone(with_files(&self.times, &others, usize::MAX)?)?;
            times.extend(collect(others, Arc::clone(context)).await?);
        }
        oldest(&times, self.fetch)
    }

    /// The sort of rows over those files alone that may have rows no older than `oldest`, which it is told.
    fn rows_from(&self, oldest: &ScalarValue) -> Result<Arc<dyn ExecutionPlan>> {
        tell(&self.rows, oldest)?;
        let files = files_of(&self.rows)?;
        match files.is_empty() {
            true => Ok(Arc::clone(&self.rows)),
            false => with_files(&self.rows, &no_older(files, Some(oldest)), usize::MAX),
        }
    }
}

/// The files that the one scan of files below `plan` reads, the newest first; none where there are more such scans.
fn files_of(plan: &Arc<dyn ExecutionPlan>) -> Result<Vec<PartitionedFile>> {
    let (mut scans, mut files) = (0, Vec::new());
    plan.apply(|node| {
        if let Some((_, scan)) = scan_of(node) {
            scans += 1;
            files.extend(scan.file_groups.iter().flat_map(|group| group.files().iter().cloned()));
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if scans > 1 {
        files.clear();
    }
    // Those of which it is not known come first: they may have the newest.
    files
        .sort_by_key(|file| file.extension::<FileTimes>().map(|times| std::cmp::Reverse((times.newest, times.oldest))));
    Ok(files)
}

/// How many of `files` are looked at first: of so many rows that most questions need no others.
fn first_of(files: &[PartitionedFile]) -> usize {
    let mut rows = 0;
    let is_first = |file: &&PartitionedFile| {
        let before = rows;
        let known = file.statistics.as_ref().and_then(|statistics| statistics.num_rows.get_value().copied());
        rows += known.unwrap_or(FIRST_ROWS);
        before < FIRST_ROWS
    };
    files.iter().take_while(is_first).count()
}

/// Those of `files` that may have rows no older than `oldest`.
fn no_older(files: Vec<PartitionedFile>, oldest: Option<&ScalarValue>) -> Vec<PartitionedFile> {
    let Some(ScalarValue::TimestampMicrosecond(Some(oldest), _)) = oldest else { return files };
    let may_be = |file: &PartitionedFile| {
        file.extension::<FileTimes>().is_none_or(|times| times.newest >= *oldest || !times.of_all)
    };
    files.into_iter().filter(may_be).collect()
}

/// The scan of files that a plan is.
fn scan_of(plan: &Arc<dyn ExecutionPlan>) -> Option<(&DataSourceExec, &FileScanConfig)> {
    let source = plan.downcast_ref::<DataSourceExec>()?;
    Some((source, source.data_source().downcast_ref()?))
}

/// `plan` with its scan reading `files`, which are some of those that it reads, in at most so many threads.
fn with_files(
    plan: &Arc<dyn ExecutionPlan>,
    files: &[PartitionedFile],
    threads_max: usize,
) -> Result<Arc<dyn ExecutionPlan>> {
    let told = Arc::clone(plan).transform_up(|node| {
        let Some((source, scan)) = scan_of(&node) else { return Ok(Transformed::no(node)) };
        let mut groups = vec![Vec::new(); files.len().min(scan.file_groups.len()).min(threads_max).max(1)];
        let count = groups.len();
        files.iter().enumerate().for_each(|(at, file)| groups[at % count].push(file.clone()));
        let groups = groups.into_iter().map(FileGroup::new).collect();
        let scan = FileScanConfigBuilder::from(scan.clone()).with_file_groups(groups).build();
        let source = source.clone().with_data_source(Arc::new(scan));
        Ok(Transformed::yes(Arc::new(source) as Arc<dyn ExecutionPlan>))
    });
    Ok(told?.data)
}

/// `plan` with a sort that tells its scan nothing: what one file has says nothing final of others.
fn untold(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let untold = plan.transform_up(|node| match node.downcast_ref::<SortExec>() {
        Some(_) => Ok(Transformed::yes(node.reset_state()?)),
        None => Ok(Transformed::no(node)),
    });
    Ok(untold?.data)
}

/// `plan` without the rows in memory.
fn of_files_alone(plan: Arc<dyn ExecutionPlan>) -> Result<Arc<dyn ExecutionPlan>> {
    let alone = plan.transform_up(|node| match node.downcast_ref::<DataSourceExec>() {
        Some(_) if scan_of(&node).is_none() => {
            Ok(Transformed::yes(Arc::new(EmptyExec::new(node.schema())) as Arc<dyn ExecutionPlan>))
        }
        _ => Ok(Transformed::no(node)),
    });
    Ok(alone?.data)
}

/// The oldest of the `fetch` newest of some times; `None` where one is not known, or there is none.
fn oldest(times: &[RecordBatch], fetch: usize) -> Result<Option<ScalarValue>> {
    let (mut all, mut zone) = (Vec::new(), None);
    for batch in times {
        let column = batch.column(0);
        let Some(values) = column.as_primitive_opt::<TimestampMicrosecondType>() else {
            return Err(DataFusionError::Internal(format!("times of type {}", column.data_type())));
        };
        if values.null_count() > 0 {
            return Ok(None);
        }
        all.extend_from_slice(values.values());
        zone = values.timezone().map(Arc::from);
    }
    all.sort_unstable_by(|one, other| other.cmp(one));
    all.truncate(fetch);
    Ok(all.last().map(|oldest| ScalarValue::TimestampMicrosecond(Some(*oldest), zone)))
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
        Ok(Arc::new(Self { times, rows, fetch: self.fetch }))
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let this = Self { times: Arc::clone(&self.times), rows: Arc::clone(&self.rows), fetch: self.fetch };
        let rows = async move {
            let rows = match this.oldest(&context).await? {
                Some(oldest) => this.rows_from(&oldest)?,
                None => Arc::clone(&this.rows),
            };
            rows.execute(partition, context)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream::once(rows).try_flatten())))
    }
}
