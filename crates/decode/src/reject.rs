//! Records that cannot be decoded, as values with a reason. Decides nothing: the formats do.

use weir_model::{Raw, RecordSpan, Rejected};

/// The record at `span`, rejected for `reason`.
pub(crate) fn rejected(raw: &Raw, span: &RecordSpan, reason: String) -> Rejected {
    Rejected {
        partition: raw.partition.clone(),
        origin: raw.origin.clone(),
        offset: span.offset,
        reason,
        payload: raw.bytes.slice(span.start as usize..span.end as usize),
        original_bytes: span.original_bytes,
    }
}

/// Why a record of which only the beginning was kept is rejected.
pub(crate) fn too_long(span: &RecordSpan) -> String {
    format!(
        "record of {} bytes is longer than max_record_bytes, only its first {} bytes were kept; raise max_record_bytes of the source",
        span.original_bytes,
        span.end - span.start
    )
}

/// Why a record that is not UTF-8 is rejected.
pub(crate) fn not_utf8(record: &[u8], error: std::str::Utf8Error) -> String {
    let at = error.valid_up_to();
    format!("not valid UTF-8 at byte {at} (0x{:02x}); expected UTF-8", record.get(at).copied().unwrap_or(0))
}

/// The byte order mark that some programs write at the head of a file; no part of the first record.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// `record` without a byte order mark, and how long that was.
pub(crate) fn without_mark(record: &[u8]) -> (&[u8], usize) {
    match record.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => (rest, BYTE_ORDER_MARK.len()),
        None => (record, 0),
    }
}
