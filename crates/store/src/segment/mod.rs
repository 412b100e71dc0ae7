//! One file of a table: Parquet, immutable, known by its size and checksum.
//!
//! Layout: row groups of 131,072 rows (of wide rows, 64 MiB), pages of 8,192 rows (of long texts, 384 KiB), zstd 3 (1 when small), rows in the
//! order of the table's sort key, times delta-packed, a dictionary for columns of few values and none for the others, page statistics.
//! The figures behind it: arrow-rs and DataFusion read pages of this size without decoding much in vain, and larger
//! row groups cost memory without making files smaller.

mod decode;
mod encode;
mod keys;
mod merge;
mod order;
mod packed;
mod profile;
mod properties;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use decode::{checked_bytes, decode};
pub(crate) use encode::{Encoding, encode, in_order_of_time};
pub(crate) use merge::{Surveyed, merge, merge_bytes};
pub(crate) use packed::Packed;

/// The folder of all tables inside the data folder.
pub(crate) const TABLES_FOLDER: &str = "tables";
