//! The store as others see it. Decides little: the catalog says what is committed, `Tables` what is visible.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::datatypes::Schema;
use async_trait::async_trait;
use weir_disk::{DataFolder, Disk, blocking, disk_error, remove_leftovers};
use weir_model::{
    Clock, CommitPoint, Committed, Epoch, EpochCommit, ErrorKind, KeptCommit, SeamError, SeamResult, SystemClock, Vfs,
};

use crate::catalog::{Catalog, CatalogGrave, NewCommit};
use crate::schema::plain_fields;
use crate::segment::TABLES_FOLDER;
use crate::tables::{Buried, Grave, Tables};
use crate::tiers::{Buckets, NoBuckets, Remote};
use crate::tokens::indexed_path;
use crate::{StoreConfig, StoreSnapshot, TableConfig, TableSettings, TableWriter, Trouble, check_table_name};

/// The tables of a data folder.
#[derive(Debug)]
pub struct Store {
    shared: Arc<Shared>,
    pub(crate) compacting: Mutex<()>,
    /// Segments that would take too much memory to be merged.
    pub(crate) too_large: Mutex<BTreeSet<PathBuf>>,
    /// The last segment that [`Store::scrub`] has compared with its checksum.
    pub(crate) scrubbed: Mutex<PathBuf>,
    /// Segments whose search index is missing or damaged.
    pub(crate) unindexed: Mutex<BTreeSet<PathBuf>>,
    /// When a segment was last looked through for rows whose time is over, by its id.
    checked: Mutex<BTreeMap<i64, i64>>,
}

/// What a commit needs on the thread that it blocks. Locks are taken in the order of the fields.
struct Shared {
    path: PathBuf,
    vfs: Arc<dyn Vfs>,
    clock: Arc<dyn Clock>,
    config: StoreConfig,
    catalog: Mutex<Catalog>,
    tables: Mutex<Tables>,
    /// For a store that is only read: the version of the catalog that `tables` shows.
    shown: Option<AtomicI64>,
    /// How buckets are reached.
    buckets: Mutex<Arc<dyn Buckets>>,
    /// The result of a commit is not known: nothing may be committed before a restart has looked.
    broken: AtomicBool,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path)
            .field("read_only", &self.shown.is_some())
            .finish_non_exhaustive()
    }
}

/// A lock whose holder panicked guards data that is still whole: every change is one step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// Opens the store of a folder that this process has locked, and must keep locked for as long as it uses the
    /// store. Removes files that no commit names, and puts aside
    /// segments that are missing or have another size than they should.
    ///
    /// # Errors
    /// `Config` when a newer Weir wrote it, `Corrupt` when the catalog is damaged.
    pub fn open(folder: &DataFolder, config: StoreConfig) -> SeamResult<Arc<Self>> {
        Self::open_with_clock(folder, config, Arc::new(SystemClock))
    }

    /// As [`Store::open`], told the time by `clock`.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn open_with_clock(folder: &DataFolder, config: StoreConfig, clock: Arc<dyn Clock>) -> SeamResult<Arc<Self>> {
        let catalog = Catalog::open(folder.path())?;
        let vfs = Arc::clone(folder.vfs());
        vfs.sync_folder(folder.path()).map_err(|error| weir_disk::sync_error(folder.path(), error))?;
        let store = Self::new(folder.path(), vfs, clock, config, catalog, None);
        store.load()?;
        store.remove_unnamed_files()?;
        store.put_missing_aside()?;
        store.find_missing_indexes()?;
        Ok(Arc::new(store))
    }

    /// Opens the store at the data folder `path` to read it, also while another process writes to it: sees what is
    /// committed, never fresh rows.
    ///
    /// # Errors
    /// As [`Store::open`]; `Config` when there is no store.
    pub fn open_read_only(path: &Path) -> SeamResult<Arc<Self>> {
        let catalog = Catalog::open_read_only(path)?;
        let shown = AtomicI64::new(catalog.data_version()?);
        let store =
            Self::new(path, Arc::new(Disk), Arc::new(SystemClock), StoreConfig::default(), catalog, Some(shown));
        store.load()?;
        store.put_missing_aside()?;
        Ok(Arc::new(store))
    }

    fn new(
        path: &Path,
        vfs: Arc<dyn Vfs>,
        clock: Arc<dyn Clock>,
        config: StoreConfig,
        catalog: Catalog,
        shown: Option<AtomicI64>,
    ) -> Self {
        let shared = Shared {
            path: path.to_owned(),
            vfs,
            clock,
            config,
            catalog: Mutex::new(catalog),
            tables: Mutex::default(),
            buckets: Mutex::new(Arc::new(NoBuckets)),
            shown,
            broken: AtomicBool::new(false),
        };
        Self {
            shared: Arc::new(shared),
            compacting: Mutex::default(),
            too_large: Mutex::default(),
            scrubbed: Mutex::default(),
            unindexed: Mutex::default(),
            checked: Mutex::default(),
        }
    }

    /// The data folder.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// All tables as they are now.
    ///
    /// # Errors
    /// Only when opened read only: as the catalog says.
    pub fn snapshot(&self) -> SeamResult<StoreSnapshot> {
        self.follow()?;
        self.tables().snapshot()
    }

    /// Begins to write to a table, which is created by the first commit with rows. One writer per output.
    ///
    /// # Errors
    /// `Config` when the name is not `^[a-z][a-z0-9_]{0,62}$`, or the store is read only.
    pub fn writer(self: &Arc<Self>, table: &str, config: TableConfig) -> SeamResult<TableWriter> {
        check_table_name(table)?;
        self.owned()?;
        Ok(TableWriter::new(Arc::clone(self), table, &config))
    }

    /// Creates a table with the columns of `schema` (all of them may be null), or makes room for them in the one there
    /// is, so that a table whose rows are still to come can be asked already. `time` is its column of event times.
    ///
    /// # Errors
    /// `Config` when the name is not `^[a-z][a-z0-9_]{0,62}$`, or the store is read only; else as the disk says.
    pub fn declare(&self, table: &str, schema: &Schema, time: Option<&str>) -> SeamResult<()> {
        check_table_name(table)?;
        self.owned()?;
        let fields = plain_fields(schema.fields());
        self.catalog().declare(table, &fields, time)?;
        self.tables().declared(table, &fields, time);
        Ok(())
    }

    /// Sets what is chosen about tables, which need not be there yet: all of it or nothing. It holds from now on for what is
    /// written, merged and expired, in other processes too, until something else is set.
    ///
    /// # Errors
    /// `Config` when a name is none of a table, or the store is read only; else as the disk says.
    pub fn settle(&self, chosen: &BTreeMap<String, TableSettings>) -> SeamResult<()> {
        self.owned()?;
        chosen.keys().try_for_each(|table| check_table_name(table))?;
        let mut catalog = self.catalog();
        catalog.settle(chosen)?;
        let mut tables = self.tables();
        let mut stale = Vec::new();
        for (name, settings) in chosen {
            let table = tables.table(name);
            let old = std::mem::replace(&mut table.settings, Arc::new(settings.clone()));
            if (old.index, &old.rollups) != (settings.index, &settings.rollups) {
                let paths = table.live.iter().map(|live| &live.segment).filter(|segment| segment.index().is_some());
                stale.extend(paths.map(|segment| segment.path.clone()));
            }
            if old.ttl != settings.ttl {
                locked(&self.checked).clear();
            }
        }
        drop(tables);
        // What is looked up and summed up of old segments is made again in the background.
        locked(&self.unindexed).extend(stale);
        Ok(())
    }

    /// What is chosen about a table.
    pub fn settings(&self, table: &str) -> TableSettings {
        self.tables().by_name.get(table).map(|table| (*table.settings).clone()).unwrap_or_default()
    }

    /// Segments that are missing or damaged.
    pub fn troubles(&self) -> Vec<Trouble> {
        self.tables().troubles.clone()
    }

    /// The commits of `pipeline` that are kept, newest first; at most [`StoreConfig::commits_kept`].
    ///
    /// # Errors
    /// As the catalog says.
    pub fn commits(&self, pipeline: &str) -> SeamResult<Vec<KeptCommit>> {
        self.catalog().commits(pipeline)
    }

    /// The commits of every pipeline that are kept and sound: by pipeline, newest first. Nothing goes back to others.
    ///
    /// # Errors
    /// As the catalog says.
    pub fn all_commits(&self) -> SeamResult<Vec<Committed>> {
        let catalog = self.catalog();
        let pipelines = catalog.oldest_epochs()?.into_keys();
        let commits = pipelines.map(|pipeline| catalog.commits(&pipeline)).collect::<SeamResult<Vec<_>>>()?;
        Ok(commits.into_iter().flatten().filter_map(|kept| kept.commit.ok()).collect())
    }

    /// As [`CommitPoint::go_back`].
    fn undo(&self, to: Epoch, commit: &EpochCommit) -> SeamResult<()> {
        self.owned()?;
        let segments = commit.prepared.values().map(|prepared| prepared.segments.len()).sum::<usize>();
        assert_eq!(segments, 0, "going back brings no rows");
        let mut catalog = self.catalog();
        catalog.go_back(to, commit, self.now())?;
        let (tables, segments) = catalog.load()?;
        let mut visible = self.tables();
        let pins: BTreeMap<String, _> = visible
            .by_name
            .values()
            .flat_map(|table| &table.live)
            .map(|live| (live.row.path.clone(), Arc::clone(&live.segment.pin)))
            .collect();
        visible.load(self.path(), tables, segments, &*self.buckets());
        for live in visible.by_name.values_mut().flat_map(|table| &mut table.live) {
            if let Some(pin) = pins.get(&live.row.path) {
                live.segment.pin = Arc::clone(pin);
            }
        }
        // Who reads what was put aside before goes on reading it.
        let mut buried = pins;
        buried
            .extend(visible.graves.iter().filter_map(|grave| Some((grave.relative.clone()?, Arc::clone(&grave.pin)))));
        visible.graves = self.graves(&catalog, &buried)?;
        Ok(())
    }

    /// Deletes files that no table needs any more, no reader of this process holds, and whose grace is over; returns
    /// how many.
    ///
    /// # Errors
    /// As the disk says.
    pub fn sweep(&self) -> SeamResult<usize> {
        let grace = i64::try_from(self.config().grace.as_micros()).unwrap_or(i64::MAX);
        let before = self.now().saturating_sub(grace);
        let is_due =
            |grave: &Grave| Arc::strong_count(&grave.pin) == 1 && (grave.relative.is_none() || grave.since <= before);
        let (due, kept) = std::mem::take(&mut self.tables().graves).into_iter().partition(is_due);
        self.tables().graves.extend::<Vec<Grave>>(kept);
        let due: Vec<Grave> = due;
        for (index, grave) in due.iter().enumerate() {
            if let Err(error) = self.remove_buried(grave) {
                self.tables().graves.extend(due[index..].iter().cloned());
                return Err(error);
            }
        }
        // A crash in between leaves graves of files that are gone, which the next sweep forgets.
        let forgotten: Vec<String> = due.iter().filter_map(|grave| grave.relative.clone()).collect();
        if !forgotten.is_empty() {
            self.catalog().forget_graves(&forgotten)?;
        }
        Ok(due.len())
    }

    fn remove_buried(&self, grave: &Grave) -> SeamResult<()> {
        if grave.buried.index {
            self.remove_index(&grave.path)?;
        }
        if let Some(remote) = &grave.buried.remote {
            remote.remove()?;
        }
        match self.vfs().remove(&grave.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(disk_error("remove", &grave.path, error)),
            _ => Ok(()),
        }
    }

    pub(crate) fn buckets(&self) -> Arc<dyn Buckets> {
        Arc::clone(&locked(&self.shared.buckets))
    }

    pub(crate) fn buckets_mut(&self) -> MutexGuard<'_, Arc<dyn Buckets>> {
        locked(&self.shared.buckets)
    }

    /// When segments were looked through for rows whose time is over.
    pub(crate) fn checked(&self) -> MutexGuard<'_, BTreeMap<i64, i64>> {
        locked(&self.checked)
    }

    /// Whether it is only read: the catalog is another process's.
    pub(crate) fn is_read_only(&self) -> bool {
        self.shared.shown.is_some()
    }

    pub(crate) fn config(&self) -> &StoreConfig {
        &self.shared.config
    }

    pub(crate) fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.shared.vfs
    }

    pub(crate) fn now(&self) -> i64 {
        self.shared.clock.now().micros()
    }

    pub(crate) fn catalog(&self) -> MutexGuard<'_, Catalog> {
        locked(&self.shared.catalog)
    }

    /// When both are needed the catalog is locked first.
    pub(crate) fn tables(&self) -> MutexGuard<'_, Tables> {
        locked(&self.shared.tables)
    }

    pub(crate) fn owned(&self) -> SeamResult<()> {
        if self.shared.shown.is_none() {
            return Ok(());
        }
        let message = format!("the store in {} was opened to be read only", self.path().display());
        Err(SeamError::new(ErrorKind::Config, message))
    }

    /// Tables and graves as the catalog has them.
    fn load(&self) -> SeamResult<()> {
        let mut catalog = self.catalog();
        let (tables, segments) = catalog.load()?;
        let settings = catalog.settings()?;
        let graves = self.graves(&catalog, &BTreeMap::new())?;
        let mut visible = self.tables();
        visible.load(self.path(), tables, segments, &*self.buckets());
        for (name, settings) in settings {
            visible.table(&name).settings = Arc::new(settings);
        }
        visible.graves = graves;
        Ok(())
    }

    fn graves(&self, catalog: &Catalog, pins: &BTreeMap<String, Arc<crate::snapshot::Pin>>) -> SeamResult<Vec<Grave>> {
        let buckets = self.buckets();
        let grave = |CatalogGrave { path, since, object, index }: CatalogGrave| Grave {
            buried: Buried { remote: object.map(|object| Arc::new(Remote::new(&*buckets, object))), index },
            pin: pins.get(&path).cloned().unwrap_or_default(),
            path: self.path().join(&path),
            relative: Some(path),
            since,
        };
        Ok(catalog.graves()?.into_iter().map(grave).collect())
    }

    /// For a store that is only read: shows what has been committed meanwhile.
    fn follow(&self) -> SeamResult<()> {
        let Some(shown) = &self.shared.shown else { return Ok(()) };
        let version = self.catalog().data_version()?;
        if shown.swap(version, Ordering::Relaxed) != version {
            self.load()?;
            self.put_missing_aside()?;
        }
        Ok(())
    }

    /// Removes what a crash left in the tables' folder: unfinished files, and segments of epochs that never committed.
    fn remove_unnamed_files(&self) -> SeamResult<()> {
        let folder = self.path().join(TABLES_FOLDER);
        remove_leftovers(&**self.vfs(), &folder)?;
        let tables = self.tables();
        let live = tables.by_name.values().flat_map(|table| &table.live).map(|live| live.segment.path.as_path());
        let aside = tables.troubles.iter().map(|trouble| trouble.path.as_path());
        let graves = tables.graves.iter().map(|grave| grave.path.as_path());
        let named: BTreeSet<&Path> = live.chain(aside).chain(graves).collect();
        let list = |path: &Path| self.vfs().list(path).map_err(|error| disk_error("list", path, error));
        for (table, _) in list(&folder)? {
            for (path, kind) in list(&table)? {
                let segment = indexed_path(&path);
                let segment = segment.as_deref().unwrap_or(&path);
                if kind == weir_model::FileKind::File && !named.contains(segment) {
                    tracing::info!(path = %path.display(), "removing a file of an epoch that never committed");
                    self.vfs().remove(&path).map_err(|error| disk_error("remove", &path, error))?;
                }
            }
        }
        Ok(())
    }

    /// Puts aside segments whose file is missing or has another size than the catalog says.
    fn put_missing_aside(&self) -> SeamResult<()> {
        let segments = self.tables().snapshot()?.tables.into_values().flat_map(|table| table.segments);
        for segment in segments.filter(|segment| segment.remote.is_none()) {
            let reason = match self.vfs().len(&segment.path) {
                Ok(bytes) if bytes == segment.bytes => continue,
                Ok(bytes) => format!("the file has {bytes} bytes and should have {}", segment.bytes),
                Err(error) => format!("the file cannot be opened: {error}"),
            };
            self.quarantine(&segment.path, &reason)?;
        }
        Ok(())
    }
}

impl Shared {
    fn commit(&self, commit: &EpochCommit) -> SeamResult<()> {
        if self.broken.load(Ordering::Acquire) {
            let message =
                "the result of an earlier commit is not known: restart, which recovers the last one that holds";
            return Err(SeamError::new(ErrorKind::Closed, message));
        }
        let mut catalog = locked(&self.catalog);
        let time_columns = locked(&self.tables).time_columns(commit);
        let now = self.clock.now().micros();
        let new = NewCommit { commit, time_columns: &time_columns, keep: self.config.commits_kept, now };
        let ids = catalog.commit(&new).inspect_err(|error| {
            self.broken.fetch_or(error.kind == ErrorKind::Closed, Ordering::AcqRel);
        })?;
        // The catalog's lock is still held, so that commits become visible in their order.
        locked(&self.tables).committed(&self.path, commit, &ids)
    }
}

#[async_trait]
impl CommitPoint for Store {
    async fn commit(&self, commit: EpochCommit) -> SeamResult<()> {
        self.owned()?;
        let shared = Arc::clone(&self.shared);
        let done = blocking(move || shared.commit(&commit)).await;
        done.unwrap_or_else(|error| Err(SeamError::caused(ErrorKind::Closed, "a commit was interrupted", error)))
    }

    async fn last(&self, pipeline: &str) -> SeamResult<Option<Committed>> {
        self.catalog().last(pipeline)
    }

    async fn kept(&self, pipeline: &str) -> SeamResult<Vec<KeptCommit>> {
        self.commits(pipeline)
    }

    fn keeps(&self) -> usize {
        self.config().commits_kept
    }

    async fn go_back(&self, to: Epoch, commit: EpochCommit) -> SeamResult<()> {
        self.undo(to, &commit)
    }
}
