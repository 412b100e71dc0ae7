//! The end of the world in small: told to stop under load, a second instance, a full disk, a disk that fails.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crate::harness::{Place, STOP_TIME_MAX, STOPS_SOON, awaited, said, until};
use crate::up::{Server, exchange, post_rows};

/// What clients have sent, a number per row, and whether it was acknowledged.
#[derive(Clone, Default)]
struct Load {
    acknowledged: Arc<Mutex<Vec<u32>>>,
    over: Arc<AtomicBool>,
}

impl Load {
    /// Clients that post ten rows at a time, with a key, again and again until they hear that they are taken; they end at
    /// the first connection that breaks once the load is over.
    fn start(address: &str, clients: u32) -> (Self, Vec<std::thread::JoinHandle<()>>) {
        let load = Self::default();
        let posting = |client: u32| {
            let (load, address) = (load.clone(), address.to_owned());
            std::thread::spawn(move || {
                for round in 0..10_000 {
                    let first = client * 1_000_000 + round * 10;
                    if load.over.load(Ordering::Relaxed) || !load.post(&address, first) {
                        return;
                    }
                }
            })
        };
        let clients = (0..clients).map(posting).collect();
        (load, clients)
    }

    fn post(&self, address: &str, first: u32) -> bool {
        let row = |n: u32| format!("{{\"ts\":\"2026-01-01T00:00:00Z\",\"message\":\"row {n}\",\"n\":{n}}}\n");
        let body: String = (first..first + 10).map(row).collect();
        let heard = exchange(address, "POST", "/api/v1/ingest/logs", "application/x-ndjson", &body);
        let taken = matches!(heard, Ok((200, _, _)));
        if taken {
            self.acknowledged.lock().unwrap().extend(first..first + 10);
        }
        taken
    }
}

#[test]
fn told_to_stop_under_load_it_ends_within_five_seconds_and_keeps_every_row_it_acknowledged() {
    let place = Place::new();
    let server = Server::start(&place, &STOPS_SOON);
    let (load, clients) = Load::start(server.address(), 4);
    server_has(&server, 300);
    let began = Instant::now();
    assert_eq!(server.stop("-TERM"), Some(0));
    assert!(began.elapsed() < STOP_TIME_MAX, "it took {:?}", began.elapsed());
    load.over.store(true, Ordering::Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());

    let acknowledged = load.acknowledged.lock().unwrap().len();
    // The final epoch has committed what was taken: it is in the table without a start.
    let stored = place.number("SELECT count(*) FROM logs");
    assert_eq!(place.number("SELECT count(DISTINCT n) FROM logs"), stored, "none is there twice");
    let server = Server::start(&place, &[]);
    // A request whose answer was cut off may be stored too: never fewer than acknowledged, and at most one per client more.
    server_has(&server, acknowledged as u64);
    let counted = server.sql("SELECT count(*), count(DISTINCT n) FROM logs")["rows"][0].clone();
    assert_eq!(counted[0], counted[1], "none is there twice");
    assert!(counted[0].as_u64().unwrap() <= acknowledged as u64 + 40, "{counted} of {acknowledged}");
}

/// Waits until at least `rows` rows are stored.
fn server_has(server: &Server, rows: u64) {
    let body = r#"{"sql":"SELECT count(*) FROM logs"}"#;
    awaited(&format!("{rows} rows are stored"), || {
        // There is no table before the first rows.
        let (status, answer) = server.send("POST", "/api/v1/sql", "application/json", body);
        let found: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
        if status == 200 && found["rows"][0][0].as_u64() >= Some(rows) { Ok(()) } else { Err(answer) }
    });
}

#[test]
fn a_second_instance_on_the_same_data_is_refused_with_the_name_of_the_first() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let second = place.weir(&["up", "--listen", "127.0.0.1:0", "--data"]).arg(place.data()).output().unwrap();
    assert_eq!(second.status.code(), Some(2), "{}", said(&second));
    let expected = format!("another weir (pid {}) is using", server.pid());
    assert!(said(&second).contains(&expected), "{}", said(&second));
    assert!(said(&second).contains("--data"), "it says what to do\n{}", said(&second));
    post_rows(&server, 0, 1);
    server.sql_becomes("SELECT count(*) FROM logs", 1);
}

/// A server on a disk of 32 MiB, in a mount namespace of its own; its processes see the disk, others through `/proc`.
const SMALL_DISK: &str = r#"
set -eu
mount -t tmpfs -o size=32m tmpfs small
exec "$WEIR" up --listen 127.0.0.1:0 --data small/data
"#;

#[test]
fn on_a_full_disk_new_rows_are_refused_queries_are_answered_and_it_goes_on_by_itself() {
    let place = Place::new();
    fs::create_dir(place.path("small")).unwrap();
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK]);
    command.env("WEIR", env!("CARGO_BIN_EXE_weir")).current_dir(place.path("."));
    let server = Server::of(command, std::io::sink());
    let inside = place.path("small").strip_prefix("/").unwrap().to_path_buf();
    let filler = std::path::PathBuf::from(format!("/proc/{}/root", server.pid())).join(inside).join("filler");

    post_rows(&server, 0, 100);
    server.sql_becomes("SELECT count(*) FROM logs", 100);
    // These are acknowledged, and there is no room for their table's segment, nor for anything else.
    post_rows(&server, 100, 200);
    fill(&filler);
    let body = "{\"ts\":\"2026-01-01T00:00:00Z\",\"message\":\"refused\",\"n\":-1}\n";
    let post = || exchange(server.address(), "POST", "/api/v1/ingest/logs", "application/x-ndjson", body).unwrap();
    for _ in 0..3 {
        let (status, head, answer) = post();
        assert_eq!(status, 503, "{answer}");
        assert!(head.to_lowercase().contains("retry-after: "), "{head}");
        assert!(answer.contains("disk is full"), "{answer}");
    }
    assert!(server.sql("SELECT count(*) FROM logs")["rows"][0][0].as_u64().unwrap() >= 100, "queries are answered");
    until("the probe says that it takes nothing", || server.get("/health/ready").0 == 503);
    fs::remove_file(&filler).unwrap();
    until("it takes rows again", || post().0 == 200);
    server.sql_becomes("SELECT count(*) FROM logs", 201);
    let counted = server.sql("SELECT count(DISTINCT n), min(n), max(n) FROM logs");
    assert_eq!(counted["rows"][0], serde_json::json!([201, -1, 199]));
    assert_eq!(server.stop("-TERM"), Some(0));
}

/// Writes until nothing more fits.
fn fill(path: &std::path::Path) {
    let mut file = fs::File::create(path).unwrap();
    for size in [1 << 20, 4096] {
        while file.write_all(&vec![7; size]).is_ok() {}
    }
}

/// What a process says, for another thread to read.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<Vec<u8>>>);

impl Write for Heard {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn when_the_disk_fails_a_sync_nothing_more_is_acknowledged_and_the_process_ends() {
    let place = Place::new();
    let segment = place.data().join("log/logs/0/00000000000000000000.log");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-P"]).arg(&segment);
    command.args(["-e", "inject=fdatasync:error=EIO:when=2+"]).arg(env!("CARGO_BIN_EXE_weir"));
    command.args(["up", "--listen", "127.0.0.1:0", "--data"]).arg(place.data());
    let heard = Heard::default();
    let server = Server::of(command, heard.clone());
    post_rows(&server, 0, 10);
    server.sql_becomes("SELECT count(*) FROM logs", 10);
    let body = "{\"ts\":\"2026-01-01T00:00:00Z\",\"message\":\"never\",\"n\":99}\n";
    for _ in 0..3 {
        // It may be gone by the second time.
        if let Ok((status, _, answer)) =
            exchange(server.address(), "POST", "/api/v1/ingest/logs", "application/x-ndjson", body)
        {
            assert!(status == 500 || status == 503, "{status} {answer}");
        }
    }
    assert_eq!(server.wait(), Some(1), "whoever starts it again recovers");
    let heard = String::from_utf8_lossy(&heard.0.lock().unwrap()).into_owned();
    assert!(heard.contains("cannot make") && heard.contains("00000000000000000000.log durable"), "{heard}");

    let server = Server::start(&place, &[]);
    post_rows(&server, 10, 20);
    let stored = |server: &Server, sql: &str| server.sql(sql)["rows"][0][0].as_u64().unwrap();
    server_has(&server, 20);
    assert_eq!(stored(&server, "SELECT count(*) FROM logs WHERE n < 20"), 20);
    assert!(stored(&server, "SELECT count(*) FROM logs WHERE n = 99") <= 3, "what was not acknowledged may be there");
}
