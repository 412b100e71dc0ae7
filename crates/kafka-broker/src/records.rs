//! Records put into topics and read back whole, as an outsider sees them. Refuses to hide an aborted record: whoever reads
//! says whether only committed ones count.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};

use crate::{BrokerError, Cluster, PATIENCE};

/// Who may see what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Only records whose transaction was committed, and those outside of any.
    Committed,
    /// Everything.
    Uncommitted,
}

impl Isolation {
    /// The client's word for it.
    fn level(self) -> &'static str {
        match self {
            Self::Committed => "read_committed",
            Self::Uncommitted => "read_uncommitted",
        }
    }
}

/// A record as it lies in a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its place there.
    pub offset: i64,
    /// Its key, as text.
    pub key: Option<String>,
    /// Its value, as text; `None` is a tombstone.
    pub value: Option<String>,
    /// Its headers, as text.
    pub headers: Vec<(String, String)>,
}

impl Record {
    /// A record to be put somewhere.
    pub fn new(partition: i32, value: impl Into<String>) -> Self {
        Self { partition, value: Some(value.into()), ..Self::default() }
    }
}

/// Why the first record that was not stored was not.
#[derive(Clone, Default)]
struct Unstored(Arc<Mutex<Option<KafkaError>>>);

impl ClientContext for Unstored {}

impl ProducerContext for Unstored {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        }
    }
}

impl Cluster {
    /// Puts records into a topic, in this order, outside of any transaction, and waits until they are stored.
    ///
    /// # Errors
    /// `Refused` when one of them was not stored.
    pub fn put(&self, topic: &str, records: &[Record]) -> Result<(), BrokerError> {
        self.put_with(topic, records, &[("enable.idempotence", "true")])
    }

    /// As [`Cluster::put`], by a producer with these settings.
    ///
    /// # Errors
    /// `Refused` when one of them was not stored.
    pub fn put_with(&self, topic: &str, records: &[Record], settings: &[(&str, &str)]) -> Result<(), BrokerError> {
        let mut client = self.soon();
        for (name, value) in settings {
            client.set(*name, *value);
        }
        let unstored = Unstored::default();
        let producer: BaseProducer<Unstored> = client.create_with_context(unstored.clone()).map_err(refused)?;
        for record in records {
            let mut next = BaseRecord::<str, str>::to(topic).partition(record.partition);
            next.key = record.key.as_deref();
            next.payload = record.value.as_deref();
            next.headers = headers(record);
            while let Err((error, again)) = producer.send(next) {
                if !matches!(error, KafkaError::MessageProduction(code) if code == rdkafka::types::RDKafkaErrorCode::QueueFull)
                {
                    return Err(refused(error));
                }
                producer.poll(Duration::from_millis(10));
                next = again;
            }
        }
        producer.flush(PATIENCE).map_err(refused)?;
        let first = unstored.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.map_or(Ok(()), |error| Err(refused(error)))
    }

    /// Where each partition of a topic ends for a reader of committed records. Aborted records and markers count.
    ///
    /// # Errors
    /// `Refused` when the brokers do not say it.
    pub fn ends(&self, topic: &str) -> Result<Vec<i64>, BrokerError> {
        let client: BaseConsumer = self.client().set("isolation.level", "read_committed").create().map_err(refused)?;
        let started = Instant::now();
        loop {
            match ends(&client, topic) {
                Ok(ends) => return Ok(ends),
                // A broker that has just come back leads its partitions a moment later.
                Err(_) if started.elapsed() < PATIENCE => {}
                Err(error) => return Err(refused(error)),
            }
        }
    }

    /// What a group has committed of each partition of a topic; -1 where nothing.
    ///
    /// # Errors
    /// `Refused` when the brokers do not say it.
    pub fn committed(&self, topic: &str, group: &str) -> Result<Vec<i64>, BrokerError> {
        Ok(self.committed_with_text(topic, group)?.into_iter().map(|(offset, _)| offset).collect())
    }

    /// The same with what the group has said beside each offset.
    ///
    /// # Errors
    /// As [`Cluster::committed`].
    pub fn committed_with_text(&self, topic: &str, group: &str) -> Result<Vec<(i64, String)>, BrokerError> {
        let partitions = self.ends(topic)?.len();
        let client: BaseConsumer = self.client().set("group.id", group).create().map_err(refused)?;
        let mut asked = TopicPartitionList::new();
        asked.add_partition_range(topic, 0, i32::try_from(partitions).unwrap_or(i32::MAX) - 1);
        let started = Instant::now();
        let answer = loop {
            match client.committed_offsets(asked.clone(), PATIENCE) {
                Ok(answer) if answer.elements().iter().all(|at| at.error().is_ok()) => break answer,
                // A broker that has just come back knows its groups a moment later.
                Ok(_) | Err(_) if started.elapsed() < PATIENCE => {}
                Ok(_) => return Err(BrokerError::Refused(format!("what the group {group} has committed is not said"))),
                Err(error) => return Err(refused(error)),
            }
        };
        Ok(answer
            .elements()
            .iter()
            .map(|at| {
                let offset = at.offset().to_raw().filter(|offset| *offset >= 0).unwrap_or(-1);
                (offset, at.metadata().to_owned())
            })
            .collect())
    }

    /// For the message of a failed test: of each partition of these topics where a reader of committed records and one of all
    /// records come to the end, and what a group has committed.
    ///
    /// # Errors
    /// `Refused` when the brokers do not say it.
    pub fn standing(&self, topics: &[&str], group: &str) -> Result<String, BrokerError> {
        let client = |level: &str| -> Result<BaseConsumer, BrokerError> {
            self.client().set("isolation.level", level).set("group.id", group).create().map_err(refused)
        };
        let (committed, all, mut text) = (client("read_committed")?, client("read_uncommitted")?, String::new());
        for topic in topics {
            for partition in partitions(&all, topic).map_err(refused)? {
                let end = |client: &BaseConsumer| client.fetch_watermarks(topic, partition, PATIENCE).map_err(refused);
                let mut asked = TopicPartitionList::new();
                asked.add_partition(topic, partition);
                let of_group = all.committed_offsets(asked, PATIENCE).map_err(refused)?;
                let (_, stable) = end(&committed)?;
                let (start, end) = end(&all)?;
                let at = of_group.elements().first().map(|at| format!("{:?} {}", at.offset(), at.metadata()));
                text.push_str(&format!("{topic}/{partition}: {start} to {stable} of {end}, {at:?}\n"));
            }
        }
        Ok(text)
    }

    /// Waits until every transaction that touched a topic is decided and every partition shows it. A commit is answered
    /// before its markers are written, so a reader that comes at once may not see the records yet.
    ///
    /// # Errors
    /// `Refused` when the brokers take too long.
    pub fn settled(&self, topic: &str) -> Result<(), BrokerError> {
        let ends = |level: &str| -> Result<Vec<i64>, BrokerError> {
            let consumer: BaseConsumer = self.client().set("isolation.level", level).create().map_err(refused)?;
            ends(&consumer, topic).map_err(refused)
        };
        let started = Instant::now();
        while ends("read_committed")? != ends("read_uncommitted")? {
            if started.elapsed() > PATIENCE {
                return Err(BrokerError::Refused(format!("topic {topic} has an undecided transaction")));
            }
        }
        Ok(())
    }

    /// Everything that lies in a topic now, by partition and offset.
    ///
    /// # Errors
    /// `Refused` when the brokers do not yield it in time.
    pub fn read(&self, topic: &str, isolation: Isolation) -> Result<Vec<Record>, BrokerError> {
        let consumer: BaseConsumer = self
            .client()
            .set("group.id", "outsider")
            .set("isolation.level", isolation.level())
            .set("enable.partition.eof", "true")
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "20")
            .create()
            .map_err(refused)?;
        let partitions = from_the_beginning(&consumer, topic).map_err(refused)?;
        let mut records = until_the_end(&consumer, partitions)?;
        records.sort_by_key(|record| (record.partition, record.offset));
        Ok(records)
    }
}

fn ends(client: &BaseConsumer, topic: &str) -> KafkaResult<Vec<i64>> {
    let end = |partition| client.fetch_watermarks(topic, partition, PATIENCE).map(|(_, end)| end);
    partitions(client, topic)?.map(end).collect()
}

fn partitions(client: &BaseConsumer, topic: &str) -> KafkaResult<std::ops::Range<i32>> {
    let metadata = client.fetch_metadata(Some(topic), PATIENCE)?;
    let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    Ok(0..i32::try_from(partitions).unwrap_or(i32::MAX))
}

/// Has all partitions read whole; returns how many there are.
fn from_the_beginning(client: &BaseConsumer, topic: &str) -> KafkaResult<usize> {
    let partitions = partitions(client, topic)?;
    let mut all = TopicPartitionList::new();
    for partition in partitions.clone() {
        all.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    client.assign(&all)?;
    Ok(partitions.len())
}

/// A topic as its records come.
pub struct Tail(BaseConsumer);

impl Cluster {
    /// Reads a topic from its beginning on, for as long as somebody wants to know. A broker that is away is waited for.
    ///
    /// # Errors
    /// `Refused` when no broker says which partitions there are.
    pub fn tail(&self, topic: &str, isolation: Isolation) -> Result<Tail, BrokerError> {
        let consumer: BaseConsumer = self
            .soon()
            .set("group.id", "outsider")
            .set("isolation.level", isolation.level())
            .set("enable.auto.commit", "false")
            .set("fetch.wait.max.ms", "20")
            .create()
            .map_err(refused)?;
        from_the_beginning(&consumer, topic).map_err(refused)?;
        Ok(Tail(consumer))
    }
}

impl Tail {
    /// The next record; nothing when none came within `wait`.
    pub fn next(&self, wait: Duration) -> Option<Record> {
        let message = self.0.poll(wait)?.ok()?;
        Some(record(&message))
    }
}

fn until_the_end(consumer: &BaseConsumer, partitions: usize) -> Result<Vec<Record>, BrokerError> {
    let (mut records, mut ended) = (Vec::new(), std::collections::BTreeSet::new());
    let started = Instant::now();
    while ended.len() < partitions {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => records.push(record(&message)),
            Some(Err(KafkaError::PartitionEOF(partition))) => _ = ended.insert(partition),
            // A broker that is down for a moment comes back.
            Some(Err(error)) if started.elapsed() > PATIENCE => return Err(refused(error)),
            None if started.elapsed() > PATIENCE => {
                return Err(BrokerError::Refused(format!("only {ended:?} of {partitions} partitions were read whole")));
            }
            Some(Err(_)) | None => {}
        }
    }
    Ok(records)
}

fn record(message: &BorrowedMessage<'_>) -> Record {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers.iter().map(|header| (header.key.to_owned(), text(header.value.unwrap_or_default()))).collect()
    });
    Record {
        partition: message.partition(),
        offset: message.offset(),
        key: message.key().map(text),
        value: message.payload().map(text),
        headers,
    }
}

fn headers(record: &Record) -> Option<OwnedHeaders> {
    if record.headers.is_empty() {
        return None;
    }
    let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (key, value)| {
        headers.insert(rdkafka::message::Header { key, value: Some(value) })
    });
    Some(headers)
}

fn refused(error: KafkaError) -> BrokerError {
    BrokerError::Refused(error.to_string())
}
