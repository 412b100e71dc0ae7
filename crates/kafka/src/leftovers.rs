//! What a producer's transactions may have left undecided although the brokers hold them for ended, and how the same producer has
//! it decided. Refuses to decide what nobody knows.
//!
//! The brokers end a transaction themselves, with a marker per partition. A broker that is alone and comes up can forget some
//! markers (ADR 0018). Then the next marker of that producer ends what was left open in a partition, records as offsets, and says
//! of it what it says of its own transaction. So one that aborts ends what was given up, and one that commits what was granted.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::ConsumerGroupMetadata;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use weir_model::SeamResult;

use crate::{Hearing, Partitions, flush, seam_error, send_offsets};

/// How long the brokers may take to say which partitions a topic has.
const ANSWER_DEADLINE: Duration = Duration::from_secs(15);

/// The key of records that are there for the end of a transaction only.
const NOTHING: &[u8] = b"weir-nothing";

/// How far the last transaction that had offsets in it has come, as far as a process knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nobody was asked to commit it: it is aborted, or will be.
    Begun,
    /// The brokers were asked to commit it, and nobody knows whether they have.
    Asked,
    /// They have said that they have.
    Granted,
}

impl Progress {
    /// Whether it is committed; nothing where nobody knows.
    pub fn is_committed(self) -> Option<bool> {
        match self {
            Self::Begun => Some(false),
            Self::Asked => None,
            Self::Granted => Some(true),
        }
    }
}

/// Has the brokers decide what the last transaction of `producer` has left undecided in `partitions` and among the offsets of a group: by
/// one that commits, or aborts, and has in it a record without a value for each of these, and `offsets`, which only matter where
/// nothing else was said of their partitions. They may take `within` for it. Blocks.
///
/// # Errors
/// When they do not: `producer` must not be used for anything any more, and what it had granted may be taken back.
pub fn decide(
    producer: &Arc<BaseProducer<Hearing>>,
    (offsets, group): (TopicPartitionList, Arc<ConsumerGroupMetadata>),
    partitions: &Partitions,
    (is_commit, within): (bool, Duration),
) -> KafkaResult<()> {
    let until = Instant::now() + within;
    let left = || until.saturating_duration_since(Instant::now());
    producer.begin_transaction()?;
    for (topic, partitions) in partitions {
        partitions.iter().try_for_each(|partition| send_nothing(producer, topic, *partition))?;
    }
    flush(producer, within, || false)?;
    let timed_out = || KafkaError::Global(RDKafkaErrorCode::OperationTimedOut);
    let sent = send_offsets(producer, offsets, group, within).ok_or_else(timed_out)?;
    // Whoever left it now would have it aborted: brokers that are just coming up are waited for.
    sent.recv_timeout(left()).map_err(|_| timed_out())??;
    loop {
        let ended = if is_commit { producer.commit_transaction(left()) } else { producer.abort_transaction(left()) };
        match ended {
            Err(KafkaError::Transaction(error)) if error.is_retriable() && !left().is_zero() => {}
            ended => return ended,
        }
    }
}

/// The topics in which something may lie. Clones are the same.
#[derive(Clone, Default)]
pub struct Leftovers(Arc<Mutex<BTreeSet<Arc<str>>>>);

impl Leftovers {
    /// A transaction begins that writes into these topics.
    pub fn expect<'a>(&self, topics: impl Iterator<Item = &'a Arc<str>>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(topics.cloned());
    }

    /// It is aborted, as the brokers say, or about to be committed: from now on nobody may abort anything of it.
    pub fn none(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Ends everything that `client` left open.
    ///
    /// # Errors
    /// When the brokers do not do it in time; it is still remembered then.
    pub fn end(&self, client: &BaseProducer<Hearing>, within: Duration) -> SeamResult<()> {
        let topics: Vec<Arc<str>> = self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        if topics.is_empty() {
            return Ok(());
        }
        let failed = |error| seam_error("what an earlier transaction may have left was not ended", error);
        client.begin_transaction().map_err(failed)?;
        for topic in &topics {
            let metadata = client.client().fetch_metadata(Some(topic), ANSWER_DEADLINE).map_err(failed)?;
            for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
                send_nothing(client, topic, partition.id()).map_err(failed)?;
            }
        }
        flush(client, within, || false).map_err(failed)?;
        client.abort_transaction(within).map_err(failed)?;
        tracing::info!(topics = topics.join(" "), "what an earlier transaction may have left is ended");
        self.none();
        Ok(())
    }
}

/// A record without a value, of a key that a compacted topic forgets.
fn send_nothing(client: &BaseProducer<Hearing>, topic: &str, partition: i32) -> KafkaResult<()> {
    let nothing: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(topic).partition(partition).key(NOTHING);
    client.send(nothing).map_err(|(error, _)| error)
}
