//! What can be chosen about the log.

use std::time::Duration;

/// How a log keeps its topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A segment file is closed when it is this long.
    pub segment_bytes: u64,
    /// Appends are gathered into one fsync up to this many bytes.
    pub group_bytes: usize,
    /// Appends that may wait for the disk, per topic; more wait for room before they are taken.
    pub queue_appends: usize,
    /// Bytes that may wait for the disk, per topic; more wait for room before they are taken.
    pub queue_bytes: usize,
    /// The longest record.
    pub record_bytes_max: usize,
    /// The most bytes of one append.
    pub append_bytes_max: usize,
    /// Segments may be deleted, oldest first, while the topic is larger. `None`: size is no reason.
    pub retain_bytes: Option<u64>,
    /// Segments may be deleted when all their records are older. `None`: age is no reason.
    pub retain_age: Option<Duration>,
    /// Keys of appends that are remembered, per topic; of more the oldest are forgotten. About 100 bytes of memory each.
    pub keys_max: usize,
    /// How long a key is remembered.
    pub keys_age: Duration,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            group_bytes: 1 << 20,
            queue_appends: 1024,
            queue_bytes: 64 << 20,
            record_bytes_max: 1 << 20,
            append_bytes_max: 128 << 20,
            retain_bytes: None,
            retain_age: None,
            keys_max: 1_000_000,
            keys_age: Duration::from_secs(24 * 3600),
        }
    }
}
