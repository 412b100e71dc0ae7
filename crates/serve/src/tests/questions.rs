//! SQL and tables over a real store: answers, formats, limits and errors.

use weir_store::TableWriter;

use super::stage::{Stage, logs, start};

const JSON: &str = "\r\nContent-Type: application/json";

/// Three committed lines and one that is fresh as long as the writer is kept.
async fn with_logs() -> (Stage, TableWriter) {
    let stage = start().await;
    let mut writer = stage.data.writer("spark_logs");
    let rows = logs(&["0 INFO started", "60 WARN slow disk", "61 ERROR task failed"]);
    writer.append(&rows).expect("the disk works");
    stage.data.commit(&mut writer, 1).await;
    writer.append(&logs(&["120 ERROR =1+1 failed again"])).expect("the disk works");
    (stage, writer)
}

async fn sql(stage: &Stage, path: &str, sql: &str) -> super::stage::Answer {
    let body = serde_json::json!({ "sql": sql }).to_string();
    stage.post(path, JSON, body.as_bytes()).await
}

#[tokio::test]
async fn a_question_is_answered_with_columns_and_rows() {
    let (stage, _writer) = with_logs().await;
    let answer =
        sql(&stage, "/api/v1/sql", "SELECT level, count(*) AS n FROM spark_logs GROUP BY level ORDER BY level").await;
    let json = answer.json();
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{json}");
    assert_eq!(json["rows"], serde_json::json!([["ERROR", 2], ["INFO", 1], ["WARN", 1]]), "fresh rows are there too");
    assert_eq!((&json["columns"][0]["name"], &json["columns"][1]["name"]), (&"level".into(), &"n".into()));
    assert_eq!((&json["row_count"], &json["truncated"]), (&3.into(), &false.into()));
    assert!(json["elapsed_ms"].as_f64().is_some_and(|ms| ms > 0.0));
    assert!(stage.scrape().contains(r#"weir_queries_total{source="sql"} 1"#));
}

#[tokio::test]
async fn a_limit_cuts_and_says_so() {
    let (stage, _writer) = with_logs().await;
    let body = br#"{"sql":"SELECT message FROM spark_logs ORDER BY ts","limit":2}"#;
    let json = stage.post("/api/v1/sql", JSON, body).await.json();
    assert_eq!((&json["rows"], &json["truncated"]), (&serde_json::json!([["started"], ["slow disk"]]), &true.into()));
    let body = br#"{"sql":"SELECT 1","limit":100001}"#;
    assert_eq!(stage.post("/api/v1/sql", JSON, body).await.error(), (400, "too_many_rows".to_owned()));
}

#[tokio::test]
async fn placeholders_take_parameters_that_never_become_text() {
    let (stage, _writer) = with_logs().await;
    let ask = async |sql: &str, parameters: serde_json::Value| {
        let body = serde_json::json!({ "sql": sql, "parameters": parameters }).to_string();
        stage.post("/api/v1/sql", JSON, body.as_bytes()).await
    };
    let by_level = "SELECT count(*) FROM spark_logs WHERE level = $1 AND ts > $2 LIMIT $3";
    let answer = ask(by_level, serde_json::json!(["ERROR", "1970-01-01T00:00:00Z", 5])).await;
    assert_eq!(answer.json()["rows"], serde_json::json!([[2]]), "{}", answer.text());
    let answer = ask("SELECT count(*) FROM spark_logs WHERE level = $1", serde_json::json!(["' OR 1=1 --"])).await;
    assert_eq!(answer.json()["rows"], serde_json::json!([[0]]));
    let wrong = ask(by_level, serde_json::json!(["ERROR", "soon", 5])).await;
    assert_eq!(wrong.error(), (400, "invalid_request".to_owned()));
    assert!(wrong.text().contains("$2 is \\\"soon\\\", which cannot be"), "{}", wrong.text());
    let short = ask(by_level, serde_json::json!(["ERROR"])).await;
    assert!(short.text().contains("the text has $3, and 1 parameters are given"), "{}", short.text());
    let strange = ask("SELECT $0", serde_json::json!([1])).await;
    assert_eq!(strange.status, 400, "{}", strange.text());
}

#[tokio::test]
async fn an_answer_comes_in_the_format_that_was_asked_for() {
    let (stage, _writer) = with_logs().await;
    let question = "SELECT level, message FROM spark_logs WHERE level = 'ERROR' ORDER BY ts";
    let ndjson = sql(&stage, "/api/v1/sql?format=ndjson", question).await;
    assert_eq!(ndjson.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(
        ndjson.text(),
        "{\"level\":\"ERROR\",\"message\":\"task failed\"}\n{\"level\":\"ERROR\",\"message\":\"=1+1 failed again\"}\n"
    );
    let csv = sql(&stage, "/api/v1/sql?format=csv", question).await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    assert!(csv.text().contains("'=1+1 failed again"), "no formula for a spreadsheet: {}", csv.text());
    let arrow = sql(&stage, "/api/v1/sql?format=arrow", question).await;
    let reader = arrow::ipc::reader::StreamReader::try_new(arrow.body.as_slice(), None).expect("it is a stream");
    assert_eq!(reader.map(|batch| batch.expect("it is whole").num_rows()).sum::<usize>(), 2);
    let accept = format!("{JSON}\r\nAccept: text/html, application/x-ndjson;q=0.9");
    let accepted = stage.post("/api/v1/sql", &accept, br#"{"sql":"SELECT 1 AS one"}"#).await;
    assert_eq!(accepted.text(), "{\"one\":1}\n");
    let unknown = sql(&stage, "/api/v1/sql?format=xlsx", question).await;
    assert_eq!(unknown.error(), (400, "bad_parameter".to_owned()));
}

#[tokio::test]
async fn what_is_no_question_is_refused_with_a_reason() {
    let (stage, _writer) = with_logs().await;
    for (text, status, code) in [
        ("SELEC 1", 400, "sql_syntax"),
        ("SELECT * FROM spark_log", 404, "unknown_table"),
        ("SELECT levl FROM spark_logs", 400, "unknown_column"),
        ("DROP TABLE spark_logs", 400, "read_only"),
        ("COPY spark_logs TO '/tmp/x.csv'", 400, "read_only"),
    ] {
        for path in ["/api/v1/sql", "/api/v1/sql?format=ndjson"] {
            assert_eq!(sql(&stage, path, text).await.error(), (status, code.to_owned()), "{text} {path}");
        }
    }
    let long = format!("SELECT '{}'", "x".repeat(64 << 10));
    assert_eq!(sql(&stage, "/api/v1/sql", &long).await.error(), (413, "too_long".to_owned()));
    assert!(stage.scrape().contains(r#"weir_query_errors_total{source="sql",code="unknown_table"} 2"#));
}

#[tokio::test]
async fn a_request_that_is_no_question_at_all_is_refused() {
    let stage = start().await;
    for body in ["", "nonsense", "{}", r#"{"sql":1}"#, r#"{"sql":"SELECT 1","limits":5}"#, "[]"] {
        assert_eq!(
            stage.post("/api/v1/sql", JSON, body.as_bytes()).await.error(),
            (400, "bad_json".to_owned()),
            "{body}"
        );
    }
    let answer = stage.post("/api/v1/sql?fromat=csv", JSON, br#"{"sql":"SELECT 1"}"#).await;
    assert_eq!(answer.error(), (400, "bad_parameter".to_owned()));
    let large = "x".repeat((512 << 10) + 1);
    assert_eq!(stage.post("/api/v1/sql", JSON, large.as_bytes()).await.error(), (413, "too_large".to_owned()));
}

#[tokio::test]
async fn tables_are_listed_with_their_columns_and_times() {
    let (stage, _writer) = with_logs().await;
    let json = stage.get("/api/v1/tables").await.json();
    let table = &json["tables"][0];
    assert_eq!((&table["name"], &table["rows"], &table["segments"]), (&"spark_logs".into(), &4.into(), &1.into()));
    assert_eq!(
        (&table["min_time"], &table["max_time"]),
        (&"2026-01-01T00:00:00Z".into(), &"2026-01-01T00:02:00Z".into())
    );
    assert_eq!(table["time_column"], "ts");
    let names: Vec<&str> =
        table["columns"].as_array().into_iter().flatten().filter_map(|c| c["name"].as_str()).collect();
    assert_eq!(names, ["ts", "level", "message"]);
    assert!(table["bytes"].as_u64().is_some_and(|bytes| bytes > 0));
    assert!(table["columns"][1]["type"].is_string());
}

#[tokio::test]
async fn lines_come_newest_first_and_page_by_page() {
    let (stage, _writer) = with_logs().await;
    let messages = |json: &serde_json::Value| -> Vec<String> {
        let rows = json["rows"].as_array().into_iter().flatten();
        rows.filter_map(|row| row["message"].as_str().map(str::to_owned)).collect()
    };
    let first = stage.get("/api/v1/logs?table=spark_logs&limit=3").await.json();
    assert_eq!(messages(&first), ["=1+1 failed again", "task failed", "slow disk"]);
    assert_eq!(first["rows"][1]["ts"], "2026-01-01T00:01:01Z");
    assert!(first["scanned_ms"].is_number());
    let next = first["next"].as_str().expect("there is more");
    let second = stage.get(&format!("/api/v1/logs?table=spark_logs&limit=3&before={next}")).await.json();
    assert_eq!((messages(&second), &second["next"]), (vec!["started".to_owned()], &serde_json::Value::Null));
    let range = "from=2026-01-01T00:01:00Z&to=2026-01-01T00:02:00Z";
    let some = stage.get(&format!("/api/v1/logs?table=spark_logs&levels=ERROR,WARN&q=FAILED&{range}")).await;
    assert_eq!(messages(&some.json()), ["task failed"]);
    assert!(stage.scrape().contains(r#"weir_queries_total{source="logs"} 3"#));
}

#[tokio::test]
async fn patterns_and_what_stands_around_a_line_are_told() {
    let (stage, _writer) = with_logs().await;
    let json = stage.get("/api/v1/logs/patterns?table=spark_logs&limit=2").await.json();
    let patterns = json["patterns"].as_array().expect("a list");
    assert_eq!(patterns.len(), 2, "{json}");
    let all = stage.get("/api/v1/logs/patterns?table=spark_logs").await.json();
    assert!(all.to_string().contains("=<n>+<n> failed again"), "{all}");
    let around = "at=2026-01-01T00:01:01Z&before=1&after=1";
    let json = stage.get(&format!("/api/v1/logs/context?table=spark_logs&{around}")).await.json();
    let rows = json["rows"].as_array().expect("a list");
    let messages: Vec<&str> = rows.iter().filter_map(|row| row["message"].as_str()).collect();
    assert_eq!((messages, &json["after"]), (vec!["slow disk", "task failed", "=1+1 failed again"], &1.into()));
    for (path, status) in [
        ("/api/v1/logs/context?table=spark_logs&at=yesterday", 400),
        ("/api/v1/logs/context?table=spark_logs&at=2026-01-01T00:00:00Z&file=x", 400),
        ("/api/v1/logs/context?table=spark_logs&at=2026-01-01T00:00:00Z&before=1001", 400),
        ("/api/v1/logs/context?table=nothing&at=2026-01-01T00:00:00Z", 404),
        ("/api/v1/logs/patterns?table=spark_logs&limit=1001", 400),
    ] {
        assert_eq!(stage.get(path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn a_histogram_counts_lines_over_time_by_level() {
    let (stage, _writer) = with_logs().await;
    let range = "from=2026-01-01T00:00:00Z&to=2026-01-01T00:03:00Z&buckets=3";
    let json = stage.get(&format!("/api/v1/logs/histogram?table=spark_logs&{range}")).await.json();
    assert_eq!(
        (&json["from"], &json["to"]),
        (&"2026-01-01T00:00:00Z".into(), &"2026-01-01T00:03:00Z".into()),
        "{json}"
    );
    assert_eq!((json["bucket_ms"].as_f64(), &json["total"]), (Some(60_000.0), &4.into()));
    assert_eq!(
        json["series"],
        serde_json::json!([
            { "level": "ERROR", "counts": [0, 1, 1] },
            { "level": "INFO", "counts": [1, 0, 0] },
            { "level": "WARN", "counts": [0, 1, 0] }
        ])
    );
}

#[tokio::test]
async fn wrong_parameters_are_named() {
    let (stage, _writer) = with_logs().await;
    for (address, status, code) in [
        ("/api/v1/logs", 400, "bad_parameter"),
        ("/api/v1/logs?table=spark_logs&limit=0", 400, "bad_parameter"),
        ("/api/v1/logs?table=spark_logs&limit=10001", 400, "bad_parameter"),
        ("/api/v1/logs?table=spark_logs&limit=many", 400, "bad_parameter"),
        ("/api/v1/logs?table=spark_logs&from=yesterday", 400, "bad_parameter"),
        ("/api/v1/logs?table=spark_logs&query=x", 400, "bad_parameter"),
        ("/api/v1/logs?table=spark_logs&before=nonsense", 400, "invalid_request"),
        ("/api/v1/logs/histogram?table=spark_logs&buckets=1001", 400, "bad_parameter"),
        ("/api/v1/logs?table=nothing", 404, "unknown_table"),
        ("/api/v1/logs/histogram?table=nothing", 404, "unknown_table"),
    ] {
        assert_eq!(stage.get(address).await.error(), (status, code.to_owned()), "{address}");
    }
}

async fn search(stage: &Stage, path: &str, search: &str) -> super::stage::Answer {
    let body = serde_json::json!({ "table": "spark_logs", "search": search }).to_string();
    stage.post(path, JSON, body.as_bytes()).await
}

#[tokio::test]
async fn a_search_is_answered_like_sql() {
    let (stage, _writer) = with_logs().await;
    let json = search(&stage, "/api/v1/search", "failed | count by level").await.json();
    assert_eq!(json["rows"], serde_json::json!([["ERROR", 2]]));
    assert_eq!((&json["columns"][0]["name"], &json["columns"][1]["name"]), (&"level".into(), &"count".into()));
    let lines = search(&stage, "/api/v1/search?format=ndjson", "level:(warn OR info) | fields message").await;
    assert_eq!(lines.text(), "{\"message\":\"slow disk\"}\n{\"message\":\"started\"}\n", "the newest first");
    assert!(stage.scrape().contains(r#"weir_queries_total{source="search"} 2"#));
    let wrong = search(&stage, "/api/v1/search", "failed | conut").await;
    assert_eq!(wrong.error(), (400, "search_syntax".to_owned()));
    assert_eq!(search(&stage, "/api/v1/search", "lvel:x").await.error(), (400, "unknown_column".to_owned()));
}

#[tokio::test]
async fn lines_are_found_by_searches_and_what_could_be_written_is_offered() {
    let (stage, _writer) = with_logs().await;
    let page = stage.get("/api/v1/logs?table=spark_logs&search=level:error%20-again").await.json();
    assert_eq!(page["rows"].as_array().map(Vec::len), Some(1), "{page}");
    let histogram = stage.get("/api/v1/logs/histogram?table=spark_logs&search=failed").await.json();
    assert_eq!(histogram["total"], 2);
    let staged = stage.get("/api/v1/logs?table=spark_logs&search=failed%20%7C%20count").await;
    assert_eq!(staged.error(), (400, "bad_parameter".to_owned()));
    let tail = stage.get("/api/v1/logs/tail?table=spark_logs&search=lvel:x").await;
    assert_eq!(tail.error(), (400, "unknown_column".to_owned()));
    let offered = stage.get("/api/v1/search/complete?table=spark_logs&search=level:e").await.json();
    assert_eq!((&offered["from"], &offered["to"]), (&6.into(), &7.into()));
    assert_eq!(offered["candidates"][0]["text"], "ERROR");
}
