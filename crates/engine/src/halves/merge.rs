//! The owner of keys: takes what was folded where partitions are read, fires windows, and does everything behind them. Each
//! key group is a machine of its own, with an event time of its own, so that any of them can move to another owner; this
//! decides nothing about where they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use weir_model::{Balance, Compiler, EventTime, PartitionId, ProcessingTime, Watermark};

use super::{Half, Held, KeyGroup, Partial};
use crate::{Effect, Engine, EngineError, Input, PartitionState, Plan, Snapshot, Table};

/// The half of a plan that the owners of keys do, for some of its key groups.
#[derive(Debug)]
pub struct Merge {
    plan: Plan,
    compiler: Arc<dyn Compiler>,
    key_groups: u16,
    fingerprint: String,
    owned: BTreeMap<KeyGroup, Owned>,
}

/// A key group at work.
#[derive(Debug)]
struct Owned {
    engine: Engine,
    readers: BTreeMap<PartitionId, Reader>,
}

/// What is known of who reads a partition.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Reader {
    source: usize,
    generation: u64,
    /// The sequence of the next partial.
    next: u64,
    idle: bool,
}

/// What the snapshot of a key group keeps.
#[derive(Serialize, Deserialize)]
struct OwnedMeta {
    readers: Vec<(PartitionId, Reader)>,
    engine: Box<RawValue>,
}

/// Why a partial cannot be taken. Nothing of it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartialError {
    /// It is of another plan, or of one that is cut otherwise.
    #[error("a partial of partition {partition} is of another plan: {found}, and not {expected}")]
    OtherPlan {
        /// Of which partition.
        partition: PartitionId,
        /// The plan here.
        expected: String,
        /// Its plan.
        found: String,
    },
    /// It cannot be understood.
    #[error("a partial is damaged: {reason}")]
    Damaged {
        /// What is wrong with it.
        reason: String,
    },
    /// It is for a key group that is not owned here.
    #[error("a partial of partition {partition} is for {key_group}, which is not owned here")]
    NotOwned {
        /// Of which partition.
        partition: PartitionId,
        /// For which key group.
        key_group: KeyGroup,
    },
    /// It is of somebody who read the partition before its present reader.
    #[error("a partial of partition {partition} is of generation {found}, and {known} reads it: its reader must stop")]
    Outdated {
        /// Of which partition.
        partition: PartitionId,
        /// The generation that reads now.
        known: u64,
        /// The one that sent it.
        found: u64,
    },
    /// One that was sent before it never came.
    #[error("of partition {partition} partial {expected} did not come, but {found}: go back to the last commit")]
    Missing {
        /// Of which partition.
        partition: PartitionId,
        /// The sequence that was to come.
        expected: u64,
        /// The one that came.
        found: u64,
    },
}

impl Merge {
    /// Owns no key group yet, of as many as the folds know ([`Plan::key_groups`] says how many are possible).
    ///
    /// # Errors
    /// When the plan contradicts itself.
    pub fn new(plan: Plan, compiler: Arc<dyn Compiler>, key_groups: u16) -> Result<Self, EngineError> {
        plan.check()?;
        let key_groups = plan.key_groups(key_groups);
        let fingerprint = Half::Merge.fingerprint(&plan, key_groups);
        Ok(Self { plan, compiler, key_groups, fingerprint, owned: BTreeMap::new() })
    }

    /// Owns a key group from now on, that nobody has owned before.
    ///
    /// # Errors
    /// When there is no such key group.
    pub fn begin(&mut self, group: KeyGroup) -> Result<(), EngineError> {
        let owned = self.make(group)?;
        self.owned.insert(group, owned);
        Ok(())
    }

    /// Owns a key group from now on, and goes on from its snapshot.
    ///
    /// # Errors
    /// When the plan is not the one that made the snapshot, or the snapshot is damaged.
    pub fn import(&mut self, group: KeyGroup, snapshot: &Snapshot) -> Result<(), EngineError> {
        let mut owned = self.make(group)?;
        if snapshot.plan_fingerprint != self.fingerprint {
            let (expected, found) = (self.fingerprint.clone(), snapshot.plan_fingerprint.clone());
            return Err(EngineError::OtherPlan { expected, found });
        }
        let corrupt = |error: serde_json::Error| EngineError::Corrupt(error.to_string());
        let meta: OwnedMeta = serde_json::from_slice(&snapshot.meta).map_err(corrupt)?;
        owned.engine.read_meta(meta.engine.get().as_bytes(), &snapshot.runs)?;
        for (partition, reader) in &meta.readers {
            // That a partition is idle was said by its reader, who need not say it again.
            if reader.idle {
                owned.engine.progress.told_state(reader.source, partition, PartitionState::Idle);
            }
        }
        owned.readers = meta.readers.into_iter().collect();
        self.owned.insert(group, owned);
        Ok(())
    }

    /// The partitions of which the snapshot of a key group has taken partials.
    ///
    /// # Errors
    /// `Corrupt` when it cannot be understood.
    pub fn partitions_in(snapshot: &Snapshot) -> Result<Vec<PartitionId>, EngineError> {
        let meta: OwnedMeta =
            serde_json::from_slice(&snapshot.meta).map_err(|error| EngineError::Corrupt(error.to_string()))?;
        Ok(meta.readers.into_iter().map(|(partition, _)| partition).collect())
    }

    /// Owns these key groups no longer, and gives their state. Those that it does not own are left out.
    pub fn export(&mut self, groups: &[KeyGroup]) -> Vec<(KeyGroup, Snapshot)> {
        let snapshots = self.snapshot().into_iter().filter(|(group, _)| groups.contains(group)).collect();
        self.owned.retain(|group, _| !groups.contains(group));
        snapshots
    }

    /// The key groups that it owns, ascending.
    pub fn owned(&self) -> impl Iterator<Item = KeyGroup> + '_ {
        self.owned.keys().copied()
    }

    /// Takes what was read of a partition, for one key group. What comes twice is taken once. Gives an answer for the reader
    /// if it asks for one.
    ///
    /// # Errors
    /// When it is not for here, or not the next of its reader. Nothing has happened then.
    pub fn take(&mut self, partial: Partial, effects: &mut Vec<Effect>) -> Result<Option<Held>, PartialError> {
        let partition = partial.partition.clone();
        if partial.plan_fingerprint != self.fingerprint {
            let (expected, found) = (self.fingerprint.clone(), partial.plan_fingerprint);
            return Err(PartialError::OtherPlan { partition, expected, found });
        }
        let key_group = partial.key_group;
        let owned = self.owned.get_mut(&key_group);
        let owned = owned.ok_or_else(|| PartialError::NotOwned { partition: partition.clone(), key_group })?;
        if !owned.is_next(&partial)? {
            return Ok(None);
        }
        let (asks, source, generation) = (partial.asks, partial.source, partial.generation);
        owned.engine.arrive(partial, effects);
        let watermark = Watermark::at(EventTime::from_micros(owned.engine.progress.furthest_of(source)));
        Ok(asks.then_some(Held { key_group, partition, generation, watermark }))
    }

    /// A partition is there to be read by somebody: until its reader says otherwise it holds event time back. Owners hear
    /// of all partitions that are known before they take anything of one.
    pub fn expect(&mut self, source: usize, partition: &PartitionId, effects: &mut Vec<Effect>) {
        for owned in self.owned.values_mut().filter(|owned| !owned.readers.contains_key(partition)) {
            owned.engine.step(Input::PartitionAdded { source, partition: partition.clone() }, effects);
        }
    }

    /// Processing time goes on.
    pub fn tick(&mut self, now: ProcessingTime, effects: &mut Vec<Effect>) {
        self.owned.values_mut().for_each(|owned| owned.engine.step(Input::Tick(now), effects));
    }

    /// The newest version of the table that a node looks up in; see [`Input::Table`].
    pub fn learn(&mut self, node: usize, table: &Arc<Table>, effects: &mut Vec<Effect>) {
        let owned = self.owned.values_mut();
        owned.for_each(|owned| owned.engine.step(Input::Table { node, table: table.clone() }, effects));
    }

    /// Every source has ended, and everything that was read of them was taken; see [`Input::End`].
    pub fn end(&mut self, effects: &mut Vec<Effect>) {
        self.owned.values_mut().for_each(|owned| owned.engine.step(Input::End, effects));
    }

    /// Everything it remembers, by key group.
    pub fn snapshot(&mut self) -> Vec<(KeyGroup, Snapshot)> {
        let fingerprint = self.fingerprint.clone();
        let snapshot = |(group, owned): (&KeyGroup, &mut Owned)| (*group, owned.snapshot(fingerprint.clone()));
        self.owned.iter_mut().map(snapshot).collect()
    }

    /// What became of the rows that came here, per output; none of them counts as read.
    pub fn balances(&self) -> Vec<Balance> {
        let mut sums = vec![Balance::default(); self.plan.outputs.len()];
        for owned in self.owned.values() {
            sums.iter_mut().zip(owned.engine.balances()).for_each(|(sum, balance)| *sum += balance);
        }
        sums
    }

    /// How far event time is, in the key group where it is least far.
    pub fn watermark(&self) -> Watermark {
        let marks = self.owned.values().map(|owned| owned.engine.watermark());
        marks.min().unwrap_or(Watermark::at(EventTime::from_micros(crate::progress::UNKNOWN)))
    }

    /// About how many bytes the state takes.
    pub fn state_bytes(&self) -> usize {
        self.owned.values().map(|owned| owned.engine.state_bytes()).sum()
    }

    fn make(&self, group: KeyGroup) -> Result<Owned, EngineError> {
        if group.0 >= self.key_groups {
            let problem = format!("it is not there: the plan has {} of them, from 0", self.key_groups);
            return Err(EngineError::Plan { place: group.to_string(), problem });
        }
        let engine = Engine::of(Half::Merge, self.plan.clone(), self.compiler.clone())?;
        Ok(Owned { engine, readers: BTreeMap::new() })
    }
}

impl Owned {
    /// Whether a partial is the next of its reader, and not one that came before.
    fn is_next(&mut self, partial: &Partial) -> Result<bool, PartialError> {
        let partition = partial.partition.clone();
        let known = self.readers.get(&partition).copied();
        let (generation, next) = known.map_or((0, 0), |reader| (reader.generation, reader.next));
        if partial.generation < generation {
            return Err(PartialError::Outdated { partition, known: generation, found: partial.generation });
        }
        let expected = if partial.generation == generation { next } else { 0 };
        if partial.sequence < expected {
            return Ok(false);
        }
        if partial.sequence > expected {
            return Err(PartialError::Missing { partition, expected, found: partial.sequence });
        }
        let idle = partial.state == PartitionState::Idle;
        let reader =
            Reader { source: partial.source, generation: partial.generation, next: partial.sequence + 1, idle };
        self.readers.insert(partition, reader);
        Ok(true)
    }

    fn snapshot(&mut self, plan_fingerprint: String) -> Snapshot {
        let engine = self.engine.snapshot();
        let meta = OwnedMeta {
            readers: self.readers.iter().map(|(partition, reader)| (partition.clone(), *reader)).collect(),
            engine: RawValue::from_string(String::from_utf8(engine.meta).expect("JSON is text")).expect("it is JSON"),
        };
        let meta = serde_json::to_vec(&meta).expect("numbers and names are JSON");
        Snapshot { plan_fingerprint, meta, runs: engine.runs }
    }
}
