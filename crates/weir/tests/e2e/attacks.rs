//! Bad questions and bad bodies, at a running server: each is refused with a reason, the server stays up, and the questions of
//! others keep their pace meanwhile.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Place};
use crate::up::{Server, post_rows};

fn stage() -> (Place, Server) {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    post_rows(&server, 0, 2_000);
    server.sql_becomes("SELECT count(*) FROM logs", 2_000);
    (place, server)
}

/// Does `work` while somebody else asks small questions one after the other, and says how many of them were answered.
fn meanwhile(server: &Server, work: impl FnOnce()) -> u32 {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let others = scope.spawn(|| {
            let mut answered = 0;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(server.sql("SELECT count(*) FROM logs")["rows"][0][0], 2_000);
                answered += 1;
            }
            answered
        });
        work();
        done.store(true, Ordering::Relaxed);
        others.join().expect("others are answered")
    })
}

/// The status and the code of the error.
fn refused(server: &Server, asked: &Value) -> (u16, String) {
    let (status, body) = server.send("POST", "/api/v1/sql", "application/json", &asked.to_string());
    let body: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    let message = body["error"]["message"].as_str().unwrap_or_default();
    assert!(status >= 400 && !message.is_empty(), "{status} {body}");
    (status, body["error"]["code"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn bad_questions_are_refused_and_others_keep_their_pace() {
    let (_place, server) = stage();
    let chain = |term: &str, joint: &str, terms: usize| vec![term; terms].join(joint);
    let nested = format!("SELECT {}1{}", "(".repeat(1_000), ")".repeat(1_000));
    let cases: [(String, &[&str]); 14] = [
        (format!("SELECT {}", chain("1", "+", 5_000)), &["too_complex"]),
        (format!("SELECT {}", chain("1", "+", 50_000)), &["too_long"]),
        (format!("SELECT 1 WHERE {}", chain("1=1", " OR ", 5_000)), &["too_complex"]),
        (nested, &["too_complex"]),
        (format!("SELECT * FROM logs WHERE n IN ({})", chain("1", ",", 20_000)), &["too_complex"]),
        (chain("SELECT 1", " UNION ALL ", 500), &["too_complex"]),
        ("SELECT count(*) FROM logs a, logs b, logs c, logs d WHERE a.n + b.n + c.n + d.n = -1".into(), &["timeout"]),
        ("SELECT array_agg(a.message || b.message) FROM logs a, logs b, logs c".into(), &["memory", "timeout"]),
        ("SELECT repeat('x', 1000000000)".into(), &["too_complex"]),
        ("SELECT * FROM '../../etc/passwd'".into(), &["unknown_table"]),
        ("SELECT * FROM \"/etc/passwd\"".into(), &["unknown_table"]),
        ("SELECT * FROM live.\"../../etc/passwd\"".into(), &["unknown_table"]),
        ("COPY (SELECT 1) TO '/tmp/x.csv'".into(), &["read_only"]),
        ("SELECT \u{0}".into(), &["sql_syntax"]),
    ];
    let answered = meanwhile(&server, || {
        for (sql, codes) in &cases {
            // Only what has no end is to be ended by its time.
            let timeout = if codes.contains(&"timeout") { 3 } else { 300 };
            let (status, code) = refused(&server, &json!({ "sql": sql, "timeout_s": timeout }));
            let shown: String = sql.chars().take(80).collect();
            assert!(codes.contains(&code.as_str()), "{shown}: {status} {code}");
        }
    });
    assert!(answered > 3, "{answered}");
    assert_eq!(server.stop("-TERM"), Some(0));
}

/// A body as it is, with what its head says of its length.
fn send(server: &Server, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head =
        format!("POST /api/v1/ingest/logs HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{head}\r\n", server.address());
    stream.write_all(head.as_bytes()).unwrap();
    // Whoever is refused may be told before all is sent.
    let _refused = stream.write_all(body);
    let mut answer = String::new();
    let _broken = stream.read_to_string(&mut answer);
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer)
}

#[test]
fn bad_bodies_are_refused_and_others_keep_their_pace() {
    let (_place, server) = stage();
    let json = "Content-Type: application/x-ndjson\r\n";
    let announced = |length: usize| format!("{json}Content-Length: {length}\r\n");
    let answered = meanwhile(&server, || {
        // 100 MB, announced and not.
        let (status, said) = send(&server, &announced(100_000_000), b"{}");
        assert!(status == 413 && said.contains("too_large"), "{said}");
        let chunk = format!("{:x}\r\n{}\r\n", 1 << 20, "x".repeat(1 << 20));
        let (status, said) =
            send(&server, &format!("{json}Transfer-Encoding: chunked\r\n"), chunk.repeat(100).as_bytes());
        assert!(status == 413 || status == 0, "{said}");

        // A million fields in one record, and a hundred thousand in a hundred.
        let mut wide = String::from("{\"ts\":\"2026-01-01T00:00:00Z\"");
        (0..1_000_000).for_each(|field| write!(wide, ",\"f{field}\":1").unwrap());
        wide.push_str("}\n");
        let (status, said) = send(&server, &announced(wide.len()), wide.as_bytes());
        assert!((400..500).contains(&status), "{status} {said}");

        // Text that is no JSON, numbers that are none, a bomb that says it is none.
        for body in ["{\"a\":NaN}\n", "{\"a\":1", "[1,2,3]\n", "\u{0}\u{1}\n", "{\"a\":1}}\n"] {
            let (status, said) = send(&server, &announced(body.len()), body.as_bytes());
            assert!((400..500).contains(&status), "{body}: {said}");
        }
        let (status, said) = send(&server, &format!("{}Content-Encoding: snappy\r\n", announced(2)), b"{}");
        assert!(status == 415 && said.contains("gzip"), "{said}");
        let (status, said) = send(&server, &format!("{}Content-Encoding: gzip\r\n", announced(9)), b"no gzip!\n");
        assert!((400..500).contains(&status), "{said}");

        // Half of a body, and then silence: they wait, and nobody for them.
        let silent: Vec<TcpStream> = (0..100)
            .map(|_| {
                let mut stream = TcpStream::connect(server.address()).unwrap();
                let head =
                    format!("POST /api/v1/ingest/logs HTTP/1.1\r\nHost: {}\r\n{}\r\n", server.address(), announced(10));
                stream.write_all(head.as_bytes()).unwrap();
                stream
            })
            .collect();
        assert_eq!(server.sql("SELECT 1 AS one")["rows"][0][0], 1);
        drop(silent);
    });
    assert!(answered > 1, "{answered}");
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[test]
fn values_at_their_edges_are_kept_or_dead_letters_and_nothing_is_lost() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    let time = "\"ts\":\"2026-01-01T00:00:00Z\"";
    let rows = [
        format!("{{{time},\"k\":\"max\",\"n\":9223372036854775807}}"),
        format!("{{{time},\"k\":\"min\",\"n\":-9223372036854775808}}"),
        format!("{{{time},\"k\":\"twice\",\"n\":1,\"n\":2}}"),
        format!("{{{time},\"k\":\"text\",\"n\":\"NaN\"}}"),
        format!("{{{time},\"k\":\"beyond\",\"n\":9223372036854775808}}"),
        format!("{{{time},\"k\":\"huge\",\"n\":1e400}}"),
        format!("{{{time},\"k\":\"deep\",\"o\":{}{}}}", "[".repeat(70), "]".repeat(70)),
    ];
    post(&server, &format!("{}\n", rows.join("\n")));
    server.sql_becomes("SELECT (SELECT count(*) FROM logs) + (SELECT count(*) FROM dead_letters)", rows.len() as u64);
    // Of a key that is there twice the last counts, as everywhere in JSON; what is no number of 64 bits stays as it was written.
    let expected = json!([
        ["beyond", null, "{\"n\":9223372036854775808}"],
        ["huge", null, "{\"n\":1e400}"],
        ["max", i64::MAX, null],
        ["min", i64::MIN, null],
        ["text", null, "{\"n\":\"NaN\"}"],
        ["twice", 2, null]
    ]);
    let answer = server.sql("SELECT k, n, _rest FROM logs ORDER BY k");
    assert_eq!(answer["rows"], expected, "{answer}");
    let dead = server.sql("SELECT reason FROM dead_letters");
    assert_eq!(dead["rows"].as_array().map(Vec::len), Some(1), "{dead}");
    assert!(dead["rows"][0][0].as_str().is_some_and(|reason| reason.contains("at most 64 deep")), "{dead}");
    assert_eq!(server.stop("-TERM"), Some(0));
}

fn post(server: &Server, rows: &str) {
    let (status, said) = server.send("POST", "/api/v1/ingest/logs", "application/x-ndjson", rows);
    assert_eq!(status, 200, "{said}");
}
