//! Event time from end to end: what moves watermarks, and who has to wait.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::{Place, said, until, well};
use crate::up::Server;

/// The second `n` of the day as a record.
fn row(second: u32, rest: &str) -> String {
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{{\"ts\":\"2026-01-01T{hour:02}:{minute:02}:{second:02}Z\",{rest}}}\n")
}

#[test]
fn only_the_records_that_a_punctuated_watermark_names_make_others_late() {
    let place = Place::new();
    let rows = [
        row(1, "\"k\":\"a\",\"kind\":\"data\""),
        row(300, "\"k\":\"a\",\"kind\":\"data\""),
        row(2, "\"k\":\"a\",\"kind\":\"data\""),
        row(120, "\"k\":\"b\",\"kind\":\"heartbeat\""),
        row(3, "\"k\":\"a\",\"kind\":\"data\""),
        row(61, "\"k\":\"a\",\"kind\":\"data\""),
    ];
    place.write("in.ndjson", rows.concat());
    let yaml = "name: marks\nsources: { logs: { file: { paths: [in.ndjson], follow: false }, format: json } }\n\
                time: { field: ts, watermark: { punctuated: { where: kind = 'heartbeat', delay: 1m } } }\n\
                steps: [ { window: { tumbling: 1m, by: [k], compute: { rows: count(*) } } } ]\n\
                outputs: [ { table: per_minute } ]\n";
    let pipeline = place.write("p.yaml", yaml);
    well(&place.run(&pipeline, &[]));
    let counts = place.query("SELECT k, rows FROM per_minute ORDER BY window_start, k");
    let counts: Vec<String> = counts.iter().map(|row| format!("{}{}", row["k"], row["rows"])).collect();
    assert_eq!(counts, ["\"a\"2", "\"a\"1", "\"b\"1", "\"a\"1"]);
    let late = place.query("SELECT late_by_ms, event_time, window_start, source_offset FROM late_events");
    assert_eq!(late.len(), 1, "{late:?}");
    assert_eq!(late[0]["event_time"], "2026-01-01T00:00:03Z", "the step takes no `ts`, the late output has it");
    assert_eq!(late[0]["window_start"], "2026-01-01T00:00:00Z");
    assert_eq!(late[0]["source_offset"], rows[..4].concat().len());
    assert_eq!(late[0]["late_by_ms"], 57_000, "the row of second 3, after the mark of 60");

    let wrong = place.write("wrong.yaml", yaml.replace("kind = 'heartbeat'", "length(kind)"));
    let checked = place.weir(&["check"]).arg(&wrong).output().unwrap();
    let told = said(&checked);
    assert!(!checked.status.success() && told.contains("a condition is true or false"), "{told}");
    assert!(told.contains("time.watermark.punctuated.where"), "{told}");
}

#[test]
fn a_file_that_is_too_far_ahead_waits_until_the_others_have_come_closer() {
    let place = Place::new();
    // Many batches of one file, of which only a few are ahead of the loop, and one record of the other.
    let seconds = 23 * 3600;
    let fast: String = (0..2 * seconds).map(|half| row(half / 2, "\"k\":\"fast\",\"text\":\"x\"")).collect();
    place.write("in/fast.ndjson", fast);
    place.write("in/slow.ndjson", row(0, "\"k\":\"slow\""));
    let yaml = "name: skewed\nsources: { logs: { file: { paths: ['in/*.ndjson'] }, format: json } }\n\
                time: { field: ts, max_drift: 10m, idle_after: 1h, watermark: { bounded: { delay: 0s } } }\n\
                steps: [ { window: { tumbling: 1m, compute: { rows: count(*) } } } ]\n\
                outputs: [ { table: per_minute } ]\n";
    let pipeline = place.write("p.yaml", yaml);
    let server = Server::start(&place, &[&pipeline.to_string_lossy()]);
    let partition = |end: &str| {
        let (_, answer) = server.get("/api/v1/pipelines");
        let status = serde_json::from_str::<serde_json::Value>(&answer).unwrap()["pipelines"][0].clone();
        let all = status["partitions"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["origin"].as_str().unwrap().ends_with(end)).unwrap_or_default()
    };
    until("the fast file is paused", || partition("fast.ndjson")["state"] == "paused");
    let read = partition("fast.ndjson")["rows"].as_u64().unwrap();
    assert!(read < u64::from(2 * seconds), "{read} rows were read of the file that waits");
    // What the slow file was waiting for.
    let more: String = (1..seconds).step_by(60).map(|second| row(second, "\"k\":\"slow\"")).collect();
    let mut slow = std::fs::OpenOptions::new().append(true).open(place.path("in/slow.ndjson")).unwrap();
    slow.write_all(more.as_bytes()).unwrap();
    until("all is read", || {
        partition("fast.ndjson")["rows"] == 2 * seconds && partition("slow.ndjson")["rows"] == 1 + seconds / 60
    });
    assert_eq!(server.stop("-TERM"), Some(0));
    assert_eq!(place.number("SELECT count(*) FROM late_events"), 0);
    let minutes =
        "SELECT count(*) FROM per_minute WHERE rows = 121 AND window_start < TIMESTAMP '2026-01-01T22:58:00Z'";
    assert_eq!(place.number(minutes), 22 * 60 + 57, "all but the first minute, which has a row more");
}

#[test]
fn rows_that_come_at_their_own_pace_and_all_at_once_make_the_same_file() {
    let yaml = "name: paced\nsources: { logs: { stdin: {}, format: json } }\n\
                time: { field: ts, watermark: { bounded: { delay: 200ms } } }\n\
                steps: [ { window: { sliding: { size: 1s, slide: 500ms }, by: [k], compute: { rows: count(*), sum: sum(v), p95: 'quantile(0.95, v)' } } } ]\n\
                outputs: [ { file: { path: out.ndjson } } ]\nepoch: 300ms\n";
    // Three seconds of event time, a row each 5 ms, some too late.
    let row = |at: u64| {
        let late = if at.is_multiple_of(95) { 900 } else { at * 7 % 150 };
        let millis = 10_000 + at - late;
        let (k, v) = (at / 5 % 3, at % 41);
        format!("{{\"ts\":\"2026-01-01T00:00:{:02}.{:03}Z\",\"k\":\"k{k}\",\"v\":{v}}}\n", millis / 1000, millis % 1000)
    };
    let file = |paced: bool| {
        let place = Place::new();
        let pipeline = place.write("p.yaml", yaml);
        let mut weir = place.run_command(&pipeline, &[]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = weir.stdin.take().unwrap();
        let begun = Instant::now();
        for at in (0..3_000).step_by(5) {
            while paced && begun.elapsed() < Duration::from_millis(at) {
                std::thread::yield_now();
            }
            stdin.write_all(row(at).as_bytes()).unwrap();
        }
        drop(stdin);
        well(&weir.wait_with_output().unwrap());
        (std::fs::read_to_string(place.path("out.ndjson")).unwrap(), place.number("SELECT count(*) FROM late_events"))
    };
    let (paced, at_once) = (file(true), file(false));
    assert!(paced.0.lines().count() > 20 && paced.1 > 0, "{paced:?}");
    assert_eq!(paced, at_once);
}
