//! Outputs that neither take rows nor refuse them: an endpoint that does not answer, a broker whose time stands still, standard
//! output that nobody reads. The pipeline stands still up to its source, memory stays where it is, its neighbour goes on, and
//! nothing is lost in the end.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use serde_json::Value;
use weir_kafka_broker::{Cluster, Isolation};

use crate::delivery::becomes;
use crate::endpoint::{Endpoint, Reply};
use crate::harness::{PATIENCE, Place, STOP_TIME_MAX, STOPS_SOON, memory_kib, until};
use crate::up::Server;

/// A gate that is closed until it is opened, and knows how many have come to it.
#[derive(Default)]
struct Gate {
    now: Mutex<(bool, u32)>,
    changed: Condvar,
}

impl Gate {
    fn pass(&self) {
        let mut now = self.now.lock().unwrap();
        now.1 += 1;
        self.changed.notify_all();
        drop(self.changed.wait_while(now, |now| !now.0).unwrap());
    }

    fn open(&self) {
        self.now.lock().unwrap().0 = true;
        self.changed.notify_all();
    }

    fn wait_until_somebody_has_come(&self) {
        let now = self.now.lock().unwrap();
        let waited = self.changed.wait_timeout_while(now, PATIENCE, |now| now.1 == 0);
        assert!(!waited.unwrap().1.timed_out(), "nobody has come");
    }

    fn came(&self) -> u32 {
        self.now.lock().unwrap().1
    }
}

fn pipeline(name: &str, output: &str) -> String {
    format!(
        "name: {name}\nsources:\n  rows:\n    http: {{ stream: {name} }}\n    format: json\noutputs:\n  - {output}\nepoch: 100ms\n"
    )
}

/// Posts rows `from..to`, each so many bytes longer than its number.
fn post(server: &Server, stream: &str, (from, to): (u32, u32), padding: usize) {
    let padding = "x".repeat(padding);
    let rows: String = (from..to).map(|n| format!("{{\"n\":{n},\"padding\":\"{padding}\"}}\n")).collect();
    let (status, answer) = server.send("POST", &format!("/api/v1/ingest/{stream}"), "application/x-ndjson", &rows);
    assert_eq!(status, 200, "{answer}");
}

fn read(server: &Server, pipeline: &str) -> u64 {
    becomes(server, pipeline, |_| true)["rows_read"].as_u64().unwrap()
}

/// Bytes of memory that the server has.
fn resident(server: &Server) -> u64 {
    memory_kib(server.pid(), "VmRSS:") << 10
}

/// What is posted while one pipeline stands still: so many posts, each of so many rows of so many bytes.
const POSTS: u32 = 32;
const ROWS: u32 = 128;
const ROW_BYTES: usize = 16 << 10;
/// What memory may grow by while 64 MiB are posted.
const GROWTH_MAX: u64 = 32 << 20;

/// Posts rows to the pipeline `slow`, which stands still after `posted` rows, and to `fast` beside it: all of those get into
/// their table while the slow one reads nothing more and memory does not grow. Returns how many rows were posted to it in all.
fn goes_on_beside(server: &Server, posted: u32) -> u32 {
    // Everything that is made once is made: buffers of the size of posts, the table.
    post(server, "slow", (posted, posted + ROWS), ROW_BYTES);
    post(server, "fast", (0, ROWS), 0);
    server.sql_becomes("SELECT count(*) FROM fast", ROWS.into());
    let (before, read_before) = (resident(server), read(server, "slow"));
    for round in 1..=POSTS {
        let span = (round * ROWS, (round + 1) * ROWS);
        post(server, "slow", (posted + span.0, posted + span.1), ROW_BYTES);
        post(server, "fast", span, 0);
        server.sql_becomes("SELECT count(*) FROM fast", span.1.into());
    }
    assert_eq!(read(server, "slow"), read_before, "it reads nothing while it waits");
    let grown = resident(server).saturating_sub(before);
    assert!(grown < GROWTH_MAX, "memory grew by {grown} bytes while 64 MiB were posted");
    posted + (POSTS + 1) * ROWS
}

fn waits(server: &Server) {
    becomes(server, "slow", |status| status["waiting"].as_array().is_some_and(|waiting| !waiting.is_empty()));
}

/// The server with a slow pipeline to `output`, and a fast one to a table.
fn files(place: &Place, output: &str) -> [String; 2] {
    let written = |name: &str, output: &str| place.write(&format!("{name}.yaml"), pipeline(name, output));
    [written("slow", output), written("fast", "table: fast")].map(|path| path.display().to_string())
}

#[test]
fn an_endpoint_that_never_answers_holds_its_own_pipeline_up_to_the_source_and_nobody_else() {
    let (place, gate) = (Place::new(), Arc::new(Gate::default()));
    let endpoint = Endpoint::start({
        let gate = Arc::clone(&gate);
        move |_, _| {
            gate.pass();
            Reply::Take
        }
    });
    let files = files(&place, &format!("{{ http: {{ url: \"{}\", timeout: 5m }}, name: hook }}", endpoint.url()));
    let files = files.each_ref().map(String::as_str);
    let server = Server::start(&place, &[&files[..], &STOPS_SOON].concat());
    post(&server, "slow", (0, 1), ROW_BYTES);
    gate.wait_until_somebody_has_come();
    let all = goes_on_beside(&server, 1);
    // All of the neighbour's rows went through while not one answer was given here.
    assert_eq!((gate.came(), endpoint.taken().len(), read(&server, "slow")), (1, 0, 1));
    waits(&server);
    let asked = Instant::now();
    assert_eq!(server.stop("-TERM"), Some(0), "it can be stopped all the same");
    assert!(asked.elapsed() < STOP_TIME_MAX, "{:?}", asked.elapsed());

    let server = Server::start(&place, &files);
    gate.open();
    until("everything has arrived", || read(&server, "slow") >= u64::from(all) - 1);
    let mut rows = endpoint.rows();
    until("the last has arrived", || {
        rows = endpoint.rows();
        rows.len() >= all as usize
    });
    let numbers: BTreeSet<u64> = rows.values().map(|row| row["n"].as_u64().unwrap()).collect();
    assert_eq!((rows.len(), numbers), (all as usize, (0..u64::from(all)).collect()), "each under one id");
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[test]
fn standard_output_that_nobody_reads_holds_its_own_pipeline_up_to_the_source_and_nobody_else() {
    let place = Place::new();
    let mut command = place.weir(&["up", "--listen", "127.0.0.1:0", "--data"]);
    command.arg(place.data()).args(files(&place, "stdout: { format: ndjson }")).stdout(Stdio::piped());
    let mut server = Server::of(command, std::io::sink());
    let output = server.output();
    // More than a pipe holds.
    post(&server, "slow", (0, ROWS), ROW_BYTES);
    waits(&server);
    let all = u64::from(goes_on_beside(&server, ROWS));

    let mut lines = BufReader::new(output).lines();
    let number = |line: String| serde_json::from_str::<Value>(&line).unwrap()["n"].as_u64().unwrap();
    let numbers: Vec<u64> = lines.by_ref().take(all as usize).map(|line| number(line.unwrap())).collect();
    assert_eq!(numbers, (0..all).collect::<Vec<_>>(), "each once, in order, as nothing was killed");
    becomes(&server, "slow", |status| status["waiting"].as_array().unwrap().is_empty());
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_whose_time_stands_still_holds_its_own_pipeline_up_to_the_source_and_nobody_else() {
    let kafka = Cluster::start(1).expect("a broker");
    kafka.topic("sent", 1).await.expect("a topic");
    tokio::task::block_in_place(|| {
        let place = Place::new();
        let output = format!("kafka: {{ brokers: [\"{}\"], topic: sent }}", kafka.bootstrap());
        let files = files(&place, &output);
        let server = Server::start(&place, &files.each_ref().map(String::as_str));
        let sent = || kafka.read("sent", Isolation::Committed).expect("read");
        post(&server, "slow", (0, 1), ROW_BYTES);
        until("the first row is sent", || sent().len() == 1);
        kafka.node(1).freeze();
        post(&server, "slow", (1, 2), ROW_BYTES);
        waits(&server);
        let all = goes_on_beside(&server, 2);
        kafka.node(1).thaw();
        let ends = || kafka.ends("sent").expect("said").iter().sum::<i64>();
        until("everything is sent", || ends() > i64::from(all) && sent().len() >= all as usize);
        let number = |value: &str| serde_json::from_str::<Value>(value).unwrap()["n"].as_u64().unwrap();
        let numbers: Vec<u64> = sent().iter().map(|record| number(record.value.as_deref().unwrap())).collect();
        assert_eq!(numbers, (0..u64::from(all)).collect::<Vec<_>>(), "each once, in order");
        assert_eq!(server.stop("-TERM"), Some(0));
    });
}
