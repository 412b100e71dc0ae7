//! Event time: the watermark of each partition, and how far each set of sources has come.

use std::collections::BTreeMap;

use arrow::buffer::ScalarBuffer;
use serde::{Deserialize, Serialize};
use weir_model::{EventTime, Offset, PartitionId, Watermark};

use crate::plan::{TimePlan, WatermarkPlan};
use crate::{PartitionState, PartitionStatus};

/// A watermark that says nothing.
pub(crate) const UNKNOWN: i64 = i64::MIN;
/// What holds nothing back.
const OVER: i64 = i64::MAX;

/// What is known of event time.
#[derive(Debug)]
pub(crate) struct Progress {
    plan: Option<TimePlan>,
    now: Option<i64>,
    partitions: BTreeMap<PartitionId, Partition>,
    finished: BTreeMap<PartitionId, Partition>,
    domains: Vec<Domain>,
}

/// Sources whose partitions hold each other back: those that some window takes from.
#[derive(Debug)]
struct Domain {
    sources: Vec<usize>,
    /// The watermark; never goes back.
    reached: i64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Partition {
    source: usize,
    rows: u64,
    offset: Option<Offset>,
    /// The latest event time, or [`UNKNOWN`].
    latest: i64,
    /// The processing time of the last sign of life.
    active_at: Option<i64>,
    #[serde(skip)]
    caught_up: bool,
    #[serde(skip)]
    idle: bool,
    #[serde(skip)]
    paused: bool,
}

/// What a snapshot keeps of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ProgressMeta {
    now: Option<i64>,
    partitions: BTreeMap<PartitionId, Partition>,
    finished: BTreeMap<PartitionId, Partition>,
    reached: Vec<i64>,
}

impl Progress {
    pub(crate) fn new(plan: Option<TimePlan>, domains: Vec<Vec<usize>>) -> Self {
        let domains = domains.into_iter().map(|sources| Domain { sources, reached: UNKNOWN }).collect();
        Self { plan, now: None, partitions: BTreeMap::new(), finished: BTreeMap::new(), domains }
    }

    /// Notes that a partition is there to be read; one that was finished is to be read again.
    pub(crate) fn add(&mut self, source: usize, partition: PartitionId) {
        let active_at = self.now;
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
        for partition in self.partitions.values_mut() {
            partition.active_at.get_or_insert(now);
        }
        self.fall_idle();
        (before, now)
    }

    fn fall_idle(&mut self) {
        let (Some(now), Some(plan)) = (self.now, self.plan) else { return };
        for partition in self.partitions.values_mut() {
            let silent = partition.active_at.map_or(0, |at| now.saturating_sub(at));
            partition.idle |= partition.caught_up && silent >= plan.idle_after.micros();
        }
    }

    /// The latest event time that is believed, if anything was said about processing time.
    pub(crate) fn future_limit(&self) -> Option<(i64, i64)> {
        let (now, plan) = (self.now?, self.plan?);
        Some((now, now.saturating_add(plan.future_limit.micros())))
    }

    /// Notes that rows come from a partition, whose last one begins at `offset`.
    pub(crate) fn note_rows(&mut self, source: usize, partition: &PartitionId, rows: usize, offset: Option<u64>) {
        self.revive(partition);
        let now = self.now;
        let partition = self.partitions.entry(partition.clone()).or_insert_with(|| Partition::new(source, now));
        partition.rows += rows as u64;
        partition.offset = offset.map(Offset).or(partition.offset);
        partition.active_at = now;
        partition.caught_up = false;
        partition.idle = false;
    }

    /// Moves the partition's watermark over `times`, row by row, up to and including the row that makes a domain reach
    /// its entry in `stops`. Returns the watermark before each of these rows.
    pub(crate) fn advance(&mut self, partition: &PartitionId, times: &[i64], stops: &[i64]) -> ScalarBuffer<i64> {
        let delay = self.delay();
        let source = self.partitions[partition].source;
        let domains = self.domains.iter().zip(stops).filter(|(domain, _)| domain.sources.contains(&source));
        let reachable = domains.filter(|(domain, stop)| self.held_by_others(domain, partition) >= **stop);
        let stop = reachable.map(|(_, stop)| stop.saturating_add(delay)).min().unwrap_or(OVER);
        let partition = self.partitions.get_mut(partition).expect("its rows were noted");
        let mut mark = partition.mark(delay);
        let mut marks = Vec::with_capacity(times.len());
        for &time in times {
            marks.push(mark);
            if time > partition.latest {
                partition.latest = time;
                mark = partition.mark(delay);
                if time >= stop {
                    break;
                }
            }
        }
        marks.into()
    }

    /// The least watermark of the active partitions of `domain` other than `partition`.
    fn held_by_others(&self, domain: &Domain, partition: &PartitionId) -> i64 {
        let others = self.partitions.iter().filter(|(id, other)| *id != partition && domain.is_held_by(other));
        others.map(|(_, other)| other.mark(self.delay())).min().unwrap_or(OVER)
    }

    /// Works out how far each domain has come, and returns those that came further.
    pub(crate) fn reach(&mut self) -> Vec<usize> {
        let delay = self.delay();
        let mut further = Vec::new();
        for (index, domain) in self.domains.iter_mut().enumerate() {
            let active = self.partitions.values().filter(|partition| domain.is_held_by(partition));
            let reached = active.map(|partition| partition.mark(delay)).min().unwrap_or_else(|| {
                // Nobody holds time back: it is where the furthest of them left it.
                let all = self.partitions.values().chain(self.finished.values());
                let marks = all.filter(|partition| domain.sources.contains(&partition.source));
                marks.map(|partition| partition.mark(delay)).max().unwrap_or(UNKNOWN)
            });
            if reached > domain.reached {
                domain.reached = reached;
                further.push(index);
            }
        }
        further
    }

    /// Every partition is finished, until it yields again.
    pub(crate) fn finish_all(&mut self) {
        self.partitions.values_mut().for_each(|partition| partition.paused = false);
        self.finished.append(&mut self.partitions);
    }

    /// The partitions that are to be paused (true) or read again (false) from now on, as they are too far ahead or are
    /// not any more.
    pub(crate) fn drifts(&mut self) -> Vec<(PartitionId, bool)> {
        let Some(max_drift) = self.plan.and_then(|plan| plan.max_drift) else { return Vec::new() };
        let delay = self.delay();
        let mut slowest: BTreeMap<usize, i64> = BTreeMap::new();
        for domain in &self.domains {
            let marks = self.partitions.values().filter(|partition| domain.is_held_by(partition));
            let least = marks.map(|partition| partition.mark(delay)).min().unwrap_or(OVER);
            for source in &domain.sources {
                slowest.entry(*source).and_modify(|known| *known = least.min(*known)).or_insert(least);
            }
        }
        let mut changed = Vec::new();
        for (id, partition) in &mut self.partitions {
            let least = slowest.get(&partition.source).copied().unwrap_or(OVER);
            let ahead = partition.mark(delay).saturating_sub(least) > max_drift.micros();
            let paused = ahead && !partition.idle;
            if std::mem::replace(&mut partition.paused, paused) != paused {
                changed.push((id.clone(), paused));
            }
        }
        changed
    }

    /// The domains in which nobody yields, and somebody may again: every partition is idle or finished, and one is idle.
    pub(crate) fn quiet_domains(&self) -> Vec<usize> {
        let quiet = |domain: &Domain| {
            let mut own =
                self.partitions.values().filter(|partition| domain.sources.contains(&partition.source)).peekable();
            own.peek().is_some() && own.all(|partition| partition.idle)
        };
        (0..self.domains.len()).filter(|index| quiet(&self.domains[*index])).collect()
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

    fn delay(&self) -> i64 {
        self.plan.map_or(0, |plan| match plan.watermark {
            WatermarkPlan::Bounded { delay } => delay.micros(),
        })
    }

    pub(crate) fn partitions(&self) -> impl Iterator<Item = PartitionStatus> + '_ {
        let live = self.partitions.iter().map(|(id, partition)| (id, partition, partition.state()));
        let finished = self.finished.iter().map(|(id, partition)| (id, partition, PartitionState::Finished));
        live.chain(finished).map(|(id, partition, state)| PartitionStatus {
            partition: id.clone(),
            source: partition.source,
            watermark: Watermark::at(EventTime::from_micros(partition.mark(self.delay()))),
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
        }
    }

    pub(crate) fn restore(&mut self, meta: ProgressMeta) {
        (self.now, self.partitions, self.finished) = (meta.now, meta.partitions, meta.finished);
        for (domain, reached) in self.domains.iter_mut().zip(meta.reached) {
            domain.reached = reached;
        }
    }
}

impl Domain {
    fn is_held_by(&self, partition: &Partition) -> bool {
        !partition.idle && self.sources.contains(&partition.source)
    }
}

impl Partition {
    fn new(source: usize, active_at: Option<i64>) -> Self {
        Self { source, rows: 0, offset: None, latest: UNKNOWN, active_at, caught_up: false, idle: false, paused: false }
    }

    /// Its watermark.
    fn mark(&self, delay: i64) -> i64 {
        if self.latest == UNKNOWN { UNKNOWN } else { self.latest.saturating_sub(delay) }
    }

    fn state(&self) -> PartitionState {
        match (self.idle, self.caught_up) {
            (true, _) => PartitionState::Idle,
            (false, true) => PartitionState::CaughtUp,
            (false, false) => PartitionState::Reading,
        }
    }
}
