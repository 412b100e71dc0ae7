//! Clients of PostgreSQL: psql and a Python driver ask the tables of a running server. More drivers are in `drivers`.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

use crate::harness::{Place, python, said};
use crate::up::Server;

/// Pinned, so that the test is the same tomorrow.
const DRIVERS: [&str; 1] = ["psycopg[binary]==3.2.9"];

const TYPES: &str = "SELECT level, count(*) AS n, avg(ms) AS mean, max(ts) AS last, true AS ok, NULL AS nothing, \
                     make_array(1, 2) AS list, CAST(sum(ms) AS DECIMAL(10, 2)) AS total FROM logs GROUP BY level ORDER BY level";

/// A server with some rows.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) address: String,
    _place: Place,
}

fn stage() -> Stage {
    Stage::with(&[])
}

impl Stage {
    /// Tables with these names, and `logs` with its rows.
    pub(crate) fn with(tables: &[&str]) -> Self {
        let place = Place::new();
        let pipeline = |table: &&str| {
            let text = format!(
                "name: {table}\nsources: {{ in: {{ http: {{ stream: {table} }}, format: json }} }}\ntime: {{ field: ts }}\n\
                 outputs: [ {{ table: {table} }} ]\nepoch: 100ms\n"
            );
            place.write(&format!("{table}.yaml"), text).to_string_lossy().into_owned()
        };
        let pipelines: Vec<String> = tables.iter().map(pipeline).collect();
        let mut arguments = vec!["--postgres", "127.0.0.1:0"];
        arguments.extend(pipelines.iter().map(String::as_str));
        let server = Server::start(&place, &arguments);
        let address =
            server.said().split("postgresql://").nth(1).expect("it says where").split('/').next().unwrap().to_owned();
        let stage = Self { server, address, _place: place };
        let rows: String = (0..600)
            .map(|n| {
                let level = if n % 3 == 0 { "ERROR" } else { "INFO" };
                format!(
                    "{{\"ts\":\"2026-01-01T00:{:02}:{:02}.5Z\",\"level\":\"{level}\",\"ms\":{n}.25,\"n\":{n}}}\n",
                    n / 60,
                    n % 60
                )
            })
            .collect();
        stage.ingest("logs", &rows);
        stage.server.sql_becomes("SELECT count(*) FROM logs", 600);
        stage
    }

    pub(crate) fn ingest(&self, table: &str, rows: &str) {
        let path = format!("/api/v1/ingest/{table}");
        let (status, said) = self.server.send("POST", &path, "application/x-ndjson", rows);
        assert_eq!(status, 200, "{said}");
    }

    fn psql(&self, arguments: &[&str]) -> Output {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-v", "ON_ERROR_STOP=1", "-d", &format!("postgresql://ann@{}/weir", self.address)]);
        psql.args(arguments).stdin(Stdio::null()).output().expect("psql is installed")
    }

    /// What psql prints, without alignment.
    fn told(&self, sql: &str) -> String {
        let output = self.psql(&["-A", "-c", sql]);
        assert!(output.status.success(), "{sql}: {}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn psql_asks_and_looks_around() {
    let stage = stage();
    assert_eq!(
        stage.told(TYPES),
        "level|n|mean|last|ok|nothing|list|total\n\
         ERROR|200|298.75|2026-01-01 00:09:57.500+00|t||[1,2]|59750.00\n\
         INFO|400|300.25|2026-01-01 00:09:59.500+00|t||[1,2]|120100.00\n(2 rows)\n"
    );
    let tables = stage.told("\\dt");
    assert!(tables.contains("public|logs|table|weir"), "{tables}");
    let all = stage.told("\\d");
    assert!(all.contains("public|logs|table|weir"), "{all}");
    let described = stage.told("\\d logs");
    for column in ["level|text|", "ms|double precision|", "n|bigint|", "ts|timestamp with time zone|"] {
        assert!(described.contains(&format!("\n{column}")), "{described}");
    }
    assert!(stage.told("\\l").contains("weir|weir|UTF8"));
    assert!(stage.told("\\dn").contains("public|weir"));
    assert!(stage.told("\\du").contains("\nweir|"));
    let columns = stage.told("SELECT column_name FROM information_schema.columns WHERE table_name = 'logs' ORDER BY 1");
    assert!(columns.contains("\nlevel\nms\n"), "{columns}");
    assert_eq!(stage.told("SELECT count(*) FROM public.logs"), "count(*)\n600\n(1 row)\n");
    assert_eq!(
        stage.told("BEGIN; SELECT 1 AS one; COMMIT").lines().collect::<Vec<_>>(),
        ["BEGIN", "one", "1", "(1 row)", "COMMIT"]
    );
    assert!(stage.told("SHOW server_version").contains("Weir"));
}

#[test]
fn psql_is_told_what_is_wrong_and_where() {
    let stage = stage();
    let wrong = |sql: &str| {
        let output = stage.psql(&["-c", sql]);
        assert!(!output.status.success(), "{sql}");
        said(&output)
    };
    let error = wrong("SELECT level,\n  leve FROM logs");
    assert!(
        error.contains("ERROR:  there is no column \"leve\"") && error.contains("LINE 2:   leve FROM logs"),
        "{error}"
    );
    assert!(error.contains("HINT:  did you mean \"level\"?"), "{error}");
    assert!(wrong("DELETE FROM logs").contains("DELETE is not a question"));
    assert!(wrong("SELECT * FROM pg_catalog.pg_nothing").contains("HINT:  of PostgreSQL's catalog only what"));
    let failed = wrong("BEGIN; SELECT nothing; SELECT 1");
    assert!(failed.contains("there is no column"), "{failed}");
    let slow = "SET statement_timeout = 100; SELECT count(*) FROM logs a, logs b, logs c, logs d WHERE a.n + b.n + c.n + d.n = 3";
    let error = wrong(slow);
    assert!(error.contains("the query took longer than 0.1 s"), "{error}");
}

#[test]
fn a_python_driver_binds_parameters_fetches_in_pieces_and_cancels() {
    let stage = stage();
    let script = r#"
import datetime, decimal, sys, threading, psycopg
from psycopg.rows import dict_row

with psycopg.connect(f"postgresql://ann@{sys.argv[1]}/weir", row_factory=dict_row) as connection:
    for binary in (False, True):
        cursor = connection.cursor(binary=binary)
        cursor.execute("SELECT level, n, ms, ts, n > 4 AS big, CAST(ms AS DECIMAL(12, 3)) AS exact, ts::date AS day "
                       "FROM logs WHERE level = %s AND n BETWEEN %s AND %s AND ts < %s ORDER BY n",
                       ("ERROR", 3, 9, datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)))
        rows = cursor.fetchall()
        assert [row["n"] for row in rows] == [3, 6, 9], rows
        first = rows[0]
        assert first["level"] == "ERROR" and first["ms"] == 3.25 and first["big"] is False, first
        assert first["ts"] == datetime.datetime(2026, 1, 1, 0, 0, 3, 500000, tzinfo=datetime.timezone.utc), first
        assert first["exact"] == decimal.Decimal("3.250") and first["day"] == datetime.date(2026, 1, 1), first
    for n in range(12):  # prepared from the fifth time on
        row = connection.execute("SELECT count(*) AS c FROM logs WHERE n < %s", (n,)).fetchone()
        assert row["c"] == n, row
    try:
        connection.execute("SELECT %s + n FROM logs", ("x",))
        raise SystemExit("x is no number")
    except psycopg.Error as error:
        assert "x" in str(error), error
    connection.rollback()
    slow = ("SELECT count(*) AS c FROM logs a, logs b, logs c, logs d WHERE a.n + b.n + c.n + d.n = 3")
    threading.Timer(0.3, connection.cancel).start()
    try:
        connection.execute(slow)
        raise SystemExit("it was not cancelled")
    except psycopg.errors.QueryCanceled as error:
        assert "cancelled" in str(error), error
    connection.rollback()
    assert connection.execute("SELECT 7 AS seven").fetchone()["seven"] == 7
    connection.commit()
    pieces = connection.cursor()
    seen = [row["n"] for row in pieces.stream("SELECT n FROM logs ORDER BY n")]
    assert seen == list(range(600)), seen[:10]
print("well")
"#;
    let output = Command::new(python("clients", &DRIVERS))
        .args(["-c", script, &stage.address])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let (_, metrics) = stage.server.get("/metrics");
    assert!(metrics.contains("weir_queries_total{source=\"postgres\"}"), "{metrics}");
}

#[test]
fn whoever_speaks_otherwise_or_goes_silent_or_leaves_harms_nobody() {
    let stage = stage();
    let open = |bytes: &[u8]| {
        let mut client = TcpStream::connect(&stage.address).unwrap();
        client.write_all(bytes).unwrap();
        client
    };
    let mut http = open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut answer = Vec::new();
    http.read_to_end(&mut answer).unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("FATAL"), "{}", String::from_utf8_lossy(&answer));

    // A startup, a question without end, and gone: its turn is free again.
    let startup = b"\0\0\0\x12\0\x03\0\0user\0ann\0\0";
    let sql = b"SELECT count(*) FROM logs a, logs b, logs c, logs d WHERE a.n + b.n + c.n + d.n = 3\0";
    for _ in 0..8 {
        let mut leaver = open(startup);
        leaver.write_all(b"Q").unwrap();
        leaver.write_all(&(sql.len() as u32 + 4).to_be_bytes()).unwrap();
        leaver.write_all(sql).unwrap();
        // It is answered as far as that: its question is being computed, or waits for a turn.
        let mut greeting = [0; 64];
        assert!(leaver.read(&mut greeting).unwrap() > 0);
    }
    assert_eq!(stage.told("SELECT 1 AS one"), "one\n1\n(1 row)\n");

    let mut liar = open(startup);
    liar.write_all(b"Q\xff\xff\xff\xff").unwrap();
    let mut answer = Vec::new();
    liar.read_to_end(&mut answer).unwrap();
    assert!(String::from_utf8_lossy(&answer).contains("a message of 4294967295 bytes"));
    assert_eq!(stage.server.stop("-TERM"), Some(0));
}
