//! Where a pipeline goes on from: its newest commit whose state can be read. When that is not the newest of all, recovery
//! goes back: positions, state and what the outputs show become again what they were then, by one commit that says so.
//! Refuses to go back where an output would show rows twice, unless that is allowed.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use weir_engine::{Engine, EngineError, Plan, Reset, Snapshot};
use weir_model::{Committed, Epoch, EpochCommit, ErrorKind, KeptCommit, Prepared, SeamError, SeamResult, planted};
use weir_observe::PipelineHandle;

use super::Shared;
use super::epoch::Ledger;
use super::outlet::Outlet;
use super::patience::Stopping;
use crate::job::{Job, JobOutput};

/// What may be done about state that cannot be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Go back to an older commit also where outputs then get rows that they have shown already.
    pub fall_back: bool,
    /// State to leave behind at the next start, once: it is done when a commit says so.
    pub reset: Reset,
}

/// Where a pipeline goes on from.
pub(super) struct Start {
    pub(super) ledger: Ledger,
    /// The newest commit.
    pub(super) committed: Option<Committed>,
    pub(super) engine: Engine,
}

impl Start {
    /// Finds it, and goes back where that is needed.
    pub(super) async fn find(
        job: &Job,
        shared: &Shared,
        handle: &Arc<PipelineHandle>,
        stopping: &Stopping,
    ) -> SeamResult<Self> {
        let kept = shared.commits.kept(&job.plan.pipeline).await?;
        if kept.is_empty() {
            shared.snapshots.forget(&job.plan.pipeline);
            let engine = new_engine(job, shared)?;
            let ledger = Ledger::at(&job.plan, None, [].into());
            return Ok(Self { ledger, committed: None, engine });
        }
        let mut damage = Vec::new();
        for (at, candidate) in kept.iter().enumerate() {
            match restored(job, shared, candidate) {
                Ok((committed, engine)) => {
                    let (newer, older) = (&kept[..at], &kept[at..]);
                    let committed = match newer {
                        [] => committed.clone(),
                        newer => {
                            GoingBack { job, shared, newer, to: committed, handle, stopping }.go(older, &damage).await?
                        }
                    };
                    let mut snapshots: VecDeque<_> = older.iter().rev().map(snapshot_of).collect();
                    if !newer.is_empty() {
                        snapshots.push_back(committed.snapshot.clone());
                    }
                    let ledger = Ledger::at(&job.plan, Some(&committed), snapshots);
                    return Ok(Self { ledger, committed: Some(committed), engine });
                }
                Err(error) if error.kind == ErrorKind::Corrupt => damage.push((candidate.epoch, error.full())),
                Err(error) => return Err(error),
            }
        }
        Err(SeamError::new(
            ErrorKind::Corrupt,
            format!(
                "pipeline {}: the state of none of its {} kept commits can be read ({}): put the files back from a backup, \
                 or go on without what its open windows hold, with --reset-state",
                job.plan.pipeline,
                kept.len(),
                told(&damage)
            ),
        ))
    }
}

/// The engine as a commit left it.
fn restored<'a>(job: &Job, shared: &Shared, kept: &'a KeptCommit) -> SeamResult<(&'a Committed, Engine)> {
    let committed = kept.commit.as_ref().map_err(|error| SeamError::new(error.kind, error.full()))?;
    let reset = &job.recovery.reset;
    let snapshot = match &committed.snapshot {
        Some(name) if *reset != Reset::Everything => shared.snapshots.open(&job.plan.pipeline, name)?,
        // The commit itself says where event time stands.
        _ => {
            shared.snapshots.forget(&job.plan.pipeline);
            Snapshot {
                plan_fingerprint: committed.plan_fingerprint.clone(),
                meta: committed.counters.clone().into_bytes(),
                runs: Vec::new(),
            }
        }
    };
    if snapshot.plan_fingerprint != job.plan.fingerprint() {
        tracing::info!(
            pipeline = job.plan.pipeline,
            "the pipeline was changed since: it takes over the state that fits"
        );
    }
    if planted!(CountersNotRestored) && snapshot.runs.is_empty() {
        return Ok((committed, new_engine(job, shared)?));
    }
    let mut engine = new_engine(job, shared)?;
    engine.go_on_from(snapshot, reset).map_err(|error| refused(&job.plan, &error))?;
    Ok((committed, engine))
}

/// An engine that has seen nothing yet.
fn new_engine(job: &Job, shared: &Shared) -> SeamResult<Engine> {
    let engine = Engine::new(job.plan.clone(), Arc::clone(&shared.compiler));
    let mut engine = engine.map_err(|error| refused(&job.plan, &error))?;
    if job.keys_in_rocksdb {
        engine.keep_keys_in(&*shared.snapshots.key_stores(&job.plan.pipeline)?)?;
    }
    Ok(engine)
}

fn refused(plan: &Plan, error: &EngineError) -> SeamError {
    let (kind, way_out) = match error {
        EngineError::Corrupt(_) => (ErrorKind::Corrupt, String::new()),
        EngineError::Unreadable(error) => (error.kind, String::new()),
        EngineError::Plan { .. } => (ErrorKind::Config, String::new()),
        EngineError::OtherPlan { .. } => (
            ErrorKind::Config,
            ": run it with the pipeline that made it, or go on without what its open windows hold, with --reset-state"
                .to_owned(),
        ),
        EngineError::Misfits(misfits) => {
            let steps: Vec<String> = misfits.iter().map(|misfit| format!("--reset-state={}", misfit.step)).collect();
            let way_out = format!(
                ". Undo the change, or go on without what that state holds, which is in no result then: {} (or \
                 --reset-state for all of it); `weir state inspect {}` shows it",
                steps.join(" "),
                plan.pipeline
            );
            (ErrorKind::Config, way_out)
        }
    };
    SeamError::new(kind, format!("pipeline {}: {error}{way_out}", plan.pipeline))
}

fn snapshot_of(kept: &KeptCommit) -> Option<String> {
    kept.commit.as_ref().ok()?.snapshot.clone()
}

/// What is wrong with each epoch.
fn told(damage: &[(Epoch, String)]) -> String {
    let each: Vec<String> = damage.iter().map(|(epoch, why)| format!("epoch {epoch}: {why}")).collect();
    each.join("; ")
}

/// The way back from `newer` commits (newest first), whose state is damaged, to the one before them.
struct GoingBack<'a> {
    job: &'a Job,
    shared: &'a Shared,
    newer: &'a [KeptCommit],
    to: &'a Committed,
    handle: &'a Arc<PipelineHandle>,
    stopping: &'a Stopping,
}

impl GoingBack<'_> {
    /// Makes the commit that goes back. Until it is made nothing has changed that a reader sees, and recovery begins anew
    /// after a crash; from then on sinks roll forward to what it says, as after every commit.
    async fn go(&self, older: &[KeptCommit], damage: &[(Epoch, String)]) -> SeamResult<Committed> {
        let (mut prepared, mut again) = (BTreeMap::new(), Vec::new());
        for output in self.job.all_outputs() {
            match self.taken_back(output).await? {
                Some(back) => prepared.extend(back.map(|back| (output.name.clone(), back))),
                None => again.push(output),
            }
        }
        if !again.is_empty() && !self.job.recovery.fall_back {
            return Err(self.must_be_allowed(&again, damage));
        }
        for output in &again {
            prepared.insert(output.name.clone(), self.let_stand(output).await?);
        }
        let commit = EpochCommit { epoch: self.newest().epoch.next(), prepared, ..self.to.clone() };
        self.shared.commits.go_back(self.to.epoch, commit.clone()).await?;
        self.tell(&again, damage);
        self.set_aside(older);
        Ok(commit)
    }

    fn newest(&self) -> &KeptCommit {
        &self.newer[0]
    }

    fn open(&self, output: &JobOutput) -> SeamResult<Outlet> {
        let newest = self.newest().commit.as_ref().unwrap_or(self.to);
        Outlet::open(output, self.shared, newest.prepared.get(&output.name), self.handle, self.stopping)
    }

    /// What the commit holds for an output that shows what it showed then; `None` when it cannot.
    async fn taken_back(&self, output: &JobOutput) -> SeamResult<Option<Option<Prepared>>> {
        let of = |commit: &Committed| commit.prepared.get(&output.name).cloned();
        let kept = of(self.to);
        let undone: Option<Vec<&Committed>> = self.newer.iter().rev().map(|newer| newer.commit.as_ref().ok()).collect();
        let undone: Option<Vec<Prepared>> = undone.map(|all| all.into_iter().filter_map(of).collect());
        match (&kept, &undone) {
            // It came to the pipeline after them.
            (None, Some(undone)) if undone.is_empty() => Ok(Some(None)),
            (kept, undone) => {
                let back = self.open(output)?.take_back(kept.as_ref(), undone.as_deref()).await?;
                Ok(back.map(Some))
            }
        }
    }

    /// What the commit holds for an output that keeps what it shows. What was promised to it is shown first.
    async fn let_stand(&self, output: &JobOutput) -> SeamResult<Prepared> {
        let mut outlet = self.open(output)?;
        let newest = self.newest().commit.as_ref().ok().and_then(|newest| newest.prepared.get(&output.name));
        outlet.recover(self.newest().epoch, newest).await?;
        outlet.let_stand().await
    }

    fn must_be_allowed(&self, again: &[&JobOutput], damage: &[(Epoch, String)]) -> SeamError {
        let names: Vec<String> =
            again.iter().map(|output| format!("{} ({})", output.name, output.output.kind())).collect();
        let message = format!(
            "pipeline {}: its newest state cannot be read ({}), that of epoch {} can. Going back to it, rows that were \
             shown since would be shown again by {}, which cannot take them back: put the file back from a backup, or \
             allow that with --fall-back",
            self.job.plan.pipeline,
            told(damage),
            self.to.epoch,
            names.join(" and ")
        );
        SeamError::new(ErrorKind::Corrupt, message)
    }

    fn tell(&self, again: &[&JobOutput], damage: &[(Epoch, String)]) {
        let names: Vec<&str> = again.iter().map(|output| output.name.as_str()).collect();
        let twice = match names.as_slice() {
            [] => String::new(),
            names => format!("; {} got rows of later epochs already and gets them again", names.join(" and ")),
        };
        let message = format!(
            "the newest state cannot be read ({}): went back to that of epoch {}, and what was read since is read again{twice}",
            told(damage),
            self.to.epoch
        );
        tracing::error!(pipeline = self.job.plan.pipeline, from = %self.newest().epoch, to = %self.to.epoch, "{message}");
        self.handle.fell_back(&message, self.shared.clock.now());
    }

    /// The damaged files stay to be looked at. A failure loses no more than that.
    fn set_aside(&self, older: &[KeptCommit]) {
        let given_up: Vec<String> = self.newer.iter().filter_map(snapshot_of).collect();
        let keep: Vec<String> = older.iter().filter_map(snapshot_of).collect();
        match self.shared.snapshots.set_aside(&self.job.plan.pipeline, &given_up, &keep) {
            Ok(files) => {
                for file in files {
                    tracing::warn!(pipeline = self.job.plan.pipeline, file, "damaged state put aside");
                }
            }
            Err(error) => tracing::warn!(error = error.full(), "damaged state could not be put aside"),
        }
    }
}
