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

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{DateTime, Utc};
use weir_model::{ErrorKind, SeamError, SeamResult};

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

/// Makes a backup of the data folder `data` in `vault`, and deletes the backups that `keep` does not keep.
///
/// # Errors
/// `Config` when a folder cannot be used, `Corrupt` when the catalog or the newest state of a pipeline is damaged: such a
/// backup would be worth nothing. As the disk says.
pub fn take(
    data: &Path,
    vault: &Vault,
    keep: Option<Keep>,
    now: DateTime<Utc>,
    progress: Progress<'_>,
) -> SeamResult<Report> {
    let _alone = vault.lock()?;
    let pins = Pins::of(data)?;
    let known = match vault.newest()? {
        Some(manifest) => manifest.files.into_iter().map(|entry| (entry.path.clone(), entry)).collect(),
        None => BTreeMap::new(),
    };
    let all: u64 = pins.files.iter().map(|file| file.bytes).sum();
    let (mut files, mut troubles, mut done, mut new_bytes) = (Vec::new(), pins.elsewhere.clone(), 0, 0);
    for file in &pins.files {
        match vault.put(file, known.get(&file.path))? {
            vault::Put::There(entry) => files.push(entry),
            vault::Put::New(entry) => {
                new_bytes += entry.bytes;
                files.push(entry);
            }
            vault::Put::Damaged(trouble) => troubles.push(trouble),
        }
        done += file.bytes;
        progress(done, all);
    }
    let bytes = files.iter().map(|entry| entry.bytes).sum();
    let manifest = Manifest::new(now, files, pins.epochs.clone(), troubles.clone());
    vault.publish(&manifest)?;
    pins.release();
    let deleted = match keep {
        Some(keep) => vault.delete_old(keep, now)?,
        None => Vec::new(),
    };
    let (id, files) = (manifest.id, manifest.files.len() as u64);
    Ok(Report { id, files, bytes, new_bytes, troubles, deleted })
}

/// The error of doing `what` to `path` with the standard library.
fn failed(what: &str, path: &Path, error: std::io::Error) -> SeamError {
    weir_disk::disk_error(what, path, error)
}

fn refused(message: String) -> SeamError {
    SeamError::new(ErrorKind::Config, message)
}
