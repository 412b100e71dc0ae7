//! The loop of one pipeline. It decides nothing: whatever happens becomes an input of the engine, and whatever the engine
//! wants done is done here.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;
use weir_deliver::{DeadLetter, LetterKind, LettersOf, dead_letter_batch};
use weir_engine::{
    Effect, Engine, Input, OperatorPlan, PartitionState as EngineState, Plan, Reset, Snapshot, Upstream,
};
use weir_model::{
    Delivered, Epoch, ErrorKind, Position, Raw, Rejected, RejectedRow, SeamError, SeamResult, SourceEvent, Watermark,
    planted,
};
use weir_observe::{Checkpoint, PartitionState, PipelineHandle, PipelineState, Stage, StepStatus, Taken, WindowSpan};

use super::Shared;
use super::budget::Budget;
use super::epoch::Ledger;
use super::inlet::{Arrival, Control, Inflow, Inlet};
use super::lookups::{Lookups, Prepared};
use super::outlet::Outlet;
use super::pace::Pace;
use super::patience::Stopping;
use super::recover::Start;
use super::tables::{TableNews, Tables};
use crate::{Begun, Found, Job};

/// How often the engine is told the time and the board is brought up to date.
const TICK: Duration = Duration::from_millis(100);

/// Why a task ended without a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Finish {
    /// All its sources have ended.
    SourcesEnded,
    /// It was asked to stop.
    Stopped,
}

/// A pipeline between two commits.
pub(super) struct Task {
    shared: Shared,
    handle: Arc<PipelineHandle>,
    engine: Engine,
    source_names: Vec<String>,
    source_formats: Vec<&'static str>,
    step_names: Vec<String>,
    inlet: Inlet,
    sources_open: usize,
    /// The outputs in the order of the plan, then the late rows, then the dead letters.
    outlets: Vec<Outlet>,
    /// Which of them show what windows made: results that somebody may wait for.
    of_windows: Vec<bool>,
    ledger: Ledger,
    tables: Tables,
    lookups: Lookups,
    budget: Budget,
    epoch: Duration,
    /// How many dead letters the epoch that is being built holds.
    letters: u64,
    /// Whether anything happened since the last commit.
    dirty: bool,
    pace: Pace,
    /// When results that wait are to be committed, if not at the end of the epoch.
    due: Option<Instant>,
    effects: Vec<Effect>,
    /// Notes where reading began, if it only reads again what was read before.
    found: Option<Arc<Found>>,
}

/// What is going on in the loop.
enum Happening {
    Inflow(Inflow),
    Tick,
    EpochDue,
    ResultsDue,
    Stop,
}

impl Task {
    /// Opens everything and goes to where the last commit left it.
    pub(super) async fn recover(
        job: &Job,
        shared: &Shared,
        handle: &Arc<PipelineHandle>,
        stopping: &Stopping,
    ) -> SeamResult<Self> {
        shared.snapshots.place(&job.plan.pipeline, job.snapshots.as_ref())?;
        let Start { ledger, committed, engine } = Start::find(job, shared, handle, stopping).await?;
        let (mut outlets, mut rejected) = (Vec::new(), Vec::new());
        for output in job.all_outputs() {
            let prepared = committed.as_ref().and_then(|committed| committed.prepared.get(&output.name));
            let mut outlet = Outlet::open(output, shared, prepared, handle, stopping)?;
            outlet.keep_only(output, job.rerun.as_ref().and_then(|rerun| rerun.span));
            let delivered = outlet.recover(ledger.last, prepared).await?;
            rejected.extend(delivered.rejected.into_iter().map(|row| (outlets.len(), row)));
            outlets.push(outlet);
        }
        let (tables, first_tables) = Tables::open(&job.tables).await?;
        let lookups = Lookups::new(&job.lookups, &shared.compiler, Arc::clone(&shared.clock), handle)?;
        let inlet = Inlet::start(job, &ledger.positions, shared, handle).await?;
        handle.restored(ledger.last, None);
        let pace = Pace::starting(now(), engine.watermark());
        let mut task = Self {
            shared: shared.clone(),
            handle: Arc::clone(handle),
            engine,
            source_names: job.sources.iter().map(|source| source.name.clone()).collect(),
            source_formats: job.sources.iter().map(|source| source.format.kind()).collect(),
            step_names: job.plan.nodes.iter().map(|node| node.name.clone()).collect(),
            letters: 0,
            inlet,
            sources_open: job.sources.len(),
            outlets,
            of_windows: job.plan.outputs.iter().map(|output| is_after_window(&job.plan, output.from)).collect(),
            ledger,
            tables,
            lookups,
            budget: Budget::new(job.state_bytes_max, shared.snapshots.runs_of(&job.plan.pipeline)),
            epoch: job.epoch,
            dirty: false,
            pace,
            due: None,
            effects: Vec::new(),
            found: job.rerun.as_ref().map(|rerun| Arc::clone(&rerun.found)),
        };
        task.reject_rows(rejected).await?;
        for news in first_tables {
            task.table(news).await?;
        }
        if job.recovery.reset != Reset::Nothing {
            // Done once: a crash from here on does not do it again.
            task.commit().await?;
            tracing::warn!(pipeline = job.plan.pipeline, reset = ?job.recovery.reset, "state was left behind");
        }
        Ok(task)
    }

    /// Runs until the sources end or `stop` says so; everything taken is committed then.
    pub(super) async fn run(mut self, mut stopping: Stopping) -> SeamResult<Finish> {
        let result = self.run_loop(&mut stopping).await;
        self.inlet.stop().await;
        self.show();
        result
    }

    async fn run_loop(&mut self, stopping: &mut Stopping) -> SeamResult<Finish> {
        self.handle.set_state(PipelineState::Running);
        let mut ticks = tokio::time::interval(TICK);
        let mut epochs = tokio::time::interval_at(tokio::time::Instant::now() + self.epoch, self.epoch);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        epochs.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.tick().await?;
        loop {
            let happening = tokio::select! {
                biased;
                () = stopping.asked() => Happening::Stop,
                _ = epochs.tick() => Happening::EpochDue,
                () = at(self.due) => Happening::ResultsDue,
                _ = ticks.tick() => Happening::Tick,
                Some(inflow) = self.inlet.next() => Happening::Inflow(inflow),
            };
            match happening {
                Happening::Inflow(Inflow::Event(source, event)) => {
                    self.event(source, event).await?;
                    if self.sources_open == 0 {
                        self.step(Input::End, None).await?;
                        self.commit().await?;
                        // What outputs have rejected at the commit.
                        self.commit_if_dirty().await?;
                        return Ok(Finish::SourcesEnded);
                    }
                }
                Happening::Inflow(Inflow::Records(source, arrival)) => {
                    if !self.records(source, *arrival, stopping).await? {
                        return self.stopped().await;
                    }
                }
                Happening::Inflow(Inflow::Failed(source, error)) => {
                    let message = format!("source {}: {}", self.source_names[source], error.message);
                    return Err(SeamError { message, ..error });
                }
                Happening::Tick => {
                    self.tick().await?;
                    if self.dirty && self.budget.is_reached(&self.engine) {
                        self.commit().await?;
                    }
                }
                Happening::EpochDue | Happening::ResultsDue => self.commit_if_dirty().await?,
                Happening::Stop => return self.stopped().await,
            }
        }
    }

    /// Commits what was taken, and what outputs have rejected at that commit.
    async fn stopped(&mut self) -> SeamResult<Finish> {
        self.commit_if_dirty().await?;
        self.commit_if_dirty().await?;
        Ok(Finish::Stopped)
    }

    async fn event(&mut self, source: usize, event: SourceEvent) -> SeamResult<()> {
        match event {
            SourceEvent::PartitionAdded(partition) => {
                self.handle.set_partition_state(&partition, partition.as_str(), PartitionState::Reading);
                self.step(Input::PartitionAdded { source, partition }, None).await
            }
            SourceEvent::Records(_) => unreachable!("the inlet hands records over decoded"),
            SourceEvent::CaughtUp(partition) => {
                self.handle.set_partition_state(&partition, partition.as_str(), PartitionState::CaughtUp);
                self.step(Input::CaughtUp(partition), None).await
            }
            SourceEvent::PartitionFinished(partition) => {
                self.handle.set_partition_state(&partition, partition.as_str(), PartitionState::Finished);
                let positions = self.ledger.positions.entry(self.source_names[source].clone()).or_default();
                if let Some(position) = positions.get_mut(&partition) {
                    position.finished = true;
                    self.dirty = true;
                }
                self.step(Input::PartitionFinished(partition), None).await
            }
            SourceEvent::Trouble { message, .. } => {
                tracing::warn!(pipeline = self.handle.name(), "{message}");
                self.handle.trouble(&message, self.shared.clock.now());
                Ok(())
            }
            SourceEvent::End => {
                self.sources_open -= 1;
                Ok(())
            }
        }
    }

    /// Takes decoded records through the engine to the sinks. False when everything is to stop while others are asked for
    /// what steps look up: then it is as if they had not been read.
    async fn records(&mut self, source: usize, arrival: Arrival, stopping: &mut Stopping) -> SeamResult<bool> {
        let Arrival { raw, decoded, carry, at } = arrival;
        let mut batches = Vec::with_capacity(decoded.batches.len());
        for batch in decoded.batches {
            let Some(prepared) = self.lookups.prepare(source, batch, stopping).await? else { return Ok(false) };
            batches.push(prepared);
        }
        if !decoded.rejected.is_empty() {
            let rows = decoded.rejected.len() as u64;
            self.step(Input::Rejected { source, partition: raw.partition.clone(), rows }, None).await?;
            let record = |rejected| self.record_of(source, rejected);
            let letters: Vec<DeadLetter> = decoded.rejected.into_iter().map(record).collect();
            self.reject(&letters).await?;
        }
        for prepared in batches {
            self.batch(source, prepared, &raw).await?;
        }
        self.note_beginning(&raw);
        let taken = Taken { records: raw.records.len() as u64, bytes: raw.bytes.len() as u64, next: raw.next.offset };
        self.handle.read(&raw.partition, &raw.origin, taken, self.shared.clock.now());
        let next = Position { carry, ..raw.next };
        self.ledger.positions.entry(self.source_names[source].clone()).or_default().insert(raw.partition, next);
        self.dirty = true;
        self.handle.batch_done(at.elapsed());
        Ok(true)
    }

    /// Notes where reading a partition began, once.
    fn note_beginning(&self, raw: &Raw) {
        let (Some(found), Some(first)) = (&self.found, raw.records.first()) else { return };
        if found.is_new(&raw.partition) {
            let status = self.engine.partitions().find(|status| status.partition == raw.partition);
            let watermark = status.map_or(Watermark::UNKNOWN, |status| status.watermark);
            found.note(&raw.partition, Begun { offset: first.offset, watermark });
        }
    }

    /// Takes a batch through the engine, after what was looked up for it.
    async fn batch(&mut self, source: usize, prepared: Prepared, raw: &Raw) -> SeamResult<()> {
        let Prepared { tables, batch, rejected, failures } = prepared;
        for (keys, failure) in failures {
            tracing::warn!(pipeline = self.handle.name(), "{failure}");
            self.handle.lookups_failed(keys);
            self.handle.trouble(&failure, self.shared.clock.now());
        }
        if !rejected.is_empty() {
            let (partition, rows) = (raw.partition.clone(), rejected.len() as u64);
            self.step(Input::Rejected { source, partition, rows }, None).await?;
            let mut letters = Vec::with_capacity(rejected.len());
            for (offset, reason) in rejected {
                let reject = Effect::Reject { partition: raw.partition.clone(), offset, reason };
                self.effect(reject, Some(raw), &mut letters).await?;
            }
            self.reject(&letters).await?;
        }
        for (node, table) in tables {
            self.step(Input::Table { node, table }, None).await?;
        }
        self.step(Input::Batch { source, batch }, Some(raw)).await
    }

    /// Gives the engine an input and does what it wants done. `raw` is where the rows of the input come from.
    async fn step(&mut self, input: Input, raw: Option<&Raw>) -> SeamResult<()> {
        let started = Instant::now();
        let mut effects = std::mem::take(&mut self.effects);
        self.engine.step(input, &mut effects);
        self.handle.busy(Stage::Engine, started.elapsed());
        self.nothing_is_lost(&mut effects)?;
        let mut rejected = Vec::new();
        for effect in effects.drain(..) {
            self.effect(effect, raw, &mut rejected).await?;
        }
        self.effects = effects;
        self.reject(&rejected).await
    }

    /// Passes by what the engine wants done if it could not load what it needed: that is not right.
    ///
    /// # Errors
    /// `Retry` when a file is damaged: the next start goes back behind it. Else as the disk says.
    fn nothing_is_lost(&self, effects: &mut Vec<Effect>) -> SeamResult<()> {
        let lost = effects.iter().position(|effect| matches!(effect, Effect::Lost { .. }));
        let Some(Effect::Lost { error, .. }) = lost.map(|at| effects.swap_remove(at)) else { return Ok(()) };
        effects.clear();
        let message = format!("state that is not in memory cannot be read: {}", error.message);
        let kind = if error.kind == ErrorKind::Corrupt { ErrorKind::Retry } else { error.kind };
        Err(SeamError { kind, message, ..error })
    }

    async fn effect(&mut self, effect: Effect, raw: Option<&Raw>, rejected: &mut Vec<DeadLetter>) -> SeamResult<()> {
        let late = self.outlets.len() - 2;
        match effect {
            Effect::Emit { output, rows } => {
                if self.due.is_none() && self.of_windows[output] {
                    self.due = self.pace.due(now(), self.engine.watermark());
                }
                self.write(output, &rows).await
            }
            Effect::Late { node, rows } => {
                self.handle.late(rows.num_rows() as u64);
                let rows = weir_deliver::with_row_ids(&rows, self.handle.name(), &self.step_names[node]);
                self.write(late, &rows).await
            }
            Effect::Reject { partition, offset, reason } => {
                let record = raw.and_then(|raw| Some((raw, raw.find(offset)?)));
                let (origin, payload, original_bytes) = match record {
                    Some((raw, span)) => {
                        let payload = raw.bytes.slice(span.start as usize..span.end as usize);
                        (Arc::clone(&raw.origin), payload, span.original_bytes)
                    }
                    None => (partition.as_str().into(), bytes::Bytes::new(), 0),
                };
                let source = self.source_of(&partition);
                let record = Rejected { partition, origin, offset, reason, payload, original_bytes };
                let letter = self.record_of(source, record);
                // A record that is not at hand any more cannot be given again.
                rejected.push(if raw.is_some() { letter } else { DeadLetter { kind: LetterKind::Row, ..letter } });
                Ok(())
            }
            Effect::RejectRow { partition, origin, offset, row, reason } => {
                let source = Some(self.source_names[self.source_of(&partition)].clone());
                let letter = weir_deliver::rejected_row(partition, origin, offset, &row, reason);
                rejected.push(DeadLetter { source, ..letter });
                Ok(())
            }
            Effect::RejectResult { node, rows, reason } => {
                rejected.extend(weir_deliver::rejected_made(&self.step_names[node], &rows, &reason));
                Ok(())
            }
            Effect::Pause(partition) => {
                self.handle.set_partition_state(&partition, partition.as_str(), PartitionState::Paused);
                self.tell_reader(&partition, Control::Pause(partition.clone()));
                Ok(())
            }
            Effect::Resume(partition) => {
                self.handle.set_partition_state(&partition, partition.as_str(), PartitionState::Reading);
                self.tell_reader(&partition, Control::Resume(partition.clone()));
                Ok(())
            }
            Effect::Lost { .. } => unreachable!("nothing is done of what comes with it"),
            Effect::Snapshot(_) => unreachable!("only a barrier is answered by a snapshot, and commit() takes it"),
        }
    }

    fn tell_reader(&self, partition: &weir_model::PartitionId, control: Control) {
        if let Some(status) = self.engine.partitions().find(|status| status.partition == *partition) {
            self.inlet.tell(status.source, control);
        }
    }

    async fn write(&mut self, output: usize, rows: &arrow::array::RecordBatch) -> SeamResult<()> {
        let started = Instant::now();
        self.dirty = true;
        let outlet = &mut self.outlets[output];
        let Delivered { rejected } = outlet.write(rows).await?;
        self.handle.wrote(&outlet.name, rows.num_rows() as u64);
        self.handle.busy(Stage::Sink, started.elapsed());
        if rejected.is_empty() {
            return Ok(());
        }
        // Boxed, because dead letters are written too.
        Box::pin(self.reject_rows(rejected.into_iter().map(|row| (output, row)).collect())).await
    }

    /// Makes dead letters of rows that outputs will never take.
    ///
    /// # Errors
    /// `Config` when it is dead letters that are not taken: there is no other place for them.
    async fn reject_rows(&mut self, rows: Vec<(usize, RejectedRow)>) -> SeamResult<()> {
        let (epoch, mut rejected) = (self.ledger.last, Vec::new());
        for (output, row) in rows {
            let name = &self.outlets[output].name;
            if output + 1 == self.outlets.len() {
                let message = format!("output {name}: a dead letter was rejected: {}", row.reason);
                return Err(SeamError::new(ErrorKind::Config, message));
            }
            self.handle.rejected(name, 1);
            rejected.push(weir_deliver::rejected_result(name, epoch, row));
        }
        self.reject(&rejected).await
    }

    /// A record of the source of this index as a dead letter.
    fn record_of(&self, source: usize, rejected: Rejected) -> DeadLetter {
        let (name, format) = (self.source_names[source].clone(), self.source_formats[source]);
        DeadLetter { rejected, kind: LetterKind::Record, source: Some(name), format }
    }

    /// The index of the source of a partition. The engine knows every one that it has had rows of.
    fn source_of(&self, partition: &weir_model::PartitionId) -> usize {
        self.engine.partitions().find(|status| status.partition == *partition).map_or(0, |status| status.source)
    }

    async fn reject(&mut self, rejected: &[DeadLetter]) -> SeamResult<()> {
        if rejected.is_empty() {
            return Ok(());
        }
        self.handle.dead_letters(rejected.len() as u64);
        let of = LettersOf {
            pipeline: self.handle.name(),
            now: self.shared.clock.now(),
            epoch: self.next_epoch(),
            before: self.letters,
        };
        let letters = dead_letter_batch(rejected, of);
        self.letters += rejected.len() as u64;
        let dead_letters = self.outlets.len() - 1;
        self.write(dead_letters, &letters).await?;
        if planted!(DeadLettersAtOnce) {
            let (epoch, outlet) = (self.next_epoch(), &mut self.outlets[dead_letters]);
            let prepared = outlet.prepare(epoch).await?;
            outlet.commit(epoch, &prepared).await?;
        }
        Ok(())
    }

    async fn tick(&mut self) -> SeamResult<()> {
        while let Some(news) = self.tables.next() {
            self.table(news).await?;
        }
        self.step(Input::Tick(self.shared.clock.now()), None).await?;
        self.show();
        Ok(())
    }

    /// Gives the engine a newer table, and says what there is to say about it.
    async fn table(&mut self, news: TableNews) -> SeamResult<()> {
        let (input, remark) = match news {
            TableNews::Newer { node, table, remark } => {
                let (version, rows) = (table.version(), table.rows());
                tracing::info!(pipeline = self.handle.name(), node, version, rows, "the table is there");
                (Some(Input::Table { node, table }), remark)
            }
            TableNews::Stays(message) => {
                self.handle.lookups_failed(1);
                (None, Some(message))
            }
        };
        if let Some(remark) = remark {
            tracing::warn!(pipeline = self.handle.name(), "{remark}");
            self.handle.trouble(&remark, self.shared.clock.now());
        }
        match input {
            Some(input) => self.step(input, None).await,
            None => Ok(()),
        }
    }

    async fn commit_if_dirty(&mut self) -> SeamResult<()> {
        if self.dirty { self.commit().await } else { Ok(()) }
    }

    /// Ends the epoch.
    async fn commit(&mut self) -> SeamResult<()> {
        let started = now();
        let snapshot = self.seal().await?;
        let done = self.ledger.commit(snapshot, &mut self.outlets, &self.shared).await;
        let done = done.inspect_err(|_| self.handle.checkpoint_failed())?;
        self.budget.keep(&mut self.engine);
        self.dirty = false;
        self.letters = 0;
        self.due = None;
        self.reject_rows(done.rejected).await?;
        let ended = now();
        self.pace.committed(started, ended, self.engine.watermark());
        self.handle.committed(Checkpoint {
            epoch: done.epoch,
            at: self.shared.clock.now(),
            took: ended - started,
            snapshot_bytes: done.snapshot_bytes,
        });
        self.show();
        Ok(())
    }

    /// Everything the engine remembers, after carrying out what the barrier made it want done.
    async fn seal(&mut self) -> SeamResult<Snapshot> {
        let mut effects = Vec::new();
        self.engine.step(Input::Barrier(self.next_epoch()), &mut effects);
        self.nothing_is_lost(&mut effects)?;
        let (mut sealed, mut rejected) = (None, Vec::new());
        for effect in effects {
            match effect {
                Effect::Snapshot(snapshot) => sealed = Some(snapshot),
                other => self.effect(other, None, &mut rejected).await?,
            }
        }
        self.reject(&rejected).await?;
        sealed.ok_or_else(|| SeamError::new(ErrorKind::Closed, "the engine did not answer the barrier with a snapshot"))
    }

    fn next_epoch(&self) -> Epoch {
        self.ledger.last.next()
    }

    /// Brings the board up to date.
    fn show(&self) {
        let mut holder = None;
        for status in self.engine.partitions() {
            let held_back = status.state == EngineState::Reading || status.state == EngineState::CaughtUp;
            if held_back && holder.as_ref().is_none_or(|(_, watermark)| status.watermark < *watermark) {
                holder = Some((status.partition.clone(), status.watermark));
            }
            self.handle.set_partition_watermark(&status.partition, status.watermark);
            if status.state == EngineState::Idle {
                self.handle.set_partition_state(&status.partition, status.partition.as_str(), PartitionState::Idle);
            }
        }
        self.handle.set_watermark(self.engine.watermark(), holder.map(|(partition, _)| partition));
        self.handle.set_state_bytes(self.engine.state_bytes() as u64);
        self.handle.set_steps(self.engine.steps().into_iter().map(step_status).collect());
        for (outlet, balance) in self.outlets.iter().zip(self.engine.balances()) {
            self.handle.set_balance(&outlet.name, balance);
        }
    }
}

fn step_status(step: weir_engine::StepStatus) -> StepStatus {
    let holding = step.holding.unwrap_or_default();
    StepStatus {
        name: step.name,
        watermark: step.watermark,
        open_rows: step.open_rows,
        state_bytes: step.state_bytes,
        groups: holding.groups,
        panes: holding.panes,
        next_window: holding.next_window.map(|(start, end)| WindowSpan { start, end }),
    }
}

/// Whether rows from there have passed a window.
fn is_after_window(plan: &Plan, from: Upstream) -> bool {
    match from {
        Upstream::Source(_) | Upstream::AllSources => false,
        Upstream::Node(index) => {
            let node = &plan.nodes[index];
            matches!(node.operator, OperatorPlan::Window(_))
                || node.inputs().into_iter().any(|from| is_after_window(plan, from))
        }
    }
}

/// Now, by the clock that timers go by: in a simulation it stands still while there is anything to do.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Resolves at that moment; never without one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}
