//! Stories about the store as a whole.

mod crash;
mod damage;
mod exactly_once;
mod indexes;
mod reading;
mod removing;
mod settings;
mod swapping;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::Int64Type;
use tempfile::TempDir;
use weir_disk::{DataFolder, Disk};
use weir_model::{Clock, CommitPoint, Epoch, EpochCommit, PartitionId, Position, Prepared, ProcessingTime, Vfs};

use crate::segment::decode;
use crate::{Store, StoreConfig, StoreSnapshot, TableConfig, TableWriter};

/// A clock that stands still until it is set.
#[derive(Debug, Default)]
pub(crate) struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> ProcessingTime {
        ProcessingTime::from_micros(self.0.load(Ordering::Relaxed))
    }
}

/// A store on a folder, and one pipeline that writes to its table `logs`.
pub(crate) struct Setting {
    temp: TempDir,
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) config: StoreConfig,
    simulated: bool,
}

impl Setting {
    pub(crate) fn on(vfs: Arc<dyn Vfs>, simulated: bool) -> Self {
        let temp = tempfile::tempdir().expect("a temporary folder");
        Self { temp, vfs, clock: Arc::default(), config: StoreConfig::default(), simulated }
    }

    pub(crate) fn new() -> Self {
        Self::on(Arc::new(Disk), false)
    }

    pub(crate) fn path(&self) -> &Path {
        self.temp.path()
    }

    pub(crate) fn open(&self) -> weir_model::SeamResult<Arc<Store>> {
        let vfs = Arc::clone(&self.vfs);
        // The lock of a folder on the real disk is not part of these stories.
        let folder =
            if self.simulated { DataFolder::simulated(self.path(), vfs)? } else { DataFolder::open(self.path(), vfs)? };
        Store::open_with_clock(&folder, self.config.clone(), Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    pub(crate) fn pass(&self, time: std::time::Duration) {
        self.clock.0.fetch_add(i64::try_from(time.as_micros()).expect("a short time"), Ordering::Relaxed);
    }
}

/// Rows with the ids `ids`, a time and a text each.
pub(crate) fn rows(ids: std::ops::Range<i64>) -> RecordBatch {
    let times =
        TimestampMicrosecondArray::from_iter_values(ids.clone().map(|id| 1_000_000 * (id ^ 1))).with_timezone("UTC");
    let texts = StringArray::from_iter_values(ids.clone().map(|id| format!("message number {id} of this test")));
    let ids = Int64Array::from_iter_values(ids);
    let columns: [(&str, ArrayRef); 3] = [("ts", Arc::new(times)), ("id", Arc::new(ids)), ("message", Arc::new(texts))];
    RecordBatch::try_from_iter(columns).expect("a batch")
}

pub(crate) fn commit_of(pipeline: &str, epoch: u64, offset: u64, prepared: Prepared) -> EpochCommit {
    let position = Position { offset: weir_model::Offset(offset), ..Position::default() };
    EpochCommit {
        pipeline: pipeline.to_owned(),
        epoch: Epoch(epoch),
        positions: BTreeMap::from([("in".to_owned(), BTreeMap::from([(PartitionId::new("p"), position)]))]),
        prepared: BTreeMap::from([("out".to_owned(), prepared)]),
        plan_fingerprint: "plan".to_owned(),
        counters: "{}".to_owned(),
        ..EpochCommit::default()
    }
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

/// Prepares and commits what was written.
pub(crate) fn commit(store: &Store, writer: &mut TableWriter, epoch: u64, offset: u64) {
    let prepared = writer.prepare(Epoch(epoch)).expect("prepared");
    block_on(store.commit(commit_of("p", epoch, offset, prepared))).expect("committed");
    writer.committed(Epoch(epoch)).expect("told");
}

pub(crate) fn writer(store: &Arc<Store>) -> TableWriter {
    store.writer("logs", TableConfig::default()).expect("a writer")
}

/// The ids of all rows of `logs` in a snapshot, sorted.
pub(crate) fn ids(vfs: &dyn Vfs, snapshot: &StoreSnapshot) -> Vec<i64> {
    let Some(table) = snapshot.tables.get("logs") else { return Vec::new() };
    let stored = table.segments.iter().flat_map(|segment| decode(vfs, segment, &table.schema).expect("read"));
    let mut ids: Vec<i64> = stored
        .chain(table.fresh.iter().cloned())
        .flat_map(|batch| {
            assert_eq!(batch.schema(), table.schema);
            batch.column_by_name("id").expect("id").as_primitive::<Int64Type>().values().to_vec()
        })
        .collect();
    ids.sort_unstable();
    ids
}

pub(crate) fn visible(store: &Store) -> Vec<i64> {
    ids(&**store.vfs(), &store.snapshot().expect("a snapshot"))
}

pub(crate) fn files(setting: &Setting) -> Vec<PathBuf> {
    let list = setting.vfs.list(&setting.path().join("tables/logs")).expect("listed");
    list.into_iter().map(|(path, _)| path).collect()
}
