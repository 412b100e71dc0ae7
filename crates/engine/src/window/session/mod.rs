//! A session node: rows are folded into parts of sessions, sessions that touch become one, and each fires when the
//! watermark has passed its end.
//!
//! A session is a row (key, start, end, states). What a batch brings is folded into a table of parts ([`parts`]), which
//! turns into a run when something in it is to be said, or kept; a session is put together from its parts, in whatever
//! order they came. Which session a row belongs to is decided per row ([`living`]), against the watermark before that
//! row, so that it does not matter how batches are cut.

mod due;
mod emit;
mod living;
mod parts;
mod save;
mod spans;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::UInt32Array;
use arrow::compute::take_arrays;
use serde_json::value::RawValue;
use weir_model::{Compiler, EventTime, PartitionId, SeamError, TimeDelta};

use super::FORGET_FROM;
use super::late::LateNames;
use super::results::{Identity, instants};
use super::shape::Shape;
use crate::compiled::Trouble;
use crate::keys::{KeyId, Keys};
use crate::operator::{News, Operator, Outcome};
use crate::plan::{EmitPlan, LateEmit, Limits, Plan, WindowPlan};
use crate::rows::Rows;
use crate::{Effect, Holding, Run, RunStore};
use due::Timers;
use emit::{Said, say};
use living::{Living, NOBODY, Placed, Row, SessionId};
use parts::{Part, Parts};
use spans::MADE;

/// A session node.
#[derive(Debug)]
pub(crate) struct Sessions {
    /// The index of its node.
    node: usize,
    /// The domain that it hears of.
    domain: usize,
    gap: i64,
    lateness: i64,
    emit: EmitPlan,
    limits: Limits,
    shape: Shape,
    keys: Keys,
    living: Living,
    parts: Parts,
    timers: Timers,
    /// Sessions that changed after their end, and wait for the next time at which that is told.
    touched: Vec<SessionId>,
    /// Sessions that changed since their last early result, where there are any.
    early: Vec<SessionId>,
    identity: Identity,
    late: LateNames,
    reached: i64,
    /// Rows taken since the last multiple of `early_rows`.
    rows_since: u64,
    open_rows: u64,
    /// The numbers of partitions.
    partitions: BTreeMap<PartitionId, u32>,
    now: Now,
    ids: Vec<KeyId>,
    /// The runs that list the sessions, in the last snapshot.
    index: Vec<u64>,
}

/// What has come of the input that is being taken.
#[derive(Debug, Default)]
struct Now {
    moment: u32,
    said: Vec<Said>,
    /// Parts of sessions that are gone: needed until what was said is put together.
    released: Vec<Part>,
    /// Rows that are in a result for the first time.
    shown: u64,
    late: Vec<u32>,
    over: Vec<u32>,
    /// The rows that count, and their groups.
    taken: Vec<u32>,
    groups: Vec<u32>,
}

impl Sessions {
    /// The sessions `plan` of the pipeline's `node`, that have nothing for `gap` between them.
    pub(super) fn new(
        (plan, gap): (&WindowPlan, TimeDelta),
        pipeline: &Plan,
        node: usize,
        compiler: Arc<dyn Compiler>,
    ) -> Self {
        let name = (pipeline.pipeline.as_str(), pipeline.nodes[node].name.as_str());
        let (gap, lateness) = (gap.micros(), plan.lateness.micros());
        Self {
            node,
            domain: pipeline.domains().1[node].expect("sessions wait for event time"),
            gap,
            lateness,
            emit: plan.emit,
            limits: pipeline.limits,
            keys: Keys::new(plan.by.len()),
            living: Living::new(gap, lateness, pipeline.limits.groups_per_node),
            parts: Parts::default(),
            timers: Timers::default(),
            touched: Vec::new(),
            early: Vec::new(),
            identity: Identity::new(name, plan),
            late: LateNames::new(name.0),
            reached: crate::progress::UNKNOWN,
            rows_since: 0,
            open_rows: 0,
            partitions: BTreeMap::new(),
            now: Now::default(),
            ids: Vec::new(),
            index: Vec::new(),
            shape: Shape::new(plan, compiler),
        }
    }

    fn number_of(&mut self, rows: &Rows) -> u32 {
        let Some(origin) = &rows.origin else { return MADE };
        if let Some(number) = self.partitions.get(&origin.partition) {
            return *number;
        }
        let number = self.partitions.len() as u32;
        self.partitions.insert(origin.partition.clone(), number);
        number
    }

    /// Takes rows one after the other, each at the watermark before it.
    fn place_all(&mut self, rows: &Rows, times: &[i64], marks: &[i64]) {
        let from = self.number_of(rows);
        let held =
            rows.origin.as_ref().map_or(i64::MAX, |origin| origin.held.get(self.domain).copied().unwrap_or(i64::MAX));
        let known = self.reached;
        for row in 0..times.len() {
            let reached = marks[row].min(held);
            if reached > self.reached && marks[row] != crate::rows::Timing::CORRECTION {
                self.go_on(reached);
            }
            let placed = Row { key: self.ids[row], time: times[row], mark: marks[row].max(known), from };
            match self.living.place(placed, &mut self.parts) {
                Placed::In(id) => self.take_row(id, row as u32, placed),
                Placed::Late => self.now.late.push(row as u32),
                Placed::Over => self.now.over.push(row as u32),
            }
        }
    }

    /// Notes that a row counts in a session.
    fn take_row(&mut self, id: SessionId, index: u32, row: Row) {
        let speaks_early = self.emit.early_every.is_some() || self.emit.early_rows.is_some();
        let session = self.living.get_mut(id);
        let group = session.filling.and_then(|part| self.parts.group(part)).unwrap_or_else(|| {
            let part = self.parts.begin(id, row.key, row.time);
            session.filling = Some(part);
            session.parts.push(part);
            self.parts.group(part).expect("a part that was just begun takes rows")
        });
        self.now.taken.push(index);
        self.now.groups.push(group);
        session.open_rows += 1;
        self.open_rows += 1;
        // Not asked of `changed`: that may come from a session which this one has absorbed, and which was listed itself.
        if speaks_early && !session.listed {
            session.listed = true;
            self.early.push(id);
        }
        session.changed = true;
        let is_over = session.end <= self.reached;
        if is_over && !session.touched {
            session.touched = true;
            self.touched.push(id);
        }
        let due = if is_over { session.end.saturating_add(self.lateness) } else { session.end };
        self.timers.at_most(id, due, &mut self.living);
        if is_over && self.emit.late == LateEmit::Immediately {
            self.now.moment += 1;
            self.say(id, "late", self.reached);
        }
        if self.emit.early_rows.is_some() {
            self.rows_since += 1;
            if Some(self.rows_since) == self.emit.early_rows {
                self.rows_since = 0;
                self.say_early();
            }
        }
    }

    /// Goes on to the watermark `reached`.
    fn go_on(&mut self, reached: i64) {
        let before = std::mem::replace(&mut self.reached, reached);
        self.living.gone = reached.saturating_sub(self.lateness);
        let passes = match self.emit.late {
            LateEmit::Every(every) => before.div_euclid(every.micros()) != reached.div_euclid(every.micros()),
            LateEmit::Immediately => true,
        };
        let tells = passes && !self.touched.is_empty();
        if self.timers.next() > reached && !tells {
            return;
        }
        self.now.moment += 1;
        self.look(before);
        if tells {
            self.say_touched();
        }
    }

    /// Looks at every session whose time has come: those that event time has passed fire, and those that take no more
    /// rows go.
    fn look(&mut self, before: i64) {
        while let Some(id) = self.timers.pop(self.reached, &mut self.living) {
            let session = self.living.get(id);
            let end = session.end;
            if end > self.reached {
                self.timers.at_most(id, end, &mut self.living);
                continue;
            }
            let gone = end <= self.living.gone;
            let passed = end > before;
            if session.has_news() && (passed || gone) {
                let late = session.fired || !passed;
                self.say(id, if late { "late" } else { "on_time" }, before);
            }
            if gone {
                self.now.released.extend(self.living.remove(id).parts);
            } else {
                self.timers.at_most(id, end.saturating_add(self.lateness), &mut self.living);
            }
        }
    }

    fn say(&mut self, id: SessionId, pane: &'static str, before: i64) {
        let session = self.living.get_mut(id);
        say(session, pane, (self.now.moment, before), &mut self.now.said);
        let shown = std::mem::take(&mut session.open_rows);
        self.now.shown += shown;
        self.open_rows -= shown;
    }

    /// Sessions that changed after their end say so.
    fn say_touched(&mut self) {
        for id in std::mem::take(&mut self.touched) {
            let Some(session) = self.living.find(id).filter(|session| session.touched) else { continue };
            if session.end <= self.reached {
                self.say(id, "late", self.reached);
            } else {
                // It goes on, and says so when it ends.
                self.living.get_mut(id).touched = false;
            }
        }
    }

    /// Sessions that have not ended and have changed say what they have come to.
    fn say_early(&mut self) {
        self.now.moment += 1;
        for id in std::mem::take(&mut self.early) {
            let Some(session) = self.living.find_mut(id) else { continue };
            session.listed = false;
            if !session.changed || session.fired {
                continue;
            }
            if session.end > self.reached {
                self.say(id, "early", self.reached);
            } else {
                session.listed = true;
                self.early.push(id);
            }
        }
    }

    /// Every session says what no result contains; the watermark is at `reached`.
    fn end(&mut self, reached: i64) {
        let before = std::mem::replace(&mut self.reached, reached);
        self.living.gone = reached.saturating_sub(self.lateness);
        self.now.moment += 1;
        let ids: Vec<SessionId> = self.living.ids().filter(|id| self.living.get(*id).has_news()).collect();
        for id in ids {
            let session = self.living.get(id);
            let late = session.fired || session.end <= before;
            self.say(id, if late { "late" } else { "on_time" }, before);
        }
        self.touched.clear();
        self.look(before);
    }

    /// What has come of the input: results, and how many rows they show for the first time.
    fn finish(&mut self) -> Outcome {
        let now = std::mem::take(&mut self.now);
        let rows = emit::rows(&now.said, &mut self.parts, &self.keys, (&mut self.identity, &self.shape));
        now.released.iter().for_each(|part| self.parts.give(*part, NOBODY));
        self.parts.compact(self.limits.runs_per_pane, &mut self.living, &self.keys, &self.shape);
        Outcome {
            rows: rows.into_iter().collect(),
            late: now.late.len() as u64,
            rejected: now.over.len() as u64,
            shown: now.shown,
            ..Outcome::default()
        }
    }

    /// Forgets the keys that no session has.
    fn forget_keys(&mut self) {
        self.parts.seal(&self.keys, &self.shape);
        let live = self.living.live_keys();
        let mut ids = vec![KeyId::MAX; self.keys.len()];
        for (old, new) in live.iter().zip(self.keys.keep(&live)) {
            ids[*old as usize] = new;
        }
        self.living.renumber(&ids);
    }

    /// Tells of the rows that do not count.
    fn tell_uncounted(&self, rows: &Rows, times: &[i64], known: i64, effects: &mut Vec<Effect>) {
        let limit = self.limits.groups_per_node;
        let reason = || {
            format!(
                "window {} holds {limit} sessions already, its limit: a coarser key, a shorter gap or a shorter \
                 lateness makes fewer",
                self.identity.node()
            )
        };
        rows.reject(self.node, &self.now.over, reason, effects);
        if !self.now.late.is_empty() {
            let starts: Vec<i64> = self.now.late.iter().map(|row| times[*row as usize]).collect();
            let ends = starts.iter().map(|start| start.saturating_add(self.gap)).collect();
            let late = rows.take(&UInt32Array::from(self.now.late.clone()));
            let missed = (instants(starts), instants(ends));
            effects.push(Effect::Late { node: self.node, rows: self.late.rows_missing(missed, &late, known) });
        }
    }
}

impl Operator for Sessions {
    fn take(&mut self, _port: usize, rows: &Rows, effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let (times, marks) = rows.timed("a session window")?;
        let mut inputs = self.shape.read(rows, times, &mut self.keys, &mut self.ids)?;
        let known = self.reached;
        self.place_all(rows, times, marks);
        if !self.now.taken.is_empty() {
            if self.now.taken.len() < rows.len() {
                let taken = UInt32Array::from(std::mem::take(&mut self.now.taken));
                inputs = take_arrays(&inputs, &taken, None).expect("the indices are of rows of this batch");
            }
            self.parts.update(&inputs, &self.now.groups, &self.shape);
        }
        self.tell_uncounted(rows, times, known, effects);
        Ok(self.finish())
    }

    fn hear(&mut self, news: News) -> Outcome {
        match news {
            News::Reached(reached) if reached > self.reached => self.go_on(reached),
            News::Reached(_) => {}
            News::Quiet => {
                self.now.moment += 1;
                self.say_touched();
            }
            News::Tick(before, now) => {
                let passed = |every: i64| before.div_euclid(every) != now.div_euclid(every);
                if self.emit.early_every.is_some_and(|every| passed(every.micros())) {
                    self.say_early();
                }
            }
            News::End(reached) => self.end(reached),
        }
        let outcome = self.finish();
        // Not while rows are being taken: they are known by the ids of their keys.
        if self.keys.len() > 2 * self.living.len() + FORGET_FROM {
            self.forget_keys();
        }
        outcome
    }

    fn open_rows(&self) -> u64 {
        self.open_rows
    }

    fn holding(&self) -> Option<Holding> {
        let sessions = self.living.ids().map(|id| self.living.get(id));
        let waiting = sessions.filter(|session| session.end > self.reached && session.has_news());
        let next = waiting.min_by_key(|session| (session.end, session.start));
        let at = EventTime::from_micros;
        let groups = self.living.len() as u64;
        Some(Holding { groups, panes: groups, next_window: next.map(|session| (at(session.start), at(session.end))) })
    }

    fn seal(&mut self, next_run: &mut u64) -> Vec<Run> {
        self.save_runs(next_run)
    }

    fn meta(&self) -> Option<Box<RawValue>> {
        Some(self.save_meta())
    }

    fn restore(&mut self, meta: &RawValue, runs: &[Run]) -> Result<(), String> {
        self.load(meta, runs)
    }

    fn loads_runs_itself(&self) -> bool {
        true
    }

    /// Which sessions there are, and where each ends, stays: rows ask for it.
    fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        self.parts.release(wanted, store)
    }

    fn lost(&mut self) -> Option<SeamError> {
        self.parts.lost()
    }

    fn state_bytes(&self) -> usize {
        self.keys.size() + self.living.size() + self.parts.size() + self.timers.size()
    }
}
