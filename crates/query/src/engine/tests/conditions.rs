//! Conditions on rows, for those who take rows out of tables: what they hold for, where they cannot, and what is none.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use weir_disk::{DataFolder, Disk};
use weir_model::{CommitPoint, Epoch, EpochCommit};
use weir_store::{Store, StoreConfig, TableConfig};

use crate::testing::{block_on, many, value};
use crate::{Limits, QueryEngine, QueryErrorCode, TableSource, count_of};

/// A store with these segments of the table `logs`, and its engine.
fn stored(segments: &[RecordBatch]) -> (tempfile::TempDir, Arc<Store>, QueryEngine) {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = DataFolder::open(temp.path(), Arc::new(Disk)).expect("it is empty");
    let store = Store::open(&folder, StoreConfig::default()).expect("it is empty");
    let mut writer = store.writer("logs", TableConfig::default()).expect("a writer");
    for (at, rows) in segments.iter().enumerate() {
        writer.append(rows).expect("taken");
        let epoch = Epoch(at as u64 + 1);
        let commit = EpochCommit {
            pipeline: "p".to_owned(),
            epoch,
            positions: BTreeMap::new(),
            snapshot: None,
            prepared: BTreeMap::from([("out".to_owned(), writer.prepare(epoch).expect("prepared"))]),
            plan_fingerprint: String::new(),
            counters: String::new(),
        };
        block_on(store.commit(commit)).expect("committed");
    }
    drop(writer);
    let engine =
        QueryEngine::new(Arc::clone(&store) as Arc<dyn TableSource>, Limits::default()).expect("it has threads");
    (temp, store, engine)
}

#[test]
fn what_is_counted_is_what_goes_and_segments_that_cannot_have_it_are_not_read() {
    let conditions = [
        "level = 'ERROR'",
        "n % 3 = 1 AND message LIKE '%number 1%'",
        "ts < '1970-01-01T00:00:15Z'",
        "ts BETWEEN '1970-01-01T00:00:12Z' AND now()",
        "took > 3.5 OR level IS NULL",
        "NOT (level = 'INFO')",
        "n = 7 -- and nothing else",
        "true",
    ];
    for condition in conditions {
        let (_folder, store, engine) = stored(&[many(0, 10), many(10, 10), many(20, 10)]);
        let before: u64 = value(&engine, "SELECT count(*) FROM logs").parse().expect("a number");
        let counted: u64 = value(&engine, &count_of("logs", condition)).parse().expect("a number");
        assert!(counted > 0, "{condition}");
        let compiled = block_on(engine.condition("logs", condition)).expect(condition);
        let removed = store.remove_where("logs", |segment| compiled.may_be_in(segment), |batch| compiled.holds(batch));
        assert_eq!(removed.expect(condition), counted, "{condition}");
        assert_eq!(value(&engine, &count_of("logs", condition)), "0", "{condition}");
        assert_eq!(value(&engine, "SELECT count(*) FROM logs"), (before - counted).to_string(), "{condition}");
    }
    let (_folder, store, engine) = stored(&[many(0, 10), many(10, 10), many(20, 10)]);
    let compiled = block_on(engine.condition("logs", "ts >= '1970-01-01T00:00:22Z'")).expect("a condition");
    let segments = Store::snapshot(&store).expect("a snapshot").tables.remove("logs").expect("it is there").segments;
    let asked: Vec<bool> = segments.iter().map(|segment| compiled.may_be_in(segment)).collect();
    assert_eq!(asked, [false, false, true]);
}

#[test]
fn what_is_more_than_a_condition_or_none_is_refused() {
    let (_folder, _store, engine) = stored(&[many(0, 10)]);
    let refused =
        |table: &str, condition: &str| block_on(engine.condition(table, condition)).expect_err(condition).code;
    for condition in [
        "",
        " ",
        "true) UNION SELECT * FROM logs WHERE (true",
        "true) LIMIT 1 --",
        "true) ORDER BY (n",
        "true) GROUP BY (n",
        "n IN (SELECT n FROM logs)",
        "EXISTS (SELECT 1)",
        "n = (SELECT max(n) FROM logs)",
        "random() < 0.5",
        "n = $1",
    ] {
        let code = refused("logs", condition);
        assert!(
            matches!(code, QueryErrorCode::InvalidQuery | QueryErrorCode::SqlSyntax | QueryErrorCode::UnknownColumn),
            "{condition}: {code:?}"
        );
    }
    assert_eq!(refused("logs", "levl = 'x'"), QueryErrorCode::UnknownColumn);
    assert_eq!(refused("logs", "true); DROP TABLE logs; SELECT (1"), QueryErrorCode::ReadOnly);
    assert_eq!(refused("lgs", "true"), QueryErrorCode::UnknownTable);
    assert_eq!(refused("../logs", "true"), QueryErrorCode::UnknownTable);
    assert_eq!(refused("logs", &"NOT ".repeat(5_000)), QueryErrorCode::TooComplex);
    assert_eq!(value(&engine, "SELECT count(*) FROM logs"), "10");
}

#[test]
fn a_condition_that_cannot_be_computed_takes_nothing_away() {
    let (_folder, store, engine) = stored(&[many(0, 10), many(10, 10)]);
    let compiled = block_on(engine.condition("logs", "n < 5 OR 1 / (n - 15) = 1")).expect("a condition");
    let error = store.remove_where("logs", |segment| compiled.may_be_in(segment), |batch| compiled.holds(batch));
    assert!(error.expect_err("a division by zero").full().contains("cannot be computed"));
    assert_eq!(value(&engine, "SELECT count(*) FROM logs"), "20");
}
