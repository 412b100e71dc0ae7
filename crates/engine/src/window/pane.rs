//! A pane: what was folded of it, as immutable runs. Its runs are warm, that is in memory and with their keys numbered, or
//! cold, nothing but names: rows come to a pane whatever its runs are, and only who merges them needs them warm.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};

use super::shape::Shape;
use super::spans::PaneId;
use super::table::Table;
use crate::keys::{GroupIndex, KeyId, Keys, key_columns};
use crate::run::{RunRows, RunStore};
use weir_model::{ErrorKind, SeamError, SeamResult};

/// A pane.
#[derive(Debug, Default)]
pub(crate) struct Pane {
    /// The keys that are not in cold runs alone.
    keys: GroupIndex,
    pub(crate) runs: Vec<LiveRun>,
    /// How many groups cold runs hold, those that are in `keys` too among them.
    cold_groups: usize,
    /// Emissions up to then contain no row that came last.
    pub(crate) changed: u64,
    /// Rows that no results contain yet.
    pub(crate) open_rows: u64,
    /// The count of snapshots when it was used last.
    pub(crate) used: u64,
}

/// A run of a pane.
#[derive(Debug)]
pub(crate) struct LiveRun {
    /// Given when a snapshot first holds the run.
    pub(crate) id: Option<u64>,
    pub(crate) rows: RunRows,
    /// The number of each row's key; none while the run is cold.
    pub(crate) keys: Vec<KeyId>,
    /// Whether its keys are numbered.
    is_warm: bool,
    /// The clock when it was made: no emission before contains it.
    pub(crate) since: u64,
}

/// What a snapshot keeps of a pane besides its runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PaneMeta {
    pub(crate) pane: PaneId,
    changed: u64,
    open_rows: u64,
    /// How many groups it holds; older snapshots do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    groups: Option<usize>,
    /// The ids of its runs, and the clock when each was made.
    runs: Vec<(u64, u64)>,
}

impl Pane {
    /// Adds keys that rows came with.
    pub(crate) fn add_keys(&mut self, keys: &[KeyId]) {
        for key in keys {
            self.keys.group(*key);
        }
    }

    /// Whether a key is in it. Cold runs are not asked.
    pub(crate) fn knows(&self, key: KeyId) -> bool {
        self.keys.find(key).is_some()
    }

    /// Its keys, but for those in cold runs alone.
    pub(crate) fn keys(&self) -> &[KeyId] {
        self.keys.keys()
    }

    /// How many groups it holds, while no run is cold; else at most so many.
    pub(crate) fn groups(&self) -> usize {
        self.keys.len() + self.cold_groups
    }

    /// How many groups its cold runs hold.
    pub(crate) fn cold_groups(&self) -> usize {
        self.cold_groups
    }

    /// Makes every run warm.
    ///
    /// # Errors
    /// What is wrong with a run that should be somewhere. The pane is not what it was then.
    pub(crate) fn warm(&mut self, keys: &mut Keys, shape: &Shape) -> SeamResult<()> {
        self.cold_groups = 0;
        for run in self.runs.iter_mut().filter(|run| !run.is_warm) {
            let id = run.id.expect("a run that was never in a snapshot is warm");
            let batch = run.rows.load(id)?;
            let numbered = number_keys(id, &batch, keys, shape);
            run.keys = numbered.map_err(|problem| SeamError::new(ErrorKind::Corrupt, problem))?;
            (run.rows, run.is_warm) = (RunRows::Held(batch), true);
            self.keys.reserve(run.keys.len());
            for key in &run.keys {
                self.keys.group(*key);
            }
        }
        Ok(())
    }

    /// Makes every run cold; `store` has all of them, and no rows came since. Returns about how many bytes that frees.
    fn chill(&mut self, store: &Arc<dyn RunStore>) -> usize {
        let before = self.size();
        self.cold_groups = self.groups();
        self.keys = GroupIndex::default();
        for run in &mut self.runs {
            debug_assert!(run.id.is_some(), "a snapshot named it");
            run.rows.release(store);
            (run.keys, run.is_warm) = (Vec::new(), false);
        }
        before.saturating_sub(self.size())
    }

    /// Takes its keys' new numbers over.
    pub(crate) fn renumber(&mut self, ids: &[KeyId]) {
        self.keys.renumber(ids);
        let keys = self.runs.iter_mut().flat_map(|run| &mut run.keys);
        keys.for_each(|key| *key = ids[*key as usize]);
    }

    pub(crate) fn meta(&self, pane: PaneId) -> PaneMeta {
        let runs = self.runs.iter().map(|run| (run.id.expect("runs were named before"), run.since));
        let groups = Some(self.groups());
        PaneMeta { pane, changed: self.changed, open_rows: self.open_rows, groups, runs: runs.collect() }
    }

    /// The pane that a snapshot holds, cold.
    ///
    /// # Errors
    /// What is damaged.
    pub(crate) fn restored(
        meta: &PaneMeta,
        all: &BTreeMap<u64, &crate::Run>,
        keys: &mut Keys,
        shape: &Shape,
    ) -> Result<Self, String> {
        let mut pane = Self { changed: meta.changed, open_rows: meta.open_rows, ..Self::default() };
        for (id, since) in &meta.runs {
            let run = all.get(id).ok_or_else(|| format!("the run {id} is missing"))?;
            if let Some(batch) = run.rows.in_memory() {
                check(*id, batch, shape)?;
            }
            let rows = run.rows.clone();
            pane.runs.push(LiveRun { id: Some(*id), rows, keys: Vec::new(), is_warm: false, since: *since });
        }
        match meta.groups {
            Some(groups) => pane.cold_groups = groups,
            None => pane.warm(keys, shape).map_err(|error| error.full())?,
        }
        Ok(pane)
    }

    pub(crate) fn size(&self) -> usize {
        let runs = self.runs.iter().map(|run| run.rows.size() + run.keys.capacity() * 4 + size_of::<LiveRun>());
        self.keys.size() + runs.sum::<usize>()
    }
}

impl LiveRun {
    /// A run that was made just now.
    pub(crate) fn new(batch: RecordBatch, keys: Vec<KeyId>, since: u64) -> Self {
        Self { id: None, rows: RunRows::Held(batch), keys, is_warm: true, since }
    }

    /// Adds its groups to a table; with `only_known`, only those that the table has already.
    pub(crate) fn absorb_into(&self, table: &mut Table, only_known: bool, shape: &Shape) {
        assert!(self.is_warm, "a run is made warm before it is merged");
        let absorbed = table.absorb(self.rows.held(), &self.keys, only_known, shape);
        absorbed.expect("the run was made by this node, and its checksum was compared when it came back");
    }
}

/// Makes panes cold until about `wanted` bytes are free: those first that were not used for longest, and of these the one
/// whose windows fire last. Returns about how many bytes are.
pub(crate) fn release(panes: &mut BTreeMap<PaneId, Pane>, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
    let holds = |pane: &Pane| pane.runs.iter().any(|run| run.rows.size() > 0);
    let held = panes.iter().filter(|(_, pane)| holds(pane));
    let mut order: Vec<(u64, Reverse<PaneId>)> = held.map(|(id, pane)| (pane.used, Reverse(*id))).collect();
    order.sort_unstable();
    let mut freed = 0;
    for (_, Reverse(id)) in order {
        if freed >= wanted {
            break;
        }
        freed += panes.get_mut(&id).map_or(0, |pane| pane.chill(store));
    }
    freed
}

/// The ids of a run's keys, after a check that its other columns are states of the aggregates.
pub(crate) fn number_keys(id: u64, batch: &RecordBatch, keys: &mut Keys, shape: &Shape) -> Result<Vec<KeyId>, String> {
    check(id, batch, shape)?;
    let mut ids = Vec::new();
    keys.intern(key_columns(batch, shape.keys), batch.num_rows(), &mut ids)?;
    Ok(ids)
}

/// Whether a run's columns are keys and states of these types. What is in them, their checksum answers for.
fn check(id: u64, batch: &RecordBatch, shape: &Shape) -> Result<(), String> {
    if key_columns(batch, shape.keys).len() != shape.keys {
        return Err(format!("the run {id} has {} columns", batch.num_columns()));
    }
    let checked = Table::default().absorb(&batch.slice(0, 0), &[], false, shape);
    checked.map_err(|problem| format!("the run {id}: {problem}"))
}
