//! What a pipeline file says about topics of the embedded log. Refuses to open one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_log::{Retain, TopicConfig};
use weir_model::{ByteSize, DurationText};

/// What is posted to `/api/v1/ingest/{stream}`; it goes to the embedded log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpConfig {
    /// The name of the stream in the address: letters, digits and `_`, beginning with a letter. It is the name of the
    /// topic too.
    pub stream: String,
    /// How many partitions take what is posted, 1 to 64. A request goes to one of them as a whole: the same one for the
    /// same `Weir-Partition-Key`, else each in its turn. Each is written by a thread of its own and has its own watermark.
    /// More can be had later; with fewer, those that are there are still read.
    #[serde(default = "one")]
    pub partitions: u32,
    /// When a post is answered.
    #[serde(default, skip_serializing_if = "Acknowledge::is_default")]
    pub acknowledge: Acknowledge,
    /// What of the topic is deleted, and when. Pipelines that read the same stream must say the same.
    #[serde(default)]
    pub retain: RetainConfig,
    /// What to do when records that are still to be read are damaged or gone.
    #[serde(default)]
    pub lost: Lost,
}

impl HttpConfig {
    /// The stream of this name, everything else as it is by default.
    pub fn new(stream: impl Into<String>) -> Self {
        Self {
            stream: stream.into(),
            partitions: one(),
            acknowledge: Acknowledge::default(),
            retain: RetainConfig::default(),
            lost: Lost::default(),
        }
    }

    /// How the topic is kept.
    pub fn topic(&self) -> TopicConfig {
        let RetainConfig { bytes, age, unread } = &self.retain;
        let retain = Retain { bytes: Some(bytes.0), age: Some(age.std()), unread: (*unread).into() };
        TopicConfig { partitions: self.partitions, retain }
    }
}

/// When a post is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Acknowledge {
    /// When its records are on disk: what was answered survives a crash.
    #[default]
    Durable,
    /// As soon as it was read: some milliseconds earlier, and what was answered in the last of them is lost when the process or
    /// the machine dies. The answer names no offsets. Posts with an `Idempotency-Key` are answered when they are on disk.
    Received,
}

impl Acknowledge {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A topic of the embedded log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// The topic's name.
    pub topic: String,
    /// Whether to wait for more at the end of the topic. `false` reads what is there at the start and ends.
    #[serde(default = "yes")]
    pub follow: bool,
    /// What to do when records that are still to be read are damaged or gone.
    #[serde(default)]
    pub lost: Lost,
}

impl LogConfig {
    /// The topic of this name, everything else as it is by default.
    pub fn new(topic: impl Into<String>) -> Self {
        Self { topic: topic.into(), follow: yes(), lost: Lost::default() }
    }
}

/// What of a topic is deleted: whole files of at most 64 MiB, oldest first, as soon as one of the limits says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetainConfig {
    /// As much is kept, all partitions together.
    pub bytes: ByteSize,
    /// As long it is kept.
    pub age: DurationText,
    /// What becomes of records that some pipeline has not committed yet.
    pub unread: Unread,
}

impl Default for RetainConfig {
    fn default() -> Self {
        Self { bytes: ByteSize(10 << 30), age: DurationText::secs(7 * 24 * 3600), unread: Unread::Keep }
    }
}

/// What becomes of old records that some pipeline has not committed yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Unread {
    /// They stay, whatever the limits say.
    #[default]
    Keep,
    /// They are deleted like others. That is logged and counted, and the pipeline goes on at the oldest record with trouble
    /// that says which are gone.
    Drop,
}

impl From<Unread> for weir_log::Unread {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Keep => Self::Keep,
            Unread::Drop => Self::Drop,
        }
    }
}

/// What to do when records that are still to be read are damaged or gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lost {
    /// The pipeline stops and says which records, in which file.
    #[default]
    Stop,
    /// The pipeline goes on behind them, with trouble that says which.
    Skip,
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}
