//! The second half of a window: partial results go in, windows fire. Knows panes, runs and revisions, and no rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use weir_model::{EventTime, SeamError};

use super::assigned::Assigned;
use super::fold::Fold;
use super::pane::{LiveRun, Pane, PaneMeta, release};
use super::shape::Shape;
use super::spans::{PaneId, Spans};
use super::table::Table;
use super::tiers::{Parts, Tiers};
use crate::keys::{KeyId, Keys};
use crate::plan::EmitMode;
use crate::run::RunStore;
use crate::snapshot::run_id;
use crate::{Holding, Run};

/// The panes of a window node, and what is known of windows that have spoken.
#[derive(Debug)]
pub(crate) struct Merge {
    spans: Spans,
    lateness: i64,
    /// Whether an emission contains only what came since the window's last one.
    discards: bool,
    panes: BTreeMap<PaneId, Pane>,
    /// The panes with rows that no results contain yet, and how many rows these are together.
    open: BTreeSet<PaneId>,
    open_rows: u64,
    /// By where they begin; a window that has not emitted is not here.
    windows: BTreeMap<i64, Spoken>,
    /// Where windows have more than one pane.
    tiers: Option<Tiers>,
    /// Of all panes together; at most so many while some are cold.
    groups: usize,
    /// The panes that have cold runs, and how many groups these hold.
    cold: BTreeMap<PaneId, usize>,
    /// How many groups all of these hold.
    cold_groups: usize,
    /// Counts snapshots.
    sealed: u64,
    /// Why a run could not be read that should be somewhere.
    lost: Option<SeamError>,
    /// Counts emissions: what came after the n-th is marked n.
    clock: u64,
    /// Whether rows came for windows that event time has passed, since the last time that late changes were told.
    touched: bool,
}

/// A window that has emitted something.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Spoken {
    start: i64,
    /// The clock after its last emission.
    at: u64,
    /// The revision of its next results.
    revision: i64,
    /// Whether more than early results were emitted.
    fired: bool,
}

/// What a snapshot keeps of panes and windows besides their runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct MergeMeta {
    clock: u64,
    touched: bool,
    panes: Vec<PaneMeta>,
    windows: Vec<Spoken>,
}

/// A window that is to emit results.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Due {
    pub(crate) start: i64,
    /// `early`, `on_time` or `late`.
    pub(crate) pane: &'static str,
    /// Whether the window is dropped afterwards.
    dropped: bool,
}

/// What a window has come to.
pub(crate) struct Fired {
    /// The groups to emit.
    pub(crate) table: Table,
    pub(crate) revision: i64,
    /// The rows that are in results now and were not before.
    pub(crate) rows: u64,
}

impl Merge {
    pub(crate) fn new(spans: Spans, lateness: i64, mode: EmitMode) -> Self {
        Self {
            lateness,
            discards: mode == EmitMode::Discarding,
            panes: BTreeMap::new(),
            open: BTreeSet::new(),
            open_rows: 0,
            windows: BTreeMap::new(),
            tiers: spans.sliding().map(Tiers::new),
            groups: 0,
            cold: BTreeMap::new(),
            cold_groups: 0,
            sealed: 0,
            lost: None,
            clock: 0,
            touched: false,
            spans,
        }
    }

    /// How many groups all panes hold together; at most so many while some of them are cold.
    pub(crate) fn groups(&self) -> usize {
        self.groups
    }

    /// The same of what is warm.
    pub(crate) fn warm_groups(&self) -> usize {
        self.groups - self.cold_groups
    }

    /// Makes every pane warm, so that what is said of groups is exact.
    pub(crate) fn warm_all(&mut self, keys: &mut Keys, shape: &Shape) {
        let cold: Vec<PaneId> = self.cold.keys().copied().collect();
        cold.into_iter().for_each(|id| self.warm(id, keys, shape));
    }

    /// Makes the panes warm that a window takes from.
    pub(crate) fn warm_window(&mut self, start: i64, keys: &mut Keys, shape: &Shape) {
        let range = PaneId { start, from: i64::MIN }..PaneId { start: self.spans.end(start), from: i64::MIN };
        let cold: Vec<PaneId> = self.cold.range(range).map(|(id, _)| *id).collect();
        cold.into_iter().for_each(|id| self.warm(id, keys, shape));
    }

    fn warm(&mut self, id: PaneId, keys: &mut Keys, shape: &Shape) {
        self.cold_groups -= self.cold.remove(&id).unwrap_or(0);
        let Some(pane) = self.panes.get_mut(&id) else { return };
        let before = pane.groups();
        if let Err(lost) = pane.warm(keys, shape) {
            pane.runs.clear();
            self.lost.get_or_insert(lost);
        }
        pane.used = self.sealed;
        self.groups = self.groups + pane.groups() - before;
    }

    /// Why what is held is not what was, and nothing that follows is right.
    pub(crate) fn lost(&mut self) -> Option<SeamError> {
        self.lost.take()
    }

    /// Lets go of what `store` has until about `wanted` bytes are free, after a snapshot and before any row. Returns about
    /// how many are.
    pub(crate) fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        let blocks = self.tiers.as_ref().map_or(0, Tiers::size);
        self.tiers.iter_mut().for_each(Tiers::forget_all);
        let freed = blocks + release(&mut self.panes, wanted.saturating_sub(blocks), store);
        let cold = self.panes.iter().map(|(id, pane)| (*id, pane.cold_groups()));
        self.cold = cold.filter(|(_, groups)| *groups > 0).collect();
        self.cold_groups = self.cold.values().sum();
        self.groups = self.panes.values().map(Pane::groups).sum();
        freed
    }

    /// Whether groups are let go before their window is dropped.
    pub(crate) fn frees_groups(&self) -> bool {
        self.discards && self.tiers.is_none()
    }

    /// Notes that rows were folded into a pane, with the keys that its table did not hold.
    pub(crate) fn note(&mut self, id: PaneId, rows: usize, new_keys: &[KeyId], reached: i64) {
        let pane = self.panes.entry(id).or_default();
        pane.open_rows += rows as u64;
        self.open_rows += rows as u64;
        pane.changed = self.clock;
        pane.used = self.sealed;
        self.open.insert(id);
        let before = pane.groups();
        pane.add_keys(new_keys);
        self.groups += pane.groups() - before;
        self.touched |= self.spans.end(self.spans.oldest(id.start)) <= reached;
        self.tiers.iter_mut().for_each(|tiers| tiers.forget(id.start));
    }

    /// What is held, for people: groups, panes, and the first window after `reached` that has something to say.
    pub(crate) fn holding(&self, reached: i64) -> Holding {
        let (mut from, mut next_window) = (self.spans.first_ending_after(reached), None);
        while let Some(start) = self.next_window(from) {
            if self.has_news(start) {
                next_window = Some((EventTime::from_micros(start), EventTime::from_micros(self.spans.end(start))));
                break;
            }
            from = self.spans.next(start);
        }
        Holding { groups: self.groups as u64, panes: self.panes.len() as u64, next_window }
    }

    /// The rows, in order, that would make more than `limit` groups. Every pane is warm.
    pub(crate) fn over_limit(&self, assigned: &Assigned, ids: &[KeyId], limit: usize) -> Vec<u32> {
        let panes = assigned.panes.iter();
        let mut rows: Vec<(u32, PaneId)> =
            panes.flat_map(|(pane, rows)| rows.iter().map(|row| (*row, *pane))).collect();
        rows.sort_unstable();
        let mut added: BTreeSet<(PaneId, KeyId)> = BTreeSet::new();
        let mut over = Vec::new();
        for (row, pane) in rows {
            let key = ids[row as usize];
            let known = self.panes.get(&pane).is_some_and(|pane| pane.knows(key));
            if known || added.contains(&(pane, key)) {
                continue;
            }
            if self.groups + added.len() < limit {
                added.insert((pane, key));
            } else {
                over.push(row);
            }
        }
        over
    }

    /// The windows that have something to emit when the watermark goes from `before` to `reached`, in their order.
    /// `speaks` says whether those that late rows have changed emit.
    pub(crate) fn due(&mut self, (before, reached): (i64, i64), speaks: bool) -> Vec<Due> {
        let speaks = speaks && std::mem::take(&mut self.touched);
        let wanted = |merge: &Self, end: i64| end > before || speaks || merge.is_gone(end, reached);
        let mut due = Vec::new();
        let mut from = self.first_alive(before);
        while let Some(start) = self.next_window(from) {
            let end = self.spans.end(start);
            if end > reached {
                break;
            }
            from = self.spans.next(start);
            if !wanted(self, end) {
                // Nor are those after it that event time had passed before.
                from = from.max(self.spans.first_ending_after(before));
            } else if self.has_news(start) || self.is_only_early(start) {
                due.push(self.due_at(start, before, reached));
            }
        }
        due
    }

    /// The windows that event time has passed and that take rows of the pane, in their order.
    pub(crate) fn passed(&self, id: PaneId, reached: i64) -> Vec<Due> {
        let mut passed = Vec::new();
        let mut start = self.spans.oldest(id.start).max(id.from).max(self.first_alive(reached));
        while start <= id.start && self.spans.end(start) <= reached {
            passed.push(self.due_at(start, reached, reached));
            start = self.spans.next(start);
        }
        passed
    }

    /// Notes that what late rows have changed was told.
    pub(crate) fn told(&mut self) {
        self.touched = false;
    }

    /// The windows that event time has not passed and that have something to emit, in their order.
    pub(crate) fn due_early(&self, reached: i64) -> Vec<Due> {
        let mut due = Vec::new();
        let mut from = self.spans.first_ending_after(reached);
        while let Some(start) = self.next_window(from) {
            from = self.spans.next(start);
            if self.has_news(start) {
                // One that has fired already, at an end, speaks again when event time passes it.
                let fired = self.windows.get(&start).is_some_and(|window| window.fired);
                due.extend((!fired).then_some(Due { start, pane: "early", dropped: false }));
            }
        }
        due
    }

    /// The windows that have something to emit when nothing more is to be expected, in their order.
    pub(crate) fn due_at_end(&mut self, before: i64, reached: i64) -> Vec<Due> {
        self.touched = false;
        let mut due = Vec::new();
        let mut from = self.first_alive(before);
        while let Some(start) = self.next_window(from) {
            from = self.spans.next(start);
            if self.has_news(start) || self.is_only_early(start) {
                due.push(self.due_at(start, before, reached));
            }
        }
        due
    }

    fn due_at(&self, start: i64, before: i64, reached: i64) -> Due {
        let end = self.spans.end(start);
        let late = end <= before || self.windows.get(&start).is_some_and(|window| window.fired);
        Due { start, pane: if late { "late" } else { "on_time" }, dropped: self.is_gone(end, reached) }
    }

    /// Where the first window begins that is not gone at the watermark `reached`.
    fn first_alive(&self, reached: i64) -> i64 {
        self.spans.first_ending_after(reached.saturating_sub(self.lateness))
    }

    /// Whether a window that ends at `end` takes no more rows.
    fn is_gone(&self, end: i64, reached: i64) -> bool {
        end.saturating_add(self.lateness) <= reached
    }

    /// Where the first window begins that does so at or after `from` and takes from any pane.
    fn next_window(&self, from: i64) -> Option<i64> {
        // Panes that end before `from` are of no interest; a pane that begins before it may be of windows that do not.
        let panes = self.panes.range(PaneId { start: self.spans.pane_of(from).0, from: i64::MIN }..);
        let mut best: Option<i64> = None;
        for (id, _) in panes {
            let least = self.spans.oldest(id.start).max(from);
            let first = least.max(id.from);
            if first <= self.spans.newest(id.start) {
                best = Some(best.map_or(first, |best| best.min(first)));
            }
            if best.is_some_and(|best| best <= least) {
                break;
            }
        }
        best
    }

    /// The panes that a window takes from.
    fn panes_of(&self, start: i64) -> impl Iterator<Item = (PaneId, &Pane)> {
        let range = PaneId { start, from: i64::MIN }..PaneId { start: self.spans.end(start), from: i64::MIN };
        self.panes.range(range).filter(move |(id, _)| id.from <= start).map(|(id, pane)| (*id, pane))
    }

    /// Whether a window has rows that its own results do not contain yet.
    fn has_news(&self, start: i64) -> bool {
        let at = self.windows.get(&start).map_or(0, |window| window.at);
        self.panes_of(start).any(|(_, pane)| pane.changed >= at)
    }

    /// Whether a window has emitted early results and no others, and says all of it again.
    fn is_only_early(&self, start: i64) -> bool {
        !self.discards && self.windows.get(&start).is_some_and(|window| !window.fired)
    }

    /// Merges what there is of a window: everything the first time, afterwards the groups that have changed, or of these
    /// only what came since. The window's panes are warm.
    pub(crate) fn fire(&mut self, due: Due, fold: &mut Fold, keys: &Keys, shape: &Shape) -> Fired {
        let before = self.windows.get(&due.start).copied();
        // What was only said early is said again as a whole.
        let spoken = before.filter(|window| self.discards || window.fired || due.pane == "early");
        let range =
            PaneId { start: due.start, from: i64::MIN }..PaneId { start: self.spans.end(due.start), from: i64::MIN };
        let open: Vec<PaneId> = self.open.range(range).filter(|id| id.from <= due.start).copied().collect();
        let consumed = self.frees_groups() || (due.dropped && self.tiers.is_none());
        let table = if consumed {
            // What is said now is not said again: what was folded lately need not become a run.
            self.consume(PaneId { start: due.start, from: PaneId::ALL }, spoken, fold, shape)
        } else {
            for id in &open {
                if let Some(partial) = fold.take(*id) {
                    self.add_partial(*id, partial, keys, shape);
                }
            }
            self.gather(due.start, spoken, keys, shape)
        };
        let mut rows = 0;
        for id in open {
            self.open.remove(&id);
            rows += self.panes.get_mut(&id).map_or(0, |pane| std::mem::take(&mut pane.open_rows));
        }
        self.open_rows -= rows;
        if consumed {
            let gone = self.panes.remove(&PaneId { start: due.start, from: PaneId::ALL });
            self.groups -= gone.map_or(0, |pane| pane.groups());
        }
        let revision = before.map_or(0, |window| window.revision);
        self.clock += 1;
        let fired = due.pane != "early";
        let spoken = Spoken { start: due.start, at: self.clock, revision: revision + 1, fired };
        self.windows.insert(due.start, spoken);
        Fired { table, revision, rows }
    }

    /// All that is left to say of a window of one pane.
    fn consume(&self, id: PaneId, spoken: Option<Spoken>, fold: &mut Fold, shape: &Shape) -> Table {
        let mut table = fold.take(id).unwrap_or_default();
        let at = spoken.map_or(0, |window| window.at);
        // What was folded lately, and all of its groups' past.
        let (fresh, old): (Vec<_>, Vec<_>) = self.panes[&id].runs.iter().partition(|run| run.since >= at);
        fresh.into_iter().for_each(|run| run.absorb_into(&mut table, false, shape));
        if !self.discards {
            old.into_iter().for_each(|run| run.absorb_into(&mut table, true, shape));
        }
        table
    }

    fn gather(&mut self, start: i64, spoken: Option<Spoken>, keys: &Keys, shape: &Shape) -> Table {
        let mut table = Table::default();
        if let Some(window) = spoken.filter(|_| self.discards) {
            let runs = self.panes_of(start).flat_map(|(_, pane)| &pane.runs).filter(|run| run.since >= window.at);
            runs.for_each(|run| run.absorb_into(&mut table, false, shape));
            return table;
        }
        if let Some(window) = spoken {
            let runs = self.panes_of(start).flat_map(|(_, pane)| &pane.runs).filter(|run| run.since >= window.at);
            for key in runs.flat_map(|run| &run.keys) {
                table.groups.group(*key);
            }
        }
        let parts = Parts { window: start, panes: &self.panes, keys, shape };
        match &mut self.tiers {
            Some(tiers) => tiers.gather(parts, &mut table, spoken.is_some()),
            None => parts.absorb_pane(start, &mut table, spoken.is_some()),
        }
        table
    }

    /// Drops the windows that take no more rows, and the panes that no other window needs.
    pub(crate) fn drop_gone(&mut self, reached: i64) {
        let alive = self.first_alive(reached);
        self.windows = self.windows.split_off(&alive);
        while let Some(entry) = self.panes.first_entry() {
            if self.spans.newest(entry.key().start) >= alive {
                break;
            }
            self.cold_groups -= self.cold.remove(entry.key()).unwrap_or(0);
            self.groups -= entry.remove().groups();
        }
        self.tiers.iter_mut().for_each(|tiers| tiers.drop_before(alive));
    }

    /// Takes a partial result of a pane as a run.
    pub(crate) fn add_partial(&mut self, id: PaneId, partial: Table, keys: &Keys, shape: &Shape) {
        let pane = self.panes.get_mut(&id).expect("a pane that rows were folded into is there");
        let (batch, keys) = partial.seal(keys, shape);
        pane.runs.push(LiveRun::new(batch, keys, self.clock));
    }

    /// Merges the runs of every pane that has more than `runs_max`, except that what some window has shown and what it
    /// has not stay apart.
    pub(crate) fn compact(&mut self, runs_max: usize, keys: &mut Keys, shape: &Shape) {
        let many = self.cold.keys().filter(|id| self.panes[*id].runs.len() > runs_max);
        let many: Vec<PaneId> = many.copied().collect();
        many.into_iter().for_each(|id| self.warm(id, keys, shape));
        for (id, pane) in self.panes.iter_mut().filter(|(_, pane)| pane.runs.len() > runs_max) {
            let windows = self.windows.range(self.spans.oldest(id.start)..=self.spans.newest(id.start));
            let mut shown: Vec<u64> = windows.map(|(_, window)| window.at).collect();
            shown.sort_unstable();
            let mut classes: BTreeMap<usize, Vec<LiveRun>> = BTreeMap::new();
            for run in pane.runs.drain(..) {
                classes.entry(shown.partition_point(|at| *at <= run.since)).or_default().push(run);
            }
            for runs in classes.into_values() {
                if runs.len() == 1 {
                    pane.runs.extend(runs);
                    continue;
                }
                let mut table = Table::default();
                runs.iter().for_each(|run| run.absorb_into(&mut table, false, shape));
                let since = runs.iter().map(|run| run.since).max().expect("a class has runs");
                let (batch, keys) = table.seal(keys, shape);
                pane.runs.push(LiveRun::new(batch, keys, since));
            }
        }
    }

    /// Every run, with an id.
    pub(crate) fn runs(&mut self, node: usize, next_run: &mut u64) -> Vec<Run> {
        self.sealed += 1;
        let mut runs = Vec::new();
        for (pane, run) in self.panes.iter_mut().flat_map(|(pane, own)| own.runs.iter_mut().map(move |run| (pane, run)))
        {
            let id = *run.id.get_or_insert_with(|| {
                *next_run += 1;
                run_id(*next_run, node, pane.start, run.rows.held())
            });
            runs.push(Run { id, node, pane: EventTime::from_micros(pane.start), rows: run.rows.clone() });
        }
        runs
    }

    pub(crate) fn meta(&self) -> MergeMeta {
        let panes = self.panes.iter().map(|(id, pane)| pane.meta(*id));
        let windows = self.windows.values().copied().collect();
        MergeMeta { clock: self.clock, touched: self.touched, panes: panes.collect(), windows }
    }

    /// Takes over what a snapshot holds.
    ///
    /// # Errors
    /// What is damaged.
    pub(crate) fn restore(
        &mut self,
        meta: MergeMeta,
        runs: &[Run],
        keys: &mut Keys,
        shape: &Shape,
    ) -> Result<(), String> {
        (self.clock, self.touched) = (meta.clock, meta.touched);
        self.windows = meta.windows.into_iter().map(|window| (window.start, window)).collect();
        let runs: BTreeMap<u64, &Run> = runs.iter().map(|run| (run.id, run)).collect();
        for meta in meta.panes {
            let pane = Pane::restored(&meta, &runs, keys, shape)?;
            self.groups += pane.groups();
            if pane.open_rows > 0 {
                self.open.insert(meta.pane);
                self.open_rows += pane.open_rows;
            }
            if pane.cold_groups() > 0 {
                self.cold.insert(meta.pane, pane.cold_groups());
                self.cold_groups += pane.cold_groups();
            }
            self.panes.insert(meta.pane, pane);
        }
        Ok(())
    }

    /// The keys that any pane holds, ascending; but for those that are in cold runs alone, which have no number.
    pub(crate) fn live_keys(&self) -> Vec<KeyId> {
        let keys: BTreeSet<KeyId> = self.panes.values().flat_map(|pane| pane.keys()).copied().collect();
        keys.into_iter().collect()
    }

    pub(crate) fn renumber(&mut self, ids: &[KeyId]) {
        self.panes.values_mut().for_each(|pane| pane.renumber(ids));
        self.tiers.iter_mut().for_each(Tiers::forget_all);
    }

    pub(crate) fn open_rows(&self) -> u64 {
        self.open_rows
    }

    pub(crate) fn size(&self) -> usize {
        self.panes.values().map(Pane::size).sum::<usize>() + self.tiers.as_ref().map_or(0, Tiers::size)
    }
}
