//! What can be chosen about the log.

use std::collections::BTreeMap;
use std::time::Duration;

/// The most partitions of a topic: each has a thread and an open file.
pub const PARTITIONS_MAX: u32 = 64;
/// A topic's retention goes by whole segments: there are about this many of them in what is kept.
const SEGMENTS_KEPT: u64 = 8;
/// No segment is made smaller than this for the sake of a small retention.
const SEGMENT_BYTES_MIN: u64 = 1 << 20;

/// How a log keeps its topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A segment file is closed when it is this long, or sooner where the topic is kept small.
    pub segment_bytes: u64,
    /// Appends are gathered into one fsync up to this many bytes.
    pub group_bytes: usize,
    /// Appends that may wait for the disk, per partition; more wait for room before they are taken.
    pub queue_appends: usize,
    /// Bytes that may wait for the disk, per partition; more wait for room before they are taken.
    pub queue_bytes: usize,
    /// The longest record.
    pub record_bytes_max: usize,
    /// The most bytes of one append.
    pub append_bytes_max: usize,
    /// Keys of appends that are remembered, per partition; of more the oldest are forgotten. About 100 bytes of memory each.
    pub keys_max: usize,
    /// How long a key is remembered, also when its records are deleted sooner.
    pub keys_age: Duration,
    /// The topics that are not as the default says.
    pub topics: BTreeMap<String, TopicConfig>,
    /// The topics that are not named in `topics`.
    pub default_topic: TopicConfig,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            group_bytes: 1 << 20,
            queue_appends: 1024,
            queue_bytes: 64 << 20,
            record_bytes_max: 1 << 20,
            append_bytes_max: 128 << 20,
            keys_max: 1_000_000,
            keys_age: Duration::from_secs(24 * 3600),
            topics: BTreeMap::new(),
            default_topic: TopicConfig::default(),
        }
    }
}

impl LogConfig {
    /// How `topic` is kept.
    pub(crate) fn of(&self, topic: &str) -> TopicConfig {
        self.topics.get(topic).unwrap_or(&self.default_topic).clone()
    }

    /// As it is for the partitions of a topic kept like that: each keeps its share.
    pub(crate) fn for_partitions(&self, topic: &TopicConfig) -> (Self, Retain) {
        let share = topic.retain.bytes.map(|bytes| bytes / u64::from(topic.partitions.max(1)));
        let small_enough = share.map_or(u64::MAX, |bytes| (bytes / SEGMENTS_KEPT).max(SEGMENT_BYTES_MIN));
        let config = Self { segment_bytes: self.segment_bytes.min(small_enough), ..self.clone() };
        (config, Retain { bytes: share, ..topic.retain.clone() })
    }
}

/// How a topic is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// How many partitions take new records, 1 to [`PARTITIONS_MAX`]. Of a topic that had more before, the others are
    /// still read.
    pub partitions: u32,
    /// What may be deleted.
    pub retain: Retain,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self { partitions: 1, retain: Retain::default() }
    }
}

/// What of a topic may be deleted: whole segments, oldest first, as soon as one of the limits says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retain {
    /// While the topic is larger, all partitions together. `None`: size is no reason.
    pub bytes: Option<u64>,
    /// When all records of a segment are older. `None`: age is no reason.
    pub age: Option<Duration>,
    /// What becomes of records that some reader has not committed yet.
    pub unread: Unread,
}

impl Default for Retain {
    /// 10 GiB or 7 days, and never what was not read.
    fn default() -> Self {
        Self { bytes: Some(10 << 30), age: Some(Duration::from_secs(7 * 24 * 3600)), unread: Unread::Keep }
    }
}

/// What becomes of old records that some reader has not committed yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unread {
    /// They stay, whatever the limits say.
    #[default]
    Keep,
    /// They are deleted like others, which is logged and counted.
    Drop,
}
