//! `join` with `as_of`: each row of a stream with the row of a table as it was at the row's event time. The table is itself
//! a stream, of the versions of its rows (a temporal table join, in SQL `FOR SYSTEM_TIME AS OF`).
//!
//! The stream comes in by port 0, the table by port 1. The rules:
//! * A row of the table is a version: it holds from its event time until a newer one of its key does, at most for `ttl`.
//!   One for which `deleted` is true says that there is no row from then on. Of two versions of one event time the one of
//!   the later record holds; between partitions a hash of their names decides, so that it does not matter which was read first.
//! * A row of the stream waits until the watermark of both sides has passed it by `lateness`, and then gets the version that
//!   holds at its event time. So results do not depend on which side is read first. Rows leave in the order of event time.
//!   They wait for up to [`GRID`] longer, so that many leave at once.
//! * A version that comes late, when rows of its event time have had their answer, holds from the watermark of its
//!   partition on (less `lateness`), unless a newer one does by then. No version is late.
//! * A row of the stream that is more than `lateness` behind the watermark is late. One without a version is filtered or goes
//!   on with nulls ([`JoinKind`]), as does one with a key that is null. A version with such a key is filtered.
//! * Of each key the version that holds at the watermark is kept, and those that will; a `deleted` one too, or an older one
//!   that comes late would hold instead.
//!
//! In the balance a row of the stream is open while it waits; a version is merged, as it becomes part of other rows.

use arrow::array::{ArrayRef, UInt32Array};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;
use weir_model::{Compiler, SeamError, TimeDelta};
use xxhash_rust::xxh3::xxh3_64;

use super::pairing::Pairing;
use super::side::{LastRead, Lookup, Place, Side, SideMeta, Waiting};
use super::versions::{Spot, Version, Versions, VersionsMeta};
use super::{JoinKind, JoinPlan, LEFT, PAIRS_PER_BATCH};
use crate::compiled::{Compiled, Trouble, condition};
use crate::keys::{Digest, digests};
use crate::operator::{News, Operator, Outcome};
use crate::plan::Plan;
use crate::progress::UNKNOWN;
use crate::rows::{Rows, Timing};
use crate::window::LateNames;
use crate::{Effect, Run, RunStore};

/// Rows that wait leave, and versions are dropped, at multiples of this (microseconds).
pub(super) const GRID: i64 = 100_000;

#[derive(Debug)]
pub(crate) struct AsOfJoin {
    node: usize,
    name: String,
    kind: JoinKind,
    lateness: i64,
    rows_max: usize,
    /// Of each side whether the balance has settled its rows already, as a step has made them.
    settled: bool,
    keys: [Compiled; 2],
    /// Which versions say that there is no row any more.
    deleted: Option<(String, Compiled)>,
    waiting: Side,
    versions: Versions,
    pairing: Pairing,
    late_names: LateNames,
    reached: i64,
    /// Versions that a step has made: their numbers tell which is newer.
    made: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct AsOfMeta {
    reached: i64,
    made: u64,
    waiting: SideMeta,
    versions: VersionsMeta,
}

impl AsOfJoin {
    pub(super) fn new(
        (plan, ttl, deleted): (&JoinPlan, Option<TimeDelta>, Option<&String>),
        pipeline: &Plan,
        node: usize,
        compiler: &Arc<dyn Compiler>,
    ) -> Self {
        let (left, right) = plan.on.iter().cloned().unzip();
        let compiled = |texts| Compiled::new(texts, compiler.clone());
        let lateness = plan.lateness.micros();
        Self {
            node,
            name: pipeline.nodes[node].name.clone(),
            kind: plan.kind,
            lateness,
            rows_max: plan.rows_max,
            settled: pipeline.is_made(pipeline.nodes[node].from),
            keys: [left, right].map(compiled),
            deleted: deleted.map(|text| (text.clone(), compiled(vec![text.clone()]))),
            waiting: Side::new((GRID, 0), GRID.saturating_add(lateness), Lookup::Never, &plan.known[LEFT]),
            versions: Versions::new(GRID, ttl.map(TimeDelta::micros), &plan.known[1 - LEFT]),
            pairing: Pairing::new(&plan.prefix),
            late_names: LateNames::new(&pipeline.pipeline),
            reached: UNKNOWN,
            made: 0,
        }
    }

    fn held(&self) -> usize {
        self.waiting.len() + self.versions.len()
    }

    /// The event time before which a row is late, where the watermark before it was `mark`.
    fn low(&self, mark: i64) -> i64 {
        mark.max(self.reached).saturating_sub(self.lateness)
    }

    fn over_limit(&self) -> String {
        let (name, limit) = (&self.name, self.rows_max);
        format!(
            "{name} holds {limit} rows and versions already, its limit: a shorter `ttl` or a higher `rows_max` makes room"
        )
    }

    /// Takes rows of the stream: they wait.
    fn wait(&mut self, rows: &Rows, keys: Vec<Option<Digest>>, effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let (times, marks) = rows.timed("a join")?;
        self.waiting.learn(&rows.columns.schema()).map_err(Trouble::Types)?;
        let mut outcome = Outcome::default();
        let (mut late, mut over, mut taken) = (Vec::new(), Vec::new(), Vec::new());
        for (row, (key, (time, mark))) in (0u32..).zip(keys.iter().zip(times.iter().zip(marks.iter()))) {
            if *time < self.low(*mark) {
                late.push(row);
            } else if key.is_none() && self.kind == JoinKind::Inner {
                outcome.filtered += 1;
            } else if self.held() + taken.len() >= self.rows_max {
                over.push(row);
            } else {
                taken.push(row);
            }
        }
        let of_taken = |row: &u32| (keys[*row as usize], times[*row as usize]);
        let (keys, times): (Vec<_>, Vec<i64>) = taken.iter().map(of_taken).unzip();
        let indices = UInt32Array::from(taken);
        let stored = self.waiting.columns().of(&rows.columns, &indices);
        let stored = stored.expect("text becomes plain text, and nothing else is changed");
        self.waiting.insert(&stored, &keys, &times, &vec![false; times.len()]);
        (outcome.late, outcome.rejected) = (late.len() as u64, over.len() as u64);
        rows.reject(self.node, &over, || self.over_limit(), effects);
        if !late.is_empty() {
            let late = rows.take(&UInt32Array::from(late));
            let rows = self.late_names.rows_of_no_window(&late, self.reached);
            effects.push(Effect::Late { node: self.node, rows });
        }
        Ok(outcome)
    }

    /// Takes rows of the table.
    fn learn(&mut self, rows: &Rows, keys: &[Option<Digest>], effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let (times, marks) = rows.timed("a join")?;
        let deleted = match &mut self.deleted {
            Some((text, compiled)) => Some(condition(&compiled.evaluate(&rows.columns)?[0], text)?),
            None => None,
        };
        self.versions.learn(&rows.columns.schema()).map_err(Trouble::Types)?;
        let both = keys.iter().zip(times.iter());
        self.versions.compare_with(both.filter_map(|(key, time)| Some(((*key)?, *time))));
        let partition = rows.origin.as_ref().map_or(0, |origin| xxh3_64(origin.partition.as_str().as_bytes()));
        let mut outcome = Outcome::default();
        let (mut over, mut taken, mut versions): (_, _, Vec<(Digest, Version)>) = (Vec::new(), Vec::new(), Vec::new());
        for (row, key) in keys.iter().enumerate() {
            let Some(key) = key else {
                outcome.filtered += 1;
                continue;
            };
            let (time, mark) = (times[row], Some(marks[row]).filter(|mark| *mark != Timing::CORRECTION));
            self.made += u64::from(rows.origin.is_none());
            let record = rows.origin.as_ref().map_or(self.made, |origin| origin.offsets[row]);
            let version = Version {
                time,
                place: (partition, record),
                from: time.max(self.low(mark.unwrap_or(UNKNOWN))),
                deleted: deleted.as_ref().is_some_and(|deleted| deleted.value(row)),
            };
            if !self.versions.matters(*key, &version) {
                outcome.merged += 1;
            } else if self.held() + versions.len() >= self.rows_max {
                over.push(row as u32);
            } else {
                taken.push(row as u32);
                versions.push((*key, version));
            }
        }
        let stored = self.versions.columns().of(&rows.columns, &UInt32Array::from(taken));
        let stored = stored.expect("text becomes plain text, and nothing else is changed");
        self.versions.insert(&stored, &versions);
        outcome.merged += versions.len() as u64;
        outcome.rejected = over.len() as u64;
        rows.reject(self.node, &over, || self.over_limit(), effects);
        Ok(outcome)
    }

    /// Gives rows that have waited the version that holds at their time.
    fn answer(&mut self, places: &[Place], outcome: &mut Outcome) {
        let mut waiting = self.waiting.waiting(places);
        waiting.sort_by_key(|row| row.time);
        let mut answers: Vec<(Place, Option<Spot>)> = Vec::with_capacity(places.len());
        for Waiting { time, key, place } in waiting {
            let spot = key.and_then(|key| self.versions.find(key, time));
            if spot.is_some() || self.kind == JoinKind::Left {
                answers.push((place, spot));
            } else {
                outcome.filtered += self.of_stream(1);
            }
        }
        outcome.shown += self.of_stream(answers.len());
        let mut last = LastRead::default();
        for answers in answers.chunks(PAIRS_PER_BATCH) {
            let (places, spots): (Vec<Place>, Vec<Option<Spot>>) = answers.iter().copied().unzip();
            let (times, columns) = self.waiting.read(&places, &mut last);
            let columns: [Vec<ArrayRef>; 2] = [columns, self.versions.gather(&spots)];
            // They come as soon as they are due: what follows has not heard of any time past theirs, however far it jumps.
            let marks = vec![UNKNOWN; times.len()];
            let timing = Timing { times: times.into(), marks: marks.into() };
            let sides = [self.waiting.columns(), self.versions.columns()];
            outcome.rows.push(self.pairing.rows(sides, columns, timing));
        }
    }

    /// Counts rows of the stream, unless they were settled before.
    fn of_stream(&self, rows: usize) -> u64 {
        if self.settled { 0 } else { rows as u64 }
    }

    fn advance(&mut self, reached: i64) -> Outcome {
        self.reached = reached;
        let outcome = self.answer_gone(reached);
        self.versions.drop_before(self.low(UNKNOWN));
        outcome
    }

    /// Nothing more is to come: what waits gets its answer now.
    fn end(&mut self, reached: i64) -> Outcome {
        let mut outcome = self.advance(reached);
        outcome.append(self.answer_gone(i64::MAX));
        outcome
    }

    /// Gives the rows that have waited for the watermark `reached` what they waited for: all at once, for the versions that
    /// they get may have to be read.
    fn answer_gone(&mut self, reached: i64) -> Outcome {
        let mut outcome = Outcome::default();
        let places = self.waiting.gone(reached);
        if !places.is_empty() {
            self.answer(&places, &mut outcome);
        }
        self.waiting.drop_gone(reached);
        outcome
    }
}

impl Operator for AsOfJoin {
    fn take(&mut self, port: usize, rows: &Rows, effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let keys = self.keys[port].evaluate(&rows.columns)?;
        let keys = digests(&keys, rows.len()).map_err(Trouble::Types)?;
        if port == LEFT { self.wait(rows, keys, effects) } else { self.learn(rows, &keys, effects) }
    }

    fn next_stop(&self, _reached: i64) -> i64 {
        let drop = self.versions.next_drop().map(|low| low.saturating_add(self.lateness));
        self.waiting.next_gone().into_iter().chain(drop).min().unwrap_or(i64::MAX)
    }

    fn hear(&mut self, news: News) -> Outcome {
        match news {
            News::Reached(reached) => self.advance(reached),
            News::End(reached) => self.end(reached),
            News::Quiet | News::Tick(_, _) => Outcome::default(),
        }
    }

    fn open_rows(&self) -> u64 {
        self.of_stream(self.waiting.len())
    }

    fn seal(&mut self, next_run: &mut u64) -> Vec<Run> {
        let mut runs = self.waiting.seal(self.node, next_run);
        runs.extend(self.versions.seal(self.node, next_run));
        runs
    }

    fn meta(&self) -> Option<Box<RawValue>> {
        let (waiting, versions) = (self.waiting.meta(), self.versions.meta());
        let meta = AsOfMeta { reached: self.reached, made: self.made, waiting, versions };
        Some(to_raw_value(&meta).expect("numbers are JSON"))
    }

    fn restore(&mut self, meta: &RawValue, runs: &[Run]) -> Result<(), String> {
        let meta: AsOfMeta = serde_json::from_str(meta.get()).map_err(|error| error.to_string())?;
        (self.reached, self.made) = (meta.reached, meta.made);
        self.waiting.restore(meta.waiting, runs)?;
        self.versions.restore(meta.versions, runs, self.low(UNKNOWN))
    }

    fn loads_runs_itself(&self) -> bool {
        true
    }

    /// Versions first: rows that wait are needed soon.
    fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        let freed = self.versions.release(wanted, store);
        freed + self.waiting.release(wanted.saturating_sub(freed), store)
    }

    fn lost(&mut self) -> Option<SeamError> {
        self.versions.lost().or_else(|| self.waiting.lost())
    }

    fn state_bytes(&self) -> usize {
        self.waiting.size() + self.versions.size()
    }
}
