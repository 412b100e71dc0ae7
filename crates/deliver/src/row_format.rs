//! How rows become records of a topic, as people write it. Refuses to read files and to ask registries.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_schema::{RegistryConfig, SchemaSource};

/// How each row is written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RowFormat {
    /// A JSON object.
    #[default]
    Json,
    /// A JSON object in the Confluent wire format, with a JSON Schema in a registry.
    JsonSchema(JsonSchemaOutput),
    /// Comma-separated values, without a header line.
    Csv,
    /// One column as it is: a record is its bytes or its text.
    Raw(RawOutput),
    /// A record of Apache Avro.
    Avro(AvroOutput),
    /// A message of Protocol Buffers.
    Protobuf(ProtobufOutput),
}

/// One column of bytes or text as the whole record; the other columns can be keys and headers. A row in which it is null goes to
/// the dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawOutput {
    /// Which column.
    #[schemars(extend("examples" = ["message"]))]
    pub column: String,
}

/// Rows as JSON objects behind the number of their schema: a JSON Schema (draft 7) that the columns say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonSchemaOutput {
    /// Where the schema is registered.
    pub registry: RegistryConfig,
    /// Under which subject it is registered. Default: the topic's name with `-value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// What the schema is called. Default: the topic's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// Rows as records of Apache Avro.
///
/// Without a `schema` the columns say what the schema is: numbers, text, bytes, times (milliseconds, microseconds or nanoseconds,
/// with a zone or without), dates, decimals, lists, maps and structs keep what they mean; uint64 is a decimal of 20 digits; every
/// column may be null. With a `schema` rows are written as it says: columns are found by name, text becomes a symbol of an enum,
/// columns that it does not have are left out. A row whose value does not fit goes to the dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AvroOutput {
    /// Where the schema is registered. Without it `schema` has to say what the bytes of records mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<RegistryConfig>,
    /// How a record says which schema it was written with. Default: `confluent` with a registry, else `binary`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub framing: Option<AvroFrame>,
    /// Under which subject it is registered. Default: the topic's name with `-value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The schema that rows are written as: the text of it, or `{ file: orders.avsc }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaSource>,
    /// What the record is called when the columns say what the schema is, with a namespace or without. Default: the topic's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["shop.Order"]))]
    pub name: Option<String>,
}

/// How a record of Avro says which schema it was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AvroFrame {
    /// Not at all: the value and nothing else.
    Binary,
    /// Avro's own: 0xC3 0x01, the schema's CRC-64-AVRO fingerprint, the value.
    SingleObject,
    /// The Confluent wire format: 0x00, the schema's id in the registry, the value.
    Confluent,
}

impl AvroOutput {
    /// How records are framed.
    pub fn framing(&self) -> AvroFrame {
        let usual = if self.registry.is_some() { AvroFrame::Confluent } else { AvroFrame::Binary };
        self.framing.unwrap_or(usual)
    }
}

/// Rows as messages of Protocol Buffers.
///
/// Without a `schema` the columns say what the schema is: numbers, text, bytes, times (`google.protobuf.Timestamp`), lists, maps
/// and structs keep what they mean; decimals, dates and times of day are text; every column may be null. A field keeps its number
/// from one schema to the next. With a `schema` rows are written as it says: columns are found by name, text becomes a value of an
/// enum, columns that it does not have are left out. A row whose value does not fit goes to the dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProtobufOutput {
    /// Where the schema is registered. Records are then in the Confluent wire format; without it they are the bare messages, and
    /// `schema` has to say what these mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<RegistryConfig>,
    /// Under which subject it is registered. Default: the topic's name with `-value`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The schema that rows are written as: the text of a `.proto` file, or `{ file: orders.proto }`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaSource>,
    /// The files that `schema` imports, by the name by which it does. They are registered under these names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub imports: BTreeMap<String, SchemaSource>,
    /// Which message of the schema a row is; or what it is called when the columns say what the schema is, with a package or
    /// without. Default: the schema's only message; the topic's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["shop.Order"]))]
    pub message: Option<String>,
}

impl RowFormat {
    /// What makes no sense, and below which key.
    pub(crate) fn problem(&self) -> Option<(&'static str, String)> {
        let needed = |what: &str| {
            format!(
                "{what} without a registry needs a schema, or nobody could read the records; add registry: {{ urls: [...] }}, or schema"
            )
        };
        match self {
            Self::Json | Self::JsonSchema(_) | Self::Csv | Self::Raw(_) => None,
            Self::Avro(avro) => {
                if avro.framing == Some(AvroFrame::Confluent) && avro.registry.is_none() {
                    let message =
                        "the Confluent wire format needs a registry: add registry: { urls: [...] }".to_owned();
                    return Some(("format.avro.framing", message));
                }
                let is_bare = avro.registry.is_none() && avro.schema.is_none();
                is_bare.then(|| ("format.avro", needed("avro")))
            }
            Self::Protobuf(protobuf) => {
                if protobuf.schema.is_none() && !protobuf.imports.is_empty() {
                    return Some(("format.protobuf.imports", "there is no schema that imports them".to_owned()));
                }
                let is_bare = protobuf.registry.is_none() && protobuf.schema.is_none();
                is_bare.then(|| ("format.protobuf", needed("protobuf")))
            }
        }
    }
}
