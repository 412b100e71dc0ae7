//! Workers that share a pipeline over simulated brokers: the code of `weir-workers` as it runs in production, from the loop that
//! begins anew down to what is committed, in virtual time. Refuses to decide what is right by asking the code that it checks.
//!
//! A seed makes a [`Scenario`]: how many workers, what is written for them, who is killed, frozen or stopped and when, and how
//! requests fare: done late, lost, done and not answered. Brokers die and come back, leaders change, retention deletes, a topic
//! grows or is made anew. When nothing goes wrong any more, everything must be there soon, and once.

mod broker;
mod clockwork;
mod cluster;
mod oracle;
mod pipeline;
mod play;
mod producer;
mod scenario;
mod shrink;
#[cfg(test)]
mod tests;

pub use cluster::Weather;
pub use play::run;
pub use scenario::{Mishap, Scenario, Shape, What};
pub use shrink::shrink;
