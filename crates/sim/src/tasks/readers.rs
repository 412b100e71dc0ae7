//! Tasks that read partitions, and what they would find again after a crash.

use std::sync::Arc;

use weir_engine::{Effect, Fold, Held, Input, Partial, Plan, Snapshot};
use weir_model::{Epoch, PartitionId, ProcessingTime};

use super::feed::Item;
use super::publish;
use crate::away::kept;
use crate::player::{batch, source_of};
use crate::{Columns, Outcome, PlayError, Row};

/// Who reads a partition, and how far.
pub(super) struct Reader {
    pub(super) partition: PartitionId,
    pub(super) task: usize,
    items: Vec<Item>,
    pub(super) fold: Option<Fold>,
    at: Place,
    effects: Vec<Effect>,
    /// What was sent and not committed.
    pub(super) pending: Vec<Partial>,
    pub(super) answers: Vec<Held>,
    committed: (Place, Option<Snapshot>),
}

/// How far a partition was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    item: usize,
    offset: u64,
    caught_up: bool,
}

impl Reader {
    pub(super) fn new(partition: PartitionId, items: Vec<Item>, task: usize) -> Self {
        Self {
            partition,
            task,
            items,
            fold: None,
            at: Place::default(),
            effects: Vec::new(),
            pending: Vec::new(),
            answers: Vec::new(),
            committed: (Place::default(), None),
        }
    }

    /// Whether it has come to the end of the phase, or of everything.
    pub(super) fn waits_for(&self, phase: usize) -> bool {
        match self.items.get(self.at.item) {
            None => true,
            Some(Item::Gate(gate)) => *gate > phase,
            Some(_) => false,
        }
    }

    /// Reads on: rows up to so many, or whatever else comes next.
    pub(super) fn read(
        &mut self,
        phase: usize,
        rows_max: usize,
        (plan, key_groups, now): (&Plan, u16, Option<i64>),
    ) -> Result<(), PlayError> {
        while matches!(self.items.get(self.at.item), Some(Item::Gate(gate)) if *gate <= phase) {
            self.at.item += 1;
        }
        if self.waits_for(phase) {
            return Ok(());
        }
        let rest = &self.items[self.at.item..];
        let row = |item: &Item| if let Item::Row(row) = item { Some(row.clone()) } else { None };
        let rows: Vec<Row> = rest.iter().map_while(row).take(rows_max).collect();
        let first = rest[0].clone();
        self.at.item += rows.len().max(1);
        if self.fold.is_none() {
            if first == Item::End {
                return Ok(());
            }
            let of = (source_of(plan, &self.partition), self.partition.clone());
            self.fold = Some(Fold::new(plan.clone(), Arc::new(Columns), key_groups, of)?);
            now.into_iter().for_each(|now| self.tick(now));
        }
        let fold = self.fold.as_mut().expect("it was made");
        let (partition, source) = (self.partition.clone(), fold.status().source);
        self.at.caught_up = first == Item::CaughtUp;
        let input = match first {
            Item::Added => Input::PartitionAdded { source, partition },
            Item::CaughtUp => Input::CaughtUp(partition),
            Item::Finished => Input::PartitionFinished(partition),
            Item::End => Input::End,
            Item::Row(_) => {
                let offset = self.at.offset;
                self.at.offset += rows.len() as u64;
                Input::Batch { source, batch: batch(&partition, offset, &rows) }
            }
            Item::Gate(_) => unreachable!("gates were passed"),
        };
        fold.step(input, &mut self.effects);
        Ok(())
    }

    pub(super) fn tick(&mut self, now: i64) {
        if let Some(fold) = &mut self.fold {
            fold.step(Input::Tick(ProcessingTime::from_micros(now)), &mut self.effects);
        }
    }

    pub(super) fn flush(&mut self) -> Vec<Partial> {
        self.fold.as_mut().map(Fold::flush).unwrap_or_default()
    }

    pub(super) fn hear(&mut self) {
        let answers = std::mem::take(&mut self.answers);
        answers.iter().for_each(|held| self.fold.iter_mut().for_each(|fold| fold.hear(held)));
    }

    /// Commits how far it has read, with what it has sent.
    pub(super) fn commit(&mut self, outcome: &mut Outcome) -> Vec<Partial> {
        let snapshot = self.snapshot();
        self.committed = (self.at, snapshot);
        publish(&mut self.effects, outcome);
        let mut partials = std::mem::take(&mut self.pending);
        partials.extend(self.flush());
        partials
    }

    fn snapshot(&mut self) -> Option<Snapshot> {
        let mut effects = Vec::new();
        self.fold.as_mut()?.step(Input::Barrier(Epoch(1)), &mut effects);
        match effects.pop() {
            Some(Effect::Snapshot(snapshot)) => Some(snapshot),
            _ => None,
        }
    }

    /// Goes back to the last commit.
    pub(super) fn restore(&mut self, plan: &Plan, key_groups: u16, now: Option<i64>) -> Result<(), PlayError> {
        self.effects.clear();
        self.pending.clear();
        let (at, snapshot) = &self.committed;
        self.at = *at;
        self.fold = None;
        if let Some(snapshot) = snapshot.clone() {
            self.live_again(plan, key_groups, snapshot)?;
            now.into_iter().for_each(|now| self.tick(now));
        }
        Ok(())
    }

    /// Another task goes on at once, with what this one knows. Returns what this one had not sent yet.
    pub(super) fn hand_over(&mut self, plan: &Plan, key_groups: u16, task: usize) -> Result<Vec<Partial>, PlayError> {
        self.task = task;
        let Some(snapshot) = self.snapshot() else { return Ok(Vec::new()) };
        let partials = self.flush();
        self.live_again(plan, key_groups, snapshot)?;
        Ok(partials)
    }

    fn live_again(&mut self, plan: &Plan, key_groups: u16, snapshot: Snapshot) -> Result<(), PlayError> {
        let of = (source_of(plan, &self.partition), self.partition.clone());
        let mut fold = Fold::restore(plan.clone(), Arc::new(Columns), key_groups, of, kept(snapshot))?;
        if self.at.caught_up {
            fold.step(Input::CaughtUp(self.partition.clone()), &mut self.effects);
        }
        self.fold = Some(fold);
        Ok(())
    }
}
