//! One source: where its bytes come from and how they become columns. Refuses two kinds of source under one name.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use weir_collect::SourceConfig;
use weir_decode::{
    AvroConfig, CsvConfig, FormatConfig, JsonConfig, ProtobufConfig, RawConfig, SparkLogConfig, TextConfig,
};

use crate::tagged;

/// A source: exactly one kind (`file`, `stdin`, `http`, `log` or `kafka`), and the format of its records.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct SourceEntry {
    /// Where the bytes come from.
    #[serde(flatten)]
    pub source: SourceConfig,
    /// How bytes become records and columns: `json`, `text`, `csv`, `raw`, `spark_log`, `avro` or `protobuf`, or one of
    /// these with its options.
    #[serde(serialize_with = "FormatKey::serialize")]
    #[schemars(extend("examples" = ["json"]))]
    pub format: FormatConfig,
    /// Declared types of fields. A field that is not declared gets the type that is found in the data; a value that
    /// does not fit the declared type sends its record to the dead letters.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("examples" = [{ "duration_ms": "float64" }]))]
    pub schema: BTreeMap<String, FieldType>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherKeys {
    #[serde(with = "FormatKey")]
    format: FormatConfig,
    #[serde(default)]
    schema: BTreeMap<String, FieldType>,
}

/// `FormatConfig` read as the enum it is, so that an override can replace one format by another like any other variant. It is
/// also written by this, so that the compiler finds a format that is missing here.
#[derive(Serialize, Deserialize)]
#[serde(remote = "FormatConfig", rename_all = "snake_case")]
enum FormatKey {
    Json(JsonConfig),
    Text(TextConfig),
    Csv(CsvConfig),
    Raw(RawConfig),
    SparkLog(SparkLogConfig),
    Avro(Box<AvroConfig>),
    Protobuf(Box<ProtobufConfig>),
}

impl SourceEntry {
    /// Its keys in the order of the reference page.
    pub(crate) fn keys() -> Vec<&'static str> {
        tagged::keys::<SourceConfig, OtherKeys>()
    }
}

impl<'de> Deserialize<'de> for SourceEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (source, OtherKeys { format, schema }) = tagged::deserialize(deserializer)?;
        Ok(Self { source, format, schema })
    }
}

/// The declared type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// Text.
    String,
    /// A whole number of 64 bits.
    Int64,
    /// A floating-point number of 64 bits.
    Float64,
    /// `true` or `false`.
    Bool,
    /// A point in time, kept in microseconds UTC.
    Timestamp,
}
