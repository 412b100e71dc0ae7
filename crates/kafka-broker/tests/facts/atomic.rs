//! Records, offsets and the string beside them become visible together or not at all, wherever the process is killed.

use std::time::Duration;

use weir_kafka_broker::Cluster;

use crate::kafka;
use crate::process::{Seen, Start, Transact, committed, fence, seen, topics};

const EPOCH_RECORDS: usize = 5;
const START: Start<'_> =
    Start { group: "atomic", instance: "a", session_ms: 6_000, transaction_ms: 60_000, careless: false };

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_leaves_records_offset_and_metadata_all_or_none() {
    let kafka = kafka();
    topics(kafka, START.group, 40 * EPOCH_RECORDS).await;
    let mut epochs = 0;
    for stage in ["began", "produced", "flushed", "sent"] {
        at(kafka, stage).kill();
        epochs = agreed(kafka, START, epochs..=epochs, stage);
    }
    at(kafka, "committed").kill();
    epochs = agreed(kafka, START, epochs + 1..=epochs + 1, "committed");
    // While the commit is on its way: it may have been heard or not.
    let (mut heard, mut kills) = (0, 0);
    for microseconds in [0, 50, 100, 150, 200, 250, 300, 400, 500, 700, 1_000, 2_000, 4_000, 8_000] {
        at(kafka, "sent").die(Duration::from_micros(microseconds));
        let before = epochs;
        epochs = agreed(kafka, START, epochs..=epochs + 1, &format!("committing, {microseconds} µs later"));
        heard += epochs - before;
        kills += 1;
    }
    eprintln!("of {kills} processes killed while they committed, {heard} had committed");
}

/// A process that has just reached a stage.
fn at(kafka: &Cluster, stage: &str) -> Transact {
    let mut process = Transact::start(kafka, START);
    process.until(stage);
    process
}

/// Everything visible says that the same number of epochs was committed, and that it is one of `expected`.
pub(crate) fn agreed(
    kafka: &Cluster,
    start: Start<'_>,
    expected: std::ops::RangeInclusive<usize>,
    stage: &str,
) -> usize {
    fence(kafka, start);
    let Seen { numbers, snapshots, offset, metadata } = seen(kafka, start.group);
    let epochs = offset / EPOCH_RECORDS;
    assert!(expected.contains(&epochs), "killed at {stage}: {epochs} epochs are committed, expected {expected:?}");
    let all: Vec<String> = (0..offset).map(|number| number.to_string()).collect();
    assert_eq!(numbers, all, "killed at {stage}: the records are those before the offset");
    assert_eq!(snapshots.last().map(String::as_str).unwrap_or_default(), metadata, "killed at {stage}: the snapshot");
    if epochs > 0 {
        assert!(metadata.starts_with(&format!("v1|{epochs}|")), "killed at {stage}: {metadata}");
    }
    epochs
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_of_an_open_transaction_are_waited_for_by_a_reader_of_committed_ones() {
    let kafka = kafka();
    let start = Start { group: "pending", ..START };
    topics(kafka, start.group, EPOCH_RECORDS).await;
    let mut process = Transact::start(kafka, start);
    process.until("sent");
    let answer = committed(kafka, start.group, Duration::from_millis(500));
    assert!(answer.is_err(), "the transaction is undecided, and yet: {answer:?}");
    process.proceed();
    process.until("committed");
    let (offset, metadata) = committed(kafka, start.group, crate::process::DEADLINE).expect("it is decided");
    assert_eq!(offset, EPOCH_RECORDS);
    assert!(metadata.starts_with("v1|1|"), "{metadata}");
}
