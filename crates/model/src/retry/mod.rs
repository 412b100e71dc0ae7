//! When to try again, and when to leave alone what does not answer. Pure: the time and the random numbers are arguments.
//! Refuses to sleep, and to call anything itself.

mod backoff;
mod breaker;
#[cfg(test)]
mod tests;

pub use backoff::{Backoff, BackoffConfig};
pub use breaker::{Breaker, BreakerConfig, BreakerState, FailureRate, Permit};
