//! `weir explain`: the plan, what a running pipeline waits for, and why an event was late.

use std::fs;

use serde_json::Value;

use crate::harness::{Place, awaited, repository, said, well};
use crate::up::Server;

const PIPELINE: &str = r#"
name: minutes
sources: { app: { http: { stream: app }, format: json } }
time: { field: ts, watermark: { bounded: { delay: 5s } } }
steps:
  - name: per_minute
    window: { tumbling: 1m, by: [k], compute: { n: count(*) } }
outputs: [{ table: minutes }]
"#;

#[test]
fn every_example_is_explained() {
    let place = Place::new();
    for example in fs::read_dir(repository().join("examples")).unwrap() {
        let path = example.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let output = place.weir(&["explain"]).arg(&path).output().unwrap();
            well(&output);
            assert!(said(&output).contains("not up on ./data"), "{}", said(&output));
        }
    }
    let output = place.weir(&["explain"]).arg(repository().join("examples/slow-requests.yaml")).output().unwrap();
    for told in [
        "decodes only duration_ms, message, service, status",
        "takes duration_ms, message, service, status",
        "gives window_start, window_end, service, requests, p95, spread, last_message, pane, revision, row_id",
        "panes are 10s and about 8 live at a time",
        "exactly once: rows show when",
    ] {
        assert!(said(&output).contains(told), "{told}: {}", said(&output));
    }
    let nobody = place.weir(&["explain", "nobody"]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(2), "{}", said(&nobody));
}

#[test]
fn a_running_pipeline_says_what_fires_next_and_why_an_event_was_late() {
    let place = Place::new();
    let pipeline = place.write("p.yaml", PIPELINE);
    let server = Server::start(&place, &[pipeline.to_str().unwrap()]);
    let rows = ["10:00:10", "10:02:20", "10:00:30"]
        .map(|time| format!("{{\"ts\":\"2026-01-01T{time}Z\",\"k\":\"a\"}}\n"))
        .concat();
    let (status, answer) = server.send("POST", "/api/v1/ingest/app", "application/x-ndjson", &rows);
    assert_eq!(status, 200, "{answer}");

    let explain = |more: &[&str]| {
        let mut command = place.weir(&["explain", "minutes", "--format", "json", "--data"]);
        let output = command.arg(place.data()).args(more).output().unwrap();
        well(&output);
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let running = awaited("three rows are read and committed", || {
        let running = explain(&[])["running"].clone();
        let so = running["outputs"][0]["balance"]["read"] == 3 && running["last_commit_at"].is_string();
        if so { Ok(running) } else { Err(running.to_string()) }
    });
    let step = &running["steps"][0];
    assert_eq!(
        (step["name"].as_str(), step["next_window"]["end"].as_str(), step["open_rows"].as_u64()),
        (Some("per_minute"), Some("2026-01-01T10:03:00Z"), Some(1)),
        "{running}"
    );
    let text = place.weir(&["explain"]).arg(&pipeline).arg("--data").arg(place.data()).output().unwrap();
    let told = "next to fire: 2026-01-01T10:02:00Z to 2026-01-01T10:03:00Z; the watermark is 45s short of its end";
    assert!(said(&text).contains(told), "{}", said(&text));

    let event = awaited("the late row is in its table", || {
        let rows = server.sql("SELECT source_file, source_offset FROM late_events");
        let row = &rows["rows"][0];
        match (row[0].as_str(), row[1].as_i64()) {
            (Some(file), Some(offset)) => Ok(format!("{file}:{offset}")),
            _ => Err(rows.to_string()),
        }
    });
    let mut command = place.weir(&["explain", pipeline.to_str().unwrap(), "--format", "json", "--why-late", &event]);
    let output = command.arg("--data").arg(place.data()).output().unwrap();
    well(&output);
    let why = serde_json::from_slice::<Value>(&output.stdout).unwrap();
    assert_eq!(
        (why["outcome"].as_str(), why["late_by_ms"].as_i64(), why["lateness_enough_ms"].as_i64()),
        (Some("late"), Some(105_000), Some(75_000)),
        "{why}"
    );
    assert_eq!(explain(&["--why-late", "app:999999"])["outcome"], "not_found");
    let wrong = place.weir(&["explain", "minutes", "--why-late", "app"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2), "{}", said(&wrong));
}
