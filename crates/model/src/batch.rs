//! Columns: what a decoder yields and the engine takes.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::ScalarBuffer;

use crate::{EventTime, Offset, PartitionId};

/// Rows of one partition as columns, in the order of the partition.
///
/// `times` and `offsets` have one entry per row of `columns`.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Which partition the rows come from.
    pub partition: PartitionId,
    /// What people know that partition by: a file's path, a topic's name.
    pub origin: Arc<str>,
    /// The decoded fields; all batches of one decoder that have the same schema share it by pointer.
    pub columns: RecordBatch,
    /// The event time of each row in microseconds; empty when the pipeline has no time field.
    pub times: ScalarBuffer<i64>,
    /// Where each row's record begins in its partition.
    pub offsets: ScalarBuffer<u64>,
}

impl Batch {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.columns.num_rows()
    }

    /// Whether rows carry an event time.
    pub fn is_timed(&self) -> bool {
        !self.times.is_empty()
    }

    /// The event time of row `row`.
    ///
    /// # Panics
    /// When the batch is not timed or has no such row.
    pub fn time(&self, row: usize) -> EventTime {
        EventTime::from_micros(self.times[row])
    }

    /// The offset of row `row`.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn offset(&self, row: usize) -> Offset {
        Offset(self.offsets[row])
    }
}

/// How much of an offending value an error message shows.
pub const VALUE_BYTES_SHOWN: usize = 120;

/// An offending value as an error message shows it: quoted, cut at [`VALUE_BYTES_SHOWN`], control characters escaped.
pub struct Value<'a>(pub &'a [u8]);

impl std::fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = &self.0[..self.0.len().min(VALUE_BYTES_SHOWN)];
        write!(f, "\"{}", String::from_utf8_lossy(shown).escape_debug())?;
        f.write_str(if shown.len() < self.0.len() { "\"..." } else { "\"" })
    }
}
