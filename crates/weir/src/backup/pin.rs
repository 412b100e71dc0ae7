//! The files of one moment, held fast: each is linked into `DATA/backup-pins`, so that its name there stays when
//! compaction, retention or a newer snapshot removes it elsewhere. Reads none of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use weir_disk::{Disk, FileLock};
use weir_model::SeamResult;
use weir_registry::{REGISTRY_FILE, copy_registry};
use weir_state::SnapshotStore;
use weir_store::{Buckets, CatalogCopy, SegmentObject, bring_home, copy_catalog};

use super::{failed, refused};

/// The folder in the data folder.
const FOLDER: &str = "backup-pins";
/// The catalog's name in the data folder.
const CATALOG: &str = "catalog.sqlite";
/// Bytes that are fetched from a bucket at a time.
const PIECE_BYTES: u64 = 8 << 20;

/// A file that is held.
#[derive(Debug)]
pub(super) struct Pinned {
    /// Where it lies in the data folder.
    pub(super) path: String,
    /// Where it is held.
    pub(super) held: PathBuf,
    /// Its size then; the log's newest files grow.
    pub(super) bytes: u64,
    pub(super) modified_ns: i128,
    /// XXH3-64 that the catalog knows of it.
    pub(super) expected: Option<u64>,
}

/// Everything that belongs to one moment of a data folder.
#[derive(Debug)]
pub(super) struct Pins {
    folder: PathBuf,
    _alone: FileLock,
    pub(super) files: Vec<Pinned>,
    /// Files of tables that lie in buckets. Nothing holds them there but that a bucket's objects go a while after their rows.
    pub(super) objects: Vec<SegmentObject>,
    /// The epoch that each pipeline had committed.
    pub(super) epochs: BTreeMap<String, u64>,
    /// What cannot be held, as it lies somewhere else.
    pub(super) elsewhere: Vec<String>,
}

impl Pins {
    /// Holds what is in `data` now.
    pub(super) fn of(data: &Path) -> SeamResult<Self> {
        let data = &std::path::absolute(data).map_err(|error| failed("find", data, error))?;
        if !data.join(CATALOG).is_file() {
            return Err(refused(format!("{} is no data folder: there is no {CATALOG} in it", data.display())));
        }
        let folder = data.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|error| failed("create", &folder, error))?;
        let alone = FileLock::take_or(&folder.join("lock"), "another backup of this data folder is being made")?;
        let held = folder.join("held");
        remove_all(&held)?;
        fs::create_dir(&held).map_err(|error| failed("create", &held, error))?;
        let mut pins = Self {
            folder: held.clone(),
            _alone: alone,
            files: Vec::new(),
            objects: Vec::new(),
            epochs: BTreeMap::new(),
            elsewhere: Vec::new(),
        };
        let copied = copy_catalog(data, &held.join(CATALOG), |copy| pins.hold_all(data, copy))?;
        if copy_registry(data, &held.join(REGISTRY_FILE))? {
            pins.hold_measured(REGISTRY_FILE, held.join(REGISTRY_FILE), None)?;
        }
        for commit in &copied.commits {
            // The newest of a pipeline comes first.
            pins.epochs.entry(commit.pipeline.clone()).or_insert(commit.epoch.0);
        }
        pins.objects = copied.objects;
        pins.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(pins)
    }

    /// The catalog, in which the files `home` no longer lie in buckets.
    pub(super) fn catalog(&mut self, home: &BTreeSet<String>) -> SeamResult<&Pinned> {
        let held = self.folder.join(CATALOG);
        bring_home(&held, home)?;
        self.hold_measured(CATALOG, held, None)?;
        Ok(&self.files[self.files.len() - 1])
    }

    /// Fetches a file that lies in a bucket; it is held until [`Self::let_go`].
    pub(super) fn fetch(&self, object: &SegmentObject, buckets: &dyn Buckets) -> SeamResult<Pinned> {
        let (file, remote) = (&object.file, object.remote(buckets));
        let held = self.folder.join(&file.path);
        let parent = held.parent().unwrap_or(&self.folder);
        fs::create_dir_all(parent).map_err(|error| failed("create", parent, error))?;
        let mut to = File::create(&held).map_err(|error| failed("create", &held, error))?;
        for at in (0..file.bytes).step_by(PIECE_BYTES as usize) {
            let piece = remote.read(at, PIECE_BYTES.min(file.bytes - at))?;
            to.write_all(&piece).map_err(|error| failed("write", &held, error))?;
        }
        Ok(Pinned { path: file.path.clone(), held, bytes: file.bytes, modified_ns: 0, expected: Some(file.checksum) })
    }

    /// Removes what was fetched.
    pub(super) fn let_go(&self, fetched: &Pinned) -> SeamResult<()> {
        fs::remove_file(&fetched.held).map_err(|error| failed("remove", &fetched.held, error))
    }

    /// Lets everything go.
    pub(super) fn release(self) {
        // What is left is removed by the next backup.
        let _ = remove_all(&self.folder);
    }

    fn hold_all(&mut self, data: &Path, copy: &CatalogCopy) -> SeamResult<()> {
        let snapshots = SnapshotStore::new(Arc::new(Disk), &data.join("state"));
        let mut newest: Option<&str> = None;
        for commit in &copy.commits {
            let is_newest = newest.replace(&commit.pipeline) != Some(&commit.pipeline);
            let Some(name) = &commit.snapshot else { continue };
            let held = snapshots.files_of(&commit.pipeline, name).and_then(|files| {
                files.iter().try_for_each(|file| self.hold(data, &format!("state/{}", file.display()), None))
            });
            // Older ones are there to fall back to; a restore does without them if it must.
            match held {
                Err(error) if is_newest && lies_in_bucket(data, &commit.pipeline) => {
                    let pipeline = &commit.pipeline;
                    self.elsewhere.push(format!(
                        "the state of pipeline {pipeline} lies in its bucket and is not in the backup, as this disk has no copy of \
                         it ({}): a restore needs the bucket as it is now, or begins with --reset-state",
                        error.full()
                    ));
                }
                held if is_newest => held?,
                _ => {}
            }
        }
        for segment in &copy.segments {
            self.hold(data, &segment.path, Some((segment.bytes, segment.checksum)))?;
        }
        for file in files_under(&data.join("log"))? {
            if let Ok(path) = file.strip_prefix(data) {
                match self.hold(data, &path.display().to_string(), None) {
                    // Retention has just deleted it: every pipeline had read it.
                    Err(error) if error.kind == weir_model::ErrorKind::Corrupt => {}
                    held => held?,
                }
            }
        }
        Ok(())
    }

    /// Holds the file `path`; `expected` is its size and checksum where the catalog knows them.
    fn hold(&mut self, data: &Path, path: &str, expected: Option<(u64, u64)>) -> SeamResult<()> {
        if self.files.iter().any(|file| file.path == path) {
            return Ok(());
        }
        let (from, held) = (data.join(path), self.folder.join(path));
        let parent = held.parent().unwrap_or(&self.folder);
        fs::create_dir_all(parent).map_err(|error| failed("create", parent, error))?;
        match link(&from, &held) {
            // The tables say themselves what is missing of them, and go on without it.
            Err(error) if error.kind() == ErrorKind::NotFound && expected.is_some() => {
                let (bytes, checksum) = expected.unwrap_or_default();
                let missing = Pinned { path: path.to_owned(), held, bytes, modified_ns: 0, expected: Some(checksum) };
                self.files.push(missing);
                Ok(())
            }
            linked => {
                linked.map_err(|error| failed("link", &from, error))?;
                self.hold_measured(path, held, expected.map(|(_, checksum)| checksum))
            }
        }
    }

    fn hold_measured(&mut self, path: &str, held: PathBuf, expected: Option<u64>) -> SeamResult<()> {
        let metadata = fs::metadata(&held).map_err(|error| failed("read", &held, error))?;
        let since = metadata.modified().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let modified_ns = since.map_or(0, |since| i128::try_from(since.as_nanos()).unwrap_or(0));
        self.files.push(Pinned { path: path.to_owned(), held, bytes: metadata.len(), modified_ns, expected });
        Ok(())
    }
}

/// Whether a pipeline has had its snapshots in a bucket: copies of them are in the folder then, as a rule. Which installation
/// they belong to is not saved: two that take themselves for the same would remove each other's.
fn lies_in_bucket(data: &Path, pipeline: &str) -> bool {
    data.join("state").join(pipeline).join("owner").is_file()
}

/// Gives the file `from` another name, which holds it when the first is removed.
pub(crate) fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        // A file system without links: nothing but a copy holds it.
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            fs::copy(from, to).map(|_| ())
        }
        linked => linked,
    }
}

/// Every finished file under `folder`.
fn files_under(folder: &Path) -> SeamResult<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        match entry {
            Ok(entry) if entry.file_type().is_file() && entry.path().extension().is_none_or(|end| end != "tmp") => {
                found.push(entry.into_path());
            }
            Ok(_) => {}
            Err(error) if error.io_error().is_some_and(|error| error.kind() == ErrorKind::NotFound) => {}
            Err(error) => return Err(failed("list", folder, io::Error::other(error))),
        }
    }
    Ok(found)
}

fn remove_all(folder: &Path) -> SeamResult<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", folder, error)),
        _ => Ok(()),
    }
}
