//! The snapshots of all pipelines in a folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use weir_disk::{disk_error, publish, read_file};
use weir_engine::{Run, RunRows, RunStore, Snapshot};
use weir_model::{Epoch, ErrorKind, SeamError, SeamResult, Vfs};

use crate::index::{Index, objects_of};
use crate::manifest::{Manifest, Piece, StoredRun, VERSION};
use crate::object::{ObjectBuilder, check_piece, damaged, new_name, read_manifest, read_piece};
use crate::objects::Objects;
use crate::objects::bucket::Bucket;
use crate::objects::client::BucketClient;
use crate::objects::folder::FolderObjects;
use crate::objects::reading::ReadObjects;
use crate::objects::remote::RemoteObjects;

/// Less than this is compared with its checksums by one thread.
const CHECKED_ALONE_BYTES: u64 = 32 << 20;
/// More threads than this make no disk faster.
const CHECKING_THREADS_MAX: usize = 8;

/// The bucket of each pipeline that has one.
type Placed = HashMap<String, (Bucket, Arc<dyn Objects>)>;

/// Writes and reads snapshots under a folder (`DIR/state`), one sub-folder per pipeline.
///
/// A snapshot is one object, `<epoch>-<ULID>.snap`, that holds its new runs and names the older objects, by place and
/// checksum, that hold the others: a small change of a large state costs one small file and two syncs.
#[derive(Clone, Debug)]
pub struct SnapshotStore {
    vfs: Arc<dyn Vfs>,
    folder: PathBuf,
    indexes: Arc<Mutex<HashMap<String, Index>>>,
    /// The buckets of pipelines whose snapshots lie in one.
    buckets: Arc<Mutex<Placed>>,
}

/// How large a snapshot is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SnapshotSize {
    /// Bytes of everything that it needs.
    pub bytes: u64,
    /// Bytes of it that were written for it, and are in no older file.
    pub own_bytes: u64,
    /// In how many files that lies.
    pub objects: usize,
    /// How many runs it has.
    pub runs: usize,
}

impl SnapshotStore {
    /// Snapshots in `folder` on `vfs`.
    pub fn new(vfs: Arc<dyn Vfs>, folder: &Path) -> Self {
        Self { vfs, folder: folder.to_owned(), indexes: Arc::default(), buckets: Arc::default() }
    }

    /// Writes a snapshot and returns its name, which was never used before, when it is durable. Runs that the last
    /// snapshot that was written or read here has too are not written again: an engine that begins anew, without
    /// reading one, and so gives ids anew, needs [`SnapshotStore::forget`] first.
    ///
    /// # Errors
    /// `Retry` when the disk is full, `Closed` when it failed, `Config` when `pipeline` cannot be a folder's name.
    pub fn write(&self, pipeline: &str, epoch: Epoch, snapshot: &Snapshot) -> SeamResult<String> {
        let objects = self.objects(pipeline)?;
        let name = new_name(&*self.vfs, epoch);
        let mut object = ObjectBuilder::new(name.clone());
        let known =
            self.indexes().entry(pipeline.to_owned()).or_default().reusable(snapshot.runs.iter().map(|run| run.id));
        let mut runs = Vec::with_capacity(snapshot.runs.len());
        for run in &snapshot.runs {
            let piece = match known.get(&run.id) {
                Some(piece) => piece.clone(),
                None => self.new_piece(pipeline, (&*objects, run), &mut object)?,
            };
            runs.push(StoredRun { id: run.id, node: run.node, pane: run.pane.micros(), piece });
        }
        let meta = object.piece(|bytes| {
            bytes.extend_from_slice(&snapshot.meta);
            Ok(())
        })?;
        let manifest = Manifest {
            version: VERSION,
            pipeline: pipeline.to_owned(),
            name: name.clone(),
            plan_fingerprint: snapshot.plan_fingerprint.clone(),
            meta,
            runs,
        };
        let bytes = objects.put(&name, object.finish(&manifest)?)?;
        self.indexes().entry(pipeline.to_owned()).or_default().after(
            &name,
            &manifest.runs,
            [(name.clone(), bytes)],
            true,
        );
        Ok(name)
    }

    /// Puts the rows of a run into `object`: those that are in memory, or what was stored of them before, as it is.
    fn new_piece(
        &self,
        pipeline: &str,
        (objects, run): (&dyn Objects, &Run),
        object: &mut ObjectBuilder,
    ) -> SeamResult<Piece> {
        match run.rows.in_memory() {
            Some(batch) => object.piece(|bytes| write_rows(batch, bytes)),
            None => {
                let stored = read_piece(objects, &self.piece_of(pipeline, run.id)?)?;
                object.piece(|bytes| {
                    bytes.extend_from_slice(&stored);
                    Ok(())
                })
            }
        }
    }

    /// Where a run of the last snapshot lies.
    fn piece_of(&self, pipeline: &str, id: u64) -> SeamResult<Piece> {
        let piece = self.indexes().get(pipeline).and_then(|index| index.piece(id).cloned());
        piece.ok_or_else(|| {
            SeamError::new(ErrorKind::Closed, format!("no snapshot of pipeline {pipeline} has the run {id}"))
        })
    }

    /// What loads the runs of the last snapshot of `pipeline` that was written or read here, one by one.
    pub fn runs_of(&self, pipeline: &str) -> Arc<dyn RunStore> {
        Arc::new(StoredRuns { snapshots: self.clone(), pipeline: pipeline.to_owned() })
    }

    /// Reads the snapshot called `name`, with all its runs in memory.
    ///
    /// # Errors
    /// As [`SnapshotStore::open`].
    pub fn read(&self, pipeline: &str, name: &str) -> SeamResult<Snapshot> {
        let snapshot = self.open(pipeline, name)?;
        let runs = snapshot.runs.iter().map(Run::loaded).collect::<SeamResult<_>>()?;
        Ok(Snapshot { runs, ..snapshot })
    }

    /// Opens the snapshot called `name`: everything is compared with its checksum, and of the runs, nothing is in memory
    /// yet. They are loaded when they are needed.
    ///
    /// # Errors
    /// `Corrupt`, naming the file and what is wrong with it, when anything is missing or does not match: use an older
    /// snapshot. `Config` when a newer Weir wrote it.
    pub fn open(&self, pipeline: &str, name: &str) -> SeamResult<Snapshot> {
        let objects = self.objects(pipeline)?;
        let manifest = read_manifest(&*objects, pipeline, name)?;
        let meta = read_piece(&*objects, &manifest.meta)?;
        check_pieces(&*objects, &manifest.runs)?;
        let store = self.runs_of(pipeline);
        let run = |stored: &StoredRun| {
            let rows = RunRows::Stored { store: Arc::clone(&store), bytes: stored.piece.bytes };
            Run { id: stored.id, node: stored.node, pane: stored.pane(), rows }
        };
        let runs = manifest.runs.iter().map(run).collect();
        // Objects that lie elsewhere (the pipeline was moved to a bucket) can be read, and are written again.
        let reusable = self.buckets().get(pipeline).is_none() || {
            let there = objects.names()?;
            objects_of(name, &manifest.runs).is_subset(&there)
        };
        let named = if reusable { manifest.runs.as_slice() } else { &[] };
        let lengths = objects_of(name, named).into_iter().map(|object| {
            let bytes = objects.len(&object)?;
            Ok((object, bytes))
        });
        let lengths = lengths.collect::<SeamResult<Vec<_>>>()?;
        self.indexes().entry(pipeline.to_owned()).or_default().after(name, &manifest.runs, lengths, reusable);
        Ok(Snapshot { plan_fingerprint: manifest.plan_fingerprint, meta, runs })
    }

    /// What the snapshot called `name` consists of, without reading its runs.
    ///
    /// # Errors
    /// As [`SnapshotStore::read`].
    pub fn describe(&self, pipeline: &str, name: &str) -> SeamResult<SnapshotSize> {
        let objects = self.objects(pipeline)?;
        let manifest = read_manifest(&*objects, pipeline, name)?;
        let pieces = || manifest.runs.iter().map(|run| &run.piece).chain([&manifest.meta]);
        let bytes = pieces().map(|piece| piece.bytes).sum();
        let own_bytes = pieces().filter(|piece| piece.object == name).map(|piece| piece.bytes).sum();
        let files = objects_of(name, &manifest.runs).len();
        Ok(SnapshotSize { bytes, own_bytes, objects: files, runs: manifest.runs.len() })
    }

    /// Forgets which runs of `pipeline` are written already: its engine begins anew.
    pub fn forget(&self, pipeline: &str) {
        self.indexes().remove(pipeline);
    }

    pub(crate) fn indexes(&self) -> MutexGuard<'_, HashMap<String, Index>> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn buckets(&self) -> MutexGuard<'_, Placed> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the snapshots of `pipeline` lie in `bucket`, and copies of them in the folder; or again in the folder
    /// alone. What is kept in the folder already can still be read.
    ///
    /// # Errors
    /// `Config` when the bucket makes no sense; else as the disk says.
    pub fn place(&self, pipeline: &str, bucket: Option<&Bucket>) -> SeamResult<()> {
        let placed = self.buckets().get(pipeline).map(|(bucket, _)| bucket.clone());
        if placed.as_ref() == bucket {
            return Ok(());
        }
        self.forget(pipeline);
        let Some(bucket) = bucket else {
            self.buckets().remove(pipeline);
            return Ok(());
        };
        let cache = self.folder_objects(pipeline)?;
        let place = BucketClient::open(bucket)?.inside(pipeline).inside(&owner(&cache)?);
        let remote: Arc<dyn Objects> = Arc::new(RemoteObjects::new(place, cache));
        self.buckets().insert(pipeline.to_owned(), (bucket.clone(), remote));
        Ok(())
    }

    /// What is looked at of `pipeline` is read from `bucket` where this folder has no copy of it; nothing is written, and a folder
    /// that never had snapshots in a bucket has none there.
    ///
    /// # Errors
    /// As [`SnapshotStore::place`].
    pub fn look_into(&self, pipeline: &str, bucket: &Bucket) -> SeamResult<()> {
        let copies = self.folder_objects(pipeline)?;
        let Some(owner) = known_owner(&copies)? else { return Ok(()) };
        let place = BucketClient::open(bucket)?.inside(pipeline).inside(&owner);
        let objects: Arc<dyn Objects> = Arc::new(ReadObjects::new(place, copies));
        self.forget(pipeline);
        self.buckets().insert(pipeline.to_owned(), (bucket.clone(), objects));
        Ok(())
    }

    /// Whether snapshots of `pipeline` were in a bucket, as far as the folder knows: not all of them have copies in it.
    pub fn had_bucket(&self, pipeline: &str) -> bool {
        self.folder_objects(pipeline).and_then(|copies| known_owner(&copies)).is_ok_and(|owner| owner.is_some())
    }

    /// Objects of `pipeline` lie there, whatever that is.
    #[cfg(test)]
    pub(crate) fn place_at(&self, pipeline: &str, objects: Arc<dyn Objects>) {
        let bucket = Bucket { url: String::new(), options: Default::default() };
        self.buckets().insert(pipeline.to_owned(), (bucket, objects));
    }

    /// Where the objects of `pipeline` lie.
    pub(crate) fn objects(&self, pipeline: &str) -> SeamResult<Arc<dyn Objects>> {
        if let Some((_, remote)) = self.buckets().get(pipeline) {
            return Ok(Arc::clone(remote));
        }
        Ok(Arc::new(self.folder_objects(pipeline)?))
    }

    fn folder_objects(&self, pipeline: &str) -> SeamResult<FolderObjects> {
        Ok(FolderObjects { vfs: Arc::clone(&self.vfs), folder: self.folder_of(pipeline)? })
    }

    pub(crate) fn folder_of(&self, pipeline: &str) -> SeamResult<PathBuf> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
        if pipeline.as_bytes().first().is_some_and(u8::is_ascii_lowercase) && pipeline.bytes().all(allowed) {
            return Ok(self.folder.join(pipeline));
        }
        let shown = weir_model::Value(pipeline.as_bytes());
        let message = format!("{shown} cannot be a pipeline: a name has a-z, 0-9, _ and -, and begins with a letter");
        Err(SeamError::new(ErrorKind::Config, message))
    }
}

/// The name under which this data folder has objects in buckets: made once, never that of another.
fn owner(cache: &FolderObjects) -> SeamResult<String> {
    if let Some(owner) = known_owner(cache)? {
        return Ok(owner);
    }
    cache.vfs.create_folder(&cache.folder).map_err(|error| disk_error("create", &cache.folder, error))?;
    let owner = cache.vfs.unused_name().to_string();
    publish(&*cache.vfs, &owner_file(cache), owner.as_bytes())?;
    Ok(owner)
}

fn owner_file(cache: &FolderObjects) -> PathBuf {
    cache.folder.join("owner")
}

/// That name, if it was made.
fn known_owner(cache: &FolderObjects) -> SeamResult<Option<String>> {
    let path = owner_file(cache);
    match cache.vfs.len(&path) {
        Ok(_) => {
            let owner = read_file(&*cache.vfs, &path)?;
            let owner = String::from_utf8(owner).ok().filter(|owner| owner.len() == 26);
            let unknown = || damaged(&path.display().to_string(), "it is not the name of an owner of snapshots");
            owner.map(Some).ok_or_else(unknown)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk_error("look at", &path, error)),
    }
}

/// Loads runs of one pipeline.
#[derive(Debug)]
struct StoredRuns {
    snapshots: SnapshotStore,
    pipeline: String,
}

impl RunStore for StoredRuns {
    fn load(&self, id: u64) -> SeamResult<RecordBatch> {
        let objects = self.snapshots.objects(&self.pipeline)?;
        let piece = self.snapshots.piece_of(&self.pipeline, id)?;
        let bytes = read_piece(&*objects, &piece)?;
        read_rows(bytes).map_err(|why| damaged(&objects.shown(&piece.object), format!("run {id}: {why}")))
    }
}

/// Compares the runs with their checksums, on several threads where that takes long.
fn check_pieces(objects: &dyn Objects, runs: &[StoredRun]) -> SeamResult<()> {
    let bytes: u64 = runs.iter().map(|run| run.piece.bytes).sum();
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(CHECKING_THREADS_MAX);
    if bytes < CHECKED_ALONE_BYTES || threads == 1 {
        return runs.iter().try_for_each(|run| check_piece(objects, &run.piece));
    }
    let next = AtomicUsize::new(0);
    let check = || {
        // A chunk at a time, as long as there are any: runs differ in length.
        while let Some(run) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
            check_piece(objects, &run.piece)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(check)).collect();
        let own = check();
        let others = others.into_iter().map(|other| other.join().expect("it only reads"));
        others.fold(own, SeamResult::and)
    })
}

pub(crate) fn write_rows(batch: &RecordBatch, bytes: &mut Vec<u8>) -> SeamResult<()> {
    let write = || {
        let mut writer = StreamWriter::try_new(bytes, &batch.schema())?;
        writer.write(batch)?;
        writer.finish()
    };
    write().map_err(|error| SeamError::caused(ErrorKind::Closed, "cannot write a run as Arrow IPC", error))
}

/// The rows in `bytes`, of which the columns are parts.
pub(crate) fn read_rows(bytes: Vec<u8>) -> Result<RecordBatch, String> {
    let (mut bytes, mut decoder, mut found) = (Buffer::from(bytes), StreamDecoder::new(), None);
    while !bytes.is_empty() {
        if let Some(batch) = decoder.decode(&mut bytes).map_err(|error| error.to_string())?
            && found.replace(batch).is_some()
        {
            return Err("it has more than one batch".to_owned());
        }
    }
    decoder.finish().map_err(|error| error.to_string())?;
    found.ok_or_else(|| "it has no batch".to_owned())
}
