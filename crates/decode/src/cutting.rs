//! For tests: frames the same bytes as a source would that gets them piece by piece.

use weir_model::{Framed, Framer};

/// The records of `bytes` when they arrive in pieces that end at `cuts` (sorted), each as (start, length).
pub(crate) fn records_in_pieces(framer: &dyn Framer, bytes: &[u8], cuts: &[usize]) -> Vec<(usize, usize)> {
    let mut records = Vec::new();
    let (mut at, mut scanned) = (0, 0);
    for (piece, end) in cuts.iter().copied().chain([bytes.len()]).enumerate() {
        let is_last = piece == cuts.len();
        while at < end || is_last && at < bytes.len() {
            match framer.frame(&bytes[at..end], scanned, is_last) {
                Framed::Record { record, next } => {
                    assert!(record <= next && next > 0 && at + next <= end, "{record} {next} in {}", end - at);
                    records.push((at, record));
                    (at, scanned) = (at + next, 0);
                }
                Framed::Incomplete => {
                    assert!(!is_last, "at the end the rest is a record");
                    scanned = end - at;
                    break;
                }
            }
        }
    }
    records
}

/// The records of `bytes` when they are there at once.
pub(crate) fn records_at_once(framer: &dyn Framer, bytes: &[u8]) -> Vec<(usize, usize)> {
    records_in_pieces(framer, bytes, &[])
}
