//! Offsets that become part of a transaction, within a time that is kept. Refuses to wait for a client that has lost its way.
//!
//! librdkafka 2.12 keeps no time in this one call (its issue 5456), and when the broker that answers for the group dies and is
//! taken off the list of brokers, the call never returns, though another broker answers for the group by then (its issue
//! 5511). So the call has a thread of its own, and whoever waits for it leaves it behind: with a new producer of the same
//! name, which ends what the old one has begun, everything goes on. The old one ends when its call does, which may be never:
//! each outage of the broker that answers for a group can leave a client with its threads behind until the process ends.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::KafkaResult;
use rdkafka::producer::{BaseProducer, Producer};

use crate::Hearing;

/// How long is waited first. Brokers that are well need milliseconds, and where one answers that it is too early the client
/// asks again after half a second.
const WAIT_FIRST: Duration = Duration::from_millis(1200);
/// This part of it is waited after the client has lost a broker: it is probably the one that it waits for.
const WITHOUT_BROKER: u32 = 6;
/// How often the client is heard meanwhile.
const HEARD_EVERY: Duration = Duration::from_millis(10);

/// Sends offsets into transactions. Remembers over the lives of producers how long that is waited for; clones are the same.
#[derive(Clone)]
pub struct TransactionOffsets(Arc<Mutex<Duration>>);

impl Default for TransactionOffsets {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(WAIT_FIRST)))
    }
}

impl TransactionOffsets {
    /// Makes `offsets` part of the transaction of `producer`, as the member `group`, within `within` at most. Waits shorter at
    /// first, and much shorter once the client has lost a broker, and twice as long after each time without an answer, until
    /// there is one: brokers that only are slow are waited for in the end.
    ///
    /// Nothing: there was no answer. Whether the offsets are part of the transaction is not known then, and `producer` must
    /// not be used for anything any more.
    #[must_use]
    pub fn send(
        &self,
        producer: &Arc<BaseProducer<Hearing>>,
        offsets: TopicPartitionList,
        group: Arc<ConsumerGroupMetadata>,
        within: Duration,
    ) -> Option<KafkaResult<()>> {
        let waits = (*self.waits()).min(within);
        let answer = send_offsets(producer, offsets, group, within).and_then(|answer| heard(producer, &answer, waits));
        if answer.is_none() {
            tracing::warn!(?waits, "no answer whether offsets are part of a transaction: its producer is left behind");
        }
        *self.waits() = if answer.is_some() { WAIT_FIRST } else { waits.saturating_mul(2) };
        answer
    }

    fn waits(&self) -> MutexGuard<'_, Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins to make `offsets` part of the transaction of `producer`, as the member `group`: who hears the answer. Nothing, where there
/// is no thread for it.
pub(crate) fn send_offsets(
    producer: &Arc<BaseProducer<Hearing>>,
    offsets: TopicPartitionList,
    group: Arc<ConsumerGroupMetadata>,
    within: Duration,
) -> Option<mpsc::Receiver<KafkaResult<()>>> {
    let (sender, answer) = mpsc::channel();
    let client = Arc::clone(producer);
    let call = move || {
        // Nobody may listen any more.
        let _ = sender.send(client.send_offsets_to_transaction(&offsets, &group, within));
    };
    std::thread::Builder::new().name("kafka offsets".to_owned()).spawn(call).ok().map(|_| answer)
}

/// What the call of `producer` answers within `waits`, or a part of that if it loses a broker.
fn heard(
    producer: &BaseProducer<Hearing>,
    answer: &mpsc::Receiver<KafkaResult<()>>,
    waits: Duration,
) -> Option<KafkaResult<()>> {
    let (mut until, mut lost) = (Instant::now() + waits, false);
    loop {
        match answer.recv_timeout(HEARD_EVERY) {
            Ok(answer) => return Some(answer),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        producer.poll(Duration::from_millis(1));
        if !lost && producer.client().context().lost_a_broker() {
            lost = true;
            until = until.min(Instant::now() + waits / WITHOUT_BROKER);
        }
        if Instant::now() >= until {
            return None;
        }
    }
}

/// Lets go of a client, which may take it a second, without waiting for that.
pub fn let_go<T: Send + 'static>(client: T) {
    // Without a thread it is dropped here.
    let _ = std::thread::Builder::new().name("kafka end".to_owned()).spawn(move || drop(client));
}
