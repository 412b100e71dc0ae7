//! Answers from rollups are those of the rows.

mod own;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use std::sync::Arc;

use crate::logs::{LogFilter, LogHistogram};
use crate::testing::{Scene, ask, block_on, reads};

const ROWS: i64 = 20_000;

/// Rows from number `from` on, 50 of each second; some late, some without a time.
fn rows(from: i64, count: i64) -> RecordBatch {
    let mixed = |n: i64| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    let time = |n: i64| (n % 997 != 0).then(|| n * 20_000 - (mixed(n) % 11 / 10) as i64 * 100_000_000);
    let range = || from..from + count;
    let columns: [(&str, ArrayRef); 6] = [
        ("ts", Arc::new(range().map(time).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))),
        (
            "service",
            Arc::new(range().map(|n| (n % 53 != 0).then(|| format!("svc-{}", mixed(n) % 2))).collect::<StringArray>()),
        ),
        (
            "level",
            Arc::new(
                range().map(|n| Some(["INFO", "WARN", "ERROR"][(mixed(n) % 3) as usize])).collect::<StringArray>(),
            ),
        ),
        (
            "host",
            Arc::new(
                range().map(|n| Some(format!("a-host-with-a-long-name-{}", mixed(n) % 40))).collect::<StringArray>(),
            ),
        ),
        ("message", Arc::new(range().map(|n| Some(format!("message {n} {}", mixed(n)))).collect::<StringArray>())),
        ("took", Arc::new(range().map(|n| (n % 17 != 0).then(|| mixed(n) as f64 / 1_000.0)).collect::<Float64Array>())),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

/// Two segments with rollups, one that is too small for any, and rows in memory.
fn mixed_scene() -> Scene {
    let mut scene = Scene::new();
    scene.commit(&rows(0, ROWS));
    scene.commit(&rows(ROWS, ROWS));
    scene.commit(&rows(2 * ROWS, 500));
    scene.append(&rows(2 * ROWS + 500, 500));
    scene
}

/// The same rows, all of them in memory.
fn plain_scene() -> Scene {
    let mut scene = Scene::new();
    scene.append(&rows(0, 2 * ROWS + 1_000));
    scene
}

const QUESTIONS: [&str; 14] = [
    "SELECT level, count(*) AS n FROM logs GROUP BY level ORDER BY level",
    "SELECT count(*) AS n FROM logs WHERE service = 'svc-0'",
    "SELECT service, count(*) AS n FROM logs WHERE level = 'ERROR' GROUP BY service ORDER BY n DESC, service LIMIT 3",
    "SELECT level, count(*) AS n FROM logs WHERE ts >= TIMESTAMP '1970-01-01T00:01:00' AND ts < TIMESTAMP '1970-01-01T00:10:00'
     GROUP BY level ORDER BY level",
    "SELECT level, count(*) AS n FROM logs WHERE ts >= TIMESTAMP '1970-01-01T00:01:07.1' AND ts <= TIMESTAMP '1970-01-01T00:10:21'
     GROUP BY level ORDER BY level",
    "SELECT date_trunc('minute', ts) AS m, count(*) AS n, sum(took) AS s, avg(took) AS a FROM logs GROUP BY m ORDER BY m",
    "SELECT date_trunc('hour', ts) AS h, upper(level) AS l, min(took) AS a, max(took) AS b, count(took) AS c FROM logs
     WHERE service IS NOT NULL GROUP BY h, l ORDER BY h, l",
    "SELECT date_bin(INTERVAL '5 minutes', ts, TIMESTAMP '1970-01-01T00:00:00') AS b, count(*) AS n FROM logs
     WHERE ts > TIMESTAMP '1970-01-01T00:03:00' GROUP BY b ORDER BY b",
    "SELECT host, count(*) AS n FROM logs GROUP BY host ORDER BY host",
    "SELECT count(*) AS n FROM logs WHERE ts IS NOT NULL AND level IN ('WARN', 'ERROR')",
    "SELECT count(*) AS n FROM logs WHERE service = 'nobody'",
    "SELECT level, sum(n) AS n FROM (SELECT service, level, count(*) AS n FROM logs GROUP BY service, level) GROUP BY level ORDER BY level",
    "SELECT a.level, a.n, b.n AS m FROM (SELECT level, count(*) AS n FROM logs GROUP BY level) a
     JOIN (SELECT level, count(*) AS n FROM logs WHERE service = 'svc-1' GROUP BY level) b ON a.level = b.level ORDER BY a.level",
    "SELECT level, count(*) FILTER (WHERE service = 'svc-1') AS n, count(DISTINCT service) AS d FROM logs GROUP BY level ORDER BY level",
];

/// The same values, floats but for the order in which they were added.
fn assert_alike(one: &RecordBatch, other: &RecordBatch, question: &str) {
    assert_eq!(one.schema(), other.schema(), "{question}");
    assert_eq!(one.num_rows(), other.num_rows(), "{question}");
    for (one, other) in one.columns().iter().zip(other.columns()) {
        if *one.data_type() != DataType::Float64 {
            assert_eq!(one, other, "{question}");
            continue;
        }
        let (one, other) = (one.as_primitive::<Float64Type>(), other.as_primitive::<Float64Type>());
        for (a, b) in one.iter().zip(other) {
            let is_near = |(a, b): (f64, f64)| (a - b).abs() <= 1e-9 * b.abs();
            assert!(a.zip(b).map_or(a.is_none() && b.is_none(), is_near), "{question}: {a:?} {b:?}");
        }
    }
}

#[test]
fn answers_are_those_of_the_rows_with_late_rows_and_rows_in_memory() {
    let (mixed, plain) = (mixed_scene(), plain_scene());
    for question in QUESTIONS {
        let (from_rollups, from_rows) = (ask(&mixed.engine, question).unwrap(), ask(&plain.engine, question).unwrap());
        assert_alike(&from_rollups, &from_rows, question);
    }
    for question in &QUESTIONS[..12] {
        let said = reads(&mixed.engine, question);
        assert!(said.contains("answered by the rollup of"), "{question}: {said}");
        assert!(said.contains("of 2 segments"), "{question}: {said}");
    }
    assert!(!reads(&mixed.engine, QUESTIONS[13]).contains("rollup"), "a filter of one aggregate is left to the rows");
}

#[test]
fn percentiles_are_within_their_error() {
    let (mixed, plain) = (mixed_scene(), plain_scene());
    let question = "SELECT level, approx_percentile_cont(took, 0.95) AS p FROM logs GROUP BY level ORDER BY level";
    let (one, other) = (ask(&mixed.engine, question).unwrap(), ask(&plain.engine, question).unwrap());
    let values = |batch: &RecordBatch| batch.column(1).as_primitive::<Float64Type>().values().to_vec();
    for (a, b) in values(&one).into_iter().zip(values(&other)) {
        assert!((a - b).abs() < 0.02 * b, "{a} {b}");
    }
    assert!(reads(&mixed.engine, question).contains("answered by the rollup of service, level every 60 s"));
    let per_minute =
        "SELECT date_trunc('minute', ts) AS m, approx_percentile_cont(took, 0.95) AS p FROM logs GROUP BY m ORDER BY m";
    let (one, other) = (ask(&mixed.engine, per_minute).unwrap(), ask(&plain.engine, per_minute).unwrap());
    assert_eq!(one.column(0), other.column(0));
    for (a, b) in values(&one).into_iter().zip(values(&other)) {
        assert!((a - b).abs() < 0.05 * b, "{a} {b}");
    }
    let reads = reads(&mixed.engine, per_minute);
    assert!(reads.contains("answered by the rollup of all rows every 60 s"), "{reads}");
}

#[test]
fn rows_that_are_deleted_are_not_counted_any_more() {
    let mut scene = Scene::new();
    scene.commit(&rows(0, 2 * ROWS));
    let question = "SELECT count(*) AS n FROM logs WHERE level = 'WARN'";
    let counted = |scene: &Scene| ask(&scene.engine, question).unwrap().column(0).as_primitive::<Int64Type>().value(0);
    let before = counted(&scene);
    let removed = scene.store.remove_committed("logs", |batch| {
        let levels = batch.column_by_name("level").unwrap().as_string_view();
        Ok(levels.iter().enumerate().map(|(row, level)| Some(level == Some("WARN") && row % 2 == 0)).collect())
    });
    assert_eq!(counted(&scene), before - removed.unwrap() as i64);
    assert!(reads(&scene.engine, question).contains("answered by the rollup of"));
}

#[test]
fn the_histogram_of_log_lines_is_answered_by_rollups() {
    let (mixed, plain) = (mixed_scene(), plain_scene());
    let asked =
        |from, to| LogHistogram { table: "logs".to_owned(), filter: LogFilter::default(), from, to, buckets: 10 };
    let whole_minutes = asked(Some(60_000_000), Some(600_000_000));
    for asked in [asked(None, None), asked(Some(61_000_000), Some(700_123_456)), whole_minutes.clone()] {
        let histogram = |scene: &Scene| block_on(scene.engine.log_histogram(&asked)).unwrap();
        assert_eq!(histogram(&mixed), histogram(&plain));
    }
    let snapshot = Arc::new(mixed.engine.snapshot().unwrap());
    let counting = whole_minutes.over(&snapshot).unwrap();
    let cost = block_on(mixed.engine.estimate(&snapshot, |session| counting.plan(session))).unwrap();
    assert!(cost.rows <= 1_000, "what rollups do not know is read, and no more: {cost:?}");
}
