//! Bytes with positions: what a source yields and a decoder takes.

use std::sync::Arc;

use bytes::Bytes;

use crate::{EventTime, Offset, PartitionId, Position};

/// Where one record lies in the buffer of a [`Raw`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordSpan {
    /// First byte in the buffer.
    pub start: u32,
    /// One past the last byte, without the line ending.
    pub end: u32,
    /// Where the record begins in its partition.
    pub offset: Offset,
    /// How long the record really is, in bytes. Larger than `end - start` when it was longer than the limit
    /// and only its beginning was kept; such a record is rejected, never decoded.
    pub original_bytes: u64,
}

impl RecordSpan {
    /// Whether only the beginning of the record was kept.
    pub fn is_truncated(&self) -> bool {
        self.original_bytes > u64::from(self.end - self.start)
    }
}

/// A batch of records of one partition, still as bytes, in order, in one buffer.
#[derive(Clone, Debug)]
pub struct Raw {
    /// Which partition they come from.
    pub partition: PartitionId,
    /// What people know that partition by: a file's path, a topic's name.
    pub origin: Arc<str>,
    /// The buffer. Its largest size is the source's chunk size; it is never over `u32::MAX` bytes.
    pub bytes: Bytes,
    /// The records, in the order of their offsets.
    pub records: Vec<RecordSpan>,
    /// Where to go on after the last of these records.
    pub next: Position,
    /// The event time of records that carry none and have no dated neighbour (for a file: when it was last modified).
    pub fallback_time: Option<EventTime>,
}

impl Raw {
    /// The bytes of one record.
    pub fn record(&self, span: &RecordSpan) -> &[u8] {
        &self.bytes[span.start as usize..span.end as usize]
    }

    /// The record that begins at `offset`, if it is in this batch.
    pub fn find(&self, offset: Offset) -> Option<&RecordSpan> {
        let index = self.records.binary_search_by_key(&offset, |span| span.offset).ok()?;
        self.records.get(index)
    }
}

/// What a [`crate::Framer`] found at the front of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framed {
    /// A whole record of `record` bytes, after which the next one begins at `next`.
    Record {
        /// Bytes that belong to the record, without its line ending.
        record: usize,
        /// Where the next record begins, in bytes from the front of the buffer.
        next: usize,
    },
    /// The buffer ends before the record is known to end.
    Incomplete,
}
