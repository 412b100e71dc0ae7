//! The snapshots of all pipelines in a folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use weir_disk::{disk_error, publish};
use weir_engine::{Run, Snapshot};
use weir_model::{Epoch, ErrorKind, SeamError, SeamResult, Vfs};

use crate::index::Index;
use crate::manifest::{Manifest, StoredRun, VERSION};
use crate::object::{ObjectBuilder, damaged, new_name, object_path, read_manifest, read_piece};

/// Writes and reads snapshots under a folder (`DIR/state`), one sub-folder per pipeline.
///
/// A snapshot is one object, `<epoch>-<ULID>.snap`, that holds its new runs and names the older objects, by place and
/// checksum, that hold the others: a small change of a large state costs one small file and two syncs.
#[derive(Clone, Debug)]
pub struct SnapshotStore {
    pub(crate) vfs: Arc<dyn Vfs>,
    folder: PathBuf,
    indexes: Arc<Mutex<HashMap<String, Index>>>,
}

impl SnapshotStore {
    /// Snapshots in `folder` on `vfs`.
    pub fn new(vfs: Arc<dyn Vfs>, folder: &Path) -> Self {
        Self { vfs, folder: folder.to_owned(), indexes: Arc::default() }
    }

    /// Writes a snapshot and returns its name, which was never used before, when it is durable. Runs that the last
    /// snapshot that was written or read here has too are not written again: an engine that begins anew, without
    /// reading one, and so gives ids anew, needs [`SnapshotStore::forget`] first.
    ///
    /// # Errors
    /// `Retry` when the disk is full, `Closed` when it failed, `Config` when `pipeline` cannot be a folder's name.
    pub fn write(&self, pipeline: &str, epoch: Epoch, snapshot: &Snapshot) -> SeamResult<String> {
        let folder = self.folder_of(pipeline)?;
        self.vfs.create_folder(&folder).map_err(|error| disk_error("create", &folder, error))?;
        let name = new_name(&*self.vfs, epoch);
        let mut object = ObjectBuilder::new(name.clone());
        let known =
            self.indexes().entry(pipeline.to_owned()).or_default().reusable(snapshot.runs.iter().map(|run| run.id));
        let mut runs = Vec::with_capacity(snapshot.runs.len());
        for run in &snapshot.runs {
            let piece = match known.get(&run.id) {
                Some(piece) => piece.clone(),
                None => object.piece(|bytes| write_rows(&run.batch, bytes))?,
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
        let published = publish(&*self.vfs, &object_path(&folder, &name), &object.finish(&manifest)?)?;
        self.indexes().entry(pipeline.to_owned()).or_default().after(&name, &manifest.runs, Some(published.bytes));
        Ok(name)
    }

    /// Reads the snapshot called `name`.
    ///
    /// # Errors
    /// `Corrupt`, naming the file and what is wrong with it, when anything is missing or does not match: use an older
    /// snapshot. `Config` when a newer Weir wrote it.
    pub fn read(&self, pipeline: &str, name: &str) -> SeamResult<Snapshot> {
        let folder = self.folder_of(pipeline)?;
        let manifest = read_manifest(&*self.vfs, &folder, pipeline, name)?;
        let meta = read_piece(&*self.vfs, &folder, &manifest.meta)?;
        let run = |stored: &StoredRun| {
            let bytes = read_piece(&*self.vfs, &folder, &stored.piece)?;
            let batch = read_rows(&bytes).map_err(|why| {
                damaged(&object_path(&folder, &stored.piece.object), format!("run {}: {why}", stored.id))
            })?;
            Ok(Run { id: stored.id, node: stored.node, pane: stored.pane(), batch })
        };
        let runs = manifest.runs.iter().map(run).collect::<SeamResult<_>>()?;
        self.indexes().entry(pipeline.to_owned()).or_default().after(name, &manifest.runs, None);
        Ok(Snapshot { plan_fingerprint: manifest.plan_fingerprint, meta, runs })
    }

    /// Forgets which runs of `pipeline` are written already: its engine begins anew.
    pub fn forget(&self, pipeline: &str) {
        self.indexes().remove(pipeline);
    }

    pub(crate) fn indexes(&self) -> MutexGuard<'_, HashMap<String, Index>> {
        self.indexes.lock().unwrap_or_else(PoisonError::into_inner)
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

fn write_rows(batch: &RecordBatch, bytes: &mut Vec<u8>) -> SeamResult<()> {
    let write = || {
        let mut writer = StreamWriter::try_new(bytes, &batch.schema())?;
        writer.write(batch)?;
        writer.finish()
    };
    write().map_err(|error| SeamError::caused(ErrorKind::Closed, "cannot write a run as Arrow IPC", error))
}

fn read_rows(bytes: &[u8]) -> Result<RecordBatch, String> {
    let mut reader = StreamReader::try_new(bytes, None).map_err(|error| error.to_string())?;
    let batch = reader.next().ok_or("it has no batch")?.map_err(|error| error.to_string())?;
    if reader.next().is_some() { Err("it has more than one batch".to_owned()) } else { Ok(batch) }
}
