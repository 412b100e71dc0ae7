//! Backups of a data folder: consistent while Weir runs, incremental, checked when they are restored. A backup never
//! changes what it is a backup of, and a restore never writes into a folder that holds anything.
//!
//! ```text
//! BACKUP/objects/<2 hex>/<XXH3-128>-<bytes>   the content of a file, whatever its name; there once, never changed
//! BACKUP/backups/<id>.json                    a backup: which files there are, each with size and checksum; written last
//! BACKUP/lock                                 held by who makes a backup
//! ```
//!
//! BACKUP is a folder, or a place in a bucket.
//!
//! Rows that lie in buckets (`tiers`) are fetched and saved like those that lie here, once, and lie in the data folder after a
//! restore: two installations never share an object.
//!
//! One moment: the catalog is held for as long as it takes to copy it and to link all files that it names into
//! `DATA/backup-pins`, where no compaction and no retention removes them. The log goes on meanwhile: a backup may hold more
//! of it than its pipelines have read, which they read after a restore.

mod bucket;
mod keep;
mod manifest;
mod pin;
mod restore;
mod shelf;
#[cfg(test)]
mod tests;
mod vault;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use chrono::{DateTime, Utc};
use weir_model::{ErrorKind, SeamError, SeamResult};
use weir_store::{Buckets, SegmentObject};

pub use keep::Keep;
pub use manifest::{Entry, Manifest};
pub use restore::{Verified, restore, verify};
pub use vault::Vault;

pub(crate) use pin::link;

use pin::Pins;

/// Told how many bytes there are in all, and after each file how many are done.
pub type Progress<'a> = &'a dyn Fn(u64, u64);

/// What a backup came to.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Report {
    /// Its name.
    pub id: String,
    /// Files in it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes that were not in the backup folder before.
    pub new_bytes: u64,
    /// What is damaged in the data folder and therefore not in the backup.
    pub troubles: Vec<String>,
    /// Backups that were deleted because they are not to be kept.
    pub deleted: Vec<String>,
}

/// What a backup is made of, and what of it is kept.
#[derive(Debug)]
pub struct Wish<'a> {
    /// The data folder; it may be in use.
    pub data: &'a Path,
    /// How rows in buckets are reached; without it they stay where they are, and are only named.
    pub buckets: Option<&'a dyn Buckets>,
    /// Which older backups are kept; without it all.
    pub keep: Option<Keep>,
}

/// Makes a backup in `vault`, and deletes those that are not to be kept.
///
/// # Errors
/// `Config` when a folder cannot be used, `Corrupt` when the catalog or the newest state of a pipeline is damaged: such a
/// backup would be worth nothing. As the disk says.
pub fn take(wish: &Wish<'_>, vault: &Vault, now: DateTime<Utc>, progress: Progress<'_>) -> SeamResult<Report> {
    let _alone = vault.lock()?;
    let mut pins = Pins::of(wish.data)?;
    let known: BTreeMap<String, Entry> = match vault.newest()? {
        Some(manifest) => manifest.files.into_iter().map(|entry| (entry.path.clone(), entry)).collect(),
        None => BTreeMap::new(),
    };
    let objects = if wish.buckets.is_some() { std::mem::take(&mut pins.objects) } else { Vec::new() };
    let sizes = pins.files.iter().map(|file| file.bytes).chain(objects.iter().map(|object| object.file.bytes));
    let mut saved = Saved::new(sizes.sum(), pins.elsewhere.clone(), progress);
    for file in &pins.files {
        saved.take(vault.put(file, known.get(&file.path))?, file.bytes);
    }
    let mut home = BTreeSet::new();
    if let Some(buckets) = wish.buckets {
        for object in &objects {
            let put = put_object(vault, &pins, (object, buckets), known.get(&object.file.path))?;
            if !matches!(put, vault::Put::Damaged(_)) {
                home.insert(object.file.path.clone());
            }
            saved.take(put, object.file.bytes);
        }
    }
    let catalog = pins.catalog(&home)?;
    saved.take(vault.put(catalog, known.get(&catalog.path))?, 0);
    let Saved { mut files, troubles, new_bytes, .. } = saved;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let bytes = files.iter().map(|entry| entry.bytes).sum();
    let manifest = Manifest::new(now, files, pins.epochs.clone(), troubles.clone());
    vault.publish(&manifest)?;
    pins.release();
    let deleted = match wish.keep {
        Some(keep) => vault.delete_old(keep, now)?,
        None => Vec::new(),
    };
    let (id, files) = (manifest.id, manifest.files.len() as u64);
    Ok(Report { id, files, bytes, new_bytes, troubles, deleted })
}

/// Saves a file that lies in a bucket. Its name is never another's: what a backup has of it need not be fetched again.
fn put_object(
    vault: &Vault,
    pins: &Pins,
    (object, buckets): (&SegmentObject, &dyn Buckets),
    known: Option<&Entry>,
) -> SeamResult<vault::Put> {
    if let Some(known) = known.filter(|known| known.bytes == object.file.bytes && vault.has(known)) {
        return Ok(vault::Put::There(known.clone()));
    }
    match pins.fetch(object, buckets) {
        Ok(fetched) => {
            let put = vault.put(&fetched, None)?;
            pins.let_go(&fetched)?;
            Ok(put)
        }
        // Of the bucket, not of this disk or of the vault.
        Err(error) if matches!(error.kind, ErrorKind::Retry | ErrorKind::Corrupt) => {
            let (path, shown) = (&object.file.path, object.remote(buckets).shown());
            Ok(vault::Put::Damaged(format!(
                "{path} lies in a bucket, and is not in the backup as it cannot be fetched from there ({}): a restore needs {shown} \
                 as it is now; keys are looked for in the environment",
                error.full()
            )))
        }
        Err(error) => Err(error),
    }
}

/// What of a backup is saved so far.
struct Saved<'a> {
    all: u64,
    done: u64,
    files: Vec<Entry>,
    new_bytes: u64,
    troubles: Vec<String>,
    progress: Progress<'a>,
}

impl<'a> Saved<'a> {
    fn new(all: u64, troubles: Vec<String>, progress: Progress<'a>) -> Self {
        Self { all, done: 0, files: Vec::new(), new_bytes: 0, troubles, progress }
    }

    /// Counts a file of `bytes` bytes.
    fn take(&mut self, put: vault::Put, bytes: u64) {
        match put {
            vault::Put::There(entry) => self.files.push(entry),
            vault::Put::New(entry) => {
                self.new_bytes += entry.bytes;
                self.files.push(entry);
            }
            vault::Put::Damaged(trouble) => self.troubles.push(trouble),
        }
        self.done += bytes;
        (self.progress)(self.done, self.all);
    }
}

/// The error of doing `what` to `path` with the standard library.
fn failed(what: &str, path: &Path, error: std::io::Error) -> SeamError {
    weir_disk::disk_error(what, path, error)
}

fn refused(message: String) -> SeamError {
    SeamError::new(ErrorKind::Config, message)
}
