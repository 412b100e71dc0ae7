//! One epoch: the engine's state is sealed, made durable, the sinks prepare, one commit makes it all true, the sinks show it.
//!
//! Nothing of the next epoch is taken in between, so the commit describes exactly one moment: after these positions, with
//! this state, these results. Recovery reads the last commit and goes on from that moment; what came after it is forgotten.

use std::collections::{BTreeMap, VecDeque};

use weir_engine::{Plan, Snapshot};
use weir_model::{Committed, Epoch, EpochCommit, ErrorKind, Positions, RejectedRow, SeamError, SeamResult, planted};

use super::Shared;
use super::outlet::Outlet;

/// Where a pipeline stands.
pub(super) struct Ledger {
    pipeline: String,
    fingerprint: String,
    /// The last epoch that was committed; zero before the first.
    pub(super) last: Epoch,
    /// Where to go on reading, per source.
    pub(super) positions: BTreeMap<String, Positions>,
    /// The snapshots of the commits that are kept, oldest first; a commit of a state without rows has none.
    snapshots: VecDeque<Option<String>>,
}

/// What was committed.
pub(super) struct Done {
    pub(super) epoch: Epoch,
    pub(super) snapshot_bytes: u64,
    /// Rows of the epoch that outputs will never take, by the outlet's index. The next epoch holds them as dead letters;
    /// should there be none, recovery shows this one again and hears of them again.
    pub(super) rejected: Vec<(usize, RejectedRow)>,
}

impl Ledger {
    /// At `committed`; `snapshots` are those of all commits that are kept, oldest first.
    pub(super) fn at(plan: &Plan, committed: Option<&Committed>, snapshots: VecDeque<Option<String>>) -> Self {
        Self {
            pipeline: plan.pipeline.clone(),
            fingerprint: plan.fingerprint(),
            last: committed.map_or(Epoch::default(), |committed| committed.epoch),
            positions: match committed {
                Some(committed) if !planted!(PositionsForgotten) => committed.positions.clone(),
                _ => BTreeMap::new(),
            },
            snapshots,
        }
    }

    /// Commits `snapshot` and what the outlets hold as the next epoch.
    pub(super) async fn commit(
        &mut self,
        snapshot: Snapshot,
        outlets: &mut [Outlet],
        shared: &Shared,
    ) -> SeamResult<Done> {
        let epoch = self.last.next();
        let snapshot_bytes = snapshot.runs.iter().map(|run| run.rows.bytes()).sum();
        let counters = String::from_utf8(snapshot.meta.clone())
            .map_err(|error| SeamError::caused(ErrorKind::Closed, "the engine's counters are not text", error))?;
        if planted!(SnapshotCollectedEarly) {
            shared.snapshots.forget(&self.pipeline);
            shared.snapshots.collect(&self.pipeline, &[])?;
        }
        let name = if planted!(SnapshotOfBefore) {
            self.snapshots.back().cloned().flatten()
        } else if snapshot.runs.is_empty() {
            None
        } else {
            Some(shared.snapshots.write(&self.pipeline, epoch, &snapshot)?)
        };
        let mut prepared = BTreeMap::new();
        for outlet in outlets.iter_mut() {
            prepared.insert(outlet.name.clone(), outlet.prepare(epoch).await?);
        }
        let commit = EpochCommit {
            pipeline: self.pipeline.clone(),
            epoch,
            positions: self.positions.clone(),
            snapshot: name.clone(),
            prepared,
            plan_fingerprint: self.fingerprint.clone(),
            counters,
        };
        shared.commits.commit(commit.clone()).await?;
        let mut rejected = Vec::new();
        for (index, outlet) in outlets.iter_mut().enumerate() {
            let delivered = outlet.commit(epoch, &commit.prepared[&outlet.name]).await?;
            rejected.extend(delivered.rejected.into_iter().map(|row| (index, row)));
        }
        self.last = epoch;
        self.forget_old_snapshots(name, shared);
        Ok(Done { epoch, snapshot_bytes, rejected })
    }

    /// Removes snapshots that no recovery can ask for any more. A failure only leaves files behind, until the next time.
    fn forget_old_snapshots(&mut self, newest: Option<String>, shared: &Shared) {
        self.snapshots.push_back(newest);
        while self.snapshots.len() > shared.commits.keeps() {
            self.snapshots.pop_front();
        }
        let kept: Vec<String> = self.snapshots.iter().flatten().cloned().collect();
        match shared.snapshots.collect(&self.pipeline, &kept) {
            Ok(collected) => {
                for damage in collected.damaged {
                    tracing::error!(pipeline = self.pipeline, damage, "an older snapshot cannot be gone back to");
                }
            }
            Err(error) => {
                tracing::warn!(pipeline = self.pipeline, error = error.full(), "old snapshots were not removed");
            }
        }
    }
}
