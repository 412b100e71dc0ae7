//! Clients of Arrow Flight SQL: an ADBC driver asks the tables of a running server.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use crate::harness::{PATIENCE, Place, python, said};
use crate::up::Server;

/// Pinned, so that the test is the same tomorrow.
const DRIVER: [&str; 3] = ["adbc-driver-flightsql==1.13.0", "adbc-driver-manager==1.13.0", "pyarrow==26.0.1"];

/// Rows of the table: enough for several messages.
const ROWS: u64 = 60_000;

struct Stage {
    server: Server,
    address: String,
    _place: Place,
}

/// A server with some rows.
fn stage() -> Stage {
    let place = Place::new();
    let server = Server::start(&place, &["--flight", "127.0.0.1:0"]);
    let address = server.said().split("grpc://").nth(1).expect("it says where").lines().next().unwrap().to_owned();
    for from in (0..ROWS).step_by(20_000) {
        let rows: String = (from..from + 20_000)
            .map(|n| {
                let level = if n % 3 == 0 { "ERROR" } else { "INFO" };
                let second = n / 1000;
                format!(
                    "{{\"ts\":\"2026-01-01T00:{:02}:{:02}.5Z\",\"level\":\"{level}\",\"ms\":{n}.25,\"n\":{n},\"message\":\"request {n} was answered in {n} ms by host-{} at last\"}}\n",
                    second / 60,
                    second % 60,
                    n % 7
                )
            })
            .collect();
        let (status, said) = server.send("POST", "/api/v1/ingest/logs", "application/x-ndjson", &rows);
        assert_eq!(status, 200, "{said}");
    }
    server.sql_becomes("SELECT count(*) FROM logs", ROWS);
    Stage { server, address, _place: place }
}

impl Stage {
    /// Runs a Python script with a `connection` of ADBC.
    fn script(&self, script: &str) {
        let script = format!(
            "import sys, threading, time, datetime, warnings\nimport pyarrow as pa\nimport adbc_driver_manager as adbc\n\
             import adbc_driver_flightsql.dbapi as dbapi\nwarnings.simplefilter('error')\n\
             connection = dbapi.connect('grpc://' + sys.argv[1], autocommit=True)\ncursor = connection.cursor()\n\
             {script}\ncursor.close()\nconnection.close()\nprint('well')\n"
        );
        let output = Command::new(python("flight", &DRIVER))
            .args(["-c", &script, &self.address])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
}

#[test]
fn an_adbc_driver_asks_and_gets_columns() {
    let stage = stage();
    stage.script(
        r#"
cursor.execute("SELECT level, count(*) AS n, avg(ms) AS mean, max(ts) AS last, make_array(1, 2) AS list, NULL AS nothing "
               "FROM logs GROUP BY level ORDER BY level")
table = cursor.fetch_arrow_table()
assert table.column_names == ["level", "n", "mean", "last", "list", "nothing"], table.schema
assert table["level"].to_pylist() == ["ERROR", "INFO"] and table["n"].to_pylist() == [20000, 40000], table
assert table["last"].type == pa.timestamp("us", "UTC"), table.schema
assert table["list"].to_pylist() == [[1, 2], [1, 2]], table

# All rows, in many messages, while they come.
cursor.execute("SELECT * FROM logs ORDER BY n")
reader = cursor.fetch_record_batch()
seen, batches = 0, 0
for batch in reader:
    column = batch.column(batch.schema.get_field_index("n"))
    assert column[0].as_py() == seen, (column[0], seen)
    seen, batches = seen + batch.num_rows, batches + 1
assert seen == 60000 and batches > 3, (seen, batches)

# Nothing at all has columns too.
cursor.execute("SELECT n, level FROM logs WHERE n < 0")
assert cursor.fetch_arrow_table().schema.names == ["n", "level"]

# One connection, several questions at once.
def ask(n, answers):
    with connection.cursor() as other:
        other.execute(f"SELECT count(*) FROM logs WHERE n % 8 = {n}")
        answers[n] = other.fetchone()[0]
answers = {}
threads = [threading.Thread(target=ask, args=(n, answers)) for n in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert sum(answers.values()) == 60000, answers
"#,
    );
    let (_, metrics) = stage.server.get("/metrics");
    assert!(metrics.contains("weir_queries_total{source=\"flight\"} "), "{metrics}");
    assert_eq!(stage.server.stop("-TERM"), Some(0));
}

#[test]
fn an_adbc_driver_prepares_questions_and_binds_values() {
    stage().script(
        r#"
question = ("SELECT level, n, ts::date AS day FROM logs WHERE level = $1 AND n BETWEEN $2 AND $3 AND ts < $4 ORDER BY n")
until = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
cursor.adbc_prepare(question)
for _ in range(2):
    cursor.execute(question, ("ERROR", 3, 9, until))
    rows = cursor.fetchall()
    assert rows == [("ERROR", n, datetime.date(2026, 1, 1)) for n in (3, 6, 9)], rows
cursor.execute(question, ("it's; DROP TABLE logs --", 3, 9, until))
assert cursor.fetchall() == []
cursor.execute(question, ("ERROR", None, 9, until))
assert cursor.fetchall() == []
schema = cursor.adbc_prepare(question)
assert [field.name for field in schema] == ["$1", "$2", "$3", "$4"], schema
assert schema.field(1).type == pa.int64() and pa.types.is_timestamp(schema.field(3).type), schema
schema = cursor.adbc_execute_schema("SELECT n, level FROM logs")
assert schema.names == ["n", "level"], schema
try:
    cursor.execute("SELECT n FROM logs WHERE n < $1", ("many",))
    cursor.fetchall()
    raise SystemExit("many is no number")
except dbapi.Error as error:
    assert "many" in str(error), error
try:
    cursor.execute("SELECT n FROM logs WHERE n < $1 AND n > $2", (1,))
    raise SystemExit("a value is missing")
except dbapi.Error as error:
    assert "2 placeholders" in str(error) or "$2" in str(error), error
"#,
    );
}

#[test]
fn an_adbc_driver_browses_what_there_is() {
    stage().script(
        r#"
info = connection.adbc_get_info()
assert info["vendor_name"] == "Weir" and info["driver_name"], info
assert connection.adbc_get_table_types() == ["TABLE"]
objects = connection.adbc_get_objects(depth="all").read_all().to_pylist()
schemas = {schema["db_schema_name"]: schema for catalog in objects for schema in catalog["catalog_db_schemas"]}
assert [catalog["catalog_name"] for catalog in objects] == ["weir"], objects
logs = [table for table in schemas["public"]["db_schema_tables"] if table["table_name"] == "logs"]
names = [column["column_name"] for column in logs[0]["table_columns"]]
assert {"ts", "level", "ms", "n", "message"} <= set(names), names
some = connection.adbc_get_objects(depth="tables", table_name_filter="no%").read_all().to_pylist()
assert all(not schema["db_schema_tables"] for catalog in some for schema in catalog["catalog_db_schemas"]), some
assert connection.adbc_get_table_schema("logs").field("n").type == pa.int64()
"#,
    );
}

#[test]
fn an_adbc_driver_is_told_what_is_wrong_and_stops_what_it_no_longer_wants() {
    let stage = stage();
    stage.script(
        r#"
def wrong(sql, kind, *words):
    try:
        cursor.execute(sql)
        cursor.fetchall()
        raise SystemExit(f"{sql} is wrong")
    except kind as error:
        assert all(word in str(error) for word in words), error
        return error
wrong("SELECT leve FROM logs", dbapi.ProgrammingError, 'there is no column "leve"', 'did you mean "level"?')
wrong("SELECT * FROM lgs", dbapi.ProgrammingError, 'there is no table "lgs"')
wrong("DELETE FROM logs", dbapi.NotSupportedError, "DELETE is not a question")
wrong("SELECT 1; SELECT 2", dbapi.NotSupportedError, "2 statements")
wrong("SELECT " + "1 + " * 5000 + "1", dbapi.ProgrammingError, "operators")
wrong("SELECT " + "x" * 3000000, dbapi.Error)
wrong("SELECT 1 / (n - n) FROM logs", dbapi.Error, "by zero")
assert cursor.execute("SELECT 7 AS seven") is not None and cursor.fetchone() == (7,)

slow = ("SELECT count(*) AS c FROM logs a, logs b, logs c, logs d WHERE a.n + b.n + c.n + d.n = 3")
over = threading.Event()
def cancel():
    # Again and again: it may not have begun yet.
    while not over.wait(0.2):
        cursor.adbc_cancel()
cancelling = threading.Thread(target=cancel)
cancelling.start()
try:
    cursor.execute(slow)
    cursor.fetchall()
    raise SystemExit("it was not cancelled")
except dbapi.Error as error:
    assert "ancel" in str(error), error
over.set()
cancelling.join()

# Answers that nobody reads to the end give their turns back.
for _ in range(6):
    with connection.cursor() as other:
        other.execute("SELECT a.n FROM logs a, logs b")
        next(iter(other.fetch_record_batch()))
cursor.execute("SELECT count(*) FROM logs")
assert cursor.fetchone() == (60000,)
"#,
    );
}

#[test]
fn a_client_of_plain_flight_lists_actions_reads_schemas_and_cancels_by_ticket() {
    let stage = stage();
    stage.script(
        r#"
import signal
import pyarrow.flight as fl
# The client takes every cancellation for one from the keyboard, and interrupts whatever the main thread is at.
signal.signal(signal.SIGINT, signal.SIG_IGN)
def packed(number, content):
    length, out = len(content), bytes([number << 3 | 2])
    while length > 127:
        out, length = out + bytes([length & 127 | 128]), length >> 7
    return out + bytes([length]) + content
def command(sql):
    name = b"type.googleapis.com/arrow.flight.protocol.sql.CommandStatementQuery"
    return fl.FlightDescriptor.for_command(packed(1, name) + packed(2, packed(1, sql.encode())))
client = fl.connect("grpc://" + sys.argv[1])
CANCELLED, NOT_CANCELLABLE = 1, 3
def cancel(info):
    answers = list(client.do_action(fl.Action("CancelFlightInfo", packed(1, info.serialize()))))
    assert len(answers) == 1 and answers[0].body.to_pybytes()[0] == 8, answers
    return answers[0].body.to_pybytes()[1]
assert {"CreatePreparedStatement", "CancelFlightInfo"} <= {action.type for action in client.list_actions()}
assert client.get_schema(command("SELECT n, level FROM logs")).schema.names == ["n", "level"]
info = client.get_flight_info(command("SELECT n FROM logs WHERE n < 3 ORDER BY n"))
assert client.do_get(info.endpoints[0].ticket).read_all()["n"].to_pylist() == [0, 1, 2]
assert cancel(info) == NOT_CANCELLABLE

info = client.get_flight_info(command("SELECT count(*) AS c FROM logs a, logs b, logs c, logs d WHERE a.n + b.n + c.n + d.n = 3"))
outcome = []
def ask():
    try:
        outcome.append(client.do_get(info.endpoints[0].ticket).read_all())
    except Exception as error:
        outcome.append(error)
asking = threading.Thread(target=ask)
asking.start()
began = time.monotonic()
while cancel(info) != CANCELLED:
    assert asking.is_alive() and time.monotonic() - began < 300, outcome
    time.sleep(0.05)
asking.join(300)
assert outcome and "cancelled" in str(outcome[0]), outcome

for wrong in (fl.FlightDescriptor.for_command(b"noise"), fl.FlightDescriptor.for_path("logs")):
    try:
        client.get_flight_info(wrong)
        raise SystemExit("that is no command")
    except Exception as error:
        assert "no command of Flight SQL" in str(error), error
"#,
    );
}

#[test]
fn whoever_speaks_no_grpc_or_goes_silent_harms_nobody() {
    let stage = stage();
    let open = |bytes: &[u8]| {
        let mut client = TcpStream::connect(&stage.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(bytes).unwrap();
        client
    };
    let mut answer = Vec::new();
    let _closed = open(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    let _closed = open(&[0xff; 4096]).read_to_end(&mut answer);
    let silent: Vec<TcpStream> = (0..50).map(|_| open(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")).collect();
    stage.script("cursor.execute('SELECT count(*) FROM logs')\nassert cursor.fetchone() == (60000,)");
    // Those who never say what they want are let go after the time for a head.
    for mut client in silent {
        let mut said = Vec::new();
        // A connection that was reset is closed too; one that nobody closes is not.
        let closed = client.read_to_end(&mut said).map_err(|error| error.kind());
        assert!(!matches!(closed, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{closed:?}");
    }
    assert_eq!(stage.server.stop("-TERM"), Some(0));
}
