//! A circuit breaker: after too many failures the other side is left alone for a while, and then one call at a time finds
//! out whether it is back. Refuses to count what it did not permit, so that a straggler cannot close what has opened.

use std::collections::VecDeque;
use std::time::Duration;

use super::backoff::later;
use crate::ProcessingTime;

/// When a breaker opens, and for how long.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakerConfig {
    /// So many failures in a row open it. At least 1.
    pub failures_in_a_row: u32,
    /// So large a share of failures among the last calls opens it too.
    pub rate: Option<FailureRate>,
    /// How long it stays open the first time. With every probe that fails it doubles.
    pub open_for: Duration,
    /// It never stays open for longer at a time, unless the other side asks for it.
    pub open_for_max: Duration,
}

/// A share of failures among the last calls.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FailureRate {
    /// How many calls are looked at; with fewer the rate is not known. 1 to [`FailureRate::CALLS_MAX`].
    pub calls: usize,
    /// The share of failures, over 0 and up to 1, from which on the breaker opens.
    pub share: f64,
}

impl FailureRate {
    /// The most calls that are remembered.
    pub const CALLS_MAX: usize = 1024;
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures_in_a_row: 5,
            rate: None,
            open_for: Duration::from_secs(1),
            open_for_max: Duration::from_secs(10),
        }
    }
}

/// What a breaker lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Every call.
    Closed,
    /// None until then.
    Open {
        /// When it opened, and was not closed since.
        since: ProcessingTime,
        /// When a probe may be sent.
        until: ProcessingTime,
    },
    /// A probe is on its way, and nothing else.
    HalfOpen {
        /// When it opened, and was not closed since.
        since: ProcessingTime,
        /// When the probe counts as lost, and another one may be sent.
        until: ProcessingTime,
    },
}

/// The permission for one call, given back with its outcome.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "the breaker has to be told what became of the call"]
pub struct Permit {
    generation: u64,
}

/// A circuit breaker with the states closed, open and half-open.
///
/// Source: Michael Nygard, "Release It!", 2007, chapter "Stability Patterns"; the rate over a sliding window of the last
/// calls is that of Hystrix and Resilience4j.
#[derive(Clone, Debug)]
pub struct Breaker {
    config: BreakerConfig,
    state: BreakerState,
    /// Changes with every change of state; what was permitted before it is not counted.
    generation: u64,
    failures_in_a_row: u32,
    /// The last calls: whether they failed. Holds at most as many as the rate looks at.
    last: VecDeque<bool>,
    /// How often it has opened since it was closed.
    opened: u32,
    /// When it was last asked.
    asked: ProcessingTime,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(config: BreakerConfig) -> Self {
        assert!(config.failures_in_a_row > 0, "a breaker that opens without a failure never closes");
        if let Some(rate) = config.rate {
            assert!((1..=FailureRate::CALLS_MAX).contains(&rate.calls), "the rate looks at {} calls", rate.calls);
            assert!(rate.share > 0.0 && rate.share <= 1.0, "{} is not a share of failures", rate.share);
        }
        let state = BreakerState::Closed;
        let asked = ProcessingTime::MIN;
        Self { config, state, generation: 0, failures_in_a_row: 0, last: VecDeque::new(), opened: 0, asked }
    }

    /// What it lets through now. An open one stays open until somebody asks for a permit after its time.
    pub fn state(&self) -> BreakerState {
        self.state
    }

    /// Asks whether a call may be made at `now`.
    ///
    /// # Errors
    /// When to ask again: no call may be made before.
    pub fn permit(&mut self, now: ProcessingTime) -> Result<Permit, ProcessingTime> {
        self.follow_clock(now);
        match self.state {
            BreakerState::Closed => {}
            BreakerState::Open { until, .. } | BreakerState::HalfOpen { until, .. } if now < until => {
                return Err(until);
            }
            BreakerState::Open { since, .. } | BreakerState::HalfOpen { since, .. } => {
                let until = later(now, self.open_for());
                self.turn(BreakerState::HalfOpen { since, until });
            }
        }
        Ok(Permit { generation: self.generation })
    }

    /// A call has succeeded. A probe closes the breaker.
    pub fn succeeded(&mut self, permit: Permit) {
        if permit.generation != self.generation {
            return;
        }
        match self.state {
            BreakerState::Closed => {
                self.failures_in_a_row = 0;
                self.remember(false);
            }
            BreakerState::HalfOpen { .. } => {
                self.failures_in_a_row = 0;
                self.last.clear();
                self.opened = 0;
                self.turn(BreakerState::Closed);
            }
            BreakerState::Open { .. } => unreachable!("an open breaker gives no permits"),
        }
    }

    /// A call has failed at `now`; `asked_for` is how long the other side wants to be left alone at least.
    pub fn failed(&mut self, permit: Permit, now: ProcessingTime, asked_for: Option<Duration>) {
        if permit.generation != self.generation {
            return;
        }
        match self.state {
            BreakerState::Closed => {
                self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
                self.remember(true);
                if self.is_too_much() {
                    self.open(now, now, asked_for);
                }
            }
            BreakerState::HalfOpen { since, .. } => self.open(since, now, asked_for),
            BreakerState::Open { .. } => unreachable!("an open breaker gives no permits"),
        }
    }

    /// A call was given up, so that nothing is known of the other side. After a probe the next one may be sent at once.
    pub fn abandoned(&mut self, permit: Permit, now: ProcessingTime) {
        if let (true, BreakerState::HalfOpen { since, .. }) = (permit.generation == self.generation, self.state) {
            self.turn(BreakerState::Open { since, until: now });
        }
    }

    /// A clock that is set back does not make the wait longer.
    fn follow_clock(&mut self, now: ProcessingTime) {
        if let BreakerState::Open { until, .. } | BreakerState::HalfOpen { until, .. } = &mut self.state
            && now < self.asked
        {
            *until = *until - (self.asked - now);
        }
        self.asked = now;
    }

    fn open(&mut self, since: ProcessingTime, now: ProcessingTime, asked_for: Option<Duration>) {
        let length = self.open_for().max(asked_for.unwrap_or_default());
        self.opened = self.opened.saturating_add(1);
        self.turn(BreakerState::Open { since, until: later(now, length) });
    }

    fn open_for(&self) -> Duration {
        let doubled = 1_u32.checked_shl(self.opened).unwrap_or(u32::MAX);
        self.config.open_for.saturating_mul(doubled).min(self.config.open_for_max)
    }

    fn turn(&mut self, state: BreakerState) {
        self.state = state;
        self.generation += 1;
    }

    fn remember(&mut self, failed: bool) {
        let Some(rate) = self.config.rate else { return };
        if self.last.len() == rate.calls {
            self.last.pop_front();
        }
        self.last.push_back(failed);
    }

    fn is_too_much(&self) -> bool {
        let by_rate = self.config.rate.is_some_and(|rate| {
            let failed = self.last.iter().filter(|failed| **failed).count();
            self.last.len() == rate.calls && failed as f64 >= rate.share * rate.calls as f64
        });
        by_rate || self.failures_in_a_row >= self.config.failures_in_a_row
    }
}
