//! Files as a source: found by patterns, recognised after rotation, read a chunk each in turn.
//! Refuses to look inside a record.

mod config;

use std::sync::Arc;

use async_trait::async_trait;
use weir_model::{Framer, PartitionId, Positions, SeamResult, Source, SourceEvent};

pub(crate) use config::max_record_bytes;
pub use config::{FileConfig, StartAt};

/// A source of files.
#[derive(Debug)]
pub struct FileSource {}

impl FileSource {
    /// Opens the source `name` with what `config` says; records end where `framer` finds it.
    ///
    /// # Errors
    /// `Config` when a pattern cannot be read, or when a source that is not followed finds no file.
    pub fn open(name: &str, config: &FileConfig, framer: Arc<dyn Framer>) -> SeamResult<Self> {
        let _ = (name, config, framer);
        Err(weir_model::SeamError::new(
            weir_model::ErrorKind::Config,
            "files cannot be read yet",
        ))
    }
}

#[async_trait]
impl Source for FileSource {
    async fn seek(&mut self, _: &Positions) -> SeamResult<()> {
        Ok(())
    }
    async fn next(&mut self) -> SeamResult<SourceEvent> {
        Ok(SourceEvent::End)
    }
    fn pause(&mut self, _: &PartitionId) {}
    fn resume(&mut self, _: &PartitionId) {}
    fn bytes_total(&self) -> Option<u64> {
        None
    }
}
