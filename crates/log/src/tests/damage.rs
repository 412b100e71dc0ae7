use std::path::PathBuf;

use weir_disk::SimDisk;
use weir_model::{ErrorKind, Offset};

use super::{append, expected, open, read_all, small_segments};
use crate::LogConfig;

/// Bytes of one record's frame in these tests.
const FRAME: usize = 45;

/// Thirty records, one append each.
fn thirty(config: LogConfig) -> (SimDisk, Vec<PathBuf>) {
    let disk = SimDisk::new(1);
    let log = open(&disk, config).expect("opened");
    for id in 0..30 {
        append(&log, id..id + 1).expect("taken");
    }
    drop(log);
    let files = segments(&disk);
    (disk, files)
}

fn segments(disk: &SimDisk) -> Vec<PathBuf> {
    let files = disk.files().into_iter().map(|(path, _)| path);
    files.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
}

#[test]
fn damage_in_the_last_segment_is_kept_named_and_gone_around() {
    let (disk, files) = thirty(LogConfig::default());
    assert_eq!(disk.files()[0].1.len(), 30 * FRAME);
    disk.damage(&files[0], |bytes| bytes[10 * FRAME + 30] ^= 1);
    for _ in 0..2 {
        let log = open(&disk, LogConfig::default()).expect("opened");
        assert_eq!(log.troubles().len(), 1);
        let trouble = &log.troubles()[0];
        assert!(trouble.contains(&files[0].display().to_string()) && trouble.contains("offset 10"), "{trouble}");
        assert_eq!(log.end("t"), Offset(30));
        assert_eq!(log.read("t", Offset(0), 1 << 20).expect("up to the damage"), expected(0..10));
        let error = log.read("t", Offset(10), 1 << 20).expect_err("lost");
        assert_eq!(error.kind, ErrorKind::Corrupt);
        assert!(
            error.message.contains("records 10 to 10 of topic t are lost; reading can go on at offset 11"),
            "{}",
            error.message
        );
        assert_eq!(log.readable_from("t", Offset(10)).expect("asked"), Offset(11));
        assert_eq!(log.readable_from("t", Offset(12)).expect("asked"), Offset(12));
        assert_eq!(read_all(&log, 11).expect("read"), expected(11..30));
    }
    for from in [11, 20, 29] {
        let log = open(&disk, LogConfig::default()).expect("opened");
        assert_eq!(read_all(&log, from).expect("a reader that is past the damage is not held up"), expected(from..30));
    }
    let log = open(&disk, LogConfig::default()).expect("opened");
    append(&log, 30..31).expect("new records go to a new segment");
    assert_eq!(segments(&disk).len(), 2);
    assert_eq!(read_all(&log, 11).expect("read"), expected(11..31));
}

#[test]
fn damage_in_an_older_segment_is_found_when_it_is_read() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(Damage, u64, u64); 4] = [
        (|bytes| bytes[FRAME + 3] ^= 1, 9, 10),
        (|bytes| bytes.truncate(3 * FRAME + 5), 11, 16),
        (|bytes| bytes[..2 * FRAME].fill(0), 8, 10),
        (Vec::clear, 8, 16),
    ];
    for (damage, first_lost, goes_on) in damages {
        let (disk, files) = thirty(small_segments());
        disk.damage(&files[1], damage);
        let log = open(&disk, small_segments()).expect("opened");
        assert_eq!(read_all(&log, 0).expect_err("lost").kind, ErrorKind::Corrupt);
        let error = log.read("t", Offset(first_lost), 1 << 20).expect_err("lost");
        let expected_text = format!("go on at offset {goes_on}");
        assert!(error.message.contains(&expected_text), "{}", error.message);
        assert_eq!(log.readable_from("t", Offset(first_lost)).expect("asked"), Offset(goes_on));
        assert_eq!(read_all(&log, goes_on).expect("read"), expected(goes_on..30));
    }
}

#[test]
fn a_missing_segment_is_a_gap_with_both_ends_named() {
    let (disk, files) = thirty(small_segments());
    weir_model::Vfs::remove(&disk, &files[1]).expect("removed");
    let log = open(&disk, small_segments()).expect("opened");
    let error = read_all(&log, 0).expect_err("lost");
    assert!(
        error.message.contains("records 8 to 15") && error.message.contains("go on at offset 16"),
        "{}",
        error.message
    );
}

#[test]
fn a_torn_end_is_cut_wherever_it_is_torn() {
    for cut in 29 * FRAME..30 * FRAME {
        let (disk, files) = thirty(LogConfig::default());
        disk.damage(&files[0], |bytes| bytes.truncate(cut));
        let log = open(&disk, LogConfig::default()).expect("opened");
        assert_eq!(log.troubles(), Vec::<String>::new());
        append(&log, 29..30).expect("taken");
        assert_eq!(read_all(&log, 0).expect("read"), expected(0..30), "cut at {cut}");
    }
}

#[test]
fn damage_in_the_middle_and_a_torn_end_are_each_what_they_are() {
    for torn in [1, FRAME / 2, FRAME - 1] {
        let (disk, files) = thirty(LogConfig::default());
        disk.damage(&files[0], |bytes| {
            bytes[10 * FRAME + 30] ^= 1;
            bytes.truncate(29 * FRAME + torn);
        });
        let log = open(&disk, LogConfig::default()).expect("opened");
        assert_eq!(log.troubles().len(), 1, "{:?}", log.troubles());
        assert!(log.troubles()[0].contains("offset 10"), "{:?}", log.troubles());
        assert_eq!(log.end("t"), Offset(29), "the torn record was never acknowledged: its offset is free");
        append(&log, 29..31).expect("new records go to a new segment");
        // Also by a process that finds the damaged file with others behind it.
        for _ in 0..2 {
            drop(open(&disk, LogConfig::default()).expect("opened"));
        }
        let log = open(&disk, LogConfig::default()).expect("opened");
        let error = log.read("t", Offset(10), 1 << 20).expect_err("lost");
        assert!(error.message.contains("records 10 to 10 of topic t are lost"), "{}", error.message);
        assert_eq!(read_all(&log, 11).expect("everything else is there"), expected(11..31), "{torn} bytes of the last");
    }
}
