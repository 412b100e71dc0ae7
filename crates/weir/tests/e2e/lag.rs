//! Topics are made as a file says, and how far a pipeline is behind them can be seen.

use serde_json::Value;
use weir_kafka_broker::{Cluster, Record};

use crate::harness::{Place, repository, said, well};

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
