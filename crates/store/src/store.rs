//! The store as others see it.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use weir_disk::DataFolder;
use weir_model::{CommitPoint, Committed, Epoch, EpochCommit, ErrorKind, SeamError, SeamResult};

use crate::{StoreConfig, StoreSnapshot, TableConfig, TableWriter, Trouble};

pub(crate) fn not_built(_: &RecordBatch, _: &SchemaRef) -> SeamResult<RecordBatch> {
    Err(unbuilt())
}

fn unbuilt() -> SeamError {
    SeamError::new(ErrorKind::Closed, "the store is not built yet")
}

/// The tables of a data folder.
#[derive(Debug)]
pub struct Store;

/// What a compaction did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompactionReport {
    /// Which table.
    pub table: String,
    /// How many segments became one.
    pub segments: usize,
    /// The rows in them.
    pub rows: u64,
    /// Bytes before.
    pub bytes_before: u64,
    /// Bytes after.
    pub bytes_after: u64,
}

impl Store {
    /// Opens the store of a folder that this process has locked. Removes files that no commit names.
    ///
    /// # Errors
    /// `Config` when a newer Weir wrote it, `Corrupt` when the catalog is damaged.
    pub fn open(_folder: &DataFolder, _config: StoreConfig) -> SeamResult<Arc<Self>> {
        Err(unbuilt())
    }

    /// Opens the store at the data folder `path` to read it, also while another process writes to it: sees what is
    /// committed, never fresh rows.
    ///
    /// # Errors
    /// As [`Store::open`]; `Config` when there is no store.
    pub fn open_read_only(_path: &Path) -> SeamResult<Arc<Self>> {
        Err(unbuilt())
    }

    /// All tables as they are now.
    ///
    /// # Errors
    /// Only when opened read only: as the catalog says.
    pub fn snapshot(&self) -> SeamResult<StoreSnapshot> {
        Err(unbuilt())
    }

    /// Begins to write to a table, which is created by the first commit with rows. One writer per output.
    ///
    /// # Errors
    /// `Config` when the name is not `^[a-z][a-z0-9_]{0,62}$`, or the store is read only.
    pub fn writer(self: &Arc<Self>, _table: &str, _config: TableConfig) -> SeamResult<TableWriter> {
        Err(unbuilt())
    }

    /// Segments that are missing or damaged.
    pub fn troubles(&self) -> Vec<Trouble> {
        Vec::new()
    }

    /// The commits of `pipeline` that are kept, newest first.
    ///
    /// # Errors
    /// `Corrupt` when one cannot be read.
    pub fn commits(&self, _pipeline: &str) -> SeamResult<Vec<Committed>> {
        Err(unbuilt())
    }

    /// Undoes every commit of `pipeline` after epoch `to`, in one transaction: its positions, its snapshot and its rows.
    ///
    /// # Errors
    /// `Config` when `to` is not among [`Store::commits`].
    pub fn rewind(&self, _pipeline: &str, _to: Epoch) -> SeamResult<()> {
        Err(unbuilt())
    }

    /// Compares every segment with its checksum; those that differ are put aside and returned.
    ///
    /// # Errors
    /// As the catalog says.
    pub fn verify(&self) -> SeamResult<Vec<Trouble>> {
        Err(unbuilt())
    }

    /// Puts a segment aside that a reader found to be damaged.
    ///
    /// # Errors
    /// As the catalog says.
    pub fn quarantine(&self, _path: &Path, _reason: &str) -> SeamResult<()> {
        Err(unbuilt())
    }

    /// Merges small neighbouring segments of one table into one, if there are enough of them. Call it until it
    /// returns `None`, from a thread that may block.
    ///
    /// # Errors
    /// `Retry` when the disk is full.
    pub fn compact_once(&self) -> SeamResult<Option<CompactionReport>> {
        Err(unbuilt())
    }

    /// Deletes files that no table needs any more, no reader of this process holds, and whose grace is over; returns how many.
    ///
    /// # Errors
    /// As the disk says.
    pub fn sweep(&self) -> SeamResult<usize> {
        Err(unbuilt())
    }
}

#[async_trait]
impl CommitPoint for Store {
    async fn commit(&self, _commit: EpochCommit) -> SeamResult<()> {
        Err(unbuilt())
    }

    async fn last(&self, _pipeline: &str) -> SeamResult<Option<Committed>> {
        Err(unbuilt())
    }
}
