//! Records of one partition on their way into one buffer. Pure. Refuses to keep more of a record than its limit.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use weir_model::{Offset, PartitionId, Position, Raw, RecordSpan};

use super::last::LastRecord;
use crate::cutter::{CHUNK_BYTES, KEPT_BYTES_MAX, RECORDS_MAX};

/// What was taken of a partition since its last batch.
pub(super) struct Gathering {
    id: PartitionId,
    origin: Arc<str>,
    /// The offset after the last record that was taken.
    next: u64,
    /// The last record that was read, ever.
    last: Option<LastRecord>,
    bytes: BytesMut,
    records: Vec<RecordSpan>,
    record_bytes_max: usize,
}

impl Gathering {
    /// Nothing yet of a partition that goes on at `next`.
    pub(super) fn new(id: PartitionId, origin: Arc<str>, next: u64, record_bytes_max: usize) -> Self {
        Self { id, origin, next, last: None, bytes: BytesMut::new(), records: Vec::new(), record_bytes_max }
    }

    pub(super) fn id(&self) -> &PartitionId {
        &self.id
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Takes the record at `offset`. Offsets may have gaps (compaction, markers of transactions), but never go back.
    pub(super) fn take(&mut self, offset: u64, value: &[u8]) {
        let kept =
            if value.len() > self.record_bytes_max { self.record_bytes_max.min(KEPT_BYTES_MAX) } else { value.len() };
        let start = self.bytes.len() as u32;
        self.bytes.extend_from_slice(&value[..kept]);
        let end = self.bytes.len() as u32;
        self.records.push(RecordSpan { start, end, offset: Offset(offset), original_bytes: value.len() as u64 });
        self.pass(offset);
    }

    /// Passes over the record at `offset`.
    pub(super) fn pass(&mut self, offset: u64) {
        assert!(offset >= self.next, "offsets of a partition never go back: {offset} after {}", self.next);
        self.next = offset + 1;
    }

    /// Goes on where an earlier reader was.
    pub(super) fn goes_on(&mut self, position: &Position) {
        self.next = position.offset.0;
        self.last = position.token.as_deref().and_then(LastRecord::from_token);
    }

    /// The last record that was read, ever, if it can be known again.
    pub(super) fn last(&self) -> Option<LastRecord> {
        self.last
    }

    /// This record was read.
    pub(super) fn saw(&mut self, record: Option<LastRecord>) {
        self.last = record;
    }

    /// Goes on at `next` without the records before it.
    pub(super) fn skip_to(&mut self, next: u64) {
        self.next = next;
    }

    /// Whether a batch is large enough.
    pub(super) fn is_full(&self) -> bool {
        self.records.len() >= RECORDS_MAX || self.bytes.len() >= CHUNK_BYTES
    }

    /// The batch, if there is anything in it.
    pub(super) fn batch(&mut self) -> Option<Raw> {
        if self.records.is_empty() { None } else { Some(self.position()) }
    }

    /// Where the partition stands, with whatever was taken; also if that is nothing.
    pub(super) fn position(&mut self) -> Raw {
        let bytes: Bytes = std::mem::take(&mut self.bytes).freeze();
        Raw {
            partition: self.id.clone(),
            origin: Arc::clone(&self.origin),
            bytes,
            records: std::mem::take(&mut self.records),
            next: Position {
                offset: Offset(self.next),
                token: self.last.map(LastRecord::token),
                ..Position::default()
            },
            fallback_time: None,
        }
    }
}
