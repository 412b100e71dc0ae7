//! What a query sees: all tables at one moment; opens no files.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use weir_model::SeamResult;
use weir_store::{Remote, Store, StoreSnapshot};

/// Where queries get their tables from.
pub trait TableSource: Debug + Send + Sync {
    /// All tables at one moment; a query asks once, however many tables it reads.
    ///
    /// # Errors
    /// As the source says.
    fn snapshot(&self) -> SeamResult<Snapshot>;

    /// A query found the segment at `path` damaged or missing.
    fn found_corrupt(&self, path: &std::path::Path, reason: &str);

    /// A query found the search index of the segment at `path` missing or damaged, and did without.
    fn found_bad_index(&self, path: &std::path::Path, reason: &str);
}

/// All tables at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The tables by name.
    pub tables: BTreeMap<String, Table>,
    /// What answers from this snapshot lack, one sentence each.
    pub warnings: Vec<String>,
    /// The tables of the schema `live`, which are made when a query names them.
    pub live: Option<Arc<dyn LiveTables>>,
}

/// Tables that are not stored: each is made anew for every query that names it.
pub trait LiveTables: Debug + Send + Sync {
    /// Their names, and the columns that each has at least.
    fn declared(&self) -> Vec<(String, SchemaRef)>;

    /// One of them at this moment, all of it in [`Table::fresh`]; `None` when there is none of this name.
    ///
    /// # Errors
    /// When it cannot be made.
    fn table(&self, name: &str) -> SeamResult<Option<Table>>;
}

/// One table at one moment: `segments` and `fresh` together hold each of its rows exactly once.
#[derive(Clone, Debug)]
pub struct Table {
    /// Its columns, all nullable.
    pub schema: SchemaRef,
    /// The column of event times: `Timestamp(Microsecond, "UTC")`.
    pub time_column: Option<String>,
    /// Its files. A file may lack columns of `schema`, and may have other types that can be cast to it.
    pub segments: Vec<Segment>,
    /// Rows that are in no file yet, in `schema`.
    pub fresh: Vec<RecordBatch>,
    /// Whatever keeps the files from being deleted.
    pub keep: Option<Arc<dyn Keep>>,
}

/// Something that is only held.
pub trait Keep: Any + Debug + Send + Sync {}

impl<T: Any + Debug + Send + Sync> Keep for T {}

/// One immutable Parquet file of a table.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Where it is.
    pub path: PathBuf,
    /// Its rows.
    pub rows: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Smallest and largest event time in microseconds; `None` when no row has one.
    pub time_range: Option<(i64, i64)>,
    /// Where its search index should be; `None` when it has none.
    pub index: Option<PathBuf>,
    /// Where it lies if that is not `path`.
    pub remote: Option<Arc<Remote>>,
}

impl Table {
    /// A table with these columns and no rows.
    #[cfg(test)]
    pub(crate) fn empty(schema: SchemaRef) -> Self {
        Self { schema, time_column: None, segments: Vec::new(), fresh: Vec::new(), keep: None }
    }

    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        let fresh: u64 = self.fresh.iter().map(|batch| batch.num_rows() as u64).sum();
        fresh + self.segments.iter().map(|segment| segment.rows).sum::<u64>()
    }

    /// How many bytes the files take.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Smallest and largest event time in microseconds; `None` when no row has one.
    pub fn time_range(&self) -> Option<(i64, i64)> {
        let fresh = self.fresh.iter().filter_map(|batch| fresh_range(batch, self.time_column.as_deref()?));
        let ranges = self.segments.iter().filter_map(|segment| segment.time_range).chain(fresh);
        ranges.reduce(|(a_min, a_max), (b_min, b_max)| (a_min.min(b_min), a_max.max(b_max)))
    }
}

pub(crate) fn fresh_range(batch: &RecordBatch, column: &str) -> Option<(i64, i64)> {
    use arrow::array::AsArray;
    use arrow::datatypes::TimestampMicrosecondType;
    let times = batch.column_by_name(column)?.as_primitive_opt::<TimestampMicrosecondType>()?;
    Some((arrow::compute::min(times)?, arrow::compute::max(times)?))
}

impl TableSource for Store {
    fn snapshot(&self) -> SeamResult<Snapshot> {
        Ok(Store::snapshot(self)?.into())
    }

    fn found_corrupt(&self, path: &std::path::Path, reason: &str) {
        if let Err(error) = self.quarantine(path, reason) {
            tracing::error!(path = %path.display(), error = error.full(), "a damaged segment could not be set aside");
        }
    }

    fn found_bad_index(&self, path: &std::path::Path, reason: &str) {
        Store::found_bad_index(self, path, reason);
    }
}

impl From<StoreSnapshot> for Snapshot {
    fn from(store: StoreSnapshot) -> Self {
        let warnings = store.troubles.iter().map(|trouble| {
            format!(
                "{} rows of table {} are out of reach: {} ({})",
                trouble.rows,
                trouble.table,
                trouble.path.display(),
                trouble.reason
            )
        });
        let warnings = warnings.collect();
        let tables = store.tables.into_iter().map(|(name, table)| {
            let segments = table.segments.iter().map(|segment| Segment {
                path: segment.path.clone(),
                rows: segment.rows,
                bytes: segment.bytes,
                time_range: segment.time_range,
                index: segment.index(),
                remote: segment.remote.clone(),
            });
            let made = Table {
                schema: Arc::clone(&table.schema),
                time_column: table.time_column.clone(),
                segments: segments.collect(),
                fresh: table.fresh.clone(),
                keep: None,
            };
            (name, Table { keep: Some(Arc::new(table.segments)), ..made })
        });
        Self { tables: tables.collect(), warnings, live: None }
    }
}
