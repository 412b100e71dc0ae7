//! Read and decoded by several threads, a run comes to the same results as by one: to the byte, killed or not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{Place, Running, paths, repository, well};

const ROWS: u64 = 20_000;

/// Every kind of decoder output at once: windows over named fields, and every field in a table.
const PIPELINE: &str = "\
name: shared-out
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
      compute: { events: count(*), total: sum(duration_ms), slowest: max(duration_ms), p95: 'quantile(0.95, duration_ms)' }
outputs:
  - file: { path: result.ndjson, format: ndjson }
epoch: 100ms
";

/// Files of different length, so that some end long before the others, and one that is not all JSON.
fn inputs(place: &Place) -> Vec<PathBuf> {
    let files = [("a.ndjson", ROWS, "3"), ("b.ndjson", ROWS / 4, "4"), ("c.ndjson", ROWS * 2, "5")];
    for (name, rows, seed) in files {
        let rows = rows.to_string();
        well(&place.weir(&["gen", "logs", "--rows", &rows, "--seed", seed, "--out", name]).output().unwrap());
    }
    let mut damaged = fs::read_to_string(place.path("b.ndjson")).unwrap();
    damaged.insert_str(damaged.find('\n').unwrap() + 1, "this is no JSON\n");
    fs::write(place.path("b.ndjson"), damaged).unwrap();
    files.iter().map(|(name, ..)| place.path(name)).collect()
}

/// What a run leaves behind.
#[derive(PartialEq)]
struct Outcome {
    /// The result file as it is, in its order.
    file: String,
    late: Vec<Value>,
    dead: Vec<Value>,
}

fn outcome(place: &Place) -> Outcome {
    Outcome {
        file: fs::read_to_string(place.path("result.ndjson")).unwrap(),
        late: place.query("SELECT * FROM late_events ORDER BY source_file, source_offset"),
        dead: place.query("SELECT source_file, source_offset, reason, payload FROM dead_letters"),
    }
}

fn settings(files: &[PathBuf], tasks: u32) -> Vec<String> {
    let files: Vec<&Path> = files.iter().map(PathBuf::as_path).collect();
    vec![paths("sources.logs.file.paths", &files), format!("tasks={tasks}")]
}

fn straight(pipeline: &str, files: &[PathBuf], tasks: u32) -> (Place, Outcome) {
    let place = Place::new();
    let file = place.write("pipeline.yaml", pipeline);
    well(&place.run(&file, &settings(files, tasks)));
    let outcome = outcome(&place);
    (place, outcome)
}

#[test]
fn with_any_number_of_tasks_the_result_file_is_the_same_to_the_byte() {
    let origin = Place::new();
    let several = inputs(&origin);
    for files in [&several[..], &several[2..]] {
        let (_place, one) = straight(PIPELINE, files, 1);
        assert!(!one.late.is_empty(), "the data has late rows");
        let counted: u64 = one.file.lines().map(events).sum();
        let rows = files.iter().map(|file| fs::read_to_string(file).unwrap().lines().count() as u64).sum::<u64>();
        assert_eq!(counted + one.late.len() as u64 + one.dead.len() as u64, rows, "every row is somewhere, once");
        for tasks in [2, 4] {
            let (_place, many) = straight(PIPELINE, files, tasks);
            assert!(many.file == one.file, "{tasks} tasks and {} files give another result file", files.len());
            assert!(many.late == one.late, "{tasks} tasks and {} files give other late rows", files.len());
            assert!(many.dead == one.dead, "{tasks} tasks and {} files give other dead letters", files.len());
        }
    }
}

fn events(line: &str) -> u64 {
    serde_json::from_str::<Value>(line).unwrap()["events"].as_u64().unwrap()
}

#[test]
fn killed_with_several_tasks_a_run_ends_as_if_nothing_had_happened() {
    let origin = Place::new();
    let files = inputs(&origin);
    let sorted = |outcome: Outcome| {
        let mut lines: Vec<String> = outcome.file.lines().map(str::to_owned).collect();
        lines.sort();
        (lines, outcome.late, outcome.dead.len())
    };
    let expected = sorted(straight(PIPELINE, &files, 1).1);
    for tasks in [2, 4] {
        let place = Place::new();
        let pipeline = place.write("pipeline.yaml", PIPELINE);
        let mut kills = 0;
        loop {
            let mut command = place.run_command(&pipeline, &settings(&files, tasks));
            let mut running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
            // Killed after a commit that is not the first: in the middle of things, however fast the machine is.
            let before = epochs(&place);
            let ended = loop {
                if let Some(status) = running.0.try_wait().unwrap() {
                    assert!(status.success(), "{status}");
                    break true;
                }
                if epochs(&place) > before {
                    break false;
                }
            };
            if ended {
                break;
            }
            running.0.kill().unwrap();
            running.0.wait().unwrap();
            kills += 1;
        }
        assert!(kills > 0, "the run was killed at least once");
        assert!(sorted(outcome(&place)) == expected, "{tasks} tasks, {kills} kills");
    }
}

/// How many epochs have left a snapshot so far, as far as can be seen from outside.
fn epochs(place: &Place) -> u64 {
    let Ok(entries) = fs::read_dir(place.data().join("state/shared-out")) else { return 0 };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let digits = |name: String| name.chars().take_while(char::is_ascii_digit).collect::<String>().parse().ok();
    names.filter_map(digits).max().unwrap_or(0)
}

#[test]
fn formats_that_remember_share_out_what_they_can() {
    let text = fs::read_to_string(repository().join("examples/spark-logs.yaml")).unwrap();
    let rows = |tasks: u32| {
        let place = Place::new();
        let pipeline = place.write("pipeline.yaml", &text);
        let files = repository().join("examples/data/spark/**/*.std*");
        well(&place.run(&pipeline, &[paths("sources.logs.file.paths", &[&files]), format!("tasks={tasks}")]));
        place.query("SELECT * FROM spark_logs ORDER BY source_file, source_offset")
    };
    let one = rows(1);
    assert!(!one.is_empty());
    assert!(rows(4) == one, "four tasks read Spark's logs otherwise than one");
}
