//! Damaged state: a run goes back to an older commit, and tables and files show what they would have shown without the
//! damage; where that cannot be, it asks first.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Place, said, well};

const PIPELINE: &str = "\
name: hurt
sources:
  logs:
    file: { paths: [logs.ndjson], follow: false }
    format: json
time: { field: ts, watermark: { bounded: { delay: 0s } } }
steps:
  - name: per_minute
    window:
      tumbling: 1m
      by: [service]
      compute: { events: count(*), total: sum(n) }
outputs:
  - table: raw
    from: logs
  - table: per_minute
  - file: { path: lines.ndjson, format: ndjson }
  - file: { path: parts, format: parquet }
";

/// So many runs, each of which reads a part that was not there before, and commits once at least.
const PARTS: usize = 4;

/// Part `part` of the log: rows of a minute that three parts share.
fn part(part: usize) -> String {
    let row = |row: usize| {
        let (minute, second) = (part / 3, (part * 20 + row) % 60);
        let (service, n) = (["api", "db"][row % 2], part * 100 + row);
        format!("{{\"ts\":\"2026-01-01T10:{minute:02}:{second:02}Z\",\"service\":\"{service}\",\"n\":{n}}}\n")
    };
    (0..15).map(row).collect()
}

struct Story {
    place: Place,
    pipeline: PathBuf,
}

impl Story {
    /// A pipeline that has run once for each part.
    fn told(pipeline: &str) -> Self {
        let place = Place::new();
        let pipeline = place.write("hurt.yaml", pipeline);
        let story = Self { place, pipeline };
        for parts in 1..=PARTS {
            story.place.write("logs.ndjson", (0..parts).map(part).collect::<String>());
            well(&story.run(&[]));
        }
        story
    }

    /// The same in a place of its own.
    fn copied(&self) -> Self {
        let place = Place::new();
        let from = self.place.path(".");
        let copied = std::process::Command::new("cp").arg("-a").arg(from).arg(place.path(".")).status().unwrap();
        assert!(copied.success());
        let pipeline = place.path("hurt.yaml");
        Self { place, pipeline }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.place.run_command(&self.pipeline, &[]).args(arguments).output().unwrap()
    }

    /// The snapshots, oldest first.
    fn snapshots(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.place.data().join("state/hurt")).unwrap().map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> =
            files.filter(|path| path.extension().is_some_and(|kind| kind == "snap")).collect();
        files.sort();
        files
    }

    fn outcome(&self) -> (Vec<Value>, Vec<Value>, String, usize) {
        let parts = fs::read_dir(self.place.path("parts")).unwrap().count();
        (
            self.place.query("SELECT service, n FROM raw ORDER BY n"),
            self.place.query("SELECT * FROM per_minute ORDER BY row_id, revision"),
            fs::read_to_string(self.place.path("lines.ndjson")).unwrap(),
            parts,
        )
    }
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_flipped_bit_in_the_newest_state_costs_nothing_but_reading_again() {
    let expected = Story::told(PIPELINE);
    well(&expected.run(&[]));
    let story = Story::told(PIPELINE);
    let newest = story.snapshots().pop().unwrap();
    flip(&newest);
    let output = story.run(&[]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "it says so in its exit code: {text}");
    let name = newest.file_name().unwrap().to_string_lossy().into_owned();
    for part in ["is damaged: bytes", "do not match their checksum", "went back to that of epoch", &name] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(story.outcome() == expected.outcome(), "{:#?}\n{:#?}", story.outcome(), expected.outcome());
    assert!(story.place.data().join("state/hurt/damaged").join(name).exists(), "the file stays to be looked at");
    well(&story.run(&[]));
    assert!(story.outcome().0 == expected.outcome().0, "and the next run finds nothing wrong");
}

#[test]
fn killed_on_the_way_back_it_goes_back_all_the_same() {
    let expected = Story::told(PIPELINE);
    well(&expected.run(&[]));
    let expected = expected.outcome();
    let story = Story::told(PIPELINE);
    flip(&story.snapshots().pop().unwrap());
    for moment in 1..=12 {
        let copy = story.copied();
        let mut child = copy.place.run_command(&copy.pipeline, &[]).stderr(Stdio::null()).spawn().unwrap();
        #[expect(clippy::disallowed_methods, reason = "the moment of the kill is what is tried")]
        std::thread::sleep(Duration::from_millis(15 * moment));
        child.kill().unwrap();
        child.wait().unwrap();
        copy.run(&[]);
        assert!(copy.outcome() == expected, "killed after {} ms: {:#?}\n{expected:#?}", 15 * moment, copy.outcome());
    }
}

#[test]
fn it_goes_back_as_far_as_it_has_to() {
    let expected = Story::told(PIPELINE);
    well(&expected.run(&[]));
    let story = Story::told(PIPELINE);
    let mut snapshots = story.snapshots();
    assert!(snapshots.len() > 2, "several are kept, across runs: {snapshots:?}");
    flip(&snapshots.pop().unwrap());
    fs::remove_file(snapshots.pop().unwrap()).unwrap();
    let output = story.run(&[]);
    assert!(said(&output).contains("went back to that of epoch"), "{}", said(&output));
    let (got, expected) = (story.outcome(), expected.outcome());
    assert!((&got.0, &got.1) == (&expected.0, &expected.1), "{got:#?}\n{expected:#?}");
}

#[test]
fn when_no_state_can_be_read_it_refuses_and_changes_nothing() {
    let story = Story::told(PIPELINE);
    let before = story.outcome();
    story.snapshots().iter().for_each(|path| flip(path));
    for _ in 0..2 {
        let output = story.run(&[]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("the state of none of its") && text.contains("is damaged: bytes"), "{text}");
        assert!(story.outcome() == before);
    }
}

#[test]
fn rows_on_standard_output_are_shown_twice_only_where_that_is_allowed() {
    let pipeline = PIPELINE.replace("  - table: per_minute\n", "  - stdout: { format: ndjson }\n");
    let story = Story::told(&pipeline);
    flip(&story.snapshots().pop().unwrap());
    let before = fs::read(story.place.path("lines.ndjson")).unwrap();
    let refused = story.run(&[]);
    let text = said(&refused);
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(text.contains("would be shown again by stdout (stdout)") && text.contains("--fall-back"), "{text}");
    assert!(fs::read(story.place.path("lines.ndjson")).unwrap() == before, "nothing has changed");
    let allowed = story.run(&["--fall-back"]);
    let text = said(&allowed);
    assert!(text.contains("stdout got rows of later epochs already and gets them again"), "{text}");
    assert!(String::from_utf8_lossy(&allowed.stdout).contains("\"service\":\"api\""), "{text}");
    assert!(fs::read(story.place.path("lines.ndjson")).unwrap() == before, "and the file shows every row once");
    well(&story.run(&[]));
}
