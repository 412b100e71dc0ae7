//! What survives a crash of the engine's state: snapshots as immutable objects that are checked when they are read.
//! Knows nothing of what the rows in a run mean.

mod bundle;
mod collect;
mod index;
mod keys;
mod manifest;
mod object;
mod objects;
mod snapshots;
#[cfg(test)]
mod tests;

pub use bundle::{Bundles, Part};
pub use collect::Collected;
pub use keys::{HAS_ROCKSDB, ROCKSDB_HINT};
pub use objects::bucket::Bucket;
pub use objects::client::BucketClient;
pub use snapshots::{SnapshotSize, SnapshotStore};
