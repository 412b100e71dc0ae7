//! Pipelines that were changed between two runs: they keep the state that fits, and refuse the rest with the way out.

use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;

use crate::harness::{Place, awaited, said, well};

const PIPELINE: &str = "\
name: changing
sources:
  logs:
    file: { paths: [logs.ndjson], follow: true }
    format: json
time: { field: ts, watermark: { bounded: { delay: 0s } }, idle_after: 1h }
steps:
  - name: per_minute
    window:
      tumbling: 1m
      by: [service]
      compute: { events: count(*) }
outputs:
  - table: per_minute
epoch: 100ms
";

struct Story {
    place: Place,
}

impl Story {
    /// Three rows wait in a window that is open.
    fn told() -> Self {
        let story = Self { place: Place::new() };
        let row = |second: u32| {
            format!("{{\"ts\":\"2026-01-01T10:00:{second:02}Z\",\"service\":\"api\",\"level\":\"info\"}}\n")
        };
        story.place.write("logs.ndjson", (0..3).map(row).collect::<String>());
        story.until(PIPELINE, &[], 3);
        story
    }

    fn file(&self, pipeline: &str) -> PathBuf {
        self.place.write("changing.yaml", pipeline)
    }

    /// Runs until the state says that so many rows were read, and interrupts it.
    fn until(&self, pipeline: &str, arguments: &[&str], rows: u64) {
        let file = self.file(pipeline);
        let mut child = self.place.run_command(&file, &[]).args(arguments).spawn().unwrap();
        awaited(&format!("{rows} rows are read"), || {
            let found = self.inspect();
            let so = found.as_ref().is_some_and(|found| found["partitions"][0]["rows"] == rows);
            assert!(so || child.try_wait().unwrap().is_none(), "it ended by itself");
            if so { Ok(()) } else { Err(format!("{found:?}")) }
        });
        let interrupted = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(interrupted.success());
        assert_eq!(child.wait().unwrap().code(), Some(130));
    }

    /// The same from a file that ends.
    fn to_the_end(&self, pipeline: &str, arguments: &[&str]) -> Output {
        let file = self.file(&pipeline.replace("follow: true", "follow: false"));
        self.place.run_command(&file, &[]).args(arguments).output().unwrap()
    }

    fn inspect(&self) -> Option<Value> {
        let command = &["state", "inspect", "changing", "--format", "json", "--data"];
        let output = self.place.weir(command).arg(self.place.data()).output().unwrap();
        serde_json::from_slice(&output.stdout).ok()
    }

    fn counted(&self) -> Vec<Value> {
        self.place.query("SELECT service, events FROM per_minute ORDER BY 1, 2")
    }
}

#[test]
fn a_step_without_state_a_name_and_a_lateness_may_change() {
    let story = Story::told();
    let changed = PIPELINE
        .replace("steps:\n", "steps:\n  - name: all\n    where: service IS NOT NULL\n")
        .replace("      tumbling: 1m\n", "      tumbling: 1m\n      lateness: 5s\n")
        .replace("name: per_minute", "name: by_minute")
        .replace("table: per_minute", "name: renamed\n    table: per_minute");
    let output = story.to_the_end(&changed, &[]);
    well(&output);
    assert!(!said(&output).contains("DOES NOT BALANCE"), "{}", said(&output));
    assert_eq!(story.counted(), [serde_json::json!({ "service": "api", "events": 3 })]);
}

#[test]
fn other_keys_are_refused_until_the_state_is_left_behind() {
    let story = Story::told();
    let changed = PIPELINE.replace("[service]", "[service, level]");
    let refused = story.to_the_end(&changed, &[]);
    let text = said(&refused);
    assert_eq!(refused.status.code(), Some(2), "{text}");
    for part in ["step per_minute: key columns changed from `service` to `service, level`", "--reset-state=per_minute"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    let unknown = story.to_the_end(&changed, &["--reset-state=minutely"]);
    assert!(said(&unknown).contains("step minutely: there is no such step"), "{}", said(&unknown));
    let reset = story.to_the_end(&changed, &["--reset-state=per_minute"]);
    let text = said(&reset);
    well(&reset);
    assert!(text.contains("3 filtered") && !text.contains("DOES NOT BALANCE"), "{text}");
    well(&story.to_the_end(&changed, &[]));
}

#[test]
fn what_is_remembered_can_be_looked_at() {
    let story = Story::told();
    let found = story.inspect().expect("there is state");
    let step = &found["steps"][0];
    assert_eq!((&step["name"], &step["open_rows"], &step["groups"]), (&"per_minute".into(), &3.into(), &1.into()));
    assert_eq!(step["depends_on"]["key columns"], "service");
    assert_eq!(found["partitions"][0]["latest"], "2026-01-01T10:00:02Z");
    let command = &["state", "inspect", "changing", "--rows", "5", "--data"];
    let output = story.place.weir(command).arg(story.place.data()).output().unwrap();
    well(&output);
    for part in ["per_minute", "api", "watermark: 2026-01-01T10:00:02"] {
        assert!(said(&output).contains(part), "{part}: {}", said(&output));
    }
    let missing = story.place.weir(&["state", "inspect", "nobody", "--data"]).arg(story.place.data()).output().unwrap();
    assert_eq!(missing.status.code(), Some(2), "{}", said(&missing));
}

#[test]
fn damage_that_leaves_nothing_to_go_back_to_ends_with_a_reset() {
    let story = Story::told();
    for entry in std::fs::read_dir(story.place.data().join("state/changing")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|kind| kind == "snap") {
            std::fs::write(path, "nonsense").unwrap();
        }
    }
    let refused = story.to_the_end(PIPELINE, &[]);
    assert!(said(&refused).contains("--reset-state"), "{}", said(&refused));
    let reset = story.to_the_end(PIPELINE, &["--reset-state"]);
    well(&reset);
    assert!(said(&reset).contains("3 filtered"), "{}", said(&reset));
}

#[test]
fn a_bucket_that_makes_no_sense_is_refused_where_it_is_written() {
    let place = Place::new();
    let wrong = format!("{PIPELINE}state: {{ snapshots: {{ url: 'ftp://host/folder' }} }}\n");
    let file = place.write("wrong.yaml", &wrong);
    let output = place.weir(&["check"]).arg(file).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    for part in ["wrong.yaml:16:", "ftp:// is none of s3://, gs:// and az://"] {
        assert!(said(&output).contains(part), "{part}: {}", said(&output));
    }
}
