//! The log as others see it.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use weir_disk::Reserve;
use weir_model::{ErrorKind, Offset, SeamError, SeamResult, Vfs};

use crate::LogConfig;

/// What an append has made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendAck {
    /// The offset of the first record; the others follow it.
    pub first_offset: Offset,
    /// How many records.
    pub count: u64,
}

/// The topics in a folder.
#[derive(Debug)]
pub struct Log;

fn unbuilt() -> SeamError {
    SeamError::new(ErrorKind::Closed, "the log is not built yet")
}

impl Log {
    /// Opens the log in `folder` (`DIR/log`), creating it if needed: repairs torn ends, sets damage aside.
    /// Appends are refused when they would eat into `reserve`.
    ///
    /// # Errors
    /// `Config` when the folder cannot be used.
    pub fn open(
        _folder: &Path,
        _vfs: Arc<dyn Vfs>,
        _config: LogConfig,
        _reserve: Reserve,
    ) -> SeamResult<Arc<Self>> {
        Err(unbuilt())
    }

    /// Appends records to `topic`, which is created by its first append. Returns when they are durable: all or none
    /// of them are ever seen. Cancelling the future does not cancel the append.
    ///
    /// # Errors
    /// `Retry` when the disk is full (nothing was taken), `Config` when the name or a record's size is not allowed,
    /// `Closed` when the topic's disk failed: nothing more is ever acknowledged by this topic until a restart.
    pub async fn append(&self, _topic: &str, _records: Vec<Bytes>) -> SeamResult<AppendAck> {
        Err(unbuilt())
    }

    /// Durable records of `topic` from offset `from`, in order: as many as fit `max_bytes`, but at least one if there
    /// is one. Empty at the end of the topic. Blocks on the disk.
    ///
    /// # Errors
    /// `Corrupt` when `from` was deleted by retention or lies in damage: the message says where reading may go on.
    pub fn read(
        &self,
        _topic: &str,
        _from: Offset,
        _max_bytes: usize,
    ) -> SeamResult<Vec<(Offset, Bytes)>> {
        Err(unbuilt())
    }

    /// Waits until `topic` has a durable record at `from` or later. Cancel-safe.
    ///
    /// # Errors
    /// `Closed` when none will come.
    pub async fn wait_for(&self, _topic: &str, _from: Offset) -> SeamResult<()> {
        Err(unbuilt())
    }

    /// The offset that the next record of `topic` gets; all before it are durable. Zero for an unknown topic.
    pub fn end(&self, _topic: &str) -> Offset {
        Offset(0)
    }

    /// The oldest offset that `topic` still has.
    pub fn start(&self, _topic: &str) -> Offset {
        Offset(0)
    }

    /// The topics there are, sorted.
    pub fn topics(&self) -> Vec<String> {
        Vec::new()
    }
}
