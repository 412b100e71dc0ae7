//! `format: { protobuf: ... }` as people write it. Refuses to read files and to ask registries: that is the shell's.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_schema::protobuf::{MessageId, Schema};
use weir_schema::{RegistryConfig, SchemaSource};

use super::shapes::Shapes;
use crate::config::WrongSchema;
use crate::typed::Shape;

/// Messages of Protocol Buffers (proto2, proto3 and editions), each a record.
///
/// Every field becomes a column, or just those that the pipeline needs: whole numbers as int64, uint64 and fixed64 as uint64,
/// float and double as float64, bool, string, bytes, enums as the name of their value (or its number as text, when the schema
/// has none), messages as structs, repeated fields as lists, maps as maps with keys of text. `Timestamp` is a time in
/// nanoseconds, `Duration` a decimal of seconds, wrappers (`Int64Value` and the like) are columns with nulls, `Struct`, `Value`
/// and `ListValue` JSON text. Of a `oneof` one column is not null. A message within itself is kept as JSON text.
///
/// A field that a record does not have is null where that can be told apart from every value (`optional`, messages, `oneof`),
/// else the default of its type, or the one that the schema gives. Fields that the schema does not have are passed over.
///
/// `a.b` is the field `b` of the message `a`, or the entry `b` of the map `a`.
///
/// A value that does not fit, or a record that is cut off, goes to the dead letters with the field's path and the byte at
/// which it stands. Messages may be nested 64 deep.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProtobufConfig {
    /// The schema that records are read as: the text of a `.proto` file, or `{ file: orders.proto }`. With a registry the
    /// default is what each record was written with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaSource>,
    /// The files that `schema` imports, by the name by which it does. What comes with Protobuf (`google/protobuf/*.proto`) need
    /// not be given.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub imports: BTreeMap<String, SchemaSource>,
    /// The same as a set of descriptors, as `protoc --include_imports --descriptor_set_out=orders.desc` writes it:
    /// `{ file: orders.desc }`, or its bytes in base64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub descriptor_set: Option<SchemaSource>,
    /// Which message of the schema a record is, such as `shop.Order`. Default: its only message, or with `confluent` the one
    /// that each record names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How a record says what it is. Default: `confluent` with a registry, else `binary`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub framing: Option<ProtobufFraming>,
    /// Where the schemas of the Confluent wire format are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<RegistryConfig>,
}

/// How a record says what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProtobufFraming {
    /// Not at all: the message and nothing else.
    Binary,
    /// The Confluent wire format: 0x00, the schema's id in the registry, which message of the schema it is, the message.
    Confluent,
}

impl ProtobufConfig {
    /// How records are framed.
    pub fn framing(&self) -> ProtobufFraming {
        let usual = if self.registry.is_some() { ProtobufFraming::Confluent } else { ProtobufFraming::Binary };
        self.framing.unwrap_or(usual)
    }

    /// Puts the contents of files in the place of their names, as `read` gives them, and checks all of it.
    pub(crate) fn read_schemas(
        &mut self,
        mut read: impl FnMut(&str) -> std::io::Result<Vec<u8>>,
    ) -> Result<(), WrongSchema> {
        let wrong = |key: &str| {
            let key = format!("protobuf.{key}");
            move |reason: String| WrongSchema { key, reason }
        };
        if let Some(schema) = &mut self.schema {
            schema.read(&mut read).map_err(wrong("schema"))?;
        }
        for (name, import) in &mut self.imports {
            import.read(&mut read).map_err(wrong(&format!("imports.\"{name}\"")))?;
        }
        if let Some(set) = &mut self.descriptor_set {
            set.read_binary(&mut read).map_err(wrong("descriptor_set"))?;
        }
        let key = if self.descriptor_set.is_some() { "descriptor_set" } else { "schema" };
        self.check().map_err(|reason| WrongSchema { key: "protobuf".to_owned(), reason })?;
        let Some(schema) = self.reader().map_err(wrong(key))? else { return Ok(()) };
        match self.framing() {
            ProtobufFraming::Confluent if self.message.is_none() => Ok(()),
            ProtobufFraming::Confluent | ProtobufFraming::Binary => {
                self.message(&schema).map(drop).map_err(wrong("message"))
            }
        }
    }

    /// What is missing, or too much.
    pub(crate) fn check(&self) -> Result<(), String> {
        let has_schema = self.schema.is_some() || self.descriptor_set.is_some();
        if self.schema.is_some() && self.descriptor_set.is_some() {
            return Err("protobuf has a schema and a descriptor_set; give one of them".to_owned());
        }
        if !self.imports.is_empty() && self.schema.is_none() {
            return Err("protobuf has imports and no schema that imports them".to_owned());
        }
        match (self.framing(), has_schema, &self.registry) {
            (ProtobufFraming::Confluent, false, None) => {
                Err("the Confluent wire format needs a registry, or a schema to read as".to_owned())
            }
            (ProtobufFraming::Binary, false, _) => Err(
                "protobuf with framing binary needs a schema; add schema: { file: ... } or descriptor_set: { file: ... }, or a registry"
                    .to_owned(),
            ),
            (ProtobufFraming::Confluent | ProtobufFraming::Binary, ..) => Ok(()),
        }
    }

    /// The schema that records are read as, if one is given.
    pub(crate) fn reader(&self) -> Result<Option<Schema>, String> {
        if let Some(set) = &self.descriptor_set {
            return Schema::from_set(&set.binary()?).map(Some).map_err(|error| error.to_string());
        }
        let Some(schema) = &self.schema else { return Ok(None) };
        let import = |(name, source): (&'_ String, &'_ SchemaSource)| Ok((name.clone(), source.text()?.to_owned()));
        let imports = self.imports.iter().map(import).collect::<Result<Vec<(String, String)>, String>>()?;
        let imports: Vec<(&str, &str)> = imports.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        Schema::parse(schema.text()?, &imports).map(Some).map_err(|error| error.to_string())
    }

    /// Which message of `schema` a record is, where the record does not say.
    pub(crate) fn message(&self, schema: &Schema) -> Result<MessageId, String> {
        let names = || schema.names().join(", ");
        match (&self.message, schema.roots()) {
            (Some(name), _) => {
                schema.find(name).ok_or_else(|| format!("the schema has no message \"{name}\"; it has {}", names()))
            }
            (None, [only]) => Ok(*only),
            (None, []) => Err("the schema has no message".to_owned()),
            (None, _) => {
                Err(format!("the schema has several messages; say which of them: message: one of {}", names()))
            }
        }
    }
}

/// The columns of every record, when all are read as one message that is at hand.
pub(crate) fn fixed_schema(config: &ProtobufConfig) -> Option<SchemaRef> {
    let schema = config.reader().ok()??;
    let message = config.message(&schema).ok()?;
    let fields = fields(&schema, message).into_iter().map(|(name, shape)| Field::new(&*name, shape.data_type(), true));
    Some(Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>())))
}

/// The columns that a message becomes.
pub(crate) fn fields(schema: &Schema, message: MessageId) -> Vec<(Arc<str>, Shape)> {
    Shapes::default().members(schema, message)
}
