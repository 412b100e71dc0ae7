//! `join`: pairs of rows of two streams whose keys are equal and whose event times lie close enough to each other.
//!
//! The left stream comes in by port 0, the right one by port 1. The rules:
//! * A row that comes by one port makes a pair with every row of the other port that came before it, has equal keys and a
//!   time in its reach ([`JoinSpan`]). So each pair is made once, when the second of the two comes.
//! * A pair has the columns of the left row as they are called there, and those of the right row with a prefix before their
//!   names, always, so that names do not depend on what the data has; a left column that is called so nevertheless makes
//!   room. Its event time is the later of the two.
//! * A row is late if its event time is more than `lateness` behind the watermark (its partition's before it, or the one
//!   that the step has reached, which is the least of both sides). It makes no pairs then and goes to the late output.
//! * A row is held until no row of the other side that is not late can reach it: then a left row without a partner is
//!   emitted with nulls ([`JoinKind::Left`]), every other row without one is filtered. At the end of everything the left
//!   rows without a partner are emitted as well; if more comes nevertheless and one of them finds a partner, the pair is
//!   emitted besides.
//! * A row with a key that is null has no partner.
//!
//! In the balance a row is open until it is in a pair, emitted without one, or filtered.
//!
//! A join with a table, each row of which holds until the next one of its key, is another operator: [`as_of`].

mod as_of;
mod columns;
mod index;
mod pairing;
mod partners;
mod runs;
mod side;
mod sole;
mod versions;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow::compute::take;
use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use weir_model::{Compiler, SeamError, TimeDelta};

use super::{News, Operator, Outcome};
use crate::compiled::{Compiled, Trouble};
use crate::keys::{Digest, digests};
use crate::plan::{Plan, Upstream};
use crate::rows::{Rows, Timing};
use crate::window::LateNames;
use crate::{Effect, Run, RunStore};
use as_of::AsOfJoin;
use pairing::Pairing;
use partners::{Partner, Partners, Wanted};
use side::{LastRead, Lookup, Place, Side, SideMeta};

/// Pairs that are put together at a time.
const PAIRS_PER_BATCH: usize = 8_192;
/// The left and the right stream by their ports.
const LEFT: usize = 0;
const RIGHT: usize = 1;

/// A step that pairs the rows of two streams.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinPlan {
    /// Where the right rows come from; the left ones come from [`crate::Node::from`].
    pub with: Upstream,
    /// What stands before the names of the right columns.
    pub prefix: String,
    /// What must be equal: an expression over the left row and one over the right.
    pub on: Vec<(String, String)>,
    /// Which times reach each other.
    pub span: JoinSpan,
    /// Whether left rows without a partner are emitted.
    pub kind: JoinKind,
    /// How far behind the watermark a row may be and still find partners.
    pub lateness: TimeDelta,
    /// Rows of both sides that are held at a time; those that would be more are rejected.
    pub rows_max: usize,
    /// The columns that the left and the right rows are known to have before one was seen: they are there, with nulls,
    /// where a row of the side is missing.
    pub known: [Vec<(String, DataType)>; 2],
}

/// Which event times reach each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinSpan {
    /// The right row's time is at most `before` earlier and at most `after` later than the left one's.
    Within {
        /// How much earlier the right row may be.
        before: TimeDelta,
        /// How much later the right row may be.
        after: TimeDelta,
    },
    /// Both times are in one of the windows of this length that follow each other without gaps from `offset` after the
    /// epoch.
    Tumbling {
        /// How long a window is.
        size: TimeDelta,
        /// How far the windows are shifted from multiples of `size`.
        offset: TimeDelta,
    },
    /// The right stream is a table: each of its rows holds from its event time until the next one of its key, and each left
    /// row gets the one that holds at its own event time.
    AsOf {
        /// For how long after its event time a right row holds at most; without it the last one of each key is kept for
        /// ever.
        ttl: Option<TimeDelta>,
        /// A condition over the right row: from those for which it is true on there is no row.
        deleted: Option<String>,
    },
}

/// What becomes of left rows without a partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum JoinKind {
    /// They are filtered.
    #[default]
    Inner,
    /// They are emitted with nulls once no partner can come.
    Left,
}

impl JoinPlan {
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.on.is_empty() {
            return Err("there is no key that must be equal".to_owned());
        }
        if self.prefix.is_empty() {
            return Err("the prefix of the right columns is empty: they could be called like left ones".to_owned());
        }
        if self.rows_max == 0 {
            return Err("rows_max is 0; it must be at least 1".to_owned());
        }
        if self.rows_max > index::ROWS_MAX {
            return Err(format!("rows_max is {}; it must be at most {}", self.rows_max, index::ROWS_MAX));
        }
        let lengths = match &self.span {
            JoinSpan::Within { before, after } => [("before", *before), ("after", *after)],
            JoinSpan::Tumbling { size, .. } if *size <= TimeDelta::ZERO => {
                return Err(format!("the window is {size}; it must be longer than nothing"));
            }
            JoinSpan::Tumbling { size, offset } => [("the window", *size), ("the offset", *offset)],
            JoinSpan::AsOf { ttl: Some(ttl), .. } if *ttl <= TimeDelta::ZERO => {
                return Err(format!("the ttl is {ttl}; it must be longer than nothing"));
            }
            JoinSpan::AsOf { .. } => [("ttl", TimeDelta::ZERO); 2],
        };
        for (name, length) in lengths.into_iter().chain([("lateness", self.lateness)]) {
            if length < TimeDelta::ZERO {
                return Err(format!("{name} is {length}; it cannot be negative"));
            }
        }
        Ok(())
    }

    /// How far behind the watermark the event time of rows that it makes may be.
    pub(crate) fn holds_back(&self) -> i64 {
        let waits = match (Reach::of(&self.span), self.kind) {
            (Some(_), JoinKind::Inner) => 0,
            (Some(reach), JoinKind::Left) => reach.held(LEFT),
            (None, _) => as_of::GRID,
        };
        self.lateness.micros().saturating_add(waits)
    }
}

/// Which times reach each other, in microseconds.
#[derive(Clone, Copy, Debug)]
enum Reach {
    Within { before: i64, after: i64 },
    Tumbling { size: i64, offset: i64 },
}

impl Reach {
    /// `None` where one side is a table.
    fn of(span: &JoinSpan) -> Option<Self> {
        match span {
            JoinSpan::Within { before, after } => Some(Self::Within { before: before.micros(), after: after.micros() }),
            JoinSpan::Tumbling { size, offset } => {
                Some(Self::Tumbling { size: size.micros(), offset: offset.micros() })
            }
            JoinSpan::AsOf { .. } => None,
        }
    }

    /// The first and the last time that a row of `port` at `time` reaches on the other side.
    fn partners(self, port: usize, time: i64) -> (i64, i64) {
        match (self, port) {
            (Self::Within { before, after }, LEFT) => (time.saturating_sub(before), time.saturating_add(after)),
            (Self::Within { before, after }, _) => (time.saturating_sub(after), time.saturating_add(before)),
            (Self::Tumbling { size, offset }, _) => {
                let start = (time - offset).div_euclid(size) * size + offset;
                (start, start + (size - 1))
            }
        }
    }

    /// How rows are found on the other side.
    fn lookup(self) -> Lookup {
        match self {
            Self::Within { .. } => Lookup::Neighbours,
            Self::Tumbling { .. } => Lookup::Bucket,
        }
    }

    /// How long the buckets are that rows are dropped by, and where one begins.
    fn buckets(self) -> (i64, i64) {
        match self {
            // Short enough to let go soon, long enough to be few.
            Self::Within { before, after } => (((before.saturating_add(after)) / 16).max(1_000), 0),
            Self::Tumbling { size, offset } => (size, offset),
        }
    }

    /// From the beginning of a bucket of `port` to the watermark at which it is dropped, if nothing may be late.
    fn held(self, port: usize) -> i64 {
        let (width, _) = self.buckets();
        match (self, port) {
            (Self::Within { after, .. }, LEFT) => width.saturating_add(after),
            (Self::Within { before, .. }, _) => width.saturating_add(before),
            (Self::Tumbling { size, .. }, _) => size,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Join {
    node: usize,
    name: String,
    reach: Reach,
    kind: JoinKind,
    lateness: i64,
    rows_max: usize,
    hold: i64,
    /// Of each side whether the balance has settled its rows already, as a step has made them.
    settled: [bool; 2],
    keys: [Compiled; 2],
    sides: [Side; 2],
    late_names: LateNames,
    reached: i64,
    pairing: Pairing,
}

#[derive(Debug, Serialize, Deserialize)]
struct JoinMeta {
    reached: i64,
    sides: [SideMeta; 2],
}

/// Rows of one port that are admitted.
struct Admitted {
    rows: Vec<u32>,
    keys: Vec<Option<Digest>>,
    times: Vec<i64>,
    marks: Vec<i64>,
}

/// The operator of the join `plan`, the pipeline's `node`.
pub(super) fn build(plan: &JoinPlan, pipeline: &Plan, node: usize, compiler: &Arc<dyn Compiler>) -> Box<dyn Operator> {
    match (Reach::of(&plan.span), &plan.span) {
        (_, JoinSpan::AsOf { ttl, deleted }) => {
            Box::new(AsOfJoin::new((plan, *ttl, deleted.as_ref()), pipeline, node, compiler))
        }
        (Some(reach), _) => Box::new(Join::new((plan, reach), pipeline, node, compiler)),
        (None, JoinSpan::Within { .. } | JoinSpan::Tumbling { .. }) => unreachable!("rows of these reach each other"),
    }
}

impl Join {
    fn new((plan, reach): (&JoinPlan, Reach), pipeline: &Plan, node: usize, compiler: &Arc<dyn Compiler>) -> Self {
        let (left, right) = plan.on.iter().cloned().unzip();
        let held = |port: usize| reach.held(port) + plan.lateness.micros();
        let side = |port: usize| Side::new(reach.buckets(), held(port), reach.lookup(), &plan.known[port]);
        Self {
            node,
            name: pipeline.nodes[node].name.clone(),
            reach,
            kind: plan.kind,
            lateness: plan.lateness.micros(),
            rows_max: plan.rows_max,
            hold: plan.holds_back(),
            settled: [pipeline.nodes[node].from, plan.with].map(|from| pipeline.is_made(from)),
            keys: [left, right].map(|texts| Compiled::new(texts, compiler.clone())),
            sides: [side(LEFT), side(RIGHT)],
            late_names: LateNames::new(&pipeline.pipeline),
            reached: crate::progress::UNKNOWN,
            pairing: Pairing::new(&plan.prefix),
        }
    }

    fn held(&self) -> usize {
        self.sides[LEFT].len() + self.sides[RIGHT].len()
    }

    /// Lets in the rows that are on time, of the port `port`, as far as there is room.
    fn admit(
        &self,
        port: usize,
        rows: &Rows,
        keys: Vec<Option<Digest>>,
        outcome: &mut Outcome,
        effects: &mut Vec<Effect>,
    ) -> Admitted {
        let mut admitted = Admitted { rows: Vec::new(), keys: Vec::new(), times: Vec::new(), marks: Vec::new() };
        let (mut late, mut over) = (Vec::new(), Vec::new());
        let Some((times, marks)) = rows.timing() else { return admitted };
        for (row, (key, (time, mark))) in (0u32..).zip(keys.into_iter().zip(times.iter().zip(marks.iter()))) {
            if (*mark).max(self.reached).saturating_sub(self.lateness) > *time {
                late.push(row);
            } else if key.is_none() && !(port == LEFT && self.kind == JoinKind::Left) {
                outcome.filtered += 1;
            } else if self.held() + admitted.rows.len() >= self.rows_max {
                over.push(row);
            } else {
                admitted.rows.push(row);
                admitted.keys.push(key);
                admitted.times.push(*time);
                admitted.marks.push(*mark);
            }
        }
        if !late.is_empty() {
            let late = rows.take(&UInt32Array::from(late.clone()));
            effects
                .push(Effect::Late { node: self.node, rows: self.late_names.rows_of_no_window(&late, self.reached) });
        }
        let reason = || {
            format!(
                "{} holds {} rows already, its limit: a shorter `within` or a higher `rows_max` makes room",
                self.name, self.rows_max
            )
        };
        rows.reject(self.node, &over, reason, effects);
        (outcome.late, outcome.rejected) = (late.len() as u64, over.len() as u64);
        admitted
    }

    /// What the other side holds that makes pairs with the admitted rows.
    fn find_pairs(&mut self, port: usize, admitted: &Admitted) -> Partners {
        let rows = (0u32..).zip(admitted.keys.iter().zip(&admitted.times));
        let wanted = rows.filter_map(|(index, (key, time))| {
            let (first, last) = self.reach.partners(port, *time);
            Some(Wanted { index, key: (*key)?, first, last })
        });
        let wanted: Vec<Wanted> = wanted.collect();
        self.sides[1 - port].find(&wanted)
    }

    /// The pairs as rows.
    fn pair_rows(
        &mut self,
        port: usize,
        own: &RecordBatch,
        admitted: &Admitted,
        (partners, pairs): (&Partners, &[Partner]),
    ) -> Rows {
        let indices: UInt32Array = pairs.iter().map(|partner| partner.index).collect::<Vec<_>>().into();
        let own: Vec<ArrayRef> = own
            .columns()
            .iter()
            .map(|values| take(values, &indices, None).expect("the indices are of rows of this batch"))
            .collect();
        let other = partners.columns(pairs, self.sides[1 - port].columns().fields().len());
        let columns = if port == LEFT { [own, other] } else { [other, own] };
        let times = pairs.iter().map(|partner| admitted.times[partner.index as usize].max(partner.time));
        let marks = pairs.iter().map(|partner| admitted.marks[partner.index as usize].saturating_sub(self.hold));
        let timing = Timing { times: times.collect::<Vec<_>>().into(), marks: marks.collect::<Vec<_>>().into() };
        self.made(columns, timing)
    }

    fn made(&mut self, columns: [Vec<ArrayRef>; 2], timing: Timing) -> Rows {
        self.pairing.rows([self.sides[LEFT].columns(), self.sides[RIGHT].columns()], columns, timing)
    }

    /// Left rows that found no partner, as rows.
    fn alone(&mut self, places: &[Place], last: &mut LastRead) -> Rows {
        let none = self.sides[RIGHT].columns().fields();
        let none = none.iter().map(|field| new_null_array(field.data_type(), places.len())).collect();
        let (times, columns) = self.sides[LEFT].read(places, last);
        // They come as soon as they are due: what follows has not heard of any time past theirs, however far it jumps.
        let marks = vec![crate::progress::UNKNOWN; times.len()];
        self.made([columns, none], Timing { times: times.into(), marks: marks.into() })
    }

    /// Counts rows of a side, unless they were settled before it.
    fn of(&self, port: usize, rows: usize) -> u64 {
        if self.settled[port] { 0 } else { rows as u64 }
    }

    /// What becomes of left rows that found no partner.
    fn settle(&mut self, places: &[Place], outcome: &mut Outcome) {
        match self.kind {
            JoinKind::Inner => outcome.filtered += self.of(LEFT, places.len()),
            JoinKind::Left => {
                outcome.shown += self.of(LEFT, places.len());
                let mut last = LastRead::default();
                for places in places.chunks(PAIRS_PER_BATCH) {
                    let rows = self.alone(places, &mut last);
                    outcome.rows.push(rows);
                }
            }
        }
    }

    fn advance(&mut self, reached: i64) -> Outcome {
        self.reached = reached;
        let mut outcome = Outcome::default();
        let right = self.sides[RIGHT].drop_gone(reached);
        outcome.filtered += self.of(RIGHT, right);
        while let Some(alone) = self.sides[LEFT].alone_in_gone(reached) {
            self.settle(&alone, &mut outcome);
            self.sides[LEFT].drop_first();
        }
        outcome
    }

    fn end(&mut self, reached: i64) -> Outcome {
        let mut outcome = self.advance(reached);
        let [left, right] = [LEFT, RIGHT].map(|port| self.sides[port].settle_all());
        outcome.filtered += self.of(RIGHT, right.len());
        self.settle(&left, &mut outcome);
        outcome
    }
}

impl Operator for Join {
    fn take(&mut self, port: usize, rows: &Rows, effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        rows.timed("a join")?;
        let keys = self.keys[port].evaluate(&rows.columns)?;
        let keys = digests(&keys, rows.len()).map_err(Trouble::Types)?;
        let side = &mut self.sides[port];
        side.learn(&rows.columns.schema()).map_err(Trouble::Types)?;
        let mut outcome = Outcome::default();
        let admitted = self.admit(port, rows, keys, &mut outcome, effects);
        let indices = UInt32Array::from(admitted.rows.clone());
        let stored = self.sides[port].columns().of(&rows.columns, &indices);
        let stored = stored.expect("text becomes plain text, and nothing else is changed");
        let partners = self.find_pairs(port, &admitted);
        let mut counted = vec![false; admitted.rows.len()];
        for partner in &partners.found {
            let place = self.sides[1 - port].place(partner);
            let (own, other) = (!counted[partner.index as usize], self.sides[1 - port].count(place));
            counted[partner.index as usize] = true;
            outcome.shown += self.of(port, own.into()) + self.of(1 - port, other.into());
        }
        for pairs in partners.found.chunks(PAIRS_PER_BATCH) {
            let rows = self.pair_rows(port, &stored, &admitted, (&partners, pairs));
            outcome.rows.push(rows);
        }
        self.sides[port].insert(&stored, &admitted.keys, &admitted.times, &counted);
        Ok(outcome)
    }

    fn next_stop(&self, _reached: i64) -> i64 {
        self.sides.iter().filter_map(Side::next_gone).min().unwrap_or(i64::MAX)
    }

    fn hear(&mut self, news: News) -> Outcome {
        match news {
            News::Reached(reached) => self.advance(reached),
            News::End(reached) => self.end(reached),
            News::Quiet | News::Tick(_, _) => Outcome::default(),
        }
    }

    fn open_rows(&self) -> u64 {
        [LEFT, RIGHT].map(|port| self.of(port, self.sides[port].open())).iter().sum()
    }

    fn seal(&mut self, next_run: &mut u64) -> Vec<Run> {
        let node = self.node;
        self.sides.iter_mut().flat_map(|side| side.seal(node, next_run)).collect()
    }

    fn meta(&self) -> Option<Box<RawValue>> {
        let meta = JoinMeta { reached: self.reached, sides: [LEFT, RIGHT].map(|port| self.sides[port].meta()) };
        Some(to_raw_value(&meta).expect("numbers are JSON"))
    }

    fn restore(&mut self, meta: &RawValue, runs: &[Run]) -> Result<(), String> {
        let meta: JoinMeta = serde_json::from_str(meta.get()).map_err(|error| error.to_string())?;
        self.reached = meta.reached;
        for (side, meta) in self.sides.iter_mut().zip(meta.sides) {
            side.restore(meta, runs)?;
        }
        Ok(())
    }

    fn loads_runs_itself(&self) -> bool {
        true
    }

    fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        let freed = self.sides[LEFT].release(wanted, store);
        freed + self.sides[RIGHT].release(wanted.saturating_sub(freed), store)
    }

    fn lost(&mut self) -> Option<SeamError> {
        self.sides.iter_mut().find_map(Side::lost)
    }

    fn state_bytes(&self) -> usize {
        self.sides.iter().map(Side::size).sum()
    }
}
