use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use weir_model::{Decoder, KnownSchema, Offset, Position, Rejected, Remembers, SchemaId};
use weir_observe::PipelineBoard;

use super::*;

/// What a scripted source does next.
enum Does {
    Records(&'static str),
    Fails(ErrorKind),
    /// Nothing until it is resumed.
    Waits,
}

/// Yields what it is told, and ends.
struct Scripted {
    script: VecDeque<Does>,
    reads: Arc<AtomicUsize>,
    offset: u64,
    paused: bool,
}

fn scripted(script: impl IntoIterator<Item = Does>) -> Scripted {
    Scripted { script: script.into_iter().collect(), reads: Arc::default(), offset: 0, paused: true }
}

fn raw(partition: &str, offset: u64) -> Raw {
    Raw {
        partition: PartitionId::new(partition),
        origin: partition.into(),
        bytes: bytes::Bytes::new(),
        records: Vec::new(),
        next: Position { offset: Offset(offset), ..Position::default() },
        fallback_time: None,
    }
}

#[async_trait]
impl Source for Scripted {
    async fn seek(&mut self, _: &Positions) -> SeamResult<()> {
        Ok(())
    }

    async fn next(&mut self) -> SeamResult<SourceEvent> {
        if let (Some(Does::Waits), true) = (self.script.front(), self.paused) {
            std::future::pending::<()>().await;
        }
        self.reads.fetch_add(1, Ordering::SeqCst);
        match self.script.pop_front() {
            Some(Does::Records(partition)) => {
                self.offset += 1;
                Ok(SourceEvent::Records(raw(partition, self.offset)))
            }
            Some(Does::Fails(kind)) => Err(SeamError::new(kind, "as the script says")),
            Some(Does::Waits) => Ok(SourceEvent::CaughtUp(PartitionId::new("p"))),
            None => Ok(SourceEvent::End),
        }
    }

    fn pause(&mut self, _: &PartitionId) {}

    fn resume(&mut self, _: &PartitionId) {
        self.paused = false;
    }

    fn bytes_total(&self) -> Option<u64> {
        None
    }
}

/// Takes longer for some batches than for others, and counts those that it has had: of each partition, or of all.
struct Counting {
    remembers: Remembers,
    seen: std::collections::BTreeMap<String, usize>,
    last: String,
}

impl Counting {
    fn boxed(remembers: Remembers) -> SeamResult<Box<dyn Decoder>> {
        Ok(Box::new(Self { remembers, seen: Default::default(), last: String::new() }))
    }
}

impl Decoder for Counting {
    fn decode(&mut self, raw: &Raw) -> Decoded {
        (0..raw.next.offset.0 * 7919 % 13).for_each(|_| std::thread::yield_now());
        let key = if self.remembers == Remembers::Everything { "all" } else { raw.partition.as_str() };
        *self.seen.entry(key.to_owned()).or_default() += 1;
        self.last = format!("{key} {}", self.seen[key]);
        Decoded::default()
    }

    fn carry(&self, _: &PartitionId) -> Option<String> {
        Some(self.last.clone())
    }

    fn remembers(&self) -> Remembers {
        self.remembers
    }
}

fn handle() -> Arc<PipelineHandle> {
    PipelineBoard::default().add("p", Vec::new(), weir_model::ProcessingTime::from_micros(0))
}

fn feed(source: Scripted, tasks: usize, make: impl Fn() -> SeamResult<Box<dyn Decoder>>) -> Feed {
    Feed::new(Box::new(source), Decoders::new(make, tasks, &Positions::default()).expect("decoders"), None)
}

fn inlet(source: Scripted, tasks: usize, remembers: Remembers) -> Inlet {
    let feed = feed(source, tasks, || Counting::boxed(remembers));
    Inlet::reading(vec![feed], tasks, &handle()).expect("threads")
}

/// Everything that comes until the source ends or fails.
async fn everything(inlet: &mut Inlet) -> Vec<String> {
    let mut told = Vec::new();
    loop {
        let told_now = match inlet.next().await.expect("something comes") {
            Inflow::Records(_, arrival) => {
                format!("{} {} ({})", arrival.raw.partition, arrival.raw.next.offset, arrival.carry.expect("a carry"))
            }
            Inflow::Event(_, SourceEvent::End) => return told,
            Inflow::Event(_, event) => format!("{event:?}"),
            Inflow::Failed(_, error) => {
                told.push(format!("failed: {}", error.message));
                return told;
            }
        };
        told.push(told_now);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_is_in_the_order_of_reading_whoever_decodes_it() {
    for tasks in [1, 2, 5] {
        let mut inlet = inlet(scripted((0..200).map(|_| Does::Records("p"))), tasks, Remembers::Nothing);
        let told = everything(&mut inlet).await;
        let offsets: Vec<&str> = told.iter().map(|told| told.split(' ').nth(1).expect("an offset")).collect();
        assert_eq!(offsets, (1..=200).map(|offset| offset.to_string()).collect::<Vec<_>>(), "{tasks} tasks");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decoder_that_remembers_sees_what_it_remembers_in_order() {
    let script = || scripted((0..60).map(|index| Does::Records(["a", "b", "c"][index * index % 3])));
    for remembers in [Remembers::Partition, Remembers::Everything] {
        let expected = everything(&mut inlet(script(), 1, remembers)).await;
        assert_eq!(expected.len(), 60);
        for tasks in [2, 4] {
            assert_eq!(
                everything(&mut inlet(script(), tasks, remembers)).await,
                expected,
                "{tasks} tasks, {remembers:?}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_read_ahead_than_there_are_places() {
    for tasks in [1, 3] {
        let source = scripted((0..100).map(|_| Does::Records("p")));
        let reads = Arc::clone(&source.reads);
        let mut inlet = inlet(source, tasks, Remembers::Nothing);
        for taken in 1..=100 {
            assert!(matches!(inlet.next().await, Some(Inflow::Records(..))));
            let ahead = reads.load(Ordering::SeqCst) - taken;
            assert!(ahead <= tasks + PLACES_TO_SPARE, "{ahead} batches were read ahead by {tasks} tasks");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_being_waited_for_hears_what_the_loop_says() {
    for tasks in [1, 3] {
        let mut inlet = inlet(scripted([Does::Records("p"), Does::Waits]), tasks, Remembers::Nothing);
        assert!(matches!(inlet.next().await, Some(Inflow::Records(..))));
        tokio::select! {
            biased;
            _ = inlet.next() => panic!("the source waits to be resumed"),
            () = tokio::task::yield_now() => {}
        }
        inlet.tell(0, Control::Resume(PartitionId::new("p")));
        assert!(matches!(inlet.next().await, Some(Inflow::Event(0, SourceEvent::CaughtUp(_)))));
        inlet.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_for_a_while_is_asked_again_and_one_that_is_gone_is_given_up() {
    let failures = (0..2).map(|_| Does::Fails(ErrorKind::Retry));
    let mut inlet = inlet(scripted(failures.chain([Does::Records("p")])), 1, Remembers::Nothing);
    assert_eq!(everything(&mut inlet).await, ["p 1 (p 1)"]);
    let mut inlet = self::inlet(scripted([Does::Fails(ErrorKind::Closed)]), 1, Remembers::Nothing);
    assert_eq!(everything(&mut inlet).await, ["failed: as the script says"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_silent_does_not_hold_up_another() {
    let (silent, busy) = (scripted([Does::Waits]), scripted((0..50).map(|_| Does::Records("p"))));
    let feeds = [silent, busy].map(|source| feed(source, 2, || Counting::boxed(Remembers::Nothing)));
    let mut inlet = Inlet::reading(feeds.into(), 2, &handle()).expect("threads");
    assert_eq!(everything(&mut inlet).await.len(), 50);
    inlet.stop().await;
}

/// Dies in a helper, and holds up the loop's thread until it has.
struct Fragile(Arc<AtomicBool>);

impl Decoder for Fragile {
    fn decode(&mut self, _: &Raw) -> Decoded {
        if std::thread::current().name() == Some("p-1") {
            self.0.store(true, Ordering::SeqCst);
            panic!("this decoder dies in a helper");
        }
        while !self.0.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        Decoded::default()
    }

    fn carry(&self, _: &PartitionId) -> Option<String> {
        Some(String::new())
    }

    fn remembers(&self) -> Remembers {
        Remembers::Nothing
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_dies_is_a_failure_and_not_an_endless_wait() {
    let dead = Arc::new(AtomicBool::new(false));
    let source = scripted((0..50).map(|_| Does::Records("p")));
    let feed = feed(source, 2, || Ok(Box::new(Fragile(Arc::clone(&dead)))));
    let mut inlet = Inlet::reading(vec![feed], 2, &handle()).expect("threads");
    let told = everything(&mut inlet).await;
    assert!(told.last().is_some_and(|last| last.starts_with("failed: a task of the pipeline has died")), "{told:?}");
    inlet.stop().await;
}

/// Wants a schema before it decodes anything.
struct Wanting(Option<String>);

impl Decoder for Wanting {
    fn decode(&mut self, raw: &Raw) -> Decoded {
        match self.0.take() {
            None => Decoded { wanted_schemas: vec![SchemaId(7)], ..Decoded::default() },
            Some(reason) => Decoded {
                rejected: raw.records.iter().map(|span| rejected(raw, span.offset, &reason)).collect(),
                ..Decoded::default()
            },
        }
    }

    fn remembers(&self) -> Remembers {
        Remembers::Nothing
    }

    fn learn(&mut self, _: SchemaId, schema: Result<&KnownSchema, &str>) {
        self.0 = schema.err().map(str::to_owned);
    }
}

fn rejected(raw: &Raw, offset: Offset, reason: &str) -> Rejected {
    Rejected {
        partition: raw.partition.clone(),
        origin: raw.origin.clone(),
        offset,
        reason: reason.to_owned(),
        payload: raw.bytes.clone(),
        original_bytes: raw.bytes.len() as u64,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_schema_cannot_be_had_is_rejected_with_the_reason_and_in_its_order() {
    for tasks in [1, 3] {
        let source = scripted((0..20).map(|_| Does::Records("p")));
        let feed = feed(source, tasks, || Ok(Box::new(Wanting(None))));
        let mut inlet = Inlet::reading(vec![feed], tasks, &handle()).expect("threads");
        let mut batches = 0;
        while let Some(inflow) = inlet.next().await {
            let arrival = match inflow {
                Inflow::Records(_, arrival) => arrival,
                Inflow::Event(_, SourceEvent::End) => break,
                Inflow::Event(..) | Inflow::Failed(..) => continue,
            };
            batches += 1;
            assert_eq!(arrival.decoded.rejected.len(), arrival.raw.records.len());
            assert!(arrival.decoded.rejected.iter().all(|rejected| rejected.reason == "the format has no registry"));
        }
        assert_eq!(batches, 20);
        inlet.stop().await;
    }
}
