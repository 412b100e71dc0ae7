//! What a worker's clients remember over its lives in one process. Decides nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_kafka::{Leftovers, Partitions, Progress, TransactionOffsets};

use crate::broker::{Place, Transaction};

/// What the clients of one life leave to those of the next. Clones are the same.
#[derive(Clone, Default)]
pub struct Past {
    /// What may lie in partitions although it was never committed.
    pub(super) leftovers: Leftovers,
    /// How long is waited until offsets are part of a transaction.
    pub(super) offsets: TransactionOffsets,
    last: Arc<Mutex<Option<Last>>>,
}

/// The last transaction that had offsets.
#[derive(Clone)]
pub(super) struct Last {
    /// How far it has come.
    pub(super) progress: Progress,
    /// Of which partitions it had offsets.
    pub(super) places: Arc<[Place]>,
    /// Where its records were stored.
    pub(super) stored_in: Arc<Partitions>,
}

impl Past {
    /// The last transaction that has offsets is this one.
    pub(super) fn begins(&self, of: &Transaction, stored_in: Partitions) {
        let places = of.offsets.iter().map(|(place, _)| place.clone()).collect();
        *self.lock() = Some(Last { progress: Progress::Begun, places, stored_in: stored_in.into() });
    }

    /// It has come so far.
    pub(super) fn has_come(&self, progress: Progress) {
        if let Some(last) = &mut *self.lock() {
            last.progress = progress;
        }
    }

    /// The last transaction of this process that had offsets. No other offsets of its producers can be undecided.
    pub(super) fn last(&self) -> Option<Last> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Last>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
