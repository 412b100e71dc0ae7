//! Clients that are slow, silent, greedy, or in the way of a shutdown.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stage::{PATIENCE, read_all, read_answer, start, start_with};
use crate::Limits;

/// Long enough for a loopback round trip on a busy machine where it must not run out, short enough to wait for.
const SHORT: Duration = Duration::from_millis(600);

#[tokio::test]
async fn a_head_that_comes_too_slowly_ends_the_connection() {
    let stage = start_with(Limits { header_time_max: SHORT, ..Limits::default() }).await;
    let mut slow = stage.connect().await;
    slow.write_all(b"GET / HTTP/1.1\r\nHost: local").await.expect("it is taken");
    assert_eq!(read_all(&mut slow).await, b"");
    let mut silent = stage.connect().await;
    assert_eq!(read_all(&mut silent).await, b"");
    assert!(stage.scrape().contains(r#"weir_http_refused_total{reason="header_time"} 2"#));
}

#[tokio::test]
async fn a_connection_that_rests_is_kept_for_its_own_time_and_then_closed() {
    let limits = Limits { header_time_max: PATIENCE, keep_alive_idle_max: SHORT, ..Limits::default() };
    let stage = start_with(limits).await;
    let mut socket = stage.connect().await;
    socket.write_all(b"GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it is taken");
    let answer = read_answer(&mut socket).await;
    assert_eq!(answer.status, 200, "and then it was closed");
    assert!(stage.scrape().contains(r#"weir_http_refused_total{reason="keep_alive_idle"} 1"#));
}

#[tokio::test]
async fn a_second_request_on_a_connection_has_the_time_of_a_head_again() {
    let limits = Limits { header_time_max: SHORT, keep_alive_idle_max: PATIENCE, ..Limits::default() };
    let stage = start_with(limits).await;
    let mut socket = stage.connect().await;
    let request = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n";
    socket.write_all(request).await.expect("it is taken");
    let mut first = [0; 12];
    socket.read_exact(&mut first).await.expect("an answer comes");
    tokio::time::sleep(SHORT * 3).await;
    socket.write_all(request).await.expect("a resting connection is not closed as if its head were slow");
    let rest = read_all(&mut socket_after_partial_head(socket).await).await;
    assert_eq!(String::from_utf8_lossy(&rest).matches("HTTP/1.1 200 OK").count(), 1);
    assert!(stage.scrape().contains(r#"weir_http_refused_total{reason="header_time"} 1"#));
}

/// Begins a third request and leaves it unfinished.
async fn socket_after_partial_head(mut socket: tokio::net::TcpStream) -> tokio::net::TcpStream {
    // Wait for the second answer to begin, so that what follows is a new head.
    while socket.read_u8().await.expect("the rest of the first answer") != b'}' {}
    socket.write_all(b"GET / HT").await.expect("it is taken");
    socket
}

#[tokio::test]
async fn a_body_that_stops_coming_is_answered_with_408() {
    let stage = start_with(Limits { body_idle_max: SHORT, ..Limits::default() }).await;
    let answer =
        stage.ask("POST /api/v1/ingest/app HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100", b"{\"a\"").await;
    assert_eq!(answer.error(), (408, "body_timeout".to_owned()));
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let stage = start_with(Limits { request_time_max: SHORT, ..Limits::default() }).await;
    let answer = stage.post("/api/v1/ingest/stuck", "\r\nContent-Type: application/x-ndjson", b"{}\n").await;
    assert_eq!(answer.error(), (504, "timeout".to_owned()));
}

#[tokio::test]
async fn a_client_that_goes_away_is_not_worked_for() {
    let stage = start().await;
    let mut socket = stage.connect().await;
    let head = "POST /api/v1/ingest/stuck HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: 3\r\n\r\n{}\n";
    socket.write_all(head.as_bytes()).await.expect("it is taken");
    until(|| stage.scrape().contains("weir_http_requests_in_flight 1")).await;
    drop(socket);
    until(|| stage.scrape().contains(r#"route="/api/v1/ingest/{stream}",status="499"} 1"#)).await;
    until(|| stage.scrape().contains("weir_http_connections 0")).await;
}

#[tokio::test]
async fn heads_beyond_the_limits_are_refused() {
    let stage = start().await;
    let many: String = (0..101).map(|n| format!("\r\nX-{n}: 1")).collect();
    assert_eq!(stage.ask(&format!("GET / HTTP/1.1\r\nHost: localhost{many}"), b"").await.status, 431);
    let long = "x".repeat(65 << 10);
    assert_eq!(stage.ask(&format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {long}"), b"").await.status, 431);
}

#[tokio::test]
async fn one_connection_too_many_is_told_so_and_the_others_go_on() {
    let stage = start_with(Limits { connections_max: 2, ..Limits::default() }).await;
    let (first, second) = (stage.connect().await, stage.connect().await);
    until(|| stage.scrape().contains("weir_http_connections 2")).await;
    let answer = read_answer(&mut stage.connect().await).await;
    assert_eq!(answer.error(), (503, "too_many_connections".to_owned()));
    assert_eq!(answer.header("retry-after"), Some("1"));
    drop(first);
    until(|| stage.scrape().contains("weir_http_connections 1")).await;
    assert_eq!(stage.get("/health/live").await.status, 200);
    drop(second);
}

#[tokio::test]
async fn a_shutdown_closes_what_rests_and_lets_requests_finish() {
    let stage = start().await;
    let mut resting = stage.connect().await;
    resting.write_all(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it is taken");
    resting.read_u8().await.expect("the answer has begun");
    let mut open = stage.connect().await;
    let head = "POST /api/v1/ingest/app HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: 8\r\n\r\n";
    open.write_all(head.as_bytes()).await.expect("it is taken");
    until(|| stage.scrape().contains("weir_http_requests_in_flight 1")).await;
    stage.stop.send(()).expect("the server runs");
    read_all(&mut resting).await;
    open.write_all(b"{\"a\":1}\n").await.expect("an open request may finish");
    assert_eq!(read_answer(&mut open).await.status, 200);
    let cut_off = tokio::time::timeout(PATIENCE, stage.running).await.expect("it ends").expect("it does not panic");
    assert_eq!(cut_off, 0);
    assert!(tokio::net::TcpStream::connect(stage.addr).await.is_err());
}

#[tokio::test]
async fn a_shutdown_does_not_wait_forever() {
    let stage = start_with(Limits { shutdown_time_max: SHORT, ..Limits::default() }).await;
    let mut stuck = stage.connect().await;
    let head = "POST /api/v1/ingest/stuck HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\nContent-Length: 3\r\n\r\n{}\n";
    stuck.write_all(head.as_bytes()).await.expect("it is taken");
    until(|| stage.scrape().contains("weir_http_requests_in_flight 1")).await;
    stage.stop.send(()).expect("the server runs");
    let cut_off = tokio::time::timeout(PATIENCE, stage.running).await.expect("it ends").expect("it does not panic");
    assert_eq!(cut_off, 1);
}

/// Lets the server's tasks run until `seen`.
async fn until(seen: impl Fn() -> bool) {
    let watching = async {
        while !seen() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, watching).await.expect("it happens in time");
}
