//! Event time: which field it is and how far out of order it comes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use weir_model::{DurationText, EventTime};

/// Event time: when things happened, as the records say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeConfig {
    /// The field that holds the event time. A record without it goes to the dead letters.
    #[schemars(extend("examples" = ["ts"]))]
    pub field: String,
    /// How Weir knows that a point in event time has passed.
    #[serde(default)]
    pub watermark: WatermarkConfig,
    /// A partition that has been read to its end and stays silent this long no longer holds time back for the others.
    #[serde(default = "default_idle_after")]
    pub idle_after: DurationText,
    /// A record whose time is further in the future than this is rejected to the dead letters and moves nothing.
    #[serde(default = "default_future_limit")]
    pub future_limit: DurationText,
    /// A record whose time is before this (RFC 3339) is rejected to the dead letters: a clock that was not set.
    #[serde(default)]
    pub not_before: TimeText,
    /// A partition whose event time is further ahead than this of the slowest is not read on until the others have come
    /// closer, so that few windows are open at a time when old data is read. Default: nobody waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["1h"]))]
    pub max_drift: Option<DurationText>,
}

fn default_idle_after() -> DurationText {
    DurationText::secs(30)
}

fn default_future_limit() -> DurationText {
    DurationText::secs(5 * 60)
}

impl TimeConfig {
    /// Event time in `field`, everything else at its default.
    pub fn field(field: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            watermark: WatermarkConfig::default(),
            idle_after: default_idle_after(),
            future_limit: default_future_limit(),
            not_before: TimeText::default(),
            max_drift: None,
        }
    }
}

/// How the watermark of a partition follows the event times in it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WatermarkConfig {
    /// Records come out of order by a bounded time: the watermark is the latest event time seen less a delay.
    Bounded(BoundedConfig),
    /// The same in steps: the watermark moves only at multiples of a length of event time, so that what happens then
    /// (results, corrections) happens less often and together.
    Periodic(PeriodicConfig),
    /// Records that say so move the watermark, such as a heartbeat or the end of a file; others never do.
    Punctuated(PunctuatedConfig),
}

impl Default for WatermarkConfig {
    fn default() -> Self {
        Self::Bounded(BoundedConfig::default())
    }
}

fn default_delay() -> DurationText {
    DurationText::secs(10)
}

/// Bounded out-of-orderness.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BoundedConfig {
    /// How far behind the latest record of its partition a record may come and still be on time. Results wait as long.
    pub delay: DurationText,
}

impl Default for BoundedConfig {
    fn default() -> Self {
        Self { delay: default_delay() }
    }
}

/// Bounded out-of-orderness in steps. It follows from the records alone, never from the clock or from batches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeriodicConfig {
    /// How far behind the latest record of its partition a record may come and still be on time.
    #[serde(default = "default_delay")]
    pub delay: DurationText,
    /// How far apart watermarks are: multiples of this (event time, since 1970-01-01T00:00:00Z). A watermark comes with
    /// the first record that lies `delay` or more beyond it, so results wait up to this longer.
    #[schemars(extend("examples" = ["30s"]))]
    pub every: DurationText,
}

/// Records that carry the watermark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PunctuatedConfig {
    /// SQL over the fields of a record: where it is true, the record's event time less `delay` is the watermark of its
    /// partition, unless that was further already. A partition without such a record holds time back until it is read
    /// to its end and idle, and of each source some records must be able to fulfil it.
    #[schemars(extend("examples" = ["kind = 'heartbeat'"]))]
    pub r#where: String,
    /// How far behind such a record others may come and still be on time.
    #[serde(default)]
    pub delay: DurationText,
}

/// A point in time as people write it: RFC 3339, such as `1990-01-01T00:00:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeText(pub EventTime);

/// 1990-01-01T00:00:00Z: before any log that anybody still reads, after every clock that starts at 1970 or 1980.
const NOT_BEFORE: EventTime = EventTime::from_micros(631_152_000_000_000);
const TIME_EXPECTED: &str = "a time in RFC 3339 such as 1990-01-01T00:00:00Z";

impl Default for TimeText {
    fn default() -> Self {
        Self(NOT_BEFORE)
    }
}

impl FromStr for TimeText {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        chrono::DateTime::parse_from_rfc3339(text)
            .map(|time| Self(EventTime::from_micros(time.timestamp_micros())))
            .map_err(|_| format!("\"{text}\" is not {TIME_EXPECTED}"))
    }
}

impl fmt::Display for TimeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for TimeText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TimeVisitor;
        impl Visitor<'_> for TimeVisitor {
            type Value = TimeText;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(TIME_EXPECTED)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<TimeText, E> {
                text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(TimeVisitor)
    }
}

impl JsonSchema for TimeText {
    fn schema_name() -> Cow<'static, str> {
        "TimeText".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time", "examples": [NOT_BEFORE.to_string()], "description": TIME_EXPECTED })
    }
}
