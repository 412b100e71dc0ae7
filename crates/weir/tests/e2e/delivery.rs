//! Rows on their way to somebody who is away, slow, forgetful or picky: nothing is lost, what comes again has the same id,
//! and nobody else has to wait.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Instant;

use serde_json::Value;

use crate::endpoint::{Endpoint, Reply};
use crate::harness::{Place, Running, STOP_TIME_MAX, STOPS_SOON, awaited, said, well};
use crate::up::Server;

fn pipeline(name: &str, output: &str) -> String {
    format!(
        "\
name: {name}
sources:
  rows:
    file: {{ paths: [{name}.ndjson], follow: false }}
    format: json
outputs:
  - {output}
epoch: 100ms
"
    )
}

fn webhook(url: &str) -> String {
    format!("{{ http: {{ url: \"{url}\", batch: {{ rows: 50 }}, timeout: 1m }}, name: hook, retry: {{ max: 200ms }} }}")
}

fn numbers(count: u32) -> String {
    (0..count).fold(String::new(), |mut rows, n| {
        let _ = writeln!(rows, "{{\"n\":{n}}}");
        rows
    })
}

/// The values of `n`, each of which has to have one id only.
fn values(rows: &BTreeMap<String, Value>) -> BTreeSet<i64> {
    let values: BTreeSet<i64> = rows.values().map(|row| row["n"].as_i64().unwrap()).collect();
    assert_eq!(values.len(), rows.len(), "a row came under two ids");
    values
}

#[test]
fn an_endpoint_that_fails_and_forgets_to_answer_gets_every_row_and_knows_what_came_again() {
    let place = Place::new();
    place.write("p.ndjson", numbers(1_000));
    let endpoint = Endpoint::start(|taken, _| match taken {
        3 => Reply::TakeAndCut,
        7 => Reply::TakeAndCut,
        _ => Reply::Take,
    });
    let output = place.run(&place.write("p.yaml", pipeline("p", &webhook(&endpoint.url()))), &[]);
    well(&output);
    assert_eq!(values(&endpoint.rows()), (0..1_000).collect());
    let taken = endpoint.taken();
    let keys: BTreeSet<&str> = taken.iter().map(|request| request.key.as_str()).collect();
    assert_eq!(taken.len(), keys.len() + 2, "two requests came again, with the keys that they had");
}

#[test]
fn killed_at_any_moment_no_row_is_lost_and_duplicates_have_the_same_id() {
    let place = Place::new();
    place.write("p.ndjson", numbers(20_000));
    let endpoint = Endpoint::start(|taken, _| if taken % 11 == 5 { Reply::TakeAndCut } else { Reply::Take });
    let file = place.write("p.yaml", pipeline("p", &webhook(&endpoint.url())));
    let (mut kills, mut target) = (0, 20);
    loop {
        let mut command = place.run_command(&file, &[]);
        let mut running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        // Killed while it sends; the moment moves with every start.
        while endpoint.taken().len() < target && running.0.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        target = endpoint.taken().len() + 17 + 7 * kills;
        if let Some(status) = running.0.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            break;
        }
        running.0.kill().unwrap();
        running.0.wait().unwrap();
        kills += 1;
        if kills == 10 {
            well(&place.run(&file, &[]));
            break;
        }
    }
    assert!(kills >= 5, "only {kills} kills");
    assert_eq!(values(&endpoint.rows()), (0..20_000).collect(), "after {kills} kills");
    let mut bodies: BTreeMap<String, String> = BTreeMap::new();
    for request in endpoint.taken() {
        let before = bodies.entry(request.key.clone()).or_insert_with(|| request.body.clone());
        assert_eq!(*before, request.body, "the key {} for another batch", request.key);
    }
}

#[test]
fn rows_that_the_endpoint_will_never_take_are_dead_letters_with_its_words() {
    let place = Place::new();
    place.write("p.ndjson", numbers(300));
    let endpoint = Endpoint::start(|_, body| match body.contains("\"n\":77,") {
        true => Reply::Refuse(422, "77 is not a number"),
        false => Reply::Take,
    });
    let file = place.write("p.yaml", pipeline("p", &webhook(&endpoint.url())));
    let mut command = place.run_command(&file, &[]);
    let output = command.args(["--format", "json"]).output().unwrap();
    well(&output);
    assert_eq!(values(&endpoint.rows()), (0..300).filter(|n| *n != 77).collect());
    let letters = place.query("SELECT source_file, reason, payload FROM dead_letters");
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!(letters[0]["source_file"], "output hook");
    assert!(letters[0]["reason"].as_str().unwrap().contains("77 is not a number"), "{letters:?}");
    assert!(letters[0]["payload"].as_str().unwrap().starts_with("{\"n\":77,"), "{letters:?}");
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["outputs"][0]["rows_written"], 300, "{status}");
    assert_eq!(status["outputs"][0]["rows_rejected"], 1, "{status}");
}

#[test]
fn a_dead_endpoint_holds_its_own_pipeline_only_and_gets_everything_once_it_is_back() {
    let place = Place::new();
    place.write("held.ndjson", numbers(500));
    place.write("free.ndjson", numbers(500));
    // A port where nobody listens, for now.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let held = place.write("held.yaml", pipeline("held", &webhook(&format!("http://{port}/hook"))));
    let free = place.write("free.yaml", pipeline("free", "table: free"));
    let files = [held.to_str().unwrap(), free.to_str().unwrap()];

    let server = Server::start(&place, &[&files[..], &STOPS_SOON].concat());
    server.sql_becomes("SELECT count(*) FROM free", 500);
    let status = becomes(&server, "held", |status| status["waiting"].as_array().is_some_and(|list| !list.is_empty()));
    let waiting = &status["waiting"][0];
    assert_eq!((waiting["output"].as_str(), status["state"].as_str()), (Some("hook"), Some("running")), "{status}");
    assert!(waiting["since"].is_string() && waiting["error"].as_str().unwrap().contains("gives no answer"), "{status}");
    let (code, ready) = server.get("/health/ready");
    assert!(code == 200 && ready.contains("output hook of pipeline held takes no rows since"), "{code} {ready}");
    let (_, metrics) = server.get("/metrics");
    let series = "weir_output_waiting_since_timestamp_seconds{pipeline=\"held\",output=\"hook\"}";
    assert!(metrics.contains(series), "{metrics}");
    let asked = Instant::now();
    assert_eq!(server.stop("-TERM"), Some(0), "a clean end");
    assert!(asked.elapsed() < STOP_TIME_MAX, "{:?}", asked.elapsed());

    let server = Server::start(&place, &files);
    becomes(&server, "held", |status| !status["waiting"].as_array().unwrap().is_empty());
    let endpoint = Endpoint::listen(TcpListener::bind(port).unwrap(), |_, _| Reply::Take);
    endpoint.wait_for(10);
    becomes(&server, "held", |status| {
        status["state"] == "finished" && status["waiting"].as_array().unwrap().is_empty()
    });
    assert_eq!(values(&endpoint.rows()), (0..500).collect());
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[test]
fn an_output_that_is_given_up_ends_the_run_and_the_next_one_loses_nothing() {
    let place = Place::new();
    place.write("p.ndjson", numbers(100));
    let endpoint = Endpoint::start(|_, _| Reply::Refuse(503, "closed for today"));
    let output = webhook(&endpoint.url()).replace("max: 200ms", "max: 50ms, give_up_after: 300ms");
    let failed = place.run(&place.write("p.yaml", pipeline("p", &output)), &[]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(said(&failed).contains("closed for today") && said(&failed).contains("output hook"), "{}", said(&failed));

    let endpoint = Endpoint::start(|_, _| Reply::Take);
    well(&place.run(&place.write("p.yaml", pipeline("p", &webhook(&endpoint.url()))), &[]));
    assert_eq!(values(&endpoint.rows()), (0..100).collect());
}

/// Asks for the status of a pipeline until it is so.
pub(crate) fn becomes(server: &Server, pipeline: &str, so: impl Fn(&Value) -> bool) -> Value {
    awaited(&format!("the status of {pipeline} is so"), || {
        let answer: Value = serde_json::from_str(&server.get("/api/v1/pipelines").1).unwrap();
        let status = answer["pipelines"].as_array().unwrap().iter().find(|status| status["name"] == pipeline).cloned();
        status.filter(&so).ok_or_else(|| answer.to_string())
    })
}
