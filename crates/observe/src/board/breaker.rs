//! Where circuit breakers stand, and how often they have opened. It opens and closes none.

use weir_model::BreakerState;

/// What a circuit breaker stands before.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Guarded {
    /// An output, by name.
    Output(String),
    /// A lookup over HTTP, by the name of its step.
    Lookup(String),
}

/// What is known of one breaker.
#[derive(Clone, Debug, Default)]
pub(crate) struct BreakerCounts {
    state: &'static str,
    /// How often it has opened: for the first time, and anew after each probe that failed.
    pub(crate) opened: u64,
}

const CLOSED: &str = "closed";
const OPEN: &str = "open";
const HALF_OPEN: &str = "half_open";

/// What states are called in metrics.
pub(crate) const BREAKER_STATES: [&str; 3] = [CLOSED, OPEN, HALF_OPEN];

impl BreakerCounts {
    pub(super) fn turns(&mut self, state: BreakerState) {
        let before = self.state;
        self.state = match state {
            BreakerState::Closed => CLOSED,
            BreakerState::Open { .. } => OPEN,
            BreakerState::HalfOpen { .. } => HALF_OPEN,
        };
        self.opened += u64::from(self.state == OPEN && before != OPEN);
    }

    /// Whether it is in the state that metrics call so.
    pub(crate) fn is(&self, state: &str) -> bool {
        self.state == state
    }
}
