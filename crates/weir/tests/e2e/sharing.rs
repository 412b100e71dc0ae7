//! What workers share and where it lies: topics by pattern, partitions that appear, places to begin at, keys and headers, state
//! in a bucket.

use std::collections::BTreeSet;

use serde_json::Value;
use weir_kafka_broker::{Cluster, Record};

use crate::bucket::S3;
use crate::harness::awaited;
use crate::team::{COUNTS, GIVEN, THROUGH, Team, Worker, expected, fill, kafka, kafka_of, last_words, windows};

fn row(partition: i32, id: i64) -> Record {
    Record { key: Some(format!("k{id}")), ..Record::new(partition, format!(r#"{{"id":{id},"key":"k{id}"}}"#)) }
}

/// Waits until the group has committed where it goes on in every partition of a topic.
fn begun(team: &Team<'_>, topic: &str, workers: &[Worker]) {
    awaited(&format!("{topic} is being read"), || {
        let has_begun = team.kafka.committed(topic, &team.group).expect("said").iter().all(|offset| *offset >= 0);
        if has_begun { Ok(()) } else { Err(workers[0].said()) }
    });
}

fn ids(team: &Team<'_>) -> Vec<i64> {
    let mut ids: Vec<i64> = team.rows().iter().map(|(_, row)| row["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_match_and_partitions_that_appear_are_read_from_their_beginning_by_some_worker() {
    let kafka = kafka_of(Cluster::start(1).expect("a broker")).await;
    kafka.topic("logs-a", 2).await.expect("a topic");
    kafka.put("logs-a", &[row(0, 1), row(1, 2)]).expect("stored");
    let team = Team::new(&kafka, THROUGH, "pattern").await;
    let settings =
        [r#"sources.in.kafka.topics=["^logs-.*"]"#, "sources.in.kafka.refresh=200ms", "sources.in.kafka.start=latest"];
    let mut workers = [team.worker_with(&settings), team.worker_with(&settings)];
    workers.iter().for_each(|worker| worker.says(GIVEN, 1));
    // What was there before the first start is passed over; what appears is not. Where that is counts once it is committed.
    begun(&team, "logs-a", &workers);
    kafka.put("logs-a", &[row(0, 3), row(1, 4)]).expect("stored");
    team.until(2, &mut workers.iter_mut().collect::<Vec<_>>());
    kafka.topic("logs-b", 1).await.expect("a topic");
    kafka.put("logs-b", &[row(0, 5)]).expect("stored");
    kafka.grow("logs-a", 3).await.expect("grown");
    kafka.put("logs-a", &[row(2, 6)]).expect("stored");
    kafka.topic("other", 1).await.expect("a topic");
    kafka.put("other", &[row(0, 7)]).expect("stored");
    team.until(4, &mut workers.iter_mut().collect::<Vec<_>>());
    workers.iter_mut().for_each(Worker::stop);
    kafka.settled(&team.out).expect("every transaction is decided");
    assert_eq!(ids(&team), [3, 4, 5, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_begin_where_they_are_told_to_and_go_on_where_they_were() {
    let kafka = kafka().await;
    kafka.put("in", &(0..8).map(|id| row(0, id)).collect::<Vec<_>>()).expect("stored");
    kafka.set_offset("others", "in", 0, 5).expect("set");
    let stories: [(&str, &[&str], &[i64]); 3] = [
        ("earliest", &[], &[0, 1, 2, 3, 4, 5, 6, 7]),
        ("committed", &["sources.in.kafka.start=committed", "sources.in.kafka.group=others"], &[5, 6, 7]),
        // All of them were written later than that.
        ("timestamp", &[r#"sources.in.kafka.start={"timestamp":"2020-01-01T00:00:00Z"}"#], &[0, 1, 2, 3, 4, 5, 6, 7]),
    ];
    for (at, (name, settings, first)) in stories.into_iter().enumerate() {
        // What was put while earlier ones were told is there too.
        let mut expected: BTreeSet<i64> = first.iter().copied().chain((0..).take(at).map(|at| 100 + at)).collect();
        let team = Team::new(&kafka, THROUGH, name).await;
        let mut worker = team.worker_with(settings);
        team.until(expected.len(), &mut [&mut worker]);
        worker.stop();
        // It does not begin there again.
        let more = 100 + i64::try_from(at).unwrap();
        expected.insert(more);
        kafka.put("in", &[row(1, more)]).expect("stored");
        team.start(&mut worker);
        team.until(expected.len(), &mut [&mut worker]);
        worker.stop();
        kafka.settled(&team.out).expect("every transaction is decided");
        assert!(ids(&team).into_iter().eq(expected.iter().copied()), "{name}: {:?}", ids(&team));
    }
}

const ENVELOPED: &str = r#"
name: enveloped
sources:
  in:
    kafka: { brokers: ["localhost:9092"], topics: [in], envelope: json }
    format: json
steps:
  - select: { id: value.id, key: key, trace: headers.trace, place: partition, gone: value.id IS NULL }
outputs:
  - kafka: { brokers: ["localhost:9092"], topic: out, key: key, headers: { trace: trace } }
dead_letters: { kafka: { brokers: ["localhost:9092"], topic: letters } }
workers: { session: 3s, transaction: 5s }
epoch: 200ms
"#;

#[tokio::test(flavor = "multi_thread")]
async fn workers_read_keys_headers_and_tombstones_in_envelopes() {
    let kafka = kafka().await;
    let trace = vec![("trace".to_owned(), "t1".to_owned())];
    let first = Record { headers: trace.clone(), ..row(0, 1) };
    let tombstone = Record { partition: 3, key: Some("k9".to_owned()), ..Record::default() };
    kafka.put("in", &[first, row(2, 2), tombstone]).expect("stored");
    let team = Team::new(&kafka, ENVELOPED, "enveloped").await;
    let mut worker = team.worker();
    team.until(3, &mut [&mut worker]);
    worker.stop();
    let mut rows = team.rows();
    rows.sort_by_key(|(_, row)| row["place"].to_string());
    let shown: Vec<Value> = rows.iter().map(|(_, row)| row.clone()).collect();
    let expected = serde_json::json!([
        { "id": "1", "key": "k1", "trace": "t1", "place": "0", "gone": false },
        { "id": "2", "key": "k2", "trace": null, "place": "2", "gone": false },
        { "id": null, "key": "k9", "trace": null, "place": "3", "gone": true },
    ]);
    assert_eq!(Value::Array(shown), expected, "{}", worker.said());
    assert_eq!(rows[0].0.headers, trace);
    assert!(rows[1].0.headers.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_over_finds_the_state_in_the_bucket() {
    const IDS: i64 = 4_000;
    let server = S3::start();
    let kafka = kafka().await;
    let team = Team::new(&kafka, COUNTS, "bucket").await;
    let endpoint = format!("state.snapshots.options.endpoint=http://{}", server.address);
    let settings = [
        "state.snapshots.url=s3://weir/state",
        &endpoint,
        "state.snapshots.options.region=us-east-1",
        "state.snapshots.options.access_key_id=me",
        "state.snapshots.options.secret_access_key=hunter2",
    ];
    fill(&kafka, 0..IDS / 2);
    let mut first = team.worker_with(&settings);
    team.until(40, &mut [&mut first]);
    assert!(!server.objects("state/counts/bucket/").is_empty(), "its state is there");
    first.kill();
    // Another folder, another name: everything that it knows comes out of the bucket.
    let mut second = team.worker_with(&settings);
    fill(&kafka, IDS / 2..IDS);
    kafka.put("in", &last_words()).expect("stored");
    let expected = expected(IDS);
    team.until(expected.len(), &mut [&mut second]);
    kafka.settled(&team.out).expect("every transaction is decided");
    assert!(windows(&team.rows()) == expected, "{} windows of {}", team.rows().len(), expected.len());
}
