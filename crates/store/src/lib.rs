//! Columns at rest: tables of immutable Parquet segments, the catalog that says which segments are a table, and the
//! rows too fresh to be in one. Answers no queries itself: it hands out a consistent view of what there is.

mod config;
mod snapshot;
mod store;
mod writer;

pub use config::{SortKey, StoreConfig, TableConfig};
pub use snapshot::{SegmentRef, StoreSnapshot, TableSnapshot, Trouble, adapt};
pub use store::{CompactionReport, Store};
pub use writer::TableWriter;
