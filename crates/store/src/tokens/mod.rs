//! The search index of a segment: which blocks of its rows may have a word, a value or a part of a text. Never says that
//! a block has none when it has one; knows nothing of rows inside of a block.
//!
//! It is a file of its own beside the segment (`NAME.tok` beside `NAME.parquet`), made of nothing but the segment, so
//! that it can be lost: readers then look at all rows and say so, and [`crate::Store::index_once`] makes it again.
//!
//! Two things are kept of each column of texts for blocks of 8,192 rows, and one for rows:
//! - *pieces*: which three bytes in a row there are (case folded, punctuation in classes: 2^18 of them). A segment has some
//!   ten thousand different ones, so one bit per block for each takes less than 1% of the data. Any part of a text of three
//!   bytes or more can be looked up.
//! - *words* ([A-Za-z0-9_] and everything outside of ASCII, four bytes or more) and whole values of up to 64 bytes, hashed,
//!   in a split-block Bloom filter per block (as in Parquet), at most 12 bits each. Filters of all blocks have the same size
//!   and are stored transposed: looking a word up reads one short run of bytes, whatever the size of the segment.
//! - *shapes*, texts without the digits in which they differ, with the rows of those that few rows have (of all shapes in an index of
//!   everything): see `shapes`.
//!
//! An index has at most [`SHARE_MAX_PERCENT`] of the size of its segment; filters get coarser where it would have more.
//!
//! The same file holds the segment's [`rollups`](crate::rollups).
//!
//! # Layout, version 4
//! Integers are little-endian; offsets count from the beginning of the file.
//! ```text
//! "weir-tok" | version u32 | bytes of the header u32 | XXH3-64 of the header | header | pieces, words, shapes of all columns | rollups
//! header: rows u64 | rows without an event time u64 | bytes of the segment u64 | XXH3-64 of the segment | rows per block u32 | columns u16 | column* |
//!         rollups: offset u64 | bytes of their list u32 | XXH3-64 of the list
//! column: bytes of the name u16 | name | blocks that may always match, one bit each |
//!         pieces: how many u32 | offset u64 | XXH3-64 |            (u32::MAX: not kept)
//!         words: rows of the transposed filters u32 | offset u64 | (0: not kept)
//!         shapes: how many u32 | offset u64 | bytes of their list u32 | bytes of their rows u32 | XXH3-64 of the list (u32::MAX: not kept)
//! pieces: piece u32 *, sorted | one bit per block for each
//! words:  (32 bytes per block | low half of their XXH3-64, u32) for each row
//! shapes: (rows u32 | offset of them behind the list u32 (u32::MAX: not kept) | bytes u32 | low half of their XXH3-64 u32 |
//!         bytes of the shape u16 | shape) * | rows: how far each is from the one before, LEB128
//! ```
//! In version 3 shapes had no digits; it is read as before.

mod build;
mod digits;
mod file;
mod form;
mod need;
mod probe;
mod shapes;
#[cfg(test)]
mod tests;
mod text;

use std::path::{Path, PathBuf};

use crate::settings::IndexKind;

pub(crate) use build::Builder;
pub(crate) use file::{Subject, encode};
pub use form::Form;
pub use need::{Beside, Blocks, Need};
pub use probe::{IndexFault, TokenIndex};
pub use shapes::Rows;
pub use text::is_in_word;

/// Rows that are told apart by an index: those of a page.
pub const BLOCK_ROWS: usize = 8_192;
/// A segment of fewer rows has no index: it is read as a whole soon enough, and soon compacted.
pub(crate) const INDEXED_ROWS_MIN: u64 = 2 * BLOCK_ROWS as u64;
/// The most bytes of an index, in percent of its segment's.
pub(crate) const SHARE_MAX_PERCENT: u64 = 16;
/// The most bytes of an index of everything.
const FULL_BYTES_MAX: u64 = 1 << 30;
/// Only the first so many columns of texts are indexed.
const COLUMNS_MAX: usize = 64;
/// The same where all of them should be: more than any table has that people look at.
const FULL_COLUMNS_MAX: usize = 1_024;
/// A block with more different words may always match.
const WORDS_PER_BLOCK_MAX: usize = 1 << 17;
/// What is gathered of a segment before its index is written, at most; the largest columns are given up.
const GATHERED_BYTES_MAX: usize = 64 << 20;
/// The same for an index of everything.
const FULL_GATHERED_BYTES_MAX: usize = 256 << 20;
/// The most bits that a word gets.
const WORD_BITS: usize = 12;
/// The same for an index of everything: one word in some ten thousand is taken for another.
const FULL_WORD_BITS: usize = 24;
/// With fewer bits a filter lets so much pass that it is not worth its bytes.
const WORD_BITS_MIN: usize = 5;
const VERSION: u32 = 4;
/// The oldest version that is still read.
const VERSION_MIN: u32 = 3;
/// The end of an index's name.
const SUFFIX: &str = "tok";

impl IndexKind {
    fn columns_max(self) -> usize {
        match self {
            Self::Tokens => COLUMNS_MAX,
            Self::Full => FULL_COLUMNS_MAX,
            Self::None => 0,
        }
    }

    fn gathered_bytes_max(self) -> usize {
        if self == Self::Full { FULL_GATHERED_BYTES_MAX } else { GATHERED_BYTES_MAX }
    }

    fn word_bits(self) -> usize {
        if self == Self::Full { FULL_WORD_BITS } else { WORD_BITS }
    }

    /// The most bytes of an index of a segment of `segment_bytes`.
    fn bytes_max(self, segment_bytes: u64) -> usize {
        let bytes = if self == Self::Full { FULL_BYTES_MAX } else { segment_bytes / 100 * SHARE_MAX_PERCENT };
        usize::try_from(bytes).unwrap_or(usize::MAX)
    }
}

/// Where the index of the segment at `path` is.
pub fn index_path(path: &Path) -> PathBuf {
    path.with_extension(SUFFIX)
}

/// The segment whose index `path` would be.
pub(crate) fn indexed_path(path: &Path) -> Option<PathBuf> {
    path.extension().is_some_and(|end| end == SUFFIX).then(|| path.with_extension("parquet"))
}
