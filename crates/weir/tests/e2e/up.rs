//! The server: posted rows are durable and soon visible, the probes and metrics are right, a restart shows the same.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::harness::{Place, Running, awaited};

/// A server of its own on a free port.
pub(crate) struct Server {
    process: Running,
    address: String,
    /// What it said before it was up.
    said: String,
}

impl Server {
    pub(crate) fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.weir(&["up", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(place.data()).args(arguments);
        Self::of(command, std::io::sink())
    }

    /// The server that `command` starts; what it says once it is up goes to `log`.
    pub(crate) fn of(mut command: Command, mut log: impl Write + Send + 'static) -> Self {
        let mut process = Running(command.stderr(Stdio::piped()).spawn().unwrap());
        let mut said = BufReader::new(process.0.stderr.take().unwrap());
        let mut before = String::new();
        let address = loop {
            let mut line = String::new();
            assert!(said.read_line(&mut line).unwrap() > 0, "it ended before it was up:\n{before}");
            if let Some(rest) = line.split("http://").nth(1) {
                break rest.split_whitespace().next().unwrap().to_owned();
            }
            before.push_str(&line);
        };
        // Whatever it says later must not block it.
        std::thread::spawn(move || std::io::copy(&mut said, &mut log));
        Self { process, address, said: before }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What it said before it was up.
    pub(crate) fn said(&self) -> &str {
        &self.said
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// Its standard output, where that was piped.
    pub(crate) fn output(&mut self) -> std::process::ChildStdout {
        self.process.0.stdout.take().unwrap()
    }

    /// The exit code, once it ends by itself.
    pub(crate) fn wait(mut self) -> Option<i32> {
        self.process.0.wait().unwrap().code()
    }

    /// Sends a request and returns the status and the body.
    pub(crate) fn send(&self, method: &str, path: &str, content_type: &str, body: &str) -> (u16, String) {
        let (status, _, body) = exchange(&self.address, method, path, content_type, body).unwrap();
        (status, body)
    }

    pub(crate) fn get(&self, path: &str) -> (u16, String) {
        self.send("GET", path, "text/plain", "")
    }

    pub(crate) fn sql(&self, sql: &str) -> serde_json::Value {
        let body = serde_json::json!({ "sql": sql }).to_string();
        let (status, answer) = self.send("POST", "/api/v1/sql", "application/json", &body);
        assert_eq!(status, 200, "{sql}: {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// Asks until the answer's only value is `wanted`.
    pub(crate) fn sql_becomes(&self, sql: &str, wanted: u64) {
        let body = serde_json::json!({ "sql": sql }).to_string();
        awaited(&format!("{sql} gives {wanted}"), || {
            let (status, answer) = self.send("POST", "/api/v1/sql", "application/json", &body);
            let found = serde_json::from_str::<serde_json::Value>(&answer).unwrap_or_default();
            if status == 200 && found["rows"][0][0] == wanted { Ok(()) } else { Err(answer) }
        });
    }

    pub(crate) fn stop(mut self, signal: &str) -> Option<i32> {
        let sent = Command::new("kill").args([signal, &self.process.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
        self.process.0.wait().unwrap().code()
    }
}

/// Sends a request and returns the status, the head and the body, unless the connection breaks on the way.
pub(crate) fn exchange(
    address: &str,
    method: &str,
    path: &str,
    content_type: &str,
    body: &str,
) -> std::io::Result<(u16, String, String)> {
    let mut stream = TcpStream::connect(address)?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let broken = || std::io::Error::other("half an answer");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(broken)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
    let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked { unchunk(body).ok_or_else(broken)? } else { body.to_owned() };
    Ok((status, head.to_owned(), body))
}

/// The body, if it has come to its end.
fn unchunk(mut body: &str) -> Option<String> {
    let mut whole = String::new();
    loop {
        let (length, rest) = body.split_once("\r\n")?;
        let length = usize::from_str_radix(length.trim(), 16).ok()?;
        if length == 0 {
            return Some(whole);
        }
        whole.push_str(rest.get(..length)?);
        body = rest[length..].trim_start_matches("\r\n");
    }
}

pub(crate) fn post_rows(server: &Server, from: u32, to: u32) {
    let rows: String = (from..to)
        .map(|n| format!("{{\"ts\":\"2026-01-01T00:00:00Z\",\"level\":\"INFO\",\"message\":\"row {n}\",\"n\":{n}}}\n"))
        .collect();
    let (status, answer) = server.send("POST", "/api/v1/ingest/logs", "application/x-ndjson", &rows);
    assert_eq!(status, 200, "{answer}");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["accepted"], to - from);
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill_and_only_once() {
    let place = Place::new();
    let mut server = Server::start(&place, &[]);
    for round in 0..5 {
        post_rows(&server, round * 100, (round + 1) * 100);
        assert_eq!(server.stop("-KILL"), None, "killed");
        server = Server::start(&place, &[]);
    }
    server.sql_becomes("SELECT count(*) FROM logs", 500);
    let distinct = server.sql("SELECT count(DISTINCT n), min(n), max(n) FROM logs");
    assert_eq!(distinct["rows"][0], serde_json::json!([500, 0, 499]));
    assert_eq!(server.stop("-TERM"), Some(0), "a clean end");
}

#[test]
fn posted_rows_are_visible_within_a_second_or_two_and_a_restart_shows_the_same() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    post_rows(&server, 0, 10);
    server.sql_becomes("SELECT count(*) FROM logs", 10);
    let (status, logs) = server.get("/api/v1/logs?table=logs&q=ROW%207");
    assert_eq!(status, 200, "{logs}");
    let logs: serde_json::Value = serde_json::from_str(&logs).unwrap();
    assert_eq!(logs["rows"].as_array().unwrap().len(), 1, "{logs}");
    assert_eq!(server.stop("-INT"), Some(0));

    let server = Server::start(&place, &[]);
    assert_eq!(server.sql("SELECT count(*) FROM logs")["rows"][0][0], 10);
    let tables = server.get("/api/v1/tables").1;
    assert!(tables.contains("\"logs\""), "{tables}");
}

#[test]
fn wrong_bodies_are_refused_with_reasons_and_nothing_of_them_is_kept() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let (status, answer) = server.send(
        "POST",
        "/api/v1/ingest/logs",
        "application/x-ndjson",
        "{\"ts\":\"2026-01-01T00:00:00Z\"}\nnot json\n",
    );
    assert_eq!(status, 400, "{answer}");
    assert!(answer.contains("line 2"), "{answer}");
    let (status, answer) = server.send("POST", "/api/v1/ingest/nobody", "application/x-ndjson", "{\"n\":1}\n");
    assert_eq!(status, 404, "{answer}");
    let (status, answer) = server.send(
        "POST",
        "/api/v1/ingest/logs",
        "application/json",
        "[{\"ts\":\"2026-01-01T00:00:00Z\",\"n\":1},{\"ts\":\"2026-01-01T00:00:01Z\",\"n\":2}]",
    );
    assert_eq!(status, 200, "{answer}");
    server.sql_becomes("SELECT count(*) FROM logs", 2);
    let (status, answer) = server.send("POST", "/api/v1/sql", "application/json", "{\"sql\":\"DROP TABLE logs\"}");
    assert_eq!(status, 400, "{answer}");
    assert!(answer.contains("read_only"), "{answer}");
}

#[test]
fn probes_metrics_and_the_page_answer() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    post_rows(&server, 0, 3);
    server.sql_becomes("SELECT count(*) FROM logs", 3);
    for probe in ["live", "ready", "startup"] {
        assert_eq!(server.get(&format!("/health/{probe}")).0, 200, "{probe}");
    }
    let (status, page) = server.get("/");
    assert_eq!(status, 200);
    assert!(page.contains("<title>"), "{page}");
    let (_, metrics) = server.get("/metrics");
    assert!(
        metrics.lines().any(|line| line.starts_with("weir_") && line.contains("pipeline=\"default\"")),
        "{metrics}"
    );

    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let verdict = promtool.wait_with_output().unwrap();
    assert!(verdict.status.success(), "{}", String::from_utf8_lossy(&verdict.stdout));

    // The board is brought up to date several times a second, so it is asked until it is.
    awaited("three results are in the balance", || {
        let pipelines: serde_json::Value = serde_json::from_str(&server.get("/api/v1/pipelines").1).unwrap();
        let output = &pipelines["pipelines"][0]["outputs"][0];
        assert_eq!(output["holds"], true, "{pipelines}");
        if output["balance"]["results"] == 3 { Ok(()) } else { Err(pipelines.to_string()) }
    });
}

#[test]
fn an_address_that_others_can_reach_is_refused() {
    let place = Place::new();
    let output = place.weir(&["up", "--listen", "0.0.0.0:0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--allow-unauthenticated"));
}
