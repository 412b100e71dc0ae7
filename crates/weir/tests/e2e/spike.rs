//! Ten times as many records as usual, for a while: they wait in Kafka, not in memory, and all of them are counted.

use std::fs;
use std::time::{Duration, Instant};

use weir_kafka_broker::{Cluster, Record};

use crate::harness::{Place, memory_kib};
use crate::lag::partitions_become;
use crate::up::Server;

const PARTITIONS: i32 = 4;
/// Records come in so often, this many at a time on most days.
const BEAT: Duration = Duration::from_millis(250);
const USUAL: i64 = 400;
const SPIKE: i64 = 10 * USUAL;
const BEATS_BEFORE: i64 = 12;
const BEATS_OF_SPIKE: i64 = 32;
/// A record is so large; the spike is many times what may wait in memory.
const RECORD_BYTES: usize = 1_000;
const KEYS: i64 = 500;
/// Records of a second of event time.
const PER_SECOND: i64 = 2_000;

/// What the pipeline may take: fetched ahead (8 MiB) and gathered (4 MiB), its state (16 MiB), and a place in line for each of
/// its tasks, with what is being decoded (each about a MiB as it comes, a few as columns).
const MEMORY_MAX_MIB: u64 = 8 + 4 + 16 + 2 * 2 * 6;

fn pipeline(kafka: &Cluster) -> String {
    format!(
        r#"
name: spike
sources:
  in:
    kafka:
      brokers: [{:?}]
      topics: [in]
      buffer_bytes_max: 8MiB
    format: json
time: {{ field: ts, watermark: {{ bounded: {{ delay: 1s }} }} }}
steps:
  - window: {{ tumbling: 5s, by: [key], compute: {{ n: count(*), total: sum(id) }} }}
outputs:
  - table: counts
state: {{ memory: 16MiB }}
tasks: 2
epoch: 500ms
"#,
        kafka.bootstrap()
    )
}

fn record(id: i64) -> Record {
    let second = id / PER_SECOND;
    let head = format!(
        r#"{{"id":{id},"key":"k{}","ts":"2026-11-20T08:{:02}:{:02}Z","message":""#,
        id % KEYS,
        second / 60,
        second % 60
    );
    let rest = RECORD_BYTES - head.len();
    Record::new(i32::try_from(id % i64::from(PARTITIONS)).unwrap(), format!("{head}{:x<rest$}\"}}", ""))
}

/// Puts so many records into each of so many beats; how many there are then.
fn feed(kafka: &Cluster, next: &mut i64, beats: i64, each: i64) {
    for _ in 0..beats {
        let started = Instant::now();
        kafka.put("in", &(*next..*next + each).map(record).collect::<Vec<_>>()).expect("stored");
        *next += each;
        std::thread::park_timeout(BEAT.saturating_sub(started.elapsed()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_times_as_many_records_are_counted_without_more_memory_than_the_pipeline_may_take() {
    let kafka = Cluster::start(1).expect("a broker");
    kafka.topic("in", PARTITIONS).await.expect("a topic");
    let place = Place::new();
    let file = place.write("spike.yaml", pipeline(&kafka));
    let server = Server::start(&place, &[file.to_str().unwrap()]);
    let mut next = 0;
    feed(&kafka, &mut next, BEATS_BEFORE, USUAL);
    let read = |partitions: &[serde_json::Value]| {
        partitions.len() == PARTITIONS as usize && partitions.iter().all(|partition| partition["lag"] == 0)
    };
    partitions_become(&server, read);
    let before = memory_kib(server.pid(), "VmRSS:");
    // From here on the kernel remembers the peak anew.
    fs::write(format!("/proc/{}/clear_refs", server.pid()), "5").unwrap();
    let spike = Instant::now();
    feed(&kafka, &mut next, BEATS_OF_SPIKE, SPIKE);
    let fed = spike.elapsed();
    feed(&kafka, &mut next, BEATS_BEFORE, USUAL);
    let partitions = partitions_become(&server, read);
    let caught_up = spike.elapsed();
    let peak = memory_kib(server.pid(), "VmHWM:");
    let more_mib = peak.saturating_sub(before) >> 10;
    let spike_mib = ((BEATS_OF_SPIKE * SPIKE) as u64 * RECORD_BYTES as u64) >> 20;
    eprintln!(
        "{spike_mib} MiB in {fed:?}, read after {caught_up:?}: {} MiB before, {more_mib} MiB more at the peak",
        before >> 10
    );
    assert!(spike_mib > 2 * MEMORY_MAX_MIB, "the spike would not fit into memory");
    assert!(more_mib <= MEMORY_MAX_MIB, "{more_mib} MiB more than before; {MEMORY_MAX_MIB} MiB are allowed");
    let rows: i64 = partitions.iter().map(|partition| partition["rows"].as_i64().unwrap()).sum();
    assert_eq!(rows, next);
    // Everything is in a window, once: the last records end all windows before them.
    let last = |partition| Record::new(partition, r#"{"id":0,"key":"end","ts":"2026-11-20T09:00:00Z","message":""}"#);
    kafka.put("in", &(0..PARTITIONS).map(last).collect::<Vec<_>>()).expect("stored");
    server.sql_becomes("SELECT sum(n) FROM counts", u64::try_from(next).unwrap());
    let total = u64::try_from(next * (next - 1) / 2).unwrap();
    server.sql_becomes("SELECT CAST(sum(total) AS BIGINT) FROM counts", total);
}
