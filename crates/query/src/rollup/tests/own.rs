//! Rollups that a table has of its own choice: by numbers and truths too, of whole numbers too, beside late and deleted rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute::kernels::cmp::eq;
use arrow::datatypes::Int64Type;
use weir_store::{RollupSettings, TableSettings};

use super::{ROWS, assert_alike, rows};
use crate::testing::{Scene, ask, reads};

/// Rows with a status, its size in bytes, and whether it was kept.
fn requests(from: i64, count: i64) -> RecordBatch {
    let plain = rows(from, count);
    let range = || from..from + count;
    let status = range().map(|n| (n % 41 != 0).then(|| [200, 404, 503][(n * n % 7 % 3) as usize]));
    let own: [(&str, ArrayRef); 3] = [
        ("status", Arc::new(status.collect::<Int64Array>())),
        ("bytes", Arc::new(range().map(|n| (n % 29 != 0).then(|| n * 13 % 100_003 - 50)).collect::<Int64Array>())),
        ("kept", Arc::new(range().map(|n| (n % 37 != 0).then_some(n % 3 == 0)).collect::<BooleanArray>())),
    ];
    let schema = plain.schema();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let all = names.zip(plain.columns().iter().cloned()).chain(own);
    RecordBatch::try_from_iter_with_nullable(all.map(|(name, column)| (name, column, true))).expect("a batch")
}

fn choose(scene: &Scene) {
    let own = |every: i64, by: &[&str], measures: &[&str]| RollupSettings {
        every_us: every * 1_000_000,
        by: by.iter().map(|name| (*name).to_owned()).collect(),
        measures: measures.iter().map(|name| (*name).to_owned()).collect(),
    };
    let rollups = vec![own(10, &["status", "kept"], &["bytes", "took"]), own(60, &["host", "nowhere"], &[])];
    let settings = TableSettings { rollups, ..TableSettings::default() };
    scene.store.settle(&BTreeMap::from([("logs".to_owned(), settings)])).expect("settled");
}

const QUESTIONS: [&str; 7] = [
    "SELECT status, count(*) AS n, sum(bytes) AS s, min(bytes) AS a, max(bytes) AS b, avg(bytes) AS v, count(bytes) AS c
     FROM logs GROUP BY status ORDER BY status",
    "SELECT kept, count(*) AS n FROM logs WHERE status >= 400 GROUP BY kept ORDER BY kept",
    "SELECT date_bin(INTERVAL '30 seconds', ts, TIMESTAMP '1970-01-01T00:00:00') AS t, sum(bytes) AS s, avg(took) AS v
     FROM logs WHERE kept GROUP BY t ORDER BY t",
    "SELECT date_trunc('minute', ts) AS t, status, max(took) AS m FROM logs GROUP BY t, status ORDER BY t, status",
    "SELECT count(*) AS n FROM logs WHERE status = 503 AND NOT kept",
    "SELECT sum(bytes) AS s FROM logs WHERE status IN (200, 404)
     AND ts >= TIMESTAMP '1970-01-01T00:01:07.1' AND ts <= TIMESTAMP '1970-01-01T00:10:21'",
    "SELECT status / 100 AS class, count(*) AS n FROM logs GROUP BY class ORDER BY class",
];

#[test]
fn answers_of_own_rollups_are_those_of_the_rows_with_late_deleted_and_fresh_ones() {
    let (mut mixed, mut plain) = (Scene::new(), Scene::new());
    choose(&mixed);
    for from in [0, ROWS] {
        mixed.commit(&requests(from, ROWS));
    }
    mixed.commit(&requests(2 * ROWS, 500));
    let all = requests(0, 2 * ROWS + 500);
    let is_gone = |batch: &RecordBatch| -> BooleanArray {
        let ids = batch.column_by_name("bytes").expect("bytes").as_primitive::<Int64Type>();
        ids.iter().map(|bytes| Some(bytes.is_some_and(|bytes| bytes % 7 == 0))).collect()
    };
    mixed.store.remove_committed("logs", |batch| Ok(is_gone(batch))).expect("removed");
    let stays = eq(&is_gone(&all), &BooleanArray::from(vec![false; all.num_rows()])).expect("compared");
    plain.append(&arrow::compute::filter_record_batch(&all, &stays).expect("filtered"));
    for scene in [&mut mixed, &mut plain] {
        scene.append(&requests(2 * ROWS + 500, 500));
    }
    for question in QUESTIONS {
        let (one, other) = (ask(&mixed.engine, question).expect("asked"), ask(&plain.engine, question).expect("asked"));
        assert_alike(&one, &other, question);
        let reads = reads(&mixed.engine, question);
        assert!(reads.contains("answered by the rollup of status, kept every 10 s"), "{question}: {reads}");
    }
    let median = "SELECT approx_percentile_cont(bytes, 0.5) AS p FROM logs GROUP BY status";
    assert!(!reads(&mixed.engine, median).contains("rollup"), "of whole numbers there are no sketches");
    let of_floats = "SELECT approx_percentile_cont(took, 0.5) AS p FROM logs GROUP BY status";
    assert!(reads(&mixed.engine, of_floats).contains("rollup of status, kept"));
}

#[test]
fn a_rollup_that_is_chosen_later_answers_when_the_old_segments_have_it_too() {
    let mut scene = Scene::new();
    scene.commit(&requests(0, ROWS));
    choose(&scene);
    assert!(!reads(&scene.engine, QUESTIONS[0]).contains("rollup"));
    let before = ask(&scene.engine, QUESTIONS[0]).expect("asked");
    while scene.store.index_once().expect("made") {}
    // An index that is open stays as it was: it is of the same rows.
    let engine = Scene::engine_of(&scene.store);
    assert!(reads(&engine, QUESTIONS[0]).contains("answered by the rollup of status, kept every 10 s"));
    assert_alike(&ask(&engine, QUESTIONS[0]).expect("asked"), &before, QUESTIONS[0]);
}

#[test]
fn a_column_that_widens_is_still_answered_rightly() {
    let mut scene = Scene::new();
    choose(&scene);
    scene.commit(&requests(0, ROWS));
    let late = requests(ROWS, ROWS);
    let floats =
        arrow::compute::cast(late.column_by_name("bytes").expect("bytes"), &arrow::datatypes::DataType::Float64);
    let schema = late.schema();
    let columns = schema.fields().iter().zip(late.columns()).map(|(field, column)| {
        let column =
            if field.name() == "bytes" { Arc::clone(floats.as_ref().expect("cast")) } else { Arc::clone(column) };
        (field.name().as_str(), column, true)
    });
    let widened = RecordBatch::try_from_iter_with_nullable(columns).expect("a batch");
    scene.commit(&widened);
    let mut plain = Scene::new();
    plain.append(&requests(0, ROWS));
    plain.append(&widened);
    for question in QUESTIONS {
        let (one, other) = (ask(&scene.engine, question).expect("asked"), ask(&plain.engine, question).expect("asked"));
        assert_alike(&one, &other, question);
    }
}
