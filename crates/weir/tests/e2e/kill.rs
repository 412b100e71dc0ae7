//! Killed at any moment and started again, a run ends as if nothing had happened: nothing lost, nothing twice.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{Place, Running, paths, said, until, well};

/// How many kills the test waits for.
const KILLS: u32 = 20;
/// A run whose kills never let it end would go on for ever.
const STARTS_MAX: u32 = 200;
const ROWS: u64 = 60_000;

const PIPELINE: &str = "\
name: killed
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
  - table: raw
    from: logs
  - table: per_minute
  - file: { path: result.ndjson, format: ndjson }
epoch: 100ms
";

/// Everything a run leaves behind that people look at, in a stable order.
#[derive(PartialEq)]
struct Outcome {
    raw: Vec<Value>,
    windows: Vec<Value>,
    late: Vec<Value>,
    file: Vec<String>,
}

fn outcome(place: &Place) -> Outcome {
    let mut file: Vec<String> =
        fs::read_to_string(place.path("result.ndjson")).unwrap().lines().map(str::to_owned).collect();
    file.sort();
    Outcome {
        raw: place.query("SELECT count(*) AS n, count(DISTINCT ts || message) AS d, sum(CAST(round(duration_ms * 1000) AS BIGINT)) AS s FROM raw"),
        windows: place.query("SELECT * FROM per_minute ORDER BY row_id, revision"),
        late: place.query("SELECT source_offset, late_by_ms, window_start FROM late_events ORDER BY source_offset"),
        file,
    }
}

fn input(place: &Place) -> std::path::PathBuf {
    let path = place.path("logs.ndjson");
    let rows = ROWS.to_string();
    well(&place.weir(&["gen", "logs", "--rows", &rows, "--seed", "7", "--out", "logs.ndjson"]).output().unwrap());
    path
}

fn straight(pipeline: &str, logs: &Path) -> Outcome {
    let place = Place::new();
    let file = place.write("pipeline.yaml", pipeline);
    well(&place.run(&file, &[paths("sources.logs.file.paths", &[logs])]));
    outcome(&place)
}

#[test]
fn killed_at_random_moments_and_started_again_a_run_ends_as_if_nothing_had_happened() {
    let origin = Place::new();
    let logs = input(&origin);
    let expected = straight(PIPELINE, &logs);
    assert_eq!(expected.raw[0]["n"], ROWS, "the undisturbed run has stored every row");
    assert!(!expected.late.is_empty(), "the data has late rows, which must survive as well");

    // The moments are spread by a small generator whose seed is printed, so that a failure can be looked for again.
    let mut seed = u64::from(std::process::id());
    println!("seed of the moments: {seed}");
    let mut moment = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Duration::from_millis(30 + (seed >> 33) % 900)
    };
    let (mut kills, mut starts) = (0, 0);
    while kills < KILLS {
        let place = Place::new();
        let pipeline = place.write("pipeline.yaml", PIPELINE);
        loop {
            starts += 1;
            assert!(starts < STARTS_MAX, "a killed run never comes to its end");
            let mut command = place.run_command(&pipeline, &[paths("sources.logs.file.paths", &[&logs])]);
            let mut running = Running(command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap());
            #[expect(clippy::disallowed_methods, reason = "the moment of the kill is what is drawn at random")]
            std::thread::sleep(moment());
            if let Some(status) = running.0.try_wait().unwrap() {
                assert!(status.success(), "{status}");
                break;
            }
            running.0.kill().unwrap();
            running.0.wait().unwrap();
            kills += 1;
            if kills >= KILLS {
                well(&place.run(&pipeline, &[paths("sources.logs.file.paths", &[&logs])]));
                break;
            }
        }
        let got = outcome(&place);
        assert_eq!(got.raw, expected.raw, "after {kills} kills");
        assert_eq!(got.late, expected.late, "after {kills} kills");
        assert!(got.windows == expected.windows, "the windows differ after {kills} kills");
        assert!(got.file == expected.file, "the result file differs after {kills} kills");
    }
}

#[test]
fn interrupted_it_commits_what_it_has_taken_and_the_next_run_goes_on() {
    let origin = Place::new();
    let logs = input(&origin);
    let place = Place::new();
    // Followed, the run has no end of its own.
    let pipeline = place.write("pipeline.yaml", PIPELINE.replace("follow: false", "follow: true"));
    let settings = [paths("sources.logs.file.paths", &[&logs])];
    let mut command = place.run_command(&pipeline, &settings);
    let mut running = Running(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    until("every row is stored", || {
        place.data().join("catalog.sqlite").exists() && rows_stored(&place) == Some(i64::try_from(ROWS).unwrap())
    });
    let interrupted = std::process::Command::new("kill").args(["-INT", &running.0.id().to_string()]).status().unwrap();
    assert!(interrupted.success());
    assert_eq!(running.0.wait().unwrap().code(), Some(130), "the exit code of an interrupted run");

    let finished = place.run(&place.write("bounded.yaml", PIPELINE), &settings);
    well(&finished);
    assert_eq!(place.number("SELECT count(*) FROM raw"), i64::try_from(ROWS).unwrap(), "{}", said(&finished));
}

fn rows_stored(place: &Place) -> Option<i64> {
    let output = place
        .weir(&["query", "--format", "csv", "--data"])
        .arg(place.data())
        .arg("SELECT count(*) FROM raw")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().lines().nth(1)?.parse().ok()
}
