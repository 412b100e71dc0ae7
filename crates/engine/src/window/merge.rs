//! The second half of a window: partial results go in, windows fire. Knows panes, runs and revisions, and no rows.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::RecordBatch;
use serde::{Deserialize, Serialize};
use weir_model::EventTime;

use super::shape::Shape;
use super::spans::{Assigned, Spans};
use super::table::Table;
use crate::Run;
use crate::keys::{GroupIndex, KeyId, Keys, key_columns};
use crate::snapshot::run_id;

/// The panes of a window node by where they begin.
#[derive(Debug, Default)]
pub(crate) struct Merge {
    panes: BTreeMap<i64, Pane>,
    groups: usize,
}

/// A pane: what was folded of it, as immutable runs.
#[derive(Debug, Default)]
struct Pane {
    /// Every key it holds.
    keys: GroupIndex,
    runs: Vec<LiveRun>,
    /// Whether it has fired, or began when the watermark had passed its end already.
    fired: bool,
    /// The revision of its next results.
    revision: i64,
    /// Rows that no results contain yet.
    open_rows: u64,
}

#[derive(Debug)]
struct LiveRun {
    /// Given when a snapshot first holds the run.
    id: Option<u64>,
    batch: RecordBatch,
    keys: Vec<KeyId>,
    /// Whether no results contain it yet.
    fresh: bool,
}

/// What a snapshot keeps of a pane besides its runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PaneMeta {
    start: i64,
    fired: bool,
    revision: i64,
    open_rows: u64,
    /// The ids of its runs, and whether each is fresh.
    runs: Vec<(u64, bool)>,
}

/// A pane that is to emit results.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub(crate) start: i64,
    /// `on_time` or `late`.
    pub(crate) pane: &'static str,
    /// Whether the pane is dropped afterwards.
    dropped: bool,
}

/// What a pane has come to.
pub(crate) struct Fired {
    /// The groups to emit; `None` if there is nothing new.
    pub(crate) table: Option<Table>,
    pub(crate) revision: i64,
    /// The rows that are in results now and were not before.
    pub(crate) rows: u64,
}

impl Merge {
    /// How many groups all panes hold together.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// Notes that rows were folded into a pane, with the keys that its table did not hold. `fired` says whether the
    /// watermark has passed the pane's end: a pane that only begins then has missed its time.
    pub(crate) fn note(&mut self, start: i64, rows: usize, new_keys: &[KeyId], fired: bool) {
        let pane = self.panes.entry(start).or_default();
        pane.fired |= fired;
        pane.open_rows += rows as u64;
        let before = pane.keys.len();
        for key in new_keys {
            pane.keys.group(*key);
        }
        self.groups += pane.keys.len() - before;
    }

    /// The rows, in order, that would make more than `limit` groups.
    pub(crate) fn over_limit(&self, assigned: &Assigned, ids: &[KeyId], limit: usize) -> Vec<u32> {
        let panes = assigned.panes.iter();
        let mut rows: Vec<(u32, i64)> = panes.flat_map(|(start, rows)| rows.iter().map(|row| (*row, *start))).collect();
        rows.sort_unstable();
        let mut added: BTreeSet<(i64, KeyId)> = BTreeSet::new();
        let mut over = Vec::new();
        for (row, start) in rows {
            let key = ids[row as usize];
            let known = self.panes.get(&start).is_some_and(|pane| pane.keys.find(key).is_some());
            if known || added.contains(&(start, key)) {
                continue;
            }
            if self.groups + added.len() < limit {
                added.insert((start, key));
            } else {
                over.push(row);
            }
        }
        over
    }

    /// The panes that have something to emit or are to be dropped when the watermark goes from `before` to `reached`,
    /// in their order. `speaks` says whether those that late rows have changed emit.
    pub(crate) fn due(&self, spans: &Spans, (before, reached): (i64, i64), lateness: i64, speaks: bool) -> Vec<Due> {
        let panes = self.panes.iter().take_while(|(start, _)| spans.end(**start) <= reached);
        let due = panes.map(|(&start, pane)| (pane, pane.due(start, spans.end(start), lateness, reached)));
        let wanted = |pane: &Pane, due: &Due| {
            let passed = spans.end(due.start) > before;
            due.dropped || passed || (speaks && pane.open_rows > 0)
        };
        due.filter(|(pane, due)| wanted(pane, due)).map(|(_, due)| due).collect()
    }

    /// The panes that have something to emit or are to be dropped when nothing more is to be expected.
    pub(crate) fn due_at_end(&self, spans: &Spans, reached: i64, lateness: i64) -> Vec<Due> {
        let due = self.panes.iter().map(|(&start, pane)| (pane, pane.due(start, spans.end(start), lateness, reached)));
        due.filter(|(pane, due)| due.dropped || pane.open_rows > 0).map(|(_, due)| due).collect()
    }

    /// Merges what there is of a pane: everything the first time, afterwards the groups that have changed.
    pub(crate) fn fire(&mut self, due: Due, partial: Option<Table>, keys: &Keys, shape: &Shape) -> Fired {
        let pane = self.panes.get_mut(&due.start).expect("a pane that is due is there");
        let whole = pane.revision == 0;
        let table = (pane.open_rows > 0).then(|| {
            if !due.dropped {
                pane.push_partial(partial, keys, shape);
                return pane.merge_runs(Table::default(), whole, shape);
            }
            let mut table = partial.unwrap_or_default();
            if !whole {
                // What was folded lately, and all of its groups' past.
                pane.absorb_runs(&mut table, |run| run.fresh, false, shape);
                pane.absorb_runs(&mut table, |run| !run.fresh, true, shape);
                return table;
            }
            pane.absorb_runs(&mut table, |_| true, false, shape);
            table
        });
        let fired = Fired { revision: pane.revision, rows: std::mem::take(&mut pane.open_rows), table };
        pane.fired = true;
        pane.revision += i64::from(fired.table.is_some());
        pane.runs.iter_mut().for_each(|run| run.fresh = false);
        if due.dropped {
            self.groups -= pane.keys.len();
            self.panes.remove(&due.start);
        }
        fired
    }

    /// Takes a partial result of a pane as a run.
    pub(crate) fn add_partial(&mut self, start: i64, partial: Table, keys: &Keys, shape: &Shape) {
        let pane = self.panes.get_mut(&start).expect("a pane that rows were folded into is there");
        pane.push_partial(Some(partial), keys, shape);
    }

    /// Merges the runs of every pane that has more than `runs_max`.
    pub(crate) fn compact(&mut self, runs_max: usize, keys: &Keys, shape: &Shape) {
        for pane in self.panes.values_mut().filter(|pane| pane.runs.len() > runs_max) {
            for fresh in [false, true] {
                let (merged, kept): (Vec<_>, Vec<_>) = pane.runs.drain(..).partition(|run| run.fresh == fresh);
                pane.runs = merged;
                if pane.runs.len() > 1 {
                    let mut table = Table::default();
                    pane.absorb_runs(&mut table, |_| true, false, shape);
                    let (batch, keys) = table.seal(keys, shape);
                    pane.runs = vec![LiveRun { id: None, batch, keys, fresh }];
                }
                pane.runs.extend(kept);
            }
        }
    }

    /// Every run, with an id.
    pub(crate) fn runs(&mut self, node: usize, next_run: &mut u64) -> Vec<Run> {
        let mut runs = Vec::new();
        for (&start, pane) in &mut self.panes {
            for run in &mut pane.runs {
                let id = *run.id.get_or_insert_with(|| {
                    *next_run += 1;
                    run_id(*next_run, node, start, &run.batch)
                });
                runs.push(Run { id, node, pane: EventTime::from_micros(start), batch: run.batch.clone() });
            }
        }
        runs
    }

    pub(crate) fn meta(&self) -> Vec<PaneMeta> {
        let panes = self.panes.iter().map(|(&start, pane)| PaneMeta {
            start,
            fired: pane.fired,
            revision: pane.revision,
            open_rows: pane.open_rows,
            runs: pane.runs.iter().map(|run| (run.id.expect("runs were named before"), run.fresh)).collect(),
        });
        panes.collect()
    }

    /// Takes a pane over from a snapshot.
    ///
    /// # Errors
    /// What is damaged.
    pub(crate) fn restore(
        &mut self,
        meta: PaneMeta,
        runs: &[Run],
        keys: &mut Keys,
        shape: &Shape,
    ) -> Result<(), String> {
        let (fired, revision, open_rows) = (meta.fired, meta.revision, meta.open_rows);
        let mut pane = Pane { fired, revision, open_rows, ..Pane::default() };
        for (id, fresh) in meta.runs {
            let run = runs.iter().find(|run| run.id == id).ok_or_else(|| format!("the run {id} is missing"))?;
            let columns = key_columns(&run.batch, shape.keys);
            let mut ids = Vec::new();
            if columns.len() == shape.keys {
                keys.intern(columns, run.batch.num_rows(), &mut ids)?;
            } else {
                return Err(format!("the run {id} has {} columns", run.batch.num_columns()));
            }
            Table::default()
                .absorb(&run.batch, &ids, false, shape)
                .map_err(|problem| format!("the run {id}: {problem}"))?;
            ids.iter().for_each(|key| {
                pane.keys.group(*key);
            });
            pane.runs.push(LiveRun { id: Some(id), batch: run.batch.clone(), keys: ids, fresh });
        }
        self.groups += pane.keys.len();
        self.panes.insert(meta.start, pane);
        Ok(())
    }

    /// The keys that any pane holds, ascending.
    pub(crate) fn live_keys(&self) -> Vec<KeyId> {
        let keys: BTreeSet<KeyId> = self.panes.values().flat_map(|pane| pane.keys.keys()).copied().collect();
        keys.into_iter().collect()
    }

    pub(crate) fn renumber(&mut self, ids: &[KeyId]) {
        for pane in self.panes.values_mut() {
            pane.keys.renumber(ids);
            let keys = pane.runs.iter_mut().flat_map(|run| &mut run.keys);
            keys.for_each(|key| *key = ids[*key as usize]);
        }
    }

    pub(crate) fn open_rows(&self) -> u64 {
        self.panes.values().map(|pane| pane.open_rows).sum()
    }

    pub(crate) fn size(&self) -> usize {
        let pane = |pane: &Pane| {
            let runs = pane.runs.iter().map(|run| run.batch.get_array_memory_size() + run.keys.capacity() * 4);
            pane.keys.size() + runs.sum::<usize>()
        };
        self.panes.values().map(pane).sum()
    }
}

impl Pane {
    fn due(&self, start: i64, end: i64, lateness: i64, reached: i64) -> Due {
        let pane = if self.fired { "late" } else { "on_time" };
        Due { start, pane, dropped: end.saturating_add(lateness) <= reached }
    }

    fn push_partial(&mut self, partial: Option<Table>, keys: &Keys, shape: &Shape) {
        if let Some(partial) = partial {
            let (batch, keys) = partial.seal(keys, shape);
            self.runs.push(LiveRun { id: None, batch, keys, fresh: true });
        }
    }

    /// Everything, or all of the groups that fresh runs have touched.
    fn merge_runs(&self, mut table: Table, whole: bool, shape: &Shape) -> Table {
        self.absorb_runs(&mut table, |run| whole || run.fresh, false, shape);
        self.absorb_runs(&mut table, |run| !whole && !run.fresh, true, shape);
        table
    }

    fn absorb_runs(&self, table: &mut Table, which: impl Fn(&LiveRun) -> bool, only_known: bool, shape: &Shape) {
        for run in self.runs.iter().filter(|run| which(run)) {
            let absorbed = table.absorb(&run.batch, &run.keys, only_known, shape);
            absorbed.expect("the run was made by this node, or checked when it was restored");
        }
    }
}
