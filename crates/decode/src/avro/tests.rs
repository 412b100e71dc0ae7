//! What Avro becomes, and what becomes of what is not Avro.

mod bad_input;
mod evolution;
mod oracle;
mod random;
mod shown;
mod stories;

use std::sync::Arc;

use bytes::Bytes;
use weir_model::{
    Decoded, Decoder, EventTime, FieldKind, Fields, Offset, PartitionId, Position, Raw, RecordSpan, Wanted, WantedField,
};
use weir_schema::SchemaSource;

use super::{AvroConfig, AvroDecoder};

fn all() -> Wanted {
    Wanted { time_field: None, not_before: EventTime::from_micros(0), fields: Fields::All, declared: Vec::new() }
}

fn these(fields: &[(&str, FieldKind)]) -> Wanted {
    let fields = fields.iter().map(|(name, kind)| WantedField { name: (*name).into(), kind: kind.clone() });
    Wanted { fields: Fields::These(fields.collect()), ..all() }
}

fn config(schema: &str) -> AvroConfig {
    AvroConfig { schema: Some(SchemaSource::Text(schema.to_owned())), ..AvroConfig::default() }
}

fn raw(records: &[Vec<u8>]) -> Raw {
    let mut bytes = Vec::new();
    let mut spans = Vec::new();
    for (offset, record) in records.iter().enumerate() {
        let start = bytes.len() as u32;
        bytes.extend_from_slice(record);
        let end = bytes.len() as u32;
        spans.push(RecordSpan { start, end, offset: Offset(offset as u64), original_bytes: record.len() as u64 });
    }
    Raw {
        partition: PartitionId::new("p"),
        origin: Arc::from("p"),
        bytes: Bytes::from(bytes),
        records: spans,
        next: Position::default(),
        fallback_time: None,
    }
}

fn decode(config: &AvroConfig, wanted: &Wanted, records: &[Vec<u8>]) -> Decoded {
    AvroDecoder::new(config, wanted).expect("a decoder").decode(&raw(records))
}

/// The rows as JSON lines, then what was rejected and why.
fn text(decoded: &Decoded) -> String {
    let mut lines = Vec::new();
    for batch in &decoded.batches {
        lines.extend((0..batch.rows()).map(|row| shown::row(&batch.columns, row).to_string()));
    }
    let rejected = decoded.rejected.iter();
    lines.extend(rejected.map(|rejected| format!("{}: {}", rejected.offset.0, rejected.reason)));
    lines.join("\n")
}
