//! What waits beside an output between its commit and the moment when it is shown, damaged in every way: named, never shown by
//! half, never twice; whole again, it is shown once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use weir_kafka_broker::{Cluster, Isolation};

use crate::harness::{Place, Running, said, until, well};

/// Ways to damage a file of rows; nothing: the file is gone.
fn damages(sound: &[u8]) -> Vec<(&'static str, Option<Vec<u8>>)> {
    let middle = sound.len() / 2;
    let mut flipped = sound.to_vec();
    flipped[middle] ^= 1;
    let mut zeroed = sound.to_vec();
    zeroed[middle..].fill(0);
    vec![
        ("a flipped bit", Some(flipped)),
        ("zeros", Some(zeroed)),
        ("half of it", Some(sound[..middle].to_vec())),
        ("nothing in it", Some(Vec::new())),
        ("rows of another time", Some(b"{\"n\":1}\n".to_vec())),
        ("no file", None),
    ]
}

fn put(path: &Path, content: Option<Vec<u8>>) {
    match content {
        Some(content) => fs::write(path, content).unwrap(),
        None => fs::remove_file(path).unwrap(),
    }
}

fn refused(output: &Output, words: &str, what: &str) {
    let said = said(output);
    assert!(!output.status.success(), "{what}: {said}");
    assert!(said.contains(words) && !said.contains("panicked"), "{what}: {said}");
}

const LINES: &str = "\
name: staged
sources: { rows: { file: { paths: [in.ndjson], follow: false }, format: json, schema: { n: int64 } } }
outputs: [{ file: { path: out.ndjson, format: ndjson } }]
epoch: 1h
";

/// What the last commit says of its output `out.ndjson`.
fn note(place: &Place) -> Value {
    let catalog = rusqlite::Connection::open(place.data().join("catalog.sqlite")).unwrap();
    let body = "SELECT body FROM commits ORDER BY epoch DESC LIMIT 1";
    let body: String = catalog.query_row(body, [], |row| row.get(0)).unwrap();
    let commit: Value = serde_json::from_str(&body).unwrap();
    let prepared = commit["prepared"].as_object().unwrap().values();
    let notes = prepared.filter_map(|prepared| serde_json::from_str::<Value>(prepared["roll_forward"].as_str()?).ok());
    notes.into_iter().find(|note| note["file"] == "out.ndjson").unwrap()
}

#[test]
fn rows_of_a_file_that_are_committed_and_not_shown_yet_are_shown_whole_or_named() {
    let place = Place::new();
    place.write("in.ndjson", (0..500).map(|n| format!("{{\"n\":{n}}}\n")).collect::<String>());
    let pipeline = place.write("p.yaml", LINES);
    well(&place.run(&pipeline, &[]));
    let shown = fs::read(place.path("out.ndjson")).unwrap();
    // As a crash right after the commit leaves it.
    let note = note(&place);
    let staged: PathBuf = place.path(note["staged"].as_str().unwrap());
    let before = usize::try_from(note["length_before"].as_u64().unwrap()).unwrap();
    let rows = shown[before..].to_vec();
    assert_eq!(rows.len() as u64, note["bytes"].as_u64().unwrap(), "{note}");
    for (what, damaged) in damages(&rows) {
        fs::write(place.path("out.ndjson"), &shown[..before]).unwrap();
        fs::write(&staged, &rows).unwrap();
        let words = if damaged.is_some() { "out.ndjson.epoch-" } else { "were committed to it" };
        put(&staged, damaged);
        refused(&place.run(&pipeline, &[]), words, what);
        assert_eq!(fs::read(place.path("out.ndjson")).unwrap(), &shown[..before], "{what}: nothing of it is shown");
    }
    fs::write(&staged, &rows).unwrap();
    well(&place.run(&pipeline, &[]));
    assert_eq!(fs::read(place.path("out.ndjson")).unwrap(), shown, "put back, it is shown once");
    assert!(!staged.exists());
}

const TO_KAFKA: &str = "\
name: sent
sources: { rows: { file: { paths: [in.ndjson], follow: true }, format: json, schema: { n: int64 } } }
outputs: [{ kafka: { brokers: [\"BROKERS\"], topic: sent } }]
epoch: 100ms
";

#[tokio::test(flavor = "multi_thread")]
async fn rows_for_kafka_that_are_committed_and_not_sent_yet_are_sent_once_or_named() {
    let kafka = Cluster::start(1).expect("a broker");
    kafka.topic("sent", 1).await.expect("a topic");
    let place = Place::new();
    let row = |n: u32| format!("{{\"n\":{n}}}\n");
    place.write("in.ndjson", (0..50).map(row).collect::<String>());
    let pipeline = place.write("p.yaml", TO_KAFKA.replace("BROKERS", kafka.bootstrap()));
    tokio::task::block_in_place(|| {
        let sent = || kafka.read("sent", Isolation::Committed).expect("read").len();
        let run = || {
            let mut command = place.run_command(&pipeline, &[]);
            Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
        };
        let mut running = run();
        until("the first rows are sent", || sent() == 50);
        // The broker goes, more is committed, and Weir is killed.
        kafka.node(1).kill();
        place.write("in.ndjson", (0..80).map(row).collect::<String>());
        until("the next rows are committed", || read_to(&place) == 80);
        running.0.kill().unwrap();
        running.0.wait().unwrap();
        kafka.node(1).start().expect("it starts again");

        let folder = place.data().join("outputs/sent");
        let files = walkdir::WalkDir::new(folder).into_iter().filter_map(Result::ok);
        let mut staged: Vec<PathBuf> = files
            .map(walkdir::DirEntry::into_path)
            .filter(|path| path.extension().is_some_and(|end| end == "staged"))
            .collect();
        assert_eq!(staged.len(), 1, "{staged:?}");
        let staged = staged.remove(0);
        let name = staged.file_name().unwrap().to_str().unwrap().to_owned();
        let sound = fs::read(&staged).unwrap();
        for (what, damaged) in damages(&sound) {
            put(&staged, damaged);
            let ended = place.run_command(&pipeline, &["sources.rows.file.follow=false".to_owned()]).output().unwrap();
            refused(&ended, &name, what);
            assert_eq!(sent(), 50, "{what}: nothing of it is sent");
            fs::write(&staged, &sound).unwrap();
        }
        well(&place.run(&pipeline, &["sources.rows.file.follow=false".to_owned()]));
        kafka.settled("sent").expect("every transaction is decided");
        assert_eq!(sent(), 80, "put back, it is sent once");
    });
}

/// How many rows the last commit has taken.
fn read_to(place: &Place) -> u64 {
    let output =
        place.weir(&["state", "inspect", "sent", "--format", "json", "--data"]).arg(place.data()).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    found["partitions"][0]["rows"].as_u64().unwrap_or(0)
}
