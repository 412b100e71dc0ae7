//! The event-time engine: a pure state machine. Inputs go in, effects come out, and the same inputs give the same
//! effects whenever they are played; it has no clock, no I/O, no randomness and no threads.
//!
//! ```text
//!  Input ──▶ time: each partition's watermark, per record; the minimum of those that are not idle
//!        ──▶ where / select ──▶ window: rows ─fold▶ partials per pane ─merge▶ windows ──▶ where / select ──▶ Effect
//! ```
//!
//! What it promises:
//! * A row is late for a window if, before that row, the watermark of *its own partition* had passed the window's end
//!   plus the lateness, or the window was dropped already. How batches are cut, how partitions interleave and where a
//!   crash fell change nothing about it.
//! * A row that is late for some of the sliding windows that cover it counts in the others, and in none that it is late
//!   for. Only a row that is late for all of them is late.
//! * A window fires when the minimum over all partitions that are not idle has passed its end. A partition that is
//!   known but was not read yet holds time back; one that is caught up and silent for `idle_after` does not. A source that
//!   has not shown any partition holds time back for `idle_after` from the first tick.
//! * Time advances per record: cutting the same rows into other batches gives the same effects, to the byte.
//! * Every row read or added by a step is in exactly one of results, filtered, merged, late, rejected and open
//!   ([`Balance`]), after every step.

mod adopt;
mod aggregate;
mod check;
mod compiled;
mod counters;
mod error;
mod explain;
mod graph;
mod halves;
mod inspect;
mod keyed;
mod keys;
mod operator;
mod plan;
mod progress;
mod reach;
mod rows;
mod run;
mod settled;
mod snapshot;
mod step;
#[cfg(test)]
mod tests;
mod window;

use std::sync::Arc;

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};
use weir_model::{Balance, Batch, Compiler, Epoch, Offset, PartitionId, ProcessingTime, SeamError, Watermark};

use adopt::Outline;
use graph::Graph;
use halves::Half;
use operator::News;
use progress::{Progress, Punctuation};

pub use adopt::{Misfit, Reset};
pub use aggregate::{Sketch, result_type};
pub use chrono::Weekday;
pub use error::EngineError;
pub use explain::{Holding, StepStatus};
pub use halves::{Fold, Held, KeyGroup, Merge, Partial, PartialError};
pub use inspect::{Inspection, PartitionInspection, StepInspection};
pub use keyed::{KeyStore, KeyStores, KeysOfRun, StoredKey, conformance as key_conformance};
pub use operator::{
    Begin, Clash, DeduplicatePlan, Empty, EnrichPlan, ExplodePlan, FlattenPlan, Into, JoinKind, JoinLinesPlan,
    JoinPlan, JoinSpan, LateRows, MaskPlan, MaskWith, Missing, OnFailure, Others, Over, ParseHow, ParsePlan, ParseType,
    Pii, PlanFault, RateLimitPlan, SamplePlan, Table, TableError, exploded_schema, flat_schema,
};
pub use plan::{
    Aggregate, AggregatePlan, CalendarUnit, EmitMode, EmitPlan, GlobalPlan, LateEmit, Limits, Node, OperatorPlan,
    Output, Plan, RowsPlan, TimePlan, Upstream, WatermarkPlan, WindowKind, WindowPlan,
};
pub use run::{Run, RunRows, RunStore};
pub use settled::Settled;

/// Everything that can happen to an engine.
#[derive(Debug)]
pub enum Input {
    /// A partition is there to be read, perhaps again. Until it is read, or caught up and idle, it holds event time back.
    PartitionAdded {
        /// The index of its source.
        source: usize,
        /// Which partition.
        partition: PartitionId,
    },
    /// Nothing more comes from this partition: it no longer holds event time back.
    PartitionFinished(PartitionId),
    /// Everything that is there now of this partition has been given. Said again each time the end is reached.
    CaughtUp(PartitionId),
    /// Rows of one partition, in its order.
    Batch {
        /// The index of their source.
        source: usize,
        /// The rows.
        batch: Batch,
    },
    /// The newest version of the table that a node looks up in: rows that come after it see it, and no others. Given once
    /// before the first row, also after a restore, and whenever there is a newer one.
    Table {
        /// The index of the node.
        node: usize,
        /// The table.
        table: Arc<Table>,
    },
    /// Records that were read and could not be decoded, for the balance.
    Rejected {
        /// The index of their source.
        source: usize,
        /// Which partition.
        partition: PartitionId,
        /// How many.
        rows: u64,
    },
    /// Processing time goes on. Given once before the first batch, and then about every 100 ms.
    Tick(ProcessingTime),
    /// The end of an epoch: answered by [`Effect::Snapshot`].
    Barrier(Epoch),
    /// Every source has ended: every partition is finished, and every window that has rows which no results contain
    /// fires, whether or not event time has passed its end. Event time itself is no further than the partitions' own
    /// watermarks brought it, and windows that it has not passed stay: when more comes, in this life or after a restore,
    /// rows of newer windows are on time, and rows of a window that fired here make it fire again (`late`, with the
    /// next revision). Without new rows a second end says nothing.
    End,
}

/// Everything that an engine wants done, in order.
#[derive(Debug)]
pub enum Effect {
    /// Rows for an output.
    Emit {
        /// The index of the output.
        output: usize,
        /// The rows.
        rows: RecordBatch,
    },
    /// Rows that were late for a node: their columns, then `event_time`, `late_by_ms` (how far the watermark was ahead of
    /// it), `window_start` and `window_end` (the newest window missed), `source_file`, `source_offset`, `pipeline`.
    Late {
        /// The index of the node.
        node: usize,
        /// The rows.
        rows: RecordBatch,
    },
    /// A row that cannot be processed.
    Reject {
        /// Its partition.
        partition: PartitionId,
        /// Where its record begins.
        offset: Offset,
        /// Why, with the value that offended.
        reason: String,
    },
    /// A row that cannot be processed, and is no longer the record that was read: it is masked or made of several. Only
    /// this row may be shown.
    RejectRow {
        /// Its partition.
        partition: PartitionId,
        /// What people know the partition by.
        origin: Arc<str>,
        /// Where its record begins.
        offset: Offset,
        /// The row.
        row: RecordBatch,
        /// Why, with the value that offended.
        reason: String,
    },
    /// A row that a window made and a later step cannot process. Its rows are counted as results already.
    RejectResult {
        /// The index of the node that cannot process it.
        node: usize,
        /// The row.
        rows: RecordBatch,
        /// Why.
        reason: String,
    },
    /// Stop reading this partition for now: it is further ahead than [`TimePlan::max_drift`] allows. Rows of it that
    /// come nevertheless are taken. Said anew after a restore.
    Pause(PartitionId),
    /// Read this partition again.
    Resume(PartitionId),
    /// Everything the engine remembers, as of the barrier.
    Snapshot(Snapshot),
    /// A part of what the engine remembers could not be loaded: what it says from this step on, and what it said in it, is
    /// not right. Drop it, and go on from a snapshot.
    Lost {
        /// The index of the node.
        node: usize,
        /// What is wrong with which file.
        error: SeamError,
    },
}

/// Everything the engine remembers, as of a barrier: [`Engine::restore`] goes on from it.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Which plan made it; another one takes over what fits.
    pub plan_fingerprint: String,
    /// Watermarks, balances and panes, as JSON.
    pub meta: Vec<u8>,
    /// Every run that is alive. Those that an earlier snapshot held already have kept their id.
    pub runs: Vec<Run>,
}

/// What the engine knows of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionStatus {
    /// Which partition.
    pub partition: PartitionId,
    /// The index of its source.
    pub source: usize,
    /// Its own watermark.
    pub watermark: Watermark,
    /// Rows taken from it.
    pub rows: u64,
    /// Where the last of them begins.
    pub offset: Option<Offset>,
    /// What it is doing.
    pub state: PartitionState,
}

/// What a partition is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionState {
    /// There is more to read.
    Reading,
    /// Everything there is was read.
    CaughtUp,
    /// Caught up and silent for so long that it does not hold event time back.
    Idle,
    /// Nothing more will come.
    Finished,
}

/// The engine.
#[derive(Debug)]
pub struct Engine {
    plan: Plan,
    /// What snapshots say of the plan.
    outline: Outline,
    progress: Progress,
    punctuation: Option<Punctuation>,
    graph: Graph,
    /// How many runs were ever named.
    next_run: u64,
}

impl Engine {
    /// An engine that has seen nothing yet.
    ///
    /// # Errors
    /// When the plan contradicts itself.
    pub fn new(plan: Plan, compiler: Arc<dyn Compiler>) -> Result<Self, EngineError> {
        Self::of(Half::Whole, plan, compiler)
    }

    /// One that does only a part of the plan.
    pub(crate) fn of(half: Half, plan: Plan, compiler: Arc<dyn Compiler>) -> Result<Self, EngineError> {
        plan.check()?;
        let (domains, of_nodes) = half.domains(&plan);
        let time = half.time(&plan);
        let punctuation = time.as_ref().and_then(|time| Punctuation::new(&time.watermark, &compiler));
        let progress = Progress::new(time, domains);
        let graph = Graph::new(&plan, of_nodes, half, &compiler);
        Ok(Self { outline: Outline::of(&plan), plan, progress, punctuation, graph, next_run: 0 })
    }

    /// Lets steps put keys that do not fit into memory into `stores`, where they can be asked for one by one. To be called
    /// before anything else happens to the engine.
    ///
    /// # Errors
    /// When there cannot be such a store.
    pub fn keep_keys_in(&mut self, stores: &dyn KeyStores) -> weir_model::SeamResult<()> {
        let mut steps = self.graph.operators.iter_mut().zip(&self.plan.nodes);
        steps.try_for_each(|(operator, node)| operator.keep_keys_in(&node.name, stores))
    }

    /// An engine that goes on from `snapshot`. Every partition counts as not caught up until it is said to be again.
    ///
    /// # Errors
    /// As [`Engine::restore_without`].
    pub fn restore(plan: Plan, compiler: Arc<dyn Compiler>, snapshot: Snapshot) -> Result<Self, EngineError> {
        Self::restore_without(plan, compiler, snapshot, &Reset::Nothing)
    }

    /// Takes one input and appends what is to be done to `effects`.
    pub fn step(&mut self, input: Input, effects: &mut Vec<Effect>) {
        self.take_input(input, effects);
        self.tell_drifts(effects);
        self.graph.tell_lost(effects);
    }

    /// Lets go of rows that `store` has, which are those of the last snapshot, until what is left takes about `bytes_max`
    /// bytes; what is needed again is loaded from there. To be called when that snapshot is stored, before any other
    /// input. Returns about how many bytes are free now.
    pub fn release(&mut self, bytes_max: usize, store: &Arc<dyn RunStore>) -> usize {
        let over = self.state_bytes().saturating_sub(bytes_max);
        self.graph.release(over, store)
    }

    /// Says who is too far ahead from now on, and who no longer is.
    pub(crate) fn tell_drifts(&mut self, effects: &mut Vec<Effect>) {
        let drifts = self.progress.drifts().into_iter();
        effects.extend(drifts.map(|(id, paused)| if paused { Effect::Pause(id) } else { Effect::Resume(id) }));
    }

    fn take_input(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::PartitionAdded { source, partition } => self.progress.add(source, partition),
            Input::PartitionFinished(partition) => {
                self.graph.partition_ends(&partition, effects);
                self.progress.finish(&partition);
                self.advance(effects);
            }
            Input::CaughtUp(partition) => {
                self.progress.caught_up(&partition);
                self.tell_idle(effects);
                self.advance_quietly(effects);
            }
            Input::Batch { source, batch } => self.take(source, batch, effects),
            Input::Table { node, table } => self.graph.operators[node].learn(table),
            Input::Rejected { source, rows, .. } => {
                self.graph.counters.sources[source].read += rows;
                self.graph.counters.sources[source].rejected += rows;
            }
            Input::Tick(now) => {
                let (before, now) = self.progress.tick(now.micros());
                self.tell_idle(effects);
                self.advance_quietly(effects);
                if let Some(before) = before {
                    self.graph.tell(|_| Some(News::Tick(before, now)), effects);
                }
            }
            Input::Barrier(_) => effects.push(Effect::Snapshot(self.snapshot())),
            Input::End => {
                self.progress.finish_all();
                self.progress.reach();
                self.graph.tell(|domain| Some(News::End(self.progress.reached(domain))), effects);
            }
        }
    }

    /// Where a partition is idle, steps that wait for its next row wait no longer.
    fn tell_idle(&mut self, effects: &mut Vec<Effect>) {
        if !self.graph.waits_for_rows {
            return;
        }
        let idle = self.progress.partitions().filter(|partition| partition.state == PartitionState::Idle);
        let idle: Vec<PartitionId> = idle.map(|partition| partition.partition).collect();
        idle.iter().for_each(|partition| self.graph.partition_ends(partition, effects));
    }

    /// What became of every row, per output.
    pub fn balances(&self) -> Vec<Balance> {
        (0..self.plan.outputs.len()).map(|output| self.graph.counters.balance(&self.plan, output)).collect()
    }

    /// The event time up to which everything is believed to be complete, over all sources. When all have ended it is
    /// where the furthest partition left it.
    pub fn watermark(&self) -> Watermark {
        self.progress.watermark()
    }

    /// Every partition ever seen: those that may still yield, then those that are finished, by their names.
    pub fn partitions(&self) -> impl Iterator<Item = PartitionStatus> + '_ {
        self.progress.partitions()
    }

    /// About how many bytes the state takes.
    pub fn state_bytes(&self) -> usize {
        self.graph.state_bytes()
    }

    /// The version of the table that a node looks up in: of the one that was given last, or after a restore of the one
    /// that the snapshot was made with.
    pub fn table_version(&self, node: usize) -> Option<&str> {
        self.graph.operators[node].table_version()
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}
