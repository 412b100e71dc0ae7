//! What the stories of workers have in common: records of two kinds of pipelines, processes that share them, and what should
//! come of it. Tells no story itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;
use weir_kafka_broker::{Cluster, Isolation, Record};

use crate::harness::{PATIENCE, Place, Running, awaited};

pub(crate) const PARTITIONS: i32 = 4;
pub(crate) const KEYS: i64 = 40;
/// A single broker that comes up may forget to end a transaction whose time runs out in that very moment (ADR 0018): where
/// brokers die, transactions have more time than they take to come back, and time is looked at as seldom as in production.
pub(crate) const PATIENT: &str = "30s";
pub(crate) const LOOKS_SELDOM: (&str, &str) = ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "10000");

pub(crate) const THROUGH: &str = r#"
name: through
sources:
  in:
    kafka: { brokers: ["localhost:9092"], topics: [in], client: { fetch.min.bytes: "1" } }
    format: json
steps:
  - where: id >= 0
outputs:
  - kafka: { brokers: ["localhost:9092"], topic: out, key: key }
dead_letters: { kafka: { brokers: ["localhost:9092"], topic: letters } }
workers: { session: 3s, transaction: 5s }
epoch: 200ms
"#;

pub(crate) const COUNTS: &str = r#"
name: counts
sources:
  in:
    kafka: { brokers: ["localhost:9092"], topics: [in] }
    format: json
time: { field: ts, watermark: { bounded: { delay: 0s } }, idle_after: 600s }
steps:
  - window: { tumbling: 10s, by: [key], compute: { n: count(*), total: sum(id) } }
outputs:
  - kafka: { brokers: ["localhost:9092"], topic: out, key: key }
late: { kafka: { brokers: ["localhost:9092"], topic: late } }
dead_letters: { kafka: { brokers: ["localhost:9092"], topic: letters } }
workers: { session: 3s, transaction: 5s, key_groups: 8 }
state: { snapshots: { url: "file:///nowhere" } }
epoch: 200ms
"#;

/// How many records a second of event time has.
pub(crate) const PER_SECOND: i64 = 50;

pub(crate) fn second_of(id: i64) -> i64 {
    id / PER_SECOND
}

pub(crate) fn time(second: i64) -> String {
    format!("2026-11-20T{:02}:{:02}:{:02}", 8 + second / 3600, second / 60 % 60, second % 60)
}

/// Record `id`: its key, and with that its partition; and its time, which in one partition never goes back.
pub(crate) fn record(id: i64) -> Record {
    let value = format!(r#"{{"id":{id},"key":"k{}","ts":"{}Z"}}"#, id % KEYS, time(second_of(id)));
    Record::new(i32::try_from(id % KEYS).unwrap() % PARTITIONS, value)
}

/// A record per partition that is so much later that every window of the others is over.
pub(crate) fn last_words() -> Vec<Record> {
    let value = |partition| format!(r#"{{"id":0,"key":"end-{partition}","ts":"2026-11-20T23:00:00Z"}}"#);
    (0..PARTITIONS).map(|partition| Record::new(partition, value(partition))).collect()
}

/// What a worker says when it has partitions, and goes on with them.
pub(crate) const GIVEN: &str = "the group has given partitions";
const TAKEN_BACK: &str = "the group takes its partitions back";

/// What all workers of a test have in common.
pub(crate) struct Team<'a> {
    pub(crate) kafka: &'a Cluster,
    /// Where the state of all lies.
    pub(crate) common: Place,
    pipeline: &'static str,
    pub(crate) group: String,
    pub(crate) out: String,
    /// How long the brokers let a transaction be open; nothing: as the pipeline says.
    transaction: Option<&'static str>,
}

/// A worker: a data folder of its own, and the process that has it.
pub(crate) struct Worker {
    place: Place,
    pub(crate) process: Option<Running>,
    /// By which way it reaches the brokers, and what is set beside what its team says.
    brokers: String,
    more: Vec<String>,
}

impl<'a> Team<'a> {
    pub(crate) async fn new(kafka: &'a Cluster, pipeline: &'static str, group: &str) -> Team<'a> {
        let out = format!("out-{group}");
        kafka.topic(&out, 3).await.expect("a topic");
        Self { kafka, common: Place::new(), pipeline, group: group.to_owned(), out, transaction: None }
    }

    pub(crate) fn with_transactions_of(self, transaction: &'static str) -> Team<'a> {
        Self { transaction: Some(transaction), ..self }
    }

    /// A new worker, which begins at once.
    pub(crate) fn worker(&self) -> Worker {
        self.worker_with(&[])
    }

    /// A new worker with further settings.
    pub(crate) fn worker_with(&self, more: &[&str]) -> Worker {
        self.worker_by(self.kafka.bootstrap(), more)
    }

    /// A new worker that finds the brokers there.
    pub(crate) fn worker_by(&self, brokers: &str, more: &[&str]) -> Worker {
        let more = more.iter().map(|setting| (*setting).to_owned()).collect();
        let mut worker = Worker { place: Place::new(), process: None, brokers: brokers.to_owned(), more };
        self.start(&mut worker);
        worker
    }

    pub(crate) fn start(&self, worker: &mut Worker) {
        let pipeline = worker.place.write("pipeline.yaml", self.pipeline);
        let brokers = format!("[{:?}]", worker.brokers);
        let mut settings = vec![
            format!("sources.in.kafka.brokers={brokers}"),
            format!("outputs.0.kafka.brokers={brokers}"),
            format!("outputs.0.kafka.topic={}", self.out),
            format!("dead_letters.kafka.brokers={brokers}"),
            format!("workers.group={}", self.group),
        ];
        settings.extend(self.transaction.map(|transaction| format!("workers.transaction={transaction}")));
        if self.pipeline == COUNTS {
            settings.push(format!("late.kafka.brokers={brokers}"));
            settings.push(format!("state.snapshots.url=file://{}", self.common.path("state").display()));
        }
        settings.extend(worker.more.iter().cloned());
        let said = File::options().create(true).append(true).open(worker.place.path("said")).unwrap();
        let mut command = worker.place.run_command(&pipeline, &settings);
        worker.process = Some(Running(command.env("WEIR_LOG", "info").stderr(said).spawn().unwrap()));
    }

    /// What a reader of committed records sees now.
    pub(crate) fn rows(&self) -> Vec<(Record, Value)> {
        rows_in(self.kafka, &self.out)
    }

    /// The topic between the workers, if they have said its name.
    fn partials(&self, workers: &[&mut Worker]) -> Option<String> {
        let said: String = workers.iter().map(|worker| worker.said()).collect();
        let from = said.find(&format!("weir-{}-", self.pipeline.lines().nth(1)?.strip_prefix("name: ")?))?;
        Some(said[from..].split('/').next()?.to_owned())
    }

    /// Waits until so many rows are there.
    pub(crate) fn until(&self, rows: usize, workers: &mut [&mut Worker]) {
        const LOOK_EVERY: Duration = Duration::from_millis(100);
        let started = Instant::now();
        let tail = self.kafka.tail(&self.out, Isolation::Committed).expect("the brokers know the topic");
        // Where each partition goes on: a client that has lost a broker may yield some records once more.
        let (mut there, mut next) = (0, BTreeMap::new());
        loop {
            while there < rows
                && let Some(record) = tail.next(LOOK_EVERY)
            {
                let next = next.entry(record.partition).or_insert(0);
                if record.offset >= *next {
                    (there, *next) = (there + usize::from(record.value.is_some()), record.offset + 1);
                }
            }
            if there >= rows {
                return;
            }
            for worker in &mut *workers {
                let ended = worker.ended();
                assert!(ended.is_none(), "a worker has ended by itself: {}\n{}", worker.last_word(), worker.said());
            }
            if started.elapsed() > PATIENCE {
                let said: Vec<String> = workers.iter().map(|worker| worker.said()).collect();
                let partials = self.partials(workers);
                let topics: Vec<&str> = ["in", &self.out].into_iter().chain(partials.as_deref()).collect();
                let standing = self.kafka.standing(&topics, &self.group).unwrap_or_else(|error| error.to_string());
                let late = self.kafka.read("late", Isolation::Committed).map_or(0, |late| late.len());
                let letters = self.kafka.read("letters", Isolation::Committed).unwrap_or_default();
                let mut starts = BTreeMap::<String, usize>::new();
                for (_, row) in self.rows() {
                    *starts.entry(row["window_start"].to_string()).or_default() += 1;
                }
                panic!(
                    "{there} rows of {rows} are there; {late} are late, {} dead: {:?}; {starts:?}\n{standing}\n{}",
                    letters.len(),
                    letters.first(),
                    said.join("\n--\n")
                );
            }
        }
    }
}

/// Shows what workers have said, should the test fail.
pub(crate) struct Telling<'a>(pub(crate) &'a [Worker]);

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.iter().for_each(|worker| eprintln!("--\n{}", worker.said()));
        }
    }
}

impl Worker {
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("it works");
        process.0.kill().unwrap();
        process.0.wait().unwrap();
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(&mut self) {
        self.signal("-TERM");
        let mut process = self.process.take().expect("it works");
        let _ = process.0.wait().unwrap();
    }

    /// How it has ended, if it has by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut()?.0.try_wait().unwrap()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let process = self.process.as_ref().expect("it works").0.id().to_string();
        assert!(Command::new("kill").args([signal, &process]).status().unwrap().success());
    }

    /// Everything that it has said in all of its lives.
    pub(crate) fn all_said(&self) -> String {
        std::fs::read_to_string(self.place.path("said")).unwrap_or_default()
    }

    /// Waits until it has said that so often.
    pub(crate) fn says(&self, words: &str, times: usize) {
        awaited(&format!("it has said `{words}` {times} times"), || {
            if self.times(words) >= times { Ok(()) } else { Err(self.said()) }
        });
    }

    /// How often it has said that.
    pub(crate) fn times(&self, words: &str) -> usize {
        self.all_said().matches(words).count()
    }

    /// Whether it reads all partitions, by what it has said last.
    pub(crate) fn has_all(&self) -> bool {
        let said = self.all_said();
        let last = said.lines().rfind(|line| line.contains(GIVEN) || line.contains(TAKEN_BACK));
        let reads = |line: &str, place: String| line.split([' ', '"']).any(|word| word == place);
        last.is_some_and(|line| (0..PARTITIONS).all(|partition| reads(line, format!("in/{partition}"))))
    }

    /// The last that it has said: why it has ended, if it has.
    fn last_word(&self) -> String {
        self.all_said().lines().last().unwrap_or_default().to_owned()
    }

    /// The end of what it has said.
    pub(crate) fn said(&self) -> String {
        self.all_said().lines().rev().take(1500).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

pub(crate) async fn kafka() -> Cluster {
    kafka_with(&[]).await
}

/// The same with further settings of the broker.
pub(crate) async fn kafka_with(settings: &[(&str, &str)]) -> Cluster {
    kafka_of(Cluster::start_with(1, settings).expect("a broker")).await
}

/// The same with the topics of every story.
pub(crate) async fn kafka_of(kafka: Cluster) -> Cluster {
    kafka.topic("in", PARTITIONS).await.expect("a topic");
    kafka.topic("letters", 1).await.expect("a topic");
    kafka.topic("late", 1).await.expect("a topic");
    kafka
}

pub(crate) fn fill(kafka: &Cluster, ids: std::ops::Range<i64>) {
    const CHUNK: usize = 500;
    let records: Vec<Record> = ids.map(record).collect();
    for chunk in records.chunks(CHUNK) {
        kafka.put("in", chunk).expect("stored, if need be after the broker came back");
    }
}

/// What a reader of committed records sees of a topic now.
pub(crate) fn rows_in(kafka: &Cluster, topic: &str) -> Vec<(Record, Value)> {
    let records = kafka.read(topic, Isolation::Committed).expect("the broker yields them");
    // One without a value only ends a transaction (ADR 0018).
    let row = |record: Record| {
        let row = serde_json::from_str(record.value.as_deref()?).unwrap();
        Some((record, row))
    };
    records.into_iter().filter_map(row).collect()
}

/// Goes on putting records into `in` until `story` is over, which is told how many there are; how many there are at the end.
pub(crate) fn while_fed(kafka: &Cluster, story: impl FnOnce(&AtomicI64)) -> i64 {
    const CHUNK: i64 = 100;
    const EVERY: Duration = Duration::from_millis(100);
    let fed = AtomicI64::new(0);
    std::thread::scope(|scope| {
        // Dropped also when the story fails.
        let (_over, is_over) = mpsc::channel::<()>();
        let fed = &fed;
        scope.spawn(move || {
            while is_over.recv_timeout(EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                let next = fed.load(Ordering::Relaxed);
                fill(kafka, next..next + CHUNK);
                fed.store(next + CHUNK, Ordering::Relaxed);
            }
        });
        story(fed);
    });
    fed.into_inner()
}

/// Every id once, and of each key in the order in which they were written.
pub(crate) fn every_id_once(rows: &[(Record, Value)], ids: i64) {
    let mut places = BTreeMap::<i64, Vec<(i32, i64)>>::new();
    for (record, row) in rows {
        places.entry(row["id"].as_i64().unwrap()).or_default().push((record.partition, record.offset));
    }
    let twice: Vec<_> = places.iter().filter(|(_, at)| at.len() > 1).collect();
    assert!(twice.is_empty(), "{} ids are there more than once: {:?}", twice.len(), &twice[..twice.len().min(20)]);
    assert!(places.keys().copied().eq(0..ids), "{} ids of {ids} are there", places.len());
    let mut last = BTreeMap::<&str, i64>::new();
    for (record, row) in rows {
        let (id, key) = (row["id"].as_i64().unwrap(), record.key.as_deref().unwrap());
        let before = last.insert(key, id);
        assert!(before.is_none_or(|before| before < id), "of {key} {id} comes after {before:?}");
    }
}

/// What the windows should say of the first so many records: start and key, count and sum.
pub(crate) fn expected(ids: i64) -> BTreeMap<(String, String), (i64, i64)> {
    let mut windows = BTreeMap::new();
    for id in 0..ids {
        let start = time(second_of(id) / 10 * 10);
        let sums = windows.entry((start, format!("k{}", id % KEYS))).or_insert((0, 0));
        *sums = (sums.0 + 1, sums.1 + id);
    }
    windows
}

/// What the windows say, each once.
pub(crate) fn windows(rows: &[(Record, Value)]) -> BTreeMap<(String, String), (i64, i64)> {
    let mut windows = BTreeMap::new();
    for (_, row) in rows {
        let text = |name: &str| row[name].as_str().unwrap_or_else(|| panic!("{name} in {row}")).to_owned();
        let start = text("window_start").replace(' ', "T");
        let place = (start.trim_end_matches('Z').chars().take(19).collect(), text("key"));
        let sums = (row["n"].as_i64().unwrap(), row["total"].as_f64().unwrap() as i64);
        assert_eq!(windows.insert(place.clone(), sums), None, "{place:?} is there twice");
    }
    windows
}
