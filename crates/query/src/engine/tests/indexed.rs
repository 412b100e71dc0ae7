//! Questions about segments with search indexes: the same answers as without, from less.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};

use crate::RunOptions;
use crate::testing::{Scene, block_on, reads, shown, value};

const ROWS: i64 = 60_000;

/// Rows of three templates with numbers, and some that are like no other.
fn rows() -> RecordBatch {
    let long = |n: i64| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let text = |n: i64| match n {
        8_200 => "found the needle-7f3a17 in a haystack".to_owned(),
        40_001 => "Größe of the NEEDLE is 3 \u{212a}elvin".to_owned(),
        n if n % 3 == 0 => format!("order {} of customer {} failed after {} ms", long(n), n / 7, n % 1_000),
        n if n % 3 == 1 => format!("Block rdd_{}_{} stored as values in memory", n % 97, long(n) >> 50),
        n => format!("request {:032x} took {} ms", u128::from(long(n)) << 64 | u128::from(long(!n)), n % 100),
    };
    let times = TimestampMicrosecondArray::from_iter_values((0..ROWS).map(|n| n * 1_000_000)).with_timezone("UTC");
    let apps = (0..ROWS).map(|n| format!("app-{}", n / 5_000));
    let columns: [(&str, ArrayRef); 3] = [
        ("ts", Arc::new(times)),
        ("app", Arc::new(StringArray::from_iter_values(apps))),
        ("message", Arc::new(StringArray::from_iter_values((0..ROWS).map(text)))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// A table `logs` of these rows in one segment, or, when they are not committed, in memory.
fn scene(committed: bool) -> Scene {
    let mut scene = Scene::new();
    match committed {
        true => scene.commit(&rows()),
        false => scene.append(&rows()),
    }
    scene
}

fn index_of(scene: &Scene) -> PathBuf {
    let table = scene.store.snapshot().unwrap().tables.remove("logs").unwrap();
    table.segments[0].index().unwrap()
}

const CONDITIONS: [&str; 22] = [
    "contains(message, 'needle')",
    "message LIKE '%needle-7f3a%'",
    "message ILIKE '%needle%'",
    "message ILIKE '%größe%'",
    "message ILIKE '%kelvin%'",
    "lower(message) LIKE '%kelvin%'",
    "message LIKE 'found%'",
    "message LIKE '%haystack'",
    "message LIKE '%r_d\\_7\\_%'",
    "message ~ 'rdd_[0-9]+_12 '",
    "message ~* 'NEEDLE|haystack'",
    "regexp_like(message, '^Block rdd_5_')",
    "starts_with(message, 'order 0')",
    "has_words(message, 'needle haystack')",
    "has_words(message, 'customer 1000')",
    "message LIKE '%customer 1000 failed%'",
    "app = 'app-7'",
    "app IN ('app-2', 'app-11', 'nobody')",
    "app ILIKE 'APP-3'",
    "app = 'app-1' AND message LIKE '%needle%'",
    "message LIKE '%needle%' OR app = 'app-9'",
    "message NOT LIKE '%order%' AND app = 'app-4'",
];

#[test]
fn answers_with_an_index_are_those_without() {
    let (indexed, plain) = (scene(true), scene(false));
    assert_eq!(value(&plain.engine, "SELECT count(*) FROM logs"), ROWS.to_string());
    for condition in CONDITIONS {
        let sql = format!("SELECT count(*), min(ts), max(message) FROM logs WHERE {condition}");
        assert_eq!(shown(&indexed.engine, &sql), shown(&plain.engine, &sql), "{condition}");
        let sql = format!("SELECT ts, app, message FROM logs WHERE {condition} ORDER BY ts DESC LIMIT 20");
        assert_eq!(shown(&indexed.engine, &sql), shown(&plain.engine, &sql), "{condition}");
    }
}

#[test]
fn explain_says_what_is_skipped() {
    let scene = scene(true);
    let read = |condition: &str| {
        let said = reads(&scene.engine, &format!("SELECT max(message) FROM logs WHERE {condition}"));
        let (said, cost) = said.split_once("; at most ").expect("what is read at most is said");
        (said.to_owned(), cost.to_owned())
    };
    let said = |condition: &str| read(condition).0;
    assert_eq!(read("app = 'nobody'").1, "0 rows and 0 bytes");
    let rows = |condition| read(condition).1.split(' ').next().and_then(|rows| rows.parse::<u64>().ok());
    assert!(rows("message LIKE '%needle-7f3a%'") < rows("length(message) > 7"));
    assert_eq!(
        said("message LIKE '%needle-7f3a%'"),
        "logs: 1 of 1 segments are read; 0 skipped by the search index, which leaves 2 of 8 blocks",
        "its own, and that of the Kelvin sign, which may be a k"
    );
    assert_eq!(
        said("app = 'nobody'"),
        "logs: 0 of 1 segments are read; 1 skipped by the search index, which leaves 0 of 8 blocks"
    );
    assert_eq!(
        said("app = 'app-11'"),
        "logs: 1 of 1 segments are read; 0 skipped by the search index, which leaves 2 of 8 blocks"
    );
    assert_eq!(said("length(message) > 7"), "logs: 1 of 1 segments are read; no condition that the search index knows");
    assert_eq!(
        said("ts > '2026-01-01T00:00:00Z' AND message LIKE '%needle%'"),
        "logs: 0 of 1 segments are read; 1 skipped by time; 0 skipped by the search index, which leaves 0 of 0 blocks"
    );
}

#[test]
fn of_a_column_only_the_pages_with_blocks_that_may_match_are_read() {
    let scene = scene(true);
    let bytes_read = |condition: &str| {
        let sql = format!("EXPLAIN ANALYZE SELECT count(*) FROM logs WHERE {condition}");
        let analyzed = shown(&scene.engine, &sql);
        let read = analyzed.split_once("bytes_read=").expect("it says what is read").1;
        let number = read.split([' ', ',']).next().and_then(|number| number.parse::<f64>().ok()).expect("a number");
        let unit = read.split_once(' ').map_or("", |(_, rest)| rest);
        number * if unit.starts_with('K') { 1e3 } else { 1e6 }
    };
    let (all, some) = (bytes_read("length(message) > 7"), bytes_read("message LIKE '%needle-7f3a%'"));
    assert!(some < all * 0.7, "the pages of 2 of 8 blocks, which begin and end elsewhere: {some} of {all}");
}

#[test]
fn without_its_index_a_segment_is_read_as_a_whole_and_the_answer_says_so() {
    let scene = scene(true);
    let sql = "SELECT count(*) FROM logs WHERE message LIKE '%needle%'";
    assert_eq!(value(&scene.engine, sql), "1");
    let index = index_of(&scene);
    let sound = std::fs::read(&index).unwrap();
    for damage in [None, Some(sound.iter().map(|byte| !byte).collect::<Vec<u8>>())] {
        std::fs::remove_file(&index).unwrap();
        if let Some(bytes) = damage {
            std::fs::write(&index, bytes).unwrap();
        }
        let engine = Scene::engine_of(&scene.store);
        let mut result = block_on(engine.run(sql, RunOptions::default())).unwrap();
        assert!(
            result.warnings()[0].contains("1 segments of table logs were read as a whole"),
            "{:?}",
            result.warnings()
        );
        assert_eq!(block_on(result.collect_one()).unwrap().num_rows(), 1);
        assert_eq!(value(&engine, sql), "1");
        assert!(scene.store.index_once().unwrap(), "the store was told");
        assert_eq!(std::fs::read(&index).unwrap(), sound);
        assert!(block_on(engine.run(sql, RunOptions::default())).unwrap().warnings().is_empty());
    }
}
