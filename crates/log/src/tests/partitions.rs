//! Topics of several partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use weir_disk::SimDisk;
use weir_model::{ErrorKind, Offset};

use super::{block_on, open, records, small_segments};
use crate::{AppendAck, AppendOptions, Log, LogConfig, PARTITIONS_MAX, Retain, TopicConfig};

fn with_partitions(partitions: u32) -> LogConfig {
    LogConfig { default_topic: TopicConfig { partitions, retain: Retain::default() }, ..small_segments() }
}

fn opened(disk: &SimDisk, partitions: u32) -> Arc<Log> {
    open(disk, with_partitions(partitions)).expect("opened")
}

fn append(log: &Log, options: AppendOptions<'_>, ids: std::ops::Range<u64>) -> AppendAck {
    block_on(log.append_with("t", records(ids), options)).expect("taken or known")
}

#[test]
fn appends_take_turns_and_each_is_whole_in_one_partition() {
    let disk = SimDisk::new(1);
    let log = opened(&disk, 3);
    assert_eq!(log.partitions("t"), 3);
    let acks: Vec<AppendAck> = (0..6).map(|n| append(&log, AppendOptions::default(), n * 10..n * 10 + 10)).collect();
    let places: Vec<(u32, u64)> = acks.iter().map(|ack| (ack.partition, ack.first_offset.0)).collect();
    assert_eq!(places, [(0, 0), (1, 0), (2, 0), (0, 10), (1, 10), (2, 10)]);
    drop(log);
    let log = opened(&disk, 3);
    for partition in 0..3 {
        let read = log.read(("t", partition), Offset(10), 1 << 20).expect("read");
        let first = u64::from(partition + 3) * 10;
        assert_eq!(read.into_iter().map(|(_, record)| record).collect::<Vec<_>>(), records(first..first + 10));
    }
}

#[test]
fn the_same_partition_key_always_goes_to_the_same_partition() {
    let log = opened(&SimDisk::new(1), 4);
    let mut places = BTreeMap::<String, Vec<u32>>::new();
    for n in 0..40 {
        let key = format!("user {}", n % 10);
        let ack = append(&log, AppendOptions { partition_key: Some(&key), once: None }, n..n + 1);
        places.entry(key).or_default().push(ack.partition);
    }
    assert!(places.values().all(|of_key| of_key.iter().all(|partition| *partition == of_key[0])), "{places:?}");
    let used: std::collections::BTreeSet<u32> = places.values().map(|of_key| of_key[0]).collect();
    assert!(used.len() > 1, "{places:?}");
}

#[test]
fn a_repetition_is_known_whatever_the_number_of_partitions_has_become() {
    let disk = SimDisk::new(1);
    let first: Vec<AppendAck> = {
        let log = opened(&disk, 2);
        (0..8)
            .map(|n| append(&log, AppendOptions { once: Some(&format!("key {n}")), partition_key: None }, n..n + 1))
            .collect()
    };
    for partitions in [2, 5, 1] {
        let log = opened(&disk, partitions);
        for (n, first) in (0..8).zip(&first) {
            let again = append(&log, AppendOptions { once: Some(&format!("key {n}")), partition_key: None }, n..n + 1);
            assert_eq!(again, AppendAck { repeated: true, ..*first }, "{partitions} partitions");
        }
    }
    assert_eq!(
        opened(&disk, 1).partitions("t"),
        2,
        "those that hold something are read although they take nothing new"
    );
}

#[test]
fn a_topic_has_between_one_and_the_most_partitions() {
    for partitions in [0, PARTITIONS_MAX + 1] {
        let log = opened(&SimDisk::new(1), partitions);
        let error = block_on(log.append("t", records(0..1))).expect_err("refused");
        assert_eq!(error.kind, ErrorKind::Config);
        assert!(error.message.contains("1 to 64"), "{}", error.message);
    }
    assert_eq!(opened(&SimDisk::new(1), 2).read(("t", 2), Offset(0), 1).expect_err("no such").kind, ErrorKind::Config);
}
