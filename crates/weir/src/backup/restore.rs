//! From a backup to a data folder, or only looking whether it could be. Never writes into a folder that holds anything:
//! the new one is put together beside it, and gets its name when every file is there and checked.

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use weir_disk::{ChecksummedWriter, Disk, sync_error};
use weir_model::{SeamResult, Vfs};

use super::manifest::Manifest;
use super::{Progress, Vault, failed, refused};

/// What was looked at.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Verified {
    /// The backup.
    pub id: String,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong with which of them.
    pub damaged: Vec<String>,
}

/// Reads everything of a backup and compares it with its checksums.
///
/// # Errors
/// As [`Vault::manifest`], and as the disk says; what is damaged is no error.
pub fn verify(vault: &Vault, id: Option<&str>, progress: Progress<'_>) -> SeamResult<Verified> {
    let manifest = vault.manifest(id)?;
    let bytes = bytes_of(&manifest);
    let (mut damaged, mut done) = (Vec::new(), 0);
    for entry in &manifest.files {
        match vault.get(entry, |_| Ok(())) {
            Err(error) if error.kind == weir_model::ErrorKind::Corrupt => damaged.push(error.full()),
            read => read?,
        }
        done += entry.bytes;
        progress(done, bytes);
    }
    Ok(Verified { id: manifest.id, files: manifest.files.len() as u64, bytes, damaged })
}

/// Makes the data folder `data` of a backup; `data` must be empty or not there.
///
/// # Errors
/// `Config` when the folder holds something, `Corrupt` when a file of the backup is damaged: nothing is restored then.
pub fn restore(vault: &Vault, id: Option<&str>, data: &Path, progress: Progress<'_>) -> SeamResult<Manifest> {
    let manifest = vault.manifest(id)?;
    let data = &std::path::absolute(data).map_err(|error| failed("find", data, error))?;
    is_free(data)?;
    let building = beside(data);
    match fs::remove_dir_all(&building) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed("remove", &building, error)),
        _ => {}
    }
    let (bytes, mut done) = (bytes_of(&manifest), 0);
    for entry in &manifest.files {
        let path = building.join(&entry.path);
        let parent = path.parent().unwrap_or(&building);
        Disk.create_folder(parent).map_err(|error| failed("create", parent, error))?;
        let mut writer = ChecksummedWriter::create(&Disk, &path)?;
        vault.get(entry, |bytes| writer.write_all(bytes))?;
        writer.publish(&Disk)?;
        done += entry.bytes;
        progress(done, bytes);
    }
    is_free(data)?;
    // Replaces an empty folder, and nothing else.
    fs::rename(&building, data).map_err(|error| failed("name", data, error))?;
    if let Some(parent) = data.parent() {
        Disk.sync_folder(parent).map_err(|error| sync_error(parent, error))?;
    }
    Ok(manifest)
}

fn bytes_of(manifest: &Manifest) -> u64 {
    manifest.files.iter().map(|entry| entry.bytes).sum()
}

/// Refuses a folder that holds anything.
fn is_free(data: &Path) -> SeamResult<()> {
    match fs::read_dir(data).map(|mut entries| entries.next().is_none()) {
        Ok(true) => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("read", data, error)),
        Ok(false) => Err(refused(format!(
            "{} is not empty: restore into a new folder with --data, and move it to where it should be when you have looked \
             at it",
            data.display()
        ))),
    }
}

/// Where the folder is put together.
fn beside(data: &Path) -> PathBuf {
    let mut name = OsString::from(data);
    name.push(".restoring");
    PathBuf::from(name)
}
