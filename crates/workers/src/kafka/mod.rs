//! The brokers as they are: a member of a consumer group that says who has which partition, a client per topic that reads,
//! and one transactional producer. Keeps to the rules that ADR 0005 confirms.
//!
//! The member itself reads nothing: what a client has fetched ahead before partitions moved is gone with that client, so that
//! no record can come that is not the worker's any more.

mod admin;
mod member;
mod past;
mod producer;
mod reading;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};
use regex::Regex;
use tokio::runtime::Handle;
use weir_collect::{KafkaConfig, LastRecord};
use weir_kafka::{Asking, Ends, Introduction, Speaker, client_of, committed_within, for_reading, seam_error};
use weir_model::{ErrorKind, SeamError, SeamResult};

use self::admin::Admin;
use self::member::{Listener, Member};
pub use self::past::Past;
use self::producer::Sender;
use self::reading::Reading;
use crate::broker::{Broker, Committed, Event, Extent, Place, PlaceEnds, Transaction};
use crate::share::Share;

/// How long the brokers may take for one answer.
pub(crate) const ANSWER_DEADLINE: Duration = Duration::from_secs(15);
/// Offsets that are undecided for longer may be those whose markers were forgotten.
const DECIDED_AFTER: Duration = Duration::from_secs(5);
/// How long the brokers may take to say in the middle of a transaction what the one before has committed.
const SETTLED_WITHIN: Duration = Duration::from_secs(2);
/// How long it is waited in one go for records, so that the group is heard.
const WAIT_MAX: Duration = Duration::from_millis(5);
/// After so many records the group is listened to.
const RECORDS_BETWEEN: u32 = 256;

/// A worker's clients.
pub struct KafkaBroker {
    member: Member,
    sender: Sender,
    reading: Reading,
    admin: Admin,
    settings: ClientConfig,
    introduction: Introduction,
    topics: Vec<String>,
    /// Where the partitions end that are read.
    ends: Ends,
    _asking: Asking,
    /// How long it is waited for transactions that are about to say where reading goes on.
    undecided_within: Duration,
    unheard: u32,
    whoever: Whoever,
    /// Whether it was seen that there are several brokers.
    has_several: Cell<bool>,
    /// Topics that are those that were read. If one is made anew, the clients that read it say so, and this one is not used any
    /// more.
    compared: BTreeSet<Arc<str>>,
}

impl KafkaBroker {
    /// Joins the group as `instance`, after everything that an earlier one of that name left undecided is decided, and after
    /// the topics between workers are there; ends what an earlier life left behind.
    ///
    /// # Errors
    /// `Config` when a setting or topic is not right; `Retry` when no broker answers.
    pub fn open(share: &Share, instance: &str, runtime: Handle, past: &Past) -> SeamResult<Self> {
        let first: &KafkaConfig = &share.sources[0].kafka;
        let settings = first.connection().settings()?;
        let sharing = &share.sharing;
        let introduction = first.connection().introduction();
        let admin = Admin::new(&settings, introduction, runtime)?;
        let mut topics: Vec<String> = share.sources.iter().flat_map(|source| source.kafka.topics.clone()).collect();
        topics.sort();
        topics.dedup();
        let mut subscribed = topics.clone();
        if share.is_keyed() {
            admin.topic(&share.partials_topic(), i32::from(share.key_groups()), &[("retention.ms", "-1")])?;
            admin.topic(&share.answers_topic(), 1, &[("retention.ms", "3600000")])?;
            subscribed.push(share.partials_topic());
        }
        let id = format!("{}/{instance}", sharing.group);
        let sender = Sender::open(&settings, introduction, &id, (share, past.clone()))?;
        let refresh = share.sources.iter().map(|source| source.kafka.refresh.std()).min().unwrap_or(WAIT_MAX);
        let settings = for_reading(&settings);
        let member = Member::join(&settings, sharing, (instance, refresh), &subscribed)?;
        let buffer = share.sources.iter().map(|source| source.kafka.buffer_bytes_max.0).max().unwrap_or(16 << 20);
        let mut whoever = Whoever { settings: settings.clone(), introduction };
        whoever.settings.set("group.id", &sharing.group).set("isolation.level", "read_uncommitted");
        let ends = Ends::default();
        let asking = ends.ask(first.connection())?;
        Ok(Self {
            ends,
            _asking: asking,
            member,
            sender,
            reading: Reading::new(&settings, buffer, share),
            admin,
            settings,
            introduction,
            topics,
            undecided_within: sharing.transaction * 2 + ANSWER_DEADLINE,
            unheard: 0,
            whoever,
            has_several: Cell::new(false),
            compared: BTreeSet::new(),
        })
    }

    /// What this group has committed, once nothing of the last transaction of this process is undecided, nor left of what it gave up:
    /// nobody could read on behind that.
    fn own(&mut self, places: &[Place]) -> SeamResult<TopicPartitionList> {
        if let Some(last) = self.sender.last_places() {
            let settling = Settling::new(&self.member, &self.whoever, &self.has_several);
            let started = Instant::now();
            let is_settled = loop {
                match settling.is_settled(&last, DECIDED_AFTER) {
                    // They may be coming up.
                    None if started.elapsed() < self.undecided_within => {}
                    said => break said,
                }
            };
            match is_settled {
                Some(true) => {}
                Some(false) => drop(self.sender.decide()?),
                None => {
                    let message = "the brokers do not say whether the last transaction is decided";
                    return Err(SeamError::new(ErrorKind::Retry, message));
                }
            }
        }
        self.sender.end_leftovers()?;
        asked(self.member.client(), places, self.undecided_within)
    }
}

/// Who finds out whether the brokers have decided what was committed.
struct Settling<'a> {
    client: &'a BaseConsumer<Listener>,
    whoever: &'a Whoever,
    has_several: &'a Cell<bool>,
}

impl<'a> Settling<'a> {
    fn new(member: &'a Member, whoever: &'a Whoever, has_several: &'a Cell<bool>) -> Self {
        Self { client: member.client(), whoever, has_several }
    }

    /// Whether no transaction holds back what was committed of these partitions, or will not for longer than `within`; nothing,
    /// when the brokers do not say it.
    fn is_settled(&self, places: &[Place], within: Duration) -> Option<bool> {
        // Only a broker that is alone forgets markers: among several every partition has a leader.
        if !self.has_several.get() {
            let known = self.client.fetch_metadata(places.first().map(|place| &*place.topic), SETTLED_WITHIN);
            self.has_several.set(known.is_ok_and(|known| known.brokers().len() > 1));
        }
        if self.has_several.get() || asked(self.client, places, within).is_ok() {
            return Some(true);
        }
        self.whoever.is_answered(places).then(|| asked(self.client, places, SETTLED_WITHIN).is_ok())
    }
}

/// How somebody asks for what a group has committed who does not mind that it may be taken back.
struct Whoever {
    settings: ClientConfig,
    introduction: Introduction,
}

impl Whoever {
    /// Whether the brokers answer: those that are only slow do not.
    fn is_answered(&self, places: &[Place]) -> bool {
        let own: SeamResult<BaseConsumer<Speaker>> = client_of(&self.settings, Speaker::default());
        let Ok(own) = own else { return false };
        self.introduction.of(|time| drop(own.poll(time)));
        asked(&own, places, SETTLED_WITHIN).is_ok()
    }
}

/// What a group has committed; asks again for so long while brokers are coming up or transactions are undecided.
fn asked(
    group: &BaseConsumer<impl ConsumerContext>,
    places: &[Place],
    within: Duration,
) -> SeamResult<TopicPartitionList> {
    let partitions = places.iter().map(|place| (&*place.topic, place.partition));
    committed_within(group, partitions, within, std::thread::park_timeout)
        .map_err(|error| seam_error("the brokers did not say what the group has committed", error))
}

impl Broker for KafkaBroker {
    fn topics(&mut self) -> SeamResult<BTreeMap<Arc<str>, i32>> {
        let mut found = BTreeMap::new();
        let unanswered = |error| seam_error("the brokers did not say which topics there are", error);
        let scout = self.member.client();
        for name in self.topics.iter().filter(|topic| !topic.starts_with('^')) {
            let metadata = scout.fetch_metadata(Some(name), ANSWER_DEADLINE).map_err(unanswered)?;
            for topic in metadata.topics() {
                if let Some(code) = topic.error() {
                    let error = KafkaError::MetadataFetch(code.into());
                    return Err(seam_error(format!("the topic {name} cannot be read: create it first"), error));
                }
                found.insert(topic.name().into(), i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX));
            }
        }
        let patterns: Vec<Regex> = self
            .topics
            .iter()
            .filter(|topic| topic.starts_with('^'))
            .filter_map(|topic| Regex::new(topic).ok())
            .collect();
        if !patterns.is_empty() {
            let metadata = scout.fetch_metadata(None, ANSWER_DEADLINE).map_err(unanswered)?;
            for topic in metadata.topics().iter().filter(|topic| !topic.name().starts_with("__")) {
                if patterns.iter().any(|pattern| pattern.is_match(topic.name())) {
                    found.insert(topic.name().into(), i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX));
                }
            }
        }
        Ok(found)
    }

    fn extent(&mut self, place: &Place) -> SeamResult<Extent> {
        let (start, end) = self
            .member
            .client()
            .fetch_watermarks(&place.topic, place.partition, ANSWER_DEADLINE)
            .map_err(|error| seam_error(format!("the brokers did not say what {place} holds"), error))?;
        Ok(Extent { start: u64::try_from(start).unwrap_or(0), end: u64::try_from(end).unwrap_or(0) })
    }

    fn offset_at(&mut self, place: &Place, millis: i64) -> SeamResult<Option<u64>> {
        let failed = |error| seam_error(format!("the brokers did not say where to begin in {place}"), error);
        let mut asked = TopicPartitionList::new();
        asked.add_partition_offset(&place.topic, place.partition, Offset::Offset(millis)).map_err(failed)?;
        let answer = self.member.client().offsets_for_times(asked, ANSWER_DEADLINE).map_err(failed)?;
        Ok(answer.elements().first().and_then(|place| match place.offset() {
            Offset::Offset(offset) => u64::try_from(offset).ok(),
            _ => None,
        }))
    }

    fn committed(&mut self, group: Option<&str>, places: &[Place]) -> SeamResult<BTreeMap<Place, Committed>> {
        if places.is_empty() {
            return Ok(BTreeMap::new());
        }
        let answer = match group {
            None => self.own(places)?,
            Some(other) => {
                let mut settings = self.settings.clone();
                settings.set("group.id", other).set("isolation.level", "read_committed");
                let client: BaseConsumer<Speaker> = client_of(&settings, Speaker::default())?;
                self.introduction.of(|time| drop(client.poll(time)));
                asked(&client, places, self.undecided_within)?
            }
        };
        let mut committed = BTreeMap::new();
        for place in answer.elements() {
            if let Offset::Offset(offset) = place.offset() {
                let offset = u64::try_from(offset).unwrap_or(0);
                let metadata = place.metadata().to_owned();
                committed.insert(Place::new(place.topic(), place.partition()), Committed { offset, metadata });
            }
        }
        Ok(committed)
    }

    fn differing(&mut self, last: &BTreeMap<Place, LastRecord>) -> SeamResult<BTreeSet<Place>> {
        let mut topics = BTreeMap::<Arc<str>, BTreeMap<i32, LastRecord>>::new();
        for (place, last) in last.iter().filter(|(place, _)| !self.compared.contains(&place.topic)) {
            topics.entry(Arc::clone(&place.topic)).or_default().insert(place.partition, *last);
        }
        let mut differing = BTreeSet::new();
        for (topic, last) in topics {
            let others = self.reading.differing(&topic, last)?;
            if others.is_empty() {
                self.compared.insert(Arc::clone(&topic));
            }
            differing.extend(others.into_iter().map(|partition| Place { topic: Arc::clone(&topic), partition }));
        }
        Ok(differing)
    }

    fn read(&mut self, from: &[(Place, u64)], watched: Option<&Place>) -> SeamResult<()> {
        self.reading.start(from, watched)?;
        self.ends.want(from.iter().map(|(place, _)| (place.topic.to_string(), place.partition)));
        self.member.take_over()
    }

    fn let_go(&mut self) -> SeamResult<()> {
        self.reading.stop();
        self.member.let_go()
    }

    fn next(&mut self, wait: Duration) -> SeamResult<Option<Event>> {
        let until = Instant::now() + wait;
        loop {
            if self.unheard == 0
                && let Some(event) = self.member.hear(Duration::ZERO)?
            {
                return Ok(Some(event));
            }
            if let Some(event) = self.reading.next(Duration::ZERO)? {
                self.unheard = (self.unheard + 1) % RECORDS_BETWEEN;
                return Ok(Some(event));
            }
            self.unheard = 0;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            if let Some(event) = self.reading.next(left.min(WAIT_MAX))? {
                return Ok(Some(event));
            }
        }
    }

    fn commit(&mut self, transaction: &Transaction) -> SeamResult<()> {
        let member = self.member.metadata().ok_or_else(|| {
            SeamError::new(ErrorKind::Retry, "the group has given nothing yet, so that nothing can be committed")
        })?;
        let settling = Settling::new(&self.member, &self.whoever, &self.has_several);
        let is_settled = |places: &[Place]| settling.is_settled(places, SETTLED_WITHIN);
        self.sender.commit(transaction, &member, &is_settled)
    }

    fn ends(&self) -> Option<PlaceEnds> {
        let ends = self.ends.clone();
        let place = |((topic, partition), end): ((String, i32), u64)| (Place::new(topic, partition), end);
        Some(Arc::new(move || ends.known().into_iter().map(place).collect()))
    }

    fn delete_before(&mut self, offsets: &[(Place, u64)]) {
        self.admin.delete_before(offsets);
    }
}

/// Whether the brokers do not know a topic or partition, now or any more.
pub(crate) fn is_unknown(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition)
    )
}

/// Whether it is the client, or the brokers through it, that says so.
pub(crate) fn is_said_by_client(error: &SeamError) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if error.is::<KafkaError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether the brokers refuse this client because another one has its name.
pub(crate) fn is_namesake(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::FencedInstanceId | Code::ProducerFenced | Code::Fenced | Code::InvalidProducerEpoch)
    )
}
