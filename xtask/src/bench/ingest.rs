//! How long a client waits for its answer: events are posted over HTTP at a fixed rate, and each request's time is from when
//! it was due, not from when it could be sent, to its answer, which says that the events are on disk. A pipeline reads
//! them meanwhile and keeps them in a table.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::Running;
use super::options::Options;
use crate::shell::{Outcome, command};

/// Clients, each with a connection of its own that it keeps.
const CLIENTS: u64 = 16;
/// Events of one request.
const EVENTS: u64 = 25;
/// Events per second unless told otherwise.
const RATE: u64 = 10_000;
/// Requests of the first seconds do not count: connections are opened, files created.
const WARM_UP: Duration = Duration::from_secs(2);

const PIPELINE: &str = "\
name: ingest
sources:
  in: { http: { stream: events }, format: json }
outputs:
  - table: events
";

pub(super) fn run(options: &Options) -> Outcome {
    let weir = super::binary(options)?;
    let folder = super::scratch()?.join("ingest");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let pipeline = folder.join("ingest.yaml");
    fs::write(&pipeline, PIPELINE).map_err(|error| format!("{}: {error}", pipeline.display()))?;
    let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let address = free.map_err(|error| format!("no port: {error}"))?.to_string();
    let mut command = command(&weir.to_string_lossy(), &["up", "--listen", &address, "--log", "error", "--data"]);
    command.arg(folder.join("data")).arg(&pipeline).stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Running(command.spawn().map_err(|error| format!("weir could not be started: {error}"))?);
    wait(&address)?;
    let rate = options.rate.unwrap_or(RATE);
    let (begun, seconds) = (Instant::now(), options.seconds);
    let clients = (0..CLIENTS).map(|client| {
        let address = address.clone();
        std::thread::spawn(move || post_all(&address, client, rate, (begun, Duration::from_secs(seconds))))
    });
    let clients: Vec<_> = clients.collect();
    let mut waits = Vec::new();
    for client in clients {
        waits.extend(client.join().map_err(|_| "a client has died".to_owned())??);
    }
    waits.sort_by(f64::total_cmp);
    let at = |part: f64| waits.get(((waits.len() as f64 - 1.0) * part).round() as usize).copied().unwrap_or(f64::NAN);
    println!("{rate} events/s for {seconds} s, {EVENTS} in a request, {CLIENTS} clients; until acknowledged, in ms");
    println!(
        "  p50 {:>7.1}   p99 {:>7.1}   p99.9 {:>7.1}   max {:>7.1}   of {} requests",
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0),
        waits.len()
    );
    Ok(())
}

fn wait(address: &str) -> Outcome {
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(30) {
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        #[expect(clippy::disallowed_methods, reason = "another process is waited for; there is no event for it")]
        std::thread::sleep(Duration::from_millis(20));
    }
    Err("weir is not up after 30 s".to_owned())
}

/// Posts at the rate until the time is over; returns how long each request took since it was due, in milliseconds.
fn post_all(address: &str, client: u64, rate: u64, (begun, length): (Instant, Duration)) -> Outcome<Vec<f64>> {
    let failed = |error: std::io::Error| format!("client {client}: {error}");
    let mut socket = BufReader::new(TcpStream::connect(address).map_err(failed)?);
    socket.get_ref().set_nodelay(true).map_err(failed)?;
    let beat = Duration::from_secs_f64((EVENTS * CLIENTS) as f64 / rate as f64);
    let (mut waits, mut number) = (Vec::new(), 0_u64);
    loop {
        // Clients are due one after the other.
        let due = begun + beat.mul_f64(number as f64 + client as f64 / CLIENTS as f64);
        if due > begun + length {
            return Ok(waits);
        }
        #[expect(clippy::disallowed_methods, reason = "the rate is made by the clock")]
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let body: String = (0..EVENTS).map(|event| row(client, number * EVENTS + event)).collect();
        let head = format!(
            "POST /api/v1/ingest/events HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-ndjson\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        socket.get_mut().write_all(format!("{head}{body}").as_bytes()).map_err(failed)?;
        let status = answer(&mut socket).map_err(failed)?;
        if !status.starts_with("HTTP/1.1 200") {
            return Err(format!("client {client}: {status}"));
        }
        if due > begun + WARM_UP {
            waits.push(due.elapsed().as_secs_f64() * 1000.0);
        }
        number += 1;
    }
}

fn row(client: u64, number: u64) -> String {
    format!(
        "{{\"id\":\"{client}-{number}\",\"level\":\"INFO\",\"service\":\"svc-{:02}\",\"message\":\"Message {} delivered to \
         subscription audit-{} after {} retries\",\"duration_ms\":{}.25}}\n",
        number % 50,
        number % 1000,
        number % 997,
        number % 10,
        number % 400
    )
}

/// Reads one answer; returns its first line.
fn answer(socket: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let (mut status, mut length) = (String::new(), 0);
    socket.read_line(&mut status)?;
    loop {
        let mut line = String::new();
        socket.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(bytes) = line.strip_prefix("content-length:") {
            length = bytes.trim().parse().unwrap_or(0);
        }
    }
    socket.read_exact(&mut vec![0; length])?;
    Ok(status.trim().to_owned())
}
