//! The pauses between tries. Refuses to try for ever: a deadline ends every series of failures.

use std::time::Duration;

use crate::{ProcessingTime, TimeDelta};

/// How long the pauses are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffConfig {
    /// The longest pause after the first failure; it doubles with every further one.
    pub first: Duration,
    /// No pause is longer, unless the other side asks for it.
    pub max: Duration,
    /// So long after the first failure of a series nothing is tried any more.
    pub give_up_after: Duration,
}

impl Default for BackoffConfig {
    fn default() -> Self {
        Self { first: Duration::from_millis(100), max: Duration::from_secs(10), give_up_after: Duration::from_mins(10) }
    }
}

/// Exponential backoff with full jitter: after the n-th failure in a row the pause is drawn evenly from
/// `0 ..= min(max, first * 2^(n-1))`, so that many that failed together do not come back together.
///
/// Source: Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015 ("full jitter").
#[derive(Clone, Debug)]
pub struct Backoff {
    config: BackoffConfig,
    failing_since: Option<ProcessingTime>,
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    pub fn new(config: BackoffConfig) -> Self {
        Self { config, failing_since: None, failures: 0 }
    }

    /// A try has failed: the pause until the next one, or `None` when the deadline has passed. `random` is evenly
    /// distributed over all of `u64`; `asked_for` is the pause that the other side wants at least (`Retry-After`).
    ///
    /// A pause never leads past the deadline: the last try is made at the deadline itself. When the other side asks for
    /// more than is left, it is over at once.
    pub fn failed(&mut self, now: ProcessingTime, random: u64, asked_for: Option<Duration>) -> Option<Duration> {
        let since = *self.failing_since.get_or_insert(now);
        let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let left = self.config.give_up_after.checked_sub(passed(since, now)).filter(|left| !left.is_zero())?;
        let asked_for = asked_for.unwrap_or_default();
        let longest = self.config.first.saturating_mul(doubled).min(self.config.max);
        (asked_for <= left).then(|| part_of(longest, random).max(asked_for).min(left))
    }

    /// A try has succeeded: the next failure is the first of a new series.
    pub fn succeeded(&mut self) {
        (self.failing_since, self.failures) = (None, 0);
    }

    /// How many tries have failed in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// When the first of them failed.
    pub fn failing_since(&self) -> Option<ProcessingTime> {
        self.failing_since
    }
}

/// `whole * random / 2^64`.
fn part_of(whole: Duration, random: u64) -> Duration {
    let micros = ((whole.as_micros() + 1) * u128::from(random)) >> 64;
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

/// The time from `since` to `now`; none when the clock was set back.
fn passed(since: ProcessingTime, now: ProcessingTime) -> Duration {
    Duration::from_micros(u64::try_from((now - since).micros()).unwrap_or(0))
}

/// `time` and `length` later.
pub(super) fn later(time: ProcessingTime, length: Duration) -> ProcessingTime {
    time + TimeDelta::from_micros(i64::try_from(length.as_micros()).unwrap_or(i64::MAX))
}
