//! The values of records: rows in the format that is asked for, behind the number of their schema. Registers schemas. Blocks.
//! Refuses to write anything before its schema is registered.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use tokio::runtime::Handle;
use weir_model::{ErrorKind, SeamError, SeamResult};
use weir_registry::{Client, NewSchema, Reference};
use weir_schema::protobuf::MessageId;
use weir_schema::{RegistryConfig, SchemaSource, avro, protobuf};

use super::config::KafkaOutput;
use crate::encode;
use crate::row_format::{AvroFrame, AvroOutput, JsonSchemaOutput, ProtobufOutput, RowFormat};

/// What single-object encoding of Avro begins with, before the fingerprint of the schema.
const SINGLE_OBJECT: [u8; 2] = [0xc3, 0x01];

/// A value for each row, or why it has none.
pub(super) type Encoded = Vec<Result<Vec<u8>, String>>;

/// Turns rows into values.
pub(super) struct Values {
    format: RowFormat,
    topic: String,
    registry: Option<Client>,
    /// The columns that were seen last, and how they are written.
    known: Option<(SchemaRef, Way)>,
}

/// How rows of some columns are written.
enum Way {
    JsonSchema { head: Vec<u8> },
    Avro { head: Vec<u8>, schema: avro::Schema },
    Protobuf { head: Vec<u8>, schema: protobuf::Schema, message: MessageId },
}

impl Values {
    /// Reads the schemas that are given. Asks nobody yet.
    ///
    /// # Errors
    /// `Config` when a schema cannot be read, or the registry has no address.
    pub(super) fn open(config: &KafkaOutput) -> SeamResult<Self> {
        let mut format = config.format.clone();
        let mut registry: Option<RegistryConfig> = None;
        match &mut format {
            RowFormat::Json | RowFormat::Csv | RowFormat::Raw(_) => {}
            RowFormat::JsonSchema(json) => registry = Some(json.registry.clone()),
            RowFormat::Avro(avro) => {
                read(avro.schema.iter_mut())?;
                registry.clone_from(&avro.registry);
            }
            RowFormat::Protobuf(protobuf) => {
                read(protobuf.schema.iter_mut().chain(protobuf.imports.values_mut()))?;
                registry.clone_from(&protobuf.registry);
            }
        }
        let registry = registry.as_ref().map(Client::new).transpose()?;
        Ok(Self { format, topic: config.topic.clone(), registry, known: None })
    }

    /// The values of `rows`.
    ///
    /// # Errors
    /// `Config` when no row can be written, or the registry refuses the schema; `Retry` when it cannot be reached.
    pub(super) fn encode(&mut self, rows: &RecordBatch) -> SeamResult<Encoded> {
        match &self.format {
            RowFormat::Json => return Ok(lines(rows)),
            RowFormat::Csv => return Ok(encode::csv_lines(rows).into_iter().map(Ok).collect()),
            RowFormat::Raw(raw) => {
                let values = encode::raw_values(rows, &raw.column);
                return values.map_err(|reason| {
                    let message = format!("rows cannot be written to {} as they are: {reason}", self.topic);
                    SeamError::new(ErrorKind::Config, message)
                });
            }
            RowFormat::JsonSchema(_) | RowFormat::Avro(_) | RowFormat::Protobuf(_) => {}
        }
        if self.known.as_ref().is_none_or(|(schema, _)| schema != rows.schema_ref()) {
            let earlier = self.known.take().map(|(_, way)| way);
            let way = match &self.format {
                RowFormat::JsonSchema(config) => self.json_schema(config, rows)?,
                RowFormat::Avro(config) => self.avro(config, rows)?,
                RowFormat::Protobuf(config) => self.protobuf(config, rows, earlier)?,
                RowFormat::Json | RowFormat::Csv | RowFormat::Raw(_) => unreachable!("these have no schema"),
            };
            self.known = Some((rows.schema(), way));
        }
        let Some((_, way)) = &self.known else { unreachable!("it is known or was just made") };
        let (head, encoded) = match way {
            Way::JsonSchema { head } => (head, Ok(lines(rows))),
            Way::Avro { head, schema } => (head, encode::avro_records(schema, rows)),
            Way::Protobuf { head, schema, message } => (head, encode::protobuf_messages(schema, *message, rows)),
        };
        let encoded = encoded.map_err(|reason| self.wrong(&reason))?;
        Ok(encoded.into_iter().map(|value| value.map(|value| [head.as_slice(), &value].concat())).collect())
    }

    fn wrong(&self, reason: &str) -> SeamError {
        let message = format!("rows cannot be written to {} by its schema: {reason}", self.topic);
        SeamError::new(ErrorKind::Config, message)
    }

    fn json_schema(&self, config: &JsonSchemaOutput, rows: &RecordBatch) -> SeamResult<Way> {
        let title = config.title.as_deref().unwrap_or(&self.topic);
        let schema = encode::json_schema(title, rows.schema_ref().fields()).to_string();
        let new = NewSchema { schema, schema_type: "JSON".to_owned(), references: Vec::new() };
        let id = self.register(config.subject.as_deref(), &new)?;
        Ok(Way::JsonSchema { head: id.map(framed).unwrap_or_default() })
    }

    fn avro(&self, config: &AvroOutput, rows: &RecordBatch) -> SeamResult<Way> {
        let text = match &config.schema {
            Some(given) => given.text().map_err(|reason| self.wrong(&reason))?.to_owned(),
            None => {
                let name = config.name.clone().unwrap_or_else(|| encode::plain(&self.topic));
                encode::avro_schema(&name, rows.schema_ref().fields()).to_string()
            }
        };
        let schema = avro::Schema::parse(&text).map_err(|error| self.wrong(&error.to_string()))?;
        let new = NewSchema { schema: text, schema_type: "AVRO".to_owned(), references: Vec::new() };
        let id = self.register(config.subject.as_deref(), &new)?;
        let head = match config.framing() {
            AvroFrame::Binary => Vec::new(),
            AvroFrame::SingleObject => [&SINGLE_OBJECT[..], &schema.fingerprint().to_le_bytes()].concat(),
            AvroFrame::Confluent => id.map(framed).unwrap_or_default(),
        };
        Ok(Way::Avro { head, schema })
    }

    fn protobuf(&self, config: &ProtobufOutput, rows: &RecordBatch, earlier: Option<Way>) -> SeamResult<Way> {
        let (text, imports) = match &config.schema {
            Some(given) => self.given(given, config)?,
            None => (self.grown(config, rows, earlier)?, Vec::new()),
        };
        let known: Vec<(&str, &str)> = imports.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let schema = protobuf::Schema::parse(&text, &known).map_err(|error| self.wrong(&error.to_string()))?;
        let message = match (&config.message, schema.roots()) {
            (Some(name), _) => schema.find(name),
            (None, [only]) => Some(*only),
            (None, _) => None,
        };
        let message = message.ok_or_else(|| {
            let names = schema.names().join(", ");
            self.wrong(&format!("say which message a row is: message: one of {names}"))
        })?;
        let mut references = Vec::new();
        if self.registry.is_some() {
            // Files that others import come after those.
            for (name, text) in imports.iter().rev() {
                let new =
                    NewSchema { schema: text.clone(), schema_type: "PROTOBUF".to_owned(), references: Vec::new() };
                self.register(Some(name), &new)?;
                references.push(Reference { name: name.clone(), subject: name.clone(), version: self.version(name)? });
            }
        }
        let new = NewSchema { schema: text, schema_type: "PROTOBUF".to_owned(), references };
        let head = match self.register(config.subject.as_deref(), &new)? {
            None => Vec::new(),
            Some(id) => {
                let indexes = schema.indexes(message);
                let indexes =
                    indexes.ok_or_else(|| self.wrong("the message is imported; name one of the schema itself"))?;
                [framed(id), encode::message_indexes(&indexes)].concat()
            }
        };
        Ok(Way::Protobuf { head, schema, message })
    }

    /// A schema that was given, and what it imports.
    fn given(&self, schema: &SchemaSource, config: &ProtobufOutput) -> SeamResult<(String, Vec<(String, String)>)> {
        let text = |source: &SchemaSource| source.text().map(str::to_owned).map_err(|reason| self.wrong(&reason));
        let imports = config.imports.iter().map(|(name, source)| Ok((name.clone(), text(source)?)));
        Ok((text(schema)?, imports.collect::<SeamResult<_>>()?))
    }

    /// The schema that the columns say. Fields keep the numbers that they had.
    fn grown(&self, config: &ProtobufOutput, rows: &RecordBatch, earlier: Option<Way>) -> SeamResult<String> {
        let name = config.message.clone().unwrap_or_else(|| encode::plain(&self.topic));
        let registered = match (&self.registry, &earlier) {
            (Some(registry), None) => {
                let subject = self.subject(config.subject.as_deref());
                let latest = Handle::current().block_on(registry.latest(&subject))?;
                latest.and_then(|latest| protobuf::Schema::parse(&latest.schema.schema, &[]).ok())
            }
            _ => None,
        };
        let earlier = match &earlier {
            Some(Way::Protobuf { schema, .. }) => Some(schema),
            Some(Way::Avro { .. } | Way::JsonSchema { .. }) | None => registered.as_ref(),
        };
        Ok(encode::protobuf_schema(&name, rows.schema_ref().fields(), earlier))
    }

    fn subject(&self, subject: Option<&str>) -> String {
        subject.map_or_else(|| format!("{}-value", self.topic), str::to_owned)
    }

    /// The number of a schema; none without a registry.
    fn register(&self, subject: Option<&str>, schema: &NewSchema) -> SeamResult<Option<u32>> {
        let Some(registry) = &self.registry else { return Ok(None) };
        let registered = Handle::current().block_on(registry.register(&self.subject(subject), schema))?;
        Ok(Some(registered.id))
    }

    fn version(&self, subject: &str) -> SeamResult<u32> {
        let Some(registry) = &self.registry else { return Ok(1) };
        let latest = Handle::current().block_on(registry.latest(subject))?;
        Ok(latest.map_or(1, |latest| latest.version))
    }
}

fn read<'a>(sources: impl Iterator<Item = &'a mut SchemaSource>) -> SeamResult<()> {
    for source in sources {
        source.read(|file| std::fs::read(file)).map_err(|reason| SeamError::new(ErrorKind::Config, reason))?;
    }
    Ok(())
}

/// The head of the Confluent wire format.
fn framed(id: u32) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes()].concat()
}

fn lines(rows: &RecordBatch) -> Encoded {
    let mut encoded = Vec::new();
    encode::ndjson(rows, &mut encoded);
    // JSON has no newline of its own inside of a row.
    encoded.split_inclusive(|byte| *byte == b'\n').map(|line| Ok(line[..line.len() - 1].to_vec())).collect()
}
