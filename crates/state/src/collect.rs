//! Removes objects that no snapshot needs: by reference, never by age. Objects of a damaged snapshot that was given up are
//! put aside, where people find them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use weir_disk::{disk_error, remove_leftovers, sync_error};
use weir_model::{ErrorKind, SeamResult};

use crate::SnapshotStore;
use crate::index::objects_of;
use crate::object::{object_name, object_path, read_manifest};

/// Where objects of damaged snapshots go, in the pipeline's folder.
const DAMAGED_FOLDER: &str = "damaged";
/// How many of them are kept there; the oldest make room.
pub(crate) const DAMAGED_KEPT_MAX: usize = 8;

/// What [`SnapshotStore::collect`] removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Objects removed.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is wrong with snapshots that should be kept and cannot be read: nobody can go back to them.
    pub damaged: Vec<String>,
}

impl SnapshotStore {
    /// Removes the objects of `pipeline` that none of the snapshots named in `keep` needs; the last snapshot that this
    /// process wrote or read is kept besides. Call it after a commit, with the snapshots of all commits that are kept.
    ///
    /// # Errors
    /// As the disk says.
    pub fn collect(&self, pipeline: &str, keep: &[String]) -> SeamResult<Collected> {
        let folder = self.folder_of(pipeline)?;
        let mut collected = Collected::default();
        let needed = self.needed(pipeline, keep, &mut collected.damaged)?;
        remove_leftovers(&*self.vfs, &folder)?;
        for (path, _) in self.vfs.list(&folder).map_err(|error| disk_error("list", &folder, error))? {
            if object_name(&path).is_some_and(|name| !needed.contains(name)) {
                collected.bytes += self.vfs.len(&path).map_err(|error| disk_error("read", &path, error))?;
                self.vfs.remove(&path).map_err(|error| disk_error("remove", &path, error))?;
                collected.objects += 1;
            }
        }
        Ok(collected)
    }

    /// The objects of the snapshots `keep` and of the last one.
    fn needed(&self, pipeline: &str, keep: &[String], damaged: &mut Vec<String>) -> SeamResult<BTreeSet<String>> {
        let folder = self.folder_of(pipeline)?;
        let mut indexes = self.indexes();
        let index = indexes.entry(pipeline.to_owned()).or_default();
        let last = index.last.clone();
        let kept: BTreeSet<&String> = keep.iter().chain(&last).collect();
        index.forget_all_but(&kept);
        let mut needed = BTreeSet::new();
        for name in kept {
            if index.needs(name).is_none() {
                let objects = match read_manifest(&*self.vfs, &folder, pipeline, name) {
                    Ok(manifest) => objects_of(name, &manifest.runs),
                    // What it names cannot be known. Its own object stays, to be looked at.
                    Err(error) if error.kind == ErrorKind::Corrupt => {
                        damaged.push(error.full());
                        BTreeSet::from([name.clone()])
                    }
                    Err(error) => return Err(error),
                };
                index.learn(name, objects);
            }
            needed.extend(index.needs(name).into_iter().flatten().cloned());
        }
        Ok(needed)
    }

    /// Puts the objects of the snapshots `given_up`, which are damaged, aside, except for those that a snapshot in `keep`
    /// needs; returns where they are now. Nobody reads them again: they are for people to look at.
    ///
    /// # Errors
    /// As the disk says.
    pub fn set_aside(&self, pipeline: &str, given_up: &[String], keep: &[String]) -> SeamResult<Vec<PathBuf>> {
        let folder = self.folder_of(pipeline)?;
        let needed = self.needed(pipeline, keep, &mut Vec::new())?;
        let aside = folder.join(DAMAGED_FOLDER);
        let mut moved = Vec::new();
        for name in given_up.iter().filter(|name| !needed.contains(*name)) {
            let (from, to) = (object_path(&folder, name), object_path(&aside, name));
            if object_name(&from).is_none() || self.vfs.len(&from).is_err() {
                continue;
            }
            self.vfs.create_folder(&aside).map_err(|error| disk_error("create", &aside, error))?;
            self.vfs.rename(&from, &to).map_err(|error| disk_error("rename", &from, error))?;
            moved.push(to);
        }
        if !moved.is_empty() {
            self.drop_oldest(&aside)?;
            for folder in [&aside, &folder] {
                self.vfs.sync_folder(folder).map_err(|error| sync_error(folder, error))?;
            }
        }
        Ok(moved)
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
