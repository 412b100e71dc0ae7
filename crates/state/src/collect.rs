//! Removes objects that no snapshot needs: by reference, never by age. Objects of a damaged snapshot that was given up are
//! put aside, where people find them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use weir_model::{ErrorKind, SeamResult};

use crate::SnapshotStore;
use crate::index::objects_of;
use crate::object::read_manifest;

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
    /// As the disk, or the bucket, says.
    pub fn collect(&self, pipeline: &str, keep: &[String]) -> SeamResult<Collected> {
        let objects = self.objects(pipeline)?;
        let mut collected = Collected::default();
        let needed = self.needed(pipeline, keep, &mut collected.damaged)?;
        for name in objects.names()?.difference(&needed) {
            collected.bytes += objects.remove(name)?;
            collected.objects += 1;
        }
        Ok(collected)
    }

    /// The files that the snapshot `name` of `pipeline` consists of, relative to the folder of all snapshots.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be read.
    pub fn files_of(&self, pipeline: &str, name: &str) -> SeamResult<Vec<PathBuf>> {
        let manifest = read_manifest(&*self.objects(pipeline)?, pipeline, name)?;
        let names = objects_of(name, &manifest.runs);
        Ok(names.iter().map(|object| Path::new(pipeline).join(format!("{object}.snap"))).collect())
    }

    /// The objects of the snapshots `keep` and of the last one.
    fn needed(&self, pipeline: &str, keep: &[String], damaged: &mut Vec<String>) -> SeamResult<BTreeSet<String>> {
        let objects = self.objects(pipeline)?;
        let mut indexes = self.indexes();
        let index = indexes.entry(pipeline.to_owned()).or_default();
        let last = index.last.clone();
        let kept: BTreeSet<&String> = keep.iter().chain(&last).collect();
        index.forget_all_but(&kept);
        let mut needed = BTreeSet::new();
        for name in kept {
            if index.needs(name).is_none() {
                let names = match read_manifest(&*objects, pipeline, name) {
                    Ok(manifest) => objects_of(name, &manifest.runs),
                    // What it names cannot be known. Its own object stays, to be looked at.
                    Err(error) if error.kind == ErrorKind::Corrupt => {
                        damaged.push(error.full());
                        BTreeSet::from([name.clone()])
                    }
                    Err(error) => return Err(error),
                };
                index.learn(name, names);
            }
            needed.extend(index.needs(name).into_iter().flatten().cloned());
        }
        Ok(needed)
    }

    /// Puts the objects of the snapshots `given_up`, which are damaged, aside, except for those that a snapshot in `keep`
    /// needs; returns where they are now. Nobody reads them again: they are for people to look at.
    ///
    /// # Errors
    /// As the disk, or the bucket, says.
    pub fn set_aside(&self, pipeline: &str, given_up: &[String], keep: &[String]) -> SeamResult<Vec<String>> {
        let objects = self.objects(pipeline)?;
        let needed = self.needed(pipeline, keep, &mut Vec::new())?;
        let mut moved = Vec::new();
        for name in given_up.iter().filter(|name| !needed.contains(*name)) {
            moved.extend(objects.set_aside(name)?);
        }
        Ok(moved)
    }
}
