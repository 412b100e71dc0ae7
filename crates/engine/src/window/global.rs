//! The global window: one that never ends, of each key on its own. A key speaks with its every n-th row, exactly then, as
//! processing time goes on, when it is forgotten and when everything ends. No row is late for it.
//!
//! ```text
//!  rows ─cut where a key speaks▶ segments ─fold▶ states ─merge with what the key had, in rounds▶ results, states
//! ```
//! However many keys there are and however often they speak, all rows of a batch are folded at once; then the first
//! segments of all keys are merged at once, then the second ones, until there are no more.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take, take_record_batch};
use arrow::datatypes::TimestampMicrosecondType;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use weir_model::{Compiler, SeamError};

use super::FORGET_FROM;
use super::results::{Identity, Told};
use super::shape::Shape;
use super::states::{ChunkMeta, States, absorb};
use super::table::Table;
use crate::compiled::Trouble;
use crate::keys::{KeyId, Keys};
use crate::operator::{News, Operator, Outcome};
use crate::plan::{EmitMode, GlobalPlan, Plan, WindowPlan};
use crate::progress::UNKNOWN;
use crate::rows::{Rows, Timing};
use crate::{Effect, Holding, Run, RunStore};

/// A key is forgotten at the first multiple of this part of `forget_after` behind it.
const FORGET_PARTS: i64 = 16;

/// A global window node.
#[derive(Debug)]
pub(crate) struct Global {
    node: usize,
    plan: GlobalPlan,
    early_every: Option<i64>,
    discards: bool,
    groups_max: usize,
    shape: Shape,
    keys: Keys,
    states: States,
    /// When which group is forgotten.
    expiries: BTreeSet<(i64, KeyId)>,
    /// Rows that no results contain yet.
    open: u64,
    identity: Identity,
    reached: i64,
    ids: Vec<KeyId>,
}

/// What a snapshot keeps of a global window node besides its runs.
#[derive(Debug, Serialize, Deserialize)]
struct GlobalMeta {
    reached: i64,
    kinds: Vec<Option<String>>,
    chunks: Vec<ChunkMeta>,
}

/// Rows of one key that follow each other in a batch, up to one with which it speaks or the last.
#[derive(Debug)]
struct Segment {
    key: KeyId,
    /// How many segments of the key come before it.
    round: usize,
    first: i64,
    last: i64,
    /// The row with which the key speaks.
    speaks: Option<u32>,
}

impl Global {
    /// The global window `plan` of the pipeline's `node`.
    pub(crate) fn new(
        (plan, global): (&WindowPlan, GlobalPlan),
        pipeline: &Plan,
        node: usize,
        compiler: Arc<dyn Compiler>,
    ) -> Self {
        Self {
            node,
            plan: global,
            early_every: plan.emit.early_every.map(|every| every.micros()),
            discards: plan.emit.mode == EmitMode::Discarding,
            groups_max: pipeline.limits.groups_per_node,
            keys: Keys::new(plan.by.len()),
            shape: Shape::new(plan, compiler),
            states: States::default(),
            expiries: BTreeSet::new(),
            open: 0,
            identity: Identity::new((&pipeline.pipeline, &pipeline.nodes[node].name), plan),
            reached: UNKNOWN,
            ids: Vec::new(),
        }
    }

    /// How far apart the watermarks are at which groups are forgotten.
    fn grid(&self) -> Option<i64> {
        self.plan.forget_after.map(|after| (after.micros() / FORGET_PARTS).max(1))
    }

    /// The watermark at which a group is forgotten whose latest row is of this time.
    fn expiry(&self, seen: i64) -> i64 {
        let (Some(grid), Some(after)) = (self.grid(), self.plan.forget_after) else { return i64::MAX };
        next_multiple(grid, seen.saturating_add(after.micros()).max(self.reached))
    }

    /// Rejects the rows that would make too many groups. Returns the others.
    fn reject_over_limit(&self, input: &Rows, effects: &mut Vec<Effect>) -> Vec<u32> {
        let limit = self.groups_max;
        let rows = (0u32..).zip(&self.ids);
        if self.states.len() + self.ids.len() <= limit {
            return rows.map(|(row, _)| row).collect();
        }
        let mut new: BTreeSet<KeyId> = BTreeSet::new();
        let (taken, over): (Vec<_>, Vec<_>) = rows.partition(|(_, key)| {
            let known = self.states.get(**key).is_some() || new.contains(key);
            known || (self.states.len() + new.len() < limit && new.insert(**key))
        });
        let over: Vec<u32> = over.into_iter().map(|(row, _)| row).collect();
        let reason = || {
            format!(
                "window {} holds {limit} groups already, its limit: a coarser key or a shorter forget_after makes fewer",
                self.identity.node()
            )
        };
        input.reject(self.node, &over, reason, effects);
        taken.into_iter().map(|(row, _)| row).collect()
    }

    /// Cuts rows where a key speaks, and notes them in their groups. Returns the segments and the one of each row.
    fn cut(&mut self, rows: &[u32], times: &[i64]) -> (Vec<Segment>, Vec<u32>) {
        let born = self.grid().map_or(0, |grid| self.reached.div_euclid(grid));
        let every = self.plan.every_rows.map_or(i64::MAX, |rows| i64::try_from(rows).unwrap_or(i64::MAX));
        let mut segments: Vec<Segment> = Vec::new();
        let mut of_rows = Vec::with_capacity(rows.len());
        // Looked up only: its order decides nothing.
        let mut last_of: HashMap<KeyId, usize> = HashMap::new();
        for row in rows {
            let (key, time) = (self.ids[*row as usize], times[*row as usize]);
            let known = last_of.get(&key).copied();
            let index = known.filter(|index| segments[*index].speaks.is_none()).unwrap_or_else(|| {
                let round = known.map_or(0, |index| segments[index].round + 1);
                segments.push(Segment { key, round, first: time, last: time, speaks: None });
                last_of.insert(key, segments.len() - 1);
                segments.len() - 1
            });
            let segment = &mut segments[index];
            (segment.first, segment.last) = (segment.first.min(time), segment.last.max(time));
            of_rows.push(index as u32);
            let group = self.states.group(key, born);
            (group.open, group.seen) = (group.open + 1, group.seen.max(time));
            if group.open == every {
                group.open = 0;
                segment.speaks = Some(*row);
            }
        }
        (segments, of_rows)
    }

    /// Merges the segments, whose states are the rows of `parts`, with what their keys had. Returns what keys say, in the
    /// order of the rows with which they do.
    fn merge(&mut self, segments: &[Segment], parts: &RecordBatch) -> Option<RecordBatch> {
        let mut rounds: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, segment) in segments.iter().enumerate() {
            rounds.entry(segment.round).or_default().push(index);
        }
        let (mut said, mut said_at): (Vec<RecordBatch>, Vec<u32>) = (Vec::new(), Vec::new());
        for segments_of_round in rounds.into_values() {
            let keys: Vec<KeyId> = segments_of_round.iter().map(|index| segments[*index].key).collect();
            let mut table = Table::default();
            keys.iter().for_each(|key| {
                table.groups.group(*key);
            });
            self.states.load(keys.iter().copied(), &mut table, &self.shape);
            let rows = segments_of_round.iter().map(|index| *index as u32).collect();
            absorb(parts, rows, &keys, &mut table, &self.shape);
            for segment in segments_of_round.iter().map(|index| &segments[*index]) {
                let group = self.states.group(segment.key, 0);
                (group.first, group.last) = (group.first.min(segment.first), group.last.max(segment.last));
            }
            self.states.store(table, &self.keys, &self.shape);
            let speaking = segments_of_round.iter().map(|index| &segments[*index]);
            let (keys, rows): (Vec<KeyId>, Vec<u32>) =
                speaking.filter_map(|segment| Some((segment.key, segment.speaks?))).unzip();
            if !keys.is_empty() {
                said.push(self.say(&keys, "early"));
                said_at.extend(rows);
            }
        }
        let schema = said.first()?.schema();
        let said = concat_batches(&schema, &said).expect("what one node says has one schema");
        let mut order: Vec<u32> = (0..said_at.len() as u32).collect();
        order.sort_unstable_by_key(|index| said_at[*index as usize]);
        Some(take_record_batch(&said, &UInt32Array::from(order)).expect("the order is of these rows"))
    }

    /// The results of these keys, in this order; from now on they were said.
    fn say(&mut self, keys: &[KeyId], pane: &str) -> RecordBatch {
        let mut table = Table::default();
        self.states.load(keys.iter().copied(), &mut table, &self.shape);
        let ids = table.groups.keys().to_vec();
        let told = ids.iter().map(|key| {
            let group = self.states.get(*key).expect("who speaks is known");
            Told { key: *key, start: group.first, end: group.last, revision: group.revision, born: group.born }
        });
        let told: Vec<Told> = told.collect();
        let results = self.identity.told(&told, pane, table, &self.keys, &self.shape);
        let place: HashMap<KeyId, u32> = ids.iter().copied().zip(0..).collect();
        let order: Vec<u32> = keys.iter().map(|key| place[key]).collect();

        let mut table = Table::default();
        ids.iter().for_each(|key| {
            table.groups.group(*key);
        });
        if !self.discards {
            self.states.load(ids.iter().copied(), &mut table, &self.shape);
        }
        for key in &ids {
            let discards = self.discards;
            let group = self.states.group(*key, 0);
            group.revision += 1;
            if discards {
                (group.first, group.last) = (i64::MAX, i64::MIN);
            }
        }
        self.states.store(table, &self.keys, &self.shape);
        take_record_batch(&results, &UInt32Array::from(order)).expect("the order is of these rows")
    }

    /// Lets those of the keys that have rows which no results contain speak, in the order of the keys themselves.
    fn say_open(&mut self, keys: impl Iterator<Item = KeyId>, pane: &str) -> Outcome {
        let mut outcome = Outcome::default();
        let mut speaking = Vec::new();
        for key in keys.collect::<Vec<_>>() {
            let group = self.states.group(key, 0);
            if group.open > 0 {
                outcome.shown += group.open as u64;
                group.open = 0;
                speaking.push(key);
            }
        }
        if !speaking.is_empty() {
            let order = crate::keys::sort_rows(&self.keys.columns(&speaking), speaking.len());
            let speaking: Vec<KeyId> = order.values().iter().map(|index| speaking[*index as usize]).collect();
            let columns = self.say(&speaking, pane);
            outcome.rows.push(self.made(columns));
        }
        self.open -= outcome.shown;
        outcome
    }

    /// Rows that go on from here, each at the time of the last row in it. A plan with a window that takes them is refused:
    /// they may be replaced.
    fn made(&self, columns: RecordBatch) -> Rows {
        let times = columns.column(1).as_primitive::<TimestampMicrosecondType>().values().clone();
        let marks = vec![Timing::CORRECTION; columns.num_rows()].into();
        Rows { columns, origin: None, made: Some(Timing { times, marks }) }
    }

    /// Notes when the keys of these segments are forgotten if nothing more comes of them.
    fn renew_expiries(&mut self, segments: &[Segment]) {
        if self.plan.forget_after.is_none() {
            return;
        }
        let keys: BTreeSet<KeyId> = segments.iter().map(|segment| segment.key).collect();
        for key in keys {
            let Some(group) = self.states.get(key) else { continue };
            let (before, expires) = (group.expires, self.expiry(group.seen));
            if before != expires {
                self.expiries.remove(&(before, key));
                self.expiries.insert((expires, key));
                self.states.group(key, 0).expires = expires;
            }
        }
    }

    fn say_all(&mut self, pane: &str) -> Outcome {
        let keys: Vec<KeyId> = self.states.iter().filter(|(_, group)| group.open > 0).map(|(key, _)| key).collect();
        self.say_open(keys.into_iter(), pane)
    }

    /// Forgets the groups that had no row for so long, after a last word.
    fn forget(&mut self) -> Outcome {
        let kept = self.expiries.split_off(&(self.reached.saturating_add(1), 0));
        let gone: Vec<KeyId> = std::mem::replace(&mut self.expiries, kept).into_iter().map(|(_, key)| key).collect();
        let outcome = self.say_open(gone.iter().copied(), "on_time");
        gone.iter().for_each(|key| self.states.forget(*key));
        if self.keys.len() > 2 * self.states.len() + FORGET_FROM {
            self.forget_keys();
        }
        outcome
    }

    /// Forgets the keys that no group has.
    fn forget_keys(&mut self) {
        let live: Vec<KeyId> = self.states.iter().map(|(key, _)| key).collect();
        let mut ids = vec![KeyId::MAX; self.keys.len()];
        for (old, new) in live.iter().zip(self.keys.keep(&live)) {
            ids[*old as usize] = new;
        }
        self.states.renumber(&ids);
        self.expiries = self.expiries.iter().map(|(expiry, key)| (*expiry, ids[*key as usize])).collect();
    }
}

/// The first multiple of `grid` after `time`.
fn next_multiple(grid: i64, time: i64) -> i64 {
    time.div_euclid(grid).saturating_add(1).saturating_mul(grid)
}

impl Operator for Global {
    fn take(&mut self, _port: usize, rows: &Rows, effects: &mut Vec<Effect>) -> Result<Outcome, Trouble> {
        let (times, _) = rows.timed("a window")?;
        let mut inputs = self.shape.read(rows, times, &mut self.keys, &mut self.ids)?;
        let taken = self.reject_over_limit(rows, effects);
        if taken.len() < rows.len() {
            let taken = UInt32Array::from(taken.clone());
            let pick = |input: &ArrayRef| take(input, &taken, None).expect("the indices are of rows of this batch");
            inputs = inputs.iter().map(pick).collect();
        }
        let (segments, of_rows) = self.cut(&taken, times);
        let mut parts = Table::default();
        parts.update(&of_rows, &inputs, &self.shape);
        let parts = parts.seal_states(&self.shape);
        let mut outcome = Outcome { rejected: (rows.len() - taken.len()) as u64, ..Outcome::default() };
        self.renew_expiries(&segments);
        let said = self.merge(&segments, &parts);
        outcome.rows.extend(said.map(|columns| self.made(columns)));
        let spoke = segments.iter().filter(|segment| segment.speaks.is_some()).count() as u64;
        outcome.shown = spoke * self.plan.every_rows.unwrap_or(0);
        self.open = self.open + taken.len() as u64 - outcome.shown;
        Ok(outcome)
    }

    /// Groups are forgotten at multiples of the grid, and what is forgotten then must not depend on how batches are cut.
    fn next_stop(&self, reached: i64) -> i64 {
        match self.grid() {
            None => i64::MAX,
            Some(_) if reached == UNKNOWN => reached + 1,
            Some(grid) => next_multiple(grid, reached),
        }
    }

    fn hear(&mut self, news: News) -> Outcome {
        match news {
            News::Reached(reached) => {
                self.reached = reached;
                self.forget()
            }
            News::Quiet => Outcome::default(),
            News::Tick(before, now) => {
                let speaks = self.early_every.is_some_and(|every| before.div_euclid(every) != now.div_euclid(every));
                if speaks { self.say_all("early") } else { Outcome::default() }
            }
            News::End(reached) => {
                self.reached = reached;
                let mut outcome = self.say_all("on_time");
                outcome.append(self.forget());
                outcome
            }
        }
    }

    fn open_rows(&self) -> u64 {
        self.open
    }

    fn holding(&self) -> Option<Holding> {
        let groups = self.states.len() as u64;
        Some(Holding { groups, panes: u64::from(groups > 0), next_window: None })
    }

    fn seal(&mut self, next_run: &mut u64) -> Vec<Run> {
        self.states.runs(self.node, next_run)
    }

    fn meta(&self) -> Option<Box<RawValue>> {
        let meta = GlobalMeta { reached: self.reached, kinds: self.shape.kinds_as_text(), chunks: self.states.meta() };
        Some(to_raw_value(&meta).expect("numbers and names are JSON"))
    }

    fn restore(&mut self, meta: &RawValue, runs: &[Run]) -> Result<(), String> {
        let meta: GlobalMeta = serde_json::from_str(meta.get()).map_err(|error| error.to_string())?;
        self.reached = meta.reached;
        self.shape.read_kinds(meta.kinds)?;
        self.states.restore(meta.chunks, runs, &mut self.keys, &self.shape)?;
        let expiries = self.states.iter().filter(|(_, group)| group.expires < i64::MAX);
        self.expiries = expiries.map(|(key, group)| (group.expires, key)).collect();
        self.open = self.states.iter().map(|(_, group)| group.open as u64).sum();
        Ok(())
    }

    fn loads_runs_itself(&self) -> bool {
        true
    }

    fn release(&mut self, wanted: usize, store: &Arc<dyn RunStore>) -> usize {
        self.states.release(wanted, store)
    }

    fn lost(&mut self) -> Option<SeamError> {
        self.states.lost()
    }

    fn state_bytes(&self) -> usize {
        self.keys.size() + self.states.size() + self.expiries.len() * size_of::<(i64, KeyId)>() * 2
    }
}
