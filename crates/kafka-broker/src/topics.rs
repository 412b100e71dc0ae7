//! Topics of a cluster, made and changed as a test needs them. Refuses to be a client library.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::{BrokerError, Cluster};

/// How long the brokers may take for a change.
const DEADLINE: Duration = Duration::from_secs(60);

impl Cluster {
    /// A client's configuration that names this cluster and nothing else.
    pub fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.bootstrap());
        config
    }

    /// Creates a topic with a replica on every broker.
    ///
    /// # Errors
    /// `Refused` with the broker's reason.
    pub async fn topic(&self, name: &str, partitions: i32) -> Result<(), BrokerError> {
        self.topic_with(name, partitions, &[]).await
    }

    /// Creates a topic with settings of its own, `(key, value)`.
    ///
    /// # Errors
    /// `Refused` with the broker's reason.
    pub async fn topic_with(&self, name: &str, partitions: i32, set: &[(&str, &str)]) -> Result<(), BrokerError> {
        let replicas = i32::try_from(self.nodes().min(3)).unwrap_or(1);
        let topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replicas));
        let topic = set.iter().fold(topic, |topic, (key, value)| topic.set(key, value));
        answered(self.admin()?.create_topics([&topic], &options()).await)
    }

    /// Gives a topic more partitions, `partitions` in all.
    ///
    /// # Errors
    /// `Refused` with the broker's reason.
    pub async fn grow(&self, name: &str, partitions: usize) -> Result<(), BrokerError> {
        let change = NewPartitions::new(name, partitions);
        answered(self.admin()?.create_partitions([&change], &options()).await)
    }

    /// Deletes a topic and its records.
    ///
    /// # Errors
    /// `Refused` with the broker's reason.
    pub async fn delete_topic(&self, name: &str) -> Result<(), BrokerError> {
        answered(self.admin()?.delete_topics(&[name], &options()).await)
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

    fn admin(&self) -> Result<AdminClient<DefaultClientContext>, BrokerError> {
        self.client().create().map_err(refused)
    }
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(DEADLINE)).operation_timeout(Some(DEADLINE))
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
