//! When results that wait are committed before their epoch is over. Pure: the times are arguments.
//!
//! Live, somebody waits for a window's results, and there are few of them: they are committed at once. Catching up, event
//! time runs far ahead of the clock and windows end all the time: they wait for the epoch, which costs less. What tells the
//! two apart is how fast event time goes, not where it is, so that a replay at its original speed counts as live.

use std::time::{Duration, Instant};

use weir_model::Watermark;

/// Event time that goes on at most so many times as fast as the clock is live.
const LIVE_SPEED_MAX: f64 = 2.0;
/// Watermarks move in jumps: so much more is live too.
const JUMP: Duration = Duration::from_secs(5);
/// After a commit the next one of this kind waits for so many times as long as that one took: all of them together take
/// at most a tenth of the time.
const REST: u32 = 9;

/// What is known of the last commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    ended: Instant,
    took: Duration,
    watermark: Watermark,
}

impl Pace {
    /// Begins at `now`, as if a commit had just been made.
    pub(super) fn starting(now: Instant, watermark: Watermark) -> Self {
        Self { ended: now, took: Duration::ZERO, watermark }
    }

    /// A commit ended just now.
    pub(super) fn committed(&mut self, started: Instant, ended: Instant, watermark: Watermark) {
        *self = Self { ended, took: ended - started, watermark };
    }

    /// When results that were made just now should be committed; `None` when they can wait for the epoch.
    pub(super) fn due(&self, now: Instant, watermark: Watermark) -> Option<Instant> {
        let is_known = |watermark| watermark != Watermark::UNKNOWN && watermark != Watermark::END;
        if !is_known(self.watermark) || !is_known(watermark) {
            return None;
        }
        let passed = (watermark.time() - self.watermark.time()).micros();
        let may_pass = (now - self.ended).mul_f64(LIVE_SPEED_MAX) + JUMP;
        let is_live = u128::try_from(passed).is_ok_and(|passed| passed <= may_pass.as_micros());
        is_live.then(|| now.max(self.ended + self.took * REST))
    }
}

#[cfg(test)]
mod tests {
    use weir_model::EventTime;

    use super::*;

    fn at(seconds: i64) -> Watermark {
        Watermark::at(EventTime::from_micros(seconds * 1_000_000))
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn live_results_are_committed_at_once() {
        let start = Instant::now();
        let pace = Pace::starting(start, at(100));
        assert_eq!(pace.due(start + SECOND, at(101)), Some(start + SECOND));
        assert_eq!(pace.due(start + SECOND, at(107)), Some(start + SECOND), "a jump is live");
    }

    #[test]
    fn catching_up_they_wait_for_the_epoch() {
        let start = Instant::now();
        let pace = Pace::starting(start, at(100));
        assert_eq!(pace.due(start + SECOND, at(108)), None, "event time has gone eight times as fast as the clock");
        assert_eq!(pace.due(start + SECOND, Watermark::END), None, "the end is committed anyway");
        assert_eq!(
            Pace::starting(start, Watermark::UNKNOWN).due(start, at(1)),
            None,
            "there is nothing to compare with"
        );
    }

    #[test]
    fn commits_that_take_long_are_made_less_often() {
        let start = Instant::now();
        let mut pace = Pace::starting(start, at(100));
        pace.committed(start, start + SECOND / 10, at(100));
        let next = start + SECOND / 10 + SECOND * 9 / 10;
        assert_eq!(pace.due(start + SECOND / 2, at(101)), Some(next));
        assert_eq!(pace.due(start + SECOND * 2, at(101)), Some(start + SECOND * 2));
    }
}
