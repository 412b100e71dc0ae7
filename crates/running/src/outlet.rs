//! The way out: opens the sinks of a job, tries again what is worth it, and counts what goes through.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use weir_deliver::{FileSink, KafkaSink, OutputConfig, StdoutSink, TableSink};
use weir_model::{Epoch, ErrorKind, Prepared, SeamError, SeamResult, Sink, Vfs};
use weir_store::TableConfig;

use super::Shared;
use crate::JobOutput;

/// How often a sink is tried before the pipeline is restarted from its last commit.
const ATTEMPTS_MAX: u32 = 6;
/// The first pause between two attempts; it doubles with each.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A sink and its name.
pub(super) struct Outlet {
    pub(super) name: String,
    sink: Box<dyn Sink>,
    /// Whether rows were written since the last prepare.
    pub(super) dirty: bool,
}

impl Outlet {
    /// Opens the sink of `output` of `pipeline`; `committed` is what the last commit holds for it.
    pub(super) fn open(
        pipeline: &str,
        output: &JobOutput,
        shared: &Shared,
        committed: Option<&Prepared>,
    ) -> SeamResult<Self> {
        let sink: Box<dyn Sink> = match &output.output {
            OutputConfig::Table(table) => {
                let time_column = table.time.clone().or_else(|| output.time_column.clone());
                if let Some(columns) = &output.columns {
                    shared.store.declare(&table.name, columns, time_column.as_deref())?;
                }
                let config = TableConfig { time_column, ..TableConfig::default() };
                Box::new(TableSink::new(shared.store.writer(&table.name, config)?))
            }
            OutputConfig::File(file) => {
                let vfs: Arc<dyn Vfs> = Arc::clone(shared.folder.vfs());
                Box::new(FileSink::open(vfs, file, committed)?)
            }
            OutputConfig::Stdout(stdout) => Box::new(StdoutSink::open(stdout)),
            OutputConfig::Kafka(kafka) => {
                let folder = shared.folder.path().join("outputs").join(pipeline).join(&output.name);
                Box::new(KafkaSink::open(Arc::clone(shared.folder.vfs()), &folder, kafka, committed)?)
            }
        };
        Ok(Self { name: output.name.clone(), sink, dirty: false })
    }

    /// Writes rows of the epoch that is being built.
    pub(super) async fn write(&mut self, rows: &RecordBatch) -> SeamResult<()> {
        self.dirty = true;
        let mut attempt = 0;
        loop {
            match self.sink.write(rows).await {
                Ok(()) => return Ok(()),
                Err(error) => self.pause_or_fail(error, &mut attempt).await?,
            }
        }
    }

    /// Makes them durable.
    pub(super) async fn prepare(&mut self, epoch: Epoch) -> SeamResult<Prepared> {
        let mut attempt = 0;
        loop {
            match self.sink.prepare(epoch).await {
                Ok(prepared) => {
                    self.dirty = false;
                    return Ok(prepared);
                }
                Err(error) => self.pause_or_fail(error, &mut attempt).await?,
            }
        }
    }

    /// Shows them.
    pub(super) async fn commit(&mut self, epoch: Epoch, prepared: &Prepared) -> SeamResult<()> {
        let mut attempt = 0;
        loop {
            match self.sink.commit(epoch, prepared).await {
                Ok(()) => return Ok(()),
                Err(error) => self.pause_or_fail(error, &mut attempt).await?,
            }
        }
    }

    /// Forgets everything after `last`, and shows what `last` prepared.
    pub(super) async fn recover(&mut self, last: Epoch, prepared: Option<&Prepared>) -> SeamResult<()> {
        self.sink.abort(last).await.map_err(|error| self.named(error))?;
        match prepared {
            Some(prepared) => self.commit(last, prepared).await,
            None => Ok(()),
        }
    }

    /// As [`Sink::take_back`].
    pub(super) async fn take_back(
        &mut self,
        kept: Option<&Prepared>,
        undone: Option<&[Prepared]>,
    ) -> SeamResult<Option<Prepared>> {
        self.sink.take_back(kept, undone).await.map_err(|error| self.named(error))
    }

    /// As [`Sink::let_stand`].
    pub(super) async fn let_stand(&mut self) -> SeamResult<Prepared> {
        self.sink.let_stand().await.map_err(|error| self.named(error))
    }

    async fn pause_or_fail(&self, error: SeamError, attempt: &mut u32) -> SeamResult<()> {
        *attempt += 1;
        if error.kind != ErrorKind::Retry || *attempt >= ATTEMPTS_MAX {
            return Err(self.named(error));
        }
        tracing::warn!(output = self.name, attempt, error = error.full(), "trying again after a pause");
        tokio::time::sleep(RETRY_PAUSE * 2_u32.pow(*attempt)).await;
        Ok(())
    }

    fn named(&self, error: SeamError) -> SeamError {
        SeamError { message: format!("output {}: {}", self.name, error.message), ..error }
    }
}
