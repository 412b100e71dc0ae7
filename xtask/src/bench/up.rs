//! A `weir up` that is measured, and a client that keeps its connection. Asks in HTTP/1.1 and reads no JSON.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::Running;
use super::meter::{self, kib};
use crate::shell::{Outcome, command};

/// How long a start may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// Nothing waits to be merged in so many looks a second apart.
const QUIET_LOOKS: u32 = 3;
/// All merges may take so long.
const MERGING_MAX: Duration = Duration::from_secs(1_800);
/// An answer to a question may take so long.
const ANSWER: Duration = Duration::from_secs(600);

/// A Weir that is up until this is dropped.
pub(super) struct Up {
    process: Running,
    pub(super) address: String,
}

impl Up {
    /// `weir up` on the folder `data` with `pipelines`.
    pub(super) fn start(weir: &Path, data: &Path, pipelines: &[&Path]) -> Outcome<Self> {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
        let address = free.map_err(|error| format!("no port: {error}"))?.to_string();
        let mut command = command(&weir.to_string_lossy(), &["up", "--listen", &address, "--log", "error", "--data"]);
        command.arg(data).args(pipelines).stdout(Stdio::null()).stderr(Stdio::null());
        let process = Running(command.spawn().map_err(|error| format!("weir could not be started: {error}"))?);
        let mut up = Self { process, address };
        let began = Instant::now();
        while !up.is_ready() {
            if let Ok(Some(status)) = up.process.0.try_wait() {
                return Err(format!("weir ended with {status} before it was up"));
            }
            if began.elapsed() > PATIENCE {
                return Err(format!("weir is not up after {} s", PATIENCE.as_secs()));
            }
            look_later(LOOK);
        }
        Ok(up)
    }

    fn is_ready(&self) -> bool {
        let asked = self.client().and_then(|mut client| client.get("/health/startup"));
        asked.is_ok_and(|answer| answer.status == 200)
    }

    pub(super) fn client(&self) -> Outcome<Client> {
        Client::new(&self.address)
    }

    /// Waits until no segments wait to be merged: what that takes is part of no question.
    pub(super) fn settle(&self) -> Outcome {
        let mut client = self.client()?;
        let (began, mut quiet) = (Instant::now(), 0);
        while quiet < QUIET_LOOKS {
            let debts = of_tables(&mut client, "compaction_debt_segments")?;
            quiet = if !debts.is_empty() && debts.iter().all(|debt| *debt == 0.0) { quiet + 1 } else { 0 };
            if began.elapsed() > MERGING_MAX {
                return Err(format!("segments still wait to be merged after {} s", MERGING_MAX.as_secs()));
            }
            look_later(Duration::from_secs(1));
        }
        Ok(())
    }

    /// How many rows all tables have in committed segments.
    pub(super) fn rows(&self) -> Outcome<u64> {
        Ok(of_tables(&mut self.client()?, "rows")?.iter().sum::<f64>() as u64)
    }

    /// Processor seconds so far, user and system.
    pub(super) fn cpu_secs(&self) -> Outcome<f64> {
        meter::cpu_secs_of(self.process.0.id())
    }

    /// The most memory that it has had, in bytes.
    pub(super) fn peak_bytes(&self) -> Outcome<u64> {
        let path = format!("/proc/{}/status", self.process.0.id());
        let status = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        Ok(kib(&status, "VmHWM:") * 1024)
    }
}

/// What the metric `name` says of each table.
fn of_tables(client: &mut Client, name: &str) -> Outcome<Vec<f64>> {
    let (metrics, begin) = (client.get("/metrics")?.body, format!("weir_table_{name}{{"));
    let lines = metrics.lines().filter(|line| line.starts_with(&begin));
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect())
}

#[expect(clippy::disallowed_methods, reason = "another process is waited for; there is no event for it")]
pub(super) fn look_later(after: Duration) {
    std::thread::sleep(after);
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: String,
}

/// A connection that is kept from one request to the next.
pub(super) struct Client {
    address: String,
    socket: BufReader<TcpStream>,
}

impl Client {
    pub(super) fn new(address: &str) -> Outcome<Self> {
        let socket = TcpStream::connect(address).map_err(|error| format!("{address}: {error}"))?;
        let set = socket.set_nodelay(true).and_then(|()| socket.set_read_timeout(Some(ANSWER)));
        set.map_err(|error| format!("{address}: {error}"))?;
        Ok(Self { address: address.to_owned(), socket: BufReader::new(socket) })
    }

    /// The rows of an answer as lines of JSON.
    pub(super) fn sql(&mut self, text: &str) -> Outcome<String> {
        let answer = self.post("/api/v1/sql?format=ndjson", "application/json", &format!("{{\"sql\":{text:?}}}"))?;
        if answer.status == 200 { Ok(answer.body) } else { Err(format!("{text}: {}", answer.body.trim())) }
    }

    pub(super) fn get(&mut self, path: &str) -> Outcome<Answer> {
        self.exchange(&format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address), "")
    }

    pub(super) fn post(&mut self, path: &str, kind: &str, body: &str) -> Outcome<Answer> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            self.address,
            body.len()
        );
        self.exchange(&head, body)
    }

    fn exchange(&mut self, head: &str, body: &str) -> Outcome<Answer> {
        let failed = |error: std::io::Error| format!("{}: {error}", head.lines().next().unwrap_or_default());
        let socket = self.socket.get_mut();
        socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(body.as_bytes())).map_err(failed)?;
        read_answer(&mut self.socket).map_err(failed)
    }
}

fn read_answer(socket: &mut impl BufRead) -> std::io::Result<Answer> {
    let mut line = String::new();
    socket.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    let (mut length, mut in_chunks) = (0, false);
    loop {
        let mut line = String::new();
        let read = socket.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() || read == 0 {
            break;
        }
        if let Some(bytes) = line.strip_prefix("content-length:") {
            length = bytes.trim().parse().unwrap_or(0);
        }
        in_chunks |= line.strip_prefix("transfer-encoding:").is_some_and(|coding| coding.trim() == "chunked");
    }
    let mut body = Vec::new();
    if in_chunks {
        while read_chunk(socket, &mut body)? > 0 {}
    } else {
        body.resize(length, 0);
        socket.read_exact(&mut body)?;
    }
    Ok(Answer { status, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Appends the next chunk; returns how many bytes it has, 0 at the end.
fn read_chunk(socket: &mut impl BufRead, body: &mut Vec<u8>) -> std::io::Result<usize> {
    let mut line = String::new();
    socket.read_line(&mut line)?;
    let broken = || std::io::Error::other(format!("not the length of a chunk: {line:?}"));
    let length = usize::from_str_radix(line.trim(), 16).map_err(|_| broken())?;
    let from = body.len();
    body.resize(from + length, 0);
    socket.read_exact(&mut body[from..])?;
    socket.read_line(&mut String::new())?;
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body_of(text: &str) -> (u16, String) {
        let answer = read_answer(&mut BufReader::new(text.as_bytes())).expect("it is an answer");
        (answer.status, answer.body)
    }

    #[test]
    fn an_answer_is_read_to_its_end_whatever_says_where_that_is() {
        assert_eq!(body_of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc"), (200, "ab".to_owned()));
        let chunks = "HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nA\r\n0123456789\r\n0\r\n\r\nHTTP";
        assert_eq!(body_of(chunks), (503, "ab0123456789".to_owned()));
    }
}
