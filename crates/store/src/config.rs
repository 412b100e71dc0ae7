//! What can be chosen about the store and its tables.

use std::time::Duration;

/// How a store keeps its tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Rows that a writer gathers before it makes a segment of them, at the latest.
    pub segment_rows_max: usize,
    /// Bytes that a writer gathers before it makes a segment of them, at the latest.
    pub segment_bytes_max: usize,
    /// Memory that the rows of segments may take that are merged into one. Smaller ones make smaller segments.
    pub merge_bytes_max: usize,
    /// How many commits of each pipeline are kept, so that recovery can go back to an older one.
    pub commits_kept: usize,
    /// How long a file that is not part of any table any more is kept for readers in other processes.
    pub grace: Duration,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            segment_rows_max: 1 << 20,
            segment_bytes_max: 128 << 20,
            merge_bytes_max: 512 << 20,
            commits_kept: 8,
            grace: Duration::from_secs(15 * 60),
        }
    }
}

/// What is known about a table by those who write to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TableConfig {
    /// The column of event times. When `None`: the first timestamp column of those called `ts`, `time`, `timestamp`,
    /// `@timestamp` or `window_start`, else the first timestamp column. A table that has one keeps it.
    pub time_column: Option<String>,
}
