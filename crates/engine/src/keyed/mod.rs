//! State by key: of each key the event times at which it was put, until these are so old that nobody asks for them. One seam
//! for what remembers more keys than it shows, with implementations that must say the same ([`conformance`]): in memory, and
//! spilling, where all but the newest keys lie in the files of the last snapshot, and are found by prints in memory or
//! in a [`KeyStore`].
//!
//! Keys are digests. What is asked of a batch of rows is announced first ([`KeyedState::fetch`]), so that a file is read
//! once per batch and never for a single row.

pub mod conformance;
mod in_memory;
mod prints;
mod spilling;
mod store;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_model::SeamResult;

use crate::keys::Digest;
use crate::run::{Run, RunStore};
pub(crate) use prints::Prints;
pub(crate) use spilling::Spilling;
pub use store::{KeyStore, KeyStores, KeysOfRun, StoredKey};

/// Keys with event times, in buckets of event time that expire as a whole.
pub(crate) trait KeyedState: Debug + Send {
    /// How many keys there are; one that was put at several times counts as often.
    fn len(&self) -> usize;

    /// Makes sure that the next calls of [`KeyedState::get`] find these keys, around these times.
    ///
    /// # Errors
    /// What is wrong with which file. What is asked next is answered wrongly then.
    fn fetch(&mut self, wanted: &[(Digest, i64)]) -> SeamResult<()>;

    /// A time less than a bucket's length from `time` at which the key was put. The key was fetched.
    fn get(&self, key: Digest, time: i64) -> Option<i64>;

    /// Puts a key for which [`KeyedState::get`] finds nothing at `time`.
    fn put(&mut self, key: Digest, time: i64);

    /// The watermark at which something expires next.
    fn next_expiry(&self) -> Option<i64>;

    /// Forgets what was put for times that no row reaches which is on time at the watermark `reached`.
    fn expire(&mut self, reached: i64);

    /// Every run; what came since the last time is in new ones.
    fn seal(&mut self, node: usize, next_run: &mut u64) -> Vec<Run>;

    /// What a snapshot keeps besides runs; called after [`KeyedState::seal`].
    fn meta(&self) -> KeyedMeta;

    /// Takes over what a snapshot holds.
    ///
    /// # Errors
    /// What is damaged.
    fn restore(&mut self, meta: &KeyedMeta, runs: &[Run]) -> Result<(), String>;

    /// Lets go of what `store` has until about `wanted` bytes are free; nothing was put since the last
    /// [`KeyedState::seal`]. Returns about how many are.
    fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize;

    /// About how many bytes it holds in memory.
    fn size(&self) -> usize;
}

/// What a snapshot keeps besides runs: of each bucket its start and the names of its runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct KeyedMeta {
    pub(crate) buckets: Vec<(i64, Vec<u64>)>,
}

/// The watermark at which the bucket of this length that begins at `start` expires: its last instant and twice the length.
/// A row that is on time is later than the watermark by less than that, and asks for keys as far from it.
pub(crate) fn expires_at(start: i64, length: i64) -> i64 {
    start.saturating_add(length - 1).saturating_add(length).saturating_add(length)
}
