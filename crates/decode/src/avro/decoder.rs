//! Decodes batches: finds each record's schema, and follows the plan for it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use weir_model::{
    Batch, Decoded, Decoder, ErrorKind, KnownSchema, Raw, Remembers, SchemaId, SchemaLanguage, SeamError, SeamResult,
    Wanted,
};
use weir_schema::avro::Schema;

use super::config::{AvroConfig, AvroFraming, VALUE, fields, is_record, parse};
use super::limits::SCHEMAS_MAX;
use super::plan::{Planner, Walk, Want};
use super::reader::Reader;
use super::run::Program;
use super::skip::Skips;
use crate::framing::{confluent, single_object};
use crate::reject::{rejected, too_long};
use crate::typed::{Column, Rows};

/// Decodes Avro.
#[derive(Debug)]
pub(crate) struct AvroDecoder {
    framing: AvroFraming,
    reader: Option<Arc<Schema>>,
    /// What is known of each writer's schema: it, or why there is none.
    schemas: HashMap<Writer, Result<Arc<Schema>, String>>,
    programs: HashMap<Writer, Program>,
    rows: Rows,
}

/// Who wrote a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Writer {
    Given,
    Fingerprint(u64),
    Id(SchemaId),
}

impl AvroDecoder {
    pub(crate) fn new(config: &AvroConfig, wanted: &Wanted) -> SeamResult<Self> {
        config.check().map_err(|reason| SeamError::new(ErrorKind::Config, reason))?;
        let reader = config.reader()?.map(Arc::new);
        let written = config.written_with.iter().map(parse).collect::<SeamResult<Vec<_>>>()?;
        let framing = config.framing();
        let mut schemas = HashMap::new();
        let all = written.into_iter().map(Arc::new).chain(reader.clone());
        match framing {
            AvroFraming::Confluent => {}
            AvroFraming::Binary => schemas.extend(all.take(1).map(|writer| (Writer::Given, Ok(writer)))),
            AvroFraming::SingleObject => {
                schemas.extend(all.map(|schema| (Writer::Fingerprint(schema.fingerprint()), Ok(schema))));
            }
        }
        let rows = Rows::new("avro", wanted)?;
        Ok(Self { framing, reader, schemas, programs: HashMap::new(), rows })
    }

    /// A record's writer, and where its value begins.
    fn writer(&self, record: &[u8]) -> Result<(Writer, usize), String> {
        let (writer, rest) = match self.framing {
            AvroFraming::Binary => (Writer::Given, record),
            AvroFraming::SingleObject => {
                let (fingerprint, rest) = single_object(record)?;
                (Writer::Fingerprint(fingerprint), rest)
            }
            AvroFraming::Confluent => {
                let (id, rest) = confluent(record)?;
                (Writer::Id(id), rest)
            }
        };
        Ok((writer, record.len() - rest.len()))
    }

    /// The schemas that the batch needs and that are not known. Found before anything is decoded, so that the columns come
    /// in the order of the records, whatever was known when.
    fn unknown(&self, raw: &Raw) -> Vec<SchemaId> {
        if self.framing != AvroFraming::Confluent {
            return Vec::new();
        }
        let ids = raw.records.iter().filter(|span| !span.is_truncated());
        let ids = ids.filter_map(|span| Some(confluent(raw.record(span)).ok()?.0));
        let unknown: BTreeSet<u32> =
            ids.filter(|id| !self.schemas.contains_key(&Writer::Id(*id))).map(|id| id.0).collect();
        unknown.into_iter().map(SchemaId).collect()
    }

    /// Decodes one record, or says why it is rejected. Rows of before are pushed to `batches` when columns change.
    fn row(
        &mut self,
        raw: &Raw,
        record: &[u8],
        start: u32,
        offset: u64,
        batches: &mut Vec<Batch>,
    ) -> Result<(), String> {
        let (writer, skipped) = self.writer(record)?;
        if !self.programs.contains_key(&writer) {
            let (program, batch) = self.program(writer, raw)?;
            self.programs.insert(writer, program);
            batches.extend(batch);
        }
        let Some(program) = self.programs.get(&writer) else { unreachable!("it is known or was just made") };
        let mut bytes = Reader::new(&record[skipped..], Some(start + skipped as u32));
        if let Err(fault) = program.run(&mut self.rows.group, &mut bytes) {
            self.rows.take_back();
            return Err(fault.explain("not the Avro of its schema", skipped));
        }
        self.rows.end_row(offset).inspect_err(|_| self.rows.take_back())
    }

    /// Makes the plan for what `writer` writes.
    #[cold]
    fn program(&mut self, writer: Writer, raw: &Raw) -> Result<(Program, Option<Batch>), String> {
        let schema = match self.schemas.get(&writer) {
            Some(Ok(schema)) => Arc::clone(schema),
            Some(Err(reason)) => return Err(reason.clone()),
            None => {
                return Err(match writer {
                    Writer::Fingerprint(of) => {
                        format!(
                            "no schema of the fingerprint {of:#018x} is given; add it to written_with of the format"
                        )
                    }
                    Writer::Given | Writer::Id(_) => "the schema is not known".to_owned(),
                });
            }
        };
        let reader = self.reader.clone().unwrap_or_else(|| Arc::clone(&schema));
        let batch = if self.rows.is_all() { self.rows.grow(fields(&reader), raw) } else { None };
        let columns = self.rows.columns().to_vec();
        let (mut skips, is_same) = (Skips::default(), schema == reader);
        let mut planner =
            Planner { writer: &schema, reader: &reader, is_same, skips: &mut skips, default_skips: Skips::default() };
        let walk = walk(&mut planner, &columns);
        let default_skips = std::mem::take(&mut planner.default_skips);
        Ok((Program { writer: Arc::clone(&schema), reader, walk, skips, default_skips }, batch))
    }
}

fn walk(planner: &mut Planner<'_>, columns: &[Column]) -> Walk {
    let is_record = is_record(planner.reader);
    let mut wants: Vec<Want<'_>> = Vec::with_capacity(columns.len());
    for (index, column) in columns.iter().enumerate() {
        let mut path = column.path();
        if !is_record && path.first() == Some(&VALUE) {
            path.remove(0);
        }
        wants.push(Want { column: index as u32, path, shape: &column.shape });
    }
    planner.walk(planner.writer.root(), planner.reader.root(), &wants)
}

fn read(known: &KnownSchema) -> Result<Schema, String> {
    if known.language != SchemaLanguage::Avro {
        return Err(format!("it is {}; expected AVRO", known.language.word()));
    }
    let references: Vec<&str> = known.references.iter().map(|reference| &*reference.text).collect();
    Schema::parse_with(&known.text, &references).map_err(|error| error.to_string())
}

impl Decoder for AvroDecoder {
    /// With every field wanted and no schema to read as, columns come in the order of the schemas.
    fn remembers(&self) -> Remembers {
        if self.rows.is_all() && self.reader.is_none() { Remembers::Everything } else { Remembers::Nothing }
    }

    fn decode(&mut self, raw: &Raw) -> Decoded {
        let wanted_schemas = self.unknown(raw);
        let mut decoded = Decoded { wanted_schemas, ..Decoded::default() };
        if !decoded.wanted_schemas.is_empty() {
            return decoded;
        }
        for span in &raw.records {
            let row = if span.is_truncated() {
                Err(too_long(span))
            } else {
                self.row(raw, raw.record(span), span.start, span.offset.0, &mut decoded.batches)
            };
            if let Err(reason) = row {
                decoded.rejected.push(rejected(raw, span, reason));
            }
        }
        decoded.batches.extend(self.rows.finish(raw));
        // What is missing today may be there for the next batch.
        self.schemas.retain(|_, schema| schema.is_ok());
        if self.schemas.len() > SCHEMAS_MAX {
            self.schemas.retain(|writer, _| !matches!(writer, Writer::Id(_)));
            self.programs.clear();
        }
        decoded
    }

    fn learn(&mut self, id: SchemaId, schema: Result<&KnownSchema, &str>) {
        let read = match schema {
            Ok(known) => read(known).map(Arc::new),
            Err(reason) => Err(reason.to_owned()),
        };
        let read = read.map_err(|reason| format!("schema {} of the registry: {reason}", id.0));
        self.schemas.insert(Writer::Id(id), read);
    }
}
