//! What a worker's clients remember over its lives in one process. Decides nothing.

use std::sync::{Arc, Mutex, PoisonError};

use weir_kafka::TransactionOffsets;

use super::leftovers::Leftovers;
use crate::broker::{Place, Transaction};

/// What the clients of one life leave to those of the next. Clones are the same.
#[derive(Clone, Default)]
pub struct Past {
    /// What may lie in partitions although it was never committed.
    pub(super) leftovers: Leftovers,
    /// How long is waited until offsets are part of a transaction.
    pub(super) offsets: TransactionOffsets,
    granted: Arc<Mutex<Option<Arc<[Place]>>>>,
}

impl Past {
    /// The brokers have granted this commit, the last one; or nobody knows which was.
    pub(super) fn last_commit(&self, granted: Option<&Transaction>) {
        let places = granted.map(|it| it.offsets.iter().map(|(place, _)| place.clone()).collect());
        *self.granted.lock().unwrap_or_else(PoisonError::into_inner) = places;
    }

    /// The partitions whose offsets were in the commit that was granted last. No others can be undecided; nothing, where nobody
    /// knows.
    pub(super) fn granted(&self) -> Option<Arc<[Place]>> {
        self.granted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
