//! Stories about the log as a whole.

mod crash;
mod damage;
mod keys;
mod partitions;
mod retain;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use weir_disk::{Disk, Fault, Reserve, SimDisk};
use weir_model::{Clock, ErrorKind, Offset, ProcessingTime, SeamResult, Vfs};

use crate::frame::Frame;
use crate::{AppendAck, Log, LogConfig};

pub(crate) const FOLDER: &str = "/log";

#[derive(Debug, Default)]
struct TestClock(AtomicI64);

impl Clock for TestClock {
    fn now(&self) -> ProcessingTime {
        ProcessingTime::from_micros(self.0.load(Ordering::Relaxed))
    }
}

pub(crate) fn open(disk: &SimDisk, config: LogConfig) -> SeamResult<Arc<Log>> {
    Log::open(Path::new(FOLDER), Arc::new(disk.clone()), config, Reserve::none())
}

pub(crate) fn records(ids: std::ops::Range<u64>) -> Vec<Bytes> {
    ids.map(|id| Bytes::from(format!("record {id:>6}"))).collect()
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

pub(crate) fn append(log: &Log, ids: std::ops::Range<u64>) -> SeamResult<AppendAck> {
    block_on(log.append("t", records(ids)))
}

/// Every record of `t` from `from` to the end, as offset and payload.
pub(crate) fn read_all(log: &Log, from: u64) -> SeamResult<Vec<(Offset, Bytes)>> {
    let mut all = Vec::new();
    let mut next = Offset(from);
    loop {
        let some = log.read("t", next, 100)?;
        let Some(last) = some.last() else { return Ok(all) };
        next = Offset(last.0.0 + 1);
        all.extend(some);
    }
}

pub(crate) fn expected(ids: std::ops::Range<u64>) -> Vec<(Offset, Bytes)> {
    ids.clone().map(Offset).zip(records(ids)).collect()
}

fn small_segments() -> LogConfig {
    LogConfig { segment_bytes: 320, ..LogConfig::default() }
}

#[test]
fn what_is_acknowledged_is_read_in_order_across_segments_and_restarts() {
    let temp = tempfile::tempdir().expect("a folder");
    let open = || Log::open(temp.path(), Arc::new(Disk), small_segments(), Reserve::none()).expect("opened");
    let log = open();
    assert_eq!(log.end("t"), Offset(0));
    for batch in 0..20 {
        let ack = append(&log, batch * 5..batch * 5 + 5).expect("taken");
        assert_eq!(ack, AppendAck { partition: 0, first_offset: Offset(batch * 5), count: 5, repeated: false });
    }
    assert_eq!(append(&log, 0..0).expect("nothing is no error").count, 0);
    drop(log);
    let log = open();
    assert_eq!((log.start("t"), log.end("t"), log.topics()), (Offset(0), Offset(100), vec!["t".to_owned()]));
    assert!(Disk.list(&temp.path().join("t/0")).expect("listed").len() > 5, "segments are small here");
    for from in [0, 1, 4, 5, 37, 99, 100, 1000] {
        assert_eq!(read_all(&log, from).expect("read"), expected(from.min(100)..100), "from {from}");
    }
    assert_eq!(append(&log, 100..101).expect("taken").first_offset, Offset(100));
    assert_eq!(log.troubles(), Vec::<String>::new());
}

#[test]
fn what_an_older_weir_has_written_is_read_and_appended_to() {
    let disk = SimDisk::new(1);
    let old = Path::new(FOLDER).join("t/0/00000000000000000000.log");
    let mut bytes = Vec::new();
    for (offset, record) in (0..).zip(records(0..5)) {
        let arrival = ProcessingTime::from_micros(1);
        let frame = Frame { offset, arrival, following: 0, group: None, payload: record.len(), is_mark: false };
        frame.encode(&record, &mut bytes);
    }
    disk.create_folder(old.parent().expect("a folder")).expect("created");
    weir_disk::publish(&disk, &old, &bytes).expect("written");
    let log = open(&disk, LogConfig::default()).expect("opened");
    assert_eq!(append(&log, 5..8).expect("taken").first_offset, Offset(5));
    drop(log);
    let log = open(&disk, LogConfig::default()).expect("opened");
    assert_eq!(read_all(&log, 0).expect("read"), expected(0..8));
    assert_eq!(disk.files().len(), 1, "the same file goes on");
}

#[test]
fn a_read_takes_what_fits_but_always_something() {
    let log = open(&SimDisk::new(1), LogConfig::default()).expect("opened");
    append(&log, 0..10).expect("taken");
    assert_eq!(log.read("t", Offset(3), 0).expect("read"), expected(3..4));
    assert_eq!(log.read("t", Offset(3), 39).expect("read"), expected(3..6));
    assert_eq!(log.read("t", Offset(3), 1000).expect("read"), expected(3..10));
    let large = vec![Bytes::from(vec![1; 1 << 20]); 3];
    block_on(log.append("t", large.clone())).expect("taken");
    assert_eq!(log.read("t", Offset(10), 10).expect("read"), vec![(Offset(10), large[0].clone())]);
    assert_eq!(log.read("t", Offset(9), 3 << 20).expect("read").len(), 3, "13 bytes leave no room for the third");
}

#[test]
fn who_waits_is_woken_by_durable_records_and_by_the_end() {
    let disk = SimDisk::new(1);
    let log = open(&disk, LogConfig::default()).expect("opened");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let wait = |from| {
        let log = Arc::clone(&log);
        runtime.spawn(async move { log.wait_for("t", Offset(from)).await })
    };
    let (first, third) = (wait(0), wait(2));
    runtime.block_on(log.append("t", records(0..1))).expect("taken");
    runtime.block_on(first).expect("joined").expect("woken");
    assert!(!third.is_finished());
    disk.fail_at(disk.operations() + 1, Fault::Broken);
    assert_eq!(runtime.block_on(log.append("t", records(1..2))).expect_err("broken").kind, ErrorKind::Closed);
    assert_eq!(runtime.block_on(third).expect("joined").expect_err("none will come").kind, ErrorKind::Closed);
    runtime.block_on(wait(0)).expect("joined").expect("what is there is there");
}

#[test]
fn many_appends_share_a_sync() {
    let disk = SimDisk::new(1);
    let log = open(&disk, LogConfig::default()).expect("opened");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let appends: Vec<_> = (0..500)
        .map(|id| {
            let log = Arc::clone(&log);
            runtime.spawn(async move { log.append("t", records(id..id + 1)).await })
        })
        .collect();
    let mut offsets: Vec<u64> = Vec::new();
    for append in appends {
        offsets.push(runtime.block_on(append).expect("joined").expect("taken").first_offset.0);
    }
    offsets.sort_unstable();
    assert_eq!(offsets, (0..500).collect::<Vec<_>>(), "each append has its own offset");
    assert_eq!(read_all(&log, 0).expect("read").len(), 500);
}

#[test]
fn a_full_disk_refuses_and_takes_again_by_itself() {
    let disk = SimDisk::new(1);
    let log = open(&disk, LogConfig::default()).expect("opened");
    append(&log, 0..3).expect("taken");
    disk.set_capacity(Some(200));
    let error = append(&log, 3..50).expect_err("full");
    assert_eq!(error.kind, ErrorKind::Retry);
    assert!(error.message.contains("disk is full"), "{}", error.message);
    assert_eq!(read_all(&log, 0).expect("reading goes on"), expected(0..3));
    append(&log, 3..4).expect("what fits is taken");
    disk.set_capacity(None);
    append(&log, 4..50).expect("there is room again");
    assert_eq!(read_all(&log, 0).expect("read"), expected(0..50));
    drop(log);
    let log = open(&disk, LogConfig::default()).expect("opened");
    assert_eq!(read_all(&log, 0).expect("read"), expected(0..50));
}

#[test]
fn appends_do_not_eat_into_the_reserve() {
    let disk = SimDisk::new(1);
    disk.set_capacity(Some(1000));
    let reserve = Reserve { bytes: 900 };
    let log = Log::open(Path::new(FOLDER), Arc::new(disk.clone()), LogConfig::default(), reserve).expect("opened");
    append(&log, 0..1).expect("taken");
    let before = disk.operations();
    assert_eq!(append(&log, 1..3).expect_err("full").kind, ErrorKind::Retry);
    assert_eq!(disk.operations(), before, "nothing is even tried");
}

#[test]
fn a_failed_sync_closes_the_topic_until_a_restart_and_no_other() {
    let disk = SimDisk::new(1);
    let log = open(&disk, LogConfig::default()).expect("opened");
    append(&log, 0..1).expect("taken");
    disk.fail_at(disk.operations() + 1, Fault::Broken);
    for _ in 0..2 {
        let error = append(&log, 1..2).expect_err("never again");
        assert_eq!(error.kind, ErrorKind::Closed, "{}", error.full());
    }
    assert_eq!(read_all(&log, 0).expect("what was durable is readable"), expected(0..1));
    block_on(log.append("other", records(0..1))).expect("another topic has its own file");
    drop(log);
    let log = open(&disk, LogConfig::default()).expect("opened");
    let end = log.end("t").0;
    append(&log, end..end + 1).expect("taken");
    assert_eq!(read_all(&log, 0).expect("read"), expected(0..end + 1));
}

#[test]
fn whatever_fails_at_the_first_append_is_not_found_to_be_well_by_the_next_one() {
    let disk = SimDisk::new(1);
    let log = open(&disk, LogConfig::default()).expect("opened");
    let before = disk.operations();
    append(&log, 0..1).expect("taken");
    let operations = disk.operations() - before;
    assert!(operations > 3, "folder, file, record, names");
    for failing in 0..operations {
        let disk = SimDisk::new(1);
        let log = open(&disk, LogConfig::default()).expect("opened");
        disk.fail_at(disk.operations() + failing, Fault::Broken);
        for _ in 0..2 {
            let error = append(&log, 0..1).expect_err("never again");
            assert_eq!(error.kind, ErrorKind::Closed, "operation {failing}: {}", error.full());
        }
    }
}

#[test]
fn what_a_full_disk_neither_syncs_nor_cuts_at_once_is_not_there_after_a_restart() {
    let disk = SimDisk::new(1);
    let log = open(&disk, LogConfig::default()).expect("opened");
    append(&log, 0..1).expect("taken");
    let sync = disk.operations() + 1;
    (sync..sync + 4).for_each(|operation| disk.fail_at(operation, Fault::Full));
    assert_eq!(append(&log, 1..2).expect_err("not durable").kind, ErrorKind::Closed);
    drop(log);
    // The process ends; the power does not fail, so what the kernel holds is still there.
    disk.restart();
    let log = open(&disk, LogConfig::default()).expect("opened");
    assert_eq!(log.end("t"), Offset(1), "the next process would take it for safe, and power would take it");
}

#[test]
fn sizes_and_names_have_limits() {
    let config = LogConfig { record_bytes_max: 20, append_bytes_max: 50, queue_bytes: 10, ..LogConfig::default() };
    let log = open(&SimDisk::new(1), config).expect("opened");
    let try_sizes =
        |sizes: &[usize]| block_on(log.append("t", sizes.iter().map(|&size| vec![0; size].into()).collect()));
    try_sizes(&[20, 20, 10]).expect("at the limits, and more than may wait at once");
    for sizes in [&[21][..], &[20, 20, 11]] {
        let error = try_sizes(sizes).expect_err("over a limit");
        assert_eq!(error.kind, ErrorKind::Config);
        assert!(error.message.contains("may have"), "{}", error.message);
    }
    for name in ["", "..", "a/b", "A", "0"] {
        assert_eq!(block_on(log.append(name, vec![])).expect_err(name).kind, ErrorKind::Config);
    }
}
