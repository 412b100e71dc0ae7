//! Topics of Kafka as a source. Its memory is positions alone, and they are kept by whoever reads it: no consumer group is
//! joined and nothing is committed to Kafka. Refuses records of transactions that are not committed.
//!
//! ```text
//!  scout: new topics, partitions ─┐
//!  a thread per topic: batches ───┴─ bounded channel ──▶ next()
//! ```

mod batch;
mod config;
mod envelope;
mod last;
mod reader;
#[cfg(test)]
mod tests;
mod topics;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as std_mpsc};
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::TopicPartitionList;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::sync::mpsc;
use weir_kafka::{Asking, Ends, Leaders, Speaker, client_of, fetch_ahead, read_committed_only};
use weir_model::{ErrorKind, KnownEnds, Offset, PartitionId, Positions, SeamError, SeamResult, Source, SourceEvent};

use self::batch::Gathering;
use self::last::Remembered;
use self::reader::{Outgoing, Reader, Share, step_over};
use self::topics::{Topics, Wanted, extent, first_offset};

pub use self::config::{KafkaConfig, KafkaStart, StartTime, Tombstones};
pub use self::envelope::{Envelope, Parts};
pub use self::last::{LastRecord, differing};

/// How many events wait for the reader of the source; each holds at most about a MiB.
const EVENTS_WAITING_MAX: usize = 2;

/// Topics of Kafka, each partition as one of the source: `<source>:<topic>/<partition>`. Offsets are Kafka's.
pub struct KafkaSource {
    name: String,
    config: KafkaConfig,
    settings: ClientConfig,
    wanted: Option<Wanted>,
    events: Option<mpsc::Receiver<SeamResult<SourceEvent>>>,
    /// What happened before anything was read; and what was read of a partition before it was paused.
    waiting: VecDeque<SourceEvent>,
    paused: BTreeSet<PartitionId>,
    places: Arc<Places>,
    /// Dropping it ends the scout.
    scout: Option<std_mpsc::Sender<()>>,
    unwanted: Arc<AtomicBool>,
    /// Where its partitions end, for those who want to see how far behind it is.
    ends: Ends,
    asking: Option<Asking>,
    /// The partitions that have not ended, of a source that is not followed.
    open: usize,
    /// Why a thread has ended before its time; everything has to begin anew then.
    failed: Option<(ErrorKind, String)>,
}

/// Who reads which partition, so that it can be paused.
#[derive(Default)]
struct Places(Mutex<BTreeMap<PartitionId, Place>>);

struct Place {
    consumer: Arc<BaseConsumer<Speaker>>,
    topic: String,
    partition: i32,
}

impl Places {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PartitionId, Place>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KafkaSource {
    /// Will read the topics of `config` as the source `name`. Reaches out only when it is told where to begin.
    ///
    /// # Errors
    /// `Config` when a pattern or a setting of the client is not right.
    pub fn open(name: &str, config: &KafkaConfig) -> SeamResult<Self> {
        let mut settings = config.connection().settings()?;
        let group = config.group.clone().unwrap_or_else(|| format!("weir-{name}"));
        read_committed_only(&mut settings, &group);
        if let Some((key, message)) = config.problems().into_iter().next() {
            return Err(SeamError::new(ErrorKind::Config, format!("kafka.{key}: {message}")));
        }
        Ok(Self {
            name: name.to_owned(),
            wanted: Some(Wanted::new(&config.topics)?),
            config: config.clone(),
            settings,
            events: None,
            waiting: VecDeque::new(),
            paused: BTreeSet::new(),
            places: Arc::default(),
            scout: None,
            unwanted: Arc::default(),
            ends: Ends::default(),
            asking: None,
            open: 0,
            failed: None,
        })
    }

    fn is_paused(&self, event: &SourceEvent) -> bool {
        let partition = match event {
            SourceEvent::Records(raw) => &raw.partition,
            SourceEvent::CaughtUp(partition) | SourceEvent::PartitionFinished(partition) => partition,
            SourceEvent::PartitionAdded(_) | SourceEvent::Trouble { .. } | SourceEvent::End => return false,
        };
        self.paused.contains(partition)
    }

    /// Tells whoever reads `partition`. One that is not read any more needs no telling.
    fn tell(&self, partition: &PartitionId, pause: bool) {
        let places = self.places.lock();
        let Some(place) = places.get(partition) else { return };
        let mut list = TopicPartitionList::new();
        list.add_partition(&place.topic, place.partition);
        let told = if pause { place.consumer.pause(&list) } else { place.consumer.resume(&list) };
        if let Err(error) = told {
            tracing::debug!(%partition, %error, "a partition that is not read was paused or resumed");
        }
    }
}

/// Finds partitions and starts reading them; blocks on the brokers.
struct Opening {
    name: String,
    config: KafkaConfig,
    settings: ClientConfig,
    outgoing: Outgoing,
    places: Arc<Places>,
    unwanted: Arc<AtomicBool>,
    /// How to reach the thread of a topic that is read.
    readers: BTreeMap<String, (Arc<BaseConsumer<Speaker>>, std_mpsc::Sender<Share>)>,
    known: Topics,
    ends: Ends,
}

impl Opening {
    /// Finds what there is, compares it with `positions`, and starts the threads. Returns what is to be said first.
    fn begin(&mut self, wanted: &Wanted, positions: &Positions) -> SeamResult<Vec<SourceEvent>> {
        let scout = self.consumer(1)?;
        let topics = wanted.find(&scout)?;
        let (mut first, mut shares) = (Vec::new(), BTreeMap::<String, Vec<Share>>::new());
        let mut remembered = BTreeMap::<&str, BTreeMap<i32, Remembered>>::new();
        for (topic, partitions) in &topics {
            for partition in 0..*partitions {
                let there = extent(&scout, topic, partition)?;
                let until = (!self.config.follow).then_some(there.end);
                let mut gathering = self.gathering(topic, partition, there.start);
                first.push(SourceEvent::PartitionAdded(gathering.id().clone()));
                match positions.get(gathering.id()) {
                    Some(position) => {
                        gathering.goes_on(position);
                        first.extend(step_over(&mut gathering, there)?);
                        if let Some(last) = gathering.last()
                            && (there.start..there.end).contains(&last.offset())
                        {
                            let id = gathering.id().clone();
                            remembered.entry(topic).or_default().insert(partition, Remembered { id, last });
                        }
                    }
                    None => {
                        gathering.skip_to(first_offset(&scout, &self.config, topic, partition, there)?);
                        // Committed with the first results, the place to begin at is decided once and for all.
                        first.push(SourceEvent::Records(gathering.position()));
                    }
                }
                shares.entry(topic.clone()).or_default().push(Share { partition, gathering, until });
            }
        }
        for (topic, remembered) in remembered {
            last::compare(&scout, topic, &remembered)?;
        }
        let count = shares.len();
        for (topic, shares) in shares {
            self.start(&topic, shares, count)?;
        }
        self.known = topics;
        Ok(first)
    }

    /// Looks for what has appeared until nobody wants to know any more.
    fn scout(mut self, wanted: &Wanted, stop: &std_mpsc::Receiver<()>, refresh: Duration) {
        let Ok(consumer) = self.consumer(1) else { return };
        while stop.recv_timeout(refresh) == Err(std_mpsc::RecvTimeoutError::Timeout) {
            match wanted.find(&consumer).and_then(|topics| self.extend(topics)) {
                Ok(()) => {}
                Err(error) if error.kind == ErrorKind::Closed => return,
                Err(error) => {
                    tracing::warn!(source = self.name, error = error.full(), "new topics were not looked for")
                }
            }
        }
    }

    /// Reads the partitions of `topics` that are not known yet, from their beginning.
    fn extend(&mut self, topics: Topics) -> SeamResult<()> {
        for (topic, partitions) in topics {
            let known = self.known.get(&topic).copied().unwrap_or(0);
            let mut shares = Vec::new();
            for partition in known..partitions {
                let gathering = self.gathering(&topic, partition, 0);
                let added = SourceEvent::PartitionAdded(gathering.id().clone());
                let gone = |_| SeamError::new(ErrorKind::Closed, "nobody reads the source any more");
                self.outgoing.blocking_send(Ok(added)).map_err(gone)?;
                shares.push(Share { partition, gathering, until: None });
            }
            if shares.is_empty() {
                continue;
            }
            match self.readers.get(&topic) {
                Some((consumer, further)) => {
                    for share in shares {
                        self.place(consumer, &topic, &share);
                        let _ = further.send(share);
                    }
                }
                None => self.start(&topic, shares, self.readers.len() + 1)?,
            }
            self.known.insert(topic, partitions);
        }
        Ok(())
    }

    fn start(&mut self, topic: &str, shares: Vec<Share>, topics: usize) -> SeamResult<()> {
        let consumer = Arc::new(self.consumer(topics)?);
        shares.iter().for_each(|share| self.place(&consumer, topic, share));
        let (further, receiver) = std_mpsc::channel();
        let reader = Reader {
            topic: topic.to_owned(),
            consumer: Arc::clone(&consumer),
            tombstones: self.config.tombstones,
            envelope: self.config.envelope,
            enveloped: Vec::new(),
            outgoing: self.outgoing.clone(),
            further: receiver,
            unwanted: Arc::clone(&self.unwanted),
            is_lost: false,
            leaders: Leaders::default(),
            is_unpackable_said: false,
            shares: shares.into_iter().map(|share| (share.partition, share)).collect(),
        };
        self.readers.insert(topic.to_owned(), (consumer, further));
        spawn(format!("kafka {topic}"), move || reader.run())
    }

    fn place(&self, consumer: &Arc<BaseConsumer<Speaker>>, topic: &str, share: &Share) {
        let place = Place { consumer: Arc::clone(consumer), topic: topic.to_owned(), partition: share.partition };
        self.places.lock().insert(share.gathering.id().clone(), place);
        self.ends.want_more([(topic.to_owned(), share.partition)]);
    }

    fn gathering(&self, topic: &str, partition: i32, next: u64) -> Gathering {
        let id = PartitionId::new(format!("{}:{topic}/{partition}", self.name));
        let limit =
            usize::try_from(self.config.max_record_bytes.0).unwrap_or(usize::MAX).clamp(1, u32::MAX as usize / 4);
        Gathering::new(id, format!("{topic}/{partition}").into(), next, limit)
    }

    /// A client that may fetch its part of the buffer ahead.
    fn consumer(&self, topics: usize) -> SeamResult<BaseConsumer<Speaker>> {
        let mut settings = self.settings.clone();
        fetch_ahead(&mut settings, self.config.buffer_bytes_max.0, topics);
        let consumer: BaseConsumer<Speaker> = client_of(&settings, Speaker::default())?;
        self.config.connection().introduce(|time| drop(consumer.poll(time)));
        Ok(consumer)
    }
}

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> SeamResult<()> {
    let spawned = std::thread::Builder::new().name(name).spawn(work);
    spawned.map(drop).map_err(|error| SeamError::caused(ErrorKind::Retry, "no thread to read Kafka with", error))
}

#[async_trait]
impl Source for KafkaSource {
    async fn seek(&mut self, positions: &Positions) -> SeamResult<()> {
        let wanted = self.wanted.take().expect("a source is told once where to begin");
        let (outgoing, events) = mpsc::channel(EVENTS_WAITING_MAX);
        let mut opening = Opening {
            name: self.name.clone(),
            config: self.config.clone(),
            settings: self.settings.clone(),
            outgoing,
            places: Arc::clone(&self.places),
            unwanted: Arc::clone(&self.unwanted),
            readers: BTreeMap::new(),
            known: Topics::new(),
            ends: self.ends.clone(),
        };
        let positions = positions.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let first = opening.begin(&wanted, &positions);
            (opening, wanted, first)
        });
        let (opening, wanted, first) =
            opened.await.map_err(|error| SeamError::caused(ErrorKind::Closed, "Kafka could not be opened", error))?;
        self.waiting.extend(first?);
        self.open = opening.known.values().map(|partitions| usize::try_from(*partitions).unwrap_or(0)).sum();
        self.events = Some(events);
        if self.config.follow {
            let (sender, stop) = std_mpsc::channel();
            self.scout = Some(sender);
            self.asking = Some(self.ends.ask(self.config.connection())?);
            let refresh = self.config.refresh.std();
            spawn(format!("kafka scout {}", self.name), move || opening.scout(&wanted, &stop, refresh))?;
        }
        Ok(())
    }

    async fn next(&mut self) -> SeamResult<SourceEvent> {
        loop {
            if let Some(at) = self.waiting.iter().position(|event| !self.is_paused(event)) {
                let event = self.waiting.remove(at).expect("it was just seen there");
                if matches!(event, SourceEvent::PartitionFinished(_)) {
                    self.open = self.open.saturating_sub(1);
                }
                return Ok(event);
            }
            if !self.config.follow && self.open == 0 {
                return Ok(SourceEvent::End);
            }
            if let Some((kind, message)) = &self.failed {
                return Err(SeamError::new(*kind, message.clone()));
            }
            let events = self.events.as_mut().expect("a source is told where to begin before it is read");
            match events.recv().await {
                Some(Ok(event)) => self.waiting.push_back(event),
                Some(Err(error)) => {
                    self.failed = Some((error.kind, error.full()));
                    return Err(error);
                }
                // The threads are done; what is left belongs to partitions that are paused.
                None if !self.waiting.is_empty() => std::future::pending::<()>().await,
                None => return Err(SeamError::new(ErrorKind::Closed, "nobody reads Kafka any more")),
            }
        }
    }

    fn pause(&mut self, partition: &PartitionId) {
        if self.paused.insert(partition.clone()) {
            self.tell(partition, true);
        }
    }

    fn resume(&mut self, partition: &PartitionId) {
        if self.paused.remove(partition) {
            self.tell(partition, false);
        }
    }

    fn bytes_total(&self) -> Option<u64> {
        None
    }

    fn ends(&self) -> Option<KnownEnds> {
        let (name, ends) = (self.name.clone(), self.ends.clone());
        let id = move |topic: &str, partition: i32| PartitionId::new(format!("{name}:{topic}/{partition}"));
        Some(Arc::new(move || {
            let known = ends.known().into_iter();
            known.map(|((topic, partition), end)| (id(&topic, partition), Offset(end))).collect()
        }))
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.unwanted.store(true, Ordering::Relaxed);
    }
}
