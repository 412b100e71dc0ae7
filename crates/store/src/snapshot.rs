//! A consistent view of the store: every row exactly once, whatever is being flushed, committed or compacted meanwhile.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::tiers::Remote;
use crate::tokens::{INDEXED_ROWS_MIN, index_path};

/// All tables at one moment. While it is held, no segment in it is deleted by this process.
#[derive(Clone, Debug, Default)]
pub struct StoreSnapshot {
    /// The tables by name.
    pub tables: BTreeMap<String, TableSnapshot>,
    /// What could not be included, and why: answers from this snapshot lack these rows and should say so.
    pub troubles: Vec<Trouble>,
}

/// One table at one moment: `segments` and `fresh` together hold each of its rows exactly once.
#[derive(Clone, Debug)]
pub struct TableSnapshot {
    /// Its name.
    pub name: String,
    /// Its columns, all nullable. Strings are `Utf8View`, times `Timestamp(Microsecond, "UTC")`.
    pub schema: SchemaRef,
    /// The column of event times, if it has one.
    pub time_column: Option<String>,
    /// Its files, oldest commit first. A file may lack columns of `schema`, and may have `Int64` where it says
    /// `Float64`: [`crate::adapt`] makes its batches fit.
    pub segments: Vec<SegmentRef>,
    /// Rows that are in no file yet, in `schema`.
    pub fresh: Vec<RecordBatch>,
}

impl TableSnapshot {
    /// How many rows there are.
    pub fn rows(&self) -> u64 {
        let fresh: u64 = self.fresh.iter().map(|batch| batch.num_rows() as u64).sum();
        fresh + self.segments.iter().map(|segment| segment.rows).sum::<u64>()
    }

    /// How many bytes the files take.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }
}

/// Keeps a segment's file from being deleted while somebody may read it.
#[derive(Debug, Default)]
pub(crate) struct Pin;

/// One immutable Parquet file of a table.
#[derive(Clone, Debug)]
pub struct SegmentRef {
    /// Where it is.
    pub path: PathBuf,
    /// Its rows.
    pub rows: u64,
    /// Its size in bytes.
    pub bytes: u64,
    /// Smallest and largest event time in microseconds; `None` when no row has one. Rows without a time may be in any segment.
    pub time_range: Option<(i64, i64)>,
    /// XXH3-64 of its content.
    pub checksum: u64,
    /// Where it lies if that is not `path`.
    pub remote: Option<Arc<Remote>>,
    pub(crate) pin: Arc<Pin>,
}

impl SegmentRef {
    /// Where its search index should be; `None` when it is too small to have one.
    pub fn index(&self) -> Option<PathBuf> {
        (self.rows >= INDEXED_ROWS_MIN).then(|| index_path(&self.path))
    }
}

/// A segment that is missing or damaged. It is left where it is, named here, and not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The table that lacks it.
    pub table: String,
    /// The file.
    pub path: PathBuf,
    /// How many rows are out of reach.
    pub rows: u64,
    /// Between which event times they lie, if that is known.
    pub time_range: Option<(i64, i64)>,
    /// What is wrong with the file.
    pub reason: String,
}
