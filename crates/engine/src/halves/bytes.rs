//! A partial as bytes, as the value of a record that travels: one layout, checked as a whole. Compresses nothing; what
//! carries it does.
//!
//! ```text
//! "WPAR"  version u8 (1)  header length u32  header (JSON)  { length u32, Arrow IPC stream } per part  XXH3-64 of all before
//! ```
//! Numbers are little-endian. Rows that travel as they are have three columns more at the end: where each begins (`u64`), its
//! event time and the watermark before it (microseconds).

use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, UInt64Type};
use arrow::error::ArrowError;
use arrow::ipc::{reader::StreamReader, writer::StreamWriter};
use serde::{Deserialize, Serialize};
use weir_model::{EventTime, Offset, PartitionId, Watermark};
use xxhash_rust::xxh3::xxh3_64;

use super::{Body, Groups, KeyGroup, Part, Partial, PartialError};
use crate::PartitionState;
use crate::rows::{Origin, Rows};
use crate::window::PLACE_COLUMNS;

const MAGIC: &[u8; 4] = b"WPAR";
const VERSION: u8 = 1;
/// Before the header: magic, version, length.
const PREFIX: usize = 9;
const CHECKSUM: usize = 8;
/// Columns of positions and times behind the others of a part that is rows.
const ADDED: usize = 3;

#[derive(Serialize, Deserialize)]
struct Header {
    plan: String,
    key_group: u16,
    source: usize,
    partition: PartitionId,
    generation: u64,
    sequence: u64,
    watermark: i64,
    state: PartitionState,
    rows: u64,
    offset: Option<u64>,
    asks: bool,
    parts: Vec<PartHeader>,
}

#[derive(Serialize, Deserialize)]
struct PartHeader {
    node: usize,
    port: usize,
    #[serde(flatten)]
    body: BodyHeader,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BodyHeader {
    Groups { mark: i64, kinds: Vec<Option<String>> },
    Rows { name: String },
}

impl Partial {
    /// The partial as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = Header {
            plan: self.plan_fingerprint.clone(),
            key_group: self.key_group.0,
            source: self.source,
            partition: self.partition.clone(),
            generation: self.generation,
            sequence: self.sequence,
            watermark: self.watermark.time().micros(),
            state: self.state,
            rows: self.rows,
            offset: self.offset.map(|offset| offset.0),
            asks: self.asks,
            parts: self.parts.iter().map(PartHeader::of).collect(),
        };
        let header = serde_json::to_vec(&header).expect("numbers and names are JSON");
        let mut bytes = Vec::with_capacity(PREFIX + header.len() + CHECKSUM);
        bytes.extend_from_slice(MAGIC);
        bytes.push(VERSION);
        write_block(&header, &mut bytes);
        for part in &self.parts {
            write_block(&write_columns(&part.body), &mut bytes);
        }
        let checksum = xxh3_64(&bytes);
        bytes.extend_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The partial that [`Partial::to_bytes`] made bytes of.
    ///
    /// # Errors
    /// When they are no partial, of a version that is not known here, or damaged.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PartialError> {
        Self::read(bytes).map_err(|reason| PartialError::Damaged { reason })
    }

    fn read(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < PREFIX + CHECKSUM || bytes[..4] != *MAGIC {
            return Err("it does not begin as one".to_owned());
        }
        if bytes[4] != VERSION {
            return Err(format!("it is of version {}, and {VERSION} is known here", bytes[4]));
        }
        let (bytes, checksum) = bytes.split_at(bytes.len() - CHECKSUM);
        if xxh3_64(bytes).to_le_bytes() != checksum {
            return Err("its checksum is wrong".to_owned());
        }
        let mut rest = &bytes[5..];
        let header: Header = serde_json::from_slice(read_block(&mut rest)?).map_err(|error| error.to_string())?;
        let partition = header.partition;
        let mut parts = Vec::with_capacity(header.parts.len());
        for part in header.parts {
            let batch = read_columns(read_block(&mut rest)?).map_err(|error| error.to_string())?;
            let body = part.body.with(batch, (header.source, &partition))?;
            parts.push(Part { node: part.node, port: part.port, body });
        }
        Ok(Self {
            plan_fingerprint: header.plan,
            key_group: KeyGroup(header.key_group),
            source: header.source,
            partition,
            generation: header.generation,
            sequence: header.sequence,
            watermark: Watermark::at(EventTime::from_micros(header.watermark)),
            state: header.state,
            rows: header.rows,
            offset: header.offset.map(Offset),
            asks: header.asks,
            parts,
        })
    }
}

impl PartHeader {
    fn of(part: &Part) -> Self {
        let body = match &part.body {
            Body::Groups(groups) => BodyHeader::Groups { mark: groups.mark, kinds: groups.kinds.clone() },
            Body::Rows(rows) => {
                let name = rows.origin.as_ref().map_or(String::new(), |origin| origin.name.to_string());
                BodyHeader::Rows { name }
            }
        };
        Self { node: part.node, port: part.port, body }
    }
}

impl BodyHeader {
    fn with(self, batch: RecordBatch, (source, partition): (usize, &PartitionId)) -> Result<Body, String> {
        let (name, own) = match self {
            Self::Groups { mark, kinds } => {
                let is_place = |column: usize| {
                    let column = batch.columns().get(column);
                    column.is_some_and(|column| *column.data_type() == DataType::Int64 && column.null_count() == 0)
                };
                return match (0..PLACE_COLUMNS.len()).all(is_place) {
                    true => Ok(Body::Groups(Groups { mark, kinds, batch })),
                    false => Err("its groups are of no pane".to_owned()),
                };
            }
            Self::Rows { name } => (name, batch.num_columns().checked_sub(ADDED)),
        };
        let own = own.ok_or("its rows have no positions")?;
        let longs = |column: usize| batch.column(own + column).as_primitive_opt::<Int64Type>();
        let offsets = batch.column(own).as_primitive_opt::<UInt64Type>();
        let (Some(offsets), Some(times), Some(marks)) = (offsets, longs(1), longs(2)) else {
            return Err("its rows have no positions".to_owned());
        };
        let origin = Origin {
            source,
            partition: partition.clone(),
            name: name.into(),
            offsets: offsets.values().clone(),
            times: times.values().clone(),
            marks: marks.values().clone(),
            // Known where it is taken.
            held: Arc::from([]),
        };
        let columns: Vec<usize> = (0..own).collect();
        let columns = batch.project(&columns).map_err(|error| error.to_string())?;
        Ok(Body::Rows(Rows { columns, origin: Some(origin), made: None }))
    }
}

fn write_block(block: &[u8], bytes: &mut Vec<u8>) {
    let length = u32::try_from(block.len()).expect("a flush is not of gigabytes: what is unsent is limited");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(block);
}

fn read_block<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let short = || "it ends in the middle".to_owned();
    let (length, after) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let (block, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(short)?;
    *rest = after;
    Ok(block)
}

fn write_columns(body: &Body) -> Vec<u8> {
    let columns = compact(body.columns());
    let all = match body {
        Body::Rows(Rows { origin: Some(origin), .. }) => {
            let added: [ArrayRef; ADDED] = [
                Arc::new(UInt64Array::new(origin.offsets.clone(), None)),
                Arc::new(Int64Array::new(origin.times.clone(), None)),
                Arc::new(Int64Array::new(origin.marks.clone(), None)),
            ];
            let schema = columns.schema();
            let names = ["offset", "time", "mark"].into_iter().zip(&added);
            let names = names.map(|(name, values)| Arc::new(Field::new(name, values.data_type().clone(), false)));
            let fields: Vec<_> = schema.fields().iter().cloned().chain(names).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(columns.num_rows()));
            let values = columns.columns().iter().cloned().chain(added).collect();
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), values, &options)
                .expect("there is one of each for every row")
        }
        Body::Rows(_) | Body::Groups(_) => columns,
    };
    let why = "memory takes everything";
    let mut writer = StreamWriter::try_new(Vec::new(), &all.schema()).expect(why);
    writer.write(&all).expect(why);
    writer.into_inner().expect(why)
}

/// The same columns without what rows of other key groups share with them.
fn compact(batch: &RecordBatch) -> RecordBatch {
    let columns = batch.columns().iter().map(|column| match column.data_type() {
        DataType::Utf8View => Arc::new(column.as_string_view().gc()) as ArrayRef,
        DataType::BinaryView => Arc::new(column.as_binary_view().gc()),
        _ => column.clone(),
    });
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(batch.schema(), columns.collect(), &options).expect("the types are the same")
}

fn read_columns(bytes: &[u8]) -> Result<RecordBatch, ArrowError> {
    let mut reader = StreamReader::try_new(Cursor::new(bytes), None)?;
    reader.next().unwrap_or_else(|| Err(ArrowError::IpcError("there are no rows".to_owned())))
}
