//! The state that a commit names, as commands look at it. Refuses to change anything.

use weir_engine::Snapshot;
use weir_model::{Committed, SeamResult};
use weir_state::SnapshotStore;

/// The state of a commit; of a pipeline without state what it counts.
///
/// # Errors
/// When it is gone or damaged.
pub(crate) fn snapshot_of(snapshots: &SnapshotStore, pipeline: &str, commit: &Committed) -> SeamResult<Snapshot> {
    match &commit.snapshot {
        None => Ok(Snapshot {
            plan_fingerprint: commit.plan_fingerprint.clone(),
            meta: commit.counters.clone().into_bytes(),
            runs: Vec::new(),
        }),
        Some(name) => snapshots.read(pipeline, name),
    }
}
