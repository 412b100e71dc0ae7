//! What a worker's clients remember over its lives in one process. Decides nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use weir_kafka::TransactionOffsets;

use super::leftovers::Leftovers;

/// What the clients of one life leave to those of the next. Clones are the same.
#[derive(Clone, Default)]
pub struct Past {
    /// What may lie in partitions although it was never committed.
    pub(super) leftovers: Leftovers,
    /// How long is waited until offsets are part of a transaction.
    pub(super) offsets: TransactionOffsets,
    granted: Arc<AtomicBool>,
}

impl Past {
    /// The brokers have granted the last commit that had offsets; or nobody knows yet.
    pub(super) fn last_commit(&self, is_granted: bool) {
        self.granted.store(is_granted, Ordering::Relaxed);
    }

    /// Whether no offsets but those of a commit that was granted can be undecided.
    pub(super) fn is_granted(&self) -> bool {
        self.granted.load(Ordering::Relaxed)
    }
}
