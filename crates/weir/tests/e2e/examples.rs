//! Every pipeline under `examples/` is checked, and those that end by themselves are run over the data beside them.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Place, paths, repository, said, well};

fn examples() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(repository().join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    files
}

#[test]
fn every_example_is_right() {
    let place = Place::new();
    let output = place.weir(&["check"]).args(examples()).output().unwrap();
    well(&output);
    for promise in ["exactly once", "spark_logs", "errors_per_minute"] {
        assert!(said(&output).contains(promise), "{promise}: {}", said(&output));
    }
}

#[test]
fn the_spark_example_turns_real_logs_into_tables() {
    let place = Place::new();
    let mut command = place.weir(&["run"]);
    let output = command
        .arg("examples/spark-logs.yaml")
        .arg("--data")
        .arg(place.data())
        .current_dir(repository())
        .output()
        .unwrap();
    well(&output);

    let events = place.number("SELECT count(*) FROM spark_logs");
    let dead = place.query("SELECT reason, source_file, payload FROM dead_letters LIMIT 5");
    assert!(events > 10_000, "{events} log events");
    assert!(dead.is_empty(), "{dead:?}");
    assert_eq!(
        place.number("SELECT count(*) FROM spark_logs WHERE message LIKE '%\n\tat %'"),
        0,
        "a stack trace is not part of the message"
    );
    assert!(
        place.number("SELECT count(*) FROM spark_logs WHERE stack LIKE '%\tat %' AND exception_class IS NOT NULL") > 10
    );
    assert!(place.number("SELECT count(DISTINCT app_id) FROM spark_logs") >= 3);
    assert!(place.number("SELECT count(*) FROM spark_logs WHERE task_id IS NOT NULL AND stage_id IS NOT NULL") > 100);

    let columns = place.query("SELECT * FROM spark_logs LIMIT 1");
    for column in [
        "ts",
        "level",
        "logger",
        "thread",
        "message",
        "exception_class",
        "stack",
        "app_id",
        "executor_id",
        "stage_id",
        "task_id",
        "host",
        "source_file",
        "source_offset",
    ] {
        assert!(columns[0].get(column).is_some(), "{column}");
    }
    let windows = place.query("SELECT sum(errors) AS errors FROM errors_per_minute WHERE pane = 'on_time'");
    let errors = place.number("SELECT count(*) FROM spark_logs WHERE level IN ('ERROR', 'FATAL')");
    let late = place.number("SELECT count(*) FROM late_events");
    assert_eq!(windows[0]["errors"].as_i64().unwrap() + late, errors, "every error is in a window or late");
}

#[test]
fn the_example_of_slow_requests_finds_the_slow_services() {
    let place = Place::new();
    well(&place.weir(&["gen", "logs", "--rows", "20000", "--out", "in.ndjson"]).output().unwrap());
    let pipeline = repository().join("examples/slow-requests.yaml");
    let plan = place.weir(&["check"]).arg(&pipeline).output().unwrap();
    let windows = "windows of 60s every 10s by service, late by up to 0s, early results every 2s and 10000 rows";
    assert!(said(&plan).contains(windows), "{}", said(&plan));
    well(&place.run(&pipeline, &[paths("sources.requests.file.paths", &[&place.path("in.ndjson")])]));
    let late = place.number("SELECT count(*) FROM late_events");
    let counted = place.number("SELECT sum(requests) FROM slow_requests WHERE pane = 'on_time'");
    assert!(
        counted <= 6 * 20_000 && counted >= 6 * (20_000 - late) - 6 * 20_000 / 100,
        "{counted} counted, {late} late"
    );
    assert!(place.number("SELECT count(*) FROM slow_requests WHERE pane = 'early'") > 0);
    let wrong =
        "SELECT count(*) FROM slow_requests WHERE requests > 1 AND (p95 IS NULL OR spread IS NULL OR spread < 0)";
    assert_eq!(place.number(wrong), 0);
    assert!(place.number("SELECT count(*) FROM slow_requests WHERE last_message IS NOT NULL") > 0);
}

#[test]
fn the_example_of_repeated_deliveries_counts_each_event_once() {
    let place = Place::new();
    let mut command = place.weir(&["run"]);
    let run = command.arg("examples/deliveries-once.yaml").arg("--data").arg(place.data()).current_dir(repository());
    well(&run.output().unwrap());
    assert_eq!(place.number("SELECT count(*) FROM deliveries"), 120);
    assert_eq!(place.number("SELECT count(DISTINCT event_id) FROM deliveries"), 120);
    let windows = place.query("SELECT sum(events) AS events, sum(amount) AS amount FROM deliveries_per_minute");
    let events = place.query("SELECT sum(amount) AS amount FROM deliveries");
    assert_eq!(windows[0]["events"], 120);
    assert_eq!(windows[0]["amount"], events[0]["amount"]);
}

#[test]
fn the_example_of_teams_counts_requests_by_what_a_file_says() {
    let place = Place::new();
    well(&place.weir(&["gen", "logs", "--rows", "20000", "--out", "in.ndjson"]).output().unwrap());
    let pipeline = repository().join("examples/requests-by-team.yaml");
    let teams = repository().join("examples/data/teams.csv");
    let settings = [
        paths("sources.requests.file.paths", &[&place.path("in.ndjson")]),
        format!("steps[0].enrich.table.csv={:?}", teams.to_string_lossy()),
    ];
    well(&place.run(&pipeline, &settings));
    let rows =
        place.query("SELECT team, owner, sum(requests) AS requests FROM requests_by_team GROUP BY 1, 2 ORDER BY 1");
    let teams: Vec<(&str, &str)> =
        rows.iter().map(|row| (row["team"].as_str().unwrap_or("-"), row["owner"].as_str().unwrap_or("-"))).collect();
    assert_eq!(teams, [("billing", "bob"), ("core", "ada"), ("search", "Cleo, Dr."), ("-", "-")]);
    let counted: i64 = rows.iter().map(|row| row["requests"].as_i64().unwrap()).sum();
    let late = place.number("SELECT count(*) FROM late_events");
    assert_eq!(counted + late, 20_000);
}

#[test]
fn the_example_of_days_in_berlin_has_days_of_23_and_25_hours() {
    let place = Place::new();
    let pipeline = repository().join("examples/berlin-days.yaml");
    let plan = place.weir(&["check"]).arg(&pipeline).output().unwrap();
    for part in
        ["windows of a day in Europe/Berlin (rules of ", "(told at once)", "a result replaces the one with its row_id"]
    {
        assert!(said(&plan).contains(part), "{part}: {}", said(&plan));
    }
    let orders = repository().join("examples/data/orders.ndjson");
    let orders = paths("sources.orders.file.paths", &[&orders]);
    well(&place.run(&pipeline, std::slice::from_ref(&orders)));
    let day = |date: &str, shop: &str| {
        let at = format!("window_start = TIMESTAMP '{date}' AND shop = '{shop}'");
        let hours = "CAST(extract(epoch FROM max(window_end) - max(window_start)) / 3600 AS BIGINT)";
        let sql = format!("SELECT {hours} AS h, max(amount) AS a, max(revision) AS r FROM sales_per_day WHERE {at}");
        let row = place.query(&sql).remove(0);
        ["h", "a", "r"].map(|column| row[column].as_i64())
    };
    assert_eq!(day("2026-03-27T23:00:00Z", "mitte"), [Some(24), Some(10), Some(0)]);
    assert_eq!(day("2026-03-28T23:00:00Z", "mitte"), [Some(23), Some(110), Some(0)]);
    // The last order of the day in Wedding was reported after it had ended.
    assert_eq!(day("2026-03-28T23:00:00Z", "wedding"), [Some(23), Some(110), Some(1)]);
    assert_eq!(day("2026-10-24T22:00:00Z", "mitte"), [Some(25), Some(15), Some(0)]);

    // The same, emitted in parts: whatever was emitted adds up to what there was.
    let parts = Place::new();
    let discarding = ["steps[0].window.emit.mode=discarding", "steps[0].window.emit.early_rows=2"].map(str::to_owned);
    well(&parts.run(&pipeline, &[&[orders][..], &discarding].concat()));
    assert_eq!(parts.number("SELECT CAST(sum(amount) AS BIGINT) FROM sales_per_day"), 391);
    assert_eq!(parts.number("SELECT count(*) - count(DISTINCT row_id) FROM sales_per_day"), 0);
    assert!(parts.number("SELECT max(revision) FROM sales_per_day") > 0);
}

#[test]
fn the_machines_example_speaks_with_every_third_report_and_forgets_who_is_silent() {
    let place = Place::new();
    let mut command = place.weir(&["run"]);
    let run = command.arg("examples/machine-alarms.yaml").arg("--data").arg(place.data()).current_dir(repository());
    well(&run.output().unwrap());
    let said =
        place.query("SELECT machine, pane, revision, reports FROM machine_reports ORDER BY machine, pane, reports");
    let said: Vec<String> = said
        .iter()
        .map(|row| {
            format!("{} {} {} {}", row["machine"], row["pane"], row["revision"], row["reports"]).replace('"', "")
        })
        .collect();
    let press = ["press early 0 3", "press early 1 6", "press on_time 0 1", "press on_time 2 7"];
    assert_eq!(said, ["oven on_time 0 1", "oven on_time 0 2"].into_iter().chain(press).collect::<Vec<_>>());
}

#[test]
fn the_periodic_example_fires_windows_together_and_takes_what_comes_between() {
    let place = Place::new();
    let mut command = place.weir(&["run"]);
    let run = command.arg("examples/periodic-counts.yaml").arg("--data").arg(place.data()).current_dir(repository());
    well(&run.output().unwrap());
    let counts = place.query("SELECT path, requests FROM requests_per_ten_seconds ORDER BY window_start, path");
    let counts: Vec<String> =
        counts.iter().map(|row| format!("{}{}", row["path"], row["requests"]).replace('"', "")).collect();
    assert_eq!(counts, ["/a2", "/b2", "/a2", "/b1", "/a3", "/b1", "/a1", "/b1", "/a1"]);
    assert_eq!(place.number("SELECT count(*) FROM late_events"), 2, "seconds 14 and 9, after the mark of 20");
}

#[test]
fn the_rates_example_values_each_order_at_the_rate_of_its_moment() {
    let place = Place::new();
    let mut command = place.weir(&["run"]);
    let run = command.arg("examples/orders-in-euro.yaml").arg("--data").arg(place.data()).current_dir(repository());
    well(&run.output().unwrap());
    let orders = place.query("SELECT order_id, euro FROM orders_in_euro ORDER BY order_id");
    let euro: Vec<Option<f64>> = orders.iter().map(|order| order["euro"].as_f64()).collect();
    let expected =
        [90.0, 92.0, 12.0, 10.0, 190.0, f64::NAN, f64::NAN, 25.0].map(|euro| Some(euro).filter(|euro| !euro.is_nan()));
    assert_eq!(euro, expected, "the sixth currency is no longer traded, the seventh never was");
    let hours = place.query("SELECT orders, unknown FROM euro_per_hour ORDER BY window_start");
    let counts: Vec<_> = hours.iter().map(|hour| (hour["orders"].as_i64(), hour["unknown"].as_i64())).collect();
    assert_eq!(counts, [(Some(3), Some(0)), (Some(4), Some(2)), (Some(1), Some(0))]);
    assert_eq!(place.number("SELECT count(*) FROM late_events"), 0);
}

#[test]
fn the_example_of_orders_finds_the_payment_of_each() {
    let place = Place::new();
    let mut command = place.weir(&["run"]);
    let run = command.arg("examples/orders-paid.yaml").arg("--data").arg(place.data()).current_dir(repository());
    well(&run.output().unwrap());
    assert_eq!(place.number("SELECT count(*) FROM orders_paid"), 40);
    assert_eq!(place.number("SELECT count(DISTINCT order_id) FROM orders_paid"), 40);
    assert_eq!(place.number("SELECT count(payment_method) FROM orders_paid"), 24, "the others come too late, or never");
    assert_eq!(place.number("SELECT count(*) FROM orders_paid WHERE payment_amount <> amount"), 0);
    let windows = place.query("SELECT sum(orders) AS orders, sum(paid) AS paid FROM paid_per_minute");
    assert_eq!((windows[0]["orders"].as_i64(), windows[0]["paid"].as_i64()), (Some(40), Some(24)));
    assert_eq!(place.number("SELECT count(*) FROM late_events"), 0);
}

#[test]
fn the_example_of_visits_counts_every_event_once() {
    let place = Place::new();
    well(&place.weir(&["gen", "logs", "--rows", "20000", "--out", "in.ndjson"]).output().unwrap());
    let pipeline = repository().join("examples/user-sessions.yaml");
    well(&place.run(&pipeline, &[paths("sources.requests.file.paths", &[&place.path("in.ndjson")])]));
    let late = place.number("SELECT count(*) FROM late_events");
    assert_eq!(place.number("SELECT sum(events) FROM visits") + late, 20_000, "{late} late");
    assert!(late < 200, "{late} late");
    let overlaps =
        "SELECT count(*) FROM visits AS a JOIN visits AS b ON a.app_id = b.app_id AND a.executor_id = b.executor_id
                    AND a.window_start < b.window_start AND b.window_start < a.window_end";
    assert_eq!(place.number(overlaps), 0);
    let quarters =
        place.query("SELECT sum(visits) AS visits, CAST(sum(events) AS BIGINT) AS events FROM visits_per_quarter");
    let visits = place.query("SELECT count(*) AS visits, CAST(sum(events) AS BIGINT) AS events FROM visits");
    assert_eq!(quarters, visits, "every visit is in one quarter of an hour");
}
