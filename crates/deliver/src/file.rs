//! Files as an output, exactly once on one machine. Refuses to touch a file that is not its own.

use std::sync::Arc;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use weir_model::{Epoch, ErrorKind, Guarantee, Prepared, SeamError, SeamResult, Sink, Vfs};

use crate::FileOutput;

/// Writes rows to a file, or for Parquet to a folder of files.
#[derive(Debug)]
pub struct FileSink {}

impl FileSink {
    /// Opens the output that `config` describes. `committed` is what the pipeline's last commit holds for this output;
    /// `None` at the very first start.
    ///
    /// # Errors
    /// `Config` when the file exists but is not this pipeline's, or is not as the last commit left it.
    pub fn open(
        vfs: Arc<dyn Vfs>,
        config: &FileOutput,
        committed: Option<&Prepared>,
    ) -> SeamResult<Self> {
        let _ = (vfs, config, committed);
        Err(SeamError::new(
            ErrorKind::Config,
            "files cannot be written yet",
        ))
    }
}

#[async_trait]
impl Sink for FileSink {
    fn guarantee(&self) -> Guarantee {
        Guarantee::ExactlyOnce
    }
    async fn write(&mut self, _: &RecordBatch) -> SeamResult<()> {
        Ok(())
    }
    async fn prepare(&mut self, _: Epoch) -> SeamResult<Prepared> {
        Ok(Prepared::default())
    }
    async fn commit(&mut self, _: Epoch, _: &Prepared) -> SeamResult<()> {
        Ok(())
    }
    async fn abort(&mut self, _: Epoch) -> SeamResult<()> {
        Ok(())
    }
}
