//! How much memory a pipeline's state may take: over it, what a snapshot has is let go, and a snapshot is made sooner. Refuses
//! to write anything itself: what is let go lies in the files of the last snapshot already.

use std::sync::Arc;

use weir_engine::{Engine, RunStore};

/// What is left after letting go, as a share of the budget: so that it is not done again at once.
const LEFT_PERCENT: usize = 75;
/// So much of the budget must have come since, before a snapshot is made for the sake of memory: what cannot be let go must
/// not cause one after the other.
const GROWTH_PERCENT: usize = 10;

/// The memory that a pipeline's state may take.
#[derive(Debug)]
pub(super) struct Budget {
    bytes_max: usize,
    /// Has what the last snapshot named.
    runs: Arc<dyn RunStore>,
    /// How much was held after letting go last.
    left: usize,
}

impl Budget {
    pub(super) fn new(bytes_max: usize, runs: Arc<dyn RunStore>) -> Self {
        Self { bytes_max, runs, left: 0 }
    }

    /// Whether the engine holds so much that a snapshot should be made now.
    pub(super) fn is_reached(&self, engine: &Engine) -> bool {
        let held = engine.state_bytes();
        held > self.bytes_max && held - self.left.min(held) > share(self.bytes_max, GROWTH_PERCENT)
    }

    /// Lets go of what is over the budget; a snapshot was stored just now.
    pub(super) fn keep(&mut self, engine: &mut Engine) {
        if engine.state_bytes() > self.bytes_max {
            engine.release(share(self.bytes_max, LEFT_PERCENT), &self.runs);
        }
        self.left = engine.state_bytes();
    }
}

fn share(bytes: usize, percent: usize) -> usize {
    bytes / 100 * percent
}
