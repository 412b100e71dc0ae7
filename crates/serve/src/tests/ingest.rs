//! Records over HTTP: what is taken, what is refused, and that nothing of a refused body is taken.

use std::io::Write;
use std::time::Duration;

use weir_model::PressureLevel;

use super::stage::{Stage, start, start_with};
use crate::Limits;

const NDJSON: &str = "\r\nContent-Type: application/x-ndjson";

fn taken(stage: &Stage) -> Vec<String> {
    let taken = stage.ingest.taken.lock().expect("no test panics here");
    taken.iter().map(|record| String::from_utf8_lossy(record).into_owned()).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(bytes).expect("memory is writable");
    gzip.finish().expect("memory is writable")
}

#[tokio::test]
async fn lines_are_taken_and_acknowledged_with_their_offset() {
    let stage = start().await;
    let answer = stage.post("/api/v1/ingest/app", NDJSON, b"{\"a\":1}\n{\"a\":2}\n").await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, serde_json::json!({ "accepted": 2, "partition": 0, "first_offset": 0 }))
    );
    let more = stage.post("/api/v1/ingest/app", NDJSON, b"{\"a\":3}").await;
    assert_eq!(more.json(), serde_json::json!({ "accepted": 1, "partition": 0, "first_offset": 2 }));
    assert_eq!(taken(&stage), ["{\"a\":1}", "{\"a\":2}", "{\"a\":3}"]);
    assert!(stage.scrape().contains(r#"weir_ingest_records_total{stream="app"} 3"#));
}

#[tokio::test]
async fn nothing_is_taken_while_there_is_no_memory_and_the_answer_says_when_to_come_back() {
    let stage = start().await;
    stage.pressure.tell(PressureLevel::Critical, 500 << 20, 512 << 20);
    let body = "{\"a\":1}\n".repeat(100_000);
    let answer = stage.post("/api/v1/ingest/app", NDJSON, body.as_bytes()).await;
    assert_eq!((answer.error(), answer.header("retry-after")), ((503, "memory".to_owned()), Some("1")));
    let expected = "nothing is received: the process takes 500MiB of the 512MiB of memory that it may";
    assert_eq!(answer.json()["error"]["message"], expected);
    assert_eq!(taken(&stage), [""; 0]);
    assert!(stage.scrape().contains(r#"weir_ingest_refused_total{reason="memory"} 1"#));
    stage.pressure.tell(PressureLevel::High, 450 << 20, 512 << 20);
    assert_eq!(stage.post("/api/v1/ingest/app", NDJSON, b"{\"a\":1}\n").await.status, 200);
}

#[tokio::test]
async fn an_array_is_taken_record_by_record() {
    let stage = start().await;
    let answer =
        stage.post("/api/v1/ingest/app", "\r\nContent-Type: application/json", b"[{\"a\":1}, {\"a\":2}]").await;
    assert_eq!((answer.status, answer.json()["accepted"].clone()), (200, 2.into()));
    assert_eq!(taken(&stage), ["{\"a\":1}", "{\"a\":2}"]);
}

#[tokio::test]
async fn a_compressed_body_is_unpacked() {
    let stage = start().await;
    let headers = format!("{NDJSON}\r\nContent-Encoding: gzip");
    assert_eq!(stage.post("/api/v1/ingest/app", &headers, &gzip(b"{\"a\":1}\n")).await.status, 200);
    assert_eq!(taken(&stage), ["{\"a\":1}"]);
}

#[tokio::test]
async fn one_bad_line_refuses_the_whole_body_and_is_named() {
    let stage = start().await;
    let answer = stage.post("/api/v1/ingest/app", NDJSON, b"{\"a\":1}\n{\"a\":\n").await;
    assert_eq!(answer.error().0, 400);
    assert!(answer.text().contains("line 2"), "{}", answer.text());
    assert_eq!(taken(&stage), [""; 0]);
    assert!(stage.scrape().contains(r#"weir_ingest_refused_total{reason="bad_body"} 1"#));
}

#[tokio::test]
async fn an_unknown_type_or_encoding_is_refused() {
    let stage = start().await;
    assert_eq!(stage.post("/api/v1/ingest/app", "\r\nContent-Type: text/xml", b"<a/>").await.error().0, 415);
    let headers = format!("{NDJSON}\r\nContent-Encoding: br");
    assert_eq!(stage.post("/api/v1/ingest/app", &headers, b"{}").await.error().0, 415);
}

#[tokio::test]
async fn an_unknown_stream_names_the_ones_there_are() {
    let stage = start().await;
    let answer = stage.post("/api/v1/ingest/ap", NDJSON, b"{}\n").await;
    assert_eq!(answer.error(), (404, "unknown_stream".to_owned()));
    assert_eq!(answer.json()["error"]["hint"], "did you mean app?");
    let far = stage.post("/api/v1/ingest/zzzzz", NDJSON, b"{}\n").await;
    assert_eq!(far.json()["error"]["hint"], "the streams are app");
    assert!(!stage.scrape().contains("zzzzz"), "a label does not grow with what clients make up");
}

#[tokio::test]
async fn a_full_disk_asks_to_come_back_later() {
    let stage = start().await;
    let answer = stage.post("/api/v1/ingest/full", NDJSON, b"{}\n").await;
    assert_eq!((answer.error(), answer.header("retry-after")), ((503, "unavailable".to_owned()), Some("30")));
    assert_eq!(stage.post("/api/v1/ingest/broken", NDJSON, b"{}\n").await.error(), (500, "ingest_failed".to_owned()));
}

#[tokio::test]
async fn a_body_beyond_the_limit_is_refused_announced_or_not() {
    let stage = start_with(Limits { body_bytes_max: 1_000, ..Limits::default() }).await;
    let announced = "POST /api/v1/ingest/app HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001";
    assert_eq!(stage.ask(announced, b"").await.error(), (413, "too_large".to_owned()));
    let chunked = "POST /api/v1/ingest/app HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked";
    let mut body = Vec::new();
    for _ in 0..11 {
        body.extend_from_slice(format!("64\r\n{}\r\n", " ".repeat(100)).as_bytes());
    }
    assert_eq!(stage.ask(chunked, &body).await.error(), (413, "too_large".to_owned()));
    let fits = format!("{{\"a\":\"{}\"}}", "x".repeat(1_000 - 8));
    assert_eq!(fits.len(), 1_000);
    assert_eq!(stage.post("/api/v1/ingest/app", NDJSON, fits.as_bytes()).await.status, 200);
}

#[tokio::test]
async fn a_small_body_that_unpacks_to_a_huge_one_is_refused() {
    let stage = start().await;
    let bomb = gzip(&vec![b' '; 80 << 20]);
    assert!(bomb.len() < 1 << 20);
    let headers = format!("{NDJSON}\r\nContent-Encoding: gzip");
    assert_eq!(stage.post("/api/v1/ingest/app", &headers, &bomb).await.error().0, 413);
    assert_eq!(taken(&stage), [""; 0]);
}

#[tokio::test]
async fn what_bodies_become_counts_as_well() {
    let stage = start_with(Limits { bodies_bytes_max: 64 << 10, ..Limits::default() }).await;
    let headers = format!("{NDJSON}\r\nContent-Encoding: gzip");
    let packed = |bytes: usize| gzip(format!("{{\"a\":\"{}\"}}", "x".repeat(bytes)).as_bytes());
    let answer = stage.post("/api/v1/ingest/app", &headers, &packed(80 << 10)).await;
    assert_eq!((answer.error(), answer.header("retry-after")), ((503, "busy".to_owned()), Some("1")));
    assert_eq!(
        stage.post("/api/v1/ingest/app", &headers, &packed(40 << 10)).await.status,
        200,
        "the room is free again"
    );
}

#[tokio::test]
async fn bodies_share_their_memory() {
    let limits = Limits { bodies_bytes_max: 4 << 10, body_idle_max: Duration::from_secs(60), ..Limits::default() };
    let stage = start_with(limits).await;
    let large = vec![b'\n'; 5 << 10];
    let answer = stage.post("/api/v1/ingest/app", NDJSON, &large).await;
    assert_eq!((answer.error(), answer.header("retry-after")), ((503, "busy".to_owned()), Some("1")));
    assert_eq!(stage.post("/api/v1/ingest/app", NDJSON, b"{}\n").await.status, 200, "the room is free again");
}

#[tokio::test]
async fn what_comes_again_with_its_key_is_acknowledged_again_and_taken_once() {
    let stage = start().await;
    let headers = format!("{NDJSON}\r\nIdempotency-Key: 5f1b");
    let first = stage.post("/api/v1/ingest/app", &headers, b"{\"a\":1}\n").await;
    assert_eq!(
        (first.status, first.json()),
        (200, serde_json::json!({ "accepted": 1, "partition": 0, "first_offset": 0 }))
    );
    let again = stage.post("/api/v1/ingest/app", &headers, b"{\"a\":1}\n").await;
    assert_eq!((again.status, again.json()["repeated"].clone()), (200, true.into()));
    assert_eq!(taken(&stage), ["{\"a\":1}"]);
    assert!(stage.scrape().contains(r#"weir_ingest_records_total{stream="app"} 1"#));
}

#[tokio::test]
async fn the_partition_key_of_a_request_reaches_the_log() {
    let stage = start().await;
    let headers = format!("{NDJSON}\r\nWeir-Partition-Key: four");
    let answer = stage.post("/api/v1/ingest/app", &headers, b"{\"a\":1}\n").await;
    assert_eq!((answer.status, answer.json()["partition"].clone()), (200, 4.into()));
    let headers = format!("{NDJSON}\r\nWeir-Partition-Key: {}", "k".repeat(256));
    let refused = stage.post("/api/v1/ingest/app", &headers, b"{\"a\":1}\n").await;
    assert_eq!(refused.error(), (400, "bad_key".to_owned()));
}

#[tokio::test]
async fn a_key_for_other_records_and_a_key_that_is_none_are_refused() {
    let stage = start().await;
    let headers = format!("{NDJSON}\r\nIdempotency-Key: 5f1b");
    let reused = stage.post("/api/v1/ingest/reused", &headers, b"{\"a\":1}\n").await;
    assert_eq!(reused.error(), (422, "key_reused".to_owned()));
    for key in ["", &"k".repeat(256)] {
        let headers = format!("{NDJSON}\r\nIdempotency-Key: {key}");
        assert_eq!(stage.post("/api/v1/ingest/app", &headers, b"{}").await.error(), (400, "bad_key".to_owned()));
    }
    assert_eq!(taken(&stage), [""; 0]);
}
