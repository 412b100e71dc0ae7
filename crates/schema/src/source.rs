//! A schema in a configuration: its text, or the file that holds it. Refuses to open that file.

use std::borrow::Cow;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

/// A schema as people write it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaSource {
    /// Its text.
    Text(String),
    /// The file that holds it.
    File(String),
}

impl SchemaSource {
    /// Its text.
    ///
    /// # Errors
    /// When it is in a file, which [`SchemaSource::read`] has not read.
    pub fn text(&self) -> Result<&str, String> {
        match self {
            Self::Text(text) => Ok(text),
            Self::File(file) => Err(format!("the schema in {file} was not read")),
        }
    }

    /// Puts the text in the place of the file's name, as `read` gives it.
    ///
    /// # Errors
    /// Those of `read`, with the file's name.
    pub fn read(&mut self, read: impl FnOnce(&str) -> std::io::Result<Vec<u8>>) -> Result<(), String> {
        if let Self::File(file) = self {
            let bytes = read(file).map_err(|error| format!("schema {file} cannot be read: {error}"))?;
            let text = String::from_utf8(bytes).map_err(|error| format!("schema {file} is no text: {error}"))?;
            *self = Self::Text(text);
        }
        Ok(())
    }

    /// The same for a file that is no text: its bytes are written as base64.
    ///
    /// # Errors
    /// Those of `read`, with the file's name.
    pub fn read_binary(&mut self, read: impl FnOnce(&str) -> std::io::Result<Vec<u8>>) -> Result<(), String> {
        if let Self::File(file) = self {
            let bytes = read(file).map_err(|error| format!("schema {file} cannot be read: {error}"))?;
            *self = Self::Text(STANDARD.encode(bytes));
        }
        Ok(())
    }

    /// The bytes that the text is in base64.
    ///
    /// # Errors
    /// When it is none, or in a file that was not read.
    pub fn binary(&self) -> Result<Vec<u8>, String> {
        STANDARD.decode(self.text()?.trim()).map_err(|error| format!("the schema is no base64: {error}"))
    }
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct InFile {
    /// The file, from the folder in which Weir runs.
    file: String,
}

impl Serialize for SchemaSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::File(file) => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry("file", file)?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for SchemaSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrFile;
        impl<'de> Visitor<'de> for TextOrFile {
            type Value = SchemaSource;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the text of a schema, or { file: ... }")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<SchemaSource, E> {
                Ok(SchemaSource::Text(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SchemaSource, A::Error> {
                InFile::deserialize(MapAccessDeserializer::new(map)).map(|of| SchemaSource::File(of.file))
            }
        }
        deserializer.deserialize_any(TextOrFile)
    }
}

impl JsonSchema for SchemaSource {
    fn schema_name() -> Cow<'static, str> {
        "SchemaSource".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let file = InFile::json_schema(generator);
        json_schema!({ "description": "A schema: its text, or `{ file: ... }`.", "oneOf": [{ "type": "string" }, file] })
    }
}
