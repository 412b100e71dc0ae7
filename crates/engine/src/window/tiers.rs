//! Merged panes of sliding windows: blocks of 4, 16, 64 ... neighbouring panes, each merged once and used by every window
//! that holds it whole, so that a window of n panes is put together from about 3 log4(n) parts. A cache: what is here is
//! also in the panes, is never in a snapshot, and is forgotten when one of its panes changes.

use std::collections::BTreeMap;

use arrow::array::RecordBatch;

use super::pane::Pane;
use super::shape::Shape;
use super::spans::{Fixed, PaneId};
use super::table::Table;
use crate::keys::{KeyId, Keys};

/// How many blocks of one level make one of the next.
const FAN: i64 = 4;

#[derive(Debug)]
pub(crate) struct Tiers {
    spans: Fixed,
    /// `levels[n]` holds blocks of FAN^(n + 1) panes by where they begin. None where no two windows would share them.
    levels: Vec<BTreeMap<i64, Block>>,
}

#[derive(Debug)]
struct Block {
    batch: RecordBatch,
    keys: Vec<KeyId>,
    /// The first window that takes all of it.
    from: i64,
}

/// What a window is put together from.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    /// Where the window begins.
    pub(crate) window: i64,
    pub(crate) panes: &'a BTreeMap<PaneId, Pane>,
    pub(crate) keys: &'a Keys,
    pub(crate) shape: &'a Shape,
}

impl Tiers {
    pub(crate) fn new(spans: Fixed) -> Self {
        let mut levels = Vec::new();
        let mut panes = FAN;
        while panes * 2 <= spans.panes() {
            levels.push(BTreeMap::new());
            panes *= FAN;
        }
        Self { spans, levels }
    }

    /// Merges all that a window takes into `table`; with `only_known`, only groups that it has already.
    pub(crate) fn gather(&mut self, parts: Parts<'_>, table: &mut Table, only_known: bool) {
        let (mut at, end) = (parts.window, self.spans.end(parts.window));
        // From pane to pane that there is, in the largest steps that are possible.
        while let Some(pane) = parts.next_pane(at).filter(|pane| *pane < end) {
            at = pane;
            let fits = |level: &usize| {
                let width = self.width(*level);
                self.spans.aligned(at, width) == at && at.saturating_add(width) <= end
            };
            let levels: Vec<usize> = (0..self.levels.len()).rev().filter(fits).collect();
            match levels.into_iter().find(|level| self.build(*level, at, parts)) {
                Some(level) => {
                    self.levels[level][&at].absorb_into(table, only_known, parts.shape);
                    at = at.saturating_add(self.width(level));
                }
                None => {
                    parts.absorb_pane(at, table, only_known);
                    at = at.saturating_add(self.spans.pane());
                }
            }
        }
    }

    /// Makes a block unless it is there. Returns whether the window takes all of it.
    fn build(&mut self, level: usize, start: i64, parts: Parts<'_>) -> bool {
        if let Some(block) = self.levels[level].get(&start) {
            return block.from <= parts.window;
        }
        let from = parts.from(start, start.saturating_add(self.width(level)));
        if from > parts.window {
            return false;
        }
        let mut table = Table::default();
        match level.checked_sub(1) {
            None => {
                let starts = (0..FAN).map(|child| start.saturating_add(child * self.spans.pane()));
                starts.for_each(|at| parts.absorb_pane(at, &mut table, false));
            }
            Some(below) => {
                let width = self.width(below);
                for at in (0..FAN).map(|child| start.saturating_add(child * width)) {
                    self.build(below, at, parts);
                    self.levels[below][&at].absorb_into(&mut table, false, parts.shape);
                }
            }
        }
        let (batch, keys) = table.seal(parts.keys, parts.shape);
        self.levels[level].insert(start, Block { batch, keys, from });
        true
    }

    /// How long a block is.
    fn width(&self, level: usize) -> i64 {
        self.spans.pane() * FAN.pow(level as u32 + 1)
    }

    /// Forgets what was merged of the pane at `start`.
    pub(crate) fn forget(&mut self, start: i64) {
        for level in 0..self.levels.len() {
            let block = self.spans.aligned(start, self.width(level));
            self.levels[level].remove(&block);
        }
    }

    pub(crate) fn forget_all(&mut self) {
        self.levels.iter_mut().for_each(BTreeMap::clear);
    }

    /// Forgets what no window from the one at `alive` on takes whole.
    pub(crate) fn drop_before(&mut self, alive: i64) {
        for level in &mut self.levels {
            *level = level.split_off(&alive);
        }
    }

    pub(crate) fn size(&self) -> usize {
        let blocks = self.levels.iter().flat_map(BTreeMap::values);
        blocks.map(|block| block.batch.get_array_memory_size() + block.keys.capacity() * 4).sum()
    }
}

impl Block {
    fn absorb_into(&self, table: &mut Table, only_known: bool, shape: &Shape) {
        let absorbed = table.absorb(&self.batch, &self.keys, only_known, shape);
        absorbed.expect("the block was made of this node's runs");
    }
}

impl Parts<'_> {
    /// Where the first pane begins that does so at or after `at`.
    fn next_pane(&self, at: i64) -> Option<i64> {
        self.panes.range(PaneId { start: at, from: i64::MIN }..).next().map(|(id, _)| id.start)
    }

    /// The first window that takes all of the panes from `start` to `end`.
    fn from(&self, start: i64, end: i64) -> i64 {
        let range = PaneId { start, from: i64::MIN }..PaneId { start: end, from: i64::MIN };
        self.panes.range(range).map(|(id, _)| id.from).max().unwrap_or(i64::MIN)
    }

    pub(crate) fn absorb_pane(&self, start: i64, table: &mut Table, only_known: bool) {
        let own = PaneId { start, from: i64::MIN }..=PaneId { start, from: self.window };
        let runs = self.panes.range(own).flat_map(|(_, pane)| &pane.runs);
        runs.for_each(|run| run.absorb_into(table, only_known, self.shape));
    }
}
