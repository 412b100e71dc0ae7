//! Stories of JSON. Helpers here; the stories in the files below.

use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use weir_model::{
    Decoded, EventTime, FieldKind, Fields, Framed, Offset, PartitionId, Position, Raw, RecordSpan, Wanted, WantedField,
};

use crate::FormatConfig;

mod all;
mod bad_input;
mod framed;
mod oracle;
mod projected;

/// The bytes of a file as its framer cuts them.
fn raw_of(bytes: &[u8]) -> Raw {
    let framer = FormatConfig::default().framer();
    let (mut records, mut from) = (Vec::new(), 0);
    while let Framed::Record { record, next } = framer.frame(&bytes[from..], 0, true) {
        let (start, end) = (from as u32, (from + record) as u32);
        records.push(RecordSpan { start, end, offset: Offset(from as u64), original_bytes: record as u64 });
        from += next;
    }
    Raw {
        partition: PartitionId::new("p"),
        origin: "p.json".into(),
        bytes: Bytes::copy_from_slice(bytes),
        records,
        next: Position::default(),
        fallback_time: None,
    }
}

fn wanted(time_field: Option<&str>, fields: Fields) -> Wanted {
    Wanted {
        time_field: time_field.map(Into::into),
        not_before: EventTime::from_micros(0),
        fields,
        declared: Vec::new(),
    }
}

fn field(name: &str, kind: FieldKind) -> WantedField {
    WantedField { name: name.into(), kind }
}

fn value(name: &str, data_type: DataType) -> WantedField {
    field(name, FieldKind::Value(data_type))
}

fn key(name: &str) -> WantedField {
    field(name, FieldKind::Key)
}

fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// What becomes of `text` when these fields are wanted.
fn decode_these(text: &str, time_field: Option<&str>, these: Vec<WantedField>) -> Decoded {
    let mut decoder = FormatConfig::default().decoder(wanted(time_field, Fields::These(these))).expect("a valid plan");
    decoder.decode(&raw_of(text.as_bytes()))
}

/// The rows of a batch as text, one line each, values separated by ` | `; nulls are `null`.
fn rows(batch: &RecordBatch) -> String {
    let options = FormatOptions::new().with_null("null");
    let shown: Vec<Vec<String>> = batch
        .columns()
        .iter()
        .map(|column| {
            // the formatter knows no names of zones
            let column = match column.data_type() {
                DataType::Timestamp(unit, Some(_)) => {
                    arrow::compute::cast(column, &DataType::Timestamp(*unit, None)).expect("times are times")
                }
                _ => Arc::clone(column),
            };
            let formatter = ArrayFormatter::try_new(&column, &options).expect("a type that can be shown");
            (0..column.len()).map(|row| formatter.value(row).to_string()).collect()
        })
        .collect();
    (0..batch.num_rows())
        .map(|row| shown.iter().map(|column| column[row].as_str()).collect::<Vec<_>>().join(" | "))
        .collect::<Vec<_>>()
        .join("\n")
}

/// All rows of all batches, then what was rejected and why.
fn shown(decoded: &Decoded) -> String {
    let mut lines: Vec<String> = decoded.batches.iter().map(|batch| rows(&batch.columns)).collect();
    lines.extend(decoded.rejected.iter().map(|rejected| format!("! {}: {}", rejected.offset, rejected.reason)));
    lines.join("\n")
}

/// `name: type` of every column.
fn columns(batch: &RecordBatch) -> String {
    batch
        .schema()
        .fields()
        .iter()
        .map(|field| format!("{}: {}", field.name(), field.data_type()))
        .collect::<Vec<_>>()
        .join("\n")
}
