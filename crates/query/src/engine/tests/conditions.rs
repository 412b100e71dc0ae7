//! Conditions on rows, for those who take rows out of tables: what they hold for, where they cannot, and what is none.

use arrow::array::RecordBatch;
use weir_store::Store;

use crate::testing::{Scene, block_on, many, value};
use crate::{QueryErrorCode, count_of};

/// These segments of the table `logs`.
fn stored(segments: &[RecordBatch]) -> Scene {
    let mut scene = Scene::new();
    segments.iter().for_each(|rows| scene.commit(rows));
    scene
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
        let Scene { store, engine, .. } = &stored(&[many(0, 10), many(10, 10), many(20, 10)]);
        let before: u64 = value(engine, "SELECT count(*) FROM logs").parse().expect("a number");
        let counted: u64 = value(engine, &count_of("logs", condition)).parse().expect("a number");
        assert!(counted > 0, "{condition}");
        let compiled = block_on(engine.condition("logs", condition)).expect(condition);
        let removed = store.remove_where("logs", |segment| compiled.may_be_in(segment), |batch| compiled.holds(batch));
        assert_eq!(removed.expect(condition), counted, "{condition}");
        assert_eq!(value(engine, &count_of("logs", condition)), "0", "{condition}");
        assert_eq!(value(engine, "SELECT count(*) FROM logs"), (before - counted).to_string(), "{condition}");
    }
    let Scene { store, engine, .. } = &stored(&[many(0, 10), many(10, 10), many(20, 10)]);
    let compiled = block_on(engine.condition("logs", "ts >= '1970-01-01T00:00:22Z'")).expect("a condition");
    let segments = Store::snapshot(store).expect("a snapshot").tables.remove("logs").expect("it is there").segments;
    let asked: Vec<bool> = segments.iter().map(|segment| compiled.may_be_in(segment)).collect();
    assert_eq!(asked, [false, false, true]);
}

#[test]
fn what_is_more_than_a_condition_or_none_is_refused() {
    let Scene { engine, .. } = &stored(&[many(0, 10)]);
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
    assert_eq!(value(engine, "SELECT count(*) FROM logs"), "10");
}

#[test]
fn a_condition_that_cannot_be_computed_takes_nothing_away() {
    let Scene { store, engine, .. } = &stored(&[many(0, 10), many(10, 10)]);
    let compiled = block_on(engine.condition("logs", "n < 5 OR 1 / (n - 15) = 1")).expect("a condition");
    let error = store.remove_where("logs", |segment| compiled.may_be_in(segment), |batch| compiled.holds(batch));
    assert!(error.expect_err("a division by zero").full().contains("cannot be computed"));
    assert_eq!(value(engine, "SELECT count(*) FROM logs"), "20");
}
