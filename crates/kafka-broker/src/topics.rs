//! Topics of a cluster, made and changed as a test needs them. Refuses to be a client library.

use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::{BrokerError, Cluster, PATIENCE};

/// How long it waits before it asks again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(100);

impl Cluster {
    /// A client's configuration that names this cluster and nothing else.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        config
    }

    /// The same for clients that see at once when a broker is away and others do its work: what a story measures then is not the
    /// patience of those who look on.
    pub(crate) fn soon(&self) -> ClientConfig {
        let mut config = self.client();
        config.set("reconnect.backoff.max.ms", "100").set("topic.metadata.refresh.interval.ms", "100");
        config
    }

    /// Creates a topic with a replica on every broker.
    ///
    /// # Errors
    /// `Refused` with the broker's reason.
    pub async fn topic(&self, name: &str, partitions: i32) -> Result<(), BrokerError> {
        self.topic_with(name, partitions, &[]).await
    }

    /// Creates a topic with settings of its own, `(key, value)`, and waits until the brokers say that it is there: the one that
    /// makes it answers before the others, and before itself as far as it is a broker, have heard of it.
    ///
    /// # Errors
    /// `Refused` with the broker's reason.
    pub async fn topic_with(&self, name: &str, partitions: i32, set: &[(&str, &str)]) -> Result<(), BrokerError> {
        let replicas = i32::try_from(self.nodes().min(3)).unwrap_or(1);
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
        let topic = set.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        answered(self.admin()?.create_topics([&topic], &options()).await)?;
        self.until_it_has(name, usize::try_from(partitions).unwrap_or(0))
    }

    /// Gives a topic more partitions, `partitions` in all.
    ///
    /// # Errors
    /// `Refused` with the broker's reason.
    pub async fn grow(&self, name: &str, partitions: usize) -> Result<(), BrokerError> {
        let change = NewPartitions::new(name, partitions);
        answered(self.admin()?.create_partitions([&change], &options()).await)?;
        self.until_it_has(name, partitions)
    }

    /// Waits until the brokers say that a topic has so many partitions, each with somebody who leads it; none: that it is not
    /// there.
    fn until_it_has(&self, name: &str, partitions: usize) -> Result<(), BrokerError> {
        let (client, started): (BaseConsumer, _) = (self.client().create().map_err(refused)?, Instant::now());
        loop {
            let known = client.fetch_metadata(None, PATIENCE).map_err(refused)?;
            let topic = known.topics().iter().find(|topic| topic.name() == name);
            let led = topic.map_or(0, |topic| topic.partitions().iter().filter(|one| one.leader() >= 0).count());
            match topic {
                None if partitions == 0 => return Ok(()),
                Some(_) if partitions > 0 && led == partitions => return Ok(()),
                Some(_) | None if started.elapsed() > PATIENCE => {
                    return Err(BrokerError::Refused(format!("topic {name} has {led} partitions of {partitions}")));
                }
                Some(_) | None => std::thread::park_timeout(ASKED_AGAIN_AFTER / 10),
            }
        }
    }

    /// Waits until every partition is on all brokers that should have it: then one of them may die.
    ///
    /// # Errors
    /// `Refused` when it takes too long.
    pub fn in_sync(&self) -> Result<(), BrokerError> {
        let (client, started): (BaseConsumer, _) = (self.client().create().map_err(refused)?, Instant::now());
        loop {
            let metadata = client.fetch_metadata(None, PATIENCE).map_err(refused)?;
            let behind = metadata.topics().iter().flat_map(|topic| topic.partitions());
            let behind = behind.filter(|partition| partition.isr().len() < partition.replicas().len()).count();
            match behind {
                0 if metadata.brokers().len() == self.nodes() => return Ok(()),
                _ if started.elapsed() > PATIENCE => {
                    return Err(BrokerError::Refused(format!("{behind} partitions are not on all of their brokers")));
                }
                _ => std::thread::park_timeout(ASKED_AGAIN_AFTER),
            }
        }
    }

    /// The broker that answers for a group: it leads the partition in which the offsets of the group are. Waits until somebody
    /// does.
    ///
    /// # Errors
    /// `Refused` when the brokers do not say it, or nobody does for too long.
    pub fn coordinator(&self, group: &str) -> Result<usize, BrokerError> {
        let (client, started): (BaseConsumer, _) = (self.client().create().map_err(refused)?, Instant::now());
        loop {
            match coordinator(&client, group) {
                Err(_) if started.elapsed() < PATIENCE => std::thread::park_timeout(ASKED_AGAIN_AFTER),
                answer => return answer,
            }
        }
    }

    /// Waits until the others have given up a broker that is dead; how long they took from now on.
    ///
    /// # Errors
    /// `Refused` when it takes too long.
    pub fn given_up(&self, id: usize) -> Result<Duration, BrokerError> {
        const LOOK_EVERY: Duration = Duration::from_millis(20);
        let (client, started): (BaseConsumer, _) = (self.soon().create().map_err(refused)?, Instant::now());
        while started.elapsed() < PATIENCE {
            let known = client.fetch_metadata(Some("__consumer_offsets"), LOOK_EVERY * 10);
            if known.is_ok_and(|known| known.brokers().iter().all(|broker| usize::try_from(broker.id()) != Ok(id))) {
                return Ok(started.elapsed());
            }
            std::thread::park_timeout(LOOK_EVERY);
        }
        Err(BrokerError::Refused(format!("broker {id} is not given up")))
    }

    /// Deletes a topic and its records, and waits until the brokers do not know it any more.
    ///
    /// # Errors
    /// `Refused` with the broker's reason.
    pub async fn delete_topic(&self, name: &str) -> Result<(), BrokerError> {
        answered(self.admin()?.delete_topics(&[name], &options()).await)?;
        self.until_it_has(name, 0)
    }

    /// Deletes the records of a partition before `offset`, as retention would.
    ///
    /// # Errors
    /// `Refused` with the broker's reason.
    pub async fn delete_records(&self, name: &str, partition: i32, offset: i64) -> Result<(), BrokerError> {
        let mut before = TopicPartitionList::new();
        before.add_partition_offset(name, partition, Offset::Offset(offset)).map_err(refused)?;
        self.admin()?.delete_records(&before, &options()).await.map(drop).map_err(refused)
    }

    /// Sets where a group goes on in a partition, as an operator's tool would. Waits until the group has no members.
    ///
    /// # Errors
    /// `Refused` with the broker's reason.
    pub fn set_offset(&self, group: &str, topic: &str, partition: i32, offset: i64) -> Result<(), BrokerError> {
        self.set_offsets(group, topic, &[(partition, offset, "")])
    }

    /// The same for several partitions, with what is said beside each offset.
    ///
    /// # Errors
    /// `Refused` with the broker's reason.
    pub fn set_offsets(&self, group: &str, topic: &str, offsets: &[(i32, i64, &str)]) -> Result<(), BrokerError> {
        let client: BaseConsumer = self.client().set("group.id", group).create().map_err(refused)?;
        let mut set = TopicPartitionList::new();
        for (partition, offset, text) in offsets {
            let mut at = set.add_partition(topic, *partition);
            at.set_offset(Offset::Offset(*offset)).map_err(refused)?;
            at.set_metadata(text);
        }
        until_free(|| client.commit(&set, CommitMode::Sync))
    }

    /// Deletes a group with everything that it has committed, as its expiry would. Waits until it has no members.
    ///
    /// # Errors
    /// `Refused` with the broker's reason.
    pub async fn delete_group(&self, group: &str) -> Result<(), BrokerError> {
        let (admin, started) = (self.admin()?, Instant::now());
        loop {
            let answer = admin.delete_groups(&[group], &options()).await.map_err(refused)?;
            match answer.into_iter().find_map(Result::err) {
                None => return Ok(()),
                Some((_, RDKafkaErrorCode::NonEmptyGroup)) if started.elapsed() < PATIENCE => {
                    std::thread::park_timeout(ASKED_AGAIN_AFTER);
                }
                Some((name, code)) => return Err(BrokerError::Refused(format!("group {name}: {code}"))),
            }
        }
    }

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, BrokerError> {
        self.client().create().map_err(refused)
    }
}

fn coordinator(client: &BaseConsumer, group: &str) -> Result<usize, BrokerError> {
    let metadata = client.fetch_metadata(Some("__consumer_offsets"), PATIENCE).map_err(refused)?;
    let partitions = metadata.topics().first().map_or(&[][..], |topic| topic.partitions());
    // As `Utils.abs(group.hashCode())` does in Java.
    let hash = group.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
    let of_group = (hash & i32::MAX) % i32::try_from(partitions.len()).unwrap_or(i32::MAX).max(1);
    let leader = partitions.iter().find(|partition| partition.id() == of_group).map(|partition| partition.leader());
    leader
        .and_then(|leader| usize::try_from(leader).ok())
        .ok_or_else(|| BrokerError::Refused(format!("nobody answers for the group {group}")))
}

/// Asks again while the group has members, which are given up only after their session.
fn until_free(mut ask: impl FnMut() -> KafkaResult<()>) -> Result<(), BrokerError> {
    let started = Instant::now();
    loop {
        match ask() {
            Ok(()) => return Ok(()),
            Err(error) if started.elapsed() > PATIENCE => return Err(refused(error)),
            Err(_) => std::thread::park_timeout(ASKED_AGAIN_AFTER),
        }
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

fn answered(answer: KafkaResult<Vec<Result<String, (String, RDKafkaErrorCode)>>>) -> Result<(), BrokerError> {
    for each in answer.map_err(refused)? {
        each.map_err(|(name, code)| BrokerError::Refused(format!("topic {name}: {code}")))?;
    }
    Ok(())
}

fn refused(error: KafkaError) -> BrokerError {
    BrokerError::Refused(error.to_string())
}
