//! Who is too far ahead of the others. Only decides; the shell pauses and resumes.

use std::collections::BTreeMap;

use weir_model::PartitionId;

use super::{OVER, Progress};

impl Progress {
    /// The partitions that are to be paused (true) or read again (false) from now on, as they are too far ahead or are
    /// not any more.
    pub(crate) fn drifts(&mut self) -> Vec<(PartitionId, bool)> {
        let Some(max_drift) = self.plan.as_ref().and_then(|plan| plan.max_drift) else { return Vec::new() };
        let mut slowest: BTreeMap<usize, i64> = BTreeMap::new();
        for domain in &self.domains {
            let least = self.held_at(domain, self.partitions.values());
            for source in &domain.sources {
                slowest.entry(*source).and_modify(|known| *known = least.min(*known)).or_insert(least);
            }
        }
        let mut changed = Vec::new();
        for (id, partition) in &mut self.partitions {
            let least = slowest.get(&partition.source).copied().unwrap_or(OVER);
            let ahead = self.rule.mark(partition.latest).saturating_sub(least) > max_drift.micros();
            let paused = ahead && !partition.idle;
            if std::mem::replace(&mut partition.paused, paused) != paused {
                changed.push((id.clone(), paused));
            }
        }
        changed
    }
}
