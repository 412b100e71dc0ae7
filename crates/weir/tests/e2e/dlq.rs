//! Dead letters: listed, looked at, given to their pipeline again exactly once, deleted; a full store of them pauses.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::delivery::becomes;
use crate::harness::{Place, Running, said, well};
use crate::up::Server;

/// `status` has to be a number, until the pipeline is corrected.
fn pipeline(schema: &str, follow: bool, more: &str) -> String {
    format!(
        "\
name: p
sources:
  rows:
    file: {{ paths: [p.ndjson], follow: {follow} }}
    format: json
    schema: {{ n: int64, status: {schema} }}
outputs:
  - table: rows
epoch: 100ms
{more}"
    )
}

/// Every tenth status is a word.
fn rows(count: u32) -> String {
    let status = |n: u32| if n.is_multiple_of(10) { "\"no idea\"" } else { "200" };
    (0..count).map(|n| format!("{{\"n\":{n},\"status\":{}}}\n", status(n))).collect()
}

fn dlq(place: &Place, arguments: &[&str]) -> std::process::Output {
    let mut command = place.weir(&["dlq"]);
    command.args(arguments).arg("--data").arg(place.data()).output().unwrap()
}

fn stored(place: &Place) -> Value {
    place.query("SELECT count(*) AS rows, count(DISTINCT n) AS different FROM rows")[0].clone()
}

#[test]
fn letters_are_given_to_the_corrected_pipeline_again_exactly_once() {
    let place = Place::new();
    place.write("p.ndjson", rows(200));
    well(&place.run(&place.write("p.yaml", pipeline("int64", false, "")), &[]));
    assert_eq!(place.number("SELECT count(*) FROM dead_letters"), 20);
    let again = dlq(&place, &["replay", "--pipeline", "p"]);
    well(&again);
    assert!(said(&again).contains("20 dead letters"), "{}", said(&again));
    assert_eq!(place.number("SELECT count(*) FROM dead_letters"), 0);
    let nothing = dlq(&place, &["replay"]);
    assert!(said(&nothing).contains("0 dead letters"), "{}", said(&nothing));

    // Not corrected, they are dead letters again, once.
    well(&place.run(&place.path("p.yaml"), &[]));
    assert_eq!(place.number("SELECT count(*) FROM dead_letters"), 20);
    assert_eq!(place.number("SELECT count(DISTINCT id) FROM dead_letters WHERE source_file = 'dead letters'"), 20);
    well(&dlq(&place, &["replay", "--reason", "STATUS"]));
    // A run that ends by itself has forgotten nothing when the pipeline is changed.
    well(&place.run(&place.write("p.yaml", pipeline("string", false, "")), &[]));
    assert_eq!(place.number("SELECT count(*) FROM dead_letters"), 0);
    assert_eq!(stored(&place), serde_json::json!({ "rows": 200, "different": 200 }));
    well(&place.run(&place.path("p.yaml"), &[]));
    assert_eq!(stored(&place), serde_json::json!({ "rows": 200, "different": 200 }), "not again");
}

#[test]
fn killed_at_any_moment_letters_are_taken_exactly_once() {
    let place = Place::new();
    place.write("p.ndjson", rows(20_000));
    well(&place.run(&place.write("p.yaml", pipeline("int64", false, "")), &[]));
    assert_eq!(place.number("SELECT count(*) FROM dead_letters"), 2_000);
    // The command that puts them back is killed too.
    for pause in [1, 20, 40, 60, 80] {
        let mut command = place.weir(&["dlq", "replay", "--data"]);
        let mut running =
            Running(command.arg(place.data()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let until = Instant::now() + Duration::from_millis(pause);
        while Instant::now() < until && running.0.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let _ = running.0.kill();
        running.0.wait().unwrap();
    }
    well(&dlq(&place, &["replay"]));
    assert_eq!(place.number("SELECT count(*) FROM dead_letters"), 0);
    let file = place.write("p.yaml", pipeline("string", false, ""));
    for pause in [50, 100, 150, 200, 250, 300] {
        let mut command = place.run_command(&file, &[]);
        let mut running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let until = Instant::now() + Duration::from_millis(pause);
        while Instant::now() < until && running.0.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let _ = running.0.kill();
        running.0.wait().unwrap();
    }
    well(&place.run(&file, &[]));
    assert_eq!(stored(&place), serde_json::json!({ "rows": 20_000, "different": 20_000 }));
}

#[test]
fn what_is_shown_cannot_steer_a_terminal_and_raw_is_the_record_byte_for_byte() {
    let place = Place::new();
    let bad = b"{\"n\":1,\x1b[31m\xff\xe2\x80\xae";
    place.write("p.ndjson", [bad.as_slice(), b"\n{\"n\":2}\n"].concat());
    well(&place.run(&place.write("p.yaml", pipeline("int64", false, "")), &[]));
    let id = place.query("SELECT id FROM dead_letters")[0]["id"].as_str().unwrap().to_owned();
    let shown = dlq(&place, &["show", &id]);
    well(&shown);
    let text = said(&shown);
    assert!(text.contains(r"\u{1b}[31m\xff\u{202e}") && !text.contains('\u{1b}'), "{text}");
    for known in
        ["pipeline        p", "source          rows", "format          json", "kind            record", "p.ndjson"]
    {
        assert!(text.contains(known), "{known}: {text}");
    }
    assert_eq!(dlq(&place, &["show", &id, "--raw"]).stdout, bad);
    assert_eq!(dlq(&place, &["show", "9-9"]).status.code(), Some(1));
}

#[test]
fn purging_asks_and_says_how_many() {
    let place = Place::new();
    place.write("p.ndjson", rows(100));
    well(&place.run(&place.write("p.yaml", pipeline("int64", false, "")), &[]));
    let refused = dlq(&place, &["purge", "--pipeline", "p"]);
    assert!(!refused.status.success() && said(&refused).contains("Delete 10 dead letters"), "{}", said(&refused));
    let none = dlq(&place, &["purge", "--pipeline", "q", "--yes"]);
    assert!(said(&none).contains("no such dead letters"), "{}", said(&none));
    let wrong = dlq(&place, &["purge", "--from", "yesterday", "--yes"]);
    assert!(!wrong.status.success() && said(&wrong).contains("yesterday"), "{}", said(&wrong));
    let first = place.query("SELECT id FROM dead_letters ORDER BY id LIMIT 1")[0]["id"].as_str().unwrap().to_owned();
    assert!(said(&dlq(&place, &["purge", &first, "--yes"])).contains("1 dead letters deleted"));
    assert!(said(&dlq(&place, &["purge", "--yes"])).contains("9 dead letters deleted"));
    assert_eq!(place.number("SELECT count(*) FROM dead_letters"), 0);
    assert_eq!(place.number("SELECT count(*) FROM rows"), 90);
}

#[test]
fn a_full_store_of_dead_letters_pauses_the_pipeline_until_there_is_room() {
    let place = Place::new();
    place.write("p.ndjson", rows(1_000));
    let file = place.write("p.yaml", pipeline("int64", true, "dead_letters_limit: { rows: 100 }\n"));
    let server = Server::start(&place, &[file.to_str().unwrap()]);
    becomes(&server, "p", |status| status["rows_read"] == 1_000);
    server.sql_becomes("SELECT count(*) FROM dead_letters", 100);
    let mut more = std::fs::OpenOptions::new().append(true).open(place.path("p.ndjson")).unwrap();
    std::io::Write::write_all(&mut more, b"{\"n\":1000,\"status\":\"no idea\"}\n{\"n\":1001,\"status\":200}\n")
        .unwrap();
    let status = becomes(&server, "p", |status| !status["waiting"].as_array().unwrap().is_empty());
    assert_eq!(status["waiting"][0]["output"], "dead_letters", "{status}");
    assert!(status["waiting"][0]["error"].as_str().unwrap().contains("weir dlq purge"), "{status}");
    assert!(server.get("/health/ready").1.contains("dead_letters"));
    assert_eq!(server.sql("SELECT count(*) FROM dead_letters")["rows"][0][0], 100, "nothing is dropped or added");

    // While it runs, letters are given again and deleted through it.
    well(&dlq(&place, &["purge", "--yes", "--to", "2100-01-01T00:00:00Z"]));
    server.sql_becomes("SELECT count(*) FROM rows WHERE n = 1001", 1);
    server.sql_becomes("SELECT count(*) FROM dead_letters", 1);
    let again = dlq(&place, &["replay"]);
    assert!(said(&again).contains("1 dead letters are given to their pipeline again"), "{}", said(&again));
    server.sql_becomes("SELECT count(*) FROM dead_letters WHERE source_file = 'dead letters'", 1);
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[test]
fn the_same_thing_rejected_again_has_the_same_name_and_what_a_later_step_cannot_process_is_a_letter_too() {
    let run = |epoch: &str| {
        let place = Place::new();
        let row = |(key, second): (&str, u32)| {
            format!("{{\"ts\":\"2026-01-01T10:00:{second:02}Z\",\"key\":\"{key}\",\"n\":1}}\n")
        };
        let times = [("a", 1), ("a", 2), ("b", 3), ("b", 4), ("b", 5), ("a", 40), ("late", 6)];
        let rows = times.map(row).concat() + "no JSON\nno JSON\n";
        place.write("p.ndjson", rows);
        let pipeline = format!(
            "name: p\nsources: {{ rows: {{ file: {{ paths: [p.ndjson], follow: false }}, format: json }} }}\n\
             time: {{ field: ts, watermark: {{ bounded: {{ delay: 0s }} }} }}\n\
             steps:\n  - {{ name: counted, window: {{ tumbling: 10s, by: [key], compute: {{ events: count(*) }} }} }}\n  \
             - {{ name: shared, add: {{ share: '12 / (events - 2)' }} }}\n\
             outputs: [{{ table: counted }}]\nepoch: {epoch}\n"
        );
        well(&place.run(&place.write("p.yaml", pipeline), &[]));
        place
    };
    let (once, again) = (run("1h"), run("100ms"));
    let letters = "SELECT kind, row_id, reason, payload FROM dead_letters ORDER BY kind, row_id";
    let found = once.query(letters);
    assert_eq!(found.len(), 3, "{found:?}");
    assert_eq!(found, again.query(letters), "whatever the epoch and its number");
    let ids: std::collections::BTreeSet<_> = found.iter().map(|letter| letter["row_id"].to_string()).collect();
    assert_eq!(ids.len(), 3, "each has a name of its own: {found:?}");
    let of_result = found.iter().find(|letter| letter["kind"] == "result").unwrap();
    assert!(of_result["reason"].as_str().unwrap().contains("the step shared cannot process it"), "{of_result}");
    assert!(of_result["payload"].as_str().unwrap().contains("\"events\":2"), "{of_result}");
    let late = "SELECT row_id, source_offset FROM late_events";
    let found = once.query(late);
    assert!(found.len() == 1 && found[0]["row_id"].as_str().is_some_and(|id| id.len() == 32), "{found:?}");
    assert_eq!(found, again.query(late));
}
