//! The states of sessions: a table that takes rows, and runs that it turned into. A session has a part in some of them.
//! Knows which session owns a part, and nothing of when it fires.
//!
//! A run's columns are the keys `k0, k1 ...`, `at` (an instant inside the session, microseconds), then the states.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take_arrays;

use super::living::{Living, NOBODY, SessionId};
use crate::keys::{KeyId, Keys};
use crate::window::accumulators::Accumulators;
use crate::window::shape::Shape;
use crate::window::table::batch;

/// A part of a session: a row of a run, or a group of the table that will be that row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    run: u32,
    row: u32,
}

#[derive(Debug, Default)]
pub(crate) struct Parts {
    runs: BTreeMap<u32, PartRun>,
    /// What takes rows, and the owner, the key and an instant of each of its groups.
    table: Accumulators,
    groups: Vec<(SessionId, KeyId, i64)>,
    /// Which run the table turns into.
    next: u32,
}

#[derive(Debug)]
struct PartRun {
    /// Given when a snapshot first holds the run.
    id: Option<u64>,
    batch: RecordBatch,
    owners: Vec<SessionId>,
    /// Rows that somebody owns.
    live: usize,
}

impl Parts {
    /// A new part in the table.
    pub(crate) fn begin(&mut self, owner: SessionId, key: KeyId, at: i64) -> Part {
        self.groups.push((owner, key, at));
        Part { run: self.next, row: self.groups.len() as u32 - 1 }
    }

    /// The group of a part that still takes rows.
    pub(crate) fn group(&self, part: Part) -> Option<u32> {
        (part.run == self.next).then_some(part.row)
    }

    /// Adds rows to the groups of the table.
    pub(crate) fn update(&mut self, inputs: &[ArrayRef], groups: &[u32], shape: &Shape) {
        self.table.update(inputs, groups, self.groups.len(), shape);
    }

    /// Gives a part to another session, or to nobody. A run that nobody owns anything of is dropped.
    pub(crate) fn give(&mut self, part: Part, owner: SessionId) {
        if part.run == self.next {
            self.groups[part.row as usize].0 = owner;
            return;
        }
        let run = self.runs.get_mut(&part.run).expect("a run that is owned is there");
        run.owners[part.row as usize] = owner;
        if owner == NOBODY {
            run.live -= 1;
            if run.live == 0 {
                self.runs.remove(&part.run);
            }
        }
    }

    /// Turns the table into a run.
    pub(crate) fn seal(&mut self, keys: &Keys, shape: &Shape) {
        let groups = std::mem::take(&mut self.groups);
        if !groups.is_empty() {
            let mut table = std::mem::take(&mut self.table);
            self.add(&mut table, &groups, keys, shape);
        }
    }

    fn add(&mut self, states: &mut Accumulators, groups: &[(SessionId, KeyId, i64)], keys: &Keys, shape: &Shape) {
        let ids: Vec<KeyId> = groups.iter().map(|(_, key, _)| *key).collect();
        let mut columns = keys.columns(&ids);
        let mut names: Vec<String> = (0..columns.len()).map(|index| format!("k{index}")).collect();
        names.push("at".to_owned());
        columns.push(Arc::new(groups.iter().map(|(_, _, at)| *at).collect::<Int64Array>()));
        states.seal(groups.len(), shape, &mut names, &mut columns);
        let owners: Vec<SessionId> = groups.iter().map(|(owner, _, _)| *owner).collect();
        let live = owners.iter().filter(|owner| **owner != NOBODY).count();
        if live > 0 {
            self.runs.insert(self.next, PartRun { id: None, batch: batch(names, columns, groups.len()), owners, live });
        }
        self.next += 1;
    }

    /// The merged states of lists of parts, one group per list. All of them are in runs.
    pub(crate) fn gather<'a>(&self, lists: impl Iterator<Item = &'a [Part]>, shape: &Shape) -> (Accumulators, usize) {
        let mut by_run: BTreeMap<u32, (Vec<u32>, Vec<u32>)> = BTreeMap::new();
        let mut total = 0;
        for (group, parts) in (0u32..).zip(lists) {
            total += 1;
            for part in parts {
                let (rows, groups) = by_run.entry(part.run).or_default();
                rows.push(part.row);
                groups.push(group);
            }
        }
        let mut states = Accumulators::default();
        for (run, (rows, groups)) in by_run {
            merge(&mut states, &self.runs[&run].batch, (rows, &groups), total, shape);
        }
        (states, total)
    }

    /// Whether a part is still in the table.
    pub(crate) fn is_open(&self, part: Part) -> bool {
        part.run == self.next
    }

    /// Merges the newest runs, and those older ones that are not much larger, into one, once there are more than
    /// `runs_max`: so a part is merged again only when as much has come since.
    pub(crate) fn compact(&mut self, runs_max: usize, living: &mut Living, keys: &Keys, shape: &Shape) {
        if self.runs.len() <= runs_max {
            return;
        }
        let (mut least, mut rows, mut chosen) = (u32::MAX, 0, 0);
        for (serial, run) in self.runs.iter().rev() {
            if chosen > 1 && run.live > 2 * rows && self.runs.len() - chosen < runs_max {
                break;
            }
            (least, rows, chosen) = (*serial, rows + run.live, chosen + 1);
        }
        let old = self.runs.split_off(&least);
        let mut group_of: BTreeMap<SessionId, u32> = BTreeMap::new();
        let mut groups: Vec<(SessionId, KeyId, i64)> = Vec::new();
        let mut picks = Vec::new();
        for run in old.values() {
            let (mut rows, mut into) = (Vec::new(), Vec::new());
            for (row, owner) in (0u32..).zip(&run.owners).filter(|(_, owner)| **owner != NOBODY) {
                rows.push(row);
                into.push(*group_of.entry(*owner).or_insert_with(|| {
                    let session = living.get(*owner);
                    groups.push((*owner, session.key, session.start));
                    groups.len() as u32 - 1
                }));
            }
            picks.push((rows, into));
        }
        let mut states = Accumulators::default();
        for (run, (rows, into)) in old.values().zip(picks) {
            merge(&mut states, &run.batch, (rows, &into), groups.len(), shape);
        }
        let serial = self.next;
        self.add(&mut states, &groups, keys, shape);
        for (row, (owner, _, _)) in (0u32..).zip(&groups) {
            let parts = &mut living.get_mut(*owner).parts;
            parts.retain(|part| part.run < least);
            parts.push(Part { run: serial, row });
        }
    }

    /// The runs with the ids that they have, and a place for those that have none yet.
    pub(crate) fn runs(&mut self) -> impl Iterator<Item = (&mut Option<u64>, &RecordBatch)> {
        self.runs.values_mut().map(|run| (&mut run.id, &run.batch))
    }

    /// The ids of the runs; all have one.
    pub(crate) fn run_ids(&self) -> Vec<u64> {
        self.runs.values().map(|run| run.id.expect("runs were named before")).collect()
    }

    /// Takes a run over whose rows have these owners. Returns the part of each row.
    ///
    /// # Errors
    /// When its columns are not states of these aggregates.
    pub(crate) fn restore(
        &mut self,
        id: u64,
        batch: RecordBatch,
        owners: Vec<SessionId>,
        shape: &Shape,
    ) -> Result<Vec<Part>, String> {
        let all: Vec<u32> = (0..batch.num_rows() as u32).collect();
        Accumulators::default().merge(&batch.schema(), batch.columns(), &all, all.len(), shape)?;
        let parts = all.iter().map(|row| Part { run: self.next, row: *row }).collect();
        let live = owners.iter().filter(|owner| **owner != NOBODY).count();
        self.runs.insert(self.next, PartRun { id: Some(id), batch, owners, live });
        self.next += 1;
        Ok(parts)
    }

    pub(crate) fn size(&self) -> usize {
        let runs = self.runs.values().map(|run| run.batch.get_array_memory_size() + run.owners.capacity() * 4);
        runs.sum::<usize>() + self.table.size() + self.groups.capacity() * size_of::<(SessionId, KeyId, i64)>()
    }
}

/// Adds these rows of a run to these groups.
fn merge(
    states: &mut Accumulators,
    run: &RecordBatch,
    (rows, groups): (Vec<u32>, &[u32]),
    total: usize,
    shape: &Shape,
) {
    let whole = rows.len() == run.num_rows() && rows.iter().zip(0u32..).all(|(row, index)| *row == index);
    let columns = match whole {
        true => run.columns().to_vec(),
        false => take_arrays(run.columns(), &UInt32Array::from(rows), None).expect("the rows are of this run"),
    };
    let merged = states.merge(&run.schema(), &columns, groups, total, shape);
    merged.expect("the run was made by this node, or checked when it was restored");
}
