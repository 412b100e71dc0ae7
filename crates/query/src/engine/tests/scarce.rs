//! What happens to queries while memory is scarce, and to answers that take too much of it.

use std::sync::Arc;
use std::time::Duration;

use weir_model::{Pressure, PressureLevel};

use crate::testing::{Stage, ask, block_on, many, value};
use crate::{Limits, QueryEngine, QueryErrorCode, QueryResult, Relief, RunOptions, TableSource};

/// An answer of more batches than are computed ahead.
const LONG: &str = "SELECT a.n FROM logs a, logs b";

fn engine(limits: Limits) -> (QueryEngine, Pressure) {
    let (stage, pressure) = (Stage::with_logs(&[many(0, 1_000)], &[]), Pressure::default());
    let engine = QueryEngine::heeding(stage as Arc<dyn TableSource>, limits, pressure.clone()).unwrap();
    (engine, pressure)
}

fn begun(engine: &QueryEngine, sql: &str) -> QueryResult {
    block_on(engine.run(sql, RunOptions::default())).unwrap()
}

#[test]
fn nothing_is_begun_while_it_is_critical() {
    let (engine, pressure) = engine(Limits { queue_timeout: Duration::from_millis(50), ..Limits::default() });
    pressure.tell(PressureLevel::Critical, 500 << 20, 512 << 20);
    let error = ask(&engine, "SELECT count(*) FROM logs").unwrap_err();
    assert_eq!(error.code, QueryErrorCode::Busy);
    let expected = "no query is begun: the process takes 500MiB of the 512MiB of memory that it may (try again in a moment, or give \
                    the process more memory (--memory))";
    assert_eq!(error.to_string(), expected);
    pressure.tell(PressureLevel::Calm, 100 << 20, 512 << 20);
    assert_eq!(value(&engine, "SELECT count(*) FROM logs"), "1000");
}

#[test]
fn they_run_one_at_a_time_while_it_is_high() {
    let (engine, pressure) = engine(Limits { queue_timeout: Duration::from_millis(50), ..Limits::default() });
    pressure.tell(PressureLevel::High, 450 << 20, 512 << 20);
    let first = begun(&engine, LONG);
    assert_eq!(ask(&engine, "SELECT count(*) FROM logs").unwrap_err().code, QueryErrorCode::Busy);
    drop(first);
    // It has ended some time after nobody wants it any more.
    while ask(&engine, "SELECT count(*) FROM logs").is_err() {}
}

#[test]
fn the_one_that_holds_the_most_is_given_up_and_its_answer_says_why() {
    let (engine, pressure) = engine(Limits::default());
    assert_eq!(engine.relieve(), Relief::NoneRuns);
    pressure.tell(PressureLevel::Critical, 500 << 20, 512 << 20);
    pressure.tell(PressureLevel::Calm, 500 << 20, 512 << 20);
    let mut result = begun(&engine, LONG);
    assert!(block_on(result.next()).is_some_and(|batch| batch.is_ok()));
    assert!(matches!(engine.relieve(), Relief::GivenUp(_)));
    let error = block_on(result.collect()).unwrap_err();
    assert_eq!(error.code, QueryErrorCode::Memory);
    let expected = "the query was given up: the process takes 500MiB of the 512MiB of memory that it may";
    assert!(error.message.starts_with(expected), "{error}");
    assert!(error.hint.is_some_and(|hint| hint.contains("--memory")));
    assert!(block_on(result.next()).is_none(), "after an error there is nothing more");
    assert_eq!(value(&engine, "SELECT count(*) FROM logs"), "1000");
}

#[test]
fn an_answer_that_nobody_reads_goes_when_others_wait_for_memory() {
    let limits = Limits { unread_max: Duration::ZERO, queue_timeout: Duration::from_secs(60), ..Limits::default() };
    let (engine, pressure) = engine(limits);
    let mut unread = begun(&engine, LONG);
    assert!(block_on(unread.next()).is_some_and(|batch| batch.is_ok()));
    pressure.tell(PressureLevel::High, 450 << 20, 512 << 20);
    assert_eq!(value(&engine, "SELECT count(*) FROM logs"), "1000", "it does not wait for the time to be over");
    let error = block_on(unread.collect()).unwrap_err();
    assert_eq!(error.code, QueryErrorCode::Memory);
    let expected = "the query was given up: its answer was not read for 0ns while other queries waited, and the process takes \
                    450MiB of the 512MiB of memory that it may";
    assert_eq!(error.message, expected);
    assert!(error.hint.is_some_and(|hint| hint.contains("read it")));
}

#[test]
fn an_answer_that_nobody_reads_waits_as_long_as_nobody_else_does() {
    let (engine, pressure) = engine(Limits { unread_max: Duration::ZERO, ..Limits::default() });
    let mut unread = begun(&engine, LONG);
    pressure.tell(PressureLevel::High, 450 << 20, 512 << 20);
    let rows: usize = std::iter::from_fn(|| block_on(unread.next())).map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 1_000_000);
}

#[test]
fn a_row_that_is_too_large_to_be_written_is_refused() {
    let (engine, _) = engine(Limits { row_bytes_max: 1 << 20, ..Limits::default() });
    let error = ask(&engine, "SELECT array_agg(a.message) FROM logs a, logs b").unwrap_err();
    assert_eq!(error.code, QueryErrorCode::Memory);
    assert!(error.message.ends_with("; at most 1MiB are written"), "{error}");
    assert_eq!(value(&engine, "SELECT cardinality(array_agg(a.message)) FROM logs a, logs b"), "1000000");
}

#[test]
fn rows_that_are_gathered_are_not_more_than_may_be() {
    let (engine, _) = engine(Limits { page_bytes_max: 1 << 20, ..Limits::default() });
    let error = ask(&engine, LONG).unwrap_err();
    assert_eq!((error.code, error.hint.as_deref()), (QueryErrorCode::Memory, Some("ask for fewer rows")));
    assert!(error.message.contains("more than the 1MiB that are gathered"), "{error}");
    assert_eq!(ask(&engine, "SELECT n FROM logs").unwrap().num_rows(), 1_000);
}

#[test]
fn texts_that_are_gathered_are_counted() {
    // Nothing must be quick: time is not what these questions lack.
    let limits = Limits { memory_bytes: 4 << 20, spill_bytes_max: 1 << 20, ..Limits::default() };
    let (engine, _) = engine(Limits { timeout: Duration::from_secs(600), ..limits });
    let long = "repeat(a.message, 100)";
    for gathered in [long.to_owned(), format!("struct({long} AS m, a.n AS n)"), format!("{long} ORDER BY a.n")] {
        let error = ask(&engine, &format!("SELECT array_agg({gathered}) FROM logs a, logs b")).unwrap_err();
        assert_eq!(error.code, QueryErrorCode::Memory, "{gathered}: {error}");
        let grouped = format!("SELECT a.n % 2, array_agg({gathered}) FROM logs a, logs b GROUP BY 1");
        let error = ask(&engine, &grouped).unwrap_err();
        assert_eq!(error.code, QueryErrorCode::Memory, "{grouped}: {error}");
    }
    let few = "SELECT array_to_string(array_agg(message ORDER BY n DESC), '; ') FROM logs WHERE n < 2";
    assert_eq!(value(&engine, few), "message number 1; message number 0");
    let distinct = "SELECT array_to_string(array_sort(array_agg(DISTINCT level)), ', ') FROM logs";
    assert_eq!(value(&engine, distinct), "ERROR, INFO, WARN");
    assert_eq!(value(&engine, "SELECT array_agg(message)[1] FROM logs WHERE n = 7"), "message number 7");
}
