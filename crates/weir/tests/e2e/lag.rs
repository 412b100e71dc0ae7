//! Topics are made as a file says, and how far a pipeline is behind them can be seen.

use serde_json::Value;
use weir_kafka_broker::{Cluster, Record};

use crate::bucket::S3;
use crate::endpoint::{Endpoint, Reply};
use crate::harness::{Place, awaited, repository, said, well};
use crate::team::{COUNTS, THROUGH, fill, kafka_of, second_of, time};
use crate::up::Server;

fn lag(place: &Place, pipeline: &std::path::Path) -> Vec<Value> {
    let mut command = place.weir(&["lag", "--format", "json", "--interval", "0s", "--data"]);
    let output = command.arg(place.data()).arg(pipeline).output().unwrap();
    well(&output);
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_are_made_once_as_a_file_says_and_the_lag_of_each_partition_is_told() {
    let kafka = Cluster::start(1).expect("a broker");
    let place = Place::new();
    let apply = |file: &std::path::Path| {
        let mut command = place.weir(&["kafka", "topics", "apply", "--brokers", kafka.bootstrap()]);
        command.arg(file).output().unwrap()
    };
    let topics = repository().join("examples/spark/topics.yaml");
    let first = apply(&topics);
    well(&first);
    assert!(said(&first).contains("spark-driver-logs: created with 12 partitions"), "{}", said(&first));
    assert!(said(&first).contains("spark-logs-dlq: created with 3 partitions"), "{}", said(&first));
    let second = apply(&topics);
    well(&second);
    assert!(said(&second).contains("spark-driver-logs: is there"), "{}", said(&second));
    let other = place.write("other.yaml", "brokers: []\ntopics:\n  spark-driver-logs: { partitions: 14 }\n  spark-logs-dlq: { partitions: 2, config: { retention.ms: \"1\" } }\n");
    let changed = apply(&other);
    assert!(!changed.status.success());
    assert!(said(&changed).contains("spark-driver-logs: grown from 12 to 14 partitions"), "{}", said(&changed));
    assert!(said(&changed).contains("it has 3 partitions, and partitions cannot be taken away"), "{}", said(&changed));
    assert!(said(&changed).contains("retention.ms is 2592000000"), "{}", said(&changed));

    let event = |second: i64| {
        let value = format!(r#"{{"ts":"2026-11-21T08:00:{second:02}.000Z","level":"INFO","msg":"m","logger":"L"}}"#);
        Record::new(i32::try_from(second % 2).unwrap(), value)
    };
    kafka.put("spark-driver-logs", &(0..10).map(event).collect::<Vec<_>>()).expect("stored");
    let brokers = kafka.bootstrap();
    let example = std::fs::read_to_string(repository().join("examples/spark-kafka.yaml")).unwrap();
    let example = example.replace("\"localhost:9092\"", &format!("{brokers:?}"));
    let pipeline = place.write("spark-kafka.yaml", example);
    assert!(lag(&place, &pipeline).iter().all(|row| row["lag"].is_null()), "it never ran");
    well(&place.run(&pipeline, &["sources.logs.kafka.follow=false".to_owned()]));
    assert_eq!(place.number("SELECT count(*) FROM spark_logs"), 10);
    kafka.put("spark-driver-logs", &[event(11), event(13)]).expect("stored");
    let rows = lag(&place, &pipeline);
    assert_eq!(rows.len(), 14);
    let of = |partition: i64| rows.iter().find(|row| row["partition"] == partition).unwrap();
    assert_eq!((&of(0)["next"], &of(0)["end"], &of(0)["lag"]), (&5.into(), &5.into(), &0.into()));
    assert_eq!((&of(1)["next"], &of(1)["end"], &of(1)["lag"]), (&5.into(), &7.into(), &2.into()));
    assert_eq!(of(1)["latest"], "2026-11-21T08:00:09Z");
    let mut shown = place.weir(&["lag", "--interval", "0s", "--data"]);
    let shown = shown.arg(place.data()).arg(&pipeline).output().unwrap();
    assert!(said(&shown).contains("in all 2 records behind"), "{}", said(&shown));
}

/// What a server says of the partitions of its only pipeline.
fn partitions(server: &Server) -> Vec<Value> {
    let (status, body) = server.get("/api/v1/pipelines");
    assert_eq!(status, 200, "{body}");
    let body: Value = serde_json::from_str(&body).unwrap();
    body["pipelines"][0]["partitions"].as_array().cloned().unwrap_or_default()
}

/// Asks until the partitions are as they should be.
pub(crate) fn partitions_become(server: &Server, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    awaited("the partitions are so", || {
        let partitions = partitions(server);
        if wanted(&partitions) { Ok(partitions) } else { Err(format!("{partitions:?}\n{}", server.said())) }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_that_stands_still_tells_how_far_behind_it_is() {
    const MORE: usize = 200_000;
    let kafka = Cluster::start(1).expect("a broker");
    kafka.topic("in", 1).await.expect("a topic");
    let endpoint = Endpoint::start(|_, _| Reply::Refuse(503, "not now"));
    let place = Place::new();
    let pipeline = place.write(
        "stuck.yaml",
        format!(
            "name: stuck\nsources:\n  in: {{ kafka: {{ brokers: [{:?}], topics: [in] }}, format: json }}\n\
             outputs:\n  - http: {{ url: {:?} }}\n",
            kafka.bootstrap(),
            endpoint.url()
        ),
    );
    let server = Server::start(&place, &[pipeline.to_str().unwrap()]);
    let row = |id: usize| Record::new(0, format!(r#"{{"id":{id}}}"#));
    kafka.put("in", &(0..10).map(row).collect::<Vec<_>>()).expect("stored");
    partitions_become(&server, |all| all.len() == 1 && all[0]["end"] == 10 && all[0]["lag"] == 0);
    kafka.put("in", &(10..10 + MORE).map(row).collect::<Vec<_>>()).expect("stored");
    let all = partitions_become(&server, |all| all[0]["end"] == 10 + MORE);
    let (read, lag) = (all[0]["offset"].as_u64().unwrap(), all[0]["lag"].as_u64().unwrap());
    assert!(lag > 0 && read + lag == (10 + MORE) as u64, "{all:?}");
    let (_, metrics) = server.get("/metrics");
    for name in ["weir_pipeline_lag_records", "weir_pipeline_partition_lag_records"] {
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {metrics}"));
        assert!(line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() > 0.0, "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_tells_how_far_behind_it_is_and_so_does_its_group() {
    const IDS: i64 = 1_000;
    let kafka = kafka_of(Cluster::start(1).expect("a broker")).await;
    kafka.topic("out", 1).await.expect("a topic");
    fill(&kafka, 0..IDS);
    let place = Place::new();
    let pipeline = place.write("through.yaml", THROUGH.replace("localhost:9092", kafka.bootstrap()));
    assert!(lag(&place, &pipeline).iter().all(|row| row["lag"].is_null() && row["end"] == IDS / 4), "it never ran");
    let server = Server::start(&place, &[pipeline.to_str().unwrap()]);
    let read = |all: &[Value]| all.len() == 4 && all.iter().all(|partition| partition["lag"] == 0);
    let all = partitions_become(&server, read);
    assert!(all.iter().all(|partition| partition["end"] == IDS / 4 && partition["rows"] == IDS / 4), "{all:?}");
    let (_, metrics) = server.get("/metrics");
    let name = r#"weir_pipeline_partition_lag_records{pipeline="through",partition="in:in/3"} 0"#;
    assert!(metrics.contains(name), "{metrics}");
    awaited("everything is committed", || {
        let rows = lag(&place, &pipeline);
        let so = rows.iter().all(|row| row["next"] == IDS / 4 && row["lag"] == 0);
        if so { Ok(()) } else { Err(format!("{rows:?}")) }
    });
}

/// The file of a pipeline whose state lies in the bucket.
fn with_state_in(server: &S3, pipeline: &str, kafka: &Cluster) -> String {
    let state = format!(
        "state: {{ snapshots: {{ url: 's3://weir/state', options: {{ endpoint: 'http://{}', region: us-east-1, \
         access_key_id: me, secret_access_key: hunter2 }} }} }}\n",
        server.address
    );
    pipeline.replace("localhost:9092", kafka.bootstrap()).replace(STATE, &state)
}

const STATE: &str = "state: { snapshots: { url: \"file:///nowhere\" } }\n";

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_event_time_of_workers_is_in_the_bucket_that_they_share() {
    const IDS: i64 = 2_000;
    let (bucket, kafka) = (S3::start(), kafka_of(Cluster::start(1).expect("a broker")).await);
    kafka.topic("out", 1).await.expect("a topic");
    fill(&kafka, 0..IDS);
    let place = Place::new();
    let pipeline = place.write("counts.yaml", with_state_in(&bucket, COUNTS, &kafka));
    let server = Server::start(&place, &[pipeline.to_str().unwrap()]);
    // Whoever asks has nothing of theirs on the disk.
    let elsewhere = Place::new();
    let last = format!("{}Z", time(second_of(IDS - 1)));
    let is_told = |rows: &[Value]| rows.iter().all(|row| row["next"] == IDS / 4 && row["latest"] == last.as_str());
    awaited(&format!("{last} is told"), || {
        let rows = lag(&elsewhere, &pipeline);
        if rows.len() == 4 && is_told(&rows) { Ok(()) } else { Err(format!("{rows:?}\n{}", server.said())) }
    });
}

const ALONE: &str = r#"
name: alone
sources:
  in:
    kafka: { brokers: ["localhost:9092"], topics: [in], follow: false }
    format: json
time: { field: ts, watermark: { bounded: { delay: 0s } } }
steps:
  - window: { tumbling: 1h, by: [key], compute: { n: count(*) } }
outputs:
  - table: counted
state: { snapshots: { url: "file:///nowhere" } }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_event_time_is_told_although_the_state_is_in_a_bucket_only() {
    const IDS: i64 = 400;
    let (bucket, kafka) = (S3::start(), kafka_of(Cluster::start(1).expect("a broker")).await);
    fill(&kafka, 0..IDS);
    let place = Place::new();
    let pipeline = place.write("alone.yaml", with_state_in(&bucket, ALONE, &kafka));
    well(&place.run(&pipeline, &[]));
    let copies = walkdir::WalkDir::new(place.path("data/state")).into_iter().filter_map(Result::ok);
    let copies =
        copies.map(walkdir::DirEntry::into_path).filter(|path| path.extension().is_some_and(|end| end == "snap"));
    let removed = copies.map(|copy| std::fs::remove_file(copy).unwrap()).count();
    assert!(removed > 0, "there is state");
    let rows = lag(&place, &pipeline);
    let last = format!("{}Z", time(second_of(IDS - 1)));
    assert!(rows.len() == 4 && rows.iter().all(|row| row["latest"] == last.as_str()), "{last} is wanted: {rows:?}");
}
