//! Columns at rest: tables of immutable Parquet segments, the catalog that says which segments are a table, and the
//! rows too fresh to be in one. Answers no queries itself: it hands out a consistent view of what there is.
//!
//! The path of a row: [`TableWriter::append`] makes it visible to this process, [`TableWriter::prepare`] makes it
//! durable in a file that belongs to nobody yet, the commit (one transaction in the catalog, with the positions of the
//! source) makes the file part of its table, and [`Store::compact_once`] moves it to a larger file. A snapshot taken
//! at any moment holds it exactly once.

mod catalog;
mod compact;
mod config;
mod damage;
mod digest;
mod expire;
mod indexing;
mod name;
mod rewrite;
pub mod rollups;
mod schema;
mod segment;
mod settings;
mod snapshot;
mod span;
mod store;
mod swap;
mod tables;
#[cfg(test)]
mod tests;
mod tiers;
mod tokens;
mod writer;

pub use catalog::{CatalogCopy, SegmentFile, SegmentObject, bring_home, copy_catalog};
pub use compact::CompactionReport;
pub use config::{StoreConfig, TableConfig};
pub use digest::{as_shown, digests, union_of};
pub use expire::Expired;
pub use name::check_table_name;
pub use schema::adapt;
pub use settings::{IndexKind, RollupSettings, SortKey, TableSettings, TierSettings, Ttl};
pub use snapshot::{SegmentRef, StoreSnapshot, TableSnapshot, Trouble};
pub use span::TimeSpan;
pub use store::Store;
pub use swap::{Swap, SwapWay, TableSwap, TableSwapped};
pub use tiers::{Bucket, Buckets, Moved, Place, Remote};
pub use tokens::{BLOCK_ROWS, Beside, Blocks, Form, IndexFault, Need, Rows, TokenIndex, index_path, is_in_word};
pub use writer::TableWriter;
