//! Decodes batches: finds each record's schema and message, and follows the plan for them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use weir_model::{
    Batch, Decoded, Decoder, ErrorKind, KnownSchema, Raw, Remembers, SchemaId, SchemaLanguage, SeamError, SeamResult,
    Wanted,
};
use weir_schema::protobuf::{MessageId, Schema};

use super::config::{ProtobufConfig, ProtobufFraming, fields};
use super::limits::{INDEXES_MAX, SCHEMAS_MAX};
use super::plan::{Plan, Planner, Want};
use super::reader::Reader;
use super::run::Run;
use crate::framing::{confluent, zigzag};
use crate::reject::{rejected, too_long};
use crate::typed::Rows;

/// Decodes Protobuf.
#[derive(Debug)]
pub(crate) struct ProtobufDecoder {
    framing: ProtobufFraming,
    /// What records are read as, whatever they were written with.
    reader: Option<Arc<Schema>>,
    config: ProtobufConfig,
    /// What is known of each schema of the registry: it, or why there is none.
    schemas: HashMap<SchemaId, Result<Arc<Schema>, String>>,
    programs: HashMap<Written, Program>,
    rows: Rows,
}

/// What a record is: of which schema, when it is not read as another, and which message of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Written {
    schema: Option<SchemaId>,
    indexes: Vec<u32>,
}

/// A plan that is ready to be followed.
#[derive(Debug)]
struct Program {
    schema: Arc<Schema>,
    plan: Plan,
}

impl ProtobufDecoder {
    pub(crate) fn new(config: &ProtobufConfig, wanted: &Wanted) -> SeamResult<Self> {
        let wrong = |reason: String| SeamError::new(ErrorKind::Config, reason);
        config.check().map_err(wrong)?;
        let reader = config.reader().map_err(wrong)?.map(Arc::new);
        Ok(Self {
            framing: config.framing(),
            reader,
            config: config.clone(),
            schemas: HashMap::new(),
            programs: HashMap::new(),
            rows: Rows::new("protobuf", wanted)?,
        })
    }

    /// What a record is, and where its message begins.
    fn written(&self, record: &[u8]) -> Result<(Written, usize), String> {
        match self.framing {
            ProtobufFraming::Binary => Ok((Written::default(), 0)),
            ProtobufFraming::Confluent => {
                let (id, rest) = confluent(record)?;
                let (mut indexes, rest) = message_indexes(rest)?;
                if self.config.message.is_some() {
                    indexes.clear();
                }
                let schema = self.reader.is_none().then_some(id);
                Ok((Written { schema, indexes }, record.len() - rest.len()))
            }
        }
    }

    /// The schemas that the batch needs and that are not known. Found before anything is decoded, so that the columns come
    /// in the order of the records, whatever was known when.
    fn unknown(&self, raw: &Raw) -> Vec<SchemaId> {
        if self.framing != ProtobufFraming::Confluent || self.reader.is_some() {
            return Vec::new();
        }
        let ids = raw.records.iter().filter(|span| !span.is_truncated());
        let ids = ids.filter_map(|span| Some(confluent(raw.record(span)).ok()?.0));
        ids.filter(|id| !self.schemas.contains_key(id)).collect::<BTreeSet<_>>().into_iter().collect()
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
        let (written, skipped) = self.written(record)?;
        if !self.programs.contains_key(&written) {
            let (program, batch) = self.program(&written, raw)?;
            self.programs.insert(written.clone(), program);
            batches.extend(batch);
        }
        let Some(program) = self.programs.get(&written) else { unreachable!("it is known or was just made") };
        let bytes = Reader::new(&record[skipped..], skipped, Some(start + skipped as u32));
        if let Err(fault) = Run::new(&program.schema).message(&program.plan, &mut self.rows.group, bytes) {
            self.rows.take_back();
            return Err(fault.explain("not the Protobuf of its schema", 0));
        }
        self.rows.end_row(offset).inspect_err(|_| self.rows.take_back())
    }

    /// Makes the plan for what is `written`.
    #[cold]
    fn program(&mut self, written: &Written, raw: &Raw) -> Result<(Program, Option<Batch>), String> {
        let schema = match (&self.reader, written.schema.and_then(|id| self.schemas.get(&id))) {
            (Some(reader), _) => Arc::clone(reader),
            (None, Some(Ok(schema))) => Arc::clone(schema),
            (None, Some(Err(reason))) => return Err(reason.clone()),
            (None, None) => return Err("the schema is not known".to_owned()),
        };
        let message = self.message(&schema, written)?;
        let batch = if self.rows.is_all() { self.rows.grow(fields(&schema, message), raw) } else { None };
        let columns = self.rows.columns().to_vec();
        let want = |(index, column): (usize, &'_ crate::typed::Column)| (index as u32, column.clone());
        let columns: Vec<(u32, crate::typed::Column)> = columns.iter().enumerate().map(want).collect();
        let wants: Vec<Want<'_>> = columns
            .iter()
            .map(|(index, column)| Want { column: *index, path: column.path(), shape: &column.shape })
            .collect();
        let plan = Planner { schema: &schema }.plan(message, &wants);
        Ok((Program { plan, schema: Arc::clone(&schema) }, batch))
    }

    fn message(&self, schema: &Schema, written: &Written) -> Result<MessageId, String> {
        if written.indexes.is_empty() {
            return self.config.message(schema);
        }
        schema.at(&written.indexes).ok_or_else(|| {
            format!("the record says that it is message {:?} of its schema, which has no such message", written.indexes)
        })
    }
}

/// Which message of its schema a record is, and what comes behind: how many indexes, and they; a single zero is short for the
/// first message.
fn message_indexes(bytes: &[u8]) -> Result<(Vec<u32>, &[u8]), String> {
    let cut = || "record ends within the indexes of its message; expected the Confluent wire format".to_owned();
    let (count, mut rest) = zigzag(bytes).ok_or_else(cut)?;
    if count == 0 {
        return Ok((vec![0], rest));
    }
    let count = usize::try_from(count).ok().filter(|count| *count <= INDEXES_MAX).ok_or_else(|| {
        format!("record names its message by {count} indexes; expected the Confluent wire format of Protobuf, with at most {INDEXES_MAX}")
    })?;
    let mut indexes = Vec::with_capacity(count);
    for _ in 0..count {
        let (index, after) = zigzag(rest).ok_or_else(cut)?;
        let index = u32::try_from(index).map_err(|_| format!("record names its message by the index {index}"))?;
        indexes.push(index);
        rest = after;
    }
    Ok((indexes, rest))
}

fn read(known: &KnownSchema) -> Result<Schema, String> {
    if known.language != SchemaLanguage::Protobuf {
        return Err(format!("it is {}; expected PROTOBUF", known.language.word()));
    }
    let references: Vec<(&str, &str)> =
        known.references.iter().map(|reference| (reference.name.as_str(), &*reference.text)).collect();
    Schema::parse(&known.text, &references).map_err(|error| error.to_string())
}

impl Decoder for ProtobufDecoder {
    /// With every field wanted and no schema to read as, columns come in the order of the schemas.
    fn remembers(&self) -> Remembers {
        let is_open = self.reader.is_none() || self.framing == ProtobufFraming::Confluent;
        if self.rows.is_all() && is_open { Remembers::Everything } else { Remembers::Nothing }
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
        if self.schemas.len() > SCHEMAS_MAX || self.programs.len() > SCHEMAS_MAX {
            self.schemas.clear();
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
        self.schemas.insert(id, read);
    }
}
