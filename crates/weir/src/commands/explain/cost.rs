//! What a window holds and what it costs, estimated from the plan alone. Says what an estimate rests on.

use weir_engine::{Aggregate, TimePlan, WatermarkPlan, WindowKind, WindowPlan};
use weir_model::TimeDelta;

/// A group without keys and aggregates: its place in the index and in the table.
const GROUP_BYTES: u64 = 48;
/// A key of a group: its number, and its part of the texts that groups share.
const KEY_BYTES: u64 = 16;
/// An aggregate that holds a few numbers.
const AGGREGATE_BYTES: u64 = 32;
/// A sketch of values that spread over three powers of ten, at a relative error of 1%.
const SKETCH_BYTES: u64 = 3_000;

/// Distinct values that are counted or estimated: as many as registers take room. Groups with few take less.
const DISTINCT_BYTES: u64 = 4_096;
/// The values and counts of `top_k` once there are a thousand.
const TOP_K_BYTES: u64 = 64_000;

/// What one window node holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Estimate {
    /// Of one key in one pane.
    pub(super) bytes_per_group: u64,
    /// Panes that are alive at a time, where they are all of one length.
    pub(super) panes: Option<u64>,
    /// How long they are.
    pub(super) pane: Option<TimeDelta>,
}

/// Estimates what `window` holds.
pub(super) fn estimate(window: &WindowPlan, time: Option<&TimePlan>) -> Estimate {
    let aggregates = window.compute.iter().map(|aggregate| state_bytes(&aggregate.function));
    let spans = spans(window.window);
    let alive = |(size, pane): (i64, i64)| {
        let lives = size.saturating_add(window.lateness.micros()).saturating_add(time.map_or(0, delay));
        // The pane that is being filled counts too.
        u64::try_from(lives / pane.max(1) + 1).unwrap_or(u64::MAX)
    };
    Estimate {
        bytes_per_group: GROUP_BYTES + KEY_BYTES * window.by.len() as u64 + aggregates.sum::<u64>(),
        panes: spans.map(alive),
        pane: spans.map(|(_, pane)| TimeDelta::from_micros(pane)),
    }
}

/// Size and pane, where windows are all of one length.
fn spans(kind: WindowKind) -> Option<(i64, i64)> {
    if let WindowKind::Tumbling { size, .. } = kind {
        return Some((size.micros(), size.micros()));
    }
    let WindowKind::Sliding { size, slide, .. } = kind else { return None };
    let (mut divisor, mut rest) = (size.micros(), slide.micros());
    while rest != 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    Some((size.micros(), divisor))
}

/// How far the watermark is behind the latest row.
fn delay(time: &TimePlan) -> i64 {
    match &time.watermark {
        WatermarkPlan::Bounded { delay }
        | WatermarkPlan::Periodic { delay, .. }
        | WatermarkPlan::Punctuated { delay, .. } => delay.micros(),
    }
}

/// About how many bytes an aggregate keeps of a group.
fn state_bytes(function: &Aggregate) -> u64 {
    match function {
        Aggregate::Quantile(_) => SKETCH_BYTES,
        Aggregate::CountDistinct | Aggregate::ApproxDistinct => DISTINCT_BYTES,
        Aggregate::TopK(_) => TOP_K_BYTES,
        Aggregate::Count
        | Aggregate::Sum
        | Aggregate::Avg
        | Aggregate::Min
        | Aggregate::Max
        | Aggregate::Variance
        | Aggregate::Stddev
        | Aggregate::First
        | Aggregate::Last
        | Aggregate::Other { .. } => AGGREGATE_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use weir_engine::EmitPlan;

    use super::*;

    #[test]
    fn sliding_windows_hold_panes_and_not_windows() {
        let seconds = TimeDelta::from_secs;
        let window = |window| WindowPlan {
            window,
            by: vec!["k".to_owned()],
            compute: Vec::new(),
            lateness: seconds(60),
            emit: EmitPlan::default(),
        };
        let tumbling = WindowKind::Tumbling { size: seconds(60), offset: TimeDelta::ZERO };
        let found = estimate(&window(tumbling), None);
        assert_eq!((found.bytes_per_group, found.panes, found.pane), (64, Some(3), Some(seconds(60))));
        let sliding = WindowKind::Sliding { size: seconds(60), slide: seconds(25), offset: TimeDelta::ZERO };
        let found = estimate(&window(sliding), None);
        assert_eq!((found.panes, found.pane), (Some(25), Some(seconds(5))), "the greatest common divisor of 60 and 25");
    }
}
