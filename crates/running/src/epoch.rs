//! One epoch: the engine's state is sealed, made durable, the sinks prepare, one commit makes it all true, the sinks show it.
//!
//! Nothing of the next epoch is taken in between, so the commit describes exactly one moment: after these positions, with
//! this state, these results. Recovery reads the last commit and goes on from that moment; what came after it is forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_engine::{Engine, Plan, Snapshot};
use weir_model::{Committed, Epoch, EpochCommit, ErrorKind, Positions, SeamError, SeamResult};

use super::Shared;
use super::outlet::Outlet;

/// How many snapshots of state are kept, so that a damaged one has an older one to fall back to.
const SNAPSHOTS_KEPT: usize = 3;

/// Where a pipeline stands.
pub(super) struct Ledger {
    pipeline: String,
    fingerprint: String,
    /// The last epoch that was committed; zero before the first.
    pub(super) last: Epoch,
    /// Where to go on reading, per source.
    pub(super) positions: BTreeMap<String, Positions>,
    snapshots: Vec<String>,
}

/// What was committed.
pub(super) struct Done {
    pub(super) epoch: Epoch,
    pub(super) snapshot_bytes: u64,
}

impl Ledger {
    /// Reads the last commit of `plan`'s pipeline.
    pub(super) async fn open(plan: &Plan, shared: &Shared) -> SeamResult<(Self, Option<Committed>)> {
        let committed = shared.commits.last(&plan.pipeline).await?;
        let ledger = Self {
            pipeline: plan.pipeline.clone(),
            fingerprint: plan.fingerprint(),
            last: committed.as_ref().map_or(Epoch::default(), |committed| committed.epoch),
            positions: committed.as_ref().map(|committed| committed.positions.clone()).unwrap_or_default(),
            snapshots: committed.as_ref().and_then(|committed| committed.snapshot.clone()).into_iter().collect(),
        };
        Ok((ledger, committed))
    }

    /// The engine as the last commit left it, or a new one.
    pub(super) fn engine(&self, plan: Plan, committed: Option<&Committed>, shared: &Shared) -> SeamResult<Engine> {
        let compiler = Arc::clone(&shared.compiler);
        let Some(committed) = committed else {
            return Engine::new(plan, compiler).map_err(|error| refused(&self.pipeline, &error));
        };
        let snapshot = match &committed.snapshot {
            Some(name) => shared.snapshots.read(&self.pipeline, name)?,
            None => Snapshot {
                plan_fingerprint: committed.plan_fingerprint.clone(),
                meta: committed.counters.clone().into_bytes(),
                runs: Vec::new(),
            },
        };
        Engine::restore(plan, compiler, snapshot).map_err(|error| refused(&self.pipeline, &error))
    }

    /// Commits `snapshot` and what the outlets hold as the next epoch.
    pub(super) async fn commit(
        &mut self,
        snapshot: Snapshot,
        outlets: &mut [Outlet],
        shared: &Shared,
    ) -> SeamResult<Done> {
        let epoch = self.last.next();
        let snapshot_bytes = snapshot.runs.iter().map(|run| run.batch.get_array_memory_size() as u64).sum();
        let counters = String::from_utf8(snapshot.meta.clone())
            .map_err(|error| SeamError::caused(ErrorKind::Closed, "the engine's counters are not text", error))?;
        let name = if snapshot.runs.is_empty() {
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
        for outlet in outlets.iter_mut() {
            outlet.commit(epoch, &commit.prepared[&outlet.name]).await?;
        }
        self.last = epoch;
        self.forget_old_snapshots(name, shared);
        Ok(Done { epoch, snapshot_bytes })
    }

    /// Removes snapshots that no recovery can ask for any more. A failure only leaves files behind, until the next time.
    fn forget_old_snapshots(&mut self, newest: Option<String>, shared: &Shared) {
        self.snapshots.extend(newest);
        if self.snapshots.len() > SNAPSHOTS_KEPT {
            self.snapshots.drain(..self.snapshots.len() - SNAPSHOTS_KEPT);
        }
        if let Err(error) = shared.snapshots.collect(&self.pipeline, &self.snapshots) {
            tracing::warn!(pipeline = self.pipeline, error = error.full(), "old snapshots were not removed");
        }
    }
}

fn refused(pipeline: &str, error: &weir_engine::EngineError) -> SeamError {
    SeamError::new(ErrorKind::Config, format!("pipeline {pipeline}: {error}"))
}
