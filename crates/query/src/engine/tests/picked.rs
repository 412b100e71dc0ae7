//! Questions about texts of few shapes: the rows that the index names are read and no others, with the same answers.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray, TimestampMicrosecondArray};

use crate::testing::{Scene, ask, explained, shown, value};

const ROWS: i64 = 17_000;

/// Lines of two common kinds and two rare ones.
fn rows(from: i64) -> RecordBatch {
    // So that segments are large enough for an index of shapes.
    let long = |n: i64| (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let text = |n: i64| match n % 500 {
        3 => Some(format!("java.lang.OutOfMemoryError: {n} bytes for task {}", n % 7)),
        // The Kelvin sign is a k to who ignores case.
        77 => Some(format!("Größe {n} of 300 \u{212a}elvin")),
        9 => None,
        n if n % 2 == 0 => Some(format!("Finished task {} in stage {}.0 after {} ms", long(n), n % 97, n % 1_000)),
        n => Some(format!("Consumer group orders-{} committed offset {}", n % 10, long(n))),
    };
    let range = from..from + ROWS;
    let times = TimestampMicrosecondArray::from_iter_values(range.clone().map(|n| n * 1_000_000)).with_timezone("UTC");
    let services: StringViewArray = range.clone().map(|n| Some(format!("svc-{}", n % 11))).collect();
    let texts: StringViewArray = range.map(text).collect();
    let columns: [(&str, ArrayRef); 3] =
        [("ts", Arc::new(times)), ("service", Arc::new(services)), ("message", Arc::new(texts))];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).unwrap()
}

/// A table of two segments and rows in memory, or all of it in memory.
fn scene(committed: bool) -> Scene {
    let mut scene = Scene::new();
    for part in 0..3 {
        match committed && part < 2 {
            true => scene.commit(&rows(part * ROWS)),
            false => scene.append(&rows(part * ROWS)),
        }
    }
    scene
}

const CONDITIONS: [&str; 21] = [
    "message LIKE '%OutOfMemoryError%'",
    "message LIKE '%outofmemoryerror%'",
    "message ILIKE '%OUTOFMEMORY%task%'",
    "message ILIKE '%kelvin%'",
    "message LIKE 'java%'",
    "message LIKE '%Kelvin'",
    "message LIKE '%Error: 503 bytes%'",
    "message LIKE '%task 3'",
    "contains(message, 'java')",
    "has_words(message, 'java task')",
    "has_words(message, 'GRÖSSE') OR message LIKE '%java%'",
    "message LIKE '%java%' AND message LIKE '%task 5%'",
    "message LIKE '%java%' AND service = 'svc-4'",
    "message LIKE '%java%' AND ts < '1970-01-01T13:00:00Z'",
    "message LIKE '%nowhere%'",
    "message LIKE '%of 300%'",
    "message LIKE '%f 30%'",
    "message LIKE '%of 301%'",
    "has_words(message, 'of 300')",
    "message LIKE '%of 300%' AND message LIKE 'Gr%'",
    "NOT message LIKE '%task%'",
];

#[test]
fn rows_that_are_picked_are_those_that_match() {
    let (picked, plain) = (scene(true), scene(false));
    for condition in CONDITIONS {
        for sql in [
            format!(
                "SELECT service, count(*), min(ts), max(message) FROM logs WHERE {condition} GROUP BY 1 ORDER BY 1"
            ),
            format!("SELECT count(*) FROM logs AS l WHERE {condition}"),
            format!("SELECT * FROM logs WHERE {condition} ORDER BY ts DESC LIMIT 70"),
            format!(
                "SELECT a.ts FROM (SELECT ts FROM logs WHERE {condition}) a JOIN logs b ON a.ts = b.ts ORDER BY 1 LIMIT 9"
            ),
        ] {
            assert_eq!(shown(&picked.engine, &sql), shown(&plain.engine, &sql), "{sql}");
        }
    }
}

#[test]
fn a_text_that_its_shape_answers_is_not_read() {
    let scene = scene(true);
    let sql = "SELECT service, count(*) FROM logs WHERE message LIKE '%OutOfMemoryError%' GROUP BY service";
    let (reads, plan) = explained(&scene.engine, sql);
    assert!(reads.contains("2 of 2 segments are read; 0 skipped by the search index, which leaves 68 rows"), "{reads}");
    assert!(reads.contains("17000 rows in memory"), "{reads}");
    let scan = plan.lines().find(|line| line.contains(".parquet")).expect("files are scanned");
    assert!(scan.contains("projection=[service]"), "{plan}");
    let (reads, _) = explained(&scene.engine, "SELECT ts FROM logs WHERE message LIKE '%nowhere%'");
    assert!(reads.contains("0 of 2 segments are read; 2 skipped by the search index, which leaves 0 rows"), "{reads}");
}

#[test]
fn rows_that_the_index_names_are_counted_without_their_files() {
    let scene = scene(true);
    for condition in ["message LIKE '%OutOfMemoryError%'", "message LIKE '%of 300%'"] {
        let sql = format!("SELECT count(*) AS n FROM logs WHERE {condition}");
        let (reads, plan) = explained(&scene.engine, &sql);
        assert!(
            reads.contains("0 of 2 segments are read; 2 skipped by the search index, which knows 68 rows"),
            "{reads}"
        );
        assert!(!plan.contains(".parquet"), "{plan}");
        assert_eq!(value(&scene.engine, &sql), "102", "34 of each segment, and those in memory");
        assert_eq!(
            value(&scene.engine, &format!("SELECT count(*) FROM (SELECT 1 FROM logs WHERE {condition} LIMIT 40)")),
            "40"
        );
    }
    let (_, plan) = explained(&scene.engine, "SELECT count(*) FROM logs WHERE message LIKE '%task 3%'");
    assert!(plan.contains(".parquet"), "some of them have another task: {plan}");
}

#[test]
fn a_whole_value_whatever_its_case_is_no_pattern_to_those_who_read_rows() {
    let scene = scene(true);
    let sql = "SELECT count(*) FROM logs WHERE service ILIKE 'SVC\\_3' OR service ILIKE 'SVC-3'";
    let (reads, plan) = explained(&scene.engine, sql);
    assert!(plan.contains("equals_ignoring_case(service") && !plan.contains("ILIKE"), "{plan}");
    assert!(!reads.contains("no condition that the search index knows"), "it knows patterns: {reads}");
    let right = value(&scene.engine, "SELECT count(*) FROM logs WHERE service = 'svc-3'");
    assert_eq!(value(&scene.engine, sql), right);
}

#[test]
fn the_newest_rows_are_read_without_the_others() {
    let scene = scene(true);
    let sql = "SELECT * FROM logs WHERE service = 'svc-3' ORDER BY ts DESC LIMIT 5";
    let (_, plan) = explained(&scene.engine, sql);
    assert!(plan.contains("reverse_row_groups=true"), "{plan}");
    assert!(!plan.contains("SortPreservingMergeExec"), "threads look for the newest together: {plan}");
    assert_eq!(plan.matches("TopK").count(), 1, "{plan}");
    let times = ask(&scene.engine, sql).unwrap();
    assert_eq!(times.num_rows(), 5);
}
