//! Event time: the watermark of each partition, and how far each set of sources has come.
//!
//! [`partition`] says how a watermark follows from records, [`domain`] how far sources have come together, [`drift`] who
//! is too far ahead, [`punctuation`] which records count, [`told`] what is known by hearsay. Nothing here knows windows.

mod domain;
mod drift;
mod partition;
mod punctuation;
#[cfg(test)]
mod tests;
mod told;

use std::collections::{BTreeMap, BTreeSet};

use arrow::buffer::ScalarBuffer;
use serde::{Deserialize, Serialize};
use weir_model::{EventTime, Offset, PartitionId, Watermark, planted};

use crate::plan::TimePlan;
use crate::{PartitionInspection, PartitionState, PartitionStatus};
use domain::Domain;
use partition::{Partition, Rule};
pub(crate) use punctuation::Punctuation;

/// A watermark that says nothing.
pub(crate) const UNKNOWN: i64 = i64::MIN;
/// What holds nothing back.
const OVER: i64 = i64::MAX;

/// What is known of event time.
#[derive(Debug)]
pub(crate) struct Progress {
    plan: Option<TimePlan>,
    rule: Rule,
    now: Option<i64>,
    partitions: BTreeMap<PartitionId, Partition>,
    finished: BTreeMap<PartitionId, Partition>,
    domains: Vec<Domain>,
    /// The sources of which a partition was ever seen, or that have ended without one.
    seen: BTreeSet<usize>,
    /// The first tick.
    started: Option<i64>,
}

/// What a snapshot keeps of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProgressMeta {
    now: Option<i64>,
    partitions: BTreeMap<PartitionId, Partition>,
    finished: BTreeMap<PartitionId, Partition>,
    reached: Vec<i64>,
    #[serde(default)]
    seen: BTreeSet<usize>,
    #[serde(default)]
    started: Option<i64>,
}

impl ProgressMeta {
    /// What it says, to be shown.
    pub(crate) fn inspect(&self) -> (Vec<PartitionInspection>, Vec<Watermark>) {
        let shown = |(id, partition): (&PartitionId, &Partition), finished| PartitionInspection {
            id: id.clone(),
            rows: partition.rows,
            offset: partition.offset,
            latest: (partition.latest != UNKNOWN).then(|| EventTime::from_micros(partition.latest)),
            finished,
        };
        let live = self.partitions.iter().map(|entry| shown(entry, false));
        let finished = self.finished.iter().map(|entry| shown(entry, true));
        let watermarks = self.reached.iter().map(|reached| Watermark::at(EventTime::from_micros(*reached)));
        (live.chain(finished).collect(), watermarks.collect())
    }

    /// The same for sources that have other places now, and without those that have none. A domain that was there goes on
    /// where it was.
    pub(crate) fn rearranged(
        mut self,
        source: impl Fn(usize) -> Option<usize>,
        old: &[Vec<usize>],
        new: &[Vec<usize>],
    ) -> Self {
        let stays = |partition: &mut Partition| source(partition.source).map(|now| partition.source = now).is_some();
        self.partitions.retain(|_, partition| stays(partition));
        self.finished.retain(|_, partition| stays(partition));
        self.seen = self.seen.iter().filter_map(|seen| source(*seen)).collect();
        let reached = |domain: &Vec<usize>| {
            let was = old.iter().position(|was| was.iter().filter_map(|at| source(*at)).eq(domain.iter().copied()));
            was.and_then(|was| self.reached.get(was).copied()).unwrap_or(UNKNOWN)
        };
        self.reached = new.iter().map(reached).collect();
        self
    }
}

impl Progress {
    pub(crate) fn new(plan: Option<TimePlan>, domains: Vec<Vec<usize>>) -> Self {
        let rule = Rule::new(plan.as_ref().map(|plan| &plan.watermark));
        let domains = domains.into_iter().map(Domain::new).collect();
        Self {
            plan,
            rule,
            now: None,
            partitions: BTreeMap::new(),
            finished: BTreeMap::new(),
            domains,
            seen: BTreeSet::new(),
            started: None,
        }
    }

    /// Notes that a partition is there to be read; one that was finished is to be read again.
    pub(crate) fn add(&mut self, source: usize, partition: PartitionId) {
        let active_at = self.now;
        self.seen.insert(source);
        self.revive(&partition);
        self.partitions.entry(partition).or_insert_with(|| Partition::new(source, active_at));
    }

    fn revive(&mut self, partition: &PartitionId) {
        if let Some((id, mut again)) = self.finished.remove_entry(partition) {
            (again.active_at, again.caught_up, again.idle) = (self.now, false, false);
            self.partitions.insert(id, again);
        }
    }

    pub(crate) fn finish(&mut self, partition: &PartitionId) {
        if let Some((id, mut partition)) = self.partitions.remove_entry(partition) {
            partition.paused = false;
            self.finished.insert(id, partition);
        }
    }

    pub(crate) fn caught_up(&mut self, partition: &PartitionId) {
        if let Some(partition) = self.partitions.get_mut(partition) {
            partition.caught_up = true;
        }
        self.fall_idle();
    }

    /// Processing time goes on. Returns what it was, and what it is.
    pub(crate) fn tick(&mut self, now: i64) -> (Option<i64>, i64) {
        let now = self.now.map_or(now, |before| before.max(now));
        let before = self.now.replace(now);
        self.started.get_or_insert(now);
        for partition in self.partitions.values_mut() {
            partition.active_at.get_or_insert(now);
        }
        self.fall_idle();
        (before, now)
    }

    fn fall_idle(&mut self) {
        let (Some(now), Some(plan)) = (self.now, &self.plan) else { return };
        for partition in self.partitions.values_mut() {
            let silent = partition.active_at.map_or(0, |at| now.saturating_sub(at));
            partition.idle |= partition.caught_up && silent >= plan.idle_after.micros();
        }
    }

    /// The latest event time that is believed, if anything was said about processing time.
    pub(crate) fn future_limit(&self) -> Option<(i64, i64)> {
        let (now, plan) = (self.now?, self.plan.as_ref()?);
        Some((now, now.saturating_add(plan.future_limit.micros())))
    }

    /// Notes that rows come from a partition, whose last one begins at `offset`.
    pub(crate) fn note_rows(&mut self, source: usize, partition: &PartitionId, rows: usize, offset: Option<u64>) {
        self.seen.insert(source);
        self.revive(partition);
        let now = self.now;
        let partition = self.partitions.entry(partition.clone()).or_insert_with(|| Partition::new(source, now));
        partition.rows += rows as u64;
        partition.offset = offset.map(Offset).or(partition.offset);
        partition.active_at = now;
        partition.caught_up = false;
        partition.idle = false;
    }

    /// Moves the partition's watermark over rows, one by one, up to and including the row that makes a domain reach its
    /// entry in `stops`. `moving` is each row's event time, or [`UNKNOWN`] if it moves nothing. Returns the watermark
    /// before each of these rows.
    pub(crate) fn advance(&mut self, id: &PartitionId, moving: &[i64], stops: &[i64]) -> ScalarBuffer<i64> {
        let rule = self.rule;
        let stop = self.stop_of(id, stops).map_or(OVER, |stop| rule.reached_at(stop));
        let partition = self.partitions.get_mut(id).expect("its rows were noted");
        let mut mark = rule.mark(partition.latest);
        let mut marks = Vec::with_capacity(moving.len());
        for &time in moving {
            marks.push(mark);
            if planted!(WatermarkPerBatch) {
                partition.latest = partition.latest.max(time);
                continue;
            }
            if time > partition.latest {
                partition.latest = time;
                mark = rule.mark(time);
                if time >= stop {
                    break;
                }
            }
        }
        marks.into()
    }

    /// The watermark of the partition with which the first domain reaches its entry in `stops`, if it can make one do so.
    pub(crate) fn stop_of(&self, id: &PartitionId, stops: &[i64]) -> Option<i64> {
        let source = self.partitions[id].source;
        let domains = self.domains.iter().zip(stops).filter(|(domain, _)| domain.sources.contains(&source));
        let others = || self.partitions.iter().filter(|(other, _)| *other != id).map(|(_, other)| other);
        domains.filter(|(domain, stop)| self.held_at(domain, others()) >= **stop).map(|(_, stop)| *stop).min()
    }

    /// Every partition is finished, until it yields again.
    pub(crate) fn finish_all(&mut self) {
        self.partitions.values_mut().for_each(|partition| partition.paused = false);
        self.finished.append(&mut self.partitions);
        self.seen.extend(self.domains.iter().flat_map(|domain| &domain.sources));
    }

    pub(crate) fn domains(&self) -> usize {
        self.domains.len()
    }

    pub(crate) fn reached(&self, domain: usize) -> i64 {
        self.domains[domain].reached
    }

    /// The watermark over all domains.
    pub(crate) fn watermark(&self) -> Watermark {
        let reached = self.domains.iter().map(|domain| domain.reached).min().unwrap_or(UNKNOWN);
        Watermark::at(EventTime::from_micros(reached))
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = PartitionStatus> + '_ {
        let live = self.partitions.iter().map(|(id, partition)| (id, partition, partition.state()));
        let finished = self.finished.iter().map(|(id, partition)| (id, partition, PartitionState::Finished));
        live.chain(finished).map(|(id, partition, state)| PartitionStatus {
            partition: id.clone(),
            source: partition.source,
            watermark: Watermark::at(EventTime::from_micros(self.rule.mark(partition.latest))),
            rows: partition.rows,
            offset: partition.offset,
            state,
        })
    }

    pub(crate) fn meta(&self) -> ProgressMeta {
        ProgressMeta {
            now: self.now,
            partitions: self.partitions.clone(),
            finished: self.finished.clone(),
            reached: self.domains.iter().map(|domain| domain.reached).collect(),
            seen: self.seen.clone(),
            started: self.started,
        }
    }

    pub(crate) fn restore(&mut self, meta: ProgressMeta) {
        (self.now, self.partitions, self.finished) = (meta.now, meta.partitions, meta.finished);
        if planted!(WatermarkNotRestored) {
            self.partitions.values_mut().for_each(|partition| partition.latest = UNKNOWN);
        }
        let partitions = self.partitions.values().chain(self.finished.values());
        self.seen = meta.seen.into_iter().chain(partitions.map(|partition| partition.source)).collect();
        self.started = meta.started;
        for (domain, reached) in self.domains.iter_mut().zip(meta.reached) {
            domain.reached = reached;
        }
    }
}
