//! From a real Kafka into tables: whoever is killed, every record is there once.

use std::process::Stdio;

use weir_kafka_broker::{Cluster, Isolation, Record};

use crate::harness::{Place, Running, repository, said, until, well};
use crate::team::LOOKS_SELDOM;

const PARTITIONS: i32 = 4;
const CHUNKS: i64 = 120;
const CHUNK_RECORDS: i64 = 100;
const RECORDS: i64 = CHUNKS * CHUNK_RECORDS;
/// How often Weir is killed, and after which of these the broker is.
const KILLS: u32 = 8;
const BROKER_KILLS: [u32; 2] = [3, 6];

/// Order `id`; the time of orders in one partition never goes back, so that none is late.
fn order(id: i64) -> Record {
    let seconds = id / 50;
    let (minute, second) = (seconds / 60, seconds % 60);
    let status = ["new", "paid", "sent"][usize::try_from(id % 3).unwrap()];
    let value = format!(
        r#"{{"id":{id},"ts":"2026-11-21T08:{minute:02}:{second:02}Z","status":"{status}","amount":{}}}"#,
        id % 7
    );
    Record::new(i32::try_from(id).unwrap() % PARTITIONS, value)
}

fn run(place: &Place, kafka: &Cluster, follow: bool) -> std::process::Command {
    let settings = [
        format!("sources.orders.kafka.brokers=[{:?}]", kafka.bootstrap()),
        format!("sources.orders.kafka.follow={follow}"),
        "epoch=100ms".to_owned(),
    ];
    place.run_command(&repository().join("examples/kafka-to-table.yaml"), &settings)
}

/// How many orders are in the table; nothing while there is no table.
fn stored(place: &Place) -> i64 {
    let mut query = place.weir(&["query", "--format", "csv", "--data"]);
    let output = query.arg(place.data()).arg("SELECT count(*) FROM orders").output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn weir_and_the_broker_are_killed_and_every_record_is_in_the_table_once() {
    let kafka = Cluster::start(1).expect("a broker");
    kafka.topic("orders", PARTITIONS).await.expect("a topic");
    let place = Place::new();
    std::thread::scope(|scope| {
        let filling = scope.spawn(|| {
            for chunk in 0..CHUNKS {
                let orders: Vec<Record> = (chunk * CHUNK_RECORDS..(chunk + 1) * CHUNK_RECORDS).map(order).collect();
                kafka.put("orders", &orders).expect("stored, if need be after the broker came back");
            }
        });
        let mut before = 0;
        for kill in 1..=KILLS {
            let mut running = Running(run(&place, &kafka, true).stderr(Stdio::null()).spawn().unwrap());
            // It dies at some moment after it has committed something; or, at the end, when there is nothing more.
            until(&format!("more is stored than the {before} records of before"), || {
                before >= RECORDS || stored(&place) != before
            });
            if BROKER_KILLS.contains(&kill) {
                kafka.node(1).kill();
                kafka.node(1).start().expect("it starts again");
            }
            running.0.kill().unwrap();
            running.0.wait().unwrap();
            before = stored(&place);
        }
        filling.join().expect("every order is stored in the topic");
    });
    let last = run(&place, &kafka, false).output().unwrap();
    well(&last);
    let all = "SELECT count(*) AS n, count(DISTINCT id) AS d, min(id) AS a, max(id) AS z FROM orders";
    let rows = place.query(all);
    let expected = serde_json::json!({ "n": RECORDS, "d": RECORDS, "a": 0, "z": RECORDS - 1 });
    assert_eq!(rows[0], expected, "{}", said(&last));
    let windows = "SELECT window_start, status, orders, amount FROM orders_per_minute ORDER BY window_start, status";
    let recomputed = "SELECT date_trunc('minute', ts) AS window_start, status, count(*) AS orders, sum(amount) AS amount \
                      FROM orders GROUP BY 1, 2 ORDER BY 1, 2";
    assert_eq!(place.query(windows), place.query(recomputed), "windows count every record once too");
    assert_eq!(place.number("SELECT count(*) FROM orders WHERE ts IS NULL"), 0);
}

const THROUGH: &str = r#"
name: through
sources:
  orders:
    kafka: { brokers: ["localhost:9092"], topics: [orders] }
    format: json
steps:
  - where: status <> 'sent'
outputs:
  - kafka: { brokers: ["localhost:9092"], topic: unsent, key: status, delivery: exactly_once }
epoch: 100ms
"#;

/// The ids that a reader of committed records sees now, in order. A transaction that a killed process left behind hides what
/// follows it until the next one has decided it.
fn ids(kafka: &Cluster) -> Vec<i64> {
    let records = kafka.read("unsent", Isolation::Committed).expect("the broker yields them");
    let id = |record: &Record| {
        let row: serde_json::Value = serde_json::from_str(record.value.as_deref().unwrap()).unwrap();
        assert_eq!(record.key.as_deref(), row["status"].as_str());
        row["id"].as_i64().unwrap()
    };
    let mut ids: Vec<i64> = records.iter().map(id).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn from_topic_to_topic_every_record_arrives_once_although_weir_and_the_broker_are_killed() {
    let kafka = Cluster::start_with(1, &[LOOKS_SELDOM]).expect("a broker");
    kafka.topic("orders", PARTITIONS).await.expect("a topic");
    kafka.topic("unsent", 3).await.expect("a topic");
    let place = Place::new();
    let pipeline = place.write("through.yaml", THROUGH);
    let run = |follow: bool| {
        let brokers = format!("[{:?}]", kafka.bootstrap());
        let settings = [
            format!("sources.orders.kafka.brokers={brokers}"),
            format!("outputs.0.kafka.brokers={brokers}"),
            format!("sources.orders.kafka.follow={follow}"),
        ];
        place.run_command(&pipeline, &settings)
    };
    std::thread::scope(|scope| {
        let filling = scope.spawn(|| {
            for chunk in 0..CHUNKS {
                let orders: Vec<Record> = (chunk * CHUNK_RECORDS..(chunk + 1) * CHUNK_RECORDS).map(order).collect();
                kafka.put("orders", &orders).expect("stored, if need be after the broker came back");
            }
        });
        let (mut before, unsent) = (0, usize::try_from(RECORDS / 3 * 2).unwrap());
        for kill in 1..=KILLS {
            let mut running = Running(run(true).stderr(Stdio::null()).spawn().unwrap());
            until(&format!("more is sent than the {before} records of before"), || {
                before >= unsent || ids(&kafka).len() > before
            });
            if BROKER_KILLS.contains(&kill) {
                kafka.node(1).kill();
                kafka.node(1).start().expect("it starts again");
            }
            running.0.kill().unwrap();
            running.0.wait().unwrap();
            before = ids(&kafka).len().max(before);
        }
        filling.join().expect("every order is stored in the topic");
    });
    let last = run(false).output().unwrap();
    well(&last);
    kafka.settled("unsent").expect("every transaction is decided");
    let expected: Vec<i64> = (0..RECORDS).filter(|id| id % 3 != 2).collect();
    assert!(ids(&kafka) == expected, "{} ids instead of {}", ids(&kafka).len(), expected.len());
}
