use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use weir_disk::{Fault, Reserve, SimDisk};
use weir_model::{ErrorKind, Offset, SeamResult, Vfs};

use super::{FOLDER, TestClock, append, block_on, expected, open, read_all, records, small_segments};
use crate::{AppendAck, Log, LogConfig, Retain, TopicConfig, Unread};

fn once(log: &Log, key: &str, ids: std::ops::Range<u64>) -> SeamResult<AppendAck> {
    block_on(log.append_once("t", key, records(ids)))
}

fn ack(first: u64, count: u64, repeated: bool) -> AppendAck {
    AppendAck { partition: 0, first_offset: Offset(first), count, repeated }
}

#[test]
fn what_comes_again_with_its_key_is_taken_once_also_after_a_restart() {
    let disk = SimDisk::new(1);
    let log = open(&disk, small_segments()).expect("opened");
    append(&log, 0..3).expect("taken");
    assert_eq!(once(&log, "a", 3..5).expect("taken"), ack(3, 2, false));
    assert_eq!(once(&log, "a", 3..5).expect("known"), ack(3, 2, true));
    assert_eq!(once(&log, "b", 5..9).expect("taken"), ack(5, 4, false));
    // Enough for several segments, so that the keys are found in summaries too.
    append(&log, 9..40).expect("taken");
    append(&log, 40..70).expect("taken");
    for _ in 0..2 {
        let log = open(&disk, small_segments()).expect("opened");
        assert_eq!(once(&log, "a", 3..5).expect("known"), ack(3, 2, true));
        assert_eq!(once(&log, "b", 5..9).expect("known"), ack(5, 4, true));
        assert_eq!(read_all(&log, 0).expect("read"), expected(0..70), "marks are no records");
    }
}

#[test]
fn a_key_with_other_records_is_refused_and_takes_nothing() {
    let log = open(&SimDisk::new(1), LogConfig::default()).expect("opened");
    once(&log, "a", 0..2).expect("taken");
    let refused = once(&log, "a", 0..3).expect_err("these are others");
    assert_eq!(refused.kind, ErrorKind::Config);
    assert!(refused.full().contains("offset 0"), "{}", refused.full());
    assert_eq!(log.end("t"), Offset(2));
}

#[test]
fn the_same_key_twice_at_one_time_is_taken_once() {
    let log = open(&SimDisk::new(1), LogConfig::default()).expect("opened");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let tries = (0..50).map(|_| {
        let log = Arc::clone(&log);
        runtime.spawn(async move { log.append_once("t", "a", records(0..2)).await })
    });
    let acks: Vec<AppendAck> = tries
        .collect::<Vec<_>>()
        .into_iter()
        .map(|task| runtime.block_on(task).expect("joined").expect("taken or known"))
        .collect();
    assert_eq!(acks.iter().filter(|ack| !ack.repeated).count(), 1);
    assert!(acks.iter().all(|ack| (ack.first_offset, ack.count) == (Offset(0), 2)));
    assert_eq!(read_all(&log, 0).expect("read"), expected(0..2));
}

#[test]
fn keys_are_remembered_for_their_time_also_by_a_log_that_is_opened_later() {
    let disk = SimDisk::new(1);
    let clock = Arc::new(TestClock::default());
    let config = LogConfig { keys_age: Duration::from_secs(10), ..small_segments() };
    let open = || {
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        Log::open_with_clock(Path::new(FOLDER), vfs, config.clone(), Reserve::none(), clock.clone()).expect("opened")
    };
    let log = open();
    once(&log, "old", 0..20).expect("taken");
    clock.0.store(8_000_000, Ordering::Relaxed);
    once(&log, "young", 20..40).expect("taken");
    clock.0.store(10_000_001, Ordering::Relaxed);
    assert!(open_and_try(&open, "young", 20..40).repeated);
    once(&log, "next", 40..41).expect("taken");
    assert!(!once(&log, "old", 0..20).expect("taken again").repeated);
}

fn open_and_try(open: &dyn Fn() -> Arc<Log>, key: &str, ids: std::ops::Range<u64>) -> AppendAck {
    once(&open(), key, ids).expect("known")
}

#[test]
fn a_missing_or_damaged_summary_is_no_loss() {
    let disk = SimDisk::new(1);
    let log = open(&disk, small_segments()).expect("opened");
    once(&log, "a", 0..20).expect("taken");
    append(&log, 20..40).expect("taken");
    drop(log);
    let summary = Path::new(FOLDER).join("t/0/00000000000000000000.keys");
    disk.damage(&summary, |bytes| bytes[20] ^= 1);
    assert!(once(&open(&disk, small_segments()).expect("opened"), "a", 0..20).expect("known").repeated);
    disk.remove(&summary).expect("removed");
    assert!(once(&open(&disk, small_segments()).expect("opened"), "a", 0..20).expect("known").repeated);
}

#[test]
fn a_missing_summary_is_read_from_its_segment_once_and_written() {
    let disk = SimDisk::new(1);
    let log = open(&disk, small_segments()).expect("opened");
    once(&log, "a", 0..20).expect("taken");
    append(&log, 20..40).expect("taken");
    drop(log);
    let folder = Path::new(FOLDER).join("t/0");
    let (summary, segment) = (folder.join("00000000000000000000.keys"), folder.join("00000000000000000000.log"));
    disk.remove(&summary).expect("removed");
    drop(open(&disk, small_segments()).expect("opened"));
    assert!(disk.len(&summary).is_ok(), "the next start finds the summary");
    disk.damage(&segment, Vec::clear);
    assert!(once(&open(&disk, small_segments()).expect("opened"), "a", 0..20).expect("known").repeated);
}

#[test]
fn keys_outlive_the_records_that_retention_deletes_and_go_when_their_time_is_over() {
    let disk = SimDisk::new(1);
    let clock = Arc::new(TestClock::default());
    let retain = Retain { bytes: Some(0), age: None, unread: Unread::Keep };
    let default_topic = TopicConfig { partitions: 1, retain };
    let config = LogConfig { default_topic, keys_age: Duration::from_secs(10), ..small_segments() };
    let open = || {
        let vfs: Arc<dyn Vfs> = Arc::new(disk.clone());
        Log::open_with_clock(Path::new(FOLDER), vfs, config.clone(), Reserve::none(), clock.clone()).expect("opened")
    };
    let log = open();
    once(&log, "a", 0..20).expect("taken");
    append(&log, 20..40).expect("taken");
    append(&log, 40..41).expect("taken");
    assert_eq!(log.retain("t", Offset(41)).expect("retained").segments, 2);
    drop(log);
    assert!(open_and_try(&open, "a", 0..20).repeated, "its records are gone, the key is known");
    clock.0.store(10_000_001, Ordering::Relaxed);
    open().retain("t", Offset(41)).expect("retained");
    let left = disk.list(&Path::new(FOLDER).join("t/0")).expect("listed");
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn power_lost_at_any_step_a_client_that_sends_until_it_hears_is_taken_once() {
    for fault in [Fault::PowerLoss, Fault::PowerLossAfter] {
        for (at, seed) in (0..).flat_map(|at| (0..4).map(move |seed| (at, seed))) {
            let disk = SimDisk::new(at * 10 + seed);
            disk.fail_at(at, fault);
            let send =
                |log: &Log| (0..12).try_for_each(|n| once(log, &format!("key {n}"), n * 4..n * 4 + 4).map(|_| ()));
            let done = open(&disk, small_segments()).is_ok_and(|log| send(&log).is_ok());
            if done && disk.is_powered() {
                assert!(at > 30, "the story has only {at} steps");
                break;
            }
            disk.crash();
            disk.restart();
            let log = open(&disk, small_segments()).expect("recovered");
            if log.troubles().is_empty() {
                send(&log).expect("taken or known");
                let all: Vec<Bytes> = read_all(&log, 0).expect("read").into_iter().map(|(_, record)| record).collect();
                assert_eq!(all, records(0..48), "{fault:?} at {at}, seed {seed}");
            }
        }
    }
}
