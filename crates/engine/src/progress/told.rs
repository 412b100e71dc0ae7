//! What is known of a partition that somebody else reads: what its reader says. Decides nothing of its own.
//!
//! Where partitions are known by hearsay watermarks come as they are, so the rule is the one without a delay.

use weir_model::{Offset, PartitionId};

use super::Progress;
use super::partition::Partition;
use crate::PartitionState;

impl Progress {
    /// The partition is in this state. Where it has ended, its watermark was told before.
    pub(crate) fn told_state(&mut self, source: usize, id: &PartitionId, state: PartitionState) {
        self.seen.insert(source);
        self.revive(id);
        let now = self.now;
        let partition = self.partitions.entry(id.clone()).or_insert_with(|| Partition::new(source, now));
        partition.idle = state == PartitionState::Idle;
        if state == PartitionState::Finished {
            self.finish(id);
        }
    }

    /// The watermark of a partition, which has not ended, has come to here.
    pub(crate) fn told_watermark(&mut self, id: &PartitionId, mark: i64) {
        let partition = self.partitions.get_mut(id).expect("its state was told before");
        partition.latest = partition.latest.max(mark);
    }

    /// So many rows were read of a partition that has not ended, the last of which begins at `offset`.
    pub(crate) fn told_rows(&mut self, id: &PartitionId, rows: u64, offset: Option<Offset>) {
        let partition = self.partitions.get_mut(id).expect("its state was told before");
        partition.rows = partition.rows.max(rows);
        partition.offset = offset.or(partition.offset);
    }

    /// How far the furthest domain has come that takes from `source`.
    pub(crate) fn furthest_of(&self, source: usize) -> i64 {
        let domains = self.domains.iter().filter(|domain| domain.sources.contains(&source));
        domains.map(|domain| domain.reached).max().unwrap_or(super::UNKNOWN)
    }
}
