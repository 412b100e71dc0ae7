//! Clients that read the partitions of one assignment, one per topic: the client says which partition has come to its end,
//! but not of which topic. A new assignment has new clients.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use weir_collect::{Envelope, EnvelopeParts, LastRecord, Tombstones, differing};
use weir_kafka::{Leaders, Speaker, cannot_unpack, client_of, fetch_ahead, kind_of, read_committed_only, seam_error};
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::is_unknown;
use crate::broker::{Event, Place};
use crate::restore::source_of;
use crate::share::{Share, SharedSource};

/// After so many records of one topic it is another one's turn.
const TURN: u32 = 512;

struct Topic {
    name: Arc<str>,
    client: BaseConsumer<Speaker>,
    leaders: Leaders,
    wrap: Option<Wrap>,
    /// It was said that there is a batch that cannot be unpacked.
    is_unpackable_said: bool,
}

/// How records are put into envelopes.
#[derive(Clone, Copy)]
struct Wrap {
    envelope: Envelope,
    tombstones: Tombstones,
}

impl Wrap {
    /// The record as its reader takes it.
    fn value(self, topic: &str, message: &BorrowedMessage<'_>) -> Option<Vec<u8>> {
        if message.payload().is_none() && self.tombstones == Tombstones::Skip {
            return None;
        }
        let parts = EnvelopeParts {
            topic,
            partition: message.partition(),
            offset: u64::try_from(message.offset()).unwrap_or(0),
            timestamp: message.timestamp().to_millis(),
            key: message.key(),
            value: message.payload(),
        };
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        let mut enveloped = Vec::new();
        self.envelope.write(parts, headers.map(|header| (header.key, header.value)), &mut enveloped);
        Some(enveloped)
    }
}

/// The clients.
pub(super) struct Reading {
    settings: ClientConfig,
    buffer_bytes: u64,
    sources: Vec<SharedSource>,
    /// What workers tell one another is in no envelope.
    between: [String; 2],
    topics: Vec<Topic>,
    turn: usize,
    /// How many records the topic whose turn it is has yielded.
    taken: u32,
}

impl Reading {
    pub(super) fn new(settings: &ClientConfig, buffer_bytes: u64, share: &Share) -> Self {
        let mut settings = settings.clone();
        read_committed_only(&mut settings, "weir-reader");
        let (sources, between) = (share.sources.clone(), [share.partials_topic(), share.answers_topic()]);
        Self { settings, buffer_bytes, sources, between, topics: Vec::new(), turn: 0, taken: 0 }
    }

    pub(super) fn start(&mut self, from: &[(Place, u64)], watched: Option<&Place>) -> SeamResult<()> {
        self.stop();
        let mut lists = BTreeMap::<Arc<str>, TopicPartitionList>::new();
        let failed = |error| seam_error("partitions cannot be read", error);
        let places = from.iter().map(|(place, next)| (place, Offset::Offset(i64::try_from(*next).unwrap_or(i64::MAX))));
        for (place, offset) in places.chain(watched.map(|place| (place, Offset::End))) {
            let list = lists.entry(Arc::clone(&place.topic)).or_default();
            list.add_partition_offset(&place.topic, place.partition, offset).map_err(failed)?;
        }
        let topics = lists.len();
        for (name, list) in lists {
            let mut settings = self.settings.clone();
            fetch_ahead(&mut settings, self.buffer_bytes, topics);
            let client: BaseConsumer<Speaker> = settings.create_with_context(Speaker::default()).map_err(failed)?;
            client.assign(&list).map_err(failed)?;
            let wrap = self.wrap(&name);
            let leaders = Leaders::default();
            self.topics.push(Topic { name, client, leaders, wrap, is_unpackable_said: false });
        }
        Ok(())
    }

    /// How the records of a topic are put into envelopes, if they are.
    fn wrap(&self, topic: &str) -> Option<Wrap> {
        if self.between.iter().any(|between| between == topic) {
            return None;
        }
        let kafka = &self.sources[source_of(&self.sources, topic)?].kafka;
        Some(Wrap { envelope: kafka.envelope?, tombstones: kafka.tombstones })
    }

    /// The partitions of a topic that have another record where the last one was read.
    pub(super) fn differing(&self, topic: &str, last: BTreeMap<i32, LastRecord>) -> SeamResult<BTreeSet<i32>> {
        let client: BaseConsumer<Speaker> = client_of(&self.settings, Speaker::default())?;
        differing(&client, topic, last)
    }

    pub(super) fn stop(&mut self) {
        self.topics.clear();
        (self.turn, self.taken) = (0, 0);
    }

    /// What comes next of any topic; waits for the one whose turn it is.
    pub(super) fn next(&mut self, wait: Duration) -> SeamResult<Option<Event>> {
        if self.topics.is_empty() {
            std::thread::park_timeout(wait);
            return Ok(None);
        }
        for asked in 0..self.topics.len() {
            let wait = if asked == 0 { wait } else { Duration::ZERO };
            if let Some(event) = self.topics[self.turn].next(wait)? {
                self.taken += 1;
                if self.taken >= TURN {
                    self.pass();
                }
                return Ok(Some(event));
            }
            self.pass();
        }
        Ok(None)
    }

    fn pass(&mut self) {
        self.turn = (self.turn + 1) % self.topics.len();
        self.taken = 0;
    }
}

impl Topic {
    fn next(&mut self, wait: Duration) -> SeamResult<Option<Event>> {
        self.leaders.look(self.client.client(), &self.name);
        let place = |partition| Place { topic: Arc::clone(&self.name), partition };
        let polled = self.client.poll(wait);
        if self.client.client().context().has_another_topic() {
            let message = format!("{} was deleted and made anew: what was read of it was another topic", self.name);
            return Err(SeamError::new(ErrorKind::Unknown, message));
        }
        let error = match polled {
            None => return Ok(None),
            Some(Ok(message)) => {
                let offset = u64::try_from(message.offset()).unwrap_or(0);
                let value = match self.wrap {
                    None => message.payload().map(<[u8]>::to_vec),
                    Some(wrap) => wrap.value(&self.name, &message),
                };
                let last = LastRecord::of(&message);
                return Ok(Some(Event::Record { place: place(message.partition()), offset, value, last }));
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => return Ok(Some(Event::End(place(partition)))),
            Some(Err(error)) => error,
        };
        match error.rdkafka_error_code() {
            // Records were deleted before they were read: going back to what is committed says so, and goes on behind them.
            Some(Code::OffsetOutOfRange | Code::AutoOffsetReset) => {
                let message = format!("{} has no more the records at which it is to be read on", self.name);
                Err(SeamError::caused(ErrorKind::Unknown, message, error))
            }
            _ if is_unknown(&error) => {
                let message = format!("the brokers do not know {} any more: was it deleted?", self.name);
                Err(SeamError::caused(ErrorKind::Unknown, message, error))
            }
            Some(Code::BadCompression) => {
                let is_said = std::mem::replace(&mut self.is_unpackable_said, true);
                Ok((!is_said).then(|| Event::Trouble(cannot_unpack(&self.name))))
            }
            _ if kind_of(&error) == ErrorKind::Retry => {
                tracing::warn!(topic = &*self.name, %error, "reading goes on when the brokers do");
                self.leaders.hear(&error);
                Ok(None)
            }
            _ => Err(seam_error(format!("{} cannot be read on", self.name), error)),
        }
    }
}
