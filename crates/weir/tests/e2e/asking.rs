//! Asking a running server over HTTP: exports in every form and of any length, searches that say how far they are, what
//! open windows say, and clients that go away.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{PATIENCE, Place, awaited, python, said};
use crate::up::Server;

/// The one of the tests of Flight, which has Parquet too.
const READER: [&str; 3] = ["adbc-driver-flightsql==1.13.0", "adbc-driver-manager==1.13.0", "pyarrow==26.0.1"];

fn post(server: &Server, stream: &str, rows: &str) {
    let (status, said) = server.send("POST", &format!("/api/v1/ingest/{stream}"), "application/x-ndjson", rows);
    assert_eq!(status, 200, "{said}");
}

fn lines(from: u32, to: u32) -> String {
    let line = |n| {
        let (minute, second) = (n / 600, (n / 10) % 60);
        let level = if n % 3 == 0 { "ERROR" } else { "INFO" };
        format!(
            "{{\"ts\":\"2026-01-01T00:{minute:02}:{second:02}Z\",\"level\":\"{level}\",\"message\":\"line {n} of host-{}\",\"n\":{n}}}\n",
            n % 7
        )
    };
    (from..to).map(line).collect()
}

/// Sends a question and returns the connection behind the head of the answer. Who is told to come back comes back: that
/// another has gone is noticed when something is sent to it.
fn ask(server: &Server, format: &str, asked: &Value) -> BufReader<TcpStream> {
    awaited("it has its turn", || {
        let (head, answer) = ask_once(server, format, asked);
        assert!(head.contains(" 200 ") || head.contains(" 503 "), "{head}");
        if head.contains(" 200 ") { Ok(answer) } else { Err(head) }
    })
}

fn ask_once(server: &Server, format: &str, asked: &Value) -> (String, BufReader<TcpStream>) {
    let body = asked.to_string();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST /api/v1/sql?format={format} HTTP/1.0\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        server.address(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = BufReader::new(stream);
    let (mut head, mut line) = (String::new(), String::new());
    answer.read_line(&mut head).unwrap();
    while answer.read_line(&mut line).unwrap() > 2 {
        line.clear();
    }
    (head, answer)
}

#[test]
fn an_export_has_all_rows_however_many_and_as_parquet_too() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    post(&server, "logs", &lines(0, 20_000));
    server.sql_becomes("SELECT count(*) FROM logs", 20_000);
    let times = "(VALUES (1),(2),(3),(4),(5),(6),(7),(8),(9),(10),(11),(12),(13),(14),(15)) AS t(k)";
    let sql = format!("SELECT a.n AS n, t.k AS k, a.message AS message FROM logs a, {times}");
    let asked = json!({ "sql": sql, "timeout_s": 600 });

    let (mut rows, mut sum) = (0_u64, 0_u64);
    for line in ask(&server, "ndjson", &asked).lines() {
        let row: Value = serde_json::from_str(&line.unwrap()).unwrap();
        (rows, sum) = (rows + 1, sum + row["n"].as_u64().unwrap());
    }
    assert_eq!((rows, sum), (300_000, 15 * 199_990_000), "three times as many rows as one JSON value may have");

    let file = place.path("export.parquet");
    let mut export = ask(&server, "parquet", &asked);
    std::io::copy(&mut export, &mut std::fs::File::create(&file).unwrap()).unwrap();
    let script = "import sys, pyarrow.parquet as pq, pyarrow.compute as pc\n\
                  t = pq.read_table(sys.argv[1])\n\
                  assert t.column_names == ['n', 'k', 'message'], t.schema\n\
                  assert t.num_rows == 300000 and pc.sum(t['n']).as_py() == 15 * 199990000, t.num_rows\n\
                  assert pc.count_distinct(t['message']).as_py() == 20000";
    let output = Command::new(python("flight", &READER)).args(["-c", script]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));

    let (status, _) = server.send("POST", "/api/v1/sql?format=orc", "application/json", &asked.to_string());
    assert_eq!(status, 400);
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[test]
fn whoever_goes_away_in_the_middle_of_an_export_is_not_worked_for() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    post(&server, "logs", &lines(0, 20_000));
    server.sql_becomes("SELECT count(*) FROM logs", 20_000);
    let endless = json!({ "sql": "SELECT a.n, b.message FROM logs a, logs b, logs c", "timeout_s": 600 });
    for format in ["ndjson", "csv", "arrow", "parquet"] {
        for _ in 0..3 {
            let mut some = [0; 256];
            ask(&server, format, &endless).read_exact(&mut some).unwrap();
        }
    }
    // With a turn held by each of them there would be none left.
    for _ in 0..3 {
        assert_eq!(server.sql("SELECT count(*) FROM logs")["rows"][0][0], 20_000);
    }
    assert_eq!(server.stop("-TERM"), Some(0));
}

/// The events of an answer: name and data.
fn events(server: &Server, path: &str) -> Vec<(String, Value)> {
    let (status, body) = server.get(path);
    assert_eq!(status, 200, "{body}");
    let event = |text: &str| {
        let (name, data) = text.split_once("\ndata: ").expect("an event has a name and data");
        (name.trim_start_matches("event: ").to_owned(), serde_json::from_str(data).unwrap())
    };
    body.split("\n\n").filter(|text| !text.is_empty()).map(event).collect()
}

#[test]
fn a_search_for_a_part_of_a_word_says_what_it_costs_and_how_far_it_is() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    post(&server, "logs", &lines(0, 6_000));
    server.sql_becomes("SELECT count(*) FROM logs", 6_000);

    let all = events(&server, "/api/v1/logs/scan?table=logs&q=ost-3&limit=10000");
    let (name, estimate) = &all[0];
    assert_eq!(name, "estimate");
    assert!(estimate["rows"].as_u64() >= Some(6_000) && estimate["segments"].is_u64(), "{estimate}");
    let found = all.iter().filter(|(name, _)| name == "lines").flat_map(|(_, data)| data["rows"].as_array().unwrap());
    let found: Vec<u64> = found.map(|row| row["n"].as_u64().unwrap()).collect();
    assert_eq!(found.len(), (0..6_000).filter(|n| n % 7 == 3).count());
    let (name, end) = all.last().unwrap();
    assert_eq!((name.as_str(), &end["reason"]), ("end", &json!("complete")));

    let some = events(&server, "/api/v1/logs/scan?table=logs&q=ost-3&limit=5");
    let (_, end) = some.last().unwrap();
    assert_eq!(end["reason"], "limit");
    let next = end["next"].as_str().expect("it says where it goes on");
    let (status, page) = server.get(&format!("/api/v1/logs?table=logs&q=ost-3&limit=5&before={next}"));
    assert_eq!(status, 200, "{page}");
    assert_eq!(serde_json::from_str::<Value>(&page).unwrap()["rows"].as_array().unwrap().len(), 5);

    let (status, refused) = server.get("/api/v1/logs/scan?table=lgs&q=x");
    assert_eq!(status, 404, "{refused}");
    let (status, refused) = server.get("/api/v1/logs/scan?table=logs&budget_ms=0");
    assert_eq!(status, 400, "{refused}");
    assert_eq!(server.stop("-TERM"), Some(0));
}

const COUNTS: &str = "name: counts\nsources: { in: { http: { stream: in }, format: json } }\ntime: { field: ts }\n\
                      steps: [ { window: { tumbling: 1d, by: [level], compute: { n: count(*), most: max(n) } } } ]\n\
                      outputs: [ { table: per_day } ]\n";

#[test]
fn what_open_windows_say_can_be_asked_in_sql() {
    let place = Place::new();
    let pipeline = place.write("counts.yaml", COUNTS);
    let server = Server::start(&place, &["--postgres", "127.0.0.1:0", pipeline.to_str().unwrap()]);
    let postgres = server.said().split("postgresql://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    post(&server, "in", &lines(0, 3_000));
    server.sql_becomes("SELECT coalesce(sum(n), 0) FROM live.counts", 3_000);
    let answer = server.sql("SELECT level, n, most FROM live.counts ORDER BY level");
    assert_eq!(answer["rows"], json!([["ERROR", 1_000, 2_997.0], ["INFO", 2_000, 2_999.0]]), "{answer}");
    let (_, listed) = server.get("/api/v1/tables");
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(listed["live"][0]["name"], "live.counts", "{listed}");
    assert!(listed["live"][0]["columns"].as_array().unwrap().iter().any(|column| column["name"] == "most"), "{listed}");
    // Nothing of it is a result yet, and asking changes nothing.
    let answer = server.sql("SELECT (SELECT count(*) FROM information_schema.tables WHERE table_schema = 'live')");
    assert_eq!(answer["rows"][0][0], 1);
    post(&server, "in", &lines(3_000, 3_300));
    server.sql_becomes("SELECT coalesce(sum(n), 0) FROM live.counts", 3_300);

    let psql = |arguments: &[&str]| {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-A", "-v", "ON_ERROR_STOP=1", "-d", &format!("postgresql://ann@{postgres}/weir")]);
        let output = psql.args(arguments).stdin(Stdio::null()).output().expect("psql is installed");
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(psql(&["-c", "SELECT sum(n) AS n FROM live.counts"]).contains("3300"));
    assert!(psql(&["-c", "\\d"]).contains("live|counts|view|weir"));

    let body = json!({ "sql": "SELECT * FROM live.count" }).to_string();
    let (status, refused) = server.send("POST", "/api/v1/sql", "application/json", &body);
    assert!(status == 404 && refused.contains("did you mean live."), "{status} {refused}");

    // A row of the day after next closes the window: what was open is a result, once.
    post(&server, "in", "{\"ts\":\"2026-01-03T12:00:00Z\",\"level\":\"INFO\",\"message\":\"x\",\"n\":1}\n");
    server.sql_becomes("SELECT coalesce(sum(n), 0) FROM per_day", 3_300);
    server.sql_becomes("SELECT coalesce(sum(n), 0) FROM live.counts", 1);
    assert_eq!(server.stop("-TERM"), Some(0));
}
