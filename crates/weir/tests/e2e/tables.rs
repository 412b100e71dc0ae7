//! Tables as their pipelines want them kept: for how long, in which order, with which sums.

use crate::harness::{Place, paths, repository, said, until, well};
use crate::up::Server;

/// A pipeline that stores what is posted, and what is chosen about its table.
fn kept(place: &Place, chosen: &str) -> String {
    let text = format!(
        "name: kept\nsources:\n  in: {{ http: {{ stream: kept }}, format: json, schema: {{ ts: timestamp, level: string, n: int64 }} }}\n\
         time: {{ field: ts, not_before: 2000-01-01T00:00:00Z }}\noutputs:\n  - table: {{ name: kept, {chosen} }}\n"
    );
    place.write("kept.yaml", text).display().to_string()
}

fn post(server: &Server, rows: &[(&str, &str, i64)]) {
    let rows: String =
        rows.iter().map(|(ts, level, n)| format!("{{\"ts\":\"{ts}\",\"level\":\"{level}\",\"n\":{n}}}\n")).collect();
    let (status, answer) = server.send("POST", "/api/v1/ingest/kept", "application/x-ndjson", &rows);
    assert_eq!(status, 200, "{answer}");
}

#[test]
fn rows_go_when_their_time_is_over_those_of_a_level_before_the_others_and_by_what_the_file_says_now() {
    let place = Place::new();
    let pipeline = kept(&place, "ttl: 36500d, ttl_by: { values: { debug: 1d } }");
    let server = Server::start(&place, &[&pipeline]);
    let rows = [
        ("2001-01-01T00:00:00Z", "DEBUG", 1),
        ("2001-01-01T00:00:00Z", "ERROR", 2),
        ("2001-01-02T00:00:00Z", "debug", 4),
        ("2001-01-03T00:00:00Z", "INFO", 8),
    ];
    post(&server, &rows);
    server.sql_becomes("SELECT sum(n) FROM kept WHERE level <> 'nothing'", 2 + 8);
    assert_eq!(server.stop("-TERM"), Some(0));

    let pipeline = kept(&place, "ttl: 1d, ttl_by: { values: { error: 36500d } }");
    let server = Server::start(&place, &[&pipeline]);
    server.sql_becomes("SELECT sum(n) FROM kept", 2);
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[test]
fn a_table_that_two_pipelines_want_kept_differently_is_refused() {
    let place = Place::new();
    let one = kept(&place, "ttl: 1d");
    let text = std::fs::read_to_string(&one).expect("written");
    let other = place.write("other.yaml", text.replace("name: kept\n", "name: other\n").replace("ttl: 1d", "ttl: 2d"));
    let mut command = place.weir(&["up", "--listen", "127.0.0.1:0", "--data"]);
    let output = command.arg(place.data()).arg(one).arg(other).output().expect("ran");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("the table kept is kept differently by kept, output kept and by other, output kept"),
        "{said}"
    );
}

#[test]
fn the_example_answers_from_its_rollup_what_the_rows_say() {
    let place = Place::new();
    let logs = place.path("logs.ndjson");
    well(&place.weir(&["gen", "logs", "--rows", "60000", "--out"]).arg(&logs).output().expect("made"));
    let example = repository().join("examples/kept-requests.yaml");
    well(&place.run(&example, &[paths("sources.requests.file.paths", &[&logs])]));
    let question = "SELECT status, count(*) AS n, max(duration_ms) AS m FROM requests GROUP BY status ORDER BY status";
    let explained = format!("{:?}", place.query(&format!("EXPLAIN {question}")));
    assert!(explained.contains("answered by the rollup of service, status every 60 s"), "{explained}");
    // No rollup knows what comes of an expression over a column that it sums up.
    let from_rows = question.replace("max(duration_ms)", "max(duration_ms + 0)");
    assert_eq!(place.query(question), place.query(&from_rows));
    assert_eq!(place.number("SELECT sum(n) FROM (SELECT status, count(*) AS n FROM requests GROUP BY status)"), 60_000);
}

#[test]
fn rows_are_deleted_by_a_condition_while_weir_is_up_and_while_none_is() {
    let place = Place::new();
    let pipeline = kept(&place, "index: tokens");
    let server = Server::start(&place, &[&pipeline]);
    let rows: Vec<(&str, &str, i64)> =
        (0..40).map(|n| ("2026-01-01T00:00:00Z", ["DEBUG", "INFO"][n as usize % 2], n)).collect();
    post(&server, &rows);
    server.sql_becomes("SELECT count(*) FROM kept", 40);
    // Once the next rows are there, the first are committed.
    let delete = |arguments: &[&str]| {
        let output = place.weir(&["delete", "kept", "--data"]).arg(place.data()).args(arguments).output().expect("ran");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &said(&output))
    };
    let debug = "level = 'DEBUG' AND n < 20";
    let (code, dry) = delete(&["--where", debug, "--dry-run"]);
    assert_eq!((code, dry.contains("10 rows of kept would be deleted")), (Some(0), true), "{dry}");
    let (code, unsure) = delete(&["--where", debug]);
    assert_eq!(code, Some(2), "nobody is there to ask: {unsure}");
    let (code, wrong) = delete(&["--where", "levl = 'x'", "--yes"]);
    assert_eq!((code, wrong.contains("level")), (Some(1), true), "{wrong}");
    let body = r#"{"where":"true"}"#;
    let (status, answer) = server.send("POST", "/api/v1/tables/kept/delete", "application/json", body);
    assert_eq!(status, 401, "{answer}");
    server.sql_becomes("SELECT count(*) FROM kept", 40);

    until("none is left to delete", || {
        delete(&["--where", debug, "--yes"]).1.contains("0 rows of kept would be deleted")
    });
    server.sql_becomes("SELECT count(*) FROM kept", 30);
    assert_eq!(server.stop("-TERM"), Some(0));
    let (code, deleted) = delete(&["--where", "level = 'INFO'", "--yes"]);
    assert_eq!((code, deleted.contains("20 rows of kept deleted")), (Some(0), true), "{deleted}");
    assert_eq!(place.number("SELECT count(*) FROM kept"), 10);
}

#[test]
fn fresh_rows_are_found_before_they_are_committed_old_ones_in_their_place_and_metrics_say_what_waits_to_be_merged() {
    let place = Place::new();
    let pipeline = kept(&place, "rollups: [{ every: 1h, by: [level], of: [n] }]");
    let server = Server::start(&place, &[&pipeline, "--set", "epoch=1h"]);
    for n in 0..5 {
        post(&server, &[("2026-01-01T00:00:00Z", "INFO", n)]);
        server.sql_becomes(&format!("SELECT count(*) FROM kept WHERE n = {n}"), 1);
    }
    let status: serde_json::Value = serde_json::from_str(&server.get("/api/v1/pipelines").1).expect("it is JSON");
    assert!(status["pipelines"][0]["last_commit_at"].is_null(), "nobody had to wait for a commit: {status}");
    assert_eq!(server.stop("-TERM"), Some(0));

    let server = Server::start(&place, &[&pipeline]);
    let old: Vec<(&str, &str, i64)> = (10..20).map(|n| ("2019-05-05T05:05:05Z", "ERROR", n)).collect();
    post(&server, &old);
    server.sql_becomes("SELECT sum(n) FROM kept WHERE ts < '2020-01-01'", 145);
    let by_year =
        server.sql("SELECT date_trunc('year', ts) AS y, level, count(*) FROM kept GROUP BY y, level ORDER BY y");
    assert_eq!(by_year["rows"][0][1], "ERROR");
    assert_eq!((by_year["rows"][0][2].as_u64(), by_year["rows"][1][2].as_u64()), (Some(10), Some(5)));
    let (_, metrics) = server.get("/metrics");
    let debt = metrics.lines().find(|line| line.starts_with("weir_table_compaction_debt_segments{table=\"kept\"}"));
    assert!(debt.is_some(), "{metrics}");
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[test]
fn tables_of_tenants_are_told_apart_and_a_name_that_is_a_path_is_refused() {
    let place = Place::new();
    let logs = place.write("logs.ndjson", "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    let of = |table: &str| {
        let text = format!(
            "name: tenant\nsources: {{ in: {{ file: {{ paths: ['{}'], follow: false }}, format: json }} }}\noutputs: [{{ table: '{table}' }}]\n",
            logs.display()
        );
        place.write("tenant.yaml", text)
    };
    well(&place.run(&of("acme.logs"), &[]));
    assert_eq!(place.number("SELECT sum(n) FROM acme.logs"), 6);
    let output = place.weir(&["query", "--data"]).arg(place.data()).arg("SELECT * FROM logs").output().expect("ran");
    assert!(!output.status.success() && said(&output).contains("there is no table"), "{}", said(&output));
    for wrong in ["../acme.logs", "acme/logs", "acme..logs", "acme.logs.more", "public.logs", "Acme.logs"] {
        let output = place.run(&of(wrong), &[]);
        assert_eq!(output.status.code(), Some(2), "{wrong}: {}", said(&output));
    }
}

#[test]
fn a_stream_may_answer_before_its_records_are_on_disk() {
    let place = Place::new();
    let text = "name: quick\nsources: { in: { http: { stream: quick, acknowledge: received }, format: json } }\noutputs: [{ table: quick }]\n";
    let pipeline = place.write("quick.yaml", text).display().to_string();
    let server = Server::start(&place, &[&pipeline]);
    let rows: String = (0..100).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    for _ in 0..20 {
        let (status, answer) = server.send("POST", "/api/v1/ingest/quick", "application/x-ndjson", &rows);
        assert_eq!((status, answer.contains("first_offset\":0")), (200, false), "{answer}");
    }
    server.sql_becomes("SELECT count(*) FROM quick", 2_000);
    assert_eq!(server.stop("-TERM"), Some(0));
    assert_eq!(place.number("SELECT count(*) FROM quick"), 2_000);
}
