use weir_disk::{Fault, SimDisk};
use weir_model::{ErrorKind, Offset};

use super::{append, block_on, expected, open, read_all, records, small_segments};
use crate::Log;

const APPENDS: u64 = 12;
/// Records of each append.
const RECORDS: u64 = 4;

/// Appends until something fails; returns how many records were acknowledged.
fn run(log: &Log) -> u64 {
    let mut acknowledged = log.end("t").0;
    while acknowledged < APPENDS * RECORDS {
        match block_on(log.append("t", records(acknowledged..acknowledged + RECORDS))) {
            Ok(ack) => acknowledged = ack.first_offset.0 + ack.count,
            Err(_) => break,
        }
    }
    acknowledged
}

#[test]
fn power_lost_at_any_step_loses_nothing_acknowledged_and_shows_nothing_torn() {
    for fault in [Fault::PowerLoss, Fault::PowerLossAfter] {
        for (at, seed) in (0..).flat_map(|at| (0..4).map(move |seed| (at, seed))) {
            let disk = SimDisk::new(at * 10 + seed);
            let story = format!("{fault:?} at {at}, seed {seed}");
            disk.fail_at(at, fault);
            let acknowledged = open(&disk, small_segments()).map_or(0, |log| run(&log));
            if acknowledged == APPENDS * RECORDS && disk.is_powered() {
                assert!(at > 30, "the story has only {at} steps");
                break;
            }
            disk.crash();
            disk.restart();
            let mut ends = Vec::new();
            for _ in 0..2 {
                let log = open(&disk, small_segments()).expect("recovered");
                let end = log.end("t").0;
                ends.push(end);
                assert!(end >= acknowledged, "{story}: {acknowledged} acknowledged, {end} there");
                let found = log.read("t", Offset(0), usize::MAX);
                let found = found.unwrap_or_else(|error| panic!("{story}: {}", error.full()));
                assert_eq!(found[..acknowledged as usize], expected(0..acknowledged), "{story}");
                // What was not acknowledged may be there, but sound, and behind a named gap if in parts.
                assert!(found.iter().all(|(offset, record)| *record == records(offset.0..offset.0 + 1)[0]), "{story}");
                if log.troubles().is_empty() {
                    assert_eq!(found, expected(0..end), "{story}");
                    assert_eq!(end % RECORDS, 0, "{story}: an append is there as a whole or not at all");
                }
            }
            assert_eq!(ends[0], ends[1], "{story}: recovering again changes nothing");
            let log = open(&disk, small_segments()).expect("opened");
            let end = log.end("t").0;
            append(&log, end..end + 1).unwrap_or_else(|error| panic!("{story}: {}", error.full()));
            assert_eq!(read_all(&log, end).expect("read"), expected(end..end + 1), "{story}");
        }
    }
}

#[test]
fn an_error_at_any_step_is_a_retry_that_took_nothing_or_the_end() {
    for fault in [Fault::Full, Fault::Broken] {
        for at in 0.. {
            let disk = SimDisk::new(at);
            let log = open(&disk, small_segments()).expect("opened");
            let before = disk.operations();
            disk.fail_at(before + at, fault);
            let mut acknowledged = 0;
            let mut failed = None;
            while acknowledged < 20 && failed.is_none() {
                match append(&log, acknowledged..acknowledged + 1) {
                    Ok(_) => acknowledged += 1,
                    Err(error) => failed = Some(error.kind),
                }
            }
            if failed.is_none() && disk.operations() <= before + at {
                assert!(at > 30, "the story has only {at} steps");
                break;
            }
            // Without a summary of its keys a segment is as good as with one.
            if failed == Some(ErrorKind::Retry) {
                append(&log, acknowledged..acknowledged + 1).expect("the same again works");
                acknowledged += 1;
            }
            assert_eq!(read_all(&log, 0).expect("read"), expected(0..acknowledged), "{fault:?} at {at}");
            drop(log);
            let log = open(&disk, small_segments()).expect("opened");
            assert!(log.end("t").0 >= acknowledged);
            assert_eq!(read_all(&log, 0).expect("read")[..acknowledged as usize], expected(0..acknowledged));
        }
    }
}
