//! Where everything comes in, one thing at a time: asks all sources what happens next and gives it the next place in line.
//! Refuses to decode, so that the lock around it is held for reading only.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::select_all;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task::JoinHandle;
use weir_model::{Decoder, ErrorKind, KnownSchema, Raw, SchemaId, SeamResult, Source, SourceEvent};
use weir_observe::{PipelineHandle, Stage};
use weir_registry::Client;

use super::decoders::{Decoders, Turn};
use super::{Arrival, Control, Inflow};

/// How often a source is asked again before the pipeline is restarted from its last commit.
const RETRIES_MAX: u32 = 8;
/// The first pause between two attempts; it doubles with each.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A source, and what decodes its records.
pub(super) struct Feed {
    source: Box<dyn Source>,
    decoders: Decoders,
    /// Where the schemas are that its records name.
    registry: Option<Arc<Client>>,
    ended: bool,
    attempt: u32,
    /// Not to be asked again before this moment.
    pause_until: Option<tokio::time::Instant>,
}

/// The sources of a job.
pub(super) struct Intake {
    feeds: Vec<Feed>,
    /// Whose turn it is, among those that have something.
    turn: usize,
    commands: mpsc::UnboundedReceiver<(usize, Control)>,
    line: mpsc::UnboundedSender<Place>,
}

/// A place in line. Free again once it is dropped.
pub(super) struct Place {
    pub(super) content: Content,
    _permit: OwnedSemaphorePermit,
}

/// What is, or will be, in a place in line.
pub(super) enum Content {
    There(Option<Inflow>),
    /// Records of the source of this index, which some task decodes.
    Decoding(usize, oneshot::Receiver<Box<Arrival>>),
}

/// What a task has got.
pub(super) enum Took {
    /// Records to decode.
    Job(Box<Job>),
    /// Something that is in its place already.
    Placed,
    /// There is nothing more to take.
    Ended,
}

/// Records to decode, and the place that waits for them.
pub(super) struct Job {
    raw: Raw,
    at: Instant,
    turn: Turn,
    decoder: Option<Box<dyn Decoder>>,
    lessons: Lessons,
    place: oneshot::Sender<Box<Arrival>>,
}

/// The schemas that a decoder has to learn before it can go on.
struct Lessons {
    registry: Option<Arc<Client>>,
    wanted: Vec<SchemaId>,
    /// The last of them, on its way. A task of its own, so that what is asked goes on when its waiting is cancelled.
    asked: Option<JoinHandle<Result<Arc<KnownSchema>, String>>>,
}

impl Lessons {
    /// Teaches `decoder` what it wants. Cancel-safe.
    async fn teach(&mut self, decoder: &mut dyn Decoder) {
        while let Some(id) = self.wanted.last().copied() {
            let schema = match &self.registry {
                None => Err("the format has no registry".to_owned()),
                Some(registry) => {
                    let registry = Arc::clone(registry);
                    let asked =
                        self.asked.get_or_insert_with(|| tokio::spawn(async move { registry.schema(id).await }));
                    asked.await.unwrap_or_else(|_| Err("asking the registry was given up".to_owned()))
                }
            };
            decoder.learn(id, schema.as_deref().map_err(String::as_str));
            self.asked = None;
            self.wanted.pop();
        }
    }
}

impl Feed {
    pub(super) fn new(source: Box<dyn Source>, decoders: Decoders, registry: Option<Arc<Client>>) -> Self {
        Self { source, decoders, registry, ended: false, attempt: 0, pause_until: None }
    }

    /// What happens next, after as many attempts as it may take. Cancel-safe.
    async fn next(&mut self, pipeline: &str) -> SeamResult<SourceEvent> {
        loop {
            if let Some(until) = self.pause_until {
                tokio::time::sleep_until(until).await;
                self.pause_until = None;
            }
            let error = match self.source.next().await {
                Ok(event) => {
                    self.attempt = 0;
                    return Ok(event);
                }
                Err(error) if error.kind == ErrorKind::Retry && self.attempt < RETRIES_MAX => error,
                Err(error) => return Err(error),
            };
            tracing::warn!(pipeline, attempt = self.attempt, error = error.full(), "reading again after a pause");
            self.pause_until = Some(tokio::time::Instant::now() + RETRY_PAUSE * 2_u32.pow(self.attempt));
            self.attempt += 1;
        }
    }
}

impl Intake {
    pub(super) fn new(
        feeds: Vec<Feed>,
        commands: mpsc::UnboundedReceiver<(usize, Control)>,
        line: mpsc::UnboundedSender<Place>,
    ) -> Self {
        Self { feeds, turn: 0, commands, line }
    }

    /// Waits for what happens next and puts it, or the promise of it, into a place in line. Cancel-safe.
    pub(super) async fn take(&mut self, permit: OwnedSemaphorePermit, handle: &PipelineHandle) -> Took {
        let Some((index, result)) = self.next(handle.name()).await else { return Took::Ended };
        let feed = &mut self.feeds[index];
        feed.ended = matches!(result, Err(_) | Ok(SourceEvent::End));
        self.turn = index + 1;
        let (content, took) = match result {
            Ok(SourceEvent::Records(raw)) => {
                let (place, decoded) = oneshot::channel();
                let turn = feed.decoders.turn(&raw.partition);
                let lessons = Lessons { registry: feed.registry.clone(), wanted: Vec::new(), asked: None };
                let job = Job { raw, at: Instant::now(), turn, decoder: None, lessons, place };
                (Content::Decoding(index, decoded), Took::Job(Box::new(job)))
            }
            Ok(event) => (Content::There(Some(Inflow::Event(index, event))), Took::Placed),
            Err(error) => (Content::There(Some(Inflow::Failed(index, error))), Took::Placed),
        };
        match self.line.send(Place { content, _permit: permit }) {
            Ok(()) => took,
            // The loop is gone.
            Err(_) => Took::Ended,
        }
    }

    /// What happens next in any source, in turn; `None` when all have ended, or the loop is gone. Cancel-safe.
    async fn next(&mut self, pipeline: &str) -> Option<(usize, SeamResult<SourceEvent>)> {
        loop {
            let Self { feeds, commands, turn, .. } = self;
            let first = *turn % feeds.len().max(1);
            let (before, from) = feeds.split_at_mut(first);
            let from = from.iter_mut().enumerate().map(|(index, feed)| (first + index, feed));
            let open = from.chain(before.iter_mut().enumerate()).filter(|(_, feed)| !feed.ended);
            let asked: Vec<_> =
                open.map(|(index, feed)| Box::pin(async move { (index, feed.next(pipeline).await) })).collect();
            if asked.is_empty() {
                return None;
            }
            let (index, control) = tokio::select! {
                biased;
                command = commands.recv() => command?,
                (happened, _, _) = select_all(asked) => return Some(happened),
            };
            match control {
                Control::Pause(partition) => self.feeds[index].source.pause(&partition),
                Control::Resume(partition) => self.feeds[index].source.resume(&partition),
            }
        }
    }
}

impl Job {
    /// Waits until a decoder is free for it, and knows the schemas that it wants. Cancel-safe.
    pub(super) async fn prepared(&mut self) {
        if self.decoder.is_none() {
            self.decoder = self.turn.decoder().await;
        }
        if let Some(decoder) = &mut self.decoder {
            self.lessons.teach(decoder.as_mut()).await;
        }
    }

    /// Decodes, and fills the place in line; or, when schemas are wanted first, comes back to be prepared again. Without a
    /// decoder the place stays empty for ever, which the loop notices.
    pub(super) fn decode(mut self: Box<Self>, handle: &Arc<PipelineHandle>) -> Option<Box<Self>> {
        let decoder = self.decoder.as_mut()?;
        let started = Instant::now();
        let mut decoded = decoder.decode(&self.raw);
        handle.busy(Stage::Decode, started.elapsed());
        if !decoded.wanted_schemas.is_empty() {
            self.lessons.wanted = std::mem::take(&mut decoded.wanted_schemas);
            return Some(self);
        }
        let Self { raw, at, turn, decoder, place, .. } = *self;
        let decoder = decoder?;
        let carry = decoder.carry(&raw.partition);
        turn.over(decoder);
        // The loop may be gone.
        let _ = place.send(Box::new(Arrival { raw, decoded, carry, at }));
        None
    }
}
