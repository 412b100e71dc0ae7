//! Rows as bodies of requests. Pure. Refuses a row without an id.

use arrow::array::RecordBatch;

use super::config::{HttpBatch, HttpFormat};
use crate::encode;

/// The column that names a row for ever.
const ROW_ID: &str = "row_id";

/// The rows as JSON objects, one a line. Those that have no `row_id` get one that is made of `id`, which names the rows of
/// this epoch for ever, and their number, which begins at `first`.
pub(super) fn lines(rows: &RecordBatch, id: &str, first: u64) -> Vec<u8> {
    let mut encoded = Vec::new();
    encode::ndjson(rows, &mut encoded);
    if rows.column_by_name(ROW_ID).is_some() {
        return encoded;
    }
    let mut out = Vec::with_capacity(encoded.len() + rows.num_rows() * (id.len() + 24));
    for (line, number) in encoded.split_inclusive(|byte| *byte == b'\n').zip(first..) {
        let object = line.strip_suffix(b"}\n").expect("a row is an object on a line");
        out.extend_from_slice(object);
        let comma = if object == b"{" { "" } else { "," };
        out.extend_from_slice(format!("{comma}\"{ROW_ID}\":\"{id}-{number}\"}}\n").as_bytes());
    }
    out
}

/// The rows of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chunk<'a> {
    /// The number of the first row in the epoch.
    pub(super) first: u64,
    /// How many there are; at least one.
    pub(super) rows: u64,
    /// The lines, each with its end.
    pub(super) lines: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// Everything that waits, from the row `from` on, in the order of sending.
    pub(super) fn all(lines: &'a [u8], batch: HttpBatch, from: u64) -> impl Iterator<Item = Self> {
        let mut rest = skip(lines, from);
        let mut first = from;
        std::iter::from_fn(move || {
            let chunk = front(rest, first, u64::from(batch.rows), batch.bytes.0)?;
            rest = &rest[chunk.lines.len()..];
            first += chunk.rows;
            Some(chunk)
        })
    }

    /// Both halves; `None` for a single row.
    pub(super) fn halves(self) -> Option<[Self; 2]> {
        let left = front(self.lines, self.first, self.rows / 2, u64::MAX)?;
        let rest = &self.lines[left.lines.len()..];
        (self.rows > 1)
            .then(|| [left, Self { first: self.first + left.rows, rows: self.rows - left.rows, lines: rest }])
    }

    /// The rows one by one, without the ends of their lines.
    pub(super) fn each(self) -> impl Iterator<Item = (u64, &'a [u8])> {
        (self.first..).zip(self.lines.split_inclusive(|byte| *byte == b'\n').map(|line| line.trim_ascii_end()))
    }

    /// The body of its request.
    pub(super) fn body(self, format: HttpFormat) -> Vec<u8> {
        match format {
            HttpFormat::Ndjson => self.lines.to_vec(),
            HttpFormat::Json => {
                let mut body = Vec::with_capacity(self.lines.len() + 2);
                for (_, row) in self.each() {
                    body.push(if body.is_empty() { b'[' } else { b',' });
                    body.extend_from_slice(row);
                }
                body.push(b']');
                body
            }
        }
    }
}

/// At most `rows` rows and `bytes` bytes of the front of `lines`, but at least one row.
fn front(lines: &[u8], first: u64, rows: u64, bytes: u64) -> Option<Chunk<'_>> {
    let (mut taken, mut end) = (0, 0);
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        if taken > 0 && (taken == rows || (end + line.len()) as u64 > bytes) {
            break;
        }
        taken += 1;
        end += line.len();
    }
    (taken > 0).then(|| Chunk { first, rows: taken, lines: &lines[..end] })
}

fn skip(lines: &[u8], rows: u64) -> &[u8] {
    match rows {
        0 => lines,
        rows => front(lines, 0, rows, u64::MAX).map_or(lines, |chunk| &lines[chunk.lines.len()..]),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use weir_model::ByteSize;

    use super::*;

    fn rows(numbers: &[i64]) -> RecordBatch {
        let numbers: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
        RecordBatch::try_from_iter([("n", numbers)]).expect("one column")
    }

    #[test]
    fn every_row_has_an_id_that_stays() {
        let text = |bytes| String::from_utf8(bytes).expect("JSON is text");
        assert_eq!(
            text(lines(&rows(&[7, 8]), "01A", 40)),
            "{\"n\":7,\"row_id\":\"01A-40\"}\n{\"n\":8,\"row_id\":\"01A-41\"}\n"
        );
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["w1"]));
        let of_window = RecordBatch::try_from_iter([("row_id", ids)]).expect("one column");
        assert_eq!(text(lines(&of_window, "01A", 0)), "{\"row_id\":\"w1\"}\n");
    }

    #[test]
    fn a_chunk_ends_at_either_limit_and_holds_at_least_a_row() {
        let lines = b"{1}\n{2}\n{3}\n{44444444}\n{5}\n";
        let sizes = |rows, bytes, from| -> Vec<(u64, u64)> {
            let batch = HttpBatch { rows, bytes: ByteSize(bytes) };
            Chunk::all(lines, batch, from).map(|chunk| (chunk.first, chunk.rows)).collect()
        };
        assert_eq!(sizes(2, 100, 0), [(0, 2), (2, 2), (4, 1)]);
        assert_eq!(sizes(100, 8, 0), [(0, 2), (2, 1), (3, 1), (4, 1)], "the fourth is longer than the limit");
        assert_eq!(sizes(2, 100, 3), [(3, 2)], "it goes on where it was");
        assert_eq!(sizes(2, 100, 5), []);
    }

    #[test]
    fn halving_finds_single_rows() {
        let chunk = Chunk { first: 10, rows: 3, lines: b"{1}\n{2}\n{3}\n" };
        let [left, right] = chunk.halves().expect("more than one row");
        assert_eq!(
            (left.first, left.rows, right.first, right.rows, right.lines),
            (10, 1, 11, 2, b"{2}\n{3}\n".as_slice())
        );
        assert_eq!(left.halves(), None);
        assert_eq!(chunk.body(HttpFormat::Json), b"[{1},{2},{3}]");
    }
}
