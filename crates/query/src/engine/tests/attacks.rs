//! Texts that kill or freeze a planner, queries that want everything: each is a clear error, and the next query works.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::testing::{Stage, ask, ask_with, block_on, many, value};
use crate::{Limits, QueryEngine, QueryErrorCode, RunOptions};

fn stage() -> Arc<Stage> {
    Stage::with_logs(&[many(0, 1_000)], &[])
}

fn code(engine: &QueryEngine, sql: &str) -> QueryErrorCode {
    let error = ask(engine, sql).map(|batch| batch.num_rows()).unwrap_err();
    assert!(!error.message.is_empty() && !error.message.contains('\n'), "{error}");
    error.code
}

fn chain(term: &str, joint: &str, terms: usize) -> String {
    vec![term; terms].join(joint)
}

#[test]
fn long_and_deep_texts_are_refused_before_the_planner() {
    let engine = stage().engine();
    for terms in [5_000, 16_000] {
        assert_eq!(code(&engine, &format!("SELECT {}", chain("1", "+", terms))), QueryErrorCode::TooComplex);
    }
    assert_eq!(code(&engine, &format!("SELECT {}", chain("1", "+", 50_000))), QueryErrorCode::TooLong);
    assert_eq!(code(&engine, &format!("SELECT 1 WHERE {}", chain("1=1", " OR ", 5_000))), QueryErrorCode::TooComplex);
    let nested = format!("SELECT {}1{}", "(".repeat(1_000), ")".repeat(1_000));
    assert_eq!(code(&engine, &nested), QueryErrorCode::TooComplex);
    let list = format!("SELECT * FROM logs WHERE n IN ({})", chain("1", ",", 20_000));
    assert_eq!(code(&engine, &list), QueryErrorCode::TooComplex);
    let unions = chain("SELECT 1", " UNION ALL ", 500);
    assert_eq!(code(&engine, &unions), QueryErrorCode::TooComplex);
    assert_eq!(value(&engine, "SELECT 1"), "1");
}

#[test]
fn the_largest_texts_that_pass_are_answered() {
    let engine = stage().engine();
    assert_eq!(
        value(&engine, &format!("SELECT {}", chain("n", "+", 401)).replace("n+", "1+").replace("+n", "+1")),
        "401"
    );
    assert_eq!(value(&engine, &format!("SELECT count(*) FROM logs WHERE {}", chain("n = 1", " OR ", 200))), "1");
    let list = (0..1_990).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(value(&engine, &format!("SELECT count(*) FROM logs WHERE n IN ({list})")), "1000");
    let nested = format!("SELECT {}1{}", "(".repeat(49), ")".repeat(49));
    assert_eq!(value(&engine, &nested), "1");
    assert_eq!(
        value(&engine, &format!("SELECT count(*) FROM ({})", chain("SELECT n FROM logs", " UNION ALL ", 33))),
        "33000"
    );
}

#[test]
fn short_texts_that_stand_for_a_billion_tables_or_terms_are_refused() {
    let engine = stage().engine();
    let tables: Vec<String> = (1..30).map(|n| format!("t{n} AS (SELECT a.n FROM t{m} a, t{m} b)", m = n - 1)).collect();
    let sql = format!("WITH t0 AS (SELECT n FROM logs), {} SELECT count(*) FROM t29", tables.join(", "));
    assert_eq!(code(&engine, &sql), QueryErrorCode::TooComplex);
    let mut sql = "SELECT n FROM logs".to_owned();
    for _ in 0..30 {
        sql = format!("SELECT n + n AS n FROM ({sql})");
    }
    assert_eq!(code(&engine, &format!("SELECT * FROM ({sql}) WHERE n > 5")), QueryErrorCode::TooComplex);
}

#[test]
fn files_outside_of_the_tables_cannot_be_read_or_written() {
    let engine = stage().engine();
    for path in ["/etc/passwd", "../logs-0.parquet", "file:///etc/passwd", "http://127.0.0.1/x.csv"] {
        assert_eq!(code(&engine, &format!("SELECT * FROM '{path}'")), QueryErrorCode::UnknownTable, "{path}");
        assert_eq!(code(&engine, &format!("SELECT * FROM \"{path}\"")), QueryErrorCode::UnknownTable, "{path}");
    }
    let target = tempfile::tempdir().unwrap();
    let sql = format!("COPY (SELECT 1) TO '{}/x.csv'", target.path().display());
    assert_eq!(code(&engine, &sql), QueryErrorCode::ReadOnly);
    assert_eq!(std::fs::read_dir(target.path()).unwrap().count(), 0);
    assert!(ask(&engine, "SELECT * FROM read_parquet('/etc/passwd')").is_err());
}

#[test]
fn a_cross_join_without_end_stops_at_the_deadline() {
    let engine = stage().engine();
    let options = RunOptions { timeout: Some(Duration::from_millis(500)), ..Default::default() };
    let sql = "SELECT count(*) FROM logs a, logs b, logs c, logs d WHERE a.n + b.n + c.n + d.n < 0";
    let error = ask_with(&engine, sql, options.clone()).unwrap_err();
    assert_eq!(error.code, QueryErrorCode::Timeout, "{error}");
    let error = ask_with(&engine, &format!("EXPLAIN ANALYZE {sql}"), options.clone()).unwrap_err();
    assert_eq!(error.code, QueryErrorCode::Timeout, "{error}");
    let endless = "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT max(n) FROM r";
    assert_eq!(ask_with(&engine, endless, options.clone()).unwrap_err().code, QueryErrorCode::Timeout);
    let series = "SELECT count(*) FROM generate_series(1, 1000000000000) a WHERE a.value < 0";
    assert_eq!(ask_with(&engine, series, options).unwrap_err().code, QueryErrorCode::Timeout);
    assert_eq!(value(&engine, "SELECT count(took) FROM logs"), "900");
}

#[test]
fn an_aggregate_of_everything_stops_at_the_memory_limit() {
    let engine = stage().engine_with(Limits { memory_bytes: 8 << 20, spill_bytes_max: 1 << 20, ..Limits::default() });
    let sql = "SELECT array_agg(a.message) FROM logs a, logs b, logs c";
    let error = ask(&engine, sql).map(|batch| batch.num_rows()).unwrap_err();
    assert_eq!(error.code, QueryErrorCode::Memory, "{error}");
    let sql = "SELECT a.message FROM logs a, logs b ORDER BY a.message || b.message";
    assert_eq!(code(&engine, sql), QueryErrorCode::Memory);
    assert_eq!(value(&engine, "SELECT count(took) FROM logs"), "900");
}

#[test]
fn a_stopped_query_gives_its_threads_back() {
    let engine = stage().engine();
    let options = RunOptions { timeout: Some(Duration::from_millis(300)), ..Default::default() };
    for from in [
        "logs a, logs b, logs c, logs d WHERE a.n + b.n + c.n + d.n < 0",
        "logs a, logs b, logs c, logs d WHERE random() + a.n + b.n + c.n + d.n < 0",
        "logs a JOIN logs b ON a.level = b.level JOIN logs c ON b.level = c.level JOIN logs d ON a.level = d.level
         WHERE a.n + b.n + c.n + d.n < 0",
        "logs a LEFT JOIN logs b ON a.n < b.n LEFT JOIN logs c ON b.n < c.n LEFT JOIN logs d ON c.n < d.n AND d.n < a.n",
    ] {
        let sql = format!("SELECT count(*) FROM {from}");
        let error = ask_with(&engine, &sql, options.clone()).err().unwrap_or_else(|| panic!("{from} has an answer"));
        assert_eq!(error.code, QueryErrorCode::Timeout, "{from}: {error}");
    }
    let patient = Instant::now();
    while engine.running() > 0 {
        // every query asks for its own end: this one waits for a turn
        assert_eq!(value(&engine, "SELECT count(took) FROM logs"), "900");
        assert!(patient.elapsed() < Duration::from_secs(120), "a stopped query goes on");
    }
}

#[test]
fn calls_that_make_much_of_nothing_are_refused() {
    let engine = stage().engine();
    for call in [
        "repeat('x', 1000000000)",
        "repeat(repeat('x', 10000), 10000)",
        "repeat(message, n)",
        "lpad(message, 100000000)",
        "array_repeat(n, 1000000000)",
        "range(1, 1000000000000)",
        "generate_series(1, n)",
        "array_agg(n) OVER (ORDER BY n)",
    ] {
        assert_eq!(code(&engine, &format!("SELECT {call} FROM logs")), QueryErrorCode::TooComplex, "{call}");
    }
    assert_eq!(value(&engine, "SELECT length(repeat('ab', 100)) + cardinality(range(0, 10))"), "210");
    assert_eq!(value(&engine, "SELECT lpad('7', 3, '0')"), "007");
}

#[test]
fn queries_beyond_the_limit_wait_and_are_told_to_come_back() {
    let limits = Limits { concurrent_max: 1, queue_timeout: Duration::from_millis(50), ..Limits::default() };
    let engine = stage().engine_with(limits);
    block_on(async {
        let sql = "SELECT count(*) FROM logs a, logs b, logs c, logs d WHERE a.n + b.n + c.n + d.n < 0";
        let running = engine.run(sql, RunOptions::default()).await.unwrap();
        assert_eq!(engine.running(), 1);
        let error = engine.run("SELECT 1", RunOptions::default()).await.map(|_| ()).unwrap_err();
        assert_eq!(error.code, QueryErrorCode::Busy, "{error}");
        drop(running);
    });
    let long_wait = Limits { concurrent_max: 1, queue_timeout: Duration::from_secs(60), ..Limits::default() };
    let engine = stage().engine_with(long_wait);
    block_on(async {
        let running = engine.run("SELECT a.n FROM logs a, logs b, logs c", RunOptions::default()).await.unwrap();
        drop(running);
        // the turn comes as soon as the dropped query has ended
        let mut next = engine.run("SELECT 1", RunOptions::default()).await.unwrap();
        assert_eq!(next.collect().await.unwrap().len(), 1);
    });
}

#[test]
fn exports_may_take_longer_and_leave_a_turn_to_others() {
    let limits = Limits {
        timeout: Duration::from_secs(2),
        timeout_max: Duration::from_secs(60),
        concurrent_max: 2,
        queue_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let engine = stage().engine_with(limits);
    let export = RunOptions { timeout: Some(Duration::from_secs(60)), ..RunOptions::default() };
    block_on(async {
        let mut first = engine.run("SELECT a.n FROM logs a, logs b, logs c", export.clone()).await.unwrap();
        assert!(first.next().await.unwrap().is_ok());
        let refused = engine.run("SELECT 1", export.clone()).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.code, QueryErrorCode::Busy, "{refused}");
        let mut short = engine.run("SELECT 1", RunOptions::default()).await.unwrap();
        assert_eq!(short.collect().await.unwrap().len(), 1, "the other turn is free");
    });
    let slow = "SELECT count(*) FROM logs a, logs b, logs c, logs d WHERE a.n + b.n + c.n + d.n < 0";
    assert_eq!(code(&engine, slow), QueryErrorCode::Timeout, "others have as long as before");
}

#[test]
fn no_rows_at_all_may_be_asked_for() {
    let engine = stage().engine();
    for sql in [
        "SELECT * FROM logs ORDER BY n LIMIT 0",
        "SELECT n FROM logs ORDER BY n LIMIT 0 OFFSET 3",
        "SELECT * FROM (SELECT * FROM logs ORDER BY n LIMIT 0) LIMIT 5",
        "(SELECT n FROM logs ORDER BY n LIMIT 0) UNION ALL (SELECT n FROM logs ORDER BY n LIMIT 0)",
        "SELECT n FROM logs WHERE n IN (SELECT n FROM logs ORDER BY n LIMIT 0) ORDER BY n LIMIT 3",
    ] {
        assert_eq!(ask(&engine, sql).unwrap_or_else(|error| panic!("{sql}: {error}")).num_rows(), 0, "{sql}");
    }
}

#[test]
fn more_rows_than_allowed_cannot_be_asked_for() {
    let engine = stage().engine_with(Limits { rows_max: Some(100), ..Limits::default() });
    let run = |max_rows| ask_with(&engine, "SELECT * FROM logs", RunOptions { max_rows, ..Default::default() });
    assert_eq!(run(Some(100)).unwrap().num_rows(), 100);
    assert_eq!(run(Some(101)).unwrap_err().code, QueryErrorCode::TooManyRows);
    assert_eq!(run(None).unwrap_err().code, QueryErrorCode::TooManyRows);
}
