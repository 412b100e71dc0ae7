//! Which topics and partitions there are, and where to begin in them. Everything here blocks on the brokers. Refuses to begin
//! where records are missing without saying so.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use regex::Regex;
use weir_kafka::{Speaker, kind_of, seam_error};
use weir_model::{ErrorKind, SeamError, SeamResult};

use super::config::{KafkaConfig, KafkaStart};

/// How long the brokers may take for one answer.
pub(super) const ANSWER_DEADLINE: Duration = Duration::from_secs(15);
/// How long the client is listened to for the reason why nobody answers, and how many reasons are heard.
const REASON_WAIT: Duration = Duration::from_millis(100);
const REASONS_MAX: usize = 50;
/// How many topics one source reads: each has a thread and connections of its own.
pub(super) const TOPICS_MAX: usize = 64;

/// How many partitions each topic has.
pub(super) type Topics = BTreeMap<String, i32>;

/// What is asked about topics.
pub(super) struct Wanted {
    names: Vec<String>,
    patterns: Vec<Regex>,
}

/// The records that a partition holds: from the first to before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Wanted {
    pub(super) fn new(topics: &[String]) -> SeamResult<Self> {
        let (patterns, names): (Vec<_>, Vec<_>) = topics.iter().cloned().partition(|topic| topic.starts_with('^'));
        let patterns = patterns
            .iter()
            .map(|pattern| {
                Regex::new(pattern).map_err(|error| {
                    SeamError::caused(ErrorKind::Config, format!("the pattern {pattern} of topics is not right"), error)
                })
            })
            .collect::<SeamResult<_>>()?;
        Ok(Self { names, patterns })
    }

    /// The topics that are wanted and there, with their partitions.
    ///
    /// # Errors
    /// `Config` when a topic that is named is not there, or there are too many; `Retry` when no broker answers.
    pub(super) fn find(&self, consumer: &BaseConsumer<Speaker>) -> SeamResult<Topics> {
        let mut found = Topics::new();
        for name in &self.names {
            let metadata =
                consumer.fetch_metadata(Some(name), ANSWER_DEADLINE).map_err(|error| unanswered(consumer, error))?;
            for topic in metadata.topics() {
                if let Some(code) = topic.error() {
                    return Err(unreadable(topic.name(), code));
                }
                found.insert(topic.name().to_owned(), partitions(topic.partitions().len()));
            }
        }
        if !self.patterns.is_empty() {
            let metadata =
                consumer.fetch_metadata(None, ANSWER_DEADLINE).map_err(|error| unanswered(consumer, error))?;
            for topic in metadata.topics() {
                let internal = topic.name().starts_with("__");
                if !internal && self.patterns.iter().any(|pattern| pattern.is_match(topic.name())) {
                    found.insert(topic.name().to_owned(), partitions(topic.partitions().len()));
                }
            }
        }
        if found.len() > TOPICS_MAX {
            let message = format!("{} topics are wanted, more than {TOPICS_MAX}: use several sources", found.len());
            return Err(SeamError::new(ErrorKind::Config, message));
        }
        Ok(found)
    }
}

fn partitions(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn unanswered(consumer: &BaseConsumer<Speaker>, error: rdkafka::error::KafkaError) -> SeamError {
    // Why is said only to those who listen.
    for _ in 0..REASONS_MAX {
        if consumer.poll(REASON_WAIT).is_none() {
            break;
        }
    }
    consumer.context().seam_error("the brokers did not say which topics there are", error)
}

fn unreadable(topic: &str, code: RDKafkaRespErr) -> SeamError {
    let error = rdkafka::error::KafkaError::MetadataFetch(code.into());
    let kind = kind_of(&error);
    let message = match kind {
        ErrorKind::Config => format!("the topic {topic} cannot be read: create it first, or correct its name"),
        ErrorKind::Retry | ErrorKind::Unknown | ErrorKind::Corrupt | ErrorKind::Closed => {
            format!("the topic {topic} cannot be read now")
        }
    };
    SeamError::caused(kind, message, error)
}

/// What a partition holds now.
pub(super) fn extent(consumer: &BaseConsumer<Speaker>, topic: &str, partition: i32) -> SeamResult<Extent> {
    let (start, end) = consumer
        .fetch_watermarks(topic, partition, ANSWER_DEADLINE)
        .map_err(|error| seam_error(format!("the brokers did not say what {topic}/{partition} holds"), error))?;
    Ok(Extent { start: u64::try_from(start).unwrap_or(0), end: u64::try_from(end).unwrap_or(0) })
}

/// Where to begin in a partition that was never read before.
pub(super) fn first_offset(
    consumer: &BaseConsumer<Speaker>,
    config: &KafkaConfig,
    topic: &str,
    partition: i32,
    extent: Extent,
) -> SeamResult<u64> {
    let mut asked = TopicPartitionList::new();
    let answer = match config.start {
        KafkaStart::Earliest => return Ok(extent.start),
        KafkaStart::Latest => return Ok(extent.end),
        KafkaStart::Committed => {
            asked.add_partition(topic, partition);
            consumer.committed_offsets(asked, ANSWER_DEADLINE)
        }
        KafkaStart::Timestamp(time) => {
            let added = asked.add_partition_offset(topic, partition, Offset::Offset(time.millis));
            added.and_then(|()| consumer.offsets_for_times(asked, ANSWER_DEADLINE))
        }
    };
    let answer = answer
        .map_err(|error| seam_error(format!("the brokers did not say where to begin in {topic}/{partition}"), error))?;
    let offset = answer.elements().first().map(|place| place.offset());
    Ok(match offset {
        Some(Offset::Offset(offset)) => u64::try_from(offset).unwrap_or(0).clamp(extent.start, extent.end),
        // No record is that young.
        Some(Offset::End) => extent.end,
        // The group has committed nothing.
        _ => extent.start,
    })
}
