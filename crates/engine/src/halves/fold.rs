//! Where a partition is read: the steps before keys matter, and what comes of them for the owners of the keys. One of it is
//! one partition, so that it can be read anywhere; it decides nothing that depends on another partition.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use weir_model::{Balance, Compiler, EventTime, PartitionId, Watermark};

use super::{Half, Held, KeyGroup, Part, Partial};
use crate::snapshot::Meta;
use crate::{Effect, Engine, EngineError, Input, PartitionInspection, PartitionState, PartitionStatus, Plan, Snapshot};

/// Rows and groups that wait to be sent; with more they are sent unasked.
const UNSENT_MAX: usize = 65_536;
/// Beyond every watermark: nothing is folded.
const NEVER: i64 = i64::MAX;

/// The half of a plan that is done where a partition is read.
///
/// After [`Fold::flush`] it remembers of rows nothing but what waits for the next line of its partition: whoever goes on from
/// its snapshot at the partition's committed position sends what this one would have sent.
#[derive(Debug)]
pub struct Fold {
    engine: Engine,
    source: usize,
    partition: PartitionId,
    fingerprint: String,
    generation: u64,
    /// What comes next, by key group.
    sequences: Vec<u64>,
    /// What was told last.
    told: Option<Told>,
    heard: BTreeMap<KeyGroup, i64>,
    /// Rows before which the watermark was here or further are folded.
    from: i64,
    unsent: Vec<Partial>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Told {
    mark: i64,
    /// Whether the partition holds time back.
    holds: bool,
    finished: bool,
}

/// What its snapshot keeps.
#[derive(Serialize, Deserialize)]
struct FoldMeta {
    generation: u64,
    told: Option<Told>,
    from: i64,
    engine: Box<RawValue>,
}

impl Fold {
    /// Reads `partition` of a source of `plan`, for as many key groups ([`Plan::key_groups`] says how many are possible).
    ///
    /// # Errors
    /// When the plan contradicts itself.
    pub fn new(
        plan: Plan,
        compiler: Arc<dyn Compiler>,
        key_groups: u16,
        (source, partition): (usize, PartitionId),
    ) -> Result<Self, EngineError> {
        let (half, key_groups) = (Half::Fold { source }, plan.key_groups(key_groups));
        let fingerprint = Half::Merge.fingerprint(&plan, key_groups);
        let mut fold = Self {
            engine: Engine::of(half, plan, compiler)?,
            source,
            partition: partition.clone(),
            fingerprint,
            generation: 1,
            sequences: vec![0; usize::from(key_groups)],
            told: None,
            heard: BTreeMap::new(),
            from: NEVER,
            unsent: Vec::new(),
        };
        fold.engine.graph.fold_from(NEVER);
        fold.engine.step(Input::PartitionAdded { source, partition }, &mut Vec::new());
        Ok(fold)
    }

    /// One that goes on from `snapshot`, perhaps somewhere else. The partition counts as not caught up until it is said to
    /// be again.
    ///
    /// # Errors
    /// When the plan is not the one that made the snapshot, or the snapshot is damaged.
    pub fn restore(
        plan: Plan,
        compiler: Arc<dyn Compiler>,
        key_groups: u16,
        of: (usize, PartitionId),
        snapshot: Snapshot,
    ) -> Result<Self, EngineError> {
        let mut fold = Self::new(plan, compiler, key_groups, of)?;
        let expected = fold.own_fingerprint();
        if snapshot.plan_fingerprint != expected {
            return Err(EngineError::OtherPlan { expected, found: snapshot.plan_fingerprint });
        }
        let corrupt = |error: serde_json::Error| EngineError::Corrupt(error.to_string());
        let meta: FoldMeta = serde_json::from_slice(&snapshot.meta).map_err(corrupt)?;
        fold.engine.read_meta(meta.engine.get().as_bytes(), &snapshot.runs)?;
        fold.generation = meta.generation + 1;
        fold.from = meta.from;
        // Owners that have not said yet how far they are must be asked again.
        fold.told = meta.told.filter(|told| !told.holds || meta.from < NEVER);
        fold.engine.graph.fold_from(fold.from);
        fold.open_again();
        Ok(fold)
    }

    /// What the snapshot of a fold says of its partition, for people who look at it without its plan.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be understood.
    pub fn inspect(snapshot: &Snapshot) -> Result<Option<PartitionInspection>, EngineError> {
        let corrupt = |error: serde_json::Error| EngineError::Corrupt(error.to_string());
        let meta: FoldMeta = serde_json::from_slice(&snapshot.meta).map_err(corrupt)?;
        let meta: Meta = serde_json::from_str(meta.engine.get()).map_err(corrupt)?;
        Ok(meta.progress.inspect().0.into_iter().next())
    }

    /// Takes one input. What it is about other partitions, and tables of steps that are elsewhere, is of no concern here.
    /// After [`Input::Barrier`] everything read waits in [`Fold::flush`], and [`Effect::Snapshot`] holds the rest.
    pub fn step(&mut self, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Barrier(_) => {
                self.put_aside();
                effects.push(Effect::Snapshot(self.snapshot()));
            }
            input => {
                if matches!(input, Input::Batch { .. }) && self.told.is_some_and(|told| !told.holds) {
                    self.reopen();
                }
                self.engine.step(input, effects);
                self.open_again();
                if self.engine.graph.unsent() > UNSENT_MAX {
                    self.put_aside();
                }
            }
        }
    }

    /// Hears how far event time was for an owner of keys when it heard of the partition. Once all have said so, rows are
    /// folded that come after the watermark has passed that: which of them are late is known here.
    pub fn hear(&mut self, held: &Held) {
        if held.partition != self.partition || held.generation != self.generation {
            return;
        }
        self.heard.insert(held.key_group, held.watermark.time().micros());
        if self.heard.len() == self.sequences.len() {
            self.from = self.heard.values().copied().max().unwrap_or(NEVER);
            self.engine.graph.fold_from(self.from);
        }
    }

    /// Everything that was read and not sent yet, and how far the partition has come. A key group for which there is nothing
    /// new is left out.
    pub fn flush(&mut self) -> Vec<Partial> {
        self.put_aside();
        std::mem::take(&mut self.unsent)
    }

    /// What is known of the partition.
    pub fn status(&self) -> PartitionStatus {
        let own = self.engine.partitions().find(|status| status.partition == self.partition);
        own.expect("it was added when this was made")
    }

    /// What became of the rows here, per output; what was sent does not appear. Added up over all folds and merges, and
    /// with everything sent taken, a balance holds as one engine's does.
    pub fn balances(&self) -> Vec<Balance> {
        self.engine.balances()
    }

    /// About how many bytes it holds.
    pub fn state_bytes(&self) -> usize {
        self.engine.state_bytes() + self.unsent.iter().map(Partial::bytes).sum::<usize>()
    }

    fn own_fingerprint(&self) -> String {
        let half = Half::Fold { source: self.source };
        half.fingerprint(self.engine.plan(), self.sequences.len() as u16)
    }

    /// Where the owners were told that the partition holds nobody back, and it does again, they may be ahead of it.
    fn open_again(&mut self) {
        if self.told.is_some_and(|told| !told.holds) && holds(self.status().state) {
            self.reopen();
        }
    }

    fn reopen(&mut self) {
        // What was read before is of the old generation.
        debug_assert_eq!(self.engine.graph.unsent(), 0, "what was read was sent before the partition fell idle");
        self.generation += 1;
        self.sequences.fill(0);
        self.heard.clear();
        self.told = None;
        self.from = NEVER;
        self.engine.graph.fold_from(NEVER);
    }

    /// Makes partials of everything that is unsent.
    fn put_aside(&mut self) {
        let status = self.status();
        let mark = status.watermark.time().micros();
        let state = status.state;
        let told = Told { mark, holds: holds(state), finished: state == PartitionState::Finished };
        let news = self.told.replace(told) != Some(told);
        let mut of_groups: Vec<Vec<Part>> = self.sequences.iter().map(|_| Vec::new()).collect();
        let key_groups = self.sequences.len() as u16;
        for (node, sent) in self.engine.graph.send() {
            for (group, part) in sent.spread(node, key_groups) {
                of_groups[usize::from(group.0)].push(part);
            }
        }
        for (group, parts) in (0u16..).zip(of_groups) {
            if parts.is_empty() && !news {
                continue;
            }
            let sequence = &mut self.sequences[usize::from(group)];
            *sequence += 1;
            self.unsent.push(Partial {
                plan_fingerprint: self.fingerprint.clone(),
                key_group: KeyGroup(group),
                source: self.source,
                partition: self.partition.clone(),
                generation: self.generation,
                sequence: *sequence - 1,
                watermark: Watermark::at(EventTime::from_micros(mark)),
                state,
                rows: status.rows,
                offset: status.offset,
                asks: self.from == NEVER && told.holds,
                parts,
            });
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        let engine = self.engine.snapshot();
        let meta = FoldMeta {
            generation: self.generation,
            told: self.told,
            from: self.from,
            engine: RawValue::from_string(String::from_utf8(engine.meta).expect("JSON is text")).expect("it is JSON"),
        };
        let meta = serde_json::to_vec(&meta).expect("numbers and names are JSON");
        Snapshot { plan_fingerprint: self.own_fingerprint(), meta, runs: engine.runs }
    }
}

/// Whether a partition in this state holds time back.
fn holds(state: PartitionState) -> bool {
    match state {
        PartitionState::Reading | PartitionState::CaughtUp => true,
        PartitionState::Idle | PartitionState::Finished => false,
    }
}
