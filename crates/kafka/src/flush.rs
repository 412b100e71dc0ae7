//! Waits until the brokers have what a producer was given. The client's own flush looks around every 100 ms, however
//! soon the brokers answer. Judges nothing: what became of each record is for whoever hears it.

use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};

/// How much longer each look waits than the one before.
const STEP: Duration = Duration::from_millis(1);
/// How long a look waits at most.
const LOOK_MAX: Duration = Duration::from_millis(50);

/// Returns when nothing is on its way any more, for `within` at most, or when `leave` says so: whether nothing is.
///
/// # Errors
/// `Flush` with `OperationTimedOut` when the time is over, or what the client says.
pub fn flush<C: ProducerContext>(
    producer: &BaseProducer<C>,
    within: Duration,
    mut leave: impl FnMut() -> bool,
) -> KafkaResult<bool> {
    let (deadline, mut look) = (Instant::now() + within, STEP);
    loop {
        match producer.flush(Duration::ZERO) {
            Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)) if leave() => return Ok(false),
            Err(KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut)) if Instant::now() < deadline => {
                producer.poll(look);
                look = (look + STEP).min(LOOK_MAX);
            }
            ended => return ended.map(|()| true),
        }
    }
}
