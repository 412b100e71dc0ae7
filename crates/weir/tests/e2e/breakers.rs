//! Circuit breakers before an output and before a lookup, in the real binary and against a server that is away and comes
//! back: they open, let one request through to see, and close; and no row is lost meanwhile.

use std::sync::{Arc, Condvar, Mutex};

use crate::endpoint::{Endpoint, Reply};
use crate::harness::{Place, awaited};
use crate::up::Server;

/// What the other side is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    /// It refuses everybody.
    Away,
    /// It lets whoever asks wait.
    Thinking,
    /// It answers.
    Back,
}

/// The other side, and how often it was asked.
struct Side {
    now: Mutex<(Mood, u32)>,
    changed: Condvar,
}

impl Side {
    fn away() -> Arc<Self> {
        Arc::new(Self { now: Mutex::new((Mood::Away, 0)), changed: Condvar::new() })
    }

    fn turns(&self, mood: Mood) {
        self.now.lock().unwrap().0 = mood;
        self.changed.notify_all();
    }

    fn asked(&self) -> u32 {
        self.now.lock().unwrap().1
    }

    /// What it says to a request: when it thinks, only once it has made up its mind.
    fn answer(&self, well: Reply) -> Reply {
        let mut now = self.now.lock().unwrap();
        now.1 += 1;
        self.changed.notify_all();
        let now = self.changed.wait_while(now, |now| now.0 == Mood::Thinking).unwrap();
        if now.0 == Mood::Back { well } else { Reply::Refuse(503, "not now") }
    }
}

/// Waits until the metrics have a line with this beginning and this value.
fn shows(server: &Server, series: &str, wanted: impl Fn(f64) -> bool) {
    awaited(&format!("{series} is so"), || {
        let metrics = server.get("/metrics").1;
        let value = metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok());
        if value.is_some_and(&wanted) { Ok(()) } else { Err(format!("{value:?}")) }
    });
}

/// Closed, open, half-open with one request only, and closed again, as it can be seen from outside.
fn opens_and_closes(server: &Server, side: &Side, of: &str, labels: &str) {
    let state = |state: &str| format!("weir_{of}_breaker_state{{{labels},state=\"{state}\"}}");
    let opened = format!("weir_{of}_breaker_opened_total{{{labels}}}");
    shows(server, &state("open"), |value| value == 1.0);
    // While it is open nobody asks; each request from here on is a probe of its own.
    side.turns(Mood::Thinking);
    shows(server, &state("half_open"), |value| value == 1.0);
    shows(server, &opened, |value| value >= 1.0);
    let probes = side.asked();
    shows(server, &state("closed"), |value| value == 0.0);
    assert!(side.asked() <= probes + 1, "more than one probe at a time");
    side.turns(Mood::Back);
    shows(server, &state("closed"), |value| value == 1.0);
}

fn rows(from: u32, to: u32) -> String {
    (from..to).map(|n| format!("{{\"n\":{n},\"user\":{}}}\n", n % 7)).collect()
}

fn post(server: &Server, from: u32, to: u32) {
    let (status, answer) = server.send("POST", "/api/v1/ingest/in", "application/x-ndjson", &rows(from, to));
    assert_eq!(status, 200, "{answer}");
}

#[test]
fn before_an_output_that_refuses_it_opens_sends_one_probe_at_a_time_closes_and_every_row_arrives() {
    let (place, side) = (Place::new(), Side::away());
    let endpoint = Endpoint::start({
        let side = Arc::clone(&side);
        move |_, _| side.answer(Reply::Take)
    });
    let text = format!(
        "name: p\nsources:\n  rows:\n    http: {{ stream: in }}\n    format: json\noutputs:\n  - http: {{ url: \"{}\", batch: {{ rows: 50 }} }}\n    name: hook\n    retry: {{ max: 2s }}\nepoch: 100ms\n",
        endpoint.url()
    );
    let pipeline = place.write("p.yaml", text);
    let server = Server::start(&place, &[pipeline.to_str().unwrap()]);
    shows(&server, "weir_output_breaker_state{pipeline=\"p\",output=\"hook\",state=\"closed\"}", |value| value == 1.0);
    post(&server, 0, 500);
    opens_and_closes(&server, &side, "output", "pipeline=\"p\",output=\"hook\"");
    post(&server, 500, 700);
    endpoint.wait_for(14);
    let sent: Vec<i64> = endpoint.rows().values().map(|row| row["n"].as_i64().unwrap()).collect();
    let distinct: std::collections::BTreeSet<i64> = sent.iter().copied().collect();
    assert_eq!((sent.len(), distinct.len()), (700, 700), "every row under one id");
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[test]
fn before_a_lookup_that_fails_it_opens_sends_one_probe_at_a_time_closes_and_every_row_has_its_answer() {
    let (place, side) = (Place::new(), Side::away());
    let users = Endpoint::start({
        let side = Arc::clone(&side);
        move |_, _| side.answer(Reply::Say("{\"name\":\"Ann\"}"))
    });
    let text = format!(
        "name: p\nsources:\n  rows:\n    http: {{ stream: in }}\n    format: json\n    schema: {{ n: int64, user: int64 }}\nsteps:\n  - name: users\n    enrich:\n      table:\n        http_lookup:\n          url: 'http://{}/users/{{id}}'\n          on_failure: wait\n          concurrency: 4\n          breaker: {{ failures: 3, open_for: 2s }}\n      on: {{ user: id }}\n      take: [name]\noutputs:\n  - table: t\nepoch: 100ms\n",
        users.address
    );
    let pipeline = place.write("p.yaml", text);
    let server = Server::start(&place, &[pipeline.to_str().unwrap()]);
    post(&server, 0, 500);
    opens_and_closes(&server, &side, "lookup", "pipeline=\"p\",step=\"users\"");
    post(&server, 500, 700);
    server.sql_becomes("SELECT count(DISTINCT n) FROM t WHERE name = 'Ann'", 700);
    server.sql_becomes("SELECT count(*) FROM t", 700);
    assert_eq!(server.stop("-TERM"), Some(0));
}
