//! A process that may take 512 MiB, under posts and questions that would like more: it never takes more, says what it refuses,
//! answers ordinary questions all the while, and loses no row.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Place, awaited, memory_kib, until};
use crate::up::{Server, exchange};

const CAP: &str = "512MiB";
const CAP_MIB: u64 = 512;
const POSTERS: u64 = 2;
const BODIES: u64 = 60;
const ROWS_PER_BODY: u64 = 1_500;
/// Before what is refused is sent again.
const AGAIN: Duration = Duration::from_millis(50);
/// Ordinary questions that are answered before it ends.
const ORDINARY: u64 = 3;

/// Questions that hold all rows at once, or more.
const QUESTIONS: [&str; 5] = [
    "SELECT max(n) FROM (SELECT row_number() OVER (ORDER BY message) AS n FROM logs)",
    "SELECT count(*) FROM (SELECT message, count(*) AS n FROM logs GROUP BY message)",
    "SELECT count(*) FROM logs a JOIN logs b ON a.message = b.message",
    "SELECT array_agg(message) FROM logs",
    "SELECT * FROM logs ORDER BY message",
];
/// What a question may be refused for.
const REFUSALS: [&str; 3] = ["memory", "timeout", "busy"];

/// Rows of about 700 bytes that hardly repeat.
fn rows(from: u64) -> String {
    let mut text = String::new();
    for n in from..from + ROWS_PER_BODY {
        let _ = write!(text, "{{\"ts\":\"2026-01-01T00:00:00Z\",\"n\":{n},\"message\":\"");
        let mut noise = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        for _ in 0..38 {
            noise = noise.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            let _ = write!(text, "{noise:016x} ");
        }
        text.push_str("\"}\n");
    }
    text
}

/// Waits as a client does that was refused.
fn pause(refusal: String) -> String {
    std::thread::park_timeout(AGAIN);
    refusal
}

/// Posts until it is acknowledged.
fn post(server: &Server, from: u64) {
    let rows = rows(from);
    awaited("a body is taken", || {
        let (status, answer) = server.send("POST", "/api/v1/ingest/logs", "application/x-ndjson", &rows);
        assert!(status == 200 || status == 503, "{status} {answer}");
        if status == 200 { Ok(()) } else { Err(pause(answer)) }
    });
}

/// Asks; the answer, or the code of the error. An answer that breaks off on its way has none.
fn ask(server: &Server, sql: &str) -> Result<Value, String> {
    let body = json!({ "sql": sql, "timeout_s": 20 }).to_string();
    let answered = exchange(server.address(), "POST", "/api/v1/sql", "application/json", &body);
    let Ok((status, _, answer)) = answered else { return Err("broken".to_owned()) };
    let Ok(answer) = serde_json::from_str::<Value>(&answer) else { return Err("broken".to_owned()) };
    if status == 200 {
        return Ok(answer);
    }
    let code = answer["error"]["code"].as_str().unwrap_or_default().to_owned();
    assert!(REFUSALS.contains(&code.as_str()), "{sql}: {status} {answer}");
    Err(code)
}

/// Asks one heavy question after the other until `done`; how many were answered, and not.
fn ask_much(server: &Server, first: usize, done: &AtomicBool) -> [u64; 2] {
    let mut counted = [0; 2];
    for sql in QUESTIONS.iter().cycle().skip(first) {
        if done.load(Ordering::Relaxed) {
            break;
        }
        counted[usize::from(ask(server, sql).is_err())] += 1;
    }
    counted
}

/// Asks until there is an answer.
fn ask_again(server: &Server, sql: &str) -> Value {
    awaited(sql, || ask(server, sql).map(|answer| answer["rows"][0][0].clone()).map_err(pause))
}

#[test]
fn posts_and_heavy_questions_stay_within_the_memory_that_the_process_may_take() {
    let place = Place::new();
    let server = Server::start(&place, &["--memory", CAP]);
    let (_, metrics) = server.get("/metrics");
    assert!(metrics.contains(&format!("weir_process_memory_limit_bytes{{}} {}", CAP_MIB << 20)), "{metrics}");
    post(&server, 0);
    server.sql_becomes("SELECT count(*) FROM logs", ROWS_PER_BODY);
    let (began, done, next) = (Instant::now(), AtomicBool::new(false), AtomicU64::new(ROWS_PER_BODY));
    let counted = std::thread::scope(|scope| {
        let (server, done, next) = (&server, &done, &next);
        let askers: Vec<_> = (0..3).map(|first| scope.spawn(move || ask_much(server, first, done))).collect();
        let posting = move || (0..BODIES).for_each(|_| post(server, next.fetch_add(ROWS_PER_BODY, Ordering::Relaxed)));
        let posters: Vec<_> = (0..POSTERS).map(|_| scope.spawn(posting)).collect();
        for _ in 0..ORDINARY {
            ask_again(server, "SELECT count(*), max(n) FROM logs");
        }
        posters.into_iter().for_each(|poster| poster.join().expect("posted"));
        done.store(true, Ordering::Relaxed);
        askers.into_iter().map(|asker| asker.join().expect("asked")).collect::<Vec<_>>()
    });
    let all = (POSTERS * BODIES + 1) * ROWS_PER_BODY;
    until("every row is there", || ask_again(&server, "SELECT count(*) FROM logs") == all);
    assert_eq!(ask_again(&server, "SELECT count(DISTINCT n) FROM logs"), all);
    let [peak, program] = ["VmHWM:", "RssFile:"].map(|name| memory_kib(server.pid(), name) >> 10);
    let (_, metrics) = server.get("/metrics");
    let given_up = metrics.lines().find(|line| line.starts_with("weir_queries_given_up_total")).unwrap_or_default();
    let (posted, took) = ((all * 700) >> 20, began.elapsed().as_secs());
    eprintln!(
        "{posted} MiB in {took} s; answered, refused: {counted:?}; {given_up}; {peak} MiB at the peak, {program} of the program"
    );
    assert!(peak <= CAP_MIB, "{peak} MiB were taken, {CAP_MIB} are allowed");
    assert_eq!(server.stop("-TERM"), Some(0));
}
