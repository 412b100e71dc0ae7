//! Where the objects of one pipeline lie: a folder, or a bucket with a folder as its cache. Knows nothing of what they hold.

pub(crate) mod bucket;
pub(crate) mod client;
pub(crate) mod folder;
pub(crate) mod reading;
pub(crate) mod remote;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt::Debug;

use weir_model::SeamResult;

/// The objects of one pipeline, by name. An object is written once; its name is never used again.
pub(crate) trait Objects: Send + Sync + Debug {
    /// Stores an object whose name is new. It is durable when this returns.
    ///
    /// # Errors
    /// `Retry` when there is no room, or the other side does not answer; `Closed` when the result is not known.
    fn put(&self, name: &str, bytes: Vec<u8>) -> SeamResult<u64>;

    /// How long an object is.
    ///
    /// # Errors
    /// `Corrupt` when it is gone.
    fn len(&self, name: &str) -> SeamResult<u64>;

    /// So many bytes of an object from `offset` on, unchecked.
    ///
    /// # Errors
    /// `Corrupt` when it ends before.
    fn read(&self, name: &str, offset: u64, bytes: u64) -> SeamResult<Vec<u8>>;

    /// What was read of an object is damaged: whether that was a copy, which is forgotten, and there is more to read.
    ///
    /// # Errors
    /// As the disk says.
    fn forget_copy(&self, name: &str) -> SeamResult<bool>;

    /// The names of all objects; what is left of unfinished ones is removed.
    ///
    /// # Errors
    /// As [`Objects::len`].
    fn names(&self) -> SeamResult<BTreeSet<String>>;

    /// Removes an object; returns how long it was.
    ///
    /// # Errors
    /// As [`Objects::len`].
    fn remove(&self, name: &str) -> SeamResult<u64>;

    /// Moves a damaged object to where nobody reads it but people; returns where that is, or `None` when it is not there.
    ///
    /// # Errors
    /// As [`Objects::len`].
    fn set_aside(&self, name: &str) -> SeamResult<Option<String>>;

    /// What people know an object by.
    fn shown(&self, name: &str) -> String;
}
