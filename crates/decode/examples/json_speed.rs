//! How much CPU time framing and decoding JSON lines takes: `json_speed FILE [all|frame] [ROUNDS]`. Measures; checks
//! nothing but the number of rows.

use std::sync::Arc;

use arrow::datatypes::{DataType, TimeUnit};
use bytes::Bytes;
use weir_decode::FormatConfig;
use weir_model::{
    EventTime, FieldKind, Fields, Framed, Offset, PartitionId, Position, Raw, RecordSpan, Wanted, WantedField,
};

/// What the file source reads at a time.
const CHUNK_BYTES: usize = 1 << 20;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let file = arguments.first().expect("usage: json_speed FILE [all] [ROUNDS]");
    let is_all = arguments.iter().any(|argument| argument == "all");
    let is_framing = arguments.iter().any(|argument| argument == "frame");
    let rounds = arguments.last().and_then(|text| text.parse().ok()).unwrap_or(3);
    let content = std::fs::read(file).expect("a readable file");
    for round in 1..=rounds {
        let begin = cpu_seconds();
        let (rows, rejected) = run(&content, is_all, is_framing);
        let seconds = cpu_seconds() - begin;
        let per_million = seconds * 1e6 / (rows as f64).max(1.0);
        println!(
            "round {round}: {rows} rows, {rejected} rejected, {seconds:.2} CPU-s, {per_million:.3} CPU-s per million"
        );
    }
}

/// User and system time of this process so far, as Linux counts it: in hundredths of a second.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let after_name = stat.rsplit(") ").next().expect("the name is in brackets");
    let ticks: u64 = after_name.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum();
    ticks as f64 / 100.0
}

fn wanted(is_all: bool) -> Wanted {
    let field = |name: &str, kind| WantedField { name: name.into(), kind };
    let these = vec![
        field("ts", FieldKind::Value(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))),
        field("level", FieldKind::Key),
        field("service", FieldKind::Key),
        field("duration_ms", FieldKind::Value(DataType::Float64)),
    ];
    Wanted {
        declared: Vec::new(),
        time_field: Some("ts".into()),
        not_before: EventTime::from_micros(0),
        fields: if is_all { Fields::All } else { Fields::These(these) },
    }
}

fn run(content: &[u8], is_all: bool, is_framing: bool) -> (usize, usize) {
    let format = FormatConfig::default();
    let framer = format.framer();
    let mut decoder = format.decoder(wanted(is_all)).expect("a valid plan");
    let (mut rows, mut rejected, mut at) = (0, 0, 0);
    let origin: Arc<str> = "bench".into();
    while at < content.len() {
        let end = (at + CHUNK_BYTES).min(content.len());
        let bytes = Bytes::copy_from_slice(&content[at..end]);
        let (mut records, mut from) = (Vec::with_capacity(4096), 0);
        while let Framed::Record { record, next } = framer.frame(&bytes[from..], 0, end == content.len()) {
            records.push(RecordSpan {
                start: from as u32,
                end: (from + record) as u32,
                offset: Offset((at + from) as u64),
                original_bytes: record as u64,
            });
            from += next;
        }
        assert!(from > 0, "a record is longer than a chunk");
        at += from;
        let bytes = bytes.slice(..from);
        let raw = Raw {
            partition: PartitionId::new("bench"),
            origin: origin.clone(),
            bytes,
            records,
            next: Position::default(),
            fallback_time: None,
        };
        if is_framing {
            rows += raw.records.len();
            continue;
        }
        let decoded = decoder.decode(&raw);
        rows += decoded.batches.iter().map(weir_model::Batch::rows).sum::<usize>();
        rejected += decoded.rejected.len();
    }
    (rows, rejected)
}
