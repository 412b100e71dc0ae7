//! The metrics of the topics of the log, asked for at every scrape. It knows the figures, not the log.

use std::fmt::{self, Error};
use std::sync::OnceLock;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::write::{Labels, counter, gauge};

/// The figures of one partition of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicMeasure {
    /// The topic.
    pub topic: String,
    /// The partition's number.
    pub partition: String,
    /// The oldest offset that is there.
    pub start: u64,
    /// The offset that the next record gets.
    pub end: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Bytes that stay beyond what is to be kept, because they were not read.
    pub held_bytes: u64,
    /// Bytes that were deleted.
    pub deleted_bytes: u64,
    /// Records that were deleted although some pipeline had not read them.
    pub deleted_unread_records: u64,
}

type Measure = Box<dyn Fn() -> Vec<TopicMeasure> + Send + Sync>;

#[derive(Default)]
pub(super) struct Topics(OnceLock<Measure>);

impl Topics {
    /// The first to be set is kept.
    pub(super) fn watch(&self, measure: Measure) {
        let _kept = self.0.set(measure);
    }
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topics").finish_non_exhaustive()
    }
}

impl Collector for Topics {
    fn encode(&self, mut to: DescriptorEncoder<'_>) -> Result<(), Error> {
        let topics = self.0.get().map(|measure| measure()).unwrap_or_default();
        let to = &mut to;
        let each = |value: fn(&TopicMeasure) -> u64| -> Vec<(Labels<'_>, f64)> {
            let series = topics.iter().map(|topic| {
                let labels = vec![("topic", topic.topic.as_str()), ("partition", topic.partition.as_str())];
                (labels, value(topic) as f64)
            });
            series.collect()
        };
        gauge(to, "log_start_offset", "The oldest offset that the log still has", each(|t| t.start))?;
        gauge(to, "log_end_offset", "The offset that the next record of the log gets", each(|t| t.end))?;
        gauge(to, "log_size_bytes", "Bytes of the log's segments", each(|t| t.bytes))?;
        let held = "Bytes that the log keeps beyond its retention, since some pipeline has not committed them";
        gauge(to, "log_held_bytes", held, each(|t| t.held_bytes))?;
        counter(to, "log_deleted_bytes", "Bytes that retention has deleted", each(|t| t.deleted_bytes))?;
        let unread = "Records that retention has deleted although some pipeline had not read them";
        counter(to, "log_deleted_unread_records", unread, each(|t| t.deleted_unread_records))
    }
}
