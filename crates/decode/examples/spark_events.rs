//! Shows the events of a Spark log file, one JSON object per line: `spark_events [--count] FILE...`. For looking at
//! what the decoder makes of real files.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::json::LineDelimitedWriter;
use bytes::Bytes;
use weir_decode::{FormatConfig, SparkLogConfig};
use weir_model::{EventTime, Fields, Framed, Offset, PartitionId, Position, Raw, RecordSpan, Wanted};

/// The writer knows no names of zones; all times are UTC anyway.
fn without_zone(batch: &RecordBatch) -> RecordBatch {
    let plain = DataType::Timestamp(TimeUnit::Microsecond, None);
    let mut columns = batch.columns().to_vec();
    columns[0] = arrow::compute::cast(&columns[0], &plain).expect("times are times");
    let mut fields: Vec<Field> = batch.schema().fields().iter().map(|field| (**field).clone()).collect();
    fields[0] = Field::new("ts", plain, true);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("the same columns")
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_count = arguments.iter().any(|argument| argument == "--count");
    let format = FormatConfig::SparkLog(SparkLogConfig::default());
    let wanted = Wanted {
        time_field: Some("ts".into()),
        not_before: EventTime::from_micros(0),
        fields: Fields::All,
        declared: Vec::new(),
    };
    for file in arguments.iter().filter(|argument| !argument.starts_with("--")) {
        let bytes = Bytes::from(std::fs::read(file).expect("a readable file"));
        let framer = format.framer();
        let (mut records, mut from) = (Vec::new(), 0);
        while let Framed::Record { record, next } = framer.frame(&bytes[from..], 0, true) {
            let (start, end) = (from as u32, (from + record) as u32);
            records.push(RecordSpan { start, end, offset: Offset(from as u64), original_bytes: record as u64 });
            from += next;
        }
        let origin: Arc<str> = file.as_str().into();
        let fallback_time = Some(EventTime::from_micros(1_000_000));
        let raw = Raw {
            partition: PartitionId::new(origin.clone()),
            origin,
            bytes,
            records,
            next: Position::default(),
            fallback_time,
        };
        let decoded = format.decoder(wanted.clone()).expect("a valid plan").decode(&raw);
        for rejected in &decoded.rejected {
            eprintln!("{file}:{}: {}", rejected.offset, rejected.reason);
        }
        if is_count {
            println!("{} {} {file}", raw.records.len(), decoded.rejected.len());
            continue;
        }
        let mut writer = LineDelimitedWriter::new(std::io::stdout().lock());
        for batch in &decoded.batches {
            writer.write(&without_zone(&batch.columns)).expect("a writable standard output");
        }
        writer.finish().expect("a writable standard output");
    }
}
