//! One topic, read on a thread of its own into batches per partition. Blocks, and waits when nobody takes what it has read.
//! Refuses to know any topic but its own: the client says which partition has come to its end, but not of which topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as std_mpsc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;
use weir_kafka::{Leaders, Speaker, cannot_unpack, kind_of, seam_error};
use weir_model::{ErrorKind, SeamError, SeamResult, SourceEvent};

use super::batch::Gathering;
use super::config::Tombstones;
use super::envelope::{Envelope, Parts};
use super::last::LastRecord;
use super::topics::{ANSWER_DEADLINE, Extent, extent};

/// How long the thread waits for records before it looks whether it is still wanted.
const POLL: Duration = Duration::from_millis(100);
/// How many bytes may be gathered over all partitions before they go on as batches.
const GATHERED_BYTES_MAX: usize = 4 << 20;

/// Where the events go.
pub(super) type Outgoing = mpsc::Sender<SeamResult<SourceEvent>>;

/// A partition to be read.
pub(super) struct Share {
    pub(super) partition: i32,
    pub(super) gathering: Gathering,
    /// Where a source that is not followed ends.
    pub(super) until: Option<u64>,
}

/// The thread's side of a topic.
pub(super) struct Reader {
    pub(super) topic: String,
    pub(super) consumer: Arc<BaseConsumer<Speaker>>,
    pub(super) tombstones: Tombstones,
    pub(super) envelope: Option<Envelope>,
    /// Room for one record in its envelope.
    pub(super) enveloped: Vec<u8>,
    pub(super) outgoing: Outgoing,
    /// Partitions that have appeared since.
    pub(super) further: std_mpsc::Receiver<Share>,
    pub(super) unwanted: Arc<AtomicBool>,
    /// The brokers said that they do not know the topic: if there are records again, they may be another one's.
    pub(super) is_lost: bool,
    pub(super) leaders: Leaders,
    /// It was said that there is a batch that cannot be unpacked.
    pub(super) is_unpackable_said: bool,
    pub(super) shares: BTreeMap<i32, Share>,
}

/// Why a thread ends before its time.
enum Stop {
    /// Nobody listens any more.
    Unwanted,
    Failed(SeamError),
}

impl Reader {
    /// Reads until nobody wants it any more, all partitions have ended or it cannot go on; says so in that case.
    pub(super) fn run(mut self) {
        match self.read() {
            Ok(()) | Err(Stop::Unwanted) => {}
            Err(Stop::Failed(error)) => {
                let _ = self.outgoing.blocking_send(Err(error));
            }
        }
    }

    fn read(&mut self) -> Result<(), Stop> {
        let partitions: Vec<i32> = self.shares.keys().copied().collect();
        self.assign(&partitions)?;
        self.finish_those_at_their_end()?;
        let mut gathered = false;
        while !self.unwanted.load(Ordering::Relaxed) {
            while let Ok(share) = self.further.try_recv() {
                let partition = share.partition;
                self.shares.insert(partition, share);
                self.assign(&[partition])?;
            }
            if self.shares.is_empty() {
                return Ok(());
            }
            let consumer = Arc::clone(&self.consumer);
            self.leaders.look(consumer.client(), &self.topic);
            let wait = if gathered { Duration::ZERO } else { POLL };
            let polled = consumer.poll(wait);
            if consumer.client().context().has_another_topic() {
                return Err(self.compared("was deleted and made anew"));
            }
            match polled {
                Some(Ok(message)) => {
                    self.take(&message)?;
                    gathered = true;
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => self.at_the_end(partition)?,
                Some(Err(error)) => self.fault(error)?,
                None => {
                    self.flush()?;
                    gathered = false;
                }
            }
        }
        Ok(())
    }

    fn assign(&self, partitions: &[i32]) -> Result<(), Stop> {
        let mut list = TopicPartitionList::new();
        let added = partitions.iter().try_for_each(|partition| {
            let next = self.shares[partition].gathering.next();
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(i64::try_from(next).unwrap_or(i64::MAX)))
        });
        added
            .and_then(|()| self.consumer.incremental_assign(&list))
            .map_err(|error| Stop::Failed(seam_error(format!("{} cannot be read", self.topic), error)))
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) -> Result<(), Stop> {
        if self.is_lost && self.is_found() {
            return Err(self.compared("is known to the brokers again"));
        }
        let Some(share) = self.shares.get_mut(&message.partition()) else { return Ok(()) };
        let offset = u64::try_from(message.offset()).unwrap_or(0);
        if share.until.is_some_and(|until| offset >= until) {
            return self.finish(message.partition());
        }
        match (message.payload(), self.tombstones, self.envelope) {
            (None, Tombstones::Skip, _) => share.gathering.pass(offset),
            (value, _, Some(envelope)) => {
                let parts = Parts {
                    topic: &self.topic,
                    partition: message.partition(),
                    offset,
                    timestamp: message.timestamp().to_millis(),
                    key: message.key(),
                    value,
                };
                let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
                envelope.write(parts, headers.map(|header| (header.key, header.value)), &mut self.enveloped);
                share.gathering.take(offset, &self.enveloped);
            }
            (Some(value), _, None) => share.gathering.take(offset, value),
            (None, Tombstones::Decode, None) => share.gathering.take(offset, b""),
        }
        share.gathering.saw(LastRecord::of(message));
        let full = share.gathering.is_full();
        if share.until.is_some_and(|until| offset + 1 >= until) {
            return self.finish(message.partition());
        }
        if full {
            let batch = self.shares.get_mut(&message.partition()).and_then(|share| share.gathering.batch());
            return batch.map_or(Ok(()), |batch| self.say(SourceEvent::Records(batch)));
        }
        if self.shares.values().map(|share| share.gathering.bytes()).sum::<usize>() >= GATHERED_BYTES_MAX {
            return self.flush();
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Stop> {
        let batches: Vec<_> = self.shares.values_mut().filter_map(|share| share.gathering.batch()).collect();
        batches.into_iter().try_for_each(|batch| self.say(SourceEvent::Records(batch)))
    }

    /// Everything that is there of a partition has been yielded.
    fn at_the_end(&mut self, partition: i32) -> Result<(), Stop> {
        let Some(share) = self.shares.get_mut(&partition) else { return Ok(()) };
        if share.until.is_some() {
            return self.finish(partition);
        }
        let (batch, id) = (share.gathering.batch(), share.gathering.id().clone());
        if let Some(batch) = batch {
            self.say(SourceEvent::Records(batch))?;
        }
        self.say(SourceEvent::CaughtUp(id))
    }

    fn finish_those_at_their_end(&mut self) -> Result<(), Stop> {
        let ended = |share: &Share| share.until.is_some_and(|until| share.gathering.next() >= until);
        let partitions: Vec<i32> =
            self.shares.values().filter(|share| ended(share)).map(|share| share.partition).collect();
        partitions.into_iter().try_for_each(|partition| self.finish(partition))
    }

    fn finish(&mut self, partition: i32) -> Result<(), Stop> {
        let Some(mut share) = self.shares.remove(&partition) else { return Ok(()) };
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.topic, partition);
        let _ = self.consumer.incremental_unassign(&list);
        if let Some(batch) = share.gathering.batch() {
            self.say(SourceEvent::Records(batch))?;
        }
        self.say(SourceEvent::PartitionFinished(share.gathering.id().clone()))
    }

    /// What the client says instead of a record. It mends most things itself, and says so for the log.
    fn fault(&mut self, error: KafkaError) -> Result<(), Stop> {
        match error.rdkafka_error_code() {
            Some(Code::OffsetOutOfRange | Code::AutoOffsetReset) => self.step_over_what_is_gone(),
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
                self.is_lost = true;
                let message = format!("{}: the brokers do not know it any more: was it deleted?", self.topic);
                self.say(SourceEvent::Trouble { message, partition: None })
            }
            Some(Code::BadCompression) if std::mem::replace(&mut self.is_unpackable_said, true) => Ok(()),
            Some(Code::BadCompression) => {
                self.say(SourceEvent::Trouble { message: cannot_unpack(&self.topic), partition: None })
            }
            _ if kind_of(&error) == ErrorKind::Retry => {
                tracing::warn!(topic = self.topic, %error, "reading goes on when the brokers do");
                self.leaders.hear(&error);
                Ok(())
            }
            _ => Err(Stop::Failed(seam_error(format!("{} cannot be read on", self.topic), error))),
        }
    }

    /// Whoever begins anew looks whether the topic is the one that was read.
    fn compared(&self, happened: &str) -> Stop {
        let message = format!("{} {happened}; it is compared with what was read", self.topic);
        Stop::Failed(SeamError::new(ErrorKind::Retry, message))
    }

    /// Whether the brokers know the topic.
    fn is_found(&self) -> bool {
        let answer = self.consumer.fetch_metadata(Some(&self.topic), ANSWER_DEADLINE);
        answer.is_ok_and(|answer| {
            answer.topics().iter().all(|topic| topic.error().is_none() && !topic.partitions().is_empty())
        })
    }

    /// The brokers no longer have the record at which a partition should go on: says what is missing and goes on with what
    /// there is, or stops where the partition is not the one that was read.
    fn step_over_what_is_gone(&mut self) -> Result<(), Stop> {
        self.flush()?;
        let partitions: Vec<i32> = self.shares.keys().copied().collect();
        for partition in partitions {
            let there = extent(&self.consumer, &self.topic, partition).map_err(Stop::Failed)?;
            let gathering = &mut self.shares.get_mut(&partition).expect("it is in the list").gathering;
            let Some(trouble) = step_over(gathering, there).map_err(Stop::Failed)? else { continue };
            let mut list = TopicPartitionList::new();
            list.add_partition(&self.topic, partition);
            let _ = self.consumer.incremental_unassign(&list);
            self.assign(&[partition])?;
            self.say(trouble)?;
        }
        Ok(())
    }

    fn say(&self, event: SourceEvent) -> Result<(), Stop> {
        self.outgoing.blocking_send(Ok(event)).map_err(|_| Stop::Unwanted)
    }
}

/// Compares where a partition should go on with what it holds; moves on to its beginning, with words about what is missing,
/// where records were deleted before they were read.
///
/// # Errors
/// `Corrupt` when it ends before that place: it is another topic of the same name.
pub(super) fn step_over(gathering: &mut Gathering, there: Extent) -> SeamResult<Option<SourceEvent>> {
    let (next, id) = (gathering.next(), gathering.id().clone());
    if next > there.end {
        let message = format!(
            "{id} was read up to record {next}, but ends at record {}: the topic was made anew, or lost records; give \
             the source another name to read it from its beginning",
            there.end
        );
        return Err(SeamError::new(ErrorKind::Corrupt, message));
    }
    if next >= there.start {
        return Ok(None);
    }
    let message = format!(
        "{id}: records {next} to {} were deleted before they were read: let the topic keep more, or read it sooner",
        there.start - 1
    );
    gathering.skip_to(there.start);
    Ok(Some(SourceEvent::Trouble { message, partition: Some(id) }))
}
