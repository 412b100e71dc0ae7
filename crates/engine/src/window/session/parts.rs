//! The states of sessions: a table that takes rows, and runs that it turned into. A session has a part in some of them.
//! Knows which session owns a part, and nothing of when it fires.
//!
//! A run's columns are the keys `k0, k1 ...`, `at` (an instant inside the session, microseconds), then the states. It is in
//! memory, or where the last snapshot has it: then it is read for the sessions that speak, and not kept.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow::compute::take_arrays;

use weir_model::{SeamError, SeamResult};

use super::living::{Living, NOBODY, SessionId};
use crate::keys::{KeyId, Keys};
use crate::run::{Run, RunRows, RunStore, release_in_turn};
use crate::window::accumulators::Accumulators;
use crate::window::shape::Shape;
use crate::window::table::batch;

/// Runs are not merged to more than this: all of one is read for the sake of a session.
const RUN_BYTES_MAX: u64 = 4 << 20;

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
    lost: Option<SeamError>,
}

#[derive(Debug)]
struct PartRun {
    /// Given when a snapshot first holds the run.
    id: Option<u64>,
    rows: RunRows,
    owners: Vec<SessionId>,
    /// Rows that somebody owns.
    live: usize,
}

impl PartRun {
    fn load(&self) -> SeamResult<RecordBatch> {
        self.rows.load(self.id.unwrap_or(0))
    }

    /// About how many bytes the rows take that somebody owns.
    fn live_bytes(&self) -> u64 {
        self.rows.bytes() * self.live as u64 / self.owners.len().max(1) as u64
    }

    /// Whether it is so large that it is merged no more.
    fn is_full(&self) -> bool {
        self.live_bytes() > RUN_BYTES_MAX / 2
    }
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
            let rows = RunRows::Held(batch(names, columns, groups.len()));
            self.runs.insert(self.next, PartRun { id: None, rows, owners, live });
        }
        self.next += 1;
    }

    /// The merged states of lists of parts, one group per list. All of them are in runs. What cannot be loaded is missing,
    /// which [`Parts::lost`] tells.
    pub(crate) fn gather<'a>(
        &mut self,
        lists: impl Iterator<Item = &'a [Part]>,
        shape: &Shape,
    ) -> (Accumulators, usize) {
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
            match self.runs[&run].load() {
                Ok(batch) => merge(&mut states, &batch, (rows, &groups), total, shape),
                Err(lost) => drop(self.lost.get_or_insert(lost)),
            }
        }
        (states, total)
    }

    /// Why states could not be loaded, if some could not.
    pub(crate) fn lost(&mut self) -> Option<SeamError> {
        self.lost.take()
    }

    /// Lets go of runs that `store` has, oldest first, until about `wanted` bytes are free; all were in a snapshot. Returns
    /// how many are.
    pub(crate) fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        let kept = self.runs.values_mut().filter(|run| run.id.is_some());
        release_in_turn(kept.map(|run| &mut run.rows), wanted, store)
    }

    /// Whether a part is still in the table.
    pub(crate) fn is_open(&self, part: Part) -> bool {
        part.run == self.next
    }

    /// Merges the newest runs, and those older ones that are not much larger, into one, once there are more than
    /// `runs_max`: so a part is merged again only when as much has come since. Runs that are full do not count.
    pub(crate) fn compact(&mut self, runs_max: usize, living: &mut Living, keys: &Keys, shape: &Shape) {
        if self.runs.len() <= runs_max {
            return;
        }
        let chosen = self.to_merge(runs_max);
        let loaded: SeamResult<Vec<RecordBatch>> = chosen.iter().map(|serial| self.runs[serial].load()).collect();
        let batches = match loaded {
            Ok(batches) if batches.len() > 1 => batches,
            Ok(_) => return,
            Err(lost) => {
                self.lost.get_or_insert(lost);
                return;
            }
        };
        let old: Vec<PartRun> = chosen.iter().filter_map(|serial| self.runs.remove(serial)).collect();
        let mut group_of: BTreeMap<SessionId, u32> = BTreeMap::new();
        let mut groups: Vec<(SessionId, KeyId, i64)> = Vec::new();
        let mut picks = Vec::new();
        for run in &old {
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
        for (batch, (rows, into)) in batches.iter().zip(picks) {
            merge(&mut states, batch, (rows, &into), groups.len(), shape);
        }
        let serial = self.next;
        self.add(&mut states, &groups, keys, shape);
        for (row, (owner, _, _)) in (0u32..).zip(&groups) {
            let parts = &mut living.get_mut(*owner).parts;
            parts.retain(|part| !chosen.contains(&part.run));
            parts.push(Part { run: serial, row });
        }
    }

    /// The runs that are to become one, if there are more than `runs_max` that are not full.
    fn to_merge(&self, runs_max: usize) -> BTreeSet<u32> {
        let open: Vec<(u32, &PartRun)> = self.runs.iter().rev().map(|(serial, run)| (*serial, run)).collect();
        let open: Vec<(u32, &PartRun)> = open.into_iter().filter(|(_, run)| !run.is_full()).collect();
        let (mut chosen, mut rows, mut bytes) = (BTreeSet::new(), 0, 0);
        if open.len() <= runs_max {
            return chosen;
        }
        for (serial, run) in &open {
            let is_larger = run.live > 2 * rows && open.len() - chosen.len() < runs_max;
            if chosen.len() > 1 && (is_larger || bytes + run.live_bytes() > RUN_BYTES_MAX) {
                break;
            }
            (rows, bytes) = (rows + run.live, bytes + run.live_bytes());
            chosen.insert(*serial);
        }
        chosen
    }

    /// The runs with the ids that they have, and a place for those that have none yet.
    pub(crate) fn runs(&mut self) -> impl Iterator<Item = (&mut Option<u64>, &RunRows)> {
        self.runs.values_mut().map(|run| (&mut run.id, &run.rows))
    }

    /// The ids of the runs; all have one.
    pub(crate) fn run_ids(&self) -> Vec<u64> {
        self.runs.values().map(|run| run.id.expect("runs were named before")).collect()
    }

    /// Takes a run over whose rows have these owners; `batch` is what is in it. Returns the part of each row.
    ///
    /// # Errors
    /// When its columns are not states of these aggregates.
    pub(crate) fn restore(
        &mut self,
        run: &Run,
        batch: &RecordBatch,
        owners: Vec<SessionId>,
        shape: &Shape,
    ) -> Result<Vec<Part>, String> {
        // What is in the columns, their checksum answers for.
        let columns = batch.slice(0, 0);
        Accumulators::default().merge(&columns.schema(), columns.columns(), &[], 0, shape)?;
        let parts = (0..batch.num_rows() as u32).map(|row| Part { run: self.next, row }).collect();
        let live = owners.iter().filter(|owner| **owner != NOBODY).count();
        self.runs.insert(self.next, PartRun { id: Some(run.id), rows: run.rows.clone(), owners, live });
        self.next += 1;
        Ok(parts)
    }

    pub(crate) fn size(&self) -> usize {
        let runs = self.runs.values().map(|run| run.rows.size() + run.owners.capacity() * 4);
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
