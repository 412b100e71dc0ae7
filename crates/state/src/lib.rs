//! What survives a crash of the engine's state: snapshots as immutable objects that are checked when they are read.
//! Knows nothing of what the rows in a run mean.

mod snapshots;

pub use snapshots::{Collected, SnapshotStore};
