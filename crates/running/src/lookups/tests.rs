//! Lookups row by row, of a server on this machine that does as it is told.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, SchemaRef};
use tokio::sync::watch;
use weir_engine::{EnrichPlan, Missing};
use weir_model::{
    Batch, BreakerConfig, Clock, Compiler, Expression, PartitionId, ProcessingTime, SeamError, SeamResult,
};
use weir_observe::PipelineBoard;

use crate::patience::Stopping;

use super::{JobLookup, Lookups, OnLookupFailure, Prepared};
use crate::tables::http_tests::{Answer, Server};

/// Expressions that are names of columns.
#[derive(Debug)]
struct Names;

#[derive(Debug)]
struct Column(usize, DataType);

impl Compiler for Names {
    fn compile(&self, text: &str, schema: &SchemaRef) -> SeamResult<Arc<dyn Expression>> {
        let at =
            schema.index_of(text).map_err(|error| SeamError::new(weir_model::ErrorKind::Config, error.to_string()))?;
        Ok(Arc::new(Column(at, schema.field(at).data_type().clone())))
    }
}

impl Expression for Column {
    fn data_type(&self) -> &DataType {
        &self.1
    }

    fn evaluate(&self, columns: &RecordBatch) -> SeamResult<ArrayRef> {
        Ok(columns.column(self.0).clone())
    }
}

/// A clock that goes when it is told to.
#[derive(Debug, Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> ProcessingTime {
        ProcessingTime::from_micros(self.0.load(Ordering::Relaxed))
    }
}

struct Bench {
    lookups: Lookups,
    clock: Arc<Hand>,
    stop: watch::Sender<bool>,
}

impl Bench {
    fn of(server: &Server, change: impl FnOnce(&mut JobLookup)) -> Self {
        let mut job = JobLookup {
            node: 3,
            step: "users".to_owned(),
            sources: vec![0],
            endpoint: server.endpoint("/users/{id}"),
            schema: [("age".to_owned(), DataType::Int64)].into(),
            plan: EnrichPlan {
                on: vec![("user".to_owned(), "id".to_owned())],
                take: vec!["name".to_owned(), "age".to_owned()],
                missing: Missing::Keep,
            },
            entries_max: 100,
            ttl: Duration::from_secs(60),
            negative_ttl: Duration::from_secs(10),
            concurrency: 4,
            breaker: BreakerConfig { failures_in_a_row: 2, open_for: Duration::from_secs(5), ..Default::default() },
            on_failure: OnLookupFailure::Keep,
        };
        change(&mut job);
        let (compiler, clock): (Arc<dyn Compiler>, _) = (Arc::new(Names), Arc::new(Hand::default()));
        let handle = PipelineBoard::new().add("p", Vec::new(), clock.now());
        let lookups = Lookups::new(&[job], &compiler, clock.clone(), &handle).unwrap();
        Self { lookups, clock, stop: watch::channel(false).0 }
    }

    async fn try_prepare(&mut self, users: &[Option<i64>]) -> SeamResult<Option<Prepared>> {
        let columns: ArrayRef = Arc::new(Int64Array::from(users.to_vec()));
        let batch = Batch {
            partition: PartitionId::new("p"),
            origin: "p".into(),
            columns: RecordBatch::try_from_iter_with_nullable([("user", columns, true)]).unwrap(),
            times: (0..users.len() as i64).collect(),
            offsets: (0..users.len() as u64).map(|row| row * 10).collect(),
        };
        self.lookups.prepare(0, batch, &mut Stopping::new(self.stop.subscribe())).await
    }

    async fn prepare(&mut self, users: &[Option<i64>]) -> Prepared {
        self.try_prepare(users).await.unwrap().expect("nobody has stopped it")
    }

    fn passes(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds * 1_000_000, Ordering::Relaxed);
    }
}

/// How many rows can be found in the table for the batch.
fn rows(prepared: &Prepared) -> usize {
    assert_eq!(prepared.tables[0].0, 3);
    prepared.tables[0].1.rows()
}

const ANN: &str = r#"{"name": "Ann", "age": 40, "more": {}}"#;

#[tokio::test]
async fn each_key_is_asked_for_once_and_remembered_and_so_is_that_there_is_none() {
    let server = Server::giving([Answer::json(ANN)]).await;
    let mut bench = Bench::of(&server, |_| {});
    let prepared = bench.prepare(&[Some(1), None, Some(1), Some(2)]).await;
    assert_eq!((rows(&prepared), prepared.batch.rows(), server.asked().len()), (2, 4, 2));
    assert!(server.asked().iter().any(|asked| asked.starts_with("GET /users/1 HTTP/1.1\r\n")));
    server.give([Answer::of("404 Not Found", "", "")]);
    assert_eq!(rows(&bench.prepare(&[Some(1), Some(2), Some(7)]).await), 2, "two are known, and there is no third");
    bench.prepare(&[Some(7)]).await;
    assert_eq!(server.asked().len(), 3);
    bench.passes(11);
    let prepared = bench.prepare(&[Some(1), Some(7)]).await;
    assert_eq!((rows(&prepared), server.asked().len()), (1, 4), "that there was none is no longer known");
    bench.passes(50);
    assert_eq!(rows(&bench.prepare(&[Some(1)]).await), 0, "a minute later it is asked for again");
    assert!(prepared.failures.is_empty());
}

#[tokio::test]
async fn columns_are_text_or_of_their_declared_types_and_what_is_not_is_null() {
    let answers = [ANN, r#"{"name": ["x"], "age": "many"}"#].map(Answer::json);
    let server = Server::giving(answers).await;
    let mut bench = Bench::of(&server, |job| job.concurrency = 1);
    let prepared = bench.prepare(&[Some(1), Some(2)]).await;
    let lookup = &bench.lookups.lookups[0];
    let keys = ["1", "2"].map(|key| vec![key.to_owned()]);
    let rows: Vec<_> = keys
        .iter()
        .map(|key| match lookup.cache.get(key, ProcessingTime::from_micros(0)) {
            Some(super::Answer::Row(row)) => row,
            other => panic!("{other:?}"),
        })
        .collect();
    let rows: Vec<_> = keys.iter().zip(&rows).map(|(key, row)| (key, Some(row))).collect();
    let columns = super::answer::columns(&lookup.job.plan, &lookup.job.schema, &rows);
    let names = columns.column(1).as_any().downcast_ref::<StringArray>().unwrap();
    assert_eq!((names.value(0), names.value(1)), ("Ann", "[\"x\"]"));
    let ages = columns.column(2).as_any().downcast_ref::<Int64Array>().unwrap();
    assert_eq!((ages.value(0), ages.is_null(1)), (40, true));
    assert!(prepared.rejected.is_empty());
}

#[tokio::test]
async fn while_somebody_is_down_rows_get_nulls_and_the_breaker_lets_only_a_probe_through() {
    let server = Server::giving([Answer::of("500 Internal Server Error", "", "")]).await;
    let mut bench = Bench::of(&server, |job| job.concurrency = 1);
    let prepared = bench.prepare(&[Some(1), Some(2), Some(3)]).await;
    assert_eq!((rows(&prepared), prepared.batch.rows()), (3, 3), "each is found, with nulls");
    let [(3, reason)] = &prepared.failures[..] else { panic!("{:?}", prepared.failures) };
    assert!(reason.starts_with("users: 3 keys") && reason.contains("/users/1: answered 500"), "{reason}");
    assert_eq!(server.asked().len(), 4, "two failures, of two tries each, and then nobody");
    bench.prepare(&[Some(1), Some(2)]).await;
    assert_eq!(server.asked().len(), 4);
    bench.passes(5);
    bench.prepare(&[Some(1), Some(2), Some(3)]).await;
    assert_eq!(server.asked().len(), 6, "one probe, tried twice");
    server.give([Answer::json(ANN)]);
    bench.passes(10);
    let prepared = bench.prepare(&[Some(1), Some(2), Some(3)]).await;
    assert_eq!((prepared.failures.len(), server.asked().len()), (0, 9), "it is back");
}

#[tokio::test]
async fn rows_without_an_answer_are_rejected_where_that_is_wanted() {
    let server = Server::giving([
        Answer::json(ANN),
        Answer::of("401 Unauthorized", "", ""),
        Answer::json("[1]"),
        Answer::json(&format!("{{\"name\": \"{}\"}}", "x".repeat(1_000))),
        Answer::Hangs,
    ])
    .await;
    let change = |job: &mut JobLookup| {
        (job.concurrency, job.on_failure) = (1, OnLookupFailure::DeadLetter);
        job.endpoint.timeout = Duration::from_secs(2);
    };
    let mut bench = Bench::of(&server, change);
    let users: Vec<Option<i64>> = (1..=5).map(Some).chain([None, Some(2)]).collect();
    let prepared = bench.prepare(&users).await;
    assert_eq!(prepared.batch.offsets.to_vec(), [0, 50]);
    assert_eq!(prepared.batch.times.to_vec(), [0, 5]);
    let reasons: Vec<(u64, &str)> = prepared.rejected.iter().map(|(at, why)| (at.0, why.as_str())).collect();
    for ((offset, reason), expected) in reasons.iter().zip([
        (10, "answered 401"),
        (20, "no object of JSON"),
        (30, "more than 1000 bytes"),
        (40, "timed out"),
        (60, "answered 401"),
    ]) {
        assert!(*offset == expected.0 && reason.contains(expected.1), "{offset}: {reason}");
    }
    assert_eq!(reasons.len(), 5);
}

#[tokio::test]
async fn rows_wait_until_somebody_is_back_unless_all_stops() {
    let down = || Answer::of("503 Service Unavailable", "", "");
    let server = Server::giving([down(), down(), Answer::json(ANN)]).await;
    let mut bench = Bench::of(&server, |job| job.on_failure = OnLookupFailure::Wait);
    let prepared = bench.prepare(&[Some(1)]).await;
    assert_eq!((rows(&prepared), prepared.failures.len(), server.asked().len()), (1, 0, 3));
    server.give([down()]);
    let stop = bench.stop.clone();
    let (prepared, ()) = tokio::join!(bench.try_prepare(&[Some(2)]), async {
        while server.asked().len() < 5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stop.send(true).unwrap();
    });
    assert!(prepared.unwrap().is_none());
}

#[tokio::test]
async fn no_more_are_asked_for_at_a_time_than_is_said() {
    let server = Server::giving([Answer::Hangs]).await;
    let mut bench = Bench::of(&server, |job| {
        (job.concurrency, job.breaker.failures_in_a_row) = (3, 1);
        job.endpoint.timeout = Duration::from_millis(100);
    });
    let users: Vec<Option<i64>> = (0..100).map(Some).collect();
    let prepared = bench.prepare(&users).await;
    assert_eq!(rows(&prepared), 100);
    assert!(server.asked().len() <= 2 * 3, "{} were asked for", server.asked().len());
}
