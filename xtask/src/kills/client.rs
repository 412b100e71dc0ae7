//! A client that posts rows until it hears that they are taken, whatever happens to the server in between.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::row;
use crate::shell::Outcome;

/// A server that is killed when it is dropped.
pub(super) struct Server {
    pub(super) process: Child,
    pub(super) address: String,
}

impl Server {
    /// Starts `command` and waits until it is up; `None` when it ended before.
    pub(super) fn start(mut command: Command) -> Outcome<Option<Self>> {
        let mut process = command.stderr(Stdio::piped()).spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let said = BufReader::new(process.stderr.take().ok_or("no output")?);
        let mut lines = said.lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.split("http://").nth(1)?.split_whitespace().next()?.to_owned()));
        let Some(address) = address else {
            process.wait().map_err(|error| error.to_string())?;
            return Ok(None);
        };
        // What it says later must not block it.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Some(Self { process, address }))
    }

    /// `weir up` with these pipelines on `data`.
    pub(super) fn command(weir: &Path, data: &Path, pipelines: &[&Path]) -> Command {
        let mut command = Command::new(weir);
        command.args(["up", "--listen", "127.0.0.1:0", "--log", "error", "--data"]).arg(data).args(pipelines);
        command.stdin(Stdio::null());
        command
    }

    /// Asks it to stop and waits until it has.
    pub(super) fn stop(mut self) -> Outcome {
        let pid = self.process.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().map_err(|error| error.to_string())?;
        let status = self.process.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("told to stop it ended with {status}")) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Posts the rows `from..to` to `stream` under a key of their own; whether it heard that they are taken.
pub(super) fn post(address: &str, stream: &str, from: u64, to: u64) -> bool {
    let body: String = (from..to).map(row).collect();
    let path = format!("/api/v1/ingest/{stream}");
    let answer = exchange(address, &path, &format!("application/x-ndjson\r\nIdempotency-Key: rows-{from}"), &body);
    answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// How many rows a table has; 0 if it is not there yet, `None` when the server does not answer.
pub(super) fn count(address: &str, table: &str) -> Option<u64> {
    let body = format!("{{\"sql\":\"SELECT count(*) AS n FROM {table}\"}}");
    let answer = exchange(address, "/api/v1/sql?format=ndjson", "application/json", &body).ok()?;
    if answer.is_empty() {
        return None;
    }
    let digits = answer.split_once("{\"n\":").map_or("0", |(_, rest)| rest.split('}').next().unwrap_or("0"));
    digits.parse().ok()
}

fn exchange(address: &str, path: &str, content_type: &str, body: &str) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(address)?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes())?;
    socket.write_all(body.as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    Ok(answer)
}
