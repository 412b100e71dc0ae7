//! Topics as a file says they should be: what is missing is created, what is too small grows. Refuses to take anything away: no
//! topic is deleted, no partition, no setting of a topic that is there is changed.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::KafkaResult;
use rdkafka::types::RDKafkaErrorCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_model::{ErrorKind, SeamError, SeamResult};

use crate::{Connection, SaslConfig, Speaker, TlsConfig, client_of, for_writing, is_broker, is_topic_name, seam_error};

/// How long the brokers may take for one answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// How long it waits before it asks again.
const ASKED_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// Topics, and the brokers that should have them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicsFile {
    /// Some of the brokers, `host:port`.
    pub brokers: Vec<String>,
    /// Encrypts the connection; `tls: {}` trusts the authorities that the system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// Says who Weir is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sasl: Option<SaslConfig>,
    /// Further settings of the client library, librdkafka, by their names there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub client: BTreeMap<String, String>,
    /// The topics, by their names.
    pub topics: BTreeMap<String, TopicConfig>,
}

/// How a topic should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopicConfig {
    /// How many partitions.
    pub partitions: i32,
    /// On how many brokers each of them is. Default: what the brokers say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication: Option<i32>,
    /// Settings of the topic, by their names in Kafka, such as `retention.ms`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
}

/// What becomes of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicOutcome {
    /// It was not there.
    Created,
    /// It had so many partitions.
    Grown {
        /// Before.
        from: i32,
    },
    /// It is as the file says.
    AsItIs,
    /// It is otherwise, and stays so: what is different.
    Differs(Vec<String>),
}

impl TopicsFile {
    /// What makes no sense: the key it is about, and what is wrong. Nothing is asked of the brokers.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        if self.brokers.is_empty() {
            problems.push(("brokers".to_owned(), "there is no broker".to_owned()));
        }
        for broker in self.brokers.iter().filter(|broker| !is_broker(broker)) {
            problems.push(("brokers".to_owned(), format!("`{broker}` is not a broker's host:port")));
        }
        for (name, topic) in &self.topics {
            if !is_topic_name(name) {
                let message = format!("`{name}` cannot be a topic: letters, digits, `.`, `_` and `-`");
                problems.push((format!("topics.{name}"), message));
            }
            if topic.partitions < 1 {
                problems.push((format!("topics.{name}.partitions"), "a topic has at least one partition".to_owned()));
            }
            if topic.replication.is_some_and(|replication| replication < 1) {
                let message = "a partition is on at least one broker".to_owned();
                problems.push((format!("topics.{name}.replication"), message));
            }
        }
        problems
    }

    /// Makes the topics as the file says, or with `dry_run` only tells what would be done.
    ///
    /// # Errors
    /// `Config` when the brokers refuse a topic, `Retry` when they do not answer.
    pub async fn apply(&self, dry_run: bool) -> SeamResult<Vec<(String, TopicOutcome)>> {
        let connection = Connection {
            brokers: &self.brokers,
            tls: self.tls.as_ref(),
            sasl: self.sasl.as_ref(),
            client: &self.client,
        };
        let speaker = Speaker::default();
        let admin: AdminClient<Speaker> = client_of(&for_writing(&connection.settings()?), speaker)?;
        let mut outcomes = Vec::new();
        for (name, topic) in &self.topics {
            outcomes.push((name.clone(), applied(&admin, name, topic, dry_run).await?));
        }
        Ok(outcomes)
    }
}

/// Makes one topic as it should be.
async fn applied(
    admin: &AdminClient<Speaker>,
    name: &str,
    topic: &TopicConfig,
    dry_run: bool,
) -> SeamResult<TopicOutcome> {
    let started = Instant::now();
    let there = loop {
        match partitions(admin, name)? {
            Some(there) => break there,
            None if dry_run => return Ok(TopicOutcome::Created),
            None => match create(admin, name, topic).await {
                Ok(()) => return Ok(TopicOutcome::Created),
                // One broker has it, and another has not heard of it yet.
                Err(RDKafkaErrorCode::TopicAlreadyExists) if started.elapsed() < ANSWER_DEADLINE => {
                    tokio::time::sleep(ASKED_AGAIN_AFTER).await;
                }
                Err(code) => return Err(refused(&format!("topic {name} was not created"), code)),
            },
        }
    };
    let differences = differences(admin, name, topic, there).await?;
    if !differences.is_empty() {
        return Ok(TopicOutcome::Differs(differences));
    }
    if there == topic.partitions {
        return Ok(TopicOutcome::AsItIs);
    }
    if !dry_run {
        grow(admin, name, topic).await?;
    }
    Ok(TopicOutcome::Grown { from: there })
}

/// How many partitions a topic has; `None` when it is not there.
fn partitions(admin: &AdminClient<Speaker>, name: &str) -> SeamResult<Option<i32>> {
    let client = admin.inner();
    let metadata = client
        .fetch_metadata(None, ANSWER_DEADLINE)
        .map_err(|error| client.context().seam_error("the brokers did not say which topics there are", error))?;
    let known = metadata.topics().iter().find(|known| known.name() == name);
    Ok(known.map(|known| i32::try_from(known.partitions().len()).unwrap_or(i32::MAX)))
}

fn options() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(ANSWER_DEADLINE)).operation_timeout(Some(ANSWER_DEADLINE))
}

async fn create(admin: &AdminClient<Speaker>, name: &str, topic: &TopicConfig) -> Result<(), RDKafkaErrorCode> {
    // -1 is what the brokers say.
    let replication = TopicReplication::Fixed(topic.replication.unwrap_or(-1));
    let new = NewTopic::new(name, topic.partitions, replication);
    let new = topic.config.iter().fold(new, |new, (key, value)| new.set(key, value));
    let answer = admin.create_topics([&new], &options()).await;
    let answer = answer.map_err(|error| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail))?;
    answer.into_iter().try_for_each(|each| each.map(drop).map_err(|(_, code)| code))
}

async fn grow(admin: &AdminClient<Speaker>, name: &str, topic: &TopicConfig) -> SeamResult<()> {
    let change = NewPartitions::new(name, usize::try_from(topic.partitions).unwrap_or(0));
    answered(
        &format!("topic {name} was not given more partitions"),
        admin.create_partitions([&change], &options()).await,
    )
}

/// What a topic that is there has otherwise, in a way that is not mended here.
async fn differences(
    admin: &AdminClient<Speaker>,
    name: &str,
    topic: &TopicConfig,
    there: i32,
) -> SeamResult<Vec<String>> {
    let mut found = Vec::new();
    if there > topic.partitions {
        found.push(format!("it has {there} partitions, and partitions cannot be taken away"));
    }
    if topic.config.is_empty() {
        return Ok(found);
    }
    let asked = ResourceSpecifier::Topic(name);
    let doing = format!("the brokers did not say how topic {name} is set");
    let answer = admin.describe_configs([&asked], &options()).await;
    let answer = answer.map_err(|error| seam_error(doing.clone(), error))?;
    for resource in answer {
        let resource = resource.map_err(|code| refused(&doing, code))?;
        for (key, wanted) in &topic.config {
            let value = resource.get(key).and_then(|entry| entry.value.as_deref());
            if value != Some(wanted) {
                let shown = value.unwrap_or("not set");
                found.push(format!("{key} is {shown}; change it with the tools of Kafka, or in the file"));
            }
        }
    }
    Ok(found)
}

fn answered(doing: &str, answer: KafkaResult<Vec<Result<String, (String, RDKafkaErrorCode)>>>) -> SeamResult<()> {
    for each in answer.map_err(|error| seam_error(doing, error))? {
        each.map_err(|(_, code)| refused(doing, code))?;
    }
    Ok(())
}

fn refused(doing: &str, code: RDKafkaErrorCode) -> SeamError {
    SeamError::new(ErrorKind::Config, format!("{doing}: {code}"))
}
