//! What every pipeline is doing, as its own tasks write it down and everyone else reads it. Writers never wait for
//! readers longer than a copy takes; the board starts and stops nothing.

mod breaker;
mod handle;
mod partition;
mod rate;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weir_model::ProcessingTime;

pub use breaker::Guarded;
pub(crate) use breaker::{BREAKER_STATES, BreakerCounts};
pub(crate) use handle::{Behind, Measured, OutputCounts};
pub use handle::{Checkpoint, NewOutput, PipelineHandle, Stage, Taken};
pub use status::{
    BusySeconds, OutputStatus, OutputWaiting, PARTITIONS_SHOWN_MAX, PartitionState, PartitionStatus, PipelineState,
    PipelineStatus, StepStatus, TROUBLE_KEPT_MAX, Trouble, WindowSpan,
};

/// The pipelines of this process, by name.
#[derive(Debug, Default)]
pub struct PipelineBoard {
    pipelines: Mutex<BTreeMap<String, Arc<PipelineHandle>>>,
}

impl PipelineBoard {
    /// An empty board.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Puts a pipeline on the board, in the state `starting`; one of the same name is replaced and starts from zero.
    pub fn add(&self, name: &str, outputs: Vec<NewOutput>, now: ProcessingTime) -> Arc<PipelineHandle> {
        let handle = Arc::new(PipelineHandle::new(name, outputs, now));
        locked(&self.pipelines).insert(name.to_owned(), Arc::clone(&handle));
        handle
    }

    /// Takes a pipeline off the board; nothing happens if it is not on it.
    pub fn remove(&self, name: &str) {
        locked(&self.pipelines).remove(name);
    }

    /// The pipeline called `name`.
    pub fn get(&self, name: &str) -> Option<Arc<PipelineHandle>> {
        locked(&self.pipelines).get(name).cloned()
    }

    /// All pipelines, by name.
    pub fn handles(&self) -> Vec<Arc<PipelineHandle>> {
        locked(&self.pipelines).values().cloned().collect()
    }

    /// A copy of what all pipelines are doing at `now`, by name.
    pub fn statuses(&self, now: ProcessingTime) -> Vec<PipelineStatus> {
        self.handles().iter().map(|handle| handle.status(now)).collect()
    }
}

/// Locks even when a writer panicked: what is behind these locks are numbers for people, never half of something.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
