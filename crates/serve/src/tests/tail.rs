//! Live tails over a real store: rows as they come, filtered, each once, and no more clients than there is room for.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

use super::stage::{PATIENCE, Stage, logs, read_all, start, start_with};
use crate::Limits;

/// Opens a tail and reads its head.
async fn tail(stage: &Stage, params: &str) -> Lines<BufReader<TcpStream>> {
    admitted(stage, params).await.expect("there is room for a tail")
}

/// Opens a tail and reads its head; `None` if there was no room for it.
async fn admitted(stage: &Stage, params: &str) -> Option<Lines<BufReader<TcpStream>>> {
    let mut socket = stage.connect().await;
    let head = format!("GET /api/v1/logs/tail?{params} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    socket.write_all(head.as_bytes()).await.expect("it is taken");
    let mut lines = BufReader::new(socket).lines();
    let first = line(&mut lines).await;
    if first == "HTTP/1.1 503 Service Unavailable" {
        return None;
    }
    assert_eq!(first, "HTTP/1.1 200 OK");
    while line(&mut lines).await != "retry: 2000" {}
    Some(lines)
}

async fn line(lines: &mut Lines<BufReader<TcpStream>>) -> String {
    let read = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it comes in time");
    read.expect("the connection holds").expect("the answer goes on")
}

/// The message of the next row.
async fn message(lines: &mut Lines<BufReader<TcpStream>>) -> String {
    loop {
        if let Some(data) = line(lines).await.strip_prefix("data: ") {
            let row: serde_json::Value = serde_json::from_str(data).expect("a row is JSON");
            return row["message"].as_str().map_or_else(|| row.to_string(), str::to_owned);
        }
    }
}

#[tokio::test]
async fn rows_come_as_they_are_written_and_each_once() {
    let stage = start().await;
    let mut writer = stage.data.writer("logs");
    writer.append(&logs(&["0 INFO old"])).expect("the disk works");
    let mut all = tail(&stage, "table=logs").await;
    let mut errors = tail(&stage, "table=logs&levels=ERROR,FATAL&q=DISK").await;
    writer.append(&logs(&["1 INFO first", "2 ERROR disk full", "3 WARN disk slow"])).expect("the disk works");
    stage.data.commit(&mut writer, 1).await;
    writer.append(&logs(&["4 FATAL the Disk is gone", "0 ERROR late"])).expect("the disk works");
    for expected in ["first", "disk full", "disk slow", "the Disk is gone", "late"] {
        assert_eq!(message(&mut all).await, expected);
    }
    for expected in ["disk full", "the Disk is gone"] {
        assert_eq!(message(&mut errors).await, expected);
    }
}

#[tokio::test]
async fn a_tail_of_no_table_is_refused_with_the_nearest() {
    let stage = start().await;
    let mut writer = stage.data.writer("logs");
    writer.append(&logs(&["0 INFO old"])).expect("the disk works");
    let answer = stage.get("/api/v1/logs/tail?table=log").await;
    assert_eq!(answer.error(), (404, "unknown_table".to_owned()));
    assert_eq!(answer.json()["error"]["hint"], "did you mean logs?");
    assert_eq!(stage.get("/api/v1/logs/tail").await.error(), (400, "bad_parameter".to_owned()));
}

#[tokio::test]
async fn there_are_only_so_many_tails_and_a_closed_one_makes_room() {
    let stage = start_with(Limits { tails_max: 1, ..Limits::default() }).await;
    let mut writer = stage.data.writer("logs");
    writer.append(&logs(&["0 INFO old"])).expect("the disk works");
    let first = tail(&stage, "table=logs").await;
    assert_eq!(stage.get("/api/v1/logs/tail?table=logs").await.error(), (503, "too_many_tails".to_owned()));
    drop(first);
    // Only asking tells when the server has noticed.
    let again = async { while admitted(&stage, "table=logs").await.is_none() {} };
    tokio::time::timeout(PATIENCE, again).await.expect("the server notices");
}

#[tokio::test]
async fn a_tail_outlives_the_time_of_a_request_and_ends_with_the_server() {
    // Long enough to be let in on a busy machine.
    const SHORT: Duration = Duration::from_millis(600);
    let stage = start_with(Limits { request_time_max: SHORT, ..Limits::default() }).await;
    let mut writer = stage.data.writer("logs");
    writer.append(&logs(&["0 INFO old"])).expect("the disk works");
    let mut lines = tail(&stage, "table=logs").await;
    tokio::time::sleep(SHORT * 2).await;
    writer.append(&logs(&["1 INFO new"])).expect("the disk works");
    assert_eq!(message(&mut lines).await, "new");
    stage.stop.send(()).expect("the server runs");
    read_all(&mut lines.into_inner().into_inner()).await;
    assert_eq!(tokio::time::timeout(PATIENCE, stage.running).await.expect("it ends").expect("it does not panic"), 0);
}
