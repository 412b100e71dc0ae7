//! What of a topic is deleted, and when.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use weir_disk::{Reserve, SimDisk};
use weir_model::{ErrorKind, Offset};

use super::{FOLDER, TestClock, append, expected, open, read_all, small_segments};
use crate::{Log, LogConfig, Retain, Retained, TopicConfig, Unread};

fn keeping(bytes: Option<u64>, age_secs: Option<u64>, unread: Unread) -> LogConfig {
    let retain = Retain { bytes, age: age_secs.map(Duration::from_secs), unread };
    LogConfig { default_topic: TopicConfig { partitions: 1, retain }, ..small_segments() }
}

/// A log with a hundred records in a dozen segments of 8 records, 360 bytes each.
fn hundred(config: LogConfig) -> (SimDisk, Arc<TestClock>, Arc<Log>) {
    let (disk, clock) = (SimDisk::new(1), Arc::new(TestClock::default()));
    let log = Log::open_with_clock(Path::new(FOLDER), Arc::new(disk.clone()), config, Reserve::none(), clock.clone())
        .expect("opened");
    for id in 0..100 {
        append(&log, id..id + 1).expect("taken");
    }
    (disk, clock, log)
}

#[test]
fn old_segments_go_by_size_and_age_but_not_before_they_are_read() {
    let (disk, clock, log) = hundred(keeping(Some(1650), Some(10), Unread::Keep));
    let held = log.retain("t", Offset(5)).expect("retained");
    assert_eq!(held, Retained { held_bytes: 4500 - 1650, ..Retained::default() }, "a reader needs the first segment");
    assert_eq!(log.measure()[0].held_bytes, 2850);
    let retained = log.retain("t", Offset(100)).expect("retained");
    assert_eq!(retained, Retained { segments: 8, bytes: 8 * 360, unread_records: 0, held_bytes: 0 });
    let start = log.start("t").0;
    assert_eq!(start, 64);
    assert_eq!(read_all(&log, start).expect("read"), expected(start..100));
    let gone = log.read("t", Offset(0), 100).expect_err("gone");
    assert_eq!(gone.kind, ErrorKind::Corrupt);
    assert!(gone.message.contains(&format!("go on at offset {start}")), "{}", gone.message);
    assert_eq!(log.readable_from("t", Offset(0)).expect("asked"), Offset(start));
    clock.0.store(11_000_000, Ordering::Relaxed);
    append(&log, 100..101).expect("taken");
    log.retain("t", Offset(101)).expect("retained");
    assert!(log.start("t").0 > start, "old segments go although there is room");
    drop(log);
    let log = open(&disk, LogConfig::default()).expect("opened");
    assert_eq!(log.end("t"), Offset(101), "the last segment stays");
}

#[test]
fn at_the_limit_of_size_nothing_goes_and_one_byte_over_it_one_segment_does() {
    for (bytes, segments) in [(4500, 0), (4499, 1), (4500 - 360, 1), (4500 - 361, 2)] {
        let (_, _, log) = hundred(keeping(Some(bytes), None, Unread::Keep));
        assert_eq!(log.retain("t", Offset(100)).expect("retained").segments, segments, "{bytes}");
    }
}

#[test]
fn at_the_limit_of_age_nothing_goes_and_after_it_all_but_the_last() {
    for (now, segments) in [(10_000_000, 0), (10_000_001, 12)] {
        let (_, clock, log) = hundred(keeping(None, Some(10), Unread::Keep));
        clock.0.store(now, Ordering::Relaxed);
        assert_eq!(log.retain("t", Offset(100)).expect("retained").segments, segments, "{now}");
    }
}

#[test]
fn a_segment_that_is_read_up_to_its_last_record_stays_and_one_that_is_read_goes() {
    for (needed_from, segments) in [(7, 0), (8, 1), (15, 1), (16, 2)] {
        let (_, _, log) = hundred(keeping(Some(0), None, Unread::Keep));
        assert_eq!(log.retain("t", Offset(needed_from)).expect("retained").segments, segments, "{needed_from}");
    }
}

#[test]
fn what_was_not_read_goes_where_the_user_says_so_and_is_counted() {
    let (_, _, log) = hundred(keeping(Some(0), None, Unread::Drop));
    let retained = log.retain("t", Offset(90)).expect("retained");
    assert_eq!((retained.segments, retained.unread_records), (12, 6), "96 records go, of which 90 were read");
    let measure = &log.measure()[0];
    assert_eq!((measure.deleted_unread_records, measure.deleted_segments, measure.segments), (6, 12, 1));
    assert_eq!((measure.start, measure.end, measure.deleted_bytes), (96, 100, 12 * 360));
}
