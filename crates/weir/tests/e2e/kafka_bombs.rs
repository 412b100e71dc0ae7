//! Batches from Kafka that become many times larger when they are unpacked: what is too long is a dead letter that keeps its
//! beginning, what comes behind it is read, and memory stays within what the batches themselves become.

use std::fs;

use weir_kafka_broker::{Cluster, Record};

use crate::harness::Place;
use crate::lag::partitions_become;
use crate::spike::memory_kib;
use crate::up::Server;

const MIB: usize = 1 << 20;
/// What each codec packs into less than the mebibyte that a broker lets in: snappy knows only short repetitions.
const BOMBS: [(&str, usize); 4] = [("gzip", 48 * MIB), ("zstd", 48 * MIB), ("lz4", 48 * MIB), ("snappy", 12 * MIB)];
/// Of each codec, in a batch of its own.
const EACH: usize = 3;
/// What is held of them at a time is not much more than one of each; all together are 468 MiB.
const MORE_MIB_MAX: u64 = 2 * (48 * 3 + 12);

fn pipeline(kafka: &Cluster, topic: &str) -> String {
    format!(
        r#"
name: bombs
sources:
  in: {{ kafka: {{ brokers: [{:?}], topics: [{topic}] }}, format: json }}
outputs:
  - table: rows
epoch: 200ms
"#,
        kafka.bootstrap()
    )
}

fn server(kafka: &Cluster, topic: &str) -> (Place, Server) {
    let place = Place::new();
    let file = place.write("bombs.yaml", pipeline(kafka, topic));
    let server = Server::start(&place, &[file.to_str().unwrap()]);
    (place, server)
}

fn put(kafka: &Cluster, topic: &str, records: &[Record], codec: &str) {
    let large = [("compression.codec", codec), ("message.max.bytes", "300000000"), ("batch.num.messages", "1")];
    kafka.put_with(topic, records, &large).expect("stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_records_that_are_huge_are_dead_letters_and_the_next_ones_are_read() {
    let kafka = Cluster::start(1).expect("a broker");
    kafka.topic("in", BOMBS.len() as i32).await.expect("a topic");
    let (_place, server) = server(&kafka, "in");
    let good = |partition: usize, n: usize| Record::new(partition as i32, format!("{{\"n\":{n}}}"));
    let first: Vec<Record> = (0..BOMBS.len()).map(|partition| good(partition, 0)).collect();
    kafka.put("in", &first).expect("stored");
    server.sql_becomes("SELECT count(*) FROM rows", 4);
    let before = memory_kib(server.pid(), "VmRSS:");
    fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").unwrap();
    let mut posted = 0;
    for (partition, (codec, bytes)) in BOMBS.into_iter().enumerate() {
        let bomb = Record::new(partition as i32, format!("{{\"text\":\"{}\"}}", "x".repeat(bytes)));
        put(&kafka, "in", &vec![bomb; EACH], codec);
        put(&kafka, "in", &[good(partition, 1)], codec);
        posted += EACH * bytes;
    }
    partitions_become(&server, |partitions| {
        partitions.len() == BOMBS.len() && partitions.iter().all(|partition| partition["lag"] == 0)
    });
    server.sql_becomes("SELECT count(*) FROM rows", 8);
    server.sql_becomes("SELECT count(*) FROM dead_letters", (BOMBS.len() * EACH) as u64);
    let more_mib = memory_kib(server.pid(), "VmHWM:").saturating_sub(before) >> 10;
    eprintln!("{} MiB unpacked, {more_mib} MiB more at the peak", posted / MIB);
    assert!(more_mib <= MORE_MIB_MAX, "{more_mib} MiB more than before");
    let kept = server.sql("SELECT max(octet_length(payload)), max(original_bytes) FROM dead_letters");
    assert_eq!(
        kept["rows"][0],
        serde_json::json!([64 << 10, 48 * MIB + r#"{"text":""}"#.len()]),
        "and how long they were"
    );
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_becomes_larger_than_the_client_may_receive_is_said_and_other_partitions_go_on() {
    let kafka = Cluster::start(1).expect("a broker");
    kafka.topic("in", 2).await.expect("a topic");
    let (_place, server) = server(&kafka, "in");
    let bomb = Record::new(0, format!("{{\"text\":\"{}\"}}", "x".repeat(120 * MIB)));
    put(&kafka, "in", &[bomb, Record::new(0, "{\"n\":1}")], "zstd");
    kafka.put("in", &[Record::new(1, "{\"n\":2}")]).expect("stored");
    server.sql_becomes("SELECT n FROM rows", 2);
    let told = std::time::Instant::now();
    loop {
        let (_, status) = server.get("/api/v1/pipelines");
        if status.contains("cannot be unpacked") {
            break;
        }
        assert!(told.elapsed().as_secs() < 60, "{status}");
    }
    server.sql_becomes("SELECT count(*) FROM rows", 1);
    assert_eq!(server.stop("-TERM"), Some(0));
}
