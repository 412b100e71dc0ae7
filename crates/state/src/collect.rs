//! Removes objects that no snapshot needs: by reference, never by age.

use std::collections::BTreeSet;

use weir_disk::{disk_error, remove_leftovers};
use weir_model::SeamResult;

use crate::SnapshotStore;
use crate::object::{object_name, read_manifest};

/// What [`SnapshotStore::collect`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Objects removed.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl SnapshotStore {
    /// Removes the objects of `pipeline` that none of the snapshots named in `keep` needs; the last snapshot that this
    /// process wrote or read is kept besides. Call it after a commit, with the snapshots of all commits that are kept.
    ///
    /// # Errors
    /// `Corrupt` when a snapshot to keep cannot be read: nothing is removed then.
    pub fn collect(&self, pipeline: &str, keep: &[String]) -> SeamResult<Collected> {
        let folder = self.folder_of(pipeline)?;
        let last = self.indexes().get(pipeline).and_then(|index| index.last.clone());
        let mut needed = BTreeSet::new();
        for name in keep.iter().chain(&last) {
            let manifest = read_manifest(&*self.vfs, &folder, pipeline, name)?;
            needed.insert(name.clone());
            needed.extend(manifest.runs.into_iter().map(|run| run.piece.object));
        }
        remove_leftovers(&*self.vfs, &folder)?;
        let mut collected = Collected::default();
        for (path, _) in self.vfs.list(&folder).map_err(|error| disk_error("list", &folder, error))? {
            if object_name(&path).is_some_and(|name| !needed.contains(name)) {
                collected.bytes += self.vfs.len(&path).map_err(|error| disk_error("read", &path, error))?;
                self.vfs.remove(&path).map_err(|error| disk_error("remove", &path, error))?;
                collected.objects += 1;
            }
        }
        Ok(collected)
    }
}
