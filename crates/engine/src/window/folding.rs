//! The half of a window node that sits where partitions are read: rows go in, and the groups of panes are sent to whoever
//! owns their keys. Holds no window open, and knows nothing of other partitions.
//!
//! Which rows are late for which window is decided here, by the partition's own watermark. What is folded together is what
//! nobody can tell apart: where a row comes for a window that the partition has passed already (it is late, and the window
//! takes it), the groups before it are cut off, so that their owner can say what the window had come to without it.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, UInt32Array};
use arrow::compute::concat_batches;
use arrow::datatypes::Schema;
use serde_json::value::{RawValue, to_raw_value};
use weir_model::Compiler;

use super::assigned::Assigned;
use super::fold::Fold;
use super::late::LateNames;
use super::shape::Shape;
use super::spans::{PaneId, Spans};
use super::table::{Added, batch};
use super::triggers::Triggers;
use crate::compiled::Trouble;
use crate::halves::{Body, Groups, Sent};
use crate::keys::{KeyId, Keys, key_columns, key_hashes};
use crate::operator::{News, Operator, Outcome, Ship};
use crate::plan::{Plan, WindowPlan};
use crate::progress::UNKNOWN;
use crate::rows::Rows;
use crate::{Effect, Run};

/// Keys that are remembered when nothing waits to be sent.
const KEYS_MAX: usize = 65_536;
/// The columns before the keys and the states.
pub(crate) const PLACE_COLUMNS: [&str; 3] = ["pane", "from", "rows"];

/// The first half of a window node.
#[derive(Debug)]
pub(crate) struct Folding {
    node: usize,
    spans: Spans,
    lateness: i64,
    triggers: Triggers,
    shape: Shape,
    keys: Keys,
    late: LateNames,
    fold: Fold,
    /// Of each group of each pane how many rows are in it.
    counts: BTreeMap<PaneId, Vec<i64>>,
    /// The watermark before the first row that is in `fold`.
    since: Option<i64>,
    /// Whether the watermark has passed something since then that windows may say something at.
    crossed: bool,
    cut: Vec<Sent>,
    /// Rows before which the watermark was not here yet are sent as they are.
    from: i64,
    ship: Ship,
    assigned: Assigned,
    ids: Vec<KeyId>,
}

impl Folding {
    pub(crate) fn new(
        plan: &WindowPlan,
        spans: Spans,
        pipeline: &Plan,
        node: usize,
        compiler: Arc<dyn Compiler>,
    ) -> Self {
        Self {
            node,
            lateness: plan.lateness.micros(),
            triggers: Triggers::new(plan.emit, spans.size()),
            shape: Shape::new(plan, compiler.clone()),
            keys: Keys::new(plan.by.len()),
            late: LateNames::new(&pipeline.pipeline),
            fold: Fold::default(),
            counts: BTreeMap::new(),
            since: None,
            crossed: false,
            cut: Vec::new(),
            from: i64::MAX,
            ship: Ship::new(vec![plan.by.clone()], &compiler),
            assigned: Assigned::default(),
            ids: Vec::new(),
            spans,
        }
    }

    /// The rows that may be folded, and those that are sent as they are; none of either if there is no such row.
    fn part(&self, rows: &Rows, marks: &[i64]) -> (Option<Rows>, Option<Rows>) {
        match marks.iter().filter(|mark| **mark >= self.from).count() {
            0 => (None, Some(rows.clone())),
            all if all == rows.len() => (Some(rows.clone()), None),
            _ => {
                let folds: BooleanArray = marks.iter().map(|mark| Some(*mark >= self.from)).collect();
                let ships: BooleanArray = folds.iter().map(|folds| folds.map(|folds| !folds)).collect();
                (Some(rows.filter(&folds)), Some(rows.filter(&ships)))
            }
        }
    }

    /// Folds rows into their panes. Their keys are in `ids`.
    fn fold(&mut self, rows: &Rows, inputs: &[ArrayRef], effects: &mut Vec<Effect>) -> Outcome {
        let (times, marks) = rows.timing().expect("rows without a time were refused");
        // What event time over all partitions has come to is for the owners to know; here it has not begun.
        self.assigned.assign(&self.spans, times, marks, (UNKNOWN, self.lateness));
        let assigned = std::mem::take(&mut self.assigned);
        let passed = |(pane, rows): &(PaneId, Vec<u32>)| {
            let oldest = self.spans.oldest(pane.start).max(pane.from);
            rows.last().is_some_and(|row| self.spans.end(oldest) <= marks[*row as usize])
        };
        if self.crossed && assigned.panes.iter().any(passed) {
            self.cut_off();
        }
        let first = marks.iter().copied().min().unwrap_or(UNKNOWN);
        self.since.get_or_insert(first);
        let panes = assigned.panes.iter().map(|(pane, rows)| (*pane, rows.as_slice()));
        let counts = &mut self.counts;
        let count = |pane, added: Added<'_>| added.count(counts.entry(pane).or_default());
        self.fold.add(panes, &self.ids, inputs, &self.shape, count);
        if !assigned.late.is_empty() {
            let late = rows.take(&UInt32Array::from(assigned.late.clone()));
            effects.push(Effect::Late { node: self.node, rows: self.late.rows(&late, &self.spans, UNKNOWN) });
        }
        let late = assigned.late.len() as u64;
        self.assigned = assigned;
        Outcome { late, ..Outcome::default() }
    }

    /// What was folded so far stays apart from what comes.
    fn cut_off(&mut self) {
        self.crossed = false;
        let Some(mark) = self.since.take() else { return };
        let mut counts = std::mem::take(&mut self.counts);
        let mut batches = Vec::new();
        for (pane, table) in self.fold.drain() {
            let (groups, _) = table.seal(&self.keys, &self.shape);
            let rows = groups.num_rows();
            let place = [vec![pane.start; rows], vec![pane.from; rows], counts.remove(&pane).unwrap_or_default()];
            let place = place.into_iter().map(|values| Arc::new(Int64Array::from(values)) as ArrayRef);
            let names = groups.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
            let names = PLACE_COLUMNS.map(str::to_owned).into_iter().chain(names).collect();
            batches.push(batch(names, place.chain(groups.columns().iter().cloned()).collect(), rows));
        }
        let Some(first) = batches.first() else { return };
        let schema: Arc<Schema> = first.schema();
        let batch = concat_batches(&schema, &batches).expect("tables that are sealed at once have the same columns");
        let keys = key_columns(&batch, PLACE_COLUMNS.len() + self.shape.keys);
        let hashes = key_hashes(&keys[PLACE_COLUMNS.len()..], batch.num_rows()).expect("what was a key is a key");
        let groups = Groups { mark, kinds: self.shape.kinds_as_text(), batch };
        self.cut.push(Sent { port: 0, hashes, to_all: false, body: Body::Groups(groups) });
    }
}

impl Operator for Folding {
    fn take(&mut self, _port: usize, rows: &Rows, effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let (_, marks) = rows.timed("a window")?;
        let (folded, shipped) = self.part(rows, marks);
        let hashes = shipped.as_ref().map(|rows| self.ship.hashes(0, rows)).transpose()?;
        let mut outcome = Outcome::default();
        if let Some(folded) = folded {
            let (times, _) = folded.timed("a window")?;
            let inputs = self.shape.read(&folded, times, &mut self.keys, &mut self.ids)?;
            // From here on nothing fails.
            outcome = self.fold(&folded, &inputs, effects);
        }
        if let Some((rows, hashes)) = shipped.zip(hashes) {
            self.ship.add(0, rows, hashes);
        }
        Ok(outcome)
    }

    fn next_stop(&self, reached: i64) -> i64 {
        // Without lateness no row comes for a window that the partition has passed.
        if self.lateness == 0 {
            i64::MAX
        } else {
            super::next_stop(&self.spans, self.lateness, &self.triggers, reached)
        }
    }

    fn hear(&mut self, news: News) -> Outcome {
        match news {
            News::Reached(_) | News::End(_) => self.crossed = self.lateness > 0 && self.since.is_some(),
            News::Quiet | News::Tick(..) => {}
        }
        Outcome::default()
    }

    fn open_rows(&self) -> u64 {
        let cut = self.cut.iter().map(|sent| sent.body.rows()).sum::<u64>();
        let folded: i64 = self.counts.values().flatten().sum();
        cut + folded as u64 + self.ship.open_rows()
    }

    fn fold_from(&mut self, mark: i64) {
        self.from = mark;
    }

    fn unsent(&self) -> usize {
        self.fold.groups() + self.cut.iter().map(|sent| sent.hashes.len()).sum::<usize>() + self.ship.unsent()
    }

    fn send(&mut self) -> Vec<Sent> {
        self.cut_off();
        if self.keys.len() > KEYS_MAX {
            self.keys = Keys::new(self.shape.keys);
        }
        let mut sent = std::mem::take(&mut self.cut);
        sent.extend(self.ship.send());
        sent
    }

    fn meta(&self) -> Option<Box<RawValue>> {
        Some(to_raw_value(&self.shape.kinds_as_text()).expect("names are JSON"))
    }

    fn restore(&mut self, meta: &RawValue, _runs: &[Run]) -> Result<(), String> {
        let kinds: Vec<Option<String>> = serde_json::from_str(meta.get()).map_err(|error| error.to_string())?;
        self.shape.read_kinds(kinds)
    }

    fn state_bytes(&self) -> usize {
        self.keys.size() + self.fold.size() + self.ship.state_bytes()
    }
}
