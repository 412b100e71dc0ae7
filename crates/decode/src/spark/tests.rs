//! Stories of Spark logs. Helpers here; the stories in the files below.

use arrow::array::Array;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::Bytes;
use weir_model::{
    Batch, Decoded, Decoder, EventTime, Fields, Framer, Offset, PartitionId, Position, Raw, RecordSpan, Wanted,
};

use super::{SparkDecoder, SparkFramer};
use crate::SparkLogConfig;
use crate::cutting::records_at_once;

mod events;
mod framing;
mod memory;

/// A file's content as its framer cuts it.
fn raw_of(path: &str, content: &str, first_offset: u64) -> Raw {
    let spans = records_at_once(&SparkFramer, content.as_bytes()).into_iter().map(|(start, length)| RecordSpan {
        start: start as u32,
        end: (start + length) as u32,
        offset: Offset(first_offset + start as u64),
        original_bytes: length as u64,
    });
    Raw {
        partition: PartitionId::new(path),
        origin: path.into(),
        records: spans.collect(),
        bytes: Bytes::copy_from_slice(content.as_bytes()),
        next: Position::default(),
        fallback_time: Some(EventTime::from_micros(1_000_000)),
    }
}

fn decoder() -> SparkDecoder {
    let wanted = Wanted {
        time_field: Some("ts".into()),
        not_before: EventTime::from_micros(0),
        fields: Fields::All,
        declared: Vec::new(),
    };
    SparkDecoder::new(&SparkLogConfig::default(), &wanted).expect("a valid plan")
}

/// Every row of a batch, `field=value` for those that are not null, without the file and its offset.
fn rows(batch: &Batch) -> Vec<String> {
    let options = FormatOptions::new().with_null("");
    let schema = batch.columns.schema();
    let show = |row: usize| {
        let times = std::iter::once(format!("ts={}", batch.time(row)));
        let others = (1..12).filter(|column| !batch.columns.column(*column).is_null(row)).map(|column| {
            let formatter =
                ArrayFormatter::try_new(batch.columns.column(column), &options).expect("a type that can be shown");
            format!("{}={}", schema.field(column).name(), formatter.value(row).to_string().escape_debug())
        });
        times.chain(others).collect::<Vec<_>>().join(" ")
    };
    (0..batch.rows()).map(show).collect()
}

/// What becomes of a file that is decoded at once.
fn decoded(path: &str, content: &str) -> Decoded {
    decoder().decode(&raw_of(path, content, 0))
}

/// All rows of a file, one a line.
fn shown(path: &str, content: &str) -> String {
    let decoded = decoded(path, content);
    assert_eq!(decoded.rejected, Vec::new());
    decoded.batches.iter().flat_map(rows).collect::<Vec<_>>().join("\n")
}
