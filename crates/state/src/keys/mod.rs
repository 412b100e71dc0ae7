//! Where the keys of steps lie that do not fit into memory, beside the snapshots: RocksDB, where this build has it. Never the
//! truth: all of it can be made anew from the runs of a snapshot.

#[cfg(feature = "rocksdb")]
mod rocks;
#[cfg(all(test, feature = "rocksdb"))]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use weir_engine::{KeyStore, KeyStores};
use weir_model::SeamResult;
use xxhash_rust::xxh3::xxh3_64;

use crate::SnapshotStore;

/// Whether this build has RocksDB.
pub const HAS_ROCKSDB: bool = cfg!(feature = "rocksdb");

/// What to do without it.
pub const ROCKSDB_HINT: &str = "build it with `--features rocksdb`, or leave `backend` out: keys then lie in the files of \
                                snapshots, and results are the same";

/// The folder of these stores, in that of the pipeline's snapshots.
const FOLDER: &str = "rocksdb";

/// The stores of a pipeline's steps.
#[derive(Debug)]
struct StepKeys {
    folder: PathBuf,
}

impl KeyStores for StepKeys {
    fn open(&self, step: &str) -> SeamResult<Box<dyn KeyStore>> {
        // Any text may be the name of a step.
        open(self.folder.join(format!("{:016x}", xxh3_64(step.as_bytes()))))
    }
}

impl SnapshotStore {
    /// Where the steps of `pipeline` put keys that do not fit into memory, so that each can be asked for alone. It is on this
    /// machine, also where snapshots lie in a bucket.
    ///
    /// # Errors
    /// `Config` when `pipeline` cannot be a folder's name. Opening one fails with `Config` in a build without RocksDB.
    pub fn key_stores(&self, pipeline: &str) -> SeamResult<Arc<dyn KeyStores>> {
        Ok(Arc::new(StepKeys { folder: self.folder_of(pipeline)?.join(FOLDER) }))
    }
}

#[cfg(feature = "rocksdb")]
fn open(folder: PathBuf) -> SeamResult<Box<dyn KeyStore>> {
    Ok(Box::new(rocks::RocksKeys::open(folder)?))
}

#[cfg(not(feature = "rocksdb"))]
fn open(_: PathBuf) -> SeamResult<Box<dyn KeyStore>> {
    Err(weir_model::SeamError::new(
        weir_model::ErrorKind::Config,
        format!("this weir was built without RocksDB: {ROCKSDB_HINT}"),
    ))
}
