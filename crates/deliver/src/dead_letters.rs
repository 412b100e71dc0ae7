//! What dead letters look like. Pure.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use weir_model::{Epoch, Offset, PartitionId, ProcessingTime, Rejected, RejectedRow};

use crate::encode::{base64, ndjson};
use crate::row_ids::{Names, ROW_ID};

/// How rows are written, whatever the format of their source.
const ROWS_AS: &str = "json";

/// What a dead letter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterKind {
    /// A record of a source, as it came: it can be given to the pipeline again.
    Record,
    /// A row as it was at a step that cannot process it.
    Row,
    /// A row of a result that an output does not take.
    Result,
}

impl LetterKind {
    /// The kind as it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Row => "row",
            Self::Result => "result",
        }
    }
}

/// A record or row that could not be processed, with what is known of where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// What was rejected, where and why.
    pub rejected: Rejected,
    /// What it is.
    pub kind: LetterKind,
    /// The source, where one is known.
    pub source: Option<String>,
    /// The format in which the payload is written.
    pub format: &'static str,
}

/// Whose dead letters they are, and which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LettersOf<'a> {
    /// The pipeline.
    pub pipeline: &'a str,
    /// When they were rejected.
    pub now: ProcessingTime,
    /// The epoch that holds them.
    pub epoch: Epoch,
    /// How many letters the epoch holds already: epoch and number are a letter's `id`, unique in the pipeline.
    pub before: u64,
}

/// The columns of dead letters: their id, when the record was rejected (processing time), by which pipeline, what it is
/// (`record`, `row` or `result`), where it came from and begins, how it is written, why it was rejected, the record (as
/// text, what is not UTF-8 in it replaced; then also as base64, whole), how many bytes it really has, and by what name it is
/// known whenever it is rejected: a hash of the pipeline, of where it begins, of what it says and of the reason.
pub fn dead_letter_schema() -> SchemaRef {
    let text = |name: &str, nullable| Field::new(name, DataType::Utf8, nullable);
    Arc::new(Schema::new(vec![
        text("id", false),
        Field::new("time", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), false),
        text("pipeline", false),
        text("kind", false),
        text("source", true),
        text("format", false),
        text("source_file", false),
        text("partition", false),
        Field::new("source_offset", DataType::Int64, false),
        text("reason", false),
        text("payload", false),
        text("payload_base64", true),
        Field::new("original_bytes", DataType::Int64, false),
        // Tables that are older have rows without it.
        text(ROW_ID, true),
    ]))
}

/// `letters` as rows with the columns of [`dead_letter_schema`], in the same order.
pub fn dead_letter_batch(letters: &[DeadLetter], of: LettersOf<'_>) -> RecordBatch {
    let LettersOf { pipeline, now, epoch, before } = of;
    let rows = letters.len();
    let rejected = || letters.iter().map(|letter| &letter.rejected);
    let texts = |text: &dyn Fn(&Rejected) -> String| -> ArrayRef {
        Arc::new(rejected().map(|letter| Some(text(letter))).collect::<StringArray>())
    };
    let numbers = |number: &dyn Fn(&Rejected) -> u64| -> ArrayRef {
        let number = |letter| i64::try_from(number(letter)).unwrap_or(i64::MAX);
        Arc::new(rejected().map(number).collect::<Int64Array>())
    };
    let ids = (before..).take(rows).map(|number| Some(format!("{epoch}-{number}")));
    let not_utf8 = |letter: &Rejected| std::str::from_utf8(&letter.payload).is_err().then(|| base64(&letter.payload));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ids.collect::<StringArray>()),
        Arc::new(TimestampMicrosecondArray::from(vec![now.micros(); rows]).with_timezone("UTC")),
        Arc::new(StringArray::from(vec![pipeline; rows])),
        Arc::new(letters.iter().map(|letter| Some(letter.kind.as_str())).collect::<StringArray>()),
        Arc::new(letters.iter().map(|letter| letter.source.as_deref()).collect::<StringArray>()),
        Arc::new(letters.iter().map(|letter| Some(letter.format)).collect::<StringArray>()),
        texts(&|letter| letter.origin.to_string()),
        texts(&|letter| letter.partition.to_string()),
        numbers(&|letter| letter.offset.0),
        texts(&|letter| letter.reason.clone()),
        texts(&|letter| String::from_utf8_lossy(&letter.payload).into_owned()),
        Arc::new(rejected().map(not_utf8).collect::<StringArray>()),
        numbers(&|letter| letter.original_bytes),
        Arc::new(row_ids(letters, pipeline).map(Some).collect::<StringArray>()),
    ];
    RecordBatch::try_new(dead_letter_schema(), columns).expect("the columns are made to the schema")
}

/// The names of letters that were rejected together.
fn row_ids(letters: &[DeadLetter], pipeline: &str) -> impl Iterator<Item = String> {
    let mut names = Names::default();
    letters.iter().map(move |DeadLetter { rejected, kind, .. }| {
        // A row of a result is known by what it says: its place changes with the rows that it was written with.
        let offset = if *kind == LetterKind::Result { 0 } else { rejected.offset.0 };
        let reason = if *kind == LetterKind::Result { "" } else { rejected.reason.as_str() };
        let place = [kind.as_str().as_bytes(), pipeline.as_bytes(), rejected.partition.as_str().as_bytes()];
        names.name(&[place[0], place[1], place[2], &offset.to_le_bytes(), reason.as_bytes(), &rejected.payload])
    })
}

/// A row that an output will never take, found at or after the commit of `epoch`: its partition is `output:` and the name of
/// the output, its offset the row's place among those that were written together.
pub fn rejected_result(output: &str, epoch: Epoch, row: RejectedRow) -> DeadLetter {
    let RejectedRow { row, payload, reason } = row;
    let rejected = Rejected {
        partition: PartitionId::new(format!("output:{output}")),
        origin: format!("output {output}").into(),
        offset: Offset(row),
        reason: format!("the output {output} does not take it (epoch {epoch}): {reason}"),
        original_bytes: payload.len() as u64,
        payload,
    };
    DeadLetter { rejected, kind: LetterKind::Result, source: None, format: ROWS_AS }
}

/// Rows that a step has made and the step `step` cannot process: results on their way, of no record that could be given again.
pub fn rejected_made(step: &str, rows: &RecordBatch, reason: &str) -> Vec<DeadLetter> {
    let mut text = Vec::new();
    ndjson(rows, &mut text);
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let letter = |(row, line): (u64, &[u8])| DeadLetter {
        rejected: Rejected {
            partition: PartitionId::new(format!("step:{step}")),
            origin: format!("step {step}").into(),
            offset: Offset(row),
            reason: format!("the step {step} cannot process it: {reason}"),
            original_bytes: line.len() as u64,
            payload: line.to_vec().into(),
        },
        kind: LetterKind::Result,
        source: None,
        format: ROWS_AS,
    };
    (0..).zip(lines).map(letter).collect()
}

/// A row as it is at a step that cannot process it, as JSON in place of the record that it comes from: that may hold what
/// a mask has hidden.
pub fn rejected_row(
    partition: PartitionId,
    origin: Arc<str>,
    offset: Offset,
    row: &RecordBatch,
    reason: String,
) -> DeadLetter {
    let mut payload = Vec::new();
    ndjson(row, &mut payload);
    payload.truncate(payload.trim_ascii_end().len());
    let rejected =
        Rejected { partition, origin, offset, reason, original_bytes: payload.len() as u64, payload: payload.into() };
    DeadLetter { rejected, kind: LetterKind::Row, source: None, format: ROWS_AS }
}
