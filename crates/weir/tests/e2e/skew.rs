//! Old data in twelve partitions of very unequal size, of which some also tell of later hours than others: not one row that is
//! in time for its partition is late, however it is read, and every late one is told.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::Value;
use weir_kafka_broker::{Cluster, Record};

use crate::harness::{Place, Running, awaited};
use crate::team::{GIVEN, Team, Telling, kafka_of, rows_in, time, windows};

const PARTITIONS: i32 = 12;
/// The first partition has so many rows, every further one twice as many as the one before.
const ROWS_OF_FIRST: i64 = 16;
/// What each partition tells of, in milliseconds of event time; and by how much some begin later than others.
const SPAN_MS: i64 = 2 * 3_600_000;
const LATER_MS: i64 = 40 * 60_000;
/// Rows may come out of order by less than this.
const DELAY_MS: i64 = 2_000;
const KEYS: i64 = 7;
/// Every so many rows of the last partition one follows that is an hour too late.
const LATE_EVERY: i64 = 1_000;
const HOUR_MS: i64 = 3_600_000;

/// Small fetches, so that partitions come in turns; who is silent for a moment at its end does not hold time back.
const SKEWED: &str = r#"
name: skewed
sources:
  in:
    kafka: { brokers: ["localhost:9092"], topics: [skewed], client: { fetch.message.max.bytes: "16384" } }
    format: json
time: { field: ts, watermark: { bounded: { delay: 2s } }, idle_after: 100ms }
steps:
  - window: { tumbling: 1m, by: [key], compute: { n: count(*), total: sum(id) } }
outputs:
  - kafka: { brokers: ["localhost:9092"], topic: out, key: key }
late: { kafka: { brokers: ["localhost:9092"], topic: late } }
dead_letters: { kafka: { brokers: ["localhost:9092"], topic: letters } }
epoch: 200ms
"#;

const SHARED: &str = r#"
workers: { session: 3s, transaction: 5s, key_groups: 8 }
state: { snapshots: { url: "file:///nowhere" } }
"#;

/// A row of some partition: when it happened, in milliseconds since eight o'clock.
struct Row {
    partition: i32,
    offset: i64,
    id: i64,
    at_ms: i64,
    is_late: bool,
}

impl Row {
    fn record(&self) -> Record {
        let (seconds, millis) = (self.at_ms.div_euclid(1000), self.at_ms.rem_euclid(1000));
        let value =
            format!(r#"{{"id":{},"key":"k{}","ts":"{}.{millis:03}Z"}}"#, self.id, self.id % KEYS, time(seconds));
        Record::new(self.partition, value)
    }
}

/// All rows, those of a partition in their order.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for partition in 0..PARTITIONS {
        let count = ROWS_OF_FIRST << partition;
        let begin_ms = i64::from(partition % 3) * LATER_MS;
        let first = rows.len() as i64;
        for at in 0..count {
            let disorder_ms = if at % 2 == 1 { at * 7_919 % DELAY_MS } else { 0 };
            let at_ms = (begin_ms + at * SPAN_MS / count - disorder_ms).max(begin_ms);
            let id = rows.len() as i64;
            rows.push(Row { partition, offset: id - first, id, at_ms, is_late: false });
            if partition == PARTITIONS - 1 && at % LATE_EVERY == LATE_EVERY - 1 && at_ms > begin_ms + HOUR_MS + DELAY_MS
            {
                rows.push(Row { partition, offset: id + 1 - first, id: id + 1, at_ms: at_ms - HOUR_MS, is_late: true });
            }
        }
    }
    rows
}

/// Counts and sums by window and key of everything that is not late.
fn expected(rows: &[Row]) -> BTreeMap<(String, String), (i64, i64)> {
    let mut windows = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.is_late) {
        let window = (time(row.at_ms / 60_000 * 60), format!("k{}", row.id % KEYS));
        let sums = windows.entry(window).or_insert((0, 0));
        *sums = (sums.0 + 1, sums.1 + row.id);
    }
    windows
}

/// The topic with all rows, and at the end of each partition one that is so much later that all windows are over.
async fn filled() -> (Cluster, Vec<Row>) {
    let kafka = kafka_of(Cluster::start(1).expect("a broker")).await;
    kafka.topic("skewed", PARTITIONS).await.expect("a topic");
    let rows = rows();
    let records: Vec<Record> = rows.iter().map(Row::record).collect();
    kafka.put("skewed", &records).expect("stored");
    let last = |partition| {
        let value = format!(r#"{{"id":0,"key":"end-{partition}","ts":"2026-11-20T23:00:00Z"}}"#);
        Record::new(partition, value)
    };
    kafka.put("skewed", &(0..PARTITIONS).map(last).collect::<Vec<_>>()).expect("stored");
    (kafka, rows)
}

/// What came of it is what a count by hand gives, and late is exactly what is late.
fn check(kafka: &Cluster, rows: &[Row], (out, late): (&str, &str)) {
    kafka.settled(out).expect("every transaction is decided");
    kafka.settled(late).expect("every transaction is decided");
    let place = |row: &Value| (row["source_file"].to_string(), row["source_offset"].as_i64().unwrap());
    let mut told: Vec<_> = rows_in(kafka, late).iter().map(|(_, row)| place(row)).collect();
    told.sort_unstable();
    let truly = rows.iter().filter(|row| row.is_late);
    let truly: Vec<_> = truly.map(|row| (format!("\"skewed/{}\"", row.partition), row.offset)).collect();
    assert!(truly.len() > 5, "some rows are late");
    assert!(told == truly, "{} rows were called late, {} are: {:?}", told.len(), truly.len(), told.first());
    assert!(rows_in(kafka, "letters").is_empty());
    let (windows, expected) = (windows(&rows_in(kafka, out)), expected(rows));
    assert!(windows == expected, "{} windows instead of {}", windows.len(), expected.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_that_catches_up_over_twelve_skewed_partitions_loses_no_row_that_is_in_time() {
    let (kafka, rows) = filled().await;
    let wanted = expected(&rows).len();
    for (run, more) in [&["tasks=1"][..], &["tasks=4"], &["tasks=4", "time.max_drift=10m"]].into_iter().enumerate() {
        let (out, late) = (format!("out-{run}"), format!("late-{run}"));
        kafka.topic(&out, 2).await.expect("a topic");
        kafka.topic(&late, 1).await.expect("a topic");
        let place = Place::new();
        let pipeline = place.write("skewed.yaml", SKEWED.replace("localhost:9092", kafka.bootstrap()));
        let topics = [format!("outputs.0.kafka.topic={out}"), format!("late.kafka.topic={late}")];
        let settings: Vec<String> = topics.into_iter().chain(more.iter().map(|more| (*more).to_owned())).collect();
        let running = place.run_command(&pipeline, &settings).stderr(Stdio::null()).spawn().unwrap();
        let mut running = Running(running);
        awaited("all windows are there", || {
            assert!(running.0.try_wait().unwrap().is_none(), "it ended by itself");
            let there = rows_in(&kafka, &out).len();
            if there >= wanted { Ok(()) } else { Err(format!("{there} windows of {wanted}")) }
        });
        let pid = running.0.id().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let _ = running.0.wait().unwrap();
        check(&kafka, &rows, (&out, &late));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_that_catch_up_over_twelve_skewed_partitions_lose_no_row_that_is_in_time() {
    let (kafka, rows) = filled().await;
    let shared: &'static str = Box::leak(format!("{SKEWED}{SHARED}").into_boxed_str());
    let team = Team::new(&kafka, shared, "skewed").await;
    let settings = [
        format!("late.kafka.brokers=[{:?}]", kafka.bootstrap()),
        format!("state.snapshots.url=file://{}", team.common.path("state").display()),
    ];
    let settings = settings.each_ref().map(String::as_str);
    let mut workers = [team.worker_with(&settings), team.worker_with(&settings)];
    team.until(expected(&rows).len(), &mut workers.iter_mut().collect::<Vec<_>>());
    // One that is slow to start finds everything done, and gets its part all the same.
    workers.iter().for_each(|worker| worker.says(GIVEN, 1));
    workers.iter_mut().for_each(|worker| worker.stop());
    let _said = Telling(&workers);
    check(&kafka, &rows, (&team.out, "late"));
}
