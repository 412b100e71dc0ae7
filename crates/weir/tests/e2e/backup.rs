//! Backups on the real binary: taken while it works, restored after it was killed, checked, refused where they must be.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;

use crate::harness::{Place, Running, paths, said, until, well};
use crate::up::{Server, post_rows};

const ROWS: u64 = 60_000;

const PIPELINE: &str = "\
name: saved
sources:
  logs:
    file: { paths: [logs.ndjson], follow: false }
    format: json
time: { field: ts, watermark: { bounded: { delay: 10s } } }
steps:
  - name: per_minute
    window:
      tumbling: 10s
      by: [service, level]
      compute: { events: count(*), total: sum(duration_ms), p95: 'quantile(0.95, duration_ms)' }
outputs:
  - table: raw
    from: logs
  - table: per_minute
epoch: 100ms
";

/// Everything that the tables show, in a stable order.
fn shown(place: &Place) -> [Vec<Value>; 3] {
    [
        place.query("SELECT count(*) AS n, count(DISTINCT ts || message) AS d, sum(CAST(round(duration_ms * 1000) AS BIGINT)) AS s FROM raw"),
        place.query("SELECT * FROM per_minute ORDER BY row_id, revision"),
        place.query("SELECT source_offset, late_by_ms, window_start FROM late_events ORDER BY source_offset"),
    ]
}

fn backup(place: &Place, more: &[&str]) -> Value {
    let command = place.weir(&["backup", "saved", "--format", "json", "--data"]).arg(place.data()).args(more).output();
    let output = command.unwrap();
    well(&output);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn restore(place: &Place, from: &Path, more: &[&str]) -> Output {
    place.weir(&["restore"]).arg(from).arg("--data").arg(place.data()).args(more).output().unwrap()
}

/// Every content in the backup folder.
fn objects(place: &Place) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in fs::read_dir(place.path("saved/objects")).unwrap() {
        found.extend(fs::read_dir(folder.unwrap().path()).unwrap().map(|entry| entry.unwrap().path()));
    }
    found.sort();
    found
}

#[test]
fn saved_while_it_runs_killed_and_restored_it_goes_on_and_ends_as_if_nothing_had_happened() {
    let origin = Place::new();
    let rows = ROWS.to_string();
    well(&origin.weir(&["gen", "logs", "--rows", &rows, "--seed", "7", "--out", "logs.ndjson"]).output().unwrap());
    let logs = origin.path("logs.ndjson");
    let settings = [paths("sources.logs.file.paths", &[&logs])];
    well(&origin.run(&origin.write("p.yaml", PIPELINE), &settings));
    let expected = shown(&origin);

    let place = Place::new();
    let pipeline = place.write("p.yaml", PIPELINE.replace("follow: false", "follow: true"));
    let mut command = place.run_command(&pipeline, &settings);
    let mut running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    until("there is a catalog", || {
        assert!(running.0.try_wait().unwrap().is_none(), "it ended before it began");
        place.data().join("catalog.sqlite").exists()
    });
    // As many as fit while it works; each is whole, and takes little more than what is new.
    let mut taken: Vec<Value> = Vec::new();
    while taken.len() < 3 {
        taken.push(backup(&place, &[]));
    }
    running.0.kill().unwrap();
    running.0.wait().unwrap();
    for report in &taken {
        let id = report["id"].as_str().unwrap();
        let verified = restore(&place, &place.path("saved"), &["--verify", "--id", id]);
        well(&verified);
        assert!(said(&verified).contains("is sound"), "{}", said(&verified));

        let again = Place::new();
        well(&restore(&again, &place.path("saved"), &["--id", id]));
        // Whatever was committed then is there, and the rest is read as if it had never been.
        well(&again.run(&again.write("p.yaml", PIPELINE), &settings));
        assert!(shown(&again) == expected, "after the restore of {report}");
    }
}

#[test]
fn what_was_acknowledged_before_the_backup_is_there_after_a_restore() {
    let place = Place::new();
    let server = Server::start(&place, &[]);
    post_rows(&server, 0, 500);
    let first = backup(&place, &[]);
    post_rows(&server, 500, 900);
    server.sql_becomes("SELECT count(*) FROM logs", 900);
    let second = backup(&place, &[]);
    assert!(second["new_bytes"].as_u64().unwrap() > 0 && first["files"].as_u64().unwrap() >= 2, "{first} {second}");
    post_rows(&server, 900, 1000);
    assert_eq!(server.stop("-KILL"), None);
    for (report, rows) in [(first, 500), (second, 900)] {
        let again = Place::new();
        well(&restore(&again, &place.path("saved"), &["--id", report["id"].as_str().unwrap()]));
        let server = Server::start(&again, &[]);
        server.sql_becomes("SELECT count(*) FROM logs", rows);
        post_rows(&server, 5_000, 5_010);
        server.sql_becomes("SELECT count(DISTINCT n) FROM logs", rows + 10);
    }
}

/// A data folder with some rows in it, and a backup of it.
fn saved() -> Place {
    let place = Place::new();
    well(&place.weir(&["gen", "logs", "--rows", "5000", "--seed", "7", "--out", "logs.ndjson"]).output().unwrap());
    well(&place.run(&place.write("p.yaml", PIPELINE), &[]));
    backup(&place, &[]);
    place
}

#[test]
fn what_has_not_changed_is_not_written_again_and_what_is_not_kept_is_deleted() {
    let place = saved();
    let before = objects(&place);
    let again = backup(&place, &[]);
    assert_eq!(again["new_bytes"], 0, "{again}");
    assert_eq!(objects(&place), before);
    let listed = restore(&place, &place.path("saved"), &["--list"]);
    assert_eq!(said(&listed).lines().count(), 2, "{}", said(&listed));

    well(&place.weir(&["gen", "logs", "--rows", "9000", "--seed", "7", "--out", "logs.ndjson"]).output().unwrap());
    well(&place.run(&place.path("p.yaml"), &[]));
    let kept = backup(&place, &["--keep", "1"]);
    assert_eq!(kept["deleted"].as_array().unwrap().len(), 2, "{kept}");
    assert!(before.iter().any(|object| !object.exists()), "contents that no backup names are gone");
    well(&restore(&place, &place.path("saved"), &["--verify"]));
    let again = Place::new();
    well(&restore(&again, &place.path("saved"), &[]));
    assert_eq!(again.number("SELECT count(*) FROM raw"), 9000);
}

#[test]
fn a_damaged_backup_is_recognised_file_by_file_and_nothing_is_restored_of_it() {
    let place = saved();
    let sound = objects(&place);
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage); 3] = [
        ("a flipped bit", |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1
        }),
        ("half of it", |bytes| bytes.truncate(bytes.len() / 2)),
        ("nothing of it", Vec::clear),
    ];
    for object in &sound {
        let content = fs::read(object).unwrap();
        for (what, damage) in damages {
            let mut damaged = content.clone();
            damage(&mut damaged);
            fs::write(object, damaged).unwrap();
            let verified = restore(&place, &place.path("saved"), &["--verify"]);
            assert_eq!(verified.status.code(), Some(1), "{what}: {}", said(&verified));
            let name = object.file_name().unwrap().to_str().unwrap();
            assert!(said(&verified).contains(name), "{what}: {}", said(&verified));
            fs::write(object, &content).unwrap();
        }
    }
    fs::remove_file(&sound[0]).unwrap();
    let again = Place::new();
    let refused = restore(&again, &place.path("saved"), &[]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
    assert!(said(&refused).contains("it is missing"), "{}", said(&refused));
    assert!(!again.data().exists(), "nothing is there that a start could take for data");
    // The next backup mends it.
    backup(&place, &[]);
    well(&restore(&again, &place.path("saved"), &[]));
}

#[test]
fn a_restore_is_refused_where_something_is_and_where_nothing_was_saved() {
    let place = saved();
    let refused = restore(&place, &place.path("saved"), &[]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("is not empty"), "{}", said(&refused));
    let again = Place::new();
    for (from, more, reason) in [
        ("saved", &["--id", "20000101T000000000Z"][..], "there is no backup 2000"),
        ("nowhere", &[], "there is no backup in"),
    ] {
        let refused = restore(&again, &place.path(from), more);
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(said(&refused).contains(reason), "{}", said(&refused));
    }
    let refused = place.weir(&["backup", "saved", "--data", "nowhere"]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("is no data folder"), "{}", said(&refused));
}
