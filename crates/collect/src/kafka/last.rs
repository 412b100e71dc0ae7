//! The last record that was read of a partition, remembered beside its position. If another one lies in its place, the topic is
//! not the one that was read. Refuses to judge where that record is not there any more: compaction and retention are usual.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use weir_kafka::{Speaker, kind_of, seam_error};
use weir_model::{ErrorKind, PartitionId, SeamError, SeamResult};

use super::topics::ANSWER_DEADLINE;

/// How long the client is waited for in one go.
const POLL: Duration = Duration::from_millis(100);

/// By what a record is known again: a topic that was made anew has one of another moment in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastRecord {
    record: u64,
    /// Milliseconds since 1970, as the brokers have it.
    timestamp: i64,
    bytes: u64,
}

/// Where a last record is looked for.
pub(super) struct Remembered {
    pub(super) id: PartitionId,
    pub(super) last: LastRecord,
}

impl LastRecord {
    /// The record of that offset, written so many milliseconds after 1970, with a value of so many bytes.
    pub fn new(record: u64, timestamp: i64, bytes: u64) -> Self {
        Self { record, timestamp, bytes }
    }

    /// Nothing when the record does not say when it was written.
    pub fn of(message: &BorrowedMessage<'_>) -> Option<Self> {
        let record = u64::try_from(message.offset()).ok()?;
        let bytes = message.payload().map_or(0, <[u8]>::len) as u64;
        Some(Self { record, timestamp: message.timestamp().to_millis()?, bytes })
    }

    /// Where it lies.
    pub fn offset(self) -> u64 {
        self.record
    }

    /// As it stands beside the position.
    pub fn token(self) -> Arc<str> {
        serde_json::to_string(&self).expect("numbers are JSON").into()
    }

    /// What such a text says; nothing when it is of another kind.
    pub fn from_token(token: &str) -> Option<Self> {
        serde_json::from_str(token).ok()
    }
}

/// Compares what lies in `topic` with the last records that were read of its partitions. Blocks on the brokers.
///
/// # Errors
/// `Corrupt` when a partition has another record there, `Retry` when the brokers do not yield it.
pub(super) fn compare(
    client: &BaseConsumer<Speaker>,
    topic: &str,
    remembered: &BTreeMap<i32, Remembered>,
) -> SeamResult<()> {
    let last = remembered.iter().map(|(partition, remembered)| (*partition, remembered.last)).collect();
    let others = differing(client, topic, last)?;
    let Some(other) = others.first().and_then(|partition| remembered.get(partition)) else { return Ok(()) };
    let message = format!(
        "{}: record {} is not the one that was read: the topic was made anew, or lost records and got others; give the \
         source another name to read it from its beginning",
        other.id, other.last.record
    );
    Err(SeamError::new(ErrorKind::Corrupt, message))
}

/// The partitions of `topic` in which another record lies now where the last one was read. One that is gone is no other one; what
/// a partition does not hold at all is not to be asked for. Blocks on the brokers.
///
/// # Errors
/// `Retry` when the brokers do not yield them.
pub fn differing(
    client: &BaseConsumer<Speaker>,
    topic: &str,
    mut open: BTreeMap<i32, LastRecord>,
) -> SeamResult<BTreeSet<i32>> {
    let mut others = BTreeSet::new();
    let failed = |error| seam_error(format!("the last records that were read of {topic} cannot be looked at"), error);
    let mut list = TopicPartitionList::new();
    for (partition, last) in &open {
        let offset = Offset::Offset(i64::try_from(last.record).unwrap_or(i64::MAX));
        list.add_partition_offset(topic, *partition, offset).map_err(failed)?;
    }
    client.assign(&list).map_err(failed)?;
    let started = Instant::now();
    while !open.is_empty() {
        match client.poll(POLL) {
            Some(Ok(message)) => {
                // The one that comes first lies there, or behind it.
                let there = LastRecord::of(&message);
                if let Some(last) = open.remove(&message.partition())
                    && there.is_some_and(|there| there.record == last.record && there != last)
                {
                    others.insert(message.partition());
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(open.remove(&partition)),
            Some(Err(error)) => match error.rdkafka_error_code() {
                // It was deleted in this moment: what is missing is said by whoever reads on.
                Some(Code::OffsetOutOfRange | Code::AutoOffsetReset) => break,
                _ if kind_of(&error) == ErrorKind::Retry => {}
                _ => return Err(failed(error)),
            },
            None if started.elapsed() > ANSWER_DEADLINE => {
                let message = format!("the brokers did not yield the last records that were read of {topic}");
                return Err(SeamError::new(ErrorKind::Retry, message));
            }
            None => {}
        }
    }
    client.unassign().map_err(failed)?;
    Ok(others)
}
