//! The topics between workers: made when they are missing, and emptied of what everybody has read. Refuses to change a topic.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Handle;
use weir_kafka::{Introduction, Speaker, for_reading, for_writing, seam_error};
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::ANSWER_DEADLINE;
use crate::broker::Place;

/// As many replicas as the brokers think right.
const REPLICAS: TopicReplication<'static> = TopicReplication::Fixed(-1);
/// How often it is looked whether a topic that was just made is known, and how long it is waited in between.
const LOOKS_MAX: usize = 50;
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Makes and empties topics.
pub(super) struct Admin {
    way: Way,
    runtime: Handle,
}

enum Way {
    Whole(AdminClient<Speaker>),
    /// Clients that change topics are never asked for their events, and so cannot say by a token who they are: topics are only
    /// looked at.
    Looking(BaseConsumer<Speaker>),
}

impl Admin {
    pub(super) fn new(settings: &ClientConfig, introduction: Introduction, runtime: Handle) -> SeamResult<Self> {
        let failed = |error| seam_error("the Kafka client cannot be made", error);
        let way = if introduction.by_token {
            let client: BaseConsumer<Speaker> =
                for_reading(settings).create_with_context(Speaker::default()).map_err(failed)?;
            introduction.of(|time| drop(client.poll(time)));
            Way::Looking(client)
        } else {
            Way::Whole(for_writing(settings).create_with_context(Speaker::default()).map_err(failed)?)
        };
        Ok(Self { way, runtime })
    }

    /// Makes sure that a topic is there, with so many partitions.
    ///
    /// # Errors
    /// `Config` when it has another number of them, or may not be made.
    pub(super) fn topic(&self, name: &str, partitions: i32, settings: &[(&str, &str)]) -> SeamResult<()> {
        if self.has(name, partitions)? {
            return Ok(());
        }
        let Way::Whole(client) = &self.way else {
            let message = format!(
                "the topic {name}, through which workers share their work, is missing, and with oauthbearer it cannot be made: \
                 create it with {partitions} partitions"
            );
            return Err(SeamError::new(ErrorKind::Config, message));
        };
        let topic = settings
            .iter()
            .fold(NewTopic::new(name, partitions, REPLICAS), |topic, (key, value)| topic.set(key, value));
        let options =
            AdminOptions::new().request_timeout(Some(ANSWER_DEADLINE)).operation_timeout(Some(ANSWER_DEADLINE));
        let made = self.runtime.block_on(client.create_topics([&topic], &options));
        let made = made.map_err(|error| seam_error(format!("the topic {name} cannot be made"), error))?;
        for each in made {
            match each {
                // Another worker was faster.
                Ok(_) | Err((_, Code::TopicAlreadyExists)) => {}
                Err((_, code)) => {
                    let message =
                        format!("the topic {name}, through which workers share their work, cannot be made: {code}");
                    let kind = match code {
                        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed | Code::PolicyViolation => {
                            ErrorKind::Config
                        }
                        _ => ErrorKind::Retry,
                    };
                    return Err(SeamError::new(kind, message));
                }
            }
        }
        for _ in 0..LOOKS_MAX {
            if self.has(name, partitions)? {
                return Ok(());
            }
            std::thread::park_timeout(LOOK_AGAIN_AFTER);
        }
        Err(SeamError::new(ErrorKind::Retry, format!("the topic {name} was made, and the brokers do not know it yet")))
    }

    fn has(&self, name: &str, partitions: i32) -> SeamResult<bool> {
        let metadata = match &self.way {
            Way::Whole(client) => client.inner().fetch_metadata(Some(name), ANSWER_DEADLINE),
            Way::Looking(client) => client.fetch_metadata(Some(name), ANSWER_DEADLINE),
        };
        let metadata = metadata.map_err(|error| seam_error(format!("the brokers say nothing of {name}"), error))?;
        let Some(topic) = metadata.topics().iter().find(|topic| topic.name() == name) else { return Ok(false) };
        match i32::try_from(topic.partitions().len()).unwrap_or(i32::MAX) {
            0 => Ok(false),
            there if there == partitions => Ok(true),
            there => Err(SeamError::new(
                ErrorKind::Config,
                format!(
                    "the topic {name} has {there} partitions instead of {partitions}: workers.key_groups is for ever"
                ),
            )),
        }
    }

    /// Deletes what everybody has read; at the next time what was not deleted now.
    pub(super) fn delete_before(&self, offsets: &[(Place, u64)]) {
        let Way::Whole(client) = &self.way else { return };
        let mut list = TopicPartitionList::new();
        for (place, offset) in offsets.iter().filter(|(_, offset)| *offset > 0) {
            let offset = Offset::Offset(i64::try_from(*offset).unwrap_or(i64::MAX));
            let _ = list.add_partition_offset(&place.topic, place.partition, offset);
        }
        if list.count() == 0 {
            return;
        }
        let options =
            AdminOptions::new().request_timeout(Some(ANSWER_DEADLINE)).operation_timeout(Some(ANSWER_DEADLINE));
        if let Err(error) = self.runtime.block_on(client.delete_records(&list, &options)) {
            tracing::warn!(%error, "what was read of the partials was not deleted");
        }
    }
}
