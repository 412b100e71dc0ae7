//! Schemas as a registry keeps them. Refuses to look into them.

use std::sync::Arc;

/// The number by which a registry knows a schema; it never means another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaId(pub u32);

/// What a schema is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SchemaLanguage {
    /// Apache Avro, in JSON.
    #[default]
    Avro,
    /// Protocol Buffers, as the text of a `.proto` file.
    Protobuf,
    /// JSON Schema.
    Json,
}

impl SchemaLanguage {
    /// The word for it in the API of the Confluent Schema Registry.
    pub fn word(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Protobuf => "PROTOBUF",
            Self::Json => "JSON",
        }
    }

    /// What that word means.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Avro, Self::Protobuf, Self::Json].into_iter().find(|language| language.word() == word)
    }
}

/// A schema with everything that it refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownSchema {
    /// What it is written in.
    pub language: SchemaLanguage,
    /// It itself.
    pub text: Arc<str>,
    /// What it refers to, each before those that refer to it.
    pub references: Vec<ReferencedSchema>,
}

/// A schema that another refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferencedSchema {
    /// What the other calls it: a type's full name (Avro), an imported file (Protobuf), a URL (JSON Schema).
    pub name: String,
    /// It itself.
    pub text: Arc<str>,
}
