//! The way out: opens the sinks of a job and gives them rows, with patience. Refuses to decide what becomes of rows that a
//! sink rejects.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use weir_deliver::{FileSink, HttpSink, KafkaSink, OutputConfig, StdoutSink, TableSink};
use weir_model::{Delivered, Epoch, ErrorKind, Prepared, SeamError, SeamResult, Sink, Vfs, planted};
use weir_observe::PipelineHandle;
use weir_store::{TableConfig, TimeSpan};

use super::Shared;
use super::patience::{Patience, Stopping};
use super::room::Room;
use crate::JobOutput;

/// A sink and its name.
pub(super) struct Outlet {
    pub(super) name: String,
    sink: Box<dyn Sink>,
    patience: Patience,
    /// Where what it writes to has a limit.
    room: Option<Room>,
    /// Of a rerun the span whose rows are kept, and the column of their times.
    span: Option<(TimeSpan, Option<String>)>,
    /// Whether rows were written since the last prepare.
    pub(super) dirty: bool,
}

impl Outlet {
    /// Opens the sink of `output` of the pipeline of `handle`; `committed` is what the last commit holds for it.
    pub(super) fn open(
        output: &JobOutput,
        shared: &Shared,
        committed: Option<&Prepared>,
        handle: &Arc<PipelineHandle>,
        stopping: &Stopping,
    ) -> SeamResult<Self> {
        let folder = shared.folder.path().join("outputs").join(handle.name()).join(&output.name);
        let sink: Box<dyn Sink> = match &output.output {
            OutputConfig::Table(table) => {
                let time_column = table.time.clone().or_else(|| output.time_column.clone());
                if let Some(columns) = &output.columns {
                    shared.store.declare(&table.name, columns, time_column.as_deref())?;
                }
                let config = TableConfig { time_column };
                Box::new(TableSink::new(shared.store.writer(&table.name, config)?))
            }
            OutputConfig::File(file) => {
                let vfs: Arc<dyn Vfs> = Arc::clone(shared.folder.vfs());
                Box::new(FileSink::open(vfs, file, committed)?)
            }
            OutputConfig::Stdout(stdout) => Box::new(StdoutSink::open(stdout)),
            OutputConfig::Kafka(kafka) => {
                Box::new(KafkaSink::open(Arc::clone(shared.folder.vfs()), &folder, kafka, committed)?)
            }
            OutputConfig::Http(http) => {
                let name = format!("{}/{}", handle.name(), output.name);
                Box::new(HttpSink::open(Arc::clone(shared.folder.vfs()), &folder, name, http, committed)?)
            }
        };
        let patience = Patience::new(&output.name, output.retry, shared, handle, stopping);
        let room = match (&output.output, output.limit) {
            (OutputConfig::Table(table), Some(limit)) => Some(Room::new(Arc::clone(&shared.store), &table.name, limit)),
            _ => None,
        };
        Ok(Self { name: output.name.clone(), sink, patience, room, span: None, dirty: false })
    }

    /// Writes from now on only rows of `output` that belong to `span`, where they have a time.
    pub(super) fn keep_only(&mut self, output: &JobOutput, span: Option<TimeSpan>) {
        let asked = match &output.output {
            OutputConfig::Table(table) => table.time.clone(),
            OutputConfig::File(_) | OutputConfig::Stdout(_) | OutputConfig::Kafka(_) | OutputConfig::Http(_) => None,
        };
        // Rows that nobody can tell the time of are kept: whoever compares them says so.
        let time = asked.or_else(|| output.time_column.clone());
        self.span = span.filter(|_| time.is_some()).map(|span| (span, time));
    }

    /// Writes rows of the epoch that is being built.
    pub(super) async fn write(&mut self, rows: &RecordBatch) -> SeamResult<Delivered> {
        self.dirty = true;
        let kept = self.span.as_ref().map(|(span, time)| {
            let kept = filter_record_batch(rows, &span.holds(rows, time.as_deref()));
            kept.map_err(|error| SeamError::caused(ErrorKind::Closed, "cannot filter rows", error))
        });
        let kept = kept.transpose()?;
        let rows = kept.as_ref().unwrap_or(rows);
        let Self { sink, patience, room, .. } = self;
        let write = async || {
            room.as_ref().map_or(Ok(()), Room::ask)?;
            sink.write(rows).await
        };
        patience.insist(write).await
    }

    /// Makes them durable.
    pub(super) async fn prepare(&mut self, epoch: Epoch) -> SeamResult<Prepared> {
        let Self { sink, patience, .. } = self;
        let prepared = patience.insist(async || sink.prepare(epoch).await).await?;
        self.dirty = false;
        Ok(prepared)
    }

    /// Shows them.
    pub(super) async fn commit(&mut self, epoch: Epoch, prepared: &Prepared) -> SeamResult<Delivered> {
        let Self { sink, patience, .. } = self;
        patience.insist(async || sink.commit(epoch, prepared).await).await
    }

    /// Forgets everything after `last`, and shows what `last` prepared.
    pub(super) async fn recover(&mut self, last: Epoch, prepared: Option<&Prepared>) -> SeamResult<Delivered> {
        let Self { sink, patience, .. } = self;
        patience.insist(async || sink.abort(last).await).await?;
        match prepared {
            Some(prepared) if !planted!(NotRolledForward) => self.commit(last, prepared).await,
            _ => Ok(Delivered::all()),
        }
    }

    /// As [`Sink::take_back`].
    pub(super) async fn take_back(
        &mut self,
        kept: Option<&Prepared>,
        undone: Option<&[Prepared]>,
    ) -> SeamResult<Option<Prepared>> {
        self.sink.take_back(kept, undone).await.map_err(|error| self.patience.named(error))
    }

    /// As [`Sink::let_stand`].
    pub(super) async fn let_stand(&mut self) -> SeamResult<Prepared> {
        self.sink.let_stand().await.map_err(|error| self.patience.named(error))
    }
}
