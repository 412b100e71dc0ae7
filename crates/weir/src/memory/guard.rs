//! Looks at what the process really takes, and tells all parts when it comes near to what it may; gives up questions, one after
//! the other, when nothing else helps. It ends no pipeline and refuses nothing by itself.

use std::sync::Arc;
use std::time::Duration;

use weir_model::{Pressure, PressureLevel};
use weir_observe::{Metrics, resident_memory_bytes};
use weir_query::{QueryEngine, Relief};

/// How often it looks while there is enough, and from [`NEAR_PERCENT`] of the limit on: what is taken between two looks must fit
/// into what is kept free.
const LOOK_SELDOM: Duration = Duration::from_millis(50);
const LOOK_OFTEN: Duration = Duration::from_millis(10);
const NEAR_PERCENT: u64 = 60;
/// So much is kept free below the limit, of a small one in bytes but no more than a part: memory is scarce with less than the
/// first, critically with less than the second.
const SCARCE: Free = Free { percent: 15, bytes: 112 << 20, percent_max: 30 };
const CRITICAL: Free = Free { percent: 8, bytes: 64 << 20, percent_max: 18 };
/// It is over when so much more is free.
const RELIEVED_PERCENT: u64 = 4;

struct Free {
    percent: u64,
    bytes: u64,
    percent_max: u64,
}

impl Free {
    fn of(&self, limit: u64) -> u64 {
        self.bytes.clamp(limit / 100 * self.percent, limit / 100 * self.percent_max)
    }
}

/// How scarce memory is for a process that takes `taken` of `limit` bytes, and for which it was `before`.
fn level(taken: u64, limit: u64, before: PressureLevel) -> PressureLevel {
    let free = limit.saturating_sub(taken);
    let is = |level: PressureLevel, least: &Free| {
        let more = if before >= level { limit / 100 * RELIEVED_PERCENT } else { 0 };
        free < least.of(limit) + more
    };
    match () {
        () if is(PressureLevel::Critical, &CRITICAL) => PressureLevel::Critical,
        () if is(PressureLevel::High, &SCARCE) => PressureLevel::High,
        () => PressureLevel::Calm,
    }
}

/// Looks on a thread of its own for as long as the process lives. Where nobody says what a process takes, it does nothing.
pub(super) fn start(
    limit: u64,
    pressure: Pressure,
    queries: &Arc<QueryEngine>,
    metrics: &Arc<Metrics>,
) -> std::io::Result<()> {
    if resident_memory_bytes().is_none() {
        tracing::warn!(
            "what the process takes of memory is not known here: its parts keep to their limits, and nobody to the sum"
        );
        return Ok(());
    }
    let (queries, metrics) = (Arc::downgrade(queries), Arc::clone(metrics));
    let look = move || {
        // The engine goes when the process ends.
        while let Some(queries) = queries.upgrade() {
            let taken = resident_memory_bytes().unwrap_or(0);
            let (before, now) = (pressure.level(), level(taken, limit, pressure.level()));
            pressure.tell(now, taken, limit);
            if now != before {
                tell(before, &pressure);
                metrics.memory_pressure(now as i64);
            }
            if now == PressureLevel::Critical
                && let Relief::GivenUp(held) = queries.relieve()
            {
                metrics.query_given_up();
                tracing::warn!("a query was given up for which {} MiB were counted: {pressure}", held >> 20);
            }
            drop(queries);
            std::thread::park_timeout(if taken >= limit / 100 * NEAR_PERCENT { LOOK_OFTEN } else { LOOK_SELDOM });
        }
    };
    std::thread::Builder::new().name("weir-memory".into()).spawn(look).map(drop)
}

fn tell(before: PressureLevel, pressure: &Pressure) {
    match pressure.level() {
        PressureLevel::Critical => {
            tracing::warn!("{pressure}: nothing is received, and queries are given up, until it is less (--memory)");
        }
        PressureLevel::High if before == PressureLevel::Calm => {
            tracing::info!(
                "{pressure}: queries wait for each other, and no segments are merged, until it is less (--memory)"
            );
        }
        PressureLevel::High | PressureLevel::Calm => tracing::debug!("{pressure}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use PressureLevel::{Calm, Critical, High};

    fn levels(limit: u64, taken: &[u64]) -> Vec<PressureLevel> {
        let next = |before: &mut PressureLevel, taken: &u64| {
            *before = level(taken << 20, limit << 20, *before);
            Some(*before)
        };
        taken.iter().scan(Calm, next).collect()
    }

    #[test]
    fn it_is_scarce_when_little_is_left_and_for_a_while_after() {
        assert_eq!(
            levels(512, &[390, 405, 445, 450, 430, 425, 385, 375]),
            [Calm, High, High, Critical, Critical, High, High, Calm]
        );
    }

    #[test]
    fn of_a_large_limit_it_is_a_part_and_of_a_small_one_no_more_than_a_part() {
        assert_eq!(levels(4096, &[3470, 3490, 3760, 3775]), [Calm, High, High, Critical]);
        assert_eq!(levels(256, &[175, 185, 205, 215]), [Calm, High, High, Critical]);
        assert_eq!(levels(512, &[600]), [Critical], "more than there is");
    }
}
