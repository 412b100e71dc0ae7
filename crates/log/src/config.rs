//! What can be chosen about the log.

use std::time::Duration;

/// How a log keeps its topics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A segment file is closed when it is this long.
    pub segment_bytes: u64,
    /// An append waits at most this long for others to share its fsync with.
    pub linger: Duration,
    /// A group of appends is synced when it is this large.
    pub group_bytes: usize,
    /// Appends that may wait for the disk, per topic; more wait for room before they are taken.
    pub queue_appends: usize,
    /// The longest record.
    pub record_bytes_max: usize,
    /// Segments are deleted, oldest first, while the topic is larger. `None` keeps everything.
    pub retain_bytes: Option<u64>,
    /// Segments are deleted when their newest record is older. `None` keeps everything.
    pub retain_age: Option<Duration>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            linger: Duration::from_millis(5),
            group_bytes: 1 << 20,
            queue_appends: 1024,
            record_bytes_max: 1 << 20,
            retain_bytes: None,
            retain_age: None,
        }
    }
}
