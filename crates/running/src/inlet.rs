//! The way in: the sources of a job, read and decoded by as many threads as it has tasks, and handed over in the order in
//! which they were read. Knows neither engine nor sinks.
//!
//! ```text
//!  sources ─lock─▶ what happens next gets the next place in line ─unlock─▶ decode ─▶ its place ─in order─▶ the loop
//! ```
//!
//! A task is a thread that does one after the other: it reads the next batch, which only one can do at a time, and decodes
//! it, which all can at once. The thread of the loop is one of the tasks and decodes whenever the first place in line is
//! not filled yet; the others are helpers. Places are given while the sources are locked and emptied in their order, so
//! that the loop sees what a single thread would have read and decoded, whatever the number of tasks.

mod bounded;
mod decoders;
mod intake;
mod replays;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::sync::{Mutex, Semaphore, mpsc, watch};
use weir_collect::{FileSource, KafkaSource, LogSource, SourceConfig, StdinSource};
use weir_model::{Decoded, ErrorKind, PartitionId, Positions, Raw, SeamError, SeamResult, Source, SourceEvent};
use weir_observe::PipelineHandle;
use weir_registry::Client;

use super::Shared;
use crate::{Job as PipelineJob, JobSource};
use bounded::Bounded;
use decoders::Decoders;
use intake::{Feed, Intake, Job, Place, Took};
use replays::WithReplays;
pub use replays::{is_replay_topic, letters_partition, replay_topic};

/// How many places there are in line beside one for each task: what helpers may read ahead while the loop commits.
/// A place holds about a MiB, and as much again once it is decoded.
const PLACES_TO_SPARE: usize = 2;

/// What the loop is told.
pub(super) enum Inflow {
    /// Something happened in the source of this index; never records.
    Event(usize, SourceEvent),
    /// Records of the source of this index came.
    Records(usize, Box<Arrival>),
    /// The source of this index cannot go on.
    Failed(usize, SeamError),
}

/// Records that came, and what became of them.
pub(super) struct Arrival {
    pub(super) raw: Raw,
    pub(super) decoded: Decoded,
    /// What must be remembered of the partition, see [`weir_model::Decoder::carry`].
    pub(super) carry: Option<String>,
    /// When they were read.
    pub(super) at: std::time::Instant,
}

/// What the loop tells a source.
pub(super) enum Control {
    Pause(PartitionId),
    Resume(PartitionId),
}

/// The tasks of a job that read and decode. Dropping it stops them.
pub(super) struct Inlet {
    shared: TaskShared,
    line: mpsc::UnboundedReceiver<Place>,
    /// The first place in line, until it is filled.
    first: Option<Place>,
    /// What the thread of the loop has taken on itself to decode.
    own: Option<Box<Job>>,
    /// Every source has ended.
    ended: bool,
    controls: Option<mpsc::UnboundedSender<(usize, Control)>>,
    /// Dropped to end what helpers wait for.
    stopping: Option<watch::Sender<()>>,
    /// Closed once the last helper is gone.
    helpers: mpsc::Receiver<()>,
}

/// What the tasks of an inlet share.
#[derive(Clone)]
struct TaskShared {
    intake: Arc<Mutex<Intake>>,
    /// The places in line that are free.
    places: Arc<Semaphore>,
    /// Closed when reading stops.
    stop: watch::Receiver<()>,
    handle: Arc<PipelineHandle>,
}

impl Inlet {
    /// Starts reading the sources of `job`, which stand at `positions` already, with its tasks: the thread of the caller, and
    /// helpers.
    pub(super) async fn start(
        job: &PipelineJob,
        positions: &std::collections::BTreeMap<String, Positions>,
        shared: &Shared,
        handle: &Arc<PipelineHandle>,
    ) -> SeamResult<Self> {
        let (mut feeds, mut bytes_total, mut ends) = (Vec::new(), Some(0), Vec::new());
        let tasks = job.tasks;
        for source in &job.sources {
            let positions = positions.get(&source.name).cloned().unwrap_or_default();
            let opened = open(job, source, shared, &positions).await?;
            bytes_total = bytes_total.zip(opened.bytes_total()).map(|(sum, bytes)| sum + bytes);
            ends.extend(opened.ends());
            let decoder = || source.format.decoder(source.wanted.clone());
            let registry = source.format.registry().map(Client::new).transpose()?.map(Arc::new);
            feeds.push(Feed::new(opened, Decoders::new(decoder, tasks, &positions)?, registry));
        }
        handle.set_bytes_total(bytes_total);
        handle.watch_ends(ends);
        Self::reading(feeds, tasks, handle)
    }

    /// Starts reading `feeds`.
    fn reading(feeds: Vec<Feed>, tasks: usize, handle: &Arc<PipelineHandle>) -> SeamResult<Self> {
        // Unbounded, but there are at most as many as there are places.
        let (places, line) = mpsc::unbounded_channel();
        // Unbounded, but there are at most two messages per partition and watermark step.
        let (controls, commands) = mpsc::unbounded_channel();
        let (stopping, stop) = watch::channel(());
        let shared = TaskShared {
            intake: Arc::new(Mutex::new(Intake::new(feeds, commands, places))),
            places: Arc::new(Semaphore::new(tasks + PLACES_TO_SPARE)),
            stop,
            handle: Arc::clone(handle),
        };
        let (alive, helpers) = mpsc::channel(1);
        for number in 1..tasks {
            help(number, shared.clone(), alive.clone())?;
        }
        Ok(Self {
            shared,
            line,
            first: None,
            own: None,
            ended: false,
            controls: Some(controls),
            stopping: Some(stopping),
            helpers,
        })
    }

    /// What comes next in line; decodes while there is nothing. `None` when every source has ended. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Inflow> {
        loop {
            let (is_free, has_ended) = (self.own.is_none(), self.ended);
            tokio::select! {
                biased;
                () = prepared(&mut self.own), if !is_free => {
                    if let Some(job) = self.own.take() {
                        self.own = job.decode(&self.shared.handle);
                    }
                }
                inflow = first(&mut self.line, &mut self.first) => return inflow,
                took = self.shared.take(), if is_free && !has_ended => match took {
                    Took::Job(job) => self.own = Some(job),
                    Took::Placed => {}
                    Took::Ended => self.ended = true,
                },
            }
        }
    }

    /// Tells the source of index `index`; one that has ended no longer listens.
    pub(super) fn tell(&self, index: usize, control: Control) {
        if let Some(controls) = &self.controls {
            let _ = controls.send((index, control));
        }
    }

    /// Stops reading; what was read and not handed over is forgotten.
    pub(super) async fn stop(&mut self) {
        self.shared.places.close();
        self.controls = None;
        self.stopping = None;
        self.own = None;
        while self.helpers.recv().await.is_some() {}
    }
}

/// Waits until the job that is there has its decoder, and that its schemas. Cancel-safe.
async fn prepared(job: &mut Option<Box<Job>>) {
    if let Some(job) = job {
        job.prepared().await;
    }
}

/// Waits until the first place in line is filled, and takes it out. Cancel-safe.
async fn first(line: &mut mpsc::UnboundedReceiver<Place>, first: &mut Option<Place>) -> Option<Inflow> {
    if first.is_none() {
        *first = Some(line.recv().await?);
    }
    let inflow = match first.as_mut()? {
        Place { content: intake::Content::There(inflow), .. } => inflow.take(),
        Place { content: intake::Content::Decoding(source, decoded), .. } => {
            let gone =
                || SeamError::new(ErrorKind::Closed, "a task of the pipeline has died; its last words are in the log");
            Some(
                decoded
                    .await
                    .map_or_else(|_| Inflow::Failed(*source, gone()), |arrival| Inflow::Records(*source, arrival)),
            )
        }
    };
    *first = None;
    inflow
}

impl TaskShared {
    /// Reads what happens next and gives it a place in line. Cancel-safe.
    async fn take(&self) -> Took {
        let waiting = std::time::Instant::now();
        let Ok(place) = Arc::clone(&self.places).acquire_owned().await else { return Took::Ended };
        self.handle.backpressure(waiting.elapsed());
        self.intake.lock().await.take(place, &self.handle).await
    }
}

/// Starts a thread that reads and decodes until there is nothing more to take. `_alive` goes with it.
fn help(number: usize, shared: TaskShared, _alive: mpsc::Sender<()>) -> SeamResult<()> {
    let runtime = tokio::runtime::Handle::current();
    let name = format!("{}-{number}", shared.handle.name());
    let work = async move {
        let _alive = _alive;
        loop {
            match shared.take().await {
                Took::Job(job) => {
                    let mut open = Some(job);
                    while let Some(mut job) = open {
                        tokio::select! {
                            () = job.prepared() => {}
                            () = stopped(&shared) => return,
                        }
                        open = job.decode(&shared.handle);
                    }
                }
                Took::Placed => {}
                Took::Ended => return,
            }
        }
    };
    let started = std::thread::Builder::new().name(name).spawn(move || runtime.block_on(work));
    started
        .map(|_| ())
        .map_err(|error| SeamError::caused(ErrorKind::Closed, "no thread for a task of the pipeline", error))
}

/// Waits until reading stops.
async fn stopped(shared: &TaskShared) {
    let mut stop = shared.stop.clone();
    while stop.changed().await.is_ok() {}
}

/// Opens a source and goes to where its last commit left it.
async fn open(
    job: &PipelineJob,
    source: &JobSource,
    shared: &Shared,
    positions: &Positions,
) -> SeamResult<Box<dyn Source>> {
    let framer = source.format.framer();
    let opened: Box<dyn Source> = match &source.source {
        SourceConfig::File(config) => Box::new(FileSource::open(&source.name, config, framer)?),
        SourceConfig::Stdin(config) => Box::new(StdinSource::open(&source.name, config, framer)?),
        SourceConfig::Http(config) => Box::new(LogSource::http(&source.name, Arc::clone(&shared.log), config)?),
        SourceConfig::Log(config) => Box::new(LogSource::open(&source.name, Arc::clone(&shared.log), config)?),
        SourceConfig::Kafka(config) => Box::new(KafkaSource::open(&source.name, config)?),
    };
    if job.rerun.as_ref().is_some_and(|rerun| rerun.whole.contains(&source.name)) {
        let mut opened = opened;
        opened.seek(&Positions::new()).await?;
        return Ok(opened);
    }
    let mut opened = WithReplays::new(opened, &job.plan.pipeline, &source.name, Arc::clone(&shared.log));
    let Some(rerun) = &job.rerun else {
        opened.seek(positions).await?;
        return Ok(Box::new(opened));
    };
    let until = rerun.until.get(&source.name).cloned().unwrap_or_default();
    opened.seek(&rerun.beginnings(&source.name)).await?;
    Ok(Box::new(Bounded::new(Box::new(opened), &until, Arc::clone(&rerun.found))))
}
