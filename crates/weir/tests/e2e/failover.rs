//! Brokers die under those who read and write, one after the other and in the middle of commits: every id arrives once, and
//! output goes on.

use std::fs::File;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use weir_kafka_broker::{Cluster, Isolation, Tail};

use crate::harness::{PATIENCE, Place, Running, awaited};
use crate::team::{COUNTS, LOOKS_SELDOM, PATIENT, THROUGH, Team, Telling, every_id_once, expected, kafka_of};
use crate::team::{kafka_with, last_words, rows_in, while_fed, windows};

/// How many records per chunk of the feed a story waits for between two blows.
const BETWEEN: i64 = 500;

/// As the guide tells those whose output has to go on within 5 s.
const GIVEN_UP_SOON: [(&str, &str); 5] = [
    ("broker.session.timeout.ms", "2000"),
    ("broker.heartbeat.interval.ms", "500"),
    ("controller.quorum.fetch.timeout.ms", "1000"),
    ("controller.quorum.election.timeout.ms", "500"),
    ("controller.quorum.election.backoff.max.ms", "250"),
];

/// For a machine that does other things beside, on which nobody may be given up for being slow.
const GIVEN_UP_LATE: [(&str, &str); 2] =
    [("broker.session.timeout.ms", "6000"), ("broker.heartbeat.interval.ms", "1000")];

/// The same in one process, which keeps its positions itself.
const ALONE: &str = r#"
name: alone
sources:
  in:
    kafka: { brokers: ["localhost:9092"], topics: [in] }
    format: json
steps:
  - where: key NOT LIKE 'end-%'
outputs:
  - kafka: { brokers: ["localhost:9092"], topic: alone, key: key }
epoch: 200ms
"#;

/// One process that passes everything from `in` to `alone`.
struct Alone {
    place: Place,
    _process: Running,
}

impl Alone {
    fn start(kafka: &Cluster, more: &[&str]) -> Self {
        let place = Place::new();
        let pipeline = place.write("alone.yaml", ALONE);
        let brokers = format!("[{:?}]", kafka.bootstrap());
        let mut settings =
            vec![format!("sources.in.kafka.brokers={brokers}"), format!("outputs.0.kafka.brokers={brokers}")];
        settings.extend(more.iter().map(|setting| (*setting).to_owned()));
        let said = File::create(place.path("said")).unwrap();
        let mut command = place.run_command(&pipeline, &settings);
        let process = Running(command.env("WEIR_LOG", "info").stderr(said).spawn().unwrap());
        Self { place, _process: process }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(self.place.path("said")).unwrap_or_default()
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("-- the one process\n{}", self.said());
        }
    }
}

/// A topic that is watched.
struct Watched {
    name: &'static str,
    tail: Tail,
    came: i64,
    last: Instant,
}

impl Watched {
    fn new(name: &'static str, kafka: &Cluster, topic: &str) -> Self {
        let tail = kafka.tail(topic, Isolation::Committed).expect("it is there");
        Self { name, tail, came: 0, last: Instant::now() }
    }
}

/// Watches until so many records have come into each topic; the longest time in which nothing came into each, from now on.
fn silences(watched: &mut [Watched], until: i64, feed: &AtomicI64) -> Vec<Duration> {
    let started = Instant::now();
    let mut longest = vec![Duration::ZERO; watched.len()];
    watched.iter_mut().for_each(|topic| topic.last = started);
    while watched.iter().any(|topic| topic.came < until) {
        for (topic, longest) in watched.iter_mut().zip(&mut longest) {
            while topic.tail.next(Duration::from_millis(5)).is_some() {
                let now = Instant::now();
                *longest = (*longest).max(now - topic.last);
                (topic.came, topic.last) = (topic.came + 1, now);
            }
            let (name, came) = (topic.name, topic.came);
            let fed = fed(feed);
            assert!(
                topic.last.elapsed() < PATIENCE,
                "{name}: nothing comes after {came} of {until} records, {fed} are fed"
            );
        }
    }
    longest
}

fn fed(feed: &AtomicI64) -> i64 {
    feed.load(Ordering::Relaxed)
}

/// Which of three brokers die.
enum Die {
    /// The one that answers for the group of the workers.
    Coordinator,
    /// All, one after the other is back.
    Each,
}

/// For how long nothing came when a broker died is printed, and no condition: on a machine that does other things it says more
/// of those.
async fn brokers_die(die: Die) {
    // The members' session is longer than brokers need to find out who is left, so that nobody loses its place in the group for it.
    let (soon_or_late, session) = match die {
        Die::Coordinator => (&GIVEN_UP_LATE[..], ["workers.session=30s"]),
        Die::Each => (&GIVEN_UP_SOON[..], ["workers.session=10s"]),
    };
    let settings = [soon_or_late, &[LOOKS_SELDOM]].concat();
    let kafka = kafka_of(Cluster::start_with(3, &settings).expect("three brokers")).await;
    kafka.topic("alone", 3).await.expect("a topic");
    let team = Team::new(&kafka, THROUGH, "failover").await.with_transactions_of(PATIENT);
    let mut workers = [team.worker_with(&session), team.worker_with(&session)];
    let alone = Alone::start(&kafka, &[]);
    let telling = Telling(&workers);
    let ids = while_fed(&kafka, |feed| {
        let mut watched = [
            Watched::new("workers", &kafka, &team.out),
            Watched::new("one process", &kafka, "alone"),
            Watched::new("what is fed", &kafka, "in"),
        ];
        silences(&mut watched, fed(feed) + BETWEEN, feed);
        let nodes = match die {
            Die::Coordinator => vec![kafka.coordinator(&team.group).expect("the group has committed")],
            Die::Each => vec![1, 2, 3],
        };
        for node in nodes {
            silences(&mut watched, fed(feed) + BETWEEN, feed);
            kafka.node(node).kill();
            let (silent, given_up) = std::thread::scope(|scope| {
                let given_up = scope.spawn(|| kafka.given_up(node));
                (silences(&mut watched, fed(feed) + 4 * BETWEEN, feed), given_up.join().expect("it does not fail"))
            });
            let [workers, alone, input] = silent[..] else { unreachable!("three topics are watched") };
            println!(
                "broker {node} of 3 killed: workers silent for {workers:?}, one process for {alone:?}; of that the brokers took \
                 {:?} to give it up, and nothing was fed for {input:?}",
                given_up.expect("the others live")
            );
            kafka.node(node).start().expect("it starts again");
            kafka.in_sync().expect("it takes part again");
        }
        silences(&mut watched, fed(feed) + BETWEEN, feed);
    });
    drop(telling);
    team.until(usize::try_from(ids).unwrap(), &mut workers.iter_mut().collect::<Vec<_>>());
    kafka.settled(&team.out).expect("every transaction is decided");
    every_id_once(&team.rows(), ids);
    alone_has(&kafka, ids, &alone);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_three_brokers_dies_and_every_id_arrives_once_with_and_without_workers() {
    brokers_die(Die::Coordinator).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "three brokers want a machine to themselves: cargo xtask nightly kafka"]
async fn each_of_three_brokers_dies_and_every_id_arrives_once_with_and_without_workers() {
    brokers_die(Die::Each).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a lone broker of Kafka 4.3.1 can forget what it has granted (ADR 0018): cargo xtask nightly kafka"]
async fn the_broker_dies_again_and_again_in_the_middle_of_commits_and_every_id_counts_once() {
    const BLOWS: usize = 6;
    let kafka = kafka_with(&[LOOKS_SELDOM]).await;
    kafka.topic("alone", 3).await.expect("a topic");
    let team = Team::new(&kafka, COUNTS, "commits").await.with_transactions_of(PATIENT);
    // As short as may be, so that a commit is under way half of the time.
    let mut workers = [team.worker_with(&["epoch=100ms"]), team.worker_with(&["epoch=100ms"])];
    let alone = Alone::start(&kafka, &["epoch=100ms"]);
    let telling = Telling(&workers);
    let ids = while_fed(&kafka, |feed| {
        let mut watched = [Watched::new("one process", &kafka, "alone")];
        for _ in 0..BLOWS {
            silences(&mut watched, fed(feed) + BETWEEN, feed);
            kafka.node(1).kill();
            kafka.node(1).start().expect("it starts again");
        }
    });
    drop(telling);
    kafka.put("in", &last_words()).expect("stored");
    let expected = expected(ids);
    team.until(expected.len(), &mut workers.iter_mut().collect::<Vec<_>>());
    kafka.settled(&team.out).expect("every transaction is decided");
    assert!(windows(&team.rows()) == expected, "{} windows of {}", team.rows().len(), expected.len());
    alone_has(&kafka, ids, &alone);
}

/// The one process has passed every id on, once.
fn alone_has(kafka: &Cluster, ids: i64, alone: &Alone) {
    awaited(&format!("all of {ids} ids have come"), || {
        let came = rows_in(kafka, "alone").len();
        if came >= usize::try_from(ids).unwrap() { Ok(()) } else { Err(format!("{came} have:\n{}", alone.said())) }
    });
    kafka.settled("alone").expect("every transaction is decided");
    every_id_once(&rows_in(kafka, "alone"), ids);
}
