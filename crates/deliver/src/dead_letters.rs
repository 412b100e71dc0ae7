//! What dead letters look like. Pure.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use weir_model::{Epoch, Offset, PartitionId, ProcessingTime, Rejected, RejectedRow};

use crate::encode::{base64, ndjson};

/// The columns of dead letters: when the record was rejected (processing time), by which pipeline, where it came from
/// and begins, why, the record (as text, what is not UTF-8 in it replaced; then also as base64, whole), and how many
/// bytes it really has.
pub fn dead_letter_schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        text("pipeline", false),
        text("source_file", false),
        text("partition", false),
        Field::new("source_offset", DataType::Int64, false),
        text("reason", false),
        text("payload", false),
        text("payload_base64", true),
        Field::new("original_bytes", DataType::Int64, false),
    ]))
}

/// `rejected` as rows with the columns of [`dead_letter_schema`], in the same order.
pub fn dead_letter_batch(rejected: &[Rejected], pipeline: &str, now: ProcessingTime) -> RecordBatch {
    let rows = rejected.len();
    let texts = |text: &dyn Fn(&Rejected) -> String| -> ArrayRef {
        Arc::new(rejected.iter().map(|letter| Some(text(letter))).collect::<StringArray>())
    };
    let numbers = |number: &dyn Fn(&Rejected) -> u64| -> ArrayRef {
        let number = |letter| i64::try_from(number(letter)).unwrap_or(i64::MAX);
        Arc::new(rejected.iter().map(number).collect::<Int64Array>())
    };
    let not_utf8 = |letter: &Rejected| std::str::from_utf8(&letter.payload).is_err().then(|| base64(&letter.payload));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(TimestampMicrosecondArray::from(vec![now.micros(); rows]).with_timezone("UTC")),
        Arc::new(StringArray::from(vec![pipeline; rows])),
        texts(&|letter| letter.origin.to_string()),
        texts(&|letter| letter.partition.to_string()),
        numbers(&|letter| letter.offset.0),
        texts(&|letter| letter.reason.clone()),
        texts(&|letter| String::from_utf8_lossy(&letter.payload).into_owned()),
        Arc::new(rejected.iter().map(not_utf8).collect::<StringArray>()),
        numbers(&|letter| letter.original_bytes),
    ];
    RecordBatch::try_new(dead_letter_schema(), columns).expect("the columns are made to the schema")
}

/// A row that an output will never take, found at or after the commit of `epoch`: its partition is `output:` and the name of
/// the output, its offset the row's place among those that were written together.
pub fn rejected_result(output: &str, epoch: Epoch, row: RejectedRow) -> Rejected {
    let RejectedRow { row, payload, reason } = row;
    Rejected {
        partition: PartitionId::new(format!("output:{output}")),
        origin: format!("output {output}").into(),
        offset: Offset(row),
        reason: format!("the output {output} does not take it (epoch {epoch}): {reason}"),
        original_bytes: payload.len() as u64,
        payload,
    }
}

/// A row as it is at a step that cannot process it, as JSON in place of the record that it comes from: that may hold what
/// a mask has hidden.
pub fn rejected_row(
    partition: PartitionId,
    origin: Arc<str>,
    offset: Offset,
    row: &RecordBatch,
    reason: String,
) -> Rejected {
    let mut payload = Vec::new();
    ndjson(row, &mut payload);
    payload.truncate(payload.trim_ascii_end().len());
    Rejected { partition, origin, offset, reason, original_bytes: payload.len() as u64, payload: payload.into() }
}
