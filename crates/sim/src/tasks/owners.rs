//! Tasks that own key groups, and what they would find again after a crash.

use weir_engine::{Effect, Held, KeyGroup, Merge, Partial, Plan, Snapshot};
use weir_model::{Balance, ProcessingTime};

use super::publish;
use crate::away::kept;
use crate::{Columns, Outcome, PlayError};

pub(super) struct Owners {
    plan: Plan,
    key_groups: u16,
    tasks: Vec<Owner>,
    groups: Vec<Group>,
}

struct Owner {
    merge: Merge,
    effects: Vec<Effect>,
}

/// A key group: whose it is, how much of its log was taken, and the same as of the last commit.
struct Group {
    owner: usize,
    at: usize,
    committed: (usize, Option<Snapshot>),
}

impl Owners {
    pub(super) fn new(plan: &Plan, key_groups: u16, tasks: usize) -> Result<Self, PlayError> {
        let mut owners = Self { plan: plan.clone(), key_groups, tasks: Vec::new(), groups: Vec::new() };
        owners.tasks = (0..tasks).map(|_| owners.new_owner()).collect::<Result<_, _>>()?;
        for group in 0..key_groups {
            let owner = usize::from(group) % tasks;
            owners.tasks[owner].merge.begin(KeyGroup(group))?;
            owners.groups.push(Group { owner, at: 0, committed: (0, None) });
        }
        Ok(owners)
    }

    fn new_owner(&self) -> Result<Owner, PlayError> {
        let merge = Merge::new(self.plan.clone(), std::sync::Arc::new(Columns), self.key_groups)?;
        Ok(Owner { merge, effects: Vec::new() })
    }

    /// Takes what is next in the log of a key group. Says whether there was anything, and gives the answer to it.
    pub(super) fn take_next(&mut self, group: usize, log: &[Partial]) -> Result<(bool, Option<Held>), PlayError> {
        let own = &mut self.groups[group];
        let Some(partial) = log.get(own.at) else { return Ok((false, None)) };
        own.at += 1;
        let Owner { merge, effects } = &mut self.tasks[own.owner];
        let held = merge.take(partial.clone(), effects).map_err(|error| PlayError::Tasks(error.to_string()))?;
        Ok((true, held))
    }

    pub(super) fn tick(&mut self, now: i64) {
        let now = ProcessingTime::from_micros(now);
        self.tasks.iter_mut().for_each(|Owner { merge, effects }| merge.tick(now, effects));
    }

    pub(super) fn end(&mut self) {
        self.tasks.iter_mut().for_each(|Owner { merge, effects }| merge.end(effects));
    }

    /// Commits what an owner has taken, with what came of it.
    pub(super) fn commit(&mut self, task: usize, outcome: &mut Outcome) {
        let Owner { merge, effects } = &mut self.tasks[task];
        for (group, snapshot) in merge.snapshot() {
            let own = &mut self.groups[usize::from(group.0)];
            own.committed = (own.at, Some(snapshot));
        }
        publish(effects, outcome);
    }

    /// An owner goes back to the last commit.
    pub(super) fn restore(&mut self, task: usize, now: Option<i64>) -> Result<(), PlayError> {
        self.tasks[task] = self.new_owner()?;
        let Owner { merge, effects } = &mut self.tasks[task];
        for (index, group) in (0u16..).zip(&mut self.groups).filter(|(_, group)| group.owner == task) {
            group.at = group.committed.0;
            match &group.committed.1 {
                Some(snapshot) => merge.import(KeyGroup(index), &kept(snapshot.clone()))?,
                None => merge.begin(KeyGroup(index))?,
            }
        }
        now.into_iter().for_each(|now| merge.tick(ProcessingTime::from_micros(now), effects));
        Ok(())
    }

    /// Another owner goes on with a key group, of whose work everything is committed.
    pub(super) fn hand_over(&mut self, group: usize, to: usize) -> Result<(), PlayError> {
        let from = std::mem::replace(&mut self.groups[group].owner, to);
        for (group, snapshot) in self.tasks[from].merge.export(&[KeyGroup(group as u16)]) {
            self.tasks[to].merge.import(group, &kept(snapshot))?;
        }
        Ok(())
    }

    /// The sum over all owners.
    pub(super) fn balance(&self, output: usize) -> Balance {
        let mut sum = Balance::default();
        self.tasks.iter().for_each(|task| sum += task.merge.balances()[output]);
        sum
    }
}
