//! What is answered, and which files are opened for it.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields, Schema};

use crate::testing::{Stage, ask, ask_with, block_on, keyed, logs, many, shown, value};
use crate::{QueryErrorCode, RunOptions};

#[test]
fn rows_in_files_and_fresh_rows_are_one_table() {
    let engine = Stage::with_logs(&[many(0, 10), many(10, 10)], &[many(20, 5)]).engine();
    assert_eq!(value(&engine, "SELECT count(*) FROM logs"), "25");
    assert_eq!(value(&engine, "SELECT sum(n) FROM logs WHERE level = 'ERROR'"), "100");
    assert_eq!(value(&engine, "SELECT max(ts) FROM logs"), "1970-01-01T00:00:24Z");
    assert_eq!(value(&engine, "SELECT min(ts) FROM logs WHERE ts >= '1970-01-01T00:00:15Z'"), "1970-01-01T00:00:15Z");
    let latest = shown(&engine, "SELECT n, message FROM logs ORDER BY ts DESC LIMIT 2");
    assert!(latest.contains("| 24 | message number 24 |") && latest.contains("| 23 |"), "{latest}");
    let by_level = shown(&engine, "SELECT level, count(*) AS c FROM logs GROUP BY level ORDER BY level");
    assert!(by_level.contains("| ERROR | 8 |") && by_level.contains("| INFO  | 9 |"), "{by_level}");
}

#[test]
fn files_outside_of_the_time_range_are_not_opened() {
    let stage = Stage::with_logs(&[many(0, 10), many(10, 10), many(20, 10)], &[]);
    // what is opened would fail
    std::fs::write(stage.folder.path().join("logs-0.parquet"), b"gone").unwrap();
    let engine = stage.engine();
    let sql = "SELECT count(took) FROM logs WHERE ts BETWEEN '1970-01-01T00:00:12Z' AND '1970-01-01T00:00:22Z'";
    assert_eq!(value(&engine, sql), "10");
    assert_eq!(value(&engine, "SELECT count(took) FROM logs WHERE ts > TIMESTAMP '1970-01-01T00:00:25'"), "4");
    assert_eq!(
        value(&engine, "SELECT n FROM logs WHERE n >= 10 AND ts > '1970-01-01T00:00:20Z' ORDER BY ts LIMIT 1"),
        "21"
    );
    assert!(ask(&engine, "SELECT count(took) FROM logs").is_err());
}

#[test]
fn counting_everything_opens_no_file() {
    let stage = Stage::with_logs(&[many(0, 10)], &[many(10, 3)]);
    std::fs::write(stage.folder.path().join("logs-0.parquet"), b"gone").unwrap();
    assert_eq!(value(&stage.engine(), "SELECT count(*) FROM logs"), "13");
}

#[test]
fn an_empty_table_and_a_condition_that_nothing_fulfils_have_answers() {
    let engine = Stage::with_logs(&[], &[]).engine();
    assert_eq!(value(&engine, "SELECT count(*) FROM logs"), "0");
    assert_eq!(ask(&engine, "SELECT * FROM logs").unwrap().num_columns(), 5);
    let engine = Stage::with_logs(&[many(0, 5)], &[]).engine();
    assert_eq!(ask(&engine, "SELECT n, ts FROM logs WHERE ts < '1960-01-01'").unwrap().num_columns(), 2);
}

#[test]
fn files_from_before_the_schema_grew_fit_in() {
    let narrow = RecordBatch::try_from_iter(vec![("n", Arc::new(Int64Array::from(vec![1, 2])) as ArrayRef)]).unwrap();
    let inner = Fields::from(vec![Field::new("env", DataType::Utf8View, true)]);
    let env = Arc::new(StringViewArray::from(vec!["prod"])) as ArrayRef;
    let tags = Arc::new(StructArray::new(inner, vec![env], None)) as ArrayRef;
    let old = RecordBatch::try_from_iter_with_nullable(vec![
        ("tags", tags, true),
        ("n", Arc::new(Int64Array::from(vec![3])) as ArrayRef, true),
    ]);
    let grown =
        Fields::from(vec![Field::new("env", DataType::Utf8View, true), Field::new("zone", DataType::Utf8View, true)]);
    let schema = Arc::new(Schema::new(vec![
        Field::new("n", DataType::Float64, true),
        Field::new("tags", DataType::Struct(grown), true),
        Field::new("added", DataType::Utf8View, true),
    ]));
    let stage = Stage::new();
    stage.table("grown", schema, &[narrow, old.unwrap()], &[]);
    let engine = stage.engine();
    assert_eq!(value(&engine, "SELECT sum(n) FROM grown"), "6.0");
    assert_eq!(value(&engine, "SELECT count(*) FROM grown WHERE added IS NULL"), "3");
    assert_eq!(value(&engine, "SELECT tags.env FROM grown WHERE n > 2.5"), "prod");
    assert_eq!(value(&engine, "SELECT count(*) FROM grown WHERE tags.zone IS NULL"), "3");
    assert_eq!(ask(&engine, "SELECT * FROM grown WHERE tags.zone IS NULL AND n > 1").unwrap().num_rows(), 2);
    assert_eq!(ask(&engine, "SELECT n FROM grown WHERE tags.env = 'prod' OR added = 'x'").unwrap().num_rows(), 1);
    assert_eq!(ask(&engine, "SELECT * FROM grown WHERE n < 10 LIMIT 5").unwrap().num_rows(), 3);
}

#[test]
fn names_are_found_as_people_write_them() {
    let column = || Arc::new(Int64Array::from(vec![7])) as ArrayRef;
    let batch = RecordBatch::try_from_iter_with_nullable(vec![
        ("appId", column(), true),
        ("tags.env", column(), true),
        ("n", column(), true),
    ]);
    let stage = Stage::new();
    let batch = batch.unwrap();
    stage.table("odd", batch.schema(), &[batch], &[]);
    let engine = stage.engine();
    for sql in [
        "SELECT appId FROM odd",
        "SELECT APPID FROM Odd WHERE \"appId\" = 7",
        "SELECT o.appId FROM odd AS o",
        "SELECT tags.env FROM odd",
        "SELECT N FROM odd ORDER BY appId",
        "SELECT sum(appId) FROM odd GROUP BY tags.env",
        "WITH x AS (SELECT appId FROM odd) SELECT appId FROM x",
    ] {
        assert_eq!(value(&engine, sql), "7", "{sql}");
    }
}

#[test]
fn tables_and_columns_can_be_listed() {
    let engine = Stage::with_logs(&[many(0, 10)], &[many(10, 3)]).engine();
    let tables = shown(&engine, "SHOW TABLES");
    assert!(tables.contains("| logs  | 13   |") && tables.contains("1970-01-01T00:00:12Z"), "{tables}");
    let columns = shown(&engine, "DESCRIBE logs");
    assert!(columns.contains("| ts      | timestamp |") && columns.contains("| level   | string    |"), "{columns}");
    assert_eq!(ask(&engine, "DESCRIBE log").unwrap_err().code, QueryErrorCode::UnknownTable);
    let columns = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'";
    assert!(ask(&engine, columns).expect("the standard's tables are there").num_rows() > 1);
    assert!(ask(&engine, "SELECT * FROM elsewhere.tables").is_err());
}

#[test]
fn a_plan_can_be_looked_at() {
    let engine = Stage::with_logs(&[many(0, 10)], &[]).engine();
    assert!(shown(&engine, "EXPLAIN SELECT count(took) FROM logs").contains("logs-0.parquet"));
    let analyzed = ask_with(
        &engine,
        "EXPLAIN ANALYZE SELECT took FROM logs",
        RunOptions { max_rows: Some(1), ..Default::default() },
    );
    assert_eq!(analyzed.unwrap().num_rows(), 1);
}

#[test]
fn an_answer_says_when_there_are_more_rows() {
    let engine = Stage::with_logs(&[many(0, 100)], &[many(100, 100)]).engine();
    let run = |sql: &str, max_rows| {
        block_on(async {
            let mut result =
                engine.run(sql, RunOptions { max_rows: Some(max_rows), ..Default::default() }).await.unwrap();
            let rows = result.collect_one().await.unwrap().num_rows();
            assert_eq!(result.row_count(), rows as u64);
            (rows, result.truncated())
        })
    };
    assert_eq!(run("SELECT * FROM logs", 50), (50, true));
    assert_eq!(run("SELECT * FROM logs", 200), (200, false));
    assert_eq!(run("SELECT * FROM logs", 199), (199, true));
    assert_eq!(run("SELECT * FROM logs LIMIT 10", 50), (10, false));
    assert_eq!(run("SELECT * FROM logs LIMIT 10", 0), (0, true));
}

#[test]
fn an_answer_can_be_bounded_by_its_bytes() {
    let engine = Stage::with_logs(&[many(0, 50_000)], &[]).engine();
    block_on(async {
        let mut result =
            engine.run("SELECT * FROM logs", RunOptions { max_bytes: Some(1), ..Default::default() }).await.unwrap();
        let rows = result.collect_one().await.unwrap().num_rows();
        assert!(rows > 0 && rows <= 8_192 && result.truncated(), "{rows}");
    });
}

#[test]
fn a_query_sees_one_moment_of_all_tables() {
    let stage = Stage::with_logs(&[many(0, 10)], &[]);
    let engine = stage.engine();
    block_on(async {
        let sql = "SELECT count(took) AS c FROM logs AS a UNION ALL SELECT count(n) FROM logs";
        let mut result = engine.run(sql, RunOptions::default()).await.unwrap();
        stage.change(|snapshot| snapshot.tables.clear());
        assert_eq!(result.collect_one().await.unwrap().num_rows(), 2);
    });
    assert_eq!(ask(&engine, "SELECT * FROM logs").unwrap_err().code, QueryErrorCode::UnknownTable);
}

#[test]
fn dictionaries_and_views_mix() {
    let stage = Stage::new();
    let batch = keyed(&["a", "b", "a"]);
    stage.table("keyed", batch.schema(), std::slice::from_ref(&batch), std::slice::from_ref(&batch));
    let engine = stage.engine();
    assert_eq!(value(&engine, "SELECT count(*) FROM keyed WHERE key IN ('a', 'x')"), "4");
    assert_eq!(value(&engine, "SELECT key FROM keyed WHERE key LIKE 'b%' LIMIT 1"), "b");
    assert_eq!(value(&engine, "SELECT count(DISTINCT upper(key)) FROM keyed"), "2");
}

#[test]
fn unknown_names_come_with_what_was_meant_and_where() {
    let engine = Stage::with_logs(&[many(0, 1)], &[logs(&[])]).engine();
    let error = ask(&engine, "SELECT *\nFROM losg").unwrap_err();
    assert_eq!(error.code, QueryErrorCode::UnknownTable);
    assert_eq!(
        error.to_string(),
        "there is no table \"losg\"; there are logs at line 2, column 6 (did you mean \"logs\"?)"
    );
    let error = ask(&engine, "SELECT levle FROM logs").unwrap_err();
    assert_eq!(error.code, QueryErrorCode::UnknownColumn);
    assert_eq!(
        error.to_string(),
        "there is no column \"levle\"; there are ts, level, message, took, n at line 1, column 8 (did you mean \"level\"?)"
    );
    let error = ask(&engine, "SELECT uper(level) FROM logs").unwrap_err();
    assert_eq!((error.code, error.hint.as_deref()), (QueryErrorCode::UnknownFunction, Some("did you mean \"upper\"?")));
    let error = ask(&engine, "SELECT level, count(*) FROM logs").unwrap_err();
    assert_eq!(error.code, QueryErrorCode::InvalidQuery, "{error}");
    let error = ask(&engine, "SELECT * FROM other.logs").unwrap_err();
    assert_eq!(error.code, QueryErrorCode::UnknownTable, "{error}");
}

#[test]
fn values_that_cannot_be_computed_are_errors_of_the_query() {
    let engine = Stage::with_logs(&[many(0, 3)], &[]).engine();
    let error = ask(&engine, "SELECT 1 / n FROM logs").unwrap_err();
    assert_eq!(error.code, QueryErrorCode::Failed, "{error}");
    let error = ask(&engine, "SELECT CAST(message AS BIGINT) FROM logs").unwrap_err();
    assert!(error.message.contains("message number"), "{error}");
}

#[test]
fn an_engine_may_be_used_and_dropped_in_any_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    runtime.block_on(async {
        let engine = Stage::with_logs(&[many(0, 3)], &[]).engine();
        let mut result = engine
            .run("SELECT 1", RunOptions { timeout: Some(Duration::from_secs(9)), ..Default::default() })
            .await
            .unwrap();
        assert_eq!(result.collect().await.unwrap().len(), 1);
        drop(engine);
    });
    let engine = Stage::with_logs(&[many(0, 3)], &[]).engine();
    let mut result = engine.run_blocking("SELECT n FROM logs", RunOptions::default()).unwrap();
    assert_eq!(result.next_blocking().unwrap().unwrap().num_rows(), 3);
    assert!(result.next_blocking().is_none());
}

#[test]
fn the_newest_segments_are_read_first() {
    let stage = Stage::with_logs(&[many(0, 10), many(10, 10), many(20, 10), many(30, 10)], &[]);
    let explained = shown(&stage.engine(), "EXPLAIN SELECT message FROM logs");
    let at = |n: usize| explained.find(&format!("logs-{n}.parquet")).expect("the file is named");
    assert!(at(3) < at(1) && at(1) < at(2) && at(2) < at(0), "{explained}");
}

#[test]
fn now_is_one_moment_wherever_it_stands() {
    let engine = Stage::with_logs(&[many(0, 10)], &[]).engine();
    assert_eq!(value(&engine, "SELECT count(*) FROM logs WHERE ts BETWEEN '1970-01-01T00:00:05Z' AND now()"), "5");
    assert_eq!(value(&engine, "SELECT count(*) FROM logs WHERE ts > now() - INTERVAL '1 day'"), "0");
    assert_eq!(value(&engine, "SELECT now() = now() AND now() > TIMESTAMP '2020-01-01'"), "true");
}
