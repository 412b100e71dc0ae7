//! Objects as files of a folder.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use weir_disk::{disk_error, publish, remove_leftovers, sync_error};
use weir_model::{SeamResult, Vfs};

use super::Objects;
use crate::object::{damaged, is_name};

/// What the names of objects end in.
pub(crate) const SUFFIX: &str = ".snap";
/// Where damaged objects go, in the folder.
const DAMAGED_FOLDER: &str = "damaged";
/// How many of them are kept there; the oldest make room.
pub(crate) const DAMAGED_KEPT_MAX: usize = 8;

/// Objects as files of a folder.
#[derive(Clone, Debug)]
pub(crate) struct FolderObjects {
    pub(crate) vfs: Arc<dyn Vfs>,
    pub(crate) folder: PathBuf,
}

impl FolderObjects {
    /// The file of an object.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}{SUFFIX}"))
    }

    /// Whether there is an object of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.vfs.len(&self.path(name)).is_ok()
    }

    fn drop_oldest(&self, aside: &Path) -> SeamResult<()> {
        // Names begin with the epoch.
        let files = self.vfs.list(aside).map_err(|error| disk_error("list", aside, error))?;
        for (path, _) in files.iter().rev().skip(DAMAGED_KEPT_MAX) {
            self.vfs.remove(path).map_err(|error| disk_error("remove", path, error))?;
        }
        Ok(())
    }
}

/// The object's name that a file has.
fn object_name(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
    is_name(name).then_some(name)
}

impl Objects for FolderObjects {
    fn put(&self, name: &str, bytes: Vec<u8>) -> SeamResult<u64> {
        self.vfs.create_folder(&self.folder).map_err(|error| disk_error("create", &self.folder, error))?;
        Ok(publish(&*self.vfs, &self.path(name), &bytes)?.bytes)
    }

    fn len(&self, name: &str) -> SeamResult<u64> {
        let path = self.path(name);
        self.vfs.len(&path).map_err(|error| disk_error("read", &path, error))
    }

    fn read(&self, name: &str, offset: u64, bytes: u64) -> SeamResult<Vec<u8>> {
        let path = self.path(name);
        let mut content = Vec::with_capacity(usize::try_from(bytes).unwrap_or(0));
        let read = self.vfs.open(&path, offset).and_then(|file| file.take(bytes).read_to_end(&mut content));
        let read = read.map_err(|error| disk_error("read", &path, error))?;
        if read as u64 == bytes {
            Ok(content)
        } else {
            Err(damaged(&self.shown(name), format!("it ends before byte {}", offset + bytes)))
        }
    }

    fn forget_copy(&self, _: &str) -> SeamResult<bool> {
        Ok(false)
    }

    fn names(&self) -> SeamResult<BTreeSet<String>> {
        remove_leftovers(&*self.vfs, &self.folder)?;
        let files = self.vfs.list(&self.folder).map_err(|error| disk_error("list", &self.folder, error))?;
        Ok(files.iter().filter_map(|(path, _)| object_name(path).map(str::to_owned)).collect())
    }

    fn remove(&self, name: &str) -> SeamResult<u64> {
        let (path, bytes) = (self.path(name), self.len(name)?);
        self.vfs.remove(&path).map_err(|error| disk_error("remove", &path, error))?;
        Ok(bytes)
    }

    fn set_aside(&self, name: &str) -> SeamResult<Option<String>> {
        if !is_name(name) || !self.has(name) {
            return Ok(None);
        }
        let aside = Self { vfs: Arc::clone(&self.vfs), folder: self.folder.join(DAMAGED_FOLDER) };
        let (from, to) = (self.path(name), aside.path(name));
        self.vfs.create_folder(&aside.folder).map_err(|error| disk_error("create", &aside.folder, error))?;
        self.vfs.rename(&from, &to).map_err(|error| disk_error("rename", &from, error))?;
        self.drop_oldest(&aside.folder)?;
        for folder in [&aside.folder, &self.folder] {
            self.vfs.sync_folder(folder).map_err(|error| sync_error(folder, error))?;
        }
        Ok(Some(to.display().to_string()))
    }

    fn shown(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}
