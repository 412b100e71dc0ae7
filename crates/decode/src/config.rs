//! The `format` of a source as people write it, and what it resolves to. It decides nothing about sources or plans.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use weir_model::{Decoder, Framer, SeamResult, Wanted};

use crate::avro::{self, AvroConfig, AvroDecoder};
use crate::csv::{CsvConfig, CsvDecoder, CsvFramer};
use crate::framing::confluent;
use crate::json;
use crate::line_framer::LineFramer;
use crate::line_pattern::LinePattern;
use crate::pattern_framer::PatternFramer;
use crate::protobuf::{self, ProtobufConfig, ProtobufDecoder};
use crate::raw::{RawDecoder, raw_schema};
use crate::reject::without_mark;
use crate::spark::{SparkDecoder, SparkFramer};
use crate::text::{TextDecoder, text_schema};
use crate::whole_framer::WholeFramer;
use crate::zone::Zone;

/// How the bytes of a source are read: `json`, `text`, `csv`, `raw`, `spark_log`, `avro` or `protobuf`.
///
/// A bare word means the format with its defaults: `format: json` is `format: { json: {} }`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FormatConfig {
    /// One JSON object per line.
    Json(JsonConfig),
    /// One record per line, kept as it is.
    Text(TextConfig),
    /// Comma-separated values.
    Csv(CsvConfig),
    /// Records as they are: bytes.
    Raw(RawConfig),
    /// Log files of Apache Spark: one record per log event.
    SparkLog(SparkLogConfig),
    /// Records of Apache Avro.
    Avro(Box<AvroConfig>),
    /// Messages of Protocol Buffers.
    Protobuf(Box<ProtobufConfig>),
}

impl FormatConfig {
    /// The word that chooses it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Json(_) => "json",
            Self::Text(_) => "text",
            Self::Csv(_) => "csv",
            Self::Raw(_) => "raw",
            Self::SparkLog(_) => "spark_log",
            Self::Avro(_) => "avro",
            Self::Protobuf(_) => "protobuf",
        }
    }
}

/// One JSON object per line (NDJSON).
///
/// A line that is not exactly one JSON object in UTF-8 is rejected with the column at which it stops being one, and so
/// is an empty line. Of a key that is there twice the last counts. Objects and arrays may be nested 64 deep.
///
/// Times are RFC 3339 (`2026-01-31T12:00:00.5Z`, with a space for the `T`, a comma for the point, any number of digits
/// after it, or without the offset), RFC 2822, or numbers since 1970: below 1e11 seconds, below 1e14 milliseconds, below
/// 1e17 microseconds, else nanoseconds.
///
/// Where a pipeline names the fields that it needs, only these are read, and a value that is not of its field's type
/// rejects the record; numbers and truth values are taken as text where a string is needed. `a.b` is the field `b` of
/// the object `a`, or the key `a.b`.
///
/// Where every field is needed, columns appear as fields do and keep the type of their first value: string, int64,
/// float64 (to which an int64 column turns when a float comes), bool, objects as structs, arrays of one type as lists.
/// A value of another type, a whole number beyond 64 bits, an array of mixed values, the 1,001st column and what is nested
/// deeper than 8 objects are kept as they are written in the column `_rest`, a JSON object from dotted names to values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JsonConfig {
    /// The offset from UTC of times that carry none, such as `+02:00`. Default: `UTC`.
    pub zone: Zone,
    /// What stands before the JSON of each record: nothing, or with `confluent` the 5 bytes of the Confluent wire format, as
    /// serializers for JSON Schema write it. The schema itself is not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub framing: Option<JsonFraming>,
}

/// What stands before the JSON of each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JsonFraming {
    /// The Confluent wire format: 0x00 and the schema's id in 4 bytes.
    Confluent,
}

impl JsonConfig {
    /// The JSON of a record, and how many bytes stand before it.
    pub(crate) fn payload(framing: Option<JsonFraming>, record: &[u8]) -> Result<(&[u8], usize), String> {
        match framing {
            None => Ok(without_mark(record)),
            Some(JsonFraming::Confluent) => confluent(record).map(|(_, json)| (json, record.len() - json.len())),
        }
    }
}

/// Records of text, as the column `message`: a line each, or several where `record_start` says so.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TextConfig {
    /// What the first line of a record looks like, as a regular expression such as `^\d{4}-\d\d-\d\d`: the lines after it
    /// that do not look so belong to the same record (a stack trace). Default: every line is a record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_start: Option<LinePattern>,
}

/// Records as they are: the column `value` of bytes, and `ts`, when the source last changed as far as it knows. A file is one
/// record; a record of a topic is its value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RawConfig {}

/// Log files of Apache Spark: log4j pattern lines with their stack traces, Spark 4 structured JSON, what PySpark and
/// the JVM print between them, and all of it wrapped in Kubernetes container logs. The kind is recognised line by line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SparkLogConfig {
    /// The offset from UTC of the times in lines that carry none, such as `+02:00`: that of the machines that wrote
    /// the logs. Default: `UTC`.
    pub zone: Zone,
}

/// A schema that is none, or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongSchema {
    /// Which key of the format, such as `avro.schema`.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

/// The words that name a format, for error messages.
const WORDS: [&str; 7] = ["json", "text", "csv", "raw", "spark_log", "avro", "protobuf"];

impl Default for FormatConfig {
    fn default() -> Self {
        Self::Json(JsonConfig::default())
    }
}

impl FormatConfig {
    /// Where records end in this format.
    pub fn framer(&self) -> Arc<dyn Framer> {
        match self {
            Self::Json(JsonConfig { framing: Some(JsonFraming::Confluent), .. }) => Arc::new(WholeFramer),
            Self::Text(TextConfig { record_start: Some(start) }) => Arc::new(PatternFramer::new(start.clone())),
            Self::Json(_) | Self::Text(TextConfig { record_start: None }) => Arc::new(LineFramer),
            Self::Csv(config) => Arc::new(CsvFramer::new(config.quote)),
            Self::SparkLog(_) => Arc::new(SparkFramer),
            Self::Raw(_) | Self::Avro(_) | Self::Protobuf(_) => Arc::new(WholeFramer),
        }
    }

    /// A decoder that builds what `wanted` asks for.
    ///
    /// # Errors
    /// `Config` when a wanted field cannot be had from this format, or not as the type that is asked for.
    pub fn decoder(&self, wanted: Wanted) -> SeamResult<Box<dyn Decoder>> {
        Ok(match self {
            Self::Json(config) => json::decoder(config, &wanted)?,
            Self::Text(_) => Box::new(TextDecoder::new(wanted)?),
            Self::Csv(config) => Box::new(CsvDecoder::new(config, &wanted)?),
            Self::Raw(_) => Box::new(RawDecoder::new(&wanted)?),
            Self::SparkLog(config) => Box::new(SparkDecoder::new(config, &wanted)?),
            Self::Avro(config) => Box::new(AvroDecoder::new(config, &wanted)?),
            Self::Protobuf(config) => Box::new(ProtobufDecoder::new(config, &wanted)?),
        })
    }

    /// The fields that every record of this format has, in order; `None` when they depend on the data.
    pub fn fixed_schema(&self) -> Option<SchemaRef> {
        match self {
            Self::Json(_) | Self::Csv(_) => None,
            Self::Text(_) => Some(text_schema()),
            Self::Raw(_) => Some(raw_schema()),
            Self::SparkLog(_) => Some(crate::spark::schema()),
            Self::Avro(config) => avro::fixed_schema(config),
            Self::Protobuf(config) => protobuf::fixed_schema(config),
        }
    }

    /// Puts the schemas that are in files in the place of the files' names, as `read` gives them, and checks all of them.
    ///
    /// # Errors
    /// Which key of the format is wrong, and why.
    pub fn read_schemas(&mut self, read: impl FnMut(&str) -> std::io::Result<Vec<u8>>) -> Result<(), WrongSchema> {
        match self {
            Self::Avro(config) => config.read_schemas(read),
            Self::Protobuf(config) => config.read_schemas(read),
            Self::Csv(config) => config.check(),
            Self::Json(_) | Self::Text(_) | Self::Raw(_) | Self::SparkLog(_) => Ok(()),
        }
    }

    /// Where the schemas are that records name by their number.
    pub fn registry(&self) -> Option<&weir_schema::RegistryConfig> {
        match self {
            Self::Avro(config) => config.registry.as_ref(),
            Self::Protobuf(config) => config.registry.as_ref(),
            Self::Json(_) | Self::Text(_) | Self::Csv(_) | Self::Raw(_) | Self::SparkLog(_) => None,
        }
    }

    /// The field that holds the event time when the pipeline names none.
    pub fn default_time_field(&self) -> Option<&str> {
        match self {
            Self::Json(_) | Self::Text(_) | Self::Csv(_) | Self::Raw(_) | Self::Avro(_) | Self::Protobuf(_) => None,
            Self::SparkLog(_) => Some("ts"),
        }
    }

    fn from_word<E: Error>(word: &str) -> Result<Self, E> {
        match word {
            "json" => Ok(Self::Json(JsonConfig::default())),
            "text" => Ok(Self::Text(TextConfig::default())),
            "csv" => Ok(Self::Csv(CsvConfig::default())),
            "raw" => Ok(Self::Raw(RawConfig::default())),
            "spark_log" => Ok(Self::SparkLog(SparkLogConfig::default())),
            "avro" => Ok(Self::Avro(Box::default())),
            "protobuf" => Ok(Self::Protobuf(Box::default())),
            _ => Err(E::unknown_variant(word, &WORDS)),
        }
    }
}

impl<'de> Deserialize<'de> for FormatConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FormatVisitor)
    }
}

/// Reads a bare word, or a map of one word to that format's settings.
struct FormatVisitor;

impl<'de> Visitor<'de> for FormatVisitor {
    type Value = FormatConfig;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a format: one of {}, with its settings or without", WORDS.join(", "))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<FormatConfig, E> {
        FormatConfig::from_word(word)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<FormatConfig, M::Error> {
        let word: String = map
            .next_key()?
            .ok_or_else(|| M::Error::custom(format!("no format is named; name one of {}", WORDS.join(", "))))?;
        let format = match FormatConfig::from_word::<M::Error>(&word)? {
            FormatConfig::Json(_) => FormatConfig::Json(map.next_value::<Option<JsonConfig>>()?.unwrap_or_default()),
            FormatConfig::Text(_) => FormatConfig::Text(map.next_value::<Option<TextConfig>>()?.unwrap_or_default()),
            FormatConfig::Csv(_) => FormatConfig::Csv(map.next_value::<Option<CsvConfig>>()?.unwrap_or_default()),
            FormatConfig::Raw(_) => FormatConfig::Raw(map.next_value::<Option<RawConfig>>()?.unwrap_or_default()),
            FormatConfig::SparkLog(_) => {
                FormatConfig::SparkLog(map.next_value::<Option<SparkLogConfig>>()?.unwrap_or_default())
            }
            FormatConfig::Avro(_) => {
                FormatConfig::Avro(Box::new(map.next_value::<Option<AvroConfig>>()?.unwrap_or_default()))
            }
            FormatConfig::Protobuf(_) => {
                FormatConfig::Protobuf(Box::new(map.next_value::<Option<ProtobufConfig>>()?.unwrap_or_default()))
            }
        };
        match map.next_key::<String>()? {
            None => Ok(format),
            Some(second) => {
                Err(M::Error::custom(format!("a source has one format, here are two: {word} and {second}")))
            }
        }
    }
}

impl JsonSchema for FormatConfig {
    fn schema_name() -> Cow<'static, str> {
        "FormatConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = |word: &str, about: &str, schema: Schema| {
            json_schema!({
                "type": "object", "description": about, "required": [word], "additionalProperties": false,
                "properties": { word: schema },
            })
        };
        let json = one("json", "One JSON object per line.", generator.subschema_for::<JsonConfig>());
        let text = one("text", "One record per line, kept as it is.", generator.subschema_for::<TextConfig>());
        let csv = one("csv", "Comma-separated values.", generator.subschema_for::<CsvConfig>());
        let raw = one("raw", "Records as they are: bytes.", generator.subschema_for::<RawConfig>());
        let spark_log = one(
            "spark_log",
            "Log files of Apache Spark: one record per log event.",
            generator.subschema_for::<SparkLogConfig>(),
        );
        let avro = one("avro", "Records of Apache Avro.", generator.subschema_for::<AvroConfig>());
        let protobuf = one("protobuf", "Messages of Protocol Buffers.", generator.subschema_for::<ProtobufConfig>());
        json_schema!({
            "description": "How the bytes of a source are read. A bare word means the format with its defaults.",
            "oneOf": [{ "enum": WORDS }, json, text, csv, raw, spark_log, avro, protobuf],
        })
    }
}

#[cfg(test)]
mod tests;
