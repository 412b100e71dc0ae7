//! What scripts rely on: how runs are started, how answers look, how commands end.

use serde_json::json;

use crate::harness::{Place, paths, repository, said, well};

const ROWS: &str = "5000";

/// The rows of the benchmark's generator in the table `logs`.
fn stored() -> Place {
    let place = Place::new();
    well(&place.weir(&["gen", "logs", "--rows", ROWS, "--out", "in.ndjson"]).output().unwrap());
    let pipeline = repository().join("examples/bench-store.yaml");
    well(&place.run(&pipeline, &[paths("sources.logs.file.paths", &[&place.path("in.ndjson")])]));
    place
}

#[test]
fn every_field_of_every_row_is_stored_and_can_be_asked_for() {
    let place = stored();
    let rows = place.query("SELECT * FROM logs ORDER BY ts, message LIMIT 1");
    let columns: Vec<&String> = rows[0].as_object().unwrap().keys().collect();
    for field in ["ts", "level", "service", "host", "app_id", "executor_id", "message", "duration_ms", "status", "tags"]
    {
        assert!(columns.iter().any(|column| *column == field), "{field} is not in {columns:?}");
    }
    assert!(rows[0]["tags"]["env"].is_string(), "{}", rows[0]);
    assert!(rows[0]["status"].is_i64() && rows[0]["duration_ms"].is_f64(), "{}", rows[0]);
    assert_eq!(place.number("SELECT count(*) FROM logs"), ROWS.parse::<i64>().unwrap());
    let dated = place.query("SELECT min(ts) AS first FROM logs");
    assert!(dated[0]["first"].as_str().unwrap().starts_with("2026-01-01T00:0"), "{}", dated[0]);
}

#[test]
fn running_again_stores_nothing_twice() {
    let place = stored();
    let pipeline = repository().join("examples/bench-store.yaml");
    well(&place.run(&pipeline, &[paths("sources.logs.file.paths", &[&place.path("in.ndjson")])]));
    assert_eq!(place.number("SELECT count(*) FROM logs"), ROWS.parse::<i64>().unwrap());
}

#[test]
fn the_windows_of_the_benchmark_agree_with_a_batch_query_over_the_same_rows() {
    let place = stored();
    let pipeline = repository().join("examples/bench-a.yaml");
    let result = place.path("result.ndjson");
    let settings =
        [paths("sources.logs.file.paths", &[&place.path("in.ndjson")]), format!("outputs.0.file.path={result:?}")];
    well(&place.run(&pipeline, &settings));
    let windows: Vec<serde_json::Value> =
        std::fs::read_to_string(&result).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let counted: i64 = windows.iter().map(|row| row["count"].as_i64().unwrap()).sum();
    let late = place.query("SELECT count(*) AS n FROM late_events")[0]["n"].as_i64().unwrap();
    assert_eq!(counted + late, ROWS.parse::<i64>().unwrap(), "every row is in a window or late");
    let batch = place.query(
        "SELECT date_trunc('minute', ts) AS window_start, service, level, count(*) AS n, min(duration_ms) AS lo, max(duration_ms) AS hi
         FROM logs GROUP BY 1, 2, 3",
    );
    let mut compared = 0;
    for window in &windows {
        let same =
            |row: &&serde_json::Value| ["window_start", "service", "level"].iter().all(|key| row[*key] == window[*key]);
        let group = batch.iter().find(same).unwrap();
        // A group with late rows holds fewer rows than the batch; all others must agree exactly.
        if group["n"] == window["count"] {
            assert_eq!((&group["lo"], &group["hi"]), (&window["min"], &window["max"]));
            compared += 1;
        }
        assert!(group["n"].as_i64() >= window["count"].as_i64());
    }
    assert!(compared * 10 > windows.len() * 9, "{compared} of {} groups have no late row", windows.len());
}

#[test]
fn answers_come_in_every_format() {
    let place = stored();
    let ask = |format: &str| {
        let sql = "SELECT level, count(*) AS n FROM logs WHERE level = 'FATAL' GROUP BY level";
        let output = place.weir(&["query", "--format", format, "--data"]).arg(place.data()).arg(sql).output().unwrap();
        well(&output);
        output.stdout
    };
    let n = place.number("SELECT count(*) FROM logs WHERE level = 'FATAL'");
    let json_answer: serde_json::Value = serde_json::from_slice(&ask("json")).unwrap();
    assert_eq!(json_answer["rows"], json!([["FATAL", n]]));
    assert_eq!(json_answer["columns"][0]["name"], "level");
    assert_eq!(String::from_utf8(ask("ndjson")).unwrap().trim(), format!("{{\"level\":\"FATAL\",\"n\":{n}}}"));
    assert_eq!(
        String::from_utf8(ask("csv")).unwrap().trim_end(),
        format!("level,n\nFATAL,{n}").replace('\n', line_end(&ask("csv")))
    );
    assert!(String::from_utf8(ask("table")).unwrap().contains("FATAL"));
    let arrow_answer = ask("arrow");
    let reader = arrow::ipc::reader::StreamReader::try_new(arrow_answer.as_slice(), None).unwrap();
    assert_eq!(reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 1);
}

fn line_end(csv: &[u8]) -> &'static str {
    if csv.windows(2).any(|pair| pair == b"\r\n") { "\r\n" } else { "\n" }
}

#[test]
fn a_search_counts_what_sql_counts() {
    let place = stored();
    let search = "level:(error OR warn) took:* | count by service | sort count desc, service | fields service, count";
    let search = search.replace("took", "duration_ms");
    let data = place.data();
    let found =
        place.weir(&["search", "logs", &search, "--format", "csv", "--data", data.to_str().unwrap()]).output().unwrap();
    well(&found);
    let sql = "SELECT service, count(*) AS count FROM logs WHERE level IN ('ERROR', 'WARN') AND duration_ms IS NOT NULL
               GROUP BY service ORDER BY count DESC, service";
    let rows = place.query(sql).into_iter().map(|row| format!("{},{}", row["service"].as_str().unwrap(), row["count"]));
    let expected: Vec<String> = std::iter::once("service,count".to_owned()).chain(rows).collect();
    assert!(expected.len() > 2, "there are services");
    assert_eq!(String::from_utf8_lossy(&found.stdout).lines().collect::<Vec<_>>(), expected);
    let wrong = place.weir(&["search", "logs", "| conut", "--data", data.to_str().unwrap()]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
    assert!(said(&wrong).contains("did you mean count?"), "{}", said(&wrong));
}

#[test]
fn a_wrong_question_is_refused_with_what_would_be_right() {
    let place = stored();
    for (sql, wanted) in [
        ("SELECT * FROM logz", "logs"),
        ("SELECT levl FROM logs", "level"),
        ("DELETE FROM logs", "SELECT"),
        ("SELECT 1; SELECT 2", "one"),
        ("SELEC 1", ""),
    ] {
        let output = place.weir(&["query", "--data"]).arg(place.data()).arg(sql).output().unwrap();
        assert!(!output.status.success(), "{sql}");
        assert!(said(&output).contains(wanted), "{sql}: {}", said(&output));
    }
    let nowhere = place.weir(&["query", "--data", "nowhere", "SELECT 1"]).output().unwrap();
    assert_eq!(nowhere.status.code(), Some(2), "{}", said(&nowhere));
    assert!(said(&nowhere).contains("nowhere"));
}

#[test]
fn a_summary_balances_and_is_also_there_for_machines() {
    let place = Place::new();
    well(&place.weir(&["gen", "logs", "--rows", ROWS, "--out", "in.ndjson"]).output().unwrap());
    let pipeline = repository().join("examples/bench-a.yaml");
    let mut command = place.weir(&["run", "--format", "json"]);
    command.arg(pipeline).arg("--data").arg(place.data());
    command.arg("--set").arg(paths("sources.logs.file.paths", &[&place.path("in.ndjson")]));
    command.arg("--set").arg(format!("outputs.0.file.path={:?}", place.path("result.ndjson")));
    let output = command.output().unwrap();
    well(&output);
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let balance = &status["outputs"][0]["balance"];
    let part = |name: &str| balance[name].as_u64().unwrap();
    assert_eq!(part("read"), ROWS.parse::<u64>().unwrap(), "{balance}");
    assert_eq!(part("read"), part("results") + part("filtered") + part("late") + part("rejected"), "{balance}");
    assert_eq!(status["state"], "finished");
}

#[test]
fn the_environment_and_the_command_line_override_the_file() {
    let place = Place::new();
    let file = place.write("in.ndjson", "{\"ts\":\"2026-01-01T00:00:00Z\",\"n\":1}\n");
    let pipeline = repository().join("examples/bench-store.yaml");
    let mut command = place.run_command(&pipeline, &[]);
    command.env("WEIR__sources__logs__file__paths", format!("[{:?}]", file.to_string_lossy()));
    well(&command.arg("--set").arg("outputs.0.table=other").output().unwrap());
    assert_eq!(place.number("SELECT count(*) FROM other"), 1);
}

#[test]
fn standard_input_is_a_source() {
    use std::io::Write;
    use std::process::Stdio;
    let place = Place::new();
    let pipeline = place.write(
        "p.yaml",
        "name: piped\nsources: { in: { stdin: {}, format: text } }\noutputs: [ { table: piped_lines } ]\n",
    );
    let mut child = place.run_command(&pipeline, &[]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"one\ntwo\nthree").unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(place.number("SELECT count(*) FROM piped_lines"), 3);
}

#[test]
fn a_second_instance_on_the_same_data_is_refused() {
    let place = stored();
    let pipeline = place.write(
        "p.yaml",
        "name: follow\nsources: { in: { file: { paths: [in.ndjson], follow: true }, format: json } }\noutputs: [ { stdout: {} } ]\n",
    );
    let mut first = place.run_command(&pipeline, &[]);
    let mut first = crate::harness::Running(first.stdout(std::process::Stdio::piped()).spawn().unwrap());
    let mut byte = [0];
    std::io::Read::read_exact(first.0.stdout.as_mut().unwrap(), &mut byte).unwrap();
    let second = place.run(&pipeline, &[]);
    assert_eq!(second.status.code(), Some(2), "{}", said(&second));
    assert!(said(&second).contains(&first.0.id().to_string()), "it names the other process: {}", said(&second));
}

#[test]
fn help_and_version_are_there() {
    let place = Place::new();
    for command in ["up", "run", "check", "query", "tail", "gen", "dlq"] {
        let output = place.weir(&[command, "--help"]).output().unwrap();
        well(&output);
        assert!(said(&output).contains("Usage"), "{command}");
    }
    well(&place.weir(&["--version"]).output().unwrap());
    assert_eq!(place.weir(&["rnu"]).output().unwrap().status.code(), Some(2));
}

#[test]
fn a_later_run_over_more_files_goes_on_where_the_first_one_ended() {
    let place = Place::new();
    let rows = |from: u32, to: u32| -> String {
        let row = |n: u32| format!("{{\"ts\":\"2026-01-01T00:{:02}:{:02}Z\",\"n\":1,\"k\":\"a\"}}\n", n / 60, n % 60);
        (from..to).map(row).collect()
    };
    let yaml = "name: again\nsources: { logs: { file: { paths: ['in/*.ndjson'], follow: false }, format: json } }\n\
                time: { field: ts }\nsteps: [ { window: { tumbling: 1m, by: [k], compute: { rows: count(*) } } } ]\n\
                outputs: [ { table: per_minute } ]\n";
    let pipeline = place.write("p.yaml", yaml);
    place.write("in/1.ndjson", rows(0, 150));
    well(&place.run(&pipeline, &[]));
    // The second file begins in the minute in which the first one ended.
    place.write("in/2.ndjson", rows(150, 300));
    well(&place.run(&pipeline, &[]));
    well(&place.run(&pipeline, &[]));
    let windows = place
        .query("SELECT window_start, max(rows) AS rows FROM per_minute GROUP BY window_start ORDER BY window_start");
    let counts: Vec<i64> = windows.iter().map(|row| row["rows"].as_i64().unwrap()).collect();
    assert_eq!(counts, [60, 60, 60, 60, 60], "the third minute is corrected by the second run: {windows:?}");
    assert_eq!(place.number("SELECT count(*) FROM late_events"), 0);
    assert_eq!(place.number("SELECT count(*) FROM per_minute"), 6, "five results and one correction");
    // So does a file that has grown since it was read to its end; what had fired is the next revision of the same result.
    place.write("in/2.ndjson", rows(150, 330));
    well(&place.run(&pipeline, &[]));
    well(&place.run(&pipeline, &[]));
    place.write("in/2.ndjson", rows(150, 345));
    well(&place.run(&pipeline, &[]));
    let grown = place.query(
        "SELECT rows, revision, (SELECT count(DISTINCT row_id) FROM per_minute WHERE window_start >= '2026-01-01T00:05:00') AS results FROM per_minute
         WHERE window_start >= '2026-01-01T00:05:00' ORDER BY revision",
    );
    let expected = serde_json::json!([
        { "rows": 30, "revision": 0, "results": 1 },
        { "rows": 45, "revision": 1, "results": 1 },
    ]);
    assert_eq!(serde_json::json!(grown), expected);
}

/// A pipeline over `in.ndjson` that sums `took` in windows of 30 s every 10 s into the table `sliding`.
fn sliding(emit: &str) -> String {
    format!(
        "name: sliding\nsources: {{ logs: {{ file: {{ paths: [in.ndjson], follow: false }}, format: json,\n\
         schema: {{ took: float64, note: string }} }} }}\n\
         time: {{ field: ts, watermark: {{ bounded: {{ delay: 10s }} }}, max_drift: 1h }}\n\
         steps: [ {{ name: w, window: {{ sliding: {{ size: 30s, slide: 10s }}, by: [k], emit: {{ {emit} }}, compute: {{\n\
         n: count(*), total: sum(took), var: variance(took), dev: stddev(took), head: first(note), tail: last(note) }} }} }} ]\n\
         outputs: [ {{ table: raw, from: logs }}, {{ table: sliding, from: w }} ]\n"
    )
}

/// Two hundred rows a second apart, pairs of them swapped, in two groups.
fn rows_out_of_order() -> String {
    let row = |n: u32| {
        let (n, took) = (n ^ 1, (n * 37 % 101) as f64 / 4.0);
        let (minute, second, k) = (n / 60, n % 60, ["a", "b"][(n % 3 / 2) as usize]);
        format!(
            "{{\"ts\":\"2026-01-01T00:{minute:02}:{second:02}Z\",\"k\":\"{k}\",\"took\":{took},\"note\":\"n{n:03}\"}}\n"
        )
    };
    (0..200).map(row).collect()
}

#[test]
fn sliding_windows_agree_with_a_batch_query_over_the_same_rows() {
    let place = Place::new();
    place.write("in.ndjson", rows_out_of_order());
    let pipeline = place.write("p.yaml", sliding(""));
    well(&place.run(&pipeline, &[]));
    assert_eq!(place.number("SELECT count(*) FROM late_events"), 0);
    let windows = place.query(
        "SELECT window_start, window_end, k, n, total, round(var, 6) AS var, round(dev, 6) AS dev, head, tail
         FROM sliding ORDER BY window_start, k",
    );
    let batch = place.query(
        "SELECT date_bin(INTERVAL '10 seconds', ts) - earlier AS window_start,
                date_bin(INTERVAL '10 seconds', ts) - earlier + INTERVAL '30 seconds' AS window_end,
                k, count(*) AS n, sum(took) AS total, round(var_samp(took), 6) AS var, round(stddev(took), 6) AS dev,
                first_value(note ORDER BY ts) AS head, last_value(note ORDER BY ts) AS tail
         FROM raw CROSS JOIN
              (VALUES (INTERVAL '0 seconds'), (INTERVAL '10 seconds'), (INTERVAL '20 seconds')) AS starts(earlier)
         GROUP BY 1, 2, 3 ORDER BY 1, 3",
    );
    assert_eq!(windows.len(), 44, "22 windows of two groups: {windows:?}");
    assert_eq!(windows, batch);
}

#[test]
fn early_results_come_after_the_rows_that_the_pipeline_says() {
    let place = Place::new();
    place.write("in.ndjson", rows_out_of_order());
    let pipeline = place.write("p.yaml", sliding("early_rows: 7"));
    let plan = place.weir(&["check"]).arg(&pipeline).output().unwrap();
    for part in ["windows of 30s every 10s by k", "early results every 7 rows", "partitions up to 3600s apart"] {
        assert!(said(&plan).contains(part), "{part}: {}", said(&plan));
    }
    well(&place.run(&pipeline, &[]));
    assert!(place.number("SELECT count(*) FROM sliding WHERE pane = 'early'") >= 28, "each of 28 times some");
    assert_eq!(place.number("SELECT count(*) FROM sliding WHERE pane = 'on_time'"), 44);
    let wrong = "SELECT count(*) FROM sliding AS e JOIN sliding AS t ON e.row_id = t.row_id AND t.pane = 'on_time'
                 WHERE e.pane = 'early' AND (e.n > t.n OR e.revision >= t.revision)";
    assert_eq!(place.number(wrong), 0, "an early result is a part of the one at the end");
}

#[test]
fn early_results_come_as_time_goes_by_while_the_window_is_open() {
    use std::io::{BufRead, BufReader};
    let place = Place::new();
    place.write("in.ndjson", rows_out_of_order());
    let yaml = "name: early\nsources: { in: { file: { paths: [in.ndjson], follow: true }, format: json } }\ntime: { field: ts }\n\
                steps: [ { window: { tumbling: 1d, compute: { n: count(*) }, emit: { early: 100ms } } } ]\n\
                outputs: [ { stdout: { format: ndjson } } ]\n";
    let mut command = place.run_command(&place.write("p.yaml", yaml), &[]);
    let mut running = crate::harness::Running(command.stdout(std::process::Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(running.0.stdout.take().unwrap()).lines();
    let mut rows = lines.map(|line| serde_json::from_str::<serde_json::Value>(&line.unwrap()).unwrap());
    let complete = rows.find(|row| row["n"] == 200).unwrap();
    assert_eq!(complete["pane"], "early", "{complete}");
}
