//! The way in: opens the sources of a job and reads each on its own, ahead of the task by a bounded number of batches.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use weir_collect::{FileSource, KafkaSource, LogSource, SourceConfig, StdinSource};
use weir_model::{ErrorKind, PartitionId, Positions, SeamError, SeamResult, Source, SourceEvent};
use weir_observe::PipelineHandle;

use super::Shared;
use crate::plan::JobSource;

/// How many events of a source may wait for the task; each holds at most about a MiB.
const EVENTS_WAITING_MAX: usize = 4;
/// How often a source is asked again before the pipeline is restarted from its last commit.
const RETRIES_MAX: u32 = 8;
/// The first pause between two attempts; it doubles with each.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// What a reader tells the task.
pub(super) enum Inflow {
    /// Something happened in the source of this index.
    Event(usize, SourceEvent),
    /// The source of this index cannot go on.
    Failed(usize, SeamError),
}

/// What the task tells a reader.
pub(super) enum Control {
    Pause(PartitionId),
    Resume(PartitionId),
}

/// The readers of all sources of a job. Dropping it stops them.
pub(super) struct Inlet {
    inflow: mpsc::Receiver<Inflow>,
    controls: Vec<mpsc::UnboundedSender<Control>>,
    readers: tokio::task::JoinSet<()>,
}

impl Inlet {
    /// Starts reading `sources`, which stand at their positions already.
    pub(super) fn start(sources: Vec<Box<dyn Source>>, handle: &Arc<PipelineHandle>) -> Self {
        let (sender, inflow) = mpsc::channel(EVENTS_WAITING_MAX);
        let (mut controls, mut readers) = (Vec::new(), tokio::task::JoinSet::new());
        for (index, source) in sources.into_iter().enumerate() {
            // Unbounded, but there are at most two messages per partition and watermark step.
            let (control, commands) = mpsc::unbounded_channel();
            controls.push(control);
            readers.spawn(read(index, source, commands, sender.clone(), Arc::clone(handle)));
        }
        Self { inflow, controls, readers }
    }

    /// The next thing that happened in any source; `None` when all readers are gone. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Inflow> {
        self.inflow.recv().await
    }

    /// Tells the reader of source `index`; one that has ended no longer listens.
    pub(super) fn tell(&self, index: usize, control: Control) {
        let _ = self.controls[index].send(control);
    }

    /// Stops reading.
    pub(super) async fn stop(&mut self) {
        self.readers.shutdown().await;
    }
}

async fn read(
    index: usize,
    mut source: Box<dyn Source>,
    mut commands: mpsc::UnboundedReceiver<Control>,
    sender: mpsc::Sender<Inflow>,
    handle: Arc<PipelineHandle>,
) {
    let mut attempt = 0;
    loop {
        let event = tokio::select! {
            biased;
            command = commands.recv() => {
                match command {
                    Some(Control::Pause(partition)) => source.pause(&partition),
                    Some(Control::Resume(partition)) => source.resume(&partition),
                    None => return,
                }
                continue;
            }
            event = source.next() => event,
        };
        let inflow = match event {
            Ok(event) => {
                attempt = 0;
                Inflow::Event(index, event)
            }
            Err(error) if error.kind == ErrorKind::Retry && attempt < RETRIES_MAX => {
                tracing::warn!(pipeline = handle.name(), attempt, error = error.full(), "reading again after a pause");
                tokio::time::sleep(RETRY_PAUSE * 2_u32.pow(attempt)).await;
                attempt += 1;
                continue;
            }
            Err(error) => Inflow::Failed(index, error),
        };
        let last = matches!(inflow, Inflow::Failed(..) | Inflow::Event(_, SourceEvent::End));
        let waiting = Instant::now();
        if sender.send(inflow).await.is_err() || last {
            return;
        }
        handle.backpressure(waiting.elapsed());
    }
}

/// Opens a source and goes to where its last commit left it.
pub(super) async fn open(source: &JobSource, shared: &Shared, positions: &Positions) -> SeamResult<Box<dyn Source>> {
    let framer = source.format.framer();
    let mut opened: Box<dyn Source> = match &source.source {
        SourceConfig::File(config) => Box::new(FileSource::open(&source.name, config, framer)?),
        SourceConfig::Stdin(config) => Box::new(StdinSource::open(&source.name, config, framer)?),
        SourceConfig::Http(config) => Box::new(LogSource::http(&source.name, Arc::clone(&shared.log), config)?),
        SourceConfig::Log(config) => Box::new(LogSource::open(&source.name, Arc::clone(&shared.log), config)?),
        SourceConfig::Kafka(config) => Box::new(KafkaSource::open(&source.name, config)?),
    };
    opened.seek(positions).await?;
    Ok(opened)
}
