//! A table of a snapshot as DataFusion scans it; refuses to be written to.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::parquet::{CachedParquetFileReaderFactory, ParquetRowSelection};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::datasource::{provider_as_source, source_as_provider};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableScan, TableSource, TableType};
use datafusion::parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use datafusion::scalar::ScalarValue;
use weir_store::{BLOCK_ROWS, Blocks, IndexFault};

use crate::indexes::{Indexes, Scanned, Scans};
use crate::local::LocalFile;
use crate::needle::Wanted;
use crate::newest::{self, Newest};
use crate::prune::TimeBounds;
use crate::reader::{Damage, Readers};
use crate::shapes::Picked;
use crate::snapshot::{Segment, Table};

/// How many bytes from the end of a segment the first read takes: footer and page indexes of most.
const METADATA_BYTES_GUESSED: usize = 256 << 10;

/// One table at one moment.
#[derive(Clone, Debug)]
pub(crate) struct ScannedTable {
    pub(crate) table: Table,
    pub(crate) name: String,
    pub(crate) damage: Damage,
    pub(crate) indexes: Arc<Indexes>,
    pub(crate) scans: Scans,
    /// Of some segments only these rows are meant.
    pub(crate) picked: Option<Arc<Picked>>,
    /// The newest rows are wanted first, and perhaps no others.
    pub(crate) newest: Option<Newest>,
}

impl ScannedTable {
    /// The table that `scan` reads, if it is one of the store's.
    pub(crate) fn of(scan: &TableScan) -> Option<Self> {
        source_as_provider(&scan.source).ok()?.downcast_ref::<Self>().cloned()
    }

    /// The segments that `keep` keeps, with the rows in memory if `fresh`: a scan of its own.
    pub(crate) fn part(&self, keep: impl Fn(&Segment) -> bool, fresh: bool) -> Self {
        let mut part = self.clone();
        part.table.segments.retain(keep);
        if !fresh {
            part.table.fresh.clear();
        }
        part
    }

    /// The index of `segment` could not be read: what was known of it is forgotten, and the answer says so.
    pub(crate) fn unread(&self, segment: &Segment, fault: &IndexFault) {
        self.indexes.forget(segment);
        self.scans.fault(&self.name, &segment.path, &fault.to_string());
    }

    /// As plans name it.
    pub(crate) fn into_source(self) -> Arc<dyn TableSource> {
        provider_as_source(Arc::new(self))
    }
}

/// Between which times the rows of a file lie, in microseconds; of a part of a segment as [`ScannedTable::step`] says it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileTimes {
    pub(crate) oldest: i64,
    pub(crate) newest: i64,
    /// Whether no row of it is without a time.
    pub(crate) of_all: bool,
}

/// A segment, and the rows of it that are read; `None` for all.
pub(crate) type Part<'a> = (&'a Segment, Option<RowSelection>);

#[async_trait]
impl TableProvider for ScannedTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.table.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        // all of them help to leave out files and pages; none is relied upon
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let bounds = self.table.time_column.as_deref().map(|column| TimeBounds::of(filters, column));
        let passes = |segment: &&Segment| bounds.is_none_or(|bounds| bounds.may_pass(segment.time_range));
        let mut segments: Vec<&Segment> = self.table.segments.iter().filter(passes).collect();
        segments.sort_by_key(|segment| std::cmp::Reverse(segment.time_range.map(|(_, max)| max)));
        let is_counted = filters.is_empty() && projection.is_some_and(Vec::is_empty);
        let (segments, counted) = self.with_matches(&segments, filters, is_counted);
        let mut parts: Vec<Arc<dyn ExecutionPlan>> = Vec::with_capacity(3);
        if counted > 0 {
            parts.push(self.rows_without_columns(counted, limit)?);
        }
        if !self.table.fresh.is_empty() {
            let fresh = MemorySourceConfig::try_new(
                std::slice::from_ref(&self.table.fresh),
                self.schema(),
                projection.cloned(),
            )?;
            parts.push(DataSourceExec::from_data_source(fresh.with_limit(limit)));
        }
        if !segments.is_empty() {
            parts.push(self.scan_segments(state, &segments, projection, limit)?);
        }
        match parts.len() {
            0 => Ok(Arc::new(EmptyExec::new(match projection {
                Some(columns) => Arc::new(self.table.schema.project(columns)?),
                None => self.schema(),
            }))),
            1 => Ok(parts.remove(0)),
            _ => UnionExec::try_new(parts),
        }
    }
}

impl ScannedTable {
    /// What the search indexes leave of `segments`, and tells [`Scans`] about it. When rows are only counted, those that were
    /// picked are not left but counted.
    fn with_matches<'a>(&self, segments: &[&'a Segment], filters: &[Expr], is_counted: bool) -> (Vec<Part<'a>>, u64) {
        let wanted = Wanted::of(filters);
        let mut scanned = Scanned {
            table: self.name.clone(),
            segments: self.table.segments.len(),
            by_time: self.table.segments.len() - segments.len(),
            is_plain: wanted == Wanted::Anything,
            fresh_rows: self.table.fresh.iter().map(|batch| batch.num_rows()).sum(),
            ..Scanned::default()
        };
        let mut left = Vec::with_capacity(segments.len());
        for &segment in segments {
            let picked = self.picked.as_ref().and_then(|picked| picked.get(&segment.path));
            if let Some(rows) = picked {
                let count = rows.row_count() as u64;
                scanned.picked = Some(scanned.picked.unwrap_or(0) + count);
                scanned.counted += if is_counted { count } else { 0 };
                if is_counted || count == 0 {
                    scanned.by_index += 1;
                    continue;
                }
            }
            left.push((segment, picked));
        }
        let looked = match scanned.is_plain {
            true => left.iter().map(|_| Ok(None)).collect(),
            false => {
                self.indexes.threads_for(segments).map(&left, |(segment, _)| self.indexes.blocks(segment, &wanted))
            }
        };
        let mut parts = Vec::with_capacity(left.len());
        for ((segment, picked), looked) in left.into_iter().zip(looked) {
            match looked {
                Ok(Some((blocks, block_rows))) => {
                    scanned.blocks += blocks.count();
                    scanned.blocks_read += blocks.len();
                    match blocks.is_empty() {
                        true => scanned.by_index += 1,
                        false => {
                            let blocks = (!blocks.is_all()).then(|| rows_of(&blocks, block_rows, segment));
                            parts.push((segment, both(picked.cloned(), blocks)));
                        }
                    }
                }
                Ok(None) => parts.push((segment, picked.cloned())),
                Err(fault) => {
                    scanned.faults += 1;
                    self.unread(segment, &fault);
                    parts.push((segment, picked.cloned()));
                }
            }
        }
        self.indexes.trim();
        for (segment, rows) in &parts {
            let read = rows.as_ref().map_or(segment.rows, |rows| rows.row_count() as u64);
            scanned.rows += read;
            scanned.bytes += (segment.bytes as f64 * read as f64 / segment.rows.max(1) as f64) as u64;
        }
        let counted = scanned.counted;
        self.scans.add(scanned);
        (parts, counted)
    }

    /// So many rows of which nothing is wanted.
    fn rows_without_columns(&self, rows: u64, limit: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = Arc::new(self.table.schema.project(&[])?);
        let rows = usize::try_from(rows).unwrap_or(usize::MAX).min(limit.unwrap_or(usize::MAX));
        let batches = (0..rows).step_by(BLOCK_ROWS).map(|at| {
            let options = RecordBatchOptions::new().with_row_count(Some(BLOCK_ROWS.min(rows - at)));
            RecordBatch::try_new_with_options(Arc::clone(&schema), Vec::new(), &options)
        });
        let batches = batches.collect::<std::result::Result<Vec<_>, _>>()?;
        let source = MemorySourceConfig::try_new(&[batches], schema, None)?;
        Ok(DataSourceExec::from_data_source(source))
    }

    fn scan_segments(
        &self,
        state: &dyn Session,
        segments: &[Part<'_>],
        projection: Option<&Vec<usize>>,
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let url = ObjectStoreUrl::local_filesystem();
        let runtime = state.runtime_env();
        let cached = CachedParquetFileReaderFactory::new(
            runtime.object_store(&url)?,
            runtime.cache_manager.get_file_metadata_cache(),
        );
        let options = state.table_options().parquet.clone();
        let source = ParquetSource::new(TableSchema::from(self.schema()))
            .with_table_parquet_options(options)
            .with_metadata_size_hint(METADATA_BYTES_GUESSED)
            .with_pushdown_filters(state.config_options().execution.parquet.pushdown_filters)
            .with_parquet_file_reader_factory(Arc::new(Readers { cached, damage: self.damage.clone() }));
        if self.newest.is_some() {
            // They say of each whether its times are those of all its rows.
            self.indexes.open_all(&segments.iter().map(|(segment, _)| *segment).collect::<Vec<_>>());
        }
        let statistics = self.statistics_of(segments, self.timeless(segments));
        let files = match self.newest {
            Some(Newest::InSteps | Newest::InLargeSteps) => {
                let steps = newest::in_steps(segments, self.newest == Some(Newest::InLargeSteps));
                steps.iter().map(|step| self.step(step)).collect::<Result<Vec<_>>>()?
            }
            Some(Newest::Known) | None => segments.iter().map(|part| self.file(part)).collect::<Result<Vec<_>>>()?,
        };
        // The newest first, in each partition: who asks for the latest rows need not open the others. (`split_files` would
        // put them in the order of their names.)
        let mut groups = vec![Vec::new(); files.len().min(state.config().target_partitions()).max(1)];
        let partitions = groups.len();
        files.into_iter().enumerate().for_each(|(at, file)| groups[at % partitions].push(file));
        let groups = groups.into_iter().map(FileGroup::new).collect();
        let config = FileScanConfigBuilder::new(url, Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        let scan: Arc<dyn ExecutionPlan> = DataSourceExec::from_data_source(config);
        let time = self.table.time_column.as_deref().filter(|_| self.newest.is_some());
        time.map_or_else(|| Ok(Arc::clone(&scan)), |time| newest::backwards(&scan, time))
    }

    /// A part of a segment whose later rows are read before it. Its times are said to be those of the segment; the least is
    /// less by as many microseconds as there are steps before it, so that files in the order of their times are steps in order.
    fn step(&self, (part, step): &(Part<'_>, usize)) -> Result<PartitionedFile> {
        let (segment, rows) = part;
        let later = i64::try_from(*step).unwrap_or(0);
        let time_range = segment.time_range.map(|(min, max)| (min.saturating_sub(later), max));
        self.file(&(&Segment { time_range, ..(*segment).clone() }, rows.clone()))
    }

    fn file(&self, part: &Part<'_>) -> Result<PartitionedFile> {
        let (segment, rows) = part;
        let absolute = std::path::absolute(&segment.path)?;
        let path = object_store::path::Path::from_absolute_path(&absolute)
            .map_err(|error| DataFusionError::External(Box::new(error)))?;
        let file = PartitionedFile::new(path.as_ref(), segment.bytes);
        let one = std::slice::from_ref(part);
        let timeless = self.timeless(one);
        let file = file.with_statistics(Arc::new(self.statistics_of(one, timeless)));
        let file = match segment.time_range.filter(|_| self.newest.is_some()) {
            Some((oldest, newest)) => file.with_extension(FileTimes { oldest, newest, of_all: timeless == Some(0) }),
            None => file,
        };
        let file = match &segment.remote {
            Some(remote) => file.with_extension(Arc::clone(remote)),
            None => file.with_extension(LocalFile::new(absolute)),
        };
        Ok(match rows {
            Some(rows) => file.with_extension(ParquetRowSelection::new(rows.clone())),
            None => file,
        })
    }

    /// What the catalog knows about segments: how many rows, between which times, and beside these how many without a time.
    fn statistics_of(&self, parts: &[Part<'_>], timeless: Option<usize>) -> Statistics {
        let schema = &self.table.schema;
        let mut statistics = Statistics::new_unknown(schema);
        let is_whole = parts.iter().all(|(_, rows)| rows.is_none());
        let sum = |of: fn(&Part<'_>) -> u64| usize::try_from(parts.iter().map(of).sum::<u64>());
        let rows = sum(|(segment, rows)| rows.as_ref().map_or(segment.rows, |rows| rows.row_count() as u64));
        let precision = if is_whole { Precision::Exact } else { Precision::Inexact };
        statistics.num_rows = rows.map_or(Precision::Absent, precision);
        statistics.total_byte_size = sum(|(segment, _)| segment.bytes).map_or(Precision::Absent, Precision::Inexact);
        let ranges = parts.iter().filter_map(|(segment, _)| segment.time_range);
        let range = ranges.reduce(|(a_min, a_max), (b_min, b_max)| (a_min.min(b_min), a_max.max(b_max)));
        let column = self.table.time_column.as_ref().and_then(|name| schema.index_of(name).ok());
        let kind = column.map(|column| schema.field(column).data_type());
        if let (Some((min, max)), Some(column), Some(DataType::Timestamp(TimeUnit::Microsecond, zone))) =
            (range, column, kind)
        {
            let time = |micros| ScalarValue::TimestampMicrosecond(Some(micros), zone.clone());
            let precision = if is_whole { Precision::Exact } else { Precision::Inexact };
            statistics.column_statistics[column] = ColumnStatistics {
                min_value: precision(time(min)),
                max_value: precision(time(max)),
                null_count: timeless.map_or(Precision::Absent, Precision::Exact),
                ..ColumnStatistics::new_unknown()
            };
        }
        statistics
    }

    /// How many rows have no event time: who wants the newest first gets them before all others, unless there are none.
    fn timeless(&self, parts: &[Part<'_>]) -> Option<usize> {
        let of = |(segment, _): &Part<'_>| self.indexes.index(segment).ok().flatten().map(|index| index.timeless());
        let none = self.newest.is_some() && parts.iter().all(|part| of(part) == Some(0));
        none.then_some(0)
    }
}

/// The rows that both say, where `None` says all.
fn both(one: Option<RowSelection>, other: Option<RowSelection>) -> Option<RowSelection> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.intersection(&other)),
        (one, other) => one.or(other),
    }
}

/// The rows of the blocks, in the order of the segment.
fn rows_of(blocks: &Blocks, block_rows: usize, segment: &Segment) -> RowSelection {
    let rows = usize::try_from(segment.rows).unwrap_or(usize::MAX);
    let selectors = (0..blocks.count()).map(|block| {
        let count = block_rows.min(rows - (block * block_rows).min(rows));
        if blocks.has(block) { RowSelector::select(count) } else { RowSelector::skip(count) }
    });
    selectors.collect()
}
