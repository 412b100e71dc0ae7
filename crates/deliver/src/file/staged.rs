//! A file that is being staged: written as bytes come, made durable at the end. Refuses to count a byte that the disk
//! has not taken, so that writing can go on after the disk was full.

use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

use weir_disk::{disk_error, sync_error};
use weir_model::{SeamResult, Vfs, VfsFile, planted};
use xxhash_rust::xxh3::Xxh3;

/// A file that is being staged.
pub(super) struct StagedFile {
    path: PathBuf,
    file: Box<dyn VfsFile>,
    pub(super) bytes: u64,
    hash: Box<Xxh3>,
}

impl std::fmt::Debug for StagedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StagedFile").field("path", &self.path).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

impl StagedFile {
    /// Begins the file `path`; what an earlier attempt left there is removed.
    pub(super) fn create(vfs: &dyn Vfs, path: &Path) -> SeamResult<Self> {
        let created = match vfs.create(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => vfs.remove(path).and_then(|()| vfs.create(path)),
            created => created,
        };
        let file = created.map_err(|error| disk_error("create", path, error))?;
        Ok(Self { path: path.to_owned(), file, bytes: 0, hash: Box::default() })
    }

    /// Writes what is `pending` and removes from it what the disk has taken.
    pub(super) fn drain(&mut self, pending: &mut Vec<u8>) -> SeamResult<()> {
        let mut taken = 0;
        let result = loop {
            if taken == pending.len() {
                break Ok(());
            }
            match self.file.write(&pending[taken..]) {
                Ok(0) => break Err(Error::from(ErrorKind::WriteZero)),
                Ok(bytes) => taken += bytes,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        if planted!(FullDiskSwallowed) && result.is_err() {
            pending.truncate(taken);
        }
        self.hash.update(&pending[..taken]);
        self.bytes += taken as u64;
        pending.drain(..taken);
        if planted!(FullDiskSwallowed) {
            Ok(())
        } else {
            result.map_err(|error| disk_error("write", &self.path, error))
        }
    }

    /// Makes everything durable; returns the checksum. After an error the file is lost.
    pub(super) fn sync(&mut self) -> SeamResult<u64> {
        if !planted!(StageNotSynced) {
            self.file.sync().map_err(|error| sync_error(&self.path, error))?;
        }
        Ok(self.hash.digest())
    }
}

/// The folder that a file lies in.
pub(super) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A file's length; `None` if it does not exist.
pub(super) fn length(vfs: &dyn Vfs, path: &Path) -> SeamResult<Option<u64>> {
    match vfs.len(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(disk_error("look at", path, error)),
    }
}

/// Removes a file, if it is there.
pub(super) fn remove(vfs: &dyn Vfs, path: &Path) -> SeamResult<()> {
    match vfs.remove(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(disk_error("remove", path, error)),
        _ => Ok(()),
    }
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(vfs: &dyn Vfs, folder: &Path) -> SeamResult<()> {
    vfs.sync_folder(folder).map_err(|error| sync_error(folder, error))
}
