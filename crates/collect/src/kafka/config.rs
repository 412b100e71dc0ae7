//! What a pipeline file says about a source of Kafka topics. Refuses to reach out.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_kafka::{Connection, SaslConfig, TlsConfig, is_topic_name};
use weir_model::{ByteSize, DurationText};

use super::envelope::Envelope;
use super::topics::Wanted;

/// Topics of Apache Kafka. Positions are kept in Weir's own commit, together with the results, so that nothing is lost or
/// doubled whatever dies; a consumer group is not needed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KafkaConfig {
    /// Some of the brokers, `host:port`; the others are found through them. Needed without a `connection`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("examples" = [["localhost:9092"]]))]
    pub brokers: Vec<String>,
    /// The name of one of `connections`, which says `brokers`, `tls` and `sasl` in the place of these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["shop"]))]
    pub connection: Option<String>,
    /// Which topics: names, or patterns (regular expressions) that begin with `^`: `["orders", "^logs-.*"]`. Topics and
    /// partitions that appear later are found and read from their beginning.
    #[schemars(extend("examples" = [["spark-driver-logs"]]))]
    pub topics: Vec<String>,
    /// Where to begin in partitions that are there at the very first start: one of the words, or
    /// `{ timestamp: "2026-11-21T08:00:00Z" }` for the first record that the brokers say is not older.
    #[serde(default)]
    pub start: KafkaStart,
    /// The consumer group whose offsets `start: committed` begins at. Weir does not join it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Whether to wait for more at the end of the topics. `false` reads what is there at the start and ends.
    #[serde(default = "yes")]
    pub follow: bool,
    /// How often topics and partitions that have appeared are looked for.
    #[serde(default = "refresh")]
    pub refresh: DurationText,
    /// The longest record. Of a longer one the beginning goes to the dead letters.
    #[serde(default = "crate::file::max_record_bytes")]
    pub max_record_bytes: ByteSize,
    /// How many bytes are fetched ahead at most, over all topics.
    #[serde(default = "buffer_bytes_max")]
    pub buffer_bytes_max: ByteSize,
    /// What becomes of records without a value.
    #[serde(default)]
    pub tombstones: Tombstones,
    /// Gives each record everything that it has beside its value: it becomes a JSON object of `topic`, `partition`, `offset`,
    /// `timestamp` (milliseconds), `key`, `headers` (an object) and `value`, to be read with `format: json`. Keys and headers are
    /// text, or base64 where they are none; the value of a tombstone is null. This says how the value stands in it: `json` as it is,
    /// `text` or `base64`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["json"]))]
    pub envelope: Option<Envelope>,
    /// Encrypts the connection; `tls: {}` trusts the authorities that the system trusts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
    /// Says who Weir is: `plain`, `scram_sha_256`, `scram_sha_512` or `oauthbearer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = [{ "scram_sha_512": { "username": "weir", "password": "${env:KAFKA_PASSWORD}" } }]))]
    pub sasl: Option<SaslConfig>,
    /// Further settings of the client library, librdkafka, by their names there. Those that Weir answers for are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("examples" = [{ "client.rack": "a" }], "x-map-of" = "text"))]
    pub client: BTreeMap<String, String>,
}

/// Where to begin in partitions that are there at the very first start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum KafkaStart {
    /// At the oldest record.
    #[default]
    Earliest,
    /// After the newest record.
    Latest,
    /// Where the consumer group `group` has committed; at the oldest record in partitions where it has not.
    Committed,
    /// At the first record that the brokers say is not older than this.
    Timestamp(StartTime),
}

/// What becomes of records without a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tombstones {
    /// They go to the decoder as empty records, which most formats send to the dead letters.
    #[default]
    Decode,
    /// They are passed over.
    Skip,
}

/// A point in time, in RFC 3339.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct StartTime {
    /// Milliseconds since 1970, as Kafka counts.
    pub millis: i64,
}

impl FromStr for StartTime {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        chrono::DateTime::parse_from_rfc3339(text)
            .map(|time| Self { millis: time.timestamp_millis() })
            .map_err(|_| format!("\"{text}\" is not a time in RFC 3339 such as 2026-11-21T08:00:00Z"))
    }
}

impl TryFrom<String> for StartTime {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<StartTime> for String {
    fn from(time: StartTime) -> Self {
        time.to_string()
    }
}

impl fmt::Display for StartTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = chrono::DateTime::from_timestamp_millis(self.millis).unwrap_or_default();
        f.write_str(&time.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
    }
}

fn yes() -> bool {
    true
}

fn refresh() -> DurationText {
    DurationText::secs(10)
}

fn buffer_bytes_max() -> ByteSize {
    ByteSize(16 << 20)
}

impl KafkaConfig {
    /// These topics of these brokers, everything else as by default.
    pub fn new(
        brokers: impl IntoIterator<Item = impl Into<String>>,
        topics: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            brokers: brokers.into_iter().map(Into::into).collect(),
            connection: None,
            topics: topics.into_iter().map(Into::into).collect(),
            start: KafkaStart::default(),
            group: None,
            follow: true,
            refresh: refresh(),
            max_record_bytes: crate::file::max_record_bytes(),
            buffer_bytes_max: buffer_bytes_max(),
            tombstones: Tombstones::default(),
            envelope: None,
            tls: None,
            sasl: None,
            client: BTreeMap::new(),
        }
    }

    /// These topics by the connection of the pipeline that has this name, everything else as by default.
    pub fn by(connection: impl Into<String>, topics: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { connection: Some(connection.into()), ..Self::new(<[String; 0]>::default(), topics) }
    }

    /// The same, read to where it ends now.
    #[must_use]
    pub fn once(self) -> Self {
        Self { follow: false, ..self }
    }

    /// What makes no sense: the key below `kafka` it is about, and what is wrong. Nothing is asked of the brokers.
    pub fn problems(&self) -> Vec<(String, String)> {
        // With a connection its brokers are looked at where they are said.
        let mut problems = if self.connection.is_none() { self.connection().problems() } else { Vec::new() };
        let mut wrong = |key: String, message: String| problems.push((key, message));
        if self.topics.is_empty() {
            wrong("topics".into(), "there is no topic: nothing would be read".into());
        }
        for (at, topic) in self.topics.iter().enumerate() {
            if let Err(error) = Wanted::new(std::slice::from_ref(topic)) {
                wrong(format!("topics[{at}]"), error.full().replace('\n', " "));
            } else if !topic.starts_with('^') && !is_topic_name(topic) {
                let message = format!(
                    "`{topic}` cannot be a topic: letters, digits, `.`, `_` and `-`; a pattern begins with `^`"
                );
                wrong(format!("topics[{at}]"), message);
            }
        }
        if self.start == KafkaStart::Committed && self.group.is_none() {
            wrong("start".into(), "`committed` needs the `group` whose offsets are meant".into());
        }
        problems
    }

    /// How the brokers are reached.
    pub fn connection(&self) -> Connection<'_> {
        Connection { brokers: &self.brokers, tls: self.tls.as_ref(), sasl: self.sasl.as_ref(), client: &self.client }
    }
}
