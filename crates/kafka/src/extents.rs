//! What partitions hold now. Refuses to read a record.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use weir_model::SeamResult;

use crate::{Connection, Speaker, seam_error};

/// How long the brokers may take for one answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(30);

/// The offset of the first record that a partition holds, and the one behind its last.
pub type Extent = (u64, u64);

/// What every partition of `topics` holds, by topic and partition. A topic that is not there has none. Blocks.
///
/// # Errors
/// `Config` when a setting is wrong, `Retry` when the brokers do not answer.
pub fn extents(connection: Connection<'_>, topics: &BTreeSet<String>) -> SeamResult<BTreeMap<(String, i32), Extent>> {
    let mut settings = connection.settings()?;
    settings.set("group.id", "weir-lag").set("enable.auto.commit", "false");
    let consumer: BaseConsumer<Speaker> = settings
        .create_with_context(Speaker::default())
        .map_err(|error| seam_error("the Kafka client cannot be made", error))?;
    connection.introduce(|time| drop(consumer.poll(time)));
    let mut found = BTreeMap::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), ANSWER_DEADLINE).map_err(|error| {
            consumer.context().seam_error(format!("the brokers did not say which partitions {topic} has"), error)
        })?;
        for partition in metadata.topics().iter().flat_map(|topic| topic.partitions()) {
            let (start, end) = consumer.fetch_watermarks(topic, partition.id(), ANSWER_DEADLINE).map_err(|error| {
                seam_error(format!("the brokers did not say what {topic}/{} holds", partition.id()), error)
            })?;
            let offset = |offset: i64| u64::try_from(offset).unwrap_or(0);
            found.insert((topic.clone(), partition.id()), (offset(start), offset(end)));
        }
    }
    Ok(found)
}
