//! What is written down of one partition that a pipeline reads. Knows no clock but the times that it is told.

use weir_model::{Offset, PartitionId, ProcessingTime, Watermark};

use super::rate::Rate;
use super::status::{PartitionState, PartitionStatus};

/// One partition on the board.
#[derive(Debug)]
pub(crate) struct PartitionCounts {
    pub(crate) id: PartitionId,
    pub(crate) origin: String,
    pub(crate) rows: u64,
    pub(crate) next: Offset,
    pub(crate) watermark: Watermark,
    pub(crate) state: PartitionState,
    /// Since its first records.
    rate: Option<Rate>,
}

impl PartitionCounts {
    pub(super) fn new(id: &PartitionId, origin: &str) -> Self {
        Self {
            id: id.clone(),
            origin: origin.to_owned(),
            rows: 0,
            next: Offset::default(),
            watermark: Watermark::UNKNOWN,
            state: PartitionState::Reading,
            rate: None,
        }
    }

    /// So many records were taken, and reading goes on at `next`.
    pub(super) fn took(&mut self, records: u64, next: Offset, now: ProcessingTime) {
        self.rows += records;
        self.next = next;
        self.rate.get_or_insert_with(|| Rate::starting(now)).add(now, records, 0);
        // What was on its way when a partition was paused still comes.
        if self.state != PartitionState::Paused {
            self.state = PartitionState::Reading;
        }
    }

    /// How many offsets lie between what was read and `end`. Records may be read before it is heard that they are there.
    pub(super) fn lag(&self, end: Offset) -> u64 {
        end.0.saturating_sub(self.next.0)
    }

    /// A copy, as of `now`; `end` is where the partition ends, if that is known.
    pub(super) fn status(&self, now: ProcessingTime, end: Option<Offset>) -> PartitionStatus {
        PartitionStatus {
            id: self.id.clone(),
            origin: self.origin.clone(),
            rows: self.rows,
            rows_per_second: self.rate.as_ref().map_or(0.0, |rate| rate.per_second(now).0),
            offset: self.next,
            end: end.map(|end| end.max(self.next)),
            lag: end.map(|end| self.lag(end)),
            watermark: self.watermark,
            state: self.state,
        }
    }
}
