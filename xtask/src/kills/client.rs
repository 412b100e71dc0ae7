//! A client that posts rows until it hears that they are taken, whatever happens to the server in between.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::shell::Outcome;

/// Between two looks at whether a process has ended.
const LOOK: Duration = Duration::from_millis(5);
/// How long an answer is waited for; a server that takes longer counts as one that gives none.
const ANSWER: Duration = Duration::from_secs(60);
/// How long the last commit may take where a slow machine, or strace, slows it down.
const STOP_WITHIN: &str = "120s";

/// A server that is killed when it is dropped, also one that something else has started.
pub(super) struct Server {
    pub(super) process: Child,
    pub(super) address: String,
}

impl Server {
    /// Starts `command` and waits until it is up, or has ended before.
    pub(super) fn start(mut command: Command) -> Outcome<Result<Self, ExitStatus>> {
        let mut process = command.stderr(Stdio::piped()).spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let said = BufReader::new(process.stderr.take().ok_or("no output")?);
        let mut lines = said.lines().map_while(Result::ok);
        let address = lines.find_map(|line| Some(line.split("http://").nth(1)?.split_whitespace().next()?.to_owned()));
        let Some(address) = address else {
            return process.wait().map(Err).map_err(|error| error.to_string());
        };
        // What it says later must not block it.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Ok(Self { process, address }))
    }

    /// `weir up` with these pipelines on `data`.
    pub(super) fn command(weir: &Path, data: &Path, pipelines: &[&Path]) -> Command {
        let mut command = Command::new(weir);
        command.args(["up", "--listen", "127.0.0.1:0", "--log", "error", "--data"]).arg(data).args(pipelines);
        command.env("WEIR_STOP_WITHIN", STOP_WITHIN).stdin(Stdio::null());
        command
    }

    /// Asks it to stop and waits until it has.
    pub(super) fn stop(mut self) -> Outcome {
        signal("-TERM", self.process.id())?;
        let status = self.process.wait().map_err(|error| error.to_string())?;
        if status.success() { Ok(()) } else { Err(format!("told to stop it ended with {status}")) }
    }

    /// Asks the server that strace has started to stop, and waits until it has: strace itself would let go of it when asked.
    /// The status is that of the server.
    pub(super) fn stop_traced(mut self) -> Outcome<ExitStatus> {
        for pid in children(self.process.id()) {
            signal("-TERM", pid)?;
        }
        self.process.wait().map_err(|error| error.to_string())
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// Waits for its end, which is due.
    pub(super) fn ended_within(mut self, patience: Duration) -> Outcome<ExitStatus> {
        let began = Instant::now();
        loop {
            match self.process.try_wait().map_err(|error| error.to_string())? {
                Some(status) => return Ok(status),
                None if began.elapsed() > patience => {
                    return Err(format!("it takes no rows, and does not end for {} s", patience.as_secs()));
                }
                None => look_later(),
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for")]
fn look_later() {
    std::thread::sleep(LOOK);
}

/// The processes that `pid` has started and that have not ended.
fn children(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn signal(which: &str, pid: u32) -> Outcome {
    Command::new("kill")
        .args([which, &pid.to_string()])
        .stderr(Stdio::null())
        .status()
        .map(drop)
        .map_err(|error| error.to_string())
}

impl Drop for Server {
    fn drop(&mut self) {
        // A tracer that is killed lets go of what it traces. What has ended has no children, and its number is kept by us.
        if matches!(self.process.try_wait(), Ok(None)) {
            for pid in children(self.process.id()) {
                let _ = signal("-KILL", pid);
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Posts `body` to `stream` under the key `key`; whether it heard that it is taken.
pub(super) fn post(address: &str, stream: &str, key: u64, body: &str) -> bool {
    let path = format!("/api/v1/ingest/{stream}");
    let answer = exchange(address, &path, &format!("application/x-ndjson\r\nIdempotency-Key: rows-{key}"), body);
    answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Asks to swap in the replay `id` of `pipeline`; whether it heard that it is in.
pub(super) fn swap_in(address: &str, pipeline: &str, id: &str) -> bool {
    let body = format!("{{\"pipeline\":\"{pipeline}\",\"id\":\"{id}\",\"way\":\"in\"}}");
    let answer = exchange(address, "/api/v1/replays/swap", "application/json", &body);
    answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200") || answer.contains("swapped in already"))
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
    socket.set_read_timeout(Some(ANSWER))?;
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
