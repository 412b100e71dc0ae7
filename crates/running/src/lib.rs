//! Pipelines at work: sources are read, batches are decoded and stepped through the engine, effects are carried out, epochs
//! are committed, and after a failure everything goes on from the last commit. Knows no SQL and no pipeline files.
//!
//! ```text
//!  sources ──▶ tasks: read, decode ──in the order of reading──▶ the loop (one of the tasks): engine ▶ sinks ──epoch──▶ one commit
//! ```

mod budget;
mod epoch;
mod inlet;
mod job;
mod lookups;
mod outlet;
mod outward;
mod pace;
mod patience;
mod recover;
mod rerun;
mod room;
mod shown_breaker;
mod supervisor;
mod tables;
mod task;
mod tiers;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_disk::{DataFolder, Disk};
use weir_log::{Log, LogConfig};
use weir_model::{Clock, CommitPoint, Compiler, SeamResult, SystemClock, Vfs};
use weir_observe::{Health, PipelineBoard};
use weir_state::SnapshotStore;
use weir_store::{Store, StoreConfig};

pub use inlet::{is_replay_topic, letters_partition, replay_topic};
pub use job::{Job, JobOutput, JobSource, TableLimit};
pub use lookups::{JobLookup, OnLookupFailure};
pub use outward::Endpoint;
pub use recover::Recovery;
pub use rerun::{Begun, Found, Rerun};
pub use supervisor::{Ended, Supervisor, Until, keep_running};
pub use tables::{JobTable, TableFormat, TablePlace, read_table};
pub use tiers::TierBuckets;

/// Everything that pipelines share in one process.
#[derive(Clone)]
pub struct Shared {
    /// The data folder, locked.
    pub folder: Arc<DataFolder>,
    /// Its tables.
    pub store: Arc<Store>,
    /// The one act that publishes an epoch: the store's, in a transaction of its catalog.
    pub commits: Arc<dyn CommitPoint>,
    /// Its log.
    pub log: Arc<Log>,
    /// Its snapshots of state.
    pub snapshots: Arc<SnapshotStore>,
    /// What the pipelines say about themselves.
    pub board: Arc<PipelineBoard>,
    /// What the probes answer.
    pub health: Arc<Health>,
    /// Compiles the expressions of steps.
    pub compiler: Arc<dyn Compiler>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

impl Shared {
    /// Opens the data folder at `path`, creating it if needed, with a log as `log` says; expressions are compiled by
    /// `compiler`.
    ///
    /// # Errors
    /// `Config` when another Weir uses it or it cannot be written, `Corrupt` when its catalog is damaged.
    pub fn open(path: &Path, log: LogConfig, compiler: Arc<dyn Compiler>) -> SeamResult<Self> {
        Self::open_with(path, log, StoreConfig::default(), compiler)
    }

    /// As [`Shared::open`], with tables that are kept as `tables` says.
    ///
    /// # Errors
    /// As [`Shared::open`].
    pub fn open_with(
        path: &Path,
        log: LogConfig,
        tables: StoreConfig,
        compiler: Arc<dyn Compiler>,
    ) -> SeamResult<Self> {
        let vfs: Arc<dyn Vfs> = Arc::new(Disk);
        let folder = Arc::new(DataFolder::open(path, Arc::clone(&vfs))?);
        let store = Store::open(&folder, tables)?;
        store.set_buckets(Arc::new(TierBuckets::default()));
        let inside = |name: &str| -> PathBuf { folder.path().join(name) };
        let log = Log::open(&inside("log"), Arc::clone(&vfs), log, folder.reserve())?;
        let snapshots = Arc::new(SnapshotStore::new(vfs, &inside("state")));
        Ok(Self {
            folder,
            commits: Arc::clone(&store) as Arc<dyn CommitPoint>,
            store,
            log,
            snapshots,
            board: Arc::new(PipelineBoard::default()),
            health: Arc::new(Health::new(SystemClock.now())),
            compiler,
            clock: Arc::new(SystemClock),
        })
    }
}
