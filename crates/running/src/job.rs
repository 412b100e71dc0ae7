//! A pipeline that can be run, as the loop takes it: names are indexes, what is decoded is known. Resolves nothing itself.

use std::time::Duration;

use arrow::datatypes::SchemaRef;
use weir_collect::SourceConfig;
use weir_decode::FormatConfig;
use weir_deliver::OutputConfig;
use weir_engine::Plan;
use weir_model::{BackoffConfig, Wanted};
use weir_state::Bucket;
use weir_workers::Share;

use crate::lookups::JobLookup;
use crate::recover::Recovery;
use crate::rerun::Rerun;
use crate::tables::JobTable;

/// A pipeline that can be run.
#[derive(Clone, Debug)]
pub struct Job {
    /// What the engine computes.
    pub plan: Plan,
    /// The sources, in the order of `plan.sources`.
    pub sources: Vec<JobSource>,
    /// The outputs, in the order of `plan.outputs`.
    pub outputs: Vec<JobOutput>,
    /// The tables that steps look rows up in.
    pub tables: Vec<JobTable>,
    /// The tables whose rows are asked for one by one.
    pub lookups: Vec<JobLookup>,
    /// Where late rows go.
    pub late: JobOutput,
    /// Where rejected records go.
    pub dead_letters: JobOutput,
    /// How often an epoch commits.
    pub epoch: Duration,
    /// How many threads read and decode.
    pub tasks: usize,
    /// How much memory its state may take, in bytes: what is over it lies in the files of its snapshots alone.
    pub state_bytes_max: usize,
    /// Where that is said; `None` where nobody said it, and it may become less.
    pub state_said_at: Option<String>,
    /// Whether keys that do not fit into memory lie in RocksDB, and not in the files of its snapshots alone.
    pub keys_in_rocksdb: bool,
    /// The bucket of its snapshots, if they do not lie in the data folder alone.
    pub snapshots: Option<Bucket>,
    /// What may be done about state that cannot be used.
    pub recovery: Recovery,
    /// What it reads and keeps, if it only reads again what was read before.
    pub rerun: Option<Rerun>,
    /// The same for several processes, if they share it.
    pub share: Option<Share>,
}

impl Job {
    /// All outputs: those of the plan in its order, then where late rows go, then where rejected records go.
    pub fn all_outputs(&self) -> impl Iterator<Item = &JobOutput> {
        self.outputs.iter().chain([&self.late, &self.dead_letters])
    }
}

/// A source of a job.
#[derive(Clone, Debug)]
pub struct JobSource {
    /// Its name.
    pub name: String,
    /// Where its bytes come from.
    pub source: SourceConfig,
    /// How they become columns.
    pub format: FormatConfig,
    /// Which columns the plan needs.
    pub wanted: Wanted,
}

/// An output of a job.
#[derive(Clone, Debug)]
pub struct JobOutput {
    /// Its name, unique in the pipeline.
    pub name: String,
    /// Where its rows go.
    pub output: OutputConfig,
    /// The column that its rows are kept by, if it is a table and they have a time.
    pub time_column: Option<String>,
    /// The columns that its rows have at least, where they are known before any data is.
    pub columns: Option<SchemaRef>,
    /// How long it is waited for when it takes no rows.
    pub retry: BackoffConfig,
    /// How much its table may hold before the pipeline waits; nothing for other outputs.
    pub limit: Option<TableLimit>,
}

/// How much a table may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLimit {
    /// Rows.
    pub rows: u64,
    /// Bytes on disk.
    pub bytes: u64,
}
