//! The data folder that a process finds and leaves: a simulated disk, and a real database for the catalog, whose
//! transactions are taken for what they promise to be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use tempfile::TempDir;
use weir_disk::{DataFolder, Reserve, SimDisk, disk_error};
use weir_log::{Log, LogConfig, Retain, TopicConfig, Unread};
use weir_model::{
    Clock, CommitPoint, Committed, Epoch, EpochCommit, ErrorKind, KeptCommit, Positions, ProcessingTime, SeamError,
    SeamResult, Vfs,
};
use weir_observe::{Health, PipelineBoard};
use weir_running::Shared;
use weir_sim::Columns;
use weir_state::SnapshotStore;
use weir_store::{Store, StoreConfig};

use crate::pipeline::source;
use crate::scenario::{DAY_SECONDS, Setup};

/// Where the catalogs are, if there is such a place: a memory, so that what is synced costs nothing.
const MEMORY: &str = "/dev/shm";

/// What outlives a process.
pub(crate) struct World {
    pub(crate) disk: SimDisk,
    /// How much time has passed in all lives.
    pub(crate) passed: Duration,
    history: Arc<Mutex<History>>,
    root: PathBuf,
    _catalog: TempDir,
}

impl World {
    pub(crate) fn new(seed: u64) -> std::io::Result<Self> {
        let catalog = tempfile::tempdir_in(MEMORY).or_else(|_| tempfile::tempdir())?;
        // The last two names of every path are the same each time, and with them the trace.
        let root = catalog.path().join("weir/data");
        std::fs::create_dir_all(&root)?;
        Ok(Self { disk: SimDisk::new(seed), passed: Duration::ZERO, history: Arc::default(), root, _catalog: catalog })
    }

    /// The data folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// What is wrong with the commits that were made, if anything.
    pub(crate) fn contradiction(&self) -> Option<String> {
        locked(&self.history).contradiction.clone()
    }

    /// Up to where each of so many sources is committed.
    pub(crate) fn positions(&self, sources: usize) -> Vec<(String, u64)> {
        let history = locked(&self.history);
        let next = |name: String| {
            let next = history.positions.get(&name).copied().unwrap_or(0);
            (name, next)
        };
        (0..sources).map(source).map(next).collect()
    }

    /// Everything that a process opens when it starts.
    pub(crate) fn open(&self, setup: &Setup) -> SeamResult<Shared> {
        let vfs: Arc<dyn Vfs> = Arc::new(self.disk.clone());
        let clock: Arc<dyn Clock> = Arc::new(StoppedClock::after(self.passed));
        let folder = Arc::new(DataFolder::simulated(&self.root, Arc::clone(&vfs))?);
        let store = Store::open_with_clock(&folder, StoreConfig::default(), Arc::clone(&clock))?;
        let retain = Retain { bytes: setup.retains.then_some(1), age: None, unread: Unread::Keep };
        let default_topic = TopicConfig { partitions: 1, retain };
        let config = LogConfig { segment_bytes: setup.segment_bytes, default_topic, ..LogConfig::default() };
        let log = self.root.join("log");
        let log = Log::open_with_clock(&log, Arc::clone(&vfs), config, Reserve::none(), Arc::clone(&clock))?;
        let snapshots = Arc::new(SnapshotStore::new(vfs, &self.root.join("state")));
        Ok(Shared {
            folder,
            commits: Arc::new(Transactions {
                disk: self.disk.clone(),
                root: self.root.clone(),
                store: store.clone(),
                history: Arc::clone(&self.history),
            }),
            store,
            log,
            snapshots,
            board: PipelineBoard::new(),
            health: Arc::new(Health::new(clock.now())),
            compiler: Arc::new(Columns),
            clock,
        })
    }
}

impl World {
    /// Opens the data folder to look at it.
    pub(crate) fn inspect<T>(
        &self,
        setup: &Setup,
        look: impl FnOnce(&Self, &Shared) -> Result<T, String>,
    ) -> Result<T, String> {
        let shared = self.open(setup).map_err(|error| error.full())?;
        look(self, &shared)
    }
}

/// Shows the time of the runtime's timers, which passes only when there is nothing to do.
struct StoppedClock {
    began: tokio::time::Instant,
    /// What it showed then, in microseconds since 1970: some hours after the first events.
    first: i64,
    /// What it showed last.
    shown: AtomicI64,
}

impl StoppedClock {
    fn after(passed: Duration) -> Self {
        let passed = i64::try_from(passed.as_micros()).unwrap_or(i64::MAX);
        let first = (DAY_SECONDS + 6 * 3600) * 1_000_000 + passed;
        Self { began: tokio::time::Instant::now(), first, shown: AtomicI64::new(first) }
    }
}

impl Clock for StoppedClock {
    fn now(&self) -> ProcessingTime {
        // The log's own thread has no runtime; while it works the time stands still.
        if tokio::runtime::Handle::try_current().is_ok() {
            let passed = i64::try_from(self.began.elapsed().as_micros()).unwrap_or(i64::MAX);
            self.shown.store(self.first.saturating_add(passed), Ordering::SeqCst);
        }
        ProcessingTime::from_micros(self.shown.load(Ordering::SeqCst))
    }
}

/// What commits have said.
#[derive(Debug, Default)]
struct History {
    /// The watermarks that the last one holds.
    watermarks: Vec<i64>,
    /// Up to where each source is committed.
    positions: BTreeMap<String, u64>,
    contradiction: Option<String>,
}

impl History {
    /// Watermarks never go back, whatever happens between two commits.
    fn add(&mut self, commit: &EpochCommit) {
        let counters: Value = serde_json::from_str(&commit.counters).unwrap_or_default();
        let watermarks = counters["progress"]["reached"].as_array().into_iter().flatten().filter_map(Value::as_i64);
        let watermarks: Vec<i64> = watermarks.collect();
        if self.watermarks.iter().zip(&watermarks).any(|(before, now)| now < before) {
            let (epoch, before) = (commit.epoch, &self.watermarks);
            self.contradiction =
                Some(format!("with epoch {epoch} watermarks went back from {before:?} to {watermarks:?}"));
        }
        self.watermarks = watermarks;
        self.read_to(commit);
    }

    fn read_to(&mut self, commit: &EpochCommit) {
        let next =
            |(source, positions): (&String, &Positions)| Some((source.clone(), positions.values().next()?.offset.0));
        self.positions = commit.positions.iter().filter_map(next).collect();
    }
}

fn locked(history: &Mutex<History>) -> MutexGuard<'_, History> {
    history.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The store's commits, each an operation of the simulated disk: nothing of it is true before, all of it after.
struct Transactions {
    disk: SimDisk,
    root: PathBuf,
    store: Arc<Store>,
    history: Arc<Mutex<History>>,
}

impl Transactions {
    /// What is committed, the same wherever the data folder is.
    fn text(&self, commit: &EpochCommit) -> SeamResult<String> {
        let text = serde_json::to_string(commit)
            .map_err(|error| SeamError::caused(ErrorKind::Closed, "a commit cannot be written", error))?;
        Ok(text.replace(&*self.root.to_string_lossy(), ""))
    }

    fn done(&self, done: std::io::Result<SeamResult<()>>) -> SeamResult<()> {
        done.unwrap_or_else(|error| Err(disk_error("commit to", &self.root, error)))
    }
}

#[async_trait]
impl CommitPoint for Transactions {
    async fn commit(&self, commit: EpochCommit) -> SeamResult<()> {
        let text = self.text(&commit)?;
        let made = async {
            let made = self.store.commit(commit.clone()).await;
            made.inspect(|()| locked(&self.history).add(&commit))
        };
        self.done(self.disk.act("commit", text.as_bytes(), made).await)
    }

    async fn kept(&self, pipeline: &str) -> SeamResult<Vec<KeptCommit>> {
        self.store.kept(pipeline).await
    }

    fn keeps(&self) -> usize {
        self.store.keeps()
    }

    async fn go_back(&self, to: Epoch, commit: EpochCommit) -> SeamResult<()> {
        let text = self.text(&commit)?;
        let made = async {
            let made = self.store.go_back(to, commit.clone()).await;
            made.inspect(|()| {
                let mut history = locked(&self.history);
                history.watermarks.clear();
                history.read_to(&commit);
            })
        };
        self.done(self.disk.act("go back", text.as_bytes(), made).await)
    }

    async fn last(&self, pipeline: &str) -> SeamResult<Option<Committed>> {
        self.store.last(pipeline).await
    }
}
