//! Replays: the same records give the same results; a changed pipeline gives others, which are compared and swapped in at
//! once, and taken back; whatever dies on the way, what is shown is the one or the other.

use std::fs;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Place, Running, awaited, repository, said, until, well};
use crate::up::{Server, post_rows};

/// One kind of window after the other, over the same rows, and the rows themselves.
const PIPELINE: &str = "\
name: replayed
sources:
  logs:
    file: { paths: [logs.ndjson], follow: false }
    format: json
time: { field: ts, watermark: { bounded: { delay: 10s } } }
steps:
  - name: tumbling
    from: logs
    window:
      tumbling: 10s
      by: [service, level]
      compute: { events: count(*), total: sum(duration_ms), p95: 'quantile(0.95, duration_ms)' }
  - name: sliding
    from: logs
    window:
      sliding: { size: 30s, slide: 10s }
      by: [service]
      compute: { events: count(*), slowest: max(duration_ms) }
  - name: sessions
    from: logs
    window:
      session: 200ms
      by: [service]
      compute: { events: count(*) }
outputs:
  - table: raw
    from: logs
  - table: tumbling
    from: tumbling
  - table: sliding
    from: sliding
  - table: sessions
    from: sessions
epoch: 100ms
";

const TABLES: [&str; 4] = ["raw", "tumbling", "sliding", "sessions"];

fn logs(place: &Place, rows: u32) {
    let rows = rows.to_string();
    let rate = ["--rows-per-sec", "50", "--seed", "7", "--out", "logs.ndjson"];
    well(&place.weir(&["gen", "logs", "--rows", &rows]).args(rate).output().unwrap());
}

/// A folder in which the pipeline has run to its end.
fn run(pipeline: &str, rows: u32) -> Place {
    let place = Place::new();
    logs(&place, rows);
    well(&place.run(&place.write("p.yaml", pipeline), &[]));
    place
}

fn command(place: &Place, more: &[&str]) -> Command {
    let mut command = place.weir(&["replay"]);
    command.arg(place.path("p.yaml")).arg("--data").arg(place.data()).args(["--format", "json"]).args(more);
    command
}

pub(crate) fn replay(place: &Place, more: &[&str]) -> Value {
    let output = command(place, more).output().unwrap();
    well(&output);
    serde_json::from_slice(&output.stdout).unwrap()
}

pub(crate) fn refusal(place: &Place, more: &[&str]) -> String {
    let output: Output = command(place, more).output().unwrap();
    assert!(!output.status.success(), "{}", said(&output));
    String::from_utf8(output.stderr).unwrap()
}

fn table<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["tables"].as_array().unwrap().iter().find(|table| table["table"] == name).unwrap()
}

/// Equal, changed, only in live, only in the replay.
pub(crate) fn counts(report: &Value, name: &str) -> [u64; 4] {
    ["equal", "changed", "only_live", "only_replay"].map(|kind| table(report, name)[kind].as_u64().unwrap())
}

/// Everything that the tables show, in a stable order.
fn shown(place: &Place) -> Vec<Value> {
    let order = |name: &str| if name == "raw" { "ts, service, level, duration_ms" } else { "row_id, revision" };
    TABLES.iter().flat_map(|name| place.query(&format!("SELECT * FROM {name} ORDER BY {}", order(name)))).collect()
}

/// The pipeline after a mistake was found: it should never have counted these.
fn mended() -> String {
    PIPELINE.replace(
        "  - name: tumbling\n    from: logs\n",
        "  - name: sane\n    from: logs\n    where: level <> 'DEBUG'\n  - name: tumbling\n    from: sane\n",
    )
}

#[test]
fn the_same_records_give_the_same_rows_in_every_kind_of_window() {
    let place = run(PIPELINE, 8_000);
    let whole = replay(&place, &[]);
    for name in TABLES {
        let rows = place.number(&format!("SELECT count(*) FROM {name}"));
        assert_eq!(counts(&whole, name), [u64::try_from(rows).unwrap(), 0, 0, 0], "{name}: {whole}");
        assert!(rows > 100, "{name} has rows to compare");
    }
    let late = place.number("SELECT count(*) FROM late_events");
    assert_eq!(counts(&whole, "late_events"), [u64::try_from(late).unwrap(), 0, 0, 0], "{whole}");
    assert!(late > 0, "the data has late rows");

    let starts = place.query("SELECT DISTINCT window_start FROM tumbling ORDER BY 1");
    let middle = starts[starts.len() / 2]["window_start"].as_str().unwrap().replace(' ', "T");
    let middle = if middle.ends_with('Z') { middle } else { format!("{middle}Z") };
    let part = replay(&place, &["--from", &middle]);
    for name in ["raw", "tumbling"] {
        let [equal, rest @ ..] = counts(&part, name);
        assert!(equal > 100 && equal < counts(&whole, name)[0] && rest == [0; 3], "{name} from {middle}: {part}");
    }
}

#[test]
fn a_mended_pipeline_replays_to_other_rows_which_are_swapped_in_at_once_and_taken_back() {
    let place = run(PIPELINE, 8_000);
    let before = shown(&place);
    let expected = run(&mended(), 8_000);
    place.write("p.yaml", mended());

    let report = replay(&place, &["--examples", "2"]);
    let [equal, changed, only_live, only_replay] = counts(&report, "tumbling");
    assert!(equal > 0 && only_live > 0, "{report}");
    assert_eq!((changed, only_replay), (0, 0), "no other group has changed: {report}");
    assert!(table(&report, "tumbling")["examples"][0]["live"]["level"] == "DEBUG", "{report}");
    for name in ["raw", "sliding", "sessions"] {
        assert_eq!(counts(&report, name)[1..], [0; 3], "{name}: {report}");
    }
    assert_eq!(shown(&place), before, "nothing is touched before it is swapped in");
    let shadow = place
        .weir(&["query", "--format", "csv", "--data"])
        .arg(place.data().join("replays/replayed/data"))
        .arg("SELECT count(*) FROM tumbling")
        .output()
        .unwrap();
    assert!(said(&shadow).contains(&equal.to_string()), "the shadow can be asked: {}", said(&shadow));

    let applied = replay(&place, &["--apply"]);
    assert_eq!(applied["standing"], "swapped in", "{applied}");
    assert_eq!(applied["swapped"][0]["gone"].as_u64(), Some(only_live), "{applied}");
    assert!(shown(&place) == shown(&expected), "as if the pipeline had always been so");
    assert!(refusal(&place, &["--apply"]).contains("swapped in already"));

    assert_eq!(replay(&place, &["--undo"])["standing"], "undone");
    assert!(shown(&place) == before, "everything is as it was");
    assert!(refusal(&place, &["--undo"]).contains("is not swapped in"));
    assert_eq!(replay(&place, &["--status"])["standing"], "undone");
    well(&command(&place, &["--discard"]).output().unwrap());
    assert!(!place.data().join("replays/replayed").exists());
    assert!(refusal(&place, &["--apply"]).contains("there is no finished replay"));
}

#[test]
fn a_changed_row_is_shown_beside_what_it_was() {
    let place = run(PIPELINE, 5_000);
    place.write("p.yaml", PIPELINE.replace("slowest: max(duration_ms)", "slowest: min(duration_ms)"));
    let report = replay(&place, &["--swap"]);
    let [_, changed, only_live, only_replay] = counts(&report, "sliding");
    assert!(changed > 100 && only_live == 0 && only_replay == 0, "{report}");
    let example = &table(&report, "sliding")["examples"][0];
    assert_eq!(example["live"]["row_id"], example["replay"]["row_id"], "{example}");
    assert!(example["live"]["slowest"].as_f64() > example["replay"]["slowest"].as_f64(), "{example}");
    assert_eq!(report["standing"], "swapped in");
    let again = replay(&place, &[]);
    assert_eq!(counts(&again, "sliding")[1..], [0; 3], "after the swap the replay gives what is shown: {again}");
}

#[test]
fn what_is_still_open_is_refused_and_the_pipeline_goes_on_as_if_nothing_had_happened() {
    let origin = run(PIPELINE, 8_000);
    let place = Place::new();
    logs(&place, 8_000);
    let all = fs::read_to_string(place.path("logs.ndjson")).unwrap();
    let half: String = all.lines().take(4_000).map(|line| format!("{line}\n")).collect();
    place.write("logs.ndjson", &half);
    let followed = place.write("p.yaml", PIPELINE.replace("follow: false", "follow: true"));
    let mut child =
        Running(place.run_command(&followed, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    until("half of it is read", || {
        assert!(child.0.try_wait().unwrap().is_none(), "it ended by itself");
        place.data().join("catalog.sqlite").exists() && count(&place, "raw") == Some(4_000)
    });
    // It is up, and stays up.
    let said = refusal(&place, &["--to", "2030-01-01T00:00:00Z"]);
    assert!(said.contains("a replay is possible up to 20"), "{said}");
    let report = replay(&place, &[]);
    assert!(report["to"].is_string(), "as far as possible: {report}");
    for name in TABLES {
        assert_eq!(counts(&report, name)[1..], [0; 3], "{name}: {report}");
        assert!(counts(&report, name)[0] > 10, "{name}: {report}");
    }
    well(&Command::new("kill").args(["-INT", &child.0.id().to_string()]).output().unwrap());
    child.0.wait().unwrap();
    // Mended and swapped in while it is down, it goes on where it was and ends as if it had always been mended up to there.
    place.write("p.yaml", PIPELINE);
    well(&command(&place, &["--swap"]).output().unwrap());
    place.write("logs.ndjson", &all);
    well(&place.run(&place.path("p.yaml"), &[]));
    assert!(shown(&place) == shown(&origin), "it ends as if it had never been replayed");
}

fn count(place: &Place, table: &str) -> Option<i64> {
    let mut query = place.weir(&["query", "--format", "csv", "--data"]);
    let output = query.arg(place.data()).arg(format!("SELECT count(*) FROM {table}")).output().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().nth(1)?.parse().ok()
}

const POSTED: &str = "\
name: posted
sources:
  in: { http: { stream: app }, format: json }
time: { field: ts, watermark: { bounded: { delay: 0s } } }
steps:
  - name: wanted
    where: n >= 0
outputs:
  - table: app
epoch: 100ms
";

/// Waits until so many rows of the pipeline are committed.
fn committed(place: &Place, rows: u64) {
    awaited(&format!("{rows} rows are committed"), || {
        let mut inspect = place.weir(&["state", "inspect", "posted", "--format", "json", "--data"]);
        let said = inspect.arg(place.data()).output().unwrap().stdout;
        let found: Value = serde_json::from_slice(&said).unwrap_or_default();
        if found["partitions"][0]["rows"] == rows { Ok(()) } else { Err(found.to_string()) }
    });
}

#[test]
fn a_swap_while_rows_come_in_loses_none_and_doubles_none() {
    let place = Place::new();
    let pipeline = place.write("p.yaml", POSTED.replace("stream: app", "stream: logs"));
    let server = Server::start(&place, &[pipeline.to_str().unwrap()]);
    post_rows(&server, 0, 400);
    committed(&place, 400);
    place.write("p.yaml", POSTED.replace("stream: app", "stream: logs").replace("n >= 0", "n >= 100"));
    let report = replay(&place, &[]);
    assert_eq!(counts(&report, "app"), [300, 0, 100, 0], "{report}");
    post_rows(&server, 400, 700);
    let applied = replay(&place, &["--apply"]);
    assert_eq!(applied["swapped"][0]["gone"], 100, "{applied}");
    post_rows(&server, 700, 900);
    server.sql_becomes("SELECT count(*) FROM app", 800);
    server.sql_becomes("SELECT count(DISTINCT n) FROM app WHERE n >= 100", 800);
    assert_eq!(replay(&place, &["--undo"])["standing"], "undone");
    server.sql_becomes("SELECT count(DISTINCT n) FROM app", 900);
    assert_eq!(server.stop("-KILL"), None);
    let server = Server::start(&place, &[pipeline.to_str().unwrap()]);
    server.sql_becomes("SELECT count(*) FROM app", 900);
}

#[test]
fn killed_at_any_moment_a_replay_has_changed_nothing_and_a_swap_nothing_or_everything() {
    let place = run(PIPELINE, 5_000);
    let before = shown(&place);
    place.write("p.yaml", mended());
    let mut whole = Duration::ZERO;
    for part in 0..6 {
        let begun = Instant::now();
        let mut child = Running(command(&place, &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        if part == 5 {
            child.0.wait().unwrap();
            whole = begun.elapsed();
            break;
        }
        pause(Duration::from_millis(40 + 60 * part));
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        assert!(shown(&place) == before, "killed after {part}");
    }
    assert!(whole > Duration::ZERO);
    let (mut swapped, mut untouched) = (0, 0);
    let mut after = None;
    for step in 0..14 {
        let way = if after.is_some() { "--undo" } else { "--apply" };
        let mut child = Running(command(&place, &[way]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        pause(Duration::from_millis(10 + 12 * step));
        child.0.kill().unwrap();
        child.0.wait().unwrap();
        let now = shown(&place);
        let standing = replay(&place, &["--status"])["standing"].clone();
        if now == before {
            assert_ne!(standing, "swapped in");
            after = None;
            untouched += 1;
        } else {
            assert_eq!(standing, "swapped in");
            let after = after.get_or_insert_with(|| now.clone());
            assert!(now == *after, "half of it");
            swapped += 1;
        }
    }
    println!("{swapped} times swapped in, {untouched} times not");
    if after.is_none() {
        well(&command(&place, &["--apply"]).output().unwrap());
    }
    assert!(shown(&place) == shown(&run(&mended(), 5_000)), "in the end it is what the mended pipeline gives");
}

#[expect(clippy::disallowed_methods, reason = "the moment of the kill is what is tried out")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

#[test]
fn records_that_are_gone_and_files_that_are_damaged_are_said_and_nothing_is_swapped_in() {
    let place = Place::new();
    let row = |hour: u32, minute: u32| {
        format!(
            "{{\"ts\":\"2026-01-01T{hour:02}:{minute:02}:00Z\",\"service\":\"api\",\"level\":\"INFO\",\"duration_ms\":1}}\n"
        )
    };
    place.write("old.ndjson", (0..50).map(|minute| row(8, minute)).collect::<String>());
    place.write("new.ndjson", (0..50).map(|minute| row(9, minute)).collect::<String>());
    let text = PIPELINE.replace("paths: [logs.ndjson]", "paths: ['*.ndjson']");
    well(&place.run(&place.write("p.yaml", &text), &[]));
    let old = fs::read(place.path("old.ndjson")).unwrap();
    fs::remove_file(place.path("old.ndjson")).unwrap();
    let report = replay(&place, &[]);
    let refused = report["refusal"].as_str().unwrap();
    assert!(
        refused.contains("logs:old.ndjson is gone") && refused.contains("results before 2026-01-01T08:49:00.000001Z"),
        "{refused}"
    );
    assert!(refusal(&place, &["--apply"]).contains("cannot be swapped in"));
    let report = replay(&place, &["--from", "2026-01-01T09:10:00Z"]);
    assert!(report["refusal"].is_null(), "what is needed for later hours is there: {report}");
    assert_eq!(counts(&report, "raw"), [40, 0, 0, 0], "{report}");

    // What was stored of the records does for them.
    let report = replay(&place, &["--input", "logs=raw"]);
    assert!(report["refusal"].is_null(), "{report}");
    for name in TABLES {
        let rows = place.number(&format!("SELECT count(*) FROM {name}"));
        assert_eq!(counts(&report, name), [u64::try_from(rows).unwrap(), 0, 0, 0], "{name}: {report}");
    }
    assert!(refusal(&place, &["--input", "lags=raw"]).contains("there is no source lags"));
    assert!(refusal(&place, &["--input", "logs=nothing"]).contains("has no rows of pipeline"));

    place.write("old.ndjson", &old);
    place.write("p.yaml", text.replace("compute: { events: count(*) }", "compute: { events: sum(duration_ms * 2) }"));
    let before = shown(&place);
    replay(&place, &[]);
    let folder = place.data().join("replays/replayed");
    for name in ["sessions.come", "sessions.gone", "replay.json"] {
        let path = folder.join(name);
        let sound = fs::read(&path).unwrap();
        for damage in [flipped(&sound), sound[..sound.len() / 2].to_vec(), Vec::new()] {
            fs::write(&path, damage).unwrap();
            let said = refusal(&place, &["--apply"]);
            assert!(said.contains(name) && said.contains("make the replay again"), "{name}: {said}");
        }
        fs::remove_file(&path).unwrap();
        let said = refusal(&place, &["--apply"]);
        assert!(said.contains("make"), "{name}: {said}");
        fs::write(&path, &sound).unwrap();
        assert!(shown(&place) == before, "{name}");
    }
    well(&command(&place, &["--apply"]).output().unwrap());
    assert!(shown(&place) != before);
}

fn flipped(bytes: &[u8]) -> Vec<u8> {
    let mut damaged = bytes.to_vec();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    damaged
}

#[test]
fn what_cannot_be_replayed_is_refused_with_the_reason() {
    let place = run(PIPELINE, 2_000);
    let global = "  - name: tumbling\n    from: logs\n    window:\n      global: { forget_after: 1h }\n";
    let cases = [
        (PIPELINE.replace("name: replayed", "name: nobody"), "has never committed anything"),
        (
            PIPELINE.replace("  - name: tumbling\n    from: logs\n    window:\n      tumbling: 10s\n", global),
            "speaks of all of time",
        ),
        (PIPELINE.replace("file: { paths: [logs.ndjson], follow: false }", "stdin: {}"), "reads standard input"),
    ];
    for (pipeline, reason) in cases {
        place.write("p.yaml", pipeline);
        let said = refusal(&place, &[]);
        assert!(said.contains(reason), "{reason}: {said}");
    }
    place.write("p.yaml", PIPELINE);
    for (more, reason) in [
        (&["--from", "yesterday"][..], "is not a time such as"),
        (&["--from", "2026-01-02T00:00:00Z", "--to", "2026-01-01T00:00:00Z"], "the span is empty"),
        (&["--apply", "--undo"], "cannot be used with"),
    ] {
        let said = refusal(&place, more);
        assert!(said.contains(reason), "{reason}: {said}");
    }
}

#[test]
fn the_example_of_sales_is_mended_as_it_says() {
    let place = Place::new();
    let weir = |arguments: &[&str]| {
        let mut command = place.weir(arguments);
        let output = command.arg("--data").arg(place.data()).current_dir(repository()).output().unwrap();
        well(&output);
        said(&output)
    };
    let example = "examples/sales-per-hour.yaml";
    weir(&["run", example]);
    let october =
        "SELECT shop, orders, amount FROM sales_per_hour WHERE window_start >= '2026-10-01' ORDER BY window_start";
    let counted = |rows: Vec<Value>| rows.iter().map(|row| row["amount"].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(counted(place.query(october)), [1, 2, 4, 8, 16]);
    let before = place.query("SELECT * FROM sales_per_hour WHERE window_start < '2026-10-01' ORDER BY row_id");
    let told =
        weir(&["replay", example, "--set", "steps[0].where=amount >= 5", "--from", "2026-10-01T00:00:00Z", "--quiet"]);
    let line = "table sales_per_hour: 2 rows equal, 0 changed, 3 only in live, 0 only in the replay";
    assert!(told.contains(line) && told.contains("--apply"), "{told}");
    assert!(told.contains("live   {\"amount\":1,"), "{told}");
    let told = weir(&["replay", example, "--apply"]);
    assert!(told.contains("sales_per_hour: 3 rows went, 0 came"), "{told}");
    assert_eq!(counted(place.query(october)), [8, 16]);
    assert_eq!(place.query("SELECT * FROM sales_per_hour WHERE window_start < '2026-10-01' ORDER BY row_id"), before);
    weir(&["replay", example, "--undo"]);
    assert_eq!(counted(place.query(october)), [1, 2, 4, 8, 16]);
}
