//! What a scrape says, and that Prometheus' own tool finds nothing wrong with it.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use weir_model::{
    Balance, BreakerState, Clock, Epoch, EventTime, Guarantee, Offset, PartitionId, ProcessingTime, SystemClock,
    Watermark,
};

use super::{BuildInfo, Metrics, QuerySource, TableMeasure, TextFormat, TopicMeasure};
use crate::{Checkpoint, Guarded, NewOutput, PipelineBoard, PipelineState, Stage, Taken};

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> ProcessingTime {
        ProcessingTime::from_micros(100_000_000)
    }
}

fn metrics(board: Arc<PipelineBoard>, clock: Arc<dyn Clock>) -> Arc<Metrics> {
    let build = BuildInfo { version: "0.1.0".to_owned(), commit: "abc".to_owned() };
    Arc::new(Metrics::new(board, build, clock))
}

/// Metrics in which every family has a series.
fn everything() -> Arc<Metrics> {
    let board = PipelineBoard::new();
    let output = NewOutput { name: "errors".to_owned(), kind: "table".to_owned(), guarantee: Guarantee::ExactlyOnce };
    let handle = board.add("spark-logs", vec![output], Fixed.now());
    handle.set_state(PipelineState::Running);
    handle.read(&PartitionId::new("a"), "a", Taken { records: 10, bytes: 640, next: Offset(640) }, Fixed.now());
    handle.set_watermark(Watermark::at(EventTime::from_micros(90_000_000)), None);
    let topic = PartitionId::new("logs:app/0");
    handle.read(&topic, "app/0", Taken { records: 5, bytes: 320, next: Offset(5) }, Fixed.now());
    handle.watch_ends(vec![Arc::new(|| vec![(PartitionId::new("logs:app/0"), Offset(12))])]);
    handle.set_partition_watermark(&topic, Watermark::at(EventTime::from_micros(80_000_000)));
    handle.set_balance(
        "errors",
        Balance { read: 10, results: 6, filtered: 1, late: 1, rejected: 1, open: 1, ..Balance::default() },
    );
    handle.wrote("errors", 2);
    handle.late(1);
    handle.dead_letters(1);
    handle.busy(Stage::Engine, Duration::from_millis(1_500));
    handle.backpressure(Duration::from_millis(250));
    handle.batch_done(Duration::from_millis(3));
    handle.committed(Checkpoint {
        epoch: Epoch(3),
        at: Fixed.now(),
        took: Duration::from_millis(5),
        snapshot_bytes: 7,
    });
    handle.checkpoint_failed();
    let (since, until) = (Fixed.now(), Fixed.now());
    let (hook, users) = (Guarded::Output("errors".to_owned()), Guarded::Lookup("users".to_owned()));
    handle.breaker(&hook, BreakerState::Closed);
    for state in [
        BreakerState::Closed,
        BreakerState::Open { since, until },
        BreakerState::HalfOpen { since, until },
        BreakerState::Open { since, until },
        BreakerState::HalfOpen { since, until },
    ] {
        handle.breaker(&users, state);
    }
    let metrics = metrics(board, Arc::new(Fixed));
    metrics.watch_tables(|| vec![TableMeasure { name: "logs".to_owned(), rows: 5, ..TableMeasure::default() }]);
    metrics.watch_topics(|| {
        let (topic, partition) = ("app".to_owned(), "0".to_owned());
        vec![TopicMeasure { topic, partition, end: 9, deleted_unread_records: 2, ..TopicMeasure::default() }]
    });
    metrics.request("GET", "/api/v1/tables").finish(200);
    metrics.connections(1);
    metrics.refused("bad_host");
    metrics.ingested("app", 3, 99);
    metrics.ingest_refused("too_large");
    metrics.query(QuerySource::Sql, Duration::from_millis(4), Some("bad_sql"));
    metrics
}

/// Prometheus' checker must be installed where tests run: a metric nobody can scrape is a bug, not a detail.
fn promtool(text: &str) -> (bool, String) {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is on PATH (Debian package: prometheus)");
    child.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads all of it");
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn promtool_finds_nothing_wrong() {
    assert_eq!(promtool(&everything().encode(TextFormat::Prometheus)), (true, String::new()));
}

#[test]
fn promtool_finds_nothing_wrong_before_anything_has_happened() {
    let quiet = metrics(PipelineBoard::new(), Arc::new(SystemClock));
    assert_eq!(promtool(&quiet.encode(TextFormat::Prometheus)), (true, String::new()));
}

#[test]
fn a_scrape_shows_what_the_pipelines_wrote_down() {
    let text = everything().encode(TextFormat::Prometheus);
    for line in [
        "# TYPE weir_pipeline_records_read_total counter",
        r#"weir_pipeline_records_read_total{pipeline="spark-logs"} 15"#,
        r#"weir_pipeline_read_bytes_total{pipeline="spark-logs"} 960"#,
        r#"weir_pipeline_watermark_timestamp_seconds{pipeline="spark-logs"} 90.0"#,
        r#"weir_pipeline_watermark_delay_seconds{pipeline="spark-logs"} 10.0"#,
        r#"weir_pipeline_partitions{pipeline="spark-logs",state="reading"} 2.0"#,
        r#"weir_pipeline_lag_records{pipeline="spark-logs"} 7.0"#,
        r#"weir_pipeline_partition_lag_records{pipeline="spark-logs",partition="logs:app/0"} 7.0"#,
        r#"weir_pipeline_partition_records_read_total{pipeline="spark-logs",partition="logs:app/0"} 5"#,
        r#"weir_pipeline_partition_watermark_timestamp_seconds{pipeline="spark-logs",partition="logs:app/0"} 80.0"#,
        r#"weir_pipeline_busy_seconds_total{pipeline="spark-logs",stage="engine"} 1.5"#,
        r#"weir_pipeline_backpressure_seconds_total{pipeline="spark-logs"} 0.25"#,
        r#"weir_pipeline_checkpoint_duration_seconds_bucket{le="0.005",pipeline="spark-logs"} 1"#,
        r#"weir_pipeline_rows_total{pipeline="spark-logs",output="errors",outcome="read"} 10"#,
        r#"weir_pipeline_rows_total{pipeline="spark-logs",output="errors",outcome="results"} 6"#,
        r#"weir_pipeline_rows_total{pipeline="spark-logs",output="errors",outcome="rejected"} 1"#,
        r#"weir_pipeline_open_rows{pipeline="spark-logs",output="errors"} 1"#,
        r#"weir_pipeline_balance_holds{pipeline="spark-logs",output="errors"} 1"#,
        r#"weir_output_breaker_state{pipeline="spark-logs",output="errors",state="closed"} 1"#,
        r#"weir_output_breaker_state{pipeline="spark-logs",output="errors",state="open"} 0"#,
        r#"weir_output_breaker_opened_total{pipeline="spark-logs",output="errors"} 0"#,
        r#"weir_lookup_breaker_state{pipeline="spark-logs",step="users",state="closed"} 0"#,
        r#"weir_lookup_breaker_state{pipeline="spark-logs",step="users",state="half_open"} 1"#,
        r#"weir_lookup_breaker_opened_total{pipeline="spark-logs",step="users"} 2"#,
        r#"weir_table_rows{table="logs"} 5.0"#,
        r#"weir_http_requests_total{method="GET",route="/api/v1/tables",status="200"} 1"#,
        r#"weir_ingest_records_total{stream="app"} 3"#,
        r#"weir_query_errors_total{source="sql",code="bad_sql"} 1"#,
        r#"weir_build_info{version="0.1.0",commit="abc"} 1.0"#,
    ] {
        let numbers_aside = |line: &str| line.trim_end_matches(".0").to_owned();
        assert!(text.lines().any(|found| numbers_aside(found) == numbers_aside(line)), "{line} is not in\n{text}");
    }
}

#[test]
fn a_row_that_is_unaccounted_for_shows_in_the_scrape() {
    let board = PipelineBoard::new();
    let output =
        |name: &str| NewOutput { name: name.to_owned(), kind: "table".to_owned(), guarantee: Guarantee::ExactlyOnce };
    let handle = board.add("p", vec![output("good"), output("bad")], Fixed.now());
    handle.set_balance("good", Balance { read: 3, results: 1, open: 2, ..Balance::default() });
    handle.set_balance("bad", Balance { read: 3, results: 1, open: 1, ..Balance::default() });
    let text = metrics(board, Arc::new(Fixed)).encode(TextFormat::Prometheus);
    for (output, holds) in [("good", 1), ("bad", 0)] {
        let line = format!(r#"weir_pipeline_balance_holds{{pipeline="p",output="{output}"}} {holds}"#);
        assert!(text.lines().any(|found| found.trim_end_matches(".0") == line), "{line} is not in\n{text}");
    }
}

#[test]
fn without_a_watermark_there_is_no_delay() {
    let board = PipelineBoard::new();
    let handle = board.add("p", vec![], Fixed.now());
    let metrics = metrics(board, Arc::new(Fixed));
    for watermark in [Watermark::UNKNOWN, Watermark::END] {
        handle.set_watermark(watermark, None);
        assert!(!metrics.encode(TextFormat::Prometheus).contains("watermark"));
    }
}

#[test]
fn a_request_whose_client_went_away_is_counted_as_such() {
    let metrics = metrics(PipelineBoard::new(), Arc::new(Fixed));
    let request = metrics.request("POST", "/api/v1/sql");
    assert!(metrics.encode(TextFormat::Prometheus).contains("weir_http_requests_in_flight 1\n"));
    drop(request);
    let text = metrics.encode(TextFormat::Prometheus);
    assert!(text.contains(r#"weir_http_requests_total{method="POST",route="/api/v1/sql",status="499"} 1"#));
    assert!(text.contains("weir_http_requests_in_flight 0\n"));
}

#[test]
fn open_metrics_is_given_to_those_who_ask() {
    assert_eq!(
        TextFormat::accepted("application/openmetrics-text;version=1.0.0,text/plain;q=0.5"),
        TextFormat::OpenMetrics
    );
    assert_eq!(TextFormat::accepted("*/*"), TextFormat::Prometheus);
    let text = everything().encode(TextFormat::OpenMetrics);
    assert!(text.ends_with("# EOF\n"));
    assert!(text.contains("# TYPE weir_pipeline_records_read counter\n"));
}
