//! Batches from Kafka that become many times larger when they are unpacked: what is too long is a dead letter that keeps its
//! beginning, what comes behind it is read, and memory stays within what the batches themselves become. So in one process, and so
//! in workers.

use std::fs;

use serde_json::Value;
use weir_kafka_broker::{Cluster, Isolation, Record};

use crate::harness::{Place, awaited, memory_kib};
use crate::team::rows_in;
use crate::up::Server;

const MIB: usize = 1 << 20;
/// What each codec packs into less than the mebibyte that a broker lets in: snappy knows only short repetitions.
const BOMBS: [(&str, usize); 4] = [("gzip", 48 * MIB), ("zstd", 48 * MIB), ("lz4", 48 * MIB), ("snappy", 12 * MIB)];
/// Of each codec, in a batch of its own. The next ones come when these are read: those that wait in a topic together are packed so
/// small that they come in one answer of the broker.
const EACH: usize = 3;
/// What is held of them at a time is not much more than one of each; all together are 468 MiB.
const MORE_MIB_MAX: u64 = 2 * (48 * 3 + 12);
/// What is kept of a record that is too long.
const KEPT_BYTES: u64 = 64 << 10;

const ALONE: &str = r#"
name: bombs
sources:
  in: { kafka: { brokers: ["localhost:9092"], topics: [in] }, format: json }
outputs:
  - table: rows
epoch: 200ms
"#;

const SHARED: &str = r#"
name: bombs
sources:
  in: { kafka: { brokers: ["localhost:9092"], topics: [in] }, format: json }
outputs:
  - kafka: { brokers: ["localhost:9092"], topic: rows }
dead_letters: { kafka: { brokers: ["localhost:9092"], topic: letters } }
workers: { session: 10s }
epoch: 200ms
"#;

/// Who reads the topic `in`: one process into a table, or workers into a topic.
struct Readers<'a> {
    kafka: &'a Cluster,
    servers: Vec<(Place, Server)>,
}

impl<'a> Readers<'a> {
    async fn start(kafka: &'a Cluster, partitions: usize, workers: usize) -> Readers<'a> {
        for (topic, partitions) in [("in", partitions as i32), ("rows", 1), ("letters", 1)] {
            kafka.topic(topic, partitions).await.expect("a topic");
        }
        let pipeline = if workers > 0 { SHARED } else { ALONE }.replace("localhost:9092", kafka.bootstrap());
        let server = |_| {
            let place = Place::new();
            let file = place.write("bombs.yaml", &pipeline);
            let server = Server::start(&place, &[file.to_str().unwrap()]);
            (place, server)
        };
        Self { kafka, servers: (0..workers.max(1)).map(server).collect() }
    }

    fn are_workers(&self) -> bool {
        self.servers.len() > 1
    }

    /// Waits until so many rows and dead letters are there.
    fn have(&self, rows: usize, letters: usize) {
        if !self.are_workers() {
            let (_, server) = &self.servers[0];
            server.sql_becomes("SELECT count(*) FROM rows", rows as u64);
            if letters > 0 {
                server.sql_becomes("SELECT count(*) FROM dead_letters", letters as u64);
            }
            return;
        }
        let there = |topic: &str| self.kafka.read(topic, Isolation::Committed).expect("read").len();
        awaited("every row and dead letter is there", || {
            let now = (there("rows"), there("letters"));
            if now == (rows, letters) { Ok(()) } else { Err(format!("{now:?}; ({rows}, {letters}) are wanted")) }
        });
    }

    /// The longest that is kept of a dead letter, and how long the longest was.
    fn longest(&self) -> [u64; 2] {
        if !self.are_workers() {
            let kept =
                self.servers[0].1.sql("SELECT max(octet_length(payload)), max(original_bytes) FROM dead_letters");
            return [0, 1].map(|column| kept["rows"][0][column].as_u64().unwrap());
        }
        let letters = rows_in(self.kafka, "letters");
        let kept = letters.iter().map(|(_, letter)| letter["payload"].as_str().map_or(0, str::len) as u64).max();
        let were = letters.iter().filter_map(|(_, letter)| letter["original_bytes"].as_u64()).max();
        [kept, were].map(Option::unwrap)
    }

    /// The number in the first row.
    fn first(&self) -> Value {
        if self.are_workers() {
            return rows_in(self.kafka, "rows")[0].1["n"].clone();
        }
        self.servers[0].1.sql("SELECT n FROM rows")["rows"][0][0].clone()
    }

    /// Waits until one of them says so among its troubles.
    fn say(&self, words: &str) {
        awaited("somebody says it", || {
            let said: Vec<String> = self.servers.iter().map(|(_, server)| server.get("/api/v1/pipelines").1).collect();
            if said.iter().any(|said| said.contains(words)) { Ok(()) } else { Err(format!("{said:?}")) }
        });
    }

    /// Waits until each of them has partitions.
    fn share(&self) {
        awaited("each has partitions", || {
            let has = |(_, server): &(Place, Server)| {
                let status: Value = serde_json::from_str(&server.get("/api/v1/pipelines").1).unwrap();
                status["pipelines"][0]["partitions"].as_array().is_some_and(|partitions| !partitions.is_empty())
            };
            if self.servers.iter().all(has) { Ok(()) } else { Err("not all of them have any".to_owned()) }
        });
    }

    fn stop(self) {
        for (_place, server) in self.servers {
            assert_eq!(server.stop("-TERM"), Some(0));
        }
    }
}

fn put(kafka: &Cluster, records: &[Record], codec: &str) {
    let large = [("compression.codec", codec), ("message.max.bytes", "300000000"), ("batch.num.messages", "1")];
    kafka.put_with("in", records, &large).expect("stored");
}

async fn huge_records_are_dead_letters(workers: usize) {
    let kafka = Cluster::start(1).expect("a broker");
    let readers = Readers::start(&kafka, BOMBS.len(), workers).await;
    let good = |partition: usize, n: usize| Record::new(partition as i32, format!("{{\"n\":{n}}}"));
    readers.share();
    kafka.put("in", &(0..BOMBS.len()).map(|partition| good(partition, 0)).collect::<Vec<_>>()).expect("stored");
    readers.have(BOMBS.len(), 0);
    let before: Vec<u64> = readers.servers.iter().map(|(_, server)| memory_kib(server.pid(), "VmRSS:")).collect();
    for (_, server) in &readers.servers {
        // From here on the kernel remembers the peak anew.
        fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").unwrap();
    }
    for round in 1..=EACH {
        for (partition, (codec, bytes)) in BOMBS.into_iter().enumerate() {
            let bomb = Record::new(partition as i32, format!("{{\"text\":\"{}\"}}", "x".repeat(bytes)));
            put(&kafka, &[bomb], codec);
            put(&kafka, &[good(partition, round)], codec);
        }
        readers.have((round + 1) * BOMBS.len(), round * BOMBS.len());
    }
    let unpacked_mib = EACH * BOMBS.iter().map(|(_, bytes)| bytes / MIB).sum::<usize>();
    for ((_, server), before) in readers.servers.iter().zip(before) {
        let more_mib = memory_kib(server.pid(), "VmHWM:").saturating_sub(before) >> 10;
        eprintln!("of {unpacked_mib} MiB unpacked, {more_mib} MiB more at the peak");
        assert!(more_mib <= MORE_MIB_MAX, "{more_mib} MiB more than before");
    }
    let were = (48 * MIB + r#"{"text":""}"#.len()) as u64;
    assert_eq!(readers.longest(), [KEPT_BYTES, were], "what is kept, and how long they were");
    readers.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_records_that_are_huge_are_dead_letters_and_the_next_ones_are_read() {
    huge_records_are_dead_letters(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packed_records_that_are_huge_are_dead_letters_of_workers_too() {
    huge_records_are_dead_letters(2).await;
}

async fn a_batch_that_is_too_large_is_said(workers: usize) {
    let kafka = Cluster::start(1).expect("a broker");
    let readers = Readers::start(&kafka, 2, workers).await;
    let bomb = Record::new(0, format!("{{\"text\":\"{}\"}}", "x".repeat(120 * MIB)));
    put(&kafka, &[bomb, Record::new(0, "{\"n\":1}")], "zstd");
    kafka.put("in", &[Record::new(1, "{\"n\":2}")]).expect("stored");
    readers.have(1, 0);
    readers.say("cannot be unpacked");
    readers.have(1, 0);
    assert_eq!(readers.first(), 2, "the one of the other partition");
    readers.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_becomes_larger_than_the_client_may_receive_is_said_and_other_partitions_go_on() {
    a_batch_that_is_too_large_is_said(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_becomes_larger_than_a_worker_may_receive_is_said_and_other_partitions_go_on() {
    a_batch_that_is_too_large_is_said(2).await;
}
