//! Keys outside of the engine: a store with point reads that has copies of what runs hold, for more keys than even prints of
//! them fit into memory. Decides nothing: which runs there are, snapshots say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use weir_model::SeamResult;

/// Where keys can be asked for one by one that are not in memory. The name of a run stands for the same keys for ever, so
/// what a store has of a run is right whichever snapshot an engine goes on from; what it lacks is read from the snapshot's
/// files and added. So a store may lose what it has, as long as it does not say then that it has it: after a crash it is as
/// it was after one of the calls before.
pub trait KeyStore: Debug + Send {
    /// The runs whose keys it has, every one of them, and how many keys each has.
    ///
    /// # Errors
    /// When it cannot be read.
    fn runs(&mut self) -> SeamResult<BTreeMap<u64, u64>>;

    /// Forgets that it has other runs than `alive`, and may forget what buckets hold that begin before `first` (microseconds).
    ///
    /// # Errors
    /// When it cannot be written. Nothing has happened then.
    fn keep(&mut self, alive: &BTreeSet<u64>, first: i64) -> SeamResult<()>;

    /// Adds a run; it may take the place of what runs had that were not kept.
    ///
    /// # Errors
    /// When it cannot be written. Nothing has happened then.
    fn add(&mut self, run: &KeysOfRun<'_>) -> SeamResult<()>;

    /// What was added last for each of these keys in each of these buckets.
    ///
    /// # Errors
    /// When it cannot be read.
    fn get(&mut self, wanted: &[(i64, u128)]) -> SeamResult<Vec<Option<StoredKey>>>;
}

/// The keys of a run.
#[derive(Clone, Copy, Debug)]
pub struct KeysOfRun<'a> {
    /// The name of the run.
    pub id: u64,
    /// Where its bucket begins (microseconds).
    pub bucket: i64,
    /// The keys, as 128-bit digests.
    pub keys: &'a [u128],
    /// The event time of each (microseconds).
    pub times: &'a [i64],
}

/// A key that a store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredKey {
    /// The run that it was added with.
    pub run: u64,
    /// Its event time (microseconds).
    pub time: i64,
}

/// Makes the stores of an engine's steps.
pub trait KeyStores: Debug + Send + Sync {
    /// The store of the step of this name, with what it had in an earlier life.
    ///
    /// # Errors
    /// When there cannot be one.
    fn open(&self, step: &str) -> SeamResult<Box<dyn KeyStore>>;
}
