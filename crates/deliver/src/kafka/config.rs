//! What a pipeline file says about a Kafka topic as an output. Refuses to reach out.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::row_format::RowFormat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::frame::ROW_ID;
use weir_kafka::{Connection, SaslConfig, TlsConfig, is_topic_name};
use weir_model::{ByteSize, DurationText};

/// For how long a record may wait for others.
const LINGER_MAX: Duration = Duration::from_secs(1);
/// What the client takes.
const BATCH_BYTES_MAX: u64 = 1 << 30;
const BATCH_RECORDS_MAX: u32 = 1_000_000;

/// A topic of Apache Kafka. A row that has a `row_id` carries it in the header `row_id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaOutput {
    /// Some of the brokers, `host:port`; the others are found through them. Needed without a `connection`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("examples" = [["localhost:9092"]]))]
    pub brokers: Vec<String>,
    /// The name of one of `connections`, which says `brokers`, `tls` and `sasl` in the place of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["shop"]))]
    pub connection: Option<String>,
    /// The topic. It must exist.
    pub topic: String,
    /// What is promised about every row.
    #[serde(default)]
    pub delivery: Delivery,
    /// The column whose value, as text, is the record's key: records of one key stay in order in one partition. Without it
    /// records are spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["app_id"]))]
    pub key: Option<String>,
    /// How each row is written: `json`, `csv`, `{ raw: { column: ... } }`, `{ json_schema: ... }`, `{ avro: ... }` or `{ protobuf: ... }`.
    #[serde(default)]
    #[schemars(extend("examples" = [{ "avro": { "registry": { "urls": ["http://localhost:8081"] } } }]))]
    pub format: RowFormat,
    /// Headers of the records beside `row_id`, and the columns whose values, as text, they have. A null is no header.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("examples" = [{ "trace": "trace_id" }], "x-map-of" = "column"))]
    pub headers: BTreeMap<String, String>,
    /// The column that says, where it is true, that the record has no value: that its key is deleted (a tombstone).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["is_deleted"]))]
    pub tombstone: Option<String>,
    /// How batches are compressed.
    #[serde(default)]
    pub compression: Compression,
    /// Which partition a key belongs to. Whoever else writes keys to the topic has to place them the same way, or records of one
    /// key lie in two partitions.
    #[serde(default)]
    pub partitioner: Partitioner,
    /// How records are gathered into batches.
    #[serde(default, skip_serializing_if = "KafkaBatch::is_default")]
    #[schemars(extend("examples" = [{ "linger": "20ms" }]))]
    pub batch: KafkaBatch,
    /// Encrypts the connection; `tls: {}` trusts the authorities that the system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// Says who Weir is: `plain`, `scram_sha_256`, `scram_sha_512` or `oauthbearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = [{ "scram_sha_512": { "username": "weir", "password": "${env:KAFKA_PASSWORD}" } }]))]
    pub sasl: Option<SaslConfig>,
    /// Further settings of the client library, librdkafka, by their names there. Those that Weir answers for are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("examples" = [{ "linger.ms": "20" }], "x-map-of" = "text"))]
    pub client: BTreeMap<String, String>,
}

/// What is promised about every row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Delivery {
    /// A reader of committed records (`isolation.level=read_committed`) sees every row once: the rows of an epoch become
    /// visible together, after its commit.
    #[default]
    ExactlyOnce,
    /// Rows are sent as they come, and after a crash some are sent again, with the same `row_id`.
    AtLeastOnce,
}

/// How batches are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Not at all.
    None,
    /// Gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4: little work for a good part of the gain.
    #[default]
    Lz4,
    /// Zstandard: the smallest.
    Zstd,
}

impl Compression {
    /// The client's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

/// Which partition a key belongs to; records without a key are spread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Partitioner {
    /// As Java clients place it, such as Spark, Flink, Kafka Streams and Connect.
    #[default]
    Murmur2,
    /// As clients of librdkafka place it by default, such as those of Python, Go and .NET.
    Crc32,
    /// As Sarama (Go) places it by default.
    Fnv1a,
    /// Keys are spread too: no order among records of a key.
    Random,
}

impl Partitioner {
    /// The client's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Murmur2 => "murmur2_random",
            Self::Crc32 => "consistent_random",
            Self::Fnv1a => "fnv1a_random",
            Self::Random => "random",
        }
    }
}

/// How records are gathered into batches: what is there first ends one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaBatch {
    /// For how long the first record waits for others: longer batches cost brokers less, and make results later.
    pub linger: DurationText,
    /// How long a batch gets, before it is compressed.
    pub bytes_max: ByteSize,
    /// How many records it gets.
    pub records_max: u32,
}

impl Default for KafkaBatch {
    fn default() -> Self {
        Self { linger: DurationText::millis(5), bytes_max: ByteSize(1_000_000), records_max: 10_000 }
    }
}

impl KafkaBatch {
    /// What a client is told of it.
    pub fn settings(&self) -> [(&'static str, String); 3] {
        [
            ("linger.ms", self.linger.std().as_millis().to_string()),
            ("batch.size", self.bytes_max.0.to_string()),
            ("batch.num.messages", self.records_max.to_string()),
        ]
    }

    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What the client would refuse: the key, and what is wrong.
    fn problem(&self) -> Option<(&'static str, &'static str)> {
        if self.linger.std() > LINGER_MAX {
            return Some(("batch.linger", "a batch waits for 1s at most: the rows of an epoch are sent in its end"));
        }
        if !(1..=BATCH_BYTES_MAX).contains(&self.bytes_max.0) {
            return Some(("batch.bytes_max", "a batch has between 1B and 1GiB"));
        }
        (!(1..=BATCH_RECORDS_MAX).contains(&self.records_max))
            .then_some(("batch.records_max", "a batch has between 1 and 1000000 records"))
    }
}

impl KafkaOutput {
    /// A topic of these brokers, everything else as by default.
    pub fn new(brokers: impl IntoIterator<Item = impl Into<String>>, topic: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into_iter().map(Into::into).collect(),
            connection: None,
            topic: topic.into(),
            delivery: Delivery::default(),
            key: None,
            format: RowFormat::default(),
            headers: BTreeMap::new(),
            tombstone: None,
            compression: Compression::default(),
            partitioner: Partitioner::default(),
            batch: KafkaBatch::default(),
            tls: None,
            sasl: None,
            client: BTreeMap::new(),
        }
    }

    /// A topic by the connection of the pipeline that has this name, everything else as by default.
    pub fn by(connection: impl Into<String>, topic: impl Into<String>) -> Self {
        Self { connection: Some(connection.into()), ..Self::new(<[String; 0]>::default(), topic) }
    }

    /// What makes no sense: the key below `kafka` it is about, and what is wrong. Nothing is asked of the brokers.
    pub fn problems(&self) -> Vec<(String, String)> {
        // With a connection its brokers are looked at where they are said.
        let mut problems = if self.connection.is_none() { self.connection().problems() } else { Vec::new() };
        if !is_topic_name(&self.topic) {
            let message = format!("`{}` cannot be a topic: letters, digits, `.`, `_` and `-`", self.topic);
            problems.push(("topic".to_owned(), message));
        }
        problems.extend(self.format.problem().map(|(key, message)| (key.to_owned(), message)));
        if self.tombstone.is_some() && self.key.is_none() {
            let message = "a record without a value says that its key is deleted, and there is no key".to_owned();
            problems.push(("tombstone".to_owned(), message));
        }
        if self.headers.contains_key(ROW_ID) {
            problems.push(("headers".to_owned(), format!("`{ROW_ID}` is the header of the row's own id")));
        }
        problems.extend(self.batch.problem().map(|(key, message)| (key.to_owned(), message.to_owned())));
        problems
    }

    /// How the brokers are reached.
    pub fn connection(&self) -> Connection<'_> {
        Connection { brokers: &self.brokers, tls: self.tls.as_ref(), sasl: self.sasl.as_ref(), client: &self.client }
    }
}
