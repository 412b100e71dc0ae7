//! What tests of formats with schemas share: what is wanted, records as a source gives them, rows as text, chance from a seed.

use std::sync::Arc;

use bytes::Bytes;
use weir_model::{
    Decoded, EventTime, FieldKind, Fields, Offset, PartitionId, Position, Raw, RecordSpan, Wanted, WantedField,
};

use super::shown;

pub(crate) fn all() -> Wanted {
    Wanted { time_field: None, not_before: EventTime::from_micros(0), fields: Fields::All, declared: Vec::new() }
}

pub(crate) fn these(fields: &[(&str, FieldKind)]) -> Wanted {
    let fields = fields.iter().map(|(name, kind)| WantedField { name: (*name).into(), kind: kind.clone() });
    Wanted { fields: Fields::These(fields.collect()), ..all() }
}

pub(crate) fn raw(records: &[Vec<u8>]) -> Raw {
    let mut bytes = Vec::new();
    let mut spans = Vec::new();
    for (offset, record) in records.iter().enumerate() {
        let start = bytes.len() as u32;
        bytes.extend_from_slice(record);
        let end = bytes.len() as u32;
        spans.push(RecordSpan { start, end, offset: Offset(offset as u64), original_bytes: record.len() as u64 });
    }
    Raw {
        partition: PartitionId::new("p"),
        origin: Arc::from("p"),
        bytes: Bytes::from(bytes),
        records: spans,
        next: Position::default(),
        fallback_time: None,
    }
}

/// The rows as JSON lines, then what was rejected and why.
pub(crate) fn text(decoded: &Decoded) -> String {
    let mut lines = Vec::new();
    for batch in &decoded.batches {
        lines.extend((0..batch.rows()).map(|row| shown::row(&batch.columns, row).to_string()));
    }
    let rejected = decoded.rejected.iter();
    lines.extend(rejected.map(|rejected| format!("{}: {}", rejected.offset.0, rejected.reason)));
    lines.join("\n")
}

/// Numbers without end from a seed (SplitMix64).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number of any size, small ones often.
    pub(crate) fn long(&mut self) -> i64 {
        let bits = self.below(64);
        (self.next() as i64) >> bits
    }
}
