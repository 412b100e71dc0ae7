//! Pipelines that several processes share over Kafka: a consumer group spreads the partitions, what is folded where they are
//! read travels to the owners of keys through a topic, and each worker commits records, offsets and the name of its state in
//! one transaction of Kafka. Keeps nothing of its own that another worker could need.
//!
//! ```text
//!  source topics ─group─▶ Reader: decode, Fold ─▶ partials topic ─group─▶ Owner: Merge ─▶ outputs
//!                              ▲                                           │
//!                              └────────────── answers topic ◀─────────────┘
//!        one transaction per worker and epoch: outputs, partials, answers, all offsets, the name of the bundle of state
//! ```
//!
//! The worker and what it decides know no client library: [`Broker`] is what they need of Kafka (ADR 0018).

mod broker;
mod kafka;
mod looking;
mod mark;
mod outputs;
mod owner;
mod pace;
mod reader;
mod restore;
mod schemas;
mod share;
mod sweep;
mod transact;
mod worker;

use std::time::Duration;

use weir_model::{ErrorKind, SeamResult};
use weir_observe::PipelineState;

use worker::Worker;

pub use broker::{Broker, Committed, Event, Extent, Outgoing, Place, PlaceEnds, Transaction};
pub use kafka::{KafkaBroker, Past};
pub use looking::inspect;
pub use pace::{MachinePace, Pace};
pub use share::{Candidate, Refusal, Share, SharedSource, Sharing, StatePlace};
pub use transact::{Transacting, commit};
pub use weir_kafka::Progress;
pub use worker::Surroundings;

/// The pauses before a worker begins anew; the last one repeats.
const PAUSES: [Duration; 4] =
    [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(5)];
/// How soon a worker that pauses hears that it is to stop.
const STOP_HEARD_WITHIN: Duration = Duration::from_millis(50);
/// How often in a row a worker begins anew after it was told that another one has its name.
const NAMESAKES_MAX: usize = 20;

/// Works as the member `instance` of the group until `stop` says so, and begins anew after what may pass. Blocks.
///
/// # Errors
/// Why it cannot go on: what beginning anew would not mend.
pub fn run(share: &Share, instance: &str, around: &Surroundings, stop: &dyn Fn() -> bool) -> SeamResult<()> {
    let past = Past::default();
    run_over(share, around, stop, &|| KafkaBroker::open(share, instance, around.runtime.clone(), &past))
}

/// As [`run`], each time over what `open` opens.
///
/// # Errors
/// As [`run`].
pub fn run_over<B: Broker>(
    share: &Share,
    around: &Surroundings,
    stop: &dyn Fn() -> bool,
    open: &dyn Fn() -> SeamResult<B>,
) -> SeamResult<()> {
    let (mut failures, mut has_worked) = (0, false);
    loop {
        around.handle.set_state(PipelineState::Starting);
        let (committed, result) = attempt(share, around, stop, open);
        let Err(error) = result else { return Ok(()) };
        failures = if committed { 1 } else { failures + 1 };
        has_worked |= committed;
        match error.kind {
            // All that was asked for was there: what brokers that come up, or whoever makes a topic anew, leave out for a
            // moment is waited for.
            ErrorKind::Config if has_worked && kafka::is_said_by_client(&error) => {}
            ErrorKind::Config | ErrorKind::Corrupt => return Err(error),
            ErrorKind::Closed if failures > NAMESAKES_MAX => return Err(error),
            ErrorKind::Closed | ErrorKind::Retry | ErrorKind::Unknown => {}
        }
        let pipeline = &share.plan.pipeline;
        tracing::warn!(pipeline, error = error.full(), failures, "beginning anew from what is committed");
        around.handle.trouble(&error.full(), around.clock.now());
        let until = around.pace.elapsed() + PAUSES[failures.min(PAUSES.len()) - 1];
        while around.pace.elapsed() < until {
            if stop() {
                return Ok(());
            }
            around.pace.rest(STOP_HEARD_WITHIN);
        }
    }
}

/// One life: whether it committed anything, and how it ended.
fn attempt<B: Broker>(
    share: &Share,
    around: &Surroundings,
    stop: &dyn Fn() -> bool,
    open: &dyn Fn() -> SeamResult<B>,
) -> (bool, SeamResult<()>) {
    let mut worker = match open().and_then(|broker| Worker::new(share, around, broker)) {
        Ok(worker) => worker,
        Err(error) => return (false, Err(error)),
    };
    let result = worker.run(stop);
    (worker.committed, result)
}
