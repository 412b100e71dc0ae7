//! Sources whose partitions hold each other back, and how far event time has come over them.

use weir_model::PartitionId;

use super::partition::Partition;
use super::{OVER, Progress, UNKNOWN};

/// Sources whose partitions hold each other back: those that some window takes from.
#[derive(Debug)]
pub(crate) struct Domain {
    pub(crate) sources: Vec<usize>,
    /// The watermark; never goes back.
    pub(crate) reached: i64,
}

impl Domain {
    pub(crate) fn new(sources: Vec<usize>) -> Self {
        Self { sources, reached: UNKNOWN }
    }

    pub(crate) fn has(&self, partition: &Partition) -> bool {
        self.sources.contains(&partition.source)
    }

    pub(crate) fn is_held_by(&self, partition: &Partition) -> bool {
        !partition.idle && self.has(partition)
    }
}

impl Progress {
    /// The least watermark of the partitions that hold `domain` back; beyond all times when nobody does.
    pub(crate) fn held_at<'a>(&self, domain: &Domain, partitions: impl Iterator<Item = &'a Partition>) -> i64 {
        if self.awaits_source(domain) {
            return UNKNOWN;
        }
        let held = partitions.filter(|partition| domain.is_held_by(partition));
        held.map(|partition| self.rule.mark(partition.latest)).min().unwrap_or(OVER)
    }

    /// Whether a source of `domain` has not shown a partition yet, and has had less than `idle_after` to do so: it may be
    /// about to yield what the others are ahead of.
    fn awaits_source(&self, domain: &Domain) -> bool {
        let patience = self.plan.as_ref().map_or(0, |plan| plan.idle_after.micros());
        let over = self.now.zip(self.started).is_some_and(|(now, started)| now.saturating_sub(started) >= patience);
        !over && domain.sources.iter().any(|source| !self.seen.contains(source))
    }

    /// Of each domain the least watermark of the partitions other than `id` that hold it back.
    pub(crate) fn held(&self, id: &PartitionId) -> Vec<i64> {
        let others = || self.partitions.iter().filter(|(other, _)| *other != id).map(|(_, other)| other);
        self.domains.iter().map(|domain| self.held_at(domain, others())).collect()
    }

    /// Works out how far each domain has come, and returns those that came further.
    pub(crate) fn reach(&mut self) -> Vec<usize> {
        let mut further = Vec::new();
        for index in 0..self.domains.len() {
            let domain = &self.domains[index];
            let mut reached = self.held_at(domain, self.partitions.values());
            if !self.awaits_source(domain) && !self.partitions.values().any(|partition| domain.is_held_by(partition)) {
                // Nobody holds time back: it is where the furthest of them left it.
                let all = self.partitions.values().chain(self.finished.values());
                let marks = all.filter(|partition| domain.has(partition)).map(|one| self.rule.mark(one.latest));
                reached = marks.max().unwrap_or(UNKNOWN);
            }
            if reached > domain.reached {
                self.domains[index].reached = reached;
                further.push(index);
            }
        }
        further
    }

    /// The domains in which nobody yields, and somebody may again: every partition is idle or finished, and one is idle.
    pub(crate) fn quiet_domains(&self) -> Vec<usize> {
        let quiet = |domain: &Domain| {
            let mut own = self.partitions.values().filter(|partition| domain.has(partition)).peekable();
            own.peek().is_some() && own.all(|partition| partition.idle)
        };
        (0..self.domains.len()).filter(|index| quiet(&self.domains[*index])).collect()
    }
}
