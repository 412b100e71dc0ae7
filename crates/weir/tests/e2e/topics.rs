//! Streams of several partitions and what is kept of them, on the real binary.

use crate::harness::{Place, until};
use crate::up::{Server, exchange};

const PIPELINE: &str = "\
name: parts
sources:
  app:
    http: { stream: app, partitions: 3 }
    format: json
time: { field: ts, watermark: { bounded: { delay: 1s } }, idle_after: 1s }
steps:
  - name: per_minute
    window: { tumbling: 1m, compute: { events: count(*) } }
outputs:
  - table: rows
    from: app
  - table: per_minute
epoch: 200ms
";

fn post(server: &Server, body: &str, key: Option<&str>) -> serde_json::Value {
    let key = key.map_or(String::new(), |key| format!("\r\nWeir-Partition-Key: {key}"));
    let content_type = format!("application/x-ndjson{key}");
    let (status, _, answer) = exchange(server.address(), "POST", "/api/v1/ingest/app", &content_type, body).unwrap();
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str(&answer).unwrap()
}

fn row(minute: u32, n: u32) -> String {
    format!("{{\"ts\":\"2026-01-01T00:{minute:02}:00Z\",\"n\":{n}}}\n")
}

#[test]
fn a_stream_of_three_partitions_is_written_in_turns_or_by_key_and_read_with_a_watermark_each() {
    let place = Place::new();
    let file = place.write("parts.yaml", PIPELINE);
    let server = Server::start(&place, &[file.to_str().unwrap()]);
    let turns: Vec<u64> = (0..6).map(|n| post(&server, &row(0, n), None)["partition"].as_u64().unwrap()).collect();
    assert_eq!(turns, [0, 1, 2, 0, 1, 2]);
    let keyed: Vec<u64> =
        (6..12).map(|n| post(&server, &row(0, n), Some("user 7"))["partition"].as_u64().unwrap()).collect();
    assert!(keyed.iter().all(|partition| *partition == keyed[0]), "{keyed:?}");
    server.sql_becomes("SELECT count(*) FROM rows", 12);
    // Only one partition goes on; the others are caught up with and idle, and do not hold the window.
    post(&server, &row(5, 12), Some("user 7"));
    server.sql_becomes("SELECT events FROM per_minute", 12);
    let pipelines = server.get("/api/v1/pipelines").1;
    for partition in ["app:app\"", "app:app/1\"", "app:app/2\""] {
        assert!(pipelines.contains(partition), "{partition} in {pipelines}");
    }
    assert_eq!(server.stop("-KILL"), None);
    let server = Server::start(&place, &[file.to_str().unwrap()]);
    post(&server, &row(5, 13), None);
    server.sql_becomes("SELECT count(*) FROM rows", 14);
    assert_eq!(server.sql("SELECT count(DISTINCT n) FROM rows")["rows"][0][0], 14, "every position was kept");
}

#[test]
fn what_every_pipeline_has_committed_is_deleted_when_the_stream_is_larger_than_it_may_be() {
    let place = Place::new();
    let yaml = PIPELINE.replace("partitions: 3", "partitions: 1, retain: { bytes: 2MiB }");
    let file = place.write("parts.yaml", yaml);
    let server = Server::start(&place, &[file.to_str().unwrap()]);
    let padding = "x".repeat(1000);
    let mut sent = 0;
    for _ in 0..6 {
        let body: String = (0..1000)
            .map(|n| format!("{{\"ts\":\"2026-01-01T00:00:00Z\",\"n\":{},\"padding\":\"{padding}\"}}\n", sent + n))
            .collect();
        post(&server, &body, None);
        sent += 1000;
    }
    server.sql_becomes("SELECT count(*) FROM rows", sent);
    let metric = |name: &str| -> f64 {
        let metrics = server.get("/metrics").1;
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name} in {metrics}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    until("the oldest is deleted", || {
        let deleted = metric("weir_log_deleted_bytes_total") >= 3_000_000.0;
        if !deleted {
            // What the oldest commit that is kept still needs stays: a little more has to be committed.
            post(&server, &row(0, u32::try_from(sent).unwrap()), None);
            sent += 1;
        }
        deleted
    });
    assert!(metric("weir_log_start_offset") > 0.0);
    assert_eq!(metric("weir_log_deleted_unread_records_total"), 0.0);
    assert_eq!(server.stop("-TERM"), Some(0));
    let server = Server::start(&place, &[file.to_str().unwrap()]);
    post(&server, &row(0, 9_999), None);
    server.sql_becomes("SELECT count(*) FROM rows", sent + 1);
}

#[test]
fn two_pipelines_that_want_the_same_stream_kept_differently_are_refused() {
    let place = Place::new();
    let one = place.write("one.yaml", PIPELINE);
    let other = place
        .write("other.yaml", PIPELINE.replace("name: parts", "name: others").replace("partitions: 3", "partitions: 2"));
    let output =
        place.weir(&["up", "--listen", "127.0.0.1:0", "--data"]).arg(place.data()).args([one, other]).output().unwrap();
    let text = crate::harness::said(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("parts, sources.app.http") && text.contains("others, sources.app.http"), "{text}");
}
