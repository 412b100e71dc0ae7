//! The member of the group: hears who has which partition, and answers only when the worker does. Reads nothing.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::TopicPartitionList;
use rdkafka::client::OAuthToken;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use weir_kafka::{Speaker, kind_of, seam_error};
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::{is_namesake, is_unknown};
use crate::broker::{Event, Place};
use crate::share::Sharing;

/// How long a worker may be busy without listening to the group: snapshots, transactions and restores lie in between.
const BUSY_WITHIN_MS: &str = "300000";

/// Keeps what the group says until the worker asks.
#[derive(Clone, Default)]
pub(super) struct Listener {
    speaker: Speaker,
    said: Arc<Mutex<Said>>,
}

#[derive(Default)]
struct Said {
    events: VecDeque<Event>,
    /// The membership as it was when partitions were given: the only moment at which it may be asked.
    metadata: Option<Arc<ConsumerGroupMetadata>>,
    /// The worker does not listen any more.
    leaving: bool,
}

impl Listener {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Listener {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, token_file: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        self.speaker.generate_oauth_token(token_file)
    }
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.speaker.log(level, facility, message);
    }
    fn error(&self, error: KafkaError, reason: &str) {
        self.speaker.error(error, reason);
    }
}

impl ConsumerContext for Listener {
    /// Only remembers: partitions are taken over and let go by the worker, after it has restored or committed.
    fn rebalance(&self, client: &BaseConsumer<Self>, said: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let leaving = self.said().leaving;
        let metadata = client.group_metadata().map(Arc::new);
        let lost = client.assignment_lost();
        match said {
            _ if leaving => _ = client.unassign(),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                let places = partitions.elements().iter().map(|at| Place::new(at.topic(), at.partition())).collect();
                let mut said = self.said();
                said.metadata = metadata;
                said.events.push_back(Event::Assigned(places));
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                self.said().events.push_back(Event::Revoked { lost });
            }
            _ => _ = client.unassign(),
        }
    }
}

/// The member.
pub(super) struct Member {
    client: BaseConsumer<Listener>,
    listener: Listener,
}

impl Member {
    pub(super) fn join(
        settings: &ClientConfig,
        sharing: &Sharing,
        (instance, refresh): (&str, Duration),
        topics: &[String],
    ) -> SeamResult<Self> {
        let listener = Listener::default();
        let session = sharing.session.as_millis();
        let mut settings = settings.clone();
        settings
            .set("group.id", &sharing.group)
            .set("group.instance.id", instance)
            .set("group.protocol", "classic")
            // Eager: everything stops before anything moves, so that whoever gets a partition finds it decided.
            .set("partition.assignment.strategy", "range")
            .set("session.timeout.ms", session.to_string())
            .set("heartbeat.interval.ms", (session / 5).clamp(100, 3000).to_string())
            .set("max.poll.interval.ms", BUSY_WITHIN_MS)
            .set("topic.metadata.refresh.interval.ms", refresh.as_millis().clamp(100, 3_600_000).to_string())
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error");
        let failed = |error| seam_error("the group cannot be joined", error);
        let client: BaseConsumer<Listener> = settings.create_with_context(listener.clone()).map_err(failed)?;
        client.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>()).map_err(failed)?;
        Ok(Self { client, listener })
    }

    pub(super) fn client(&self) -> &BaseConsumer<Listener> {
        &self.client
    }

    /// The membership as it was when partitions were given last.
    pub(super) fn metadata(&self) -> Option<Arc<ConsumerGroupMetadata>> {
        self.listener.said().metadata.clone()
    }

    /// What the group says.
    pub(super) fn hear(&mut self, wait: Duration) -> SeamResult<Option<Event>> {
        match self.client.poll(wait) {
            None | Some(Ok(_)) => {}
            Some(Err(error)) if is_namesake(&error) => {
                return Err(SeamError::caused(
                    ErrorKind::Closed,
                    "another worker has this one's name, or had it once",
                    error,
                ));
            }
            Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                return Err(SeamError::caused(ErrorKind::Unknown, "the group cannot be heard any more", error));
            }
            // A topic that is not there is seen when partitions are looked for; one that was just made is soon known.
            Some(Err(error)) if kind_of(&error) == ErrorKind::Retry || is_unknown(&error) => {
                tracing::debug!(%error, "the group is not heard for now");
            }
            Some(Err(error)) => return Err(self.listener.speaker.seam_error("the group refuses this worker", error)),
        }
        Ok(self.listener.said().events.pop_front())
    }

    pub(super) fn take_over(&self) -> SeamResult<()> {
        // Of nothing: others read for the member.
        let taken = self.client.assign(&TopicPartitionList::new());
        taken.map_err(|error| seam_error("partitions cannot be taken over", error))
    }

    pub(super) fn let_go(&self) -> SeamResult<()> {
        self.listener.said().metadata = None;
        self.client.unassign().map_err(|error| seam_error("partitions cannot be let go", error))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.listener.said().leaving = true;
        let _ = self.client.unassign();
    }
}
