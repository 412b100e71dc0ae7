//! What partitions hold now, and how far a group is in them. Refuses to read a record.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;
use regex::Regex;
use weir_model::{ErrorKind, SeamResult};

use crate::client::offsets_in;
use crate::{Connection, Speaker, TopicPartition, client_of, for_reading, kind_of, seam_error};

/// How long the brokers may take for one answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);
/// The same for what a group has committed, which is asked for again.
const COMMITTED_DEADLINE: Duration = Duration::from_secs(15);
/// Brokers that could not answer are left alone for so long.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The offset of the first record that a partition holds, and the one behind its last.
pub type Extent = (u64, u64);

/// What every partition of `topics` holds, by topic and partition; a topic that begins with `^` is a pattern. A topic that is not
/// there has none. Blocks.
///
/// # Errors
/// `Config` when a setting is wrong, `Retry` when the brokers do not answer.
pub fn extents(connection: Connection<'_>, topics: &BTreeSet<String>) -> SeamResult<BTreeMap<TopicPartition, Extent>> {
    let consumer = asking(connection, "weir-lag")?;
    let unknown = |topics: &str, error| {
        consumer.context().seam_error(format!("the brokers did not say which partitions {topics} has"), error)
    };
    let (patterns, names): (Vec<_>, Vec<_>) = topics.iter().partition(|topic| topic.starts_with('^'));
    let mut partitions = BTreeSet::new();
    let mut add = |topic: &MetadataTopic| {
        partitions.extend(topic.partitions().iter().map(|partition| (topic.name().to_owned(), partition.id())));
    };
    for topic in names {
        let metadata = consumer.fetch_metadata(Some(topic), ANSWER_DEADLINE).map_err(|error| unknown(topic, error))?;
        metadata.topics().iter().for_each(&mut add);
    }
    if !patterns.is_empty() {
        let patterns: Vec<Regex> = patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect();
        let metadata = consumer.fetch_metadata(None, ANSWER_DEADLINE).map_err(|error| unknown("each topic", error))?;
        let matches = |topic: &&MetadataTopic| {
            !topic.name().starts_with("__") && patterns.iter().any(|pattern| pattern.is_match(topic.name()))
        };
        metadata.topics().iter().filter(matches).for_each(&mut add);
    }
    let mut found = BTreeMap::new();
    for (topic, partition) in partitions {
        let (start, end) = consumer
            .fetch_watermarks(&topic, partition, ANSWER_DEADLINE)
            .map_err(|error| seam_error(format!("the brokers did not say what {topic}/{partition} holds"), error))?;
        let offset = |offset: i64| u64::try_from(offset).unwrap_or(0);
        found.insert((topic, partition), (offset(start), offset(end)));
    }
    Ok(found)
}

/// Where the consumer group `group` goes on in each of these partitions, and what it has said beside that; nothing of those of
/// which it has committed nothing.
/// Blocks.
///
/// # Errors
/// `Config` when a setting is wrong, `Retry` when the brokers do not answer.
pub fn group_offsets<'a>(
    connection: Connection<'_>,
    group: &str,
    partitions: impl IntoIterator<Item = &'a TopicPartition>,
) -> SeamResult<BTreeMap<TopicPartition, (u64, String)>> {
    let consumer = asking(connection, group)?;
    let partitions = partitions.into_iter().map(|(topic, partition)| (topic.as_str(), *partition));
    let answer = committed_within(&consumer, partitions, ANSWER_DEADLINE, |time| drop(consumer.poll(time)));
    let answer = answer.map_err(|error| {
        consumer.context().seam_error(format!("the brokers did not say what the group {group} has committed"), error)
    })?;
    Ok(offsets_in(&answer).into_iter().collect())
}

/// What the group of `consumer` has committed in each of these partitions. Asks again for as long as `within` while brokers come
/// up, nobody speaks for the group or transactions are undecided, and calls `wait` in between. Blocks.
///
/// # Errors
/// What the brokers said last, of all partitions or of one.
pub fn committed_within<'a>(
    consumer: &BaseConsumer<impl ConsumerContext>,
    partitions: impl IntoIterator<Item = (&'a str, i32)>,
    within: Duration,
    wait: impl Fn(Duration),
) -> Result<TopicPartitionList, KafkaError> {
    let mut asked = TopicPartitionList::new();
    for (topic, partition) in partitions {
        asked.add_partition(topic, partition);
    }
    let started = Instant::now();
    loop {
        let answer = consumer.committed_offsets(asked.clone(), within.min(COMMITTED_DEADLINE)).and_then(|answer| {
            let refused = answer.elements().iter().find_map(|place| place.error().err());
            refused.map_or(Ok(answer), Err)
        });
        match answer {
            Err(error) if kind_of(&error) == ErrorKind::Retry && started.elapsed() < within => wait(ASK_AGAIN_AFTER),
            answer => return answer,
        }
    }
}

/// A client that joins no group, and asks as `group`.
fn asking(connection: Connection<'_>, group: &str) -> SeamResult<BaseConsumer<Speaker>> {
    let mut settings = for_reading(&connection.settings()?);
    // As it is now: not as it will be when transactions that are open are decided.
    settings.set("group.id", group).set("enable.auto.commit", "false").set("isolation.level", "read_uncommitted");
    let consumer: BaseConsumer<Speaker> = client_of(&settings, Speaker::default())?;
    connection.introduce(|time| drop(consumer.poll(time)));
    Ok(consumer)
}
