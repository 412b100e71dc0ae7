//! Stories about what a pipeline writes down and what readers see.

use std::time::Duration;

use weir_model::{Balance, Epoch, Guarantee, Offset, PartitionId, ProcessingTime, Watermark};
use weir_model::{EventTime, TimeDelta};

use super::*;

fn taken(records: u64, bytes: u64, next: u64) -> Taken {
    Taken { records, bytes, next: Offset(next) }
}

fn at(millis: i64) -> ProcessingTime {
    ProcessingTime::from_micros(1_767_225_600_000_000) + TimeDelta::from_millis(millis)
}

fn table(name: &str) -> NewOutput {
    NewOutput { name: name.to_owned(), kind: "table".to_owned(), guarantee: Guarantee::ExactlyOnce }
}

fn pipeline() -> Arc<PipelineHandle> {
    PipelineBoard::new().add("spark-logs", vec![table("errors")], at(0))
}

#[test]
fn the_rate_is_taken_over_the_last_five_seconds() {
    let handle = pipeline();
    let logs = PartitionId::new("a.log");
    for second in 0..20 {
        handle.read(&logs, "a.log", taken(1_000, 50_000, 0), at(second * 1_000));
    }
    let status = handle.status(at(20_000));
    assert_eq!((status.rows_per_second, status.bytes_per_second), (1_000.0, 50_000.0));
    assert_eq!((status.rows_read, status.bytes_read), (20_000, 1_000_000));
}

#[test]
fn the_rate_falls_to_nothing_when_nothing_comes() {
    let handle = pipeline();
    handle.read(&PartitionId::new("a"), "a", taken(5_000, 1, 0), at(0));
    assert_eq!(handle.status(at(0)).rows_per_second, 5_000.0, "over at least one second");
    assert_eq!(handle.status(at(4_000)).rows_per_second, 1_250.0);
    assert_eq!(handle.status(at(60_000)).rows_per_second, 0.0);
}

#[test]
fn a_clock_that_jumps_back_gives_no_negative_rate() {
    let handle = pipeline();
    handle.read(&PartitionId::new("a"), "a", taken(100, 1, 0), at(10_000));
    assert!(handle.status(at(-50_000)).rows_per_second >= 0.0);
}

#[test]
fn a_paused_partition_stays_so_while_what_was_on_its_way_comes() {
    let (handle, fast) = (pipeline(), PartitionId::new("fast"));
    handle.set_partition_state(&fast, "fast", PartitionState::Paused);
    handle.read(&fast, "fast", taken(1, 1, 1), at(0));
    assert_eq!(handle.status(at(0)).partitions[0].state, PartitionState::Paused);
    handle.set_partition_state(&fast, "fast", PartitionState::Reading);
    assert_eq!(handle.status(at(0)).partitions[0].state, PartitionState::Reading);
}

#[test]
fn a_status_reads_as_the_api_promises() {
    let handle = pipeline();
    handle.set_state(PipelineState::Running);
    let logs = PartitionId::new("a.log");
    handle.read(&logs, "/var/log/a.log", taken(10, 640, 640), at(0));
    handle.set_partition_watermark(&logs, Watermark::at(EventTime::from_micros(0)));
    handle.set_partition_state(&logs, "/var/log/a.log", PartitionState::CaughtUp);
    handle.set_watermark(Watermark::at(EventTime::from_micros(0)), Some(logs));
    handle.set_balance(
        "errors",
        Balance { read: 10, results: 6, filtered: 1, late: 1, rejected: 1, open: 1, ..Balance::default() },
    );
    handle.wrote("errors", 2);
    handle.rejected("errors", 1);
    let waiting = |failures| OutputWaiting {
        output: "errors".to_owned(),
        since: at(0),
        next_try: Some(at(2_000)),
        failures,
        error: "nobody listens".to_owned(),
    };
    handle.waits(waiting(1));
    handle.waits(waiting(2));
    handle.committed(Checkpoint { epoch: Epoch(3), at: at(900), took: Duration::from_millis(5), snapshot_bytes: 7 });
    handle.trouble("a.log is not readable", at(1_000));
    let json = serde_json::to_value(handle.status(at(1_000))).expect("it serializes");
    assert_eq!(
        json,
        serde_json::json!({
            "name": "spark-logs", "state": "running", "error": null, "started_at": "2026-01-01T00:00:00Z",
            "rows_per_second": 10.0, "bytes_per_second": 640.0, "rows_read": 10, "bytes_read": 640, "bytes_total": null,
            "epoch": 3, "last_commit_at": "2026-01-01T00:00:00.9Z",
            "watermark": "1970-01-01T00:00:00Z", "watermark_holder": "a.log", "state_bytes": 0, "partitions_total": 1,
            "busy_seconds": { "decode": 0.0, "engine": 0.0, "sink": 0.0 }, "steps": [],
            "partitions": [{
                "id": "a.log", "origin": "/var/log/a.log", "rows": 10, "rows_per_second": 10.0, "offset": 640,
                "end": null, "lag": null, "watermark": "1970-01-01T00:00:00Z", "state": "caught_up"
            }],
            "outputs": [{
                "name": "errors", "kind": "table", "guarantee": "exactly_once", "rows_written": 2,
                "balance": { "read": 10, "results": 6, "filtered": 1, "late": 1, "rejected": 1, "open": 1 },
                "holds": true, "rows_rejected": 1
            }],
            "waiting": [{
                "output": "errors", "since": "2026-01-01T00:00:00Z", "next_try": "2026-01-01T00:00:02Z", "failures": 2,
                "error": "nobody listens"
            }],
            "trouble": [{ "at": "2026-01-01T00:00:01Z", "message": "a.log is not readable", "times": 1 }]
        })
    );
}

#[test]
fn an_output_that_takes_rows_again_waits_no_longer() {
    let handle = pipeline();
    let waiting = OutputWaiting {
        output: "late".to_owned(),
        since: at(0),
        next_try: None,
        failures: 3,
        error: "full".to_owned(),
    };
    handle.waits(waiting.clone());
    assert_eq!(handle.status(at(1)).waiting, [waiting]);
    handle.goes_on("late");
    assert_eq!(handle.status(at(1)).waiting, []);
}

#[test]
fn the_ends_of_time_are_null_and_no_date() {
    let handle = pipeline();
    for watermark in [Watermark::UNKNOWN, Watermark::END] {
        handle.set_watermark(watermark, None);
        let json = serde_json::to_value(handle.status(at(0))).expect("it serializes");
        assert!(json["watermark"].is_null());
    }
}

#[test]
fn a_balance_that_does_not_hold_says_so() {
    let handle = pipeline();
    handle.set_balance("errors", Balance { read: 2, results: 1, ..Balance::default() });
    assert!(!handle.status(at(0)).outputs[0].holds);
}

#[test]
fn the_same_trouble_counts_up_and_only_the_newest_kinds_are_kept() {
    let handle = pipeline();
    handle.trouble("disk is slow", at(0));
    handle.trouble("file vanished", at(1));
    handle.trouble("disk is slow", at(2));
    let trouble = handle.status(at(2)).trouble;
    assert_eq!((trouble[0].message.as_str(), trouble[0].times, trouble[0].at), ("disk is slow", 2, at(2)));
    assert_eq!(trouble.len(), 2);
    for number in 0..TROUBLE_KEPT_MAX {
        handle.trouble(&format!("trouble {number}"), at(3));
    }
    let trouble = handle.status(at(3)).trouble;
    assert_eq!(trouble.len(), TROUBLE_KEPT_MAX);
    assert!(trouble.iter().all(|trouble| trouble.message.starts_with("trouble ")));
}

#[test]
fn only_so_many_partitions_are_listed_and_all_are_counted() {
    let handle = pipeline();
    for number in 0..=PARTITIONS_SHOWN_MAX {
        handle.read(&PartitionId::new(format!("{number:05}")), "x", taken(1, 1, 1), at(0));
    }
    let status = handle.status(at(0));
    assert_eq!((status.partitions.len(), status.partitions_total), (PARTITIONS_SHOWN_MAX, PARTITIONS_SHOWN_MAX + 1));
}

#[test]
fn a_failure_keeps_its_reason_and_a_new_start_forgets_it() {
    let board = PipelineBoard::new();
    board.add("p", vec![], at(0)).failed("no such folder: /nowhere");
    let failed = &board.statuses(at(0))[0];
    assert_eq!((failed.state, failed.error.as_deref()), (PipelineState::Failed, Some("no such folder: /nowhere")));
    board.add("p", vec![], at(1));
    assert_eq!((board.statuses(at(1)).len(), board.statuses(at(1))[0].error.clone()), (1, None));
    board.remove("p");
    assert!(board.get("p").is_none());
}
