//! A window node: rows are folded into partial results per pane, and panes are merged into windows that fire.
//!
//! The two halves know nothing of each other, so that they can sit in different tasks: [`fold`] yields partials (keys
//! and states as columns), [`merge`] takes them. Here they sit side by side and share the numbering of keys.

mod accumulators;
mod assigned;
mod calendar;
mod fold;
mod folding;
mod global;
mod late;
mod merge;
mod pane;
mod receive;
mod results;
mod session;
mod shape;
mod spans;
mod states;
mod table;
mod tiers;
mod triggers;

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use weir_model::{Compiler, SeamError};

use crate::compiled::Trouble;
use crate::halves::Groups;
use crate::keys::{KeyId, Keys};
use crate::operator::{News, Operator, Outcome, Ship};
use crate::plan::{Limits, Plan, WindowKind, WindowPlan};
use crate::rows::{Rows, Timing};
use crate::{Effect, Holding, Run, RunStore};
use assigned::Assigned;
use fold::Fold;
use folding::Folding;
pub(crate) use folding::PLACE_COLUMNS;
use global::Global;
pub(crate) use late::LateNames;
use merge::{Merge, MergeMeta};
use results::Identity;
pub(crate) use results::RESULT_COLUMNS;
use session::Sessions;
use shape::Shape;
use spans::{Spanless, Spans};
use table::Added;
use triggers::{Stop, Triggers};

/// Keys are forgotten once more than this and twice as many as panes hold are known.
const FORGET_FROM: usize = 4096;

/// A window node.
#[derive(Debug)]
struct Window {
    /// The index of its node.
    node: usize,
    spans: Spans,
    lateness: i64,
    triggers: Triggers,
    limits: Limits,
    shape: Shape,
    keys: Keys,
    fold: Fold,
    merge: Merge,
    identity: Identity,
    late: LateNames,
    reached: i64,
    assigned: Assigned,
    ids: Vec<KeyId>,
}

/// What a snapshot keeps of a window node besides its runs.
#[derive(Debug, Serialize, Deserialize)]
struct WindowMeta {
    reached: i64,
    kinds: Vec<Option<String>>,
    merge: MergeMeta,
    #[serde(default)]
    rows_since: u64,
}

/// The first watermark after `reached` at which a window may have something to do.
fn next_stop(spans: &Spans, lateness: i64, triggers: &Triggers, reached: i64) -> i64 {
    if reached == crate::progress::UNKNOWN {
        return reached + 1;
    }
    let fires = spans.end_after(reached);
    if lateness == 0 {
        return fires;
    }
    let drops = spans.end_after(reached.saturating_sub(lateness)).saturating_add(lateness);
    fires.min(drops).min(triggers.next_late(reached))
}

/// Where the first window of this kind begins that may end after `passed`, when nothing is known of its rows.
pub(crate) fn first_open(kind: WindowKind, passed: i64) -> i64 {
    match Spans::new(kind) {
        Ok(spans) => spans.first_ending_after(passed),
        Err(Spanless::Global(_)) => i64::MIN,
        // One that nobody has seen yet begins with a row that is still on time.
        Err(Spanless::Session { .. }) => passed,
    }
}

/// What stands for the window `plan`, the pipeline's `node`, where partitions are read.
pub(crate) fn build_folding(
    plan: &WindowPlan,
    pipeline: &Plan,
    node: usize,
    compiler: &Arc<dyn Compiler>,
) -> Box<dyn Operator> {
    match Spans::new(plan.window) {
        Ok(spans) => Box::new(Folding::new(plan, spans, pipeline, node, compiler.clone())),
        // What belongs together is known only where all rows of a key are.
        Err(Spanless::Global(_) | Spanless::Session { .. }) => Box::new(Ship::new(vec![plan.by.clone()], compiler)),
    }
}

/// The operator of the window `plan`, the pipeline's `node`.
pub(crate) fn build(plan: &WindowPlan, pipeline: &Plan, node: usize, compiler: Arc<dyn Compiler>) -> Box<dyn Operator> {
    match Spans::new(plan.window) {
        Ok(spans) => Box::new(Window::new(plan, spans, pipeline, node, compiler)),
        Err(Spanless::Global(global)) => Box::new(Global::new((plan, global), pipeline, node, compiler)),
        Err(Spanless::Session { gap }) => Box::new(Sessions::new((plan, gap), pipeline, node, compiler)),
    }
}

impl Window {
    /// The window `plan` of the pipeline's `node`, over `spans`.
    fn new(plan: &WindowPlan, spans: Spans, pipeline: &Plan, node: usize, compiler: Arc<dyn Compiler>) -> Self {
        let name = (pipeline.pipeline.as_str(), pipeline.nodes[node].name.as_str());
        Self {
            node,
            lateness: plan.lateness.micros(),
            triggers: Triggers::new(plan.emit, spans.size()),
            limits: pipeline.limits,
            keys: Keys::new(plan.by.len()),
            fold: Fold::default(),
            merge: Merge::new(spans.clone(), plan.lateness.micros(), plan.emit.mode),
            identity: Identity::new(name, plan),
            late: LateNames::new(name.0),
            reached: crate::progress::UNKNOWN,
            assigned: Assigned::default(),
            ids: Vec::new(),
            spans,
            shape: Shape::new(plan, compiler),
        }
    }

    /// Folds the rows of a part of a batch into their panes.
    fn take_part(&mut self, assigned: &Assigned, part: Range<u32>, inputs: &[ArrayRef]) {
        let of_part = |rows: &'_ [u32], row: u32| rows.partition_point(|index| *index < row);
        let panes = assigned.panes.iter();
        let panes = panes.map(|(pane, rows)| (*pane, &rows[of_part(rows, part.start)..of_part(rows, part.end)]));
        let (merge, reached) = (&mut self.merge, self.reached);
        let note = |pane, added: Added<'_>| merge.note(pane, added.rows.len(), added.new_keys, reached);
        self.fold.add(panes, &self.ids, inputs, &self.shape, note);
    }

    /// Takes the rows that would make too many groups out of their panes, in the order of the rows, and rejects them.
    fn reject_over_limit(&mut self, rows: &Rows, effects: &mut Vec<Effect>) -> u64 {
        let limit = self.limits.groups_per_node;
        if self.merge.groups() + rows.len() <= limit {
            return 0;
        }
        self.merge.warm_all(&mut self.keys, &self.shape);
        let over = self.merge.over_limit(&self.assigned, &self.ids, limit);
        for (_, indices) in &mut self.assigned.panes {
            indices.retain(|row| over.binary_search(row).is_err());
        }
        rows.reject(self.node, &over, || self.over_limit_reason(), effects);
        over.len() as u64
    }

    fn over_limit_reason(&self) -> String {
        format!(
            "window {} holds {} groups already, its limit: a coarser key or a shorter lateness makes fewer",
            self.identity.node(),
            self.limits.groups_per_node
        )
    }

    /// Folds rows into their panes, and speaks where that is due. Their keys are in `ids`.
    fn fold(&mut self, rows: &Rows, inputs: &[ArrayRef], effects: &mut Vec<Effect>) -> Outcome {
        let (times, marks) = rows.timing().expect("rows without a time were refused");
        let gone = self.reached.saturating_sub(self.lateness);
        self.assigned.assign(&self.spans, times, marks, (gone, self.lateness));
        let rejected = self.reject_over_limit(rows, effects);
        if !self.assigned.late.is_empty() {
            let late = rows.take(&UInt32Array::from(self.assigned.late.clone()));
            effects.push(Effect::Late { node: self.node, rows: self.late.rows(&late, &self.spans, self.reached) });
        }
        let assigned = std::mem::take(&mut self.assigned);
        let mut outcome = Outcome { late: assigned.late.len() as u64, rejected, ..Outcome::default() };
        let mut from = 0;
        let (merge, reached) = (&self.merge, self.reached);
        for (row, stop) in self.triggers.stops(&assigned, |pane| !merge.passed(pane, reached).is_empty()) {
            self.take_part(&assigned, from..row, inputs);
            self.speak(stop, &mut outcome);
            from = row;
        }
        self.take_part(&assigned, from..u32::MAX, inputs);
        self.assigned = assigned;
        outcome
    }

    /// Goes on to the watermark `reached`.
    fn advance(&mut self, reached: i64) -> Outcome {
        let speaks = self.triggers.tells_late(self.reached, reached);
        let before = std::mem::replace(&mut self.reached, reached);
        let due = self.merge.due((before, reached), speaks);
        let emitted = self.fire_all(due, before);
        // Not while rows are being taken: they are known by the ids of their keys.
        if self.keys.len() > 2 * self.merge.warm_groups() + FORGET_FROM {
            self.forget_keys();
        }
        emitted
    }

    /// Emits what late rows have changed, now.
    fn flush_late(&mut self) -> Outcome {
        let due = self.merge.due((self.reached, self.reached), true);
        self.fire_all(due, self.reached)
    }

    /// Emits what is due after a row.
    fn speak(&mut self, stop: Stop, outcome: &mut Outcome) {
        let late = stop.late.map(|pane| self.merge.passed(pane, self.reached)).unwrap_or_default();
        let mut spoken = vec![self.fire_all(late, self.reached)];
        if stop.late.is_some() {
            self.merge.told();
        }
        if stop.early {
            spoken.push(self.fire_all(self.merge.due_early(self.reached), self.reached));
        }
        spoken.into_iter().for_each(|spoken| outcome.append(spoken));
    }

    /// Emits what windows that are open have come to, if processing time has passed a multiple of `early_every`.
    fn tick(&mut self, before: i64, now: i64) -> Outcome {
        if !self.triggers.tells_early(before, now) {
            return Outcome::default();
        }
        let due = self.merge.due_early(self.reached);
        self.fire_all(due, self.reached)
    }

    /// Fires every window that has rows which no results contain; the watermark is at `reached`.
    fn end(&mut self, reached: i64) -> Outcome {
        let before = std::mem::replace(&mut self.reached, reached);
        let due = self.merge.due_at_end(before, reached);
        self.fire_all(due, before)
    }

    /// Fires windows, when event time has gone on from `before` to where it is now.
    fn fire_all(&mut self, due: Vec<merge::Due>, before: i64) -> Outcome {
        let mut outcome = Outcome::default();
        for due in due {
            let (columns, shown) = self.fire(due);
            // A row of its last instant; what follows has not heard of the watermark that it fires for.
            let mark = if due.pane == "on_time" { before } else { Timing::CORRECTION };
            let time = self.spans.end(due.start).saturating_sub(1);
            let made = Some(Timing::at(time, mark, columns.num_rows()));
            outcome.rows.push(Rows { columns, origin: None, made });
            outcome.shown += shown;
        }
        self.merge.drop_gone(self.reached);
        outcome
    }

    fn fire(&mut self, due: merge::Due) -> (RecordBatch, u64) {
        self.merge.warm_window(due.start, &mut self.keys, &self.shape);
        let fired = self.merge.fire(due, &mut self.fold, &self.keys, &self.shape);
        let span = (due.start, self.spans.end(due.start));
        let emitted = (due.pane, fired.revision);
        (self.identity.results(span, emitted, fired.table, &self.keys, &self.shape), fired.rows)
    }

    /// Forgets the keys that no pane holds.
    fn forget_keys(&mut self) {
        let live = self.merge.live_keys();
        let mut ids = vec![KeyId::MAX; self.keys.len()];
        for (old, new) in live.iter().zip(self.keys.keep(&live)) {
            ids[*old as usize] = new;
        }
        self.fold.renumber(&ids);
        self.merge.renumber(&ids);
    }
}

impl Operator for Window {
    fn take(&mut self, _port: usize, rows: &Rows, effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let (times, _) = rows.timed("a window")?;
        let inputs = self.shape.read(rows, times, &mut self.keys, &mut self.ids)?;
        // From here on nothing fails.
        if self.merge.groups() + rows.len() <= self.limits.groups_per_node || !self.merge.frees_groups() {
            return Ok(self.fold(rows, &inputs, effects));
        }
        // Close to the limit, whether a row makes one group too many depends on what the row before it let go.
        let mut outcome = Outcome::default();
        for (row, id) in std::mem::take(&mut self.ids).into_iter().enumerate() {
            self.ids = vec![id];
            let inputs: Vec<ArrayRef> = inputs.iter().map(|input| input.slice(row, 1)).collect();
            outcome.append(self.fold(&rows.slice(row, 1), &inputs, effects));
        }
        Ok(outcome)
    }

    fn next_stop(&self, reached: i64) -> i64 {
        next_stop(&self.spans, self.lateness, &self.triggers, reached)
    }

    fn receive(&mut self, groups: &Groups, effects: &mut Vec<Effect>) -> Outcome {
        self.receive(groups, effects)
    }

    fn hear(&mut self, news: News) -> Outcome {
        match news {
            News::Reached(reached) => self.advance(reached),
            News::Quiet => self.flush_late(),
            News::Tick(before, now) => self.tick(before, now),
            News::End(reached) => self.end(reached),
        }
    }

    fn open_rows(&self) -> u64 {
        self.merge.open_rows()
    }

    fn holding(&self) -> Option<Holding> {
        Some(self.merge.holding(self.reached))
    }

    /// What was folded since the last time turns into runs, and those of panes that have too many are merged.
    fn seal(&mut self, next_run: &mut u64) -> Vec<Run> {
        for (pane, table) in self.fold.drain() {
            self.merge.add_partial(pane, table, &self.keys, &self.shape);
        }
        self.merge.compact(self.limits.runs_per_pane, &mut self.keys, &self.shape);
        self.merge.runs(self.node, next_run)
    }

    fn meta(&self) -> Option<Box<RawValue>> {
        let meta = WindowMeta {
            reached: self.reached,
            kinds: self.shape.kinds_as_text(),
            merge: self.merge.meta(),
            rows_since: self.triggers.rows_since,
        };
        Some(to_raw_value(&meta).expect("numbers and names are JSON"))
    }

    fn restore(&mut self, meta: &RawValue, runs: &[Run]) -> Result<(), String> {
        let meta: WindowMeta = serde_json::from_str(meta.get()).map_err(|error| error.to_string())?;
        (self.reached, self.triggers.rows_since) = (meta.reached, meta.rows_since);
        self.shape.read_kinds(meta.kinds)?;
        self.merge.restore(meta.merge, runs, &mut self.keys, &self.shape)
    }

    fn loads_runs_itself(&self) -> bool {
        true
    }

    fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        let before = self.keys.size();
        let freed = self.merge.release(wanted, store);
        if freed > 0 {
            self.forget_keys();
        }
        freed + before.saturating_sub(self.keys.size())
    }

    fn lost(&mut self) -> Option<SeamError> {
        self.merge.lost()
    }

    fn state_bytes(&self) -> usize {
        self.keys.size() + self.fold.size() + self.merge.size()
    }
}
