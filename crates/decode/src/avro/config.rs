//! `format: { avro: ... }` as people write it. Refuses to read files and to ask registries: that is the shell's.

use std::sync::Arc;

use arrow::datatypes::{Field, SchemaRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_model::{ErrorKind, SeamError, SeamResult};
use weir_schema::avro::{Kind, Schema};
use weir_schema::{RegistryConfig, SchemaSource};

use super::shapes::Shapes;
use crate::config::WrongSchema;
use crate::typed::Shape;

/// Records of Apache Avro, each a value of its own (no container files).
///
/// Every field becomes a column, or just those that the pipeline needs: int and long as int64, float and double as
/// float64, string, enum and uuid as string, bytes and fixed as bytes, decimal as a decimal, date as a date, time-* as a
/// time of day in microseconds, timestamp-* as a time, local-timestamp-* as a time without a zone, records as structs,
/// arrays as lists, maps as maps, duration as a struct of `months`, `days` and `millis`. A union with null is a column with
/// nulls. Any other union is a struct with a member for each branch, named after its type, of which one is not null; only
/// int with long, and int with float or double, become numbers. A record within itself is kept as JSON text.
///
/// `a.b` is the field `b` of the record `a`, or the entry `b` of the map `a`.
///
/// A value that does not fit, or a record that is cut off, goes to the dead letters with the field's path and the byte at
/// which it stands. Values may be nested 64 deep.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AvroConfig {
    /// The schema that records are read as: the text of it, or `{ file: orders.avsc }`. Fields are matched by name and
    /// alias, numbers are widened, what the writer lacks gets its default. Needed with `binary` and `single_object`; with a
    /// registry the default is what each record was written with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaSource>,
    /// The schemas that records were written with, where that is not `schema`: one with `binary`, any number with
    /// `single_object`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub written_with: Vec<SchemaSource>,
    /// How a record says which schema it was written with. Default: `confluent` with a registry, else `binary`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub framing: Option<AvroFraming>,
    /// Where the schemas of the Confluent wire format are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<RegistryConfig>,
}

/// How a record says which schema it was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AvroFraming {
    /// Not at all: the value and nothing else.
    Binary,
    /// Avro's own: 0xC3 0x01, the schema's CRC-64-AVRO fingerprint, the value.
    SingleObject,
    /// The Confluent wire format: 0x00, the schema's id in the registry, the value.
    Confluent,
}

impl AvroConfig {
    /// How records are framed.
    pub fn framing(&self) -> AvroFraming {
        let usual = if self.registry.is_some() { AvroFraming::Confluent } else { AvroFraming::Binary };
        self.framing.unwrap_or(usual)
    }

    /// Puts the schemas that are in files in the place of the files' names, as `read` gives them, and checks all of them.
    pub(crate) fn read_schemas(
        &mut self,
        mut read: impl FnMut(&str) -> std::io::Result<Vec<u8>>,
    ) -> Result<(), WrongSchema> {
        let own = self.schema.iter_mut().map(|source| ("avro.schema".to_owned(), source));
        let written = self.written_with.iter_mut().enumerate();
        let written = written.map(|(index, source)| (format!("avro.written_with[{index}]"), source));
        for (key, source) in own.chain(written) {
            let wrong = |reason: String| WrongSchema { key: key.clone(), reason };
            source.read(&mut read).map_err(wrong)?;
            check(source).map_err(wrong)?;
        }
        self.check().map_err(|reason| WrongSchema { key: "avro".to_owned(), reason })
    }

    /// What is missing.
    pub(crate) fn check(&self) -> Result<(), String> {
        let has_schema = self.schema.is_some() || !self.written_with.is_empty();
        match (self.framing(), has_schema, &self.registry) {
            (AvroFraming::Confluent, _, None) => Err("the Confluent wire format needs a registry".to_owned()),
            (AvroFraming::Binary, false, _) => Err(needs_schema("binary")),
            (AvroFraming::SingleObject, false, _) => Err(needs_schema("single_object")),
            (AvroFraming::Binary | AvroFraming::SingleObject | AvroFraming::Confluent, ..) => Ok(()),
        }
    }

    pub(crate) fn reader(&self) -> SeamResult<Option<Schema>> {
        self.schema.as_ref().map(parse).transpose()
    }
}

fn needs_schema(framing: &str) -> String {
    format!("avro with framing {framing} needs a schema; add schema: {{ file: ... }}, or a registry")
}

/// What is wrong with a schema.
fn check(source: &SchemaSource) -> Result<(), String> {
    Schema::parse(source.text()?).map(drop).map_err(|error| error.to_string())
}

pub(crate) fn parse(source: &SchemaSource) -> SeamResult<Schema> {
    let text = source.text().map_err(|error| SeamError::new(ErrorKind::Config, error))?;
    Schema::parse(text).map_err(|error| SeamError::new(ErrorKind::Config, error.to_string()))
}

/// The columns of every record, when all are read as one schema that is at hand.
pub(crate) fn fixed_schema(config: &AvroConfig) -> Option<SchemaRef> {
    let schema = config.reader().ok()??;
    let fields = fields(&schema).into_iter().map(|(name, shape)| Field::new(&*name, shape.data_type(), true));
    Some(Arc::new(arrow::datatypes::Schema::new(fields.collect::<Vec<_>>())))
}

/// The column of records that are no records.
pub(crate) const VALUE: &str = "value";

/// The columns that a schema becomes.
pub(crate) fn fields(schema: &Schema) -> Vec<(Arc<str>, Shape)> {
    let mut shapes = Shapes::default();
    match shapes.of(schema, schema.root()) {
        Some(Shape::Struct(members)) if is_record(schema) => members,
        Some(_) if is_record(schema) => Vec::new(),
        shape => shape.map(|shape| (VALUE.into(), shape)).into_iter().collect(),
    }
}

/// Whether a value is a record, or a record or null.
pub(crate) fn is_record(schema: &Schema) -> bool {
    let root = schema.root();
    match schema.kind(root) {
        Kind::Record(_) => true,
        Kind::Union(branches) => {
            let mut real = branches.iter().filter(|branch| !matches!(schema.kind(**branch), Kind::Null));
            matches!((real.next().map(|branch| schema.kind(*branch)), real.next()), (Some(Kind::Record(_)), None))
        }
        _ => false,
    }
}
