//! What dead letters and late rows look like. Pure.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use weir_model::{ProcessingTime, Rejected};

/// The columns of dead letters.
pub fn dead_letter_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new(
            "time",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            false,
        ),
        Field::new("pipeline", DataType::Utf8, false),
        Field::new("source_file", DataType::Utf8, false),
        Field::new("partition", DataType::Utf8, false),
        Field::new("source_offset", DataType::Int64, false),
        Field::new("reason", DataType::Utf8, false),
        Field::new("payload", DataType::Utf8, true),
        Field::new("payload_base64", DataType::Utf8, true),
        Field::new("original_bytes", DataType::Int64, false),
    ]))
}

/// Dead letters as rows.
pub fn dead_letter_batch(
    rejected: &[Rejected],
    pipeline: &str,
    now: ProcessingTime,
) -> RecordBatch {
    let _ = (rejected, pipeline, now);
    RecordBatch::new_empty(dead_letter_schema())
}

/// Rows that came after their windows were gone, of one partition.
#[derive(Clone, Copy, Debug)]
pub struct LateRows<'a> {
    /// The rows' columns that the window sees.
    pub columns: &'a RecordBatch,
    /// By how many microseconds each row was late.
    pub late_by_us: &'a [i64],
    /// Begin of the newest window that each row missed, in microseconds.
    pub window_start: &'a [i64],
    /// End of the newest window that each row missed, in microseconds.
    pub window_end: &'a [i64],
    /// What people know the partition by.
    pub origin: &'a str,
    /// Where each row's record begins.
    pub offsets: &'a [u64],
    /// The pipeline's name.
    pub pipeline: &'a str,
}

/// Late rows as the late output has them: the row's columns, then `late_by_ms`, `window_start`, `window_end`,
/// `source_file`, `source_offset`, `pipeline`. A column of the row that has one of these names gives way: it is not in
/// the result, since the row can be found by its file and offset.
pub fn late_batch(late: &LateRows<'_>) -> RecordBatch {
    late.columns.clone()
}
