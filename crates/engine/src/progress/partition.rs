//! One partition: how far its records have come, and the watermark that this gives. Knows nothing of other partitions.

use serde::{Deserialize, Serialize};
use weir_model::Offset;

use super::UNKNOWN;
use crate::PartitionState;
use crate::plan::WatermarkPlan;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Partition {
    pub(crate) source: usize,
    pub(crate) rows: u64,
    pub(crate) offset: Option<Offset>,
    /// The latest event time of the rows that move the watermark, or [`UNKNOWN`].
    pub(crate) latest: i64,
    /// The processing time of the last sign of life.
    pub(crate) active_at: Option<i64>,
    #[serde(skip)]
    pub(crate) caught_up: bool,
    #[serde(skip)]
    pub(crate) idle: bool,
    #[serde(skip)]
    pub(crate) paused: bool,
}

impl Partition {
    pub(crate) fn new(source: usize, active_at: Option<i64>) -> Self {
        Self { source, rows: 0, offset: None, latest: UNKNOWN, active_at, caught_up: false, idle: false, paused: false }
    }

    pub(crate) fn state(&self) -> PartitionState {
        match (self.idle, self.caught_up) {
            (true, _) => PartitionState::Idle,
            (false, true) => PartitionState::CaughtUp,
            (false, false) => PartitionState::Reading,
        }
    }
}

/// How a watermark follows from the latest event time: that, less `delay`, down to a multiple of `every`.
///
/// It depends on the records alone, so it is the same however they are cut into batches and whenever they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    delay: i64,
    /// 1: every microsecond counts.
    every: i64,
}

impl Rule {
    pub(crate) fn new(plan: Option<&WatermarkPlan>) -> Self {
        match plan {
            None => Self { delay: 0, every: 1 },
            Some(WatermarkPlan::Bounded { delay } | WatermarkPlan::Punctuated { delay, .. }) => {
                Self { delay: delay.micros(), every: 1 }
            }
            Some(WatermarkPlan::Periodic { delay, every }) => Self { delay: delay.micros(), every: every.micros() },
        }
    }

    /// The watermark of a partition that has come to `latest`.
    #[inline]
    pub(crate) fn mark(self, latest: i64) -> i64 {
        if latest == UNKNOWN {
            return UNKNOWN;
        }
        let less = latest.saturating_sub(self.delay);
        if self.every == 1 { less } else { less.div_euclid(self.every).saturating_mul(self.every) }
    }

    /// The earliest event time with which the watermark is at `mark` or beyond.
    pub(crate) fn reached_at(self, mark: i64) -> i64 {
        let step = mark.saturating_add(self.every - 1).div_euclid(self.every).saturating_mul(self.every);
        step.saturating_add(self.delay)
    }
}
