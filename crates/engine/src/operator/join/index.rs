//! Where the rows in memory of a stretch of event time are that have a key: some twenty bytes of each row, whatever its key
//! is and however many rows a key has. Knows 32 bits of a key: whoever asks compares the whole one.
//!
//! The rows whose prints are equal are a chain, the newest first: of each its place and the one before it. All that is
//! dropped is a whole [`Cell`], once nothing of its time is held.

use hashbrown::HashTable;

use crate::keys::Digest;

/// About how many bytes of the index a row in memory has.
pub(super) const HELD_ROW_BYTES: usize = size_of::<Link>() + (size_of::<Head>() + 1) * 3 / 2;
/// So many buckets, as a power of two, share a cell, where rows of many buckets are asked for at once.
pub(super) const BUCKETS_PER_CELL_BITS: u32 = 3;
/// Rows that a join may hold: the number of one in its bucket, and of its bucket in the cell, have 32 bits together, and so
/// has the number of all that are in a cell.
pub(super) const ROWS_MAX: usize = 1 << (31 - BUCKETS_PER_CELL_BITS);
/// Links that are allotted at a time.
const LINKS_PER_CHUNK: usize = 1 << 12;
/// Stands for no link.
const NONE: u32 = u32::MAX;

/// Where a row is in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CellRow(u32);

/// The rows of some neighbouring buckets.
#[derive(Debug, Default)]
pub(super) struct Cell {
    heads: HashTable<Head>,
    /// All of [`LINKS_PER_CHUNK`] but the last.
    links: Vec<Vec<Link>>,
}

/// Of rows with equal prints the last one.
#[derive(Clone, Copy, Debug)]
struct Head {
    print: u32,
    last: u32,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    row: CellRow,
    /// The link of the row before it with an equal print.
    before: u32,
}

impl CellRow {
    /// The row of this number in the bucket so many after the first one of its cell.
    pub(super) fn new(bucket: i64, row: usize) -> Self {
        assert!(bucket >> BUCKETS_PER_CELL_BITS == 0 && row < ROWS_MAX, "the plan was checked");
        Self((row as u32) << BUCKETS_PER_CELL_BITS | bucket as u32)
    }

    /// How many buckets after the first one of its cell.
    pub(super) fn bucket(self) -> i64 {
        i64::from(self.0 & ((1 << BUCKETS_PER_CELL_BITS) - 1))
    }

    /// Its number in the bucket.
    pub(super) fn row(self) -> usize {
        (self.0 >> BUCKETS_PER_CELL_BITS) as usize
    }
}

impl Cell {
    pub(super) fn add(&mut self, key: Digest, row: CellRow) {
        let print = key as u32;
        let link = self.links.last().map_or(0, |last| (self.links.len() - 1) * LINKS_PER_CHUNK + last.len()) as u32;
        let mut before = NONE;
        match self.heads.find_mut(hash(print), |head| head.print == print) {
            Some(head) => before = std::mem::replace(&mut head.last, link),
            None => drop(self.heads.insert_unique(hash(print), Head { print, last: link }, |head| hash(head.print))),
        }
        if self.links.last().is_none_or(|last| last.len() == LINKS_PER_CHUNK) {
            // Most cells of most joins have few rows.
            let few = if self.links.is_empty() { 0 } else { LINKS_PER_CHUNK };
            self.links.push(Vec::with_capacity(few));
        }
        let last = self.links.last_mut().expect("there is one now");
        last.push(Link { row, before });
    }

    /// The rows that may have this key, newest first.
    pub(super) fn rows(&self, key: Digest) -> impl Iterator<Item = CellRow> {
        let print = key as u32;
        let mut next = self.heads.find(hash(print), |head| head.print == print).map_or(NONE, |head| head.last);
        std::iter::from_fn(move || {
            let at = (next != NONE).then_some(next as usize)?;
            let link = self.links[at / LINKS_PER_CHUNK][at % LINKS_PER_CHUNK];
            next = link.before;
            Some(link.row)
        })
    }

    /// How many bytes it takes.
    pub(super) fn size(&self) -> usize {
        let links: usize = self.links.iter().map(|links| links.capacity() * size_of::<Link>()).sum();
        self.heads.allocation_size() + links + self.links.capacity() * size_of::<Vec<Link>>()
    }
}

/// Spreads a print over the bits that a table looks at.
fn hash(print: u32) -> u64 {
    u64::from(print).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_128;

    use super::*;

    #[test]
    fn rows_of_a_key_are_found_newest_first_whatever_bucket_they_are_in() {
        let mut cell = Cell::default();
        let rows = 3 * LINKS_PER_CHUNK;
        for row in 0..rows {
            cell.add(xxh3_128(&(row % 1_000).to_le_bytes()), CellRow::new((row % 8) as i64, row));
        }
        for key in 0..1_000_usize {
            let found = cell.rows(xxh3_128(&key.to_le_bytes())).map(|place| (place.bucket(), place.row()));
            let expected = (0..rows).rev().filter(|row| row % 1_000 == key).map(|row| ((row % 8) as i64, row));
            assert!(found.eq(expected), "{key}");
        }
        assert_eq!(cell.rows(xxh3_128(b"no row")).count(), 0);
    }

    #[test]
    fn a_row_takes_less_than_thirty_bytes() {
        let mut cell = Cell::default();
        for row in 0..100_000_usize {
            cell.add(xxh3_128(&row.to_le_bytes()), CellRow::new(0, row));
            if row >= 50_000 {
                assert!(cell.size() < 30 * (row + 1), "{} bytes of {row} rows", cell.size());
            }
        }
    }
}
