use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringViewArray, TimestampMicrosecondArray};

use crate::testing::{Scene, Stage, ask, logs, logs_schema, many, shown, value};

/// Whether the times of the newest rows are asked for first.
fn is_late(stage: &Arc<Stage>, sql: &str) -> bool {
    shown(&stage.engine(), &format!("EXPLAIN {sql}")).contains(" newest rows, then all columns of rows no older")
}

fn stage() -> Arc<Stage> {
    let segments: Vec<_> = [0, 300, 100, 200].map(|from| many(from, 100)).into();
    let stage = Stage::with_logs(&segments, &[many(400, 7)]);
    // As wide as tables are.
    let mut fields: Vec<_> = logs_schema().fields().to_vec();
    fields.extend(["a", "b", "c"].map(|name| Arc::new(logs_schema().field(4).clone().with_name(name))));
    stage.change(|snapshot| {
        let table = snapshot.tables.get_mut("logs").expect("it is there");
        table.schema = Arc::new(arrow::datatypes::Schema::new(fields));
        let fresh = table.fresh.drain(..).map(|batch| weir_store::adapt(&batch, &table.schema).expect("it fits"));
        table.fresh = fresh.collect();
    });
    stage
}

#[test]
fn the_newest_rows_are_the_same_whether_or_not_their_times_are_asked_for_first() {
    let stage = stage();
    let engine = stage.engine();
    for (condition, newest) in [
        ("level = 'ERROR'", vec![404, 401, 398, 395, 392]),
        ("level IN ('WARN', 'nothing') AND n < 250", vec![247, 244, 241, 238, 235]),
        ("n BETWEEN 98 AND 101", vec![101, 100, 99, 98]),
        ("level ILIKE 'info'", vec![405, 402, 399, 396, 393]),
        ("level = 'nothing'", vec![]),
        ("true", vec![406, 405, 404, 403, 402]),
    ] {
        for order in ["ts DESC", "ts DESC NULLS LAST, level", "ts DESC, n DESC"] {
            let sql = format!("SELECT * FROM logs WHERE {condition} ORDER BY {order} LIMIT 5");
            assert!(is_late(&stage, &sql), "{sql}");
            let rows = ask(&engine, &sql).unwrap_or_else(|error| panic!("{sql}: {error:?}"));
            assert_eq!(rows.num_columns(), 8, "{sql}");
            let rows = shown(&engine, &format!("SELECT n FROM ({sql}) AS newest"));
            let is: Vec<i64> = rows.lines().filter_map(|line| line.trim_matches(['|', ' ']).parse().ok()).collect();
            assert_eq!(is, newest, "{sql}");
        }
    }
}

#[test]
fn rows_of_one_moment_are_told_apart_by_what_else_they_are_sorted_by() {
    let stage = stage();
    let same: Vec<_> = ["d", "b", "a", "c"].map(|message| (500, "INFO", message)).into();
    stage.change(|snapshot| {
        let table = snapshot.tables.get_mut("logs").expect("it is there");
        table.fresh.push(weir_store::adapt(&logs(&same), &table.schema).expect("it fits"));
    });
    let sql = "SELECT * FROM logs WHERE level = 'INFO' ORDER BY ts DESC, message LIMIT 3";
    assert!(is_late(&stage, sql));
    let rows = shown(&stage.engine(), sql);
    let messages: Vec<_> = rows.lines().filter_map(|line| line.split('|').nth(3)).map(str::trim).collect();
    assert_eq!(messages, ["message", "a", "b", "c"]);
}

#[test]
fn rows_without_a_time_come_where_they_are_wanted() {
    let stage = stage();
    stage.change(|snapshot| {
        let table = snapshot.tables.get_mut("logs").expect("it is there");
        let row = table.fresh[0].slice(0, 1);
        let columns = row.columns().iter().enumerate().map(|(at, column)| match at {
            0 => arrow::array::new_null_array(column.data_type(), 1),
            _ => Arc::clone(column),
        });
        let row = arrow::array::RecordBatch::try_new(row.schema(), columns.collect()).expect("all may be null");
        table.fresh.push(row);
    });
    let engine = stage.engine();
    let newest = |nulls: &str| {
        let sql = format!("SELECT * FROM logs WHERE level = 'WARN' ORDER BY ts DESC NULLS {nulls} LIMIT 2");
        assert!(is_late(&stage, &sql), "{sql}");
        let rows = shown(&engine, &format!("SELECT n FROM ({sql}) AS newest"));
        rows.lines().filter_map(|line| line.trim_matches(['|', ' ']).parse().ok()).collect::<Vec<i64>>()
    };
    assert_eq!(newest("FIRST"), [400, 406]);
    assert_eq!(newest("LAST"), [406, 403]);
}

#[test]
fn questions_that_it_would_not_help_are_asked_at_once() {
    let stage = stage();
    for sql in [
        "SELECT * FROM logs WHERE message LIKE '%7%' ORDER BY ts DESC LIMIT 5",
        "SELECT * FROM logs WHERE level ~ 'E.*' ORDER BY ts DESC LIMIT 5",
        "SELECT * FROM logs WHERE abs(n) = 7 ORDER BY ts DESC LIMIT 5",
        "SELECT ts, level FROM logs WHERE level = 'INFO' ORDER BY ts DESC LIMIT 5",
        "SELECT * FROM logs WHERE level = 'INFO' ORDER BY ts LIMIT 5",
        "SELECT * FROM logs WHERE level = 'INFO' ORDER BY n DESC LIMIT 5",
        "SELECT * FROM logs WHERE level = 'INFO' ORDER BY ts DESC",
        "SELECT * FROM logs WHERE level = 'INFO' ORDER BY ts DESC LIMIT 10001",
    ] {
        assert!(!is_late(&stage, sql), "{sql}");
    }
}

/// Rows at these times, in seconds, as wide as tables are; `app` is one of seven in turn.
fn wide(times: impl Iterator<Item = i64> + Clone) -> RecordBatch {
    let number = || Arc::new(Int64Array::from_iter_values(times.clone())) as ArrayRef;
    let text = |name: fn(i64) -> String| Arc::new(times.clone().map(|n| Some(name(n))).collect::<StringViewArray>());
    let columns: [(&str, ArrayRef); 8] = [
        ("ts", Arc::new(TimestampMicrosecondArray::from_iter_values(times.clone().map(|n| n * 1_000_000)))),
        ("app", text(|n| format!("app-{}", n % 7))),
        ("level", text(|n| if n % 5_003 == 0 { "FATAL" } else { "INFO" }.to_owned())),
        ("message", text(|n| format!("message number {n} of many"))),
        ("n", number()),
        ("a", number()),
        ("b", number()),
        ("c", number()),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, column)| (name, column, true))).expect("a batch")
}

#[test]
fn segments_that_may_have_rows_as_new_are_looked_at() {
    let segments: [Vec<i64>; 4] = [
        // The newest row of all is in a segment of old ones; two lie between each other, and two rows are of one moment.
        (0..17_000).chain([120_001]).collect(),
        (20_000..54_000).step_by(2).collect(),
        (20_001..53_000).step_by(2).chain([53_998; 400]).collect(),
        (60_000..77_000).collect(),
    ];
    let fresh = [76_999, 50_001, 80_000];
    let (mut stored, mut plain) = (Scene::new(), Scene::new());
    for times in &segments {
        stored.commit(&wide(times.iter().copied()));
        plain.append(&wide(times.iter().copied()));
    }
    stored.append(&wide(fresh.into_iter()));
    plain.append(&wide(fresh.into_iter()));
    for condition in ["true", "app = 'app-3'", "level = 'FATAL'", "n < 53999", "n < 53999 AND app <> 'app-2'", "n = 3"]
    {
        for rows in [1, 2, 30, 700] {
            let sql = format!("SELECT * FROM logs WHERE {condition} ORDER BY ts DESC, n LIMIT {rows}");
            let explained = shown(&stored.engine, &format!("EXPLAIN {sql}"));
            assert!(explained.contains("newest rows, then all columns of rows no older"), "{sql}: {explained}");
            assert_eq!(shown(&stored.engine, &sql), shown(&plain.engine, &sql), "{sql}");
        }
    }
}

#[test]
fn newest_rows_that_are_all_in_memory_need_no_file() {
    let mut scene = Scene::new();
    scene.commit(&wide(0..20_000));
    scene.append(&wide(30_000..30_010));
    for (rows, oldest) in [(1, 30_009), (10, 30_000), (11, 19_999)] {
        let newest = format!("SELECT * FROM logs ORDER BY ts DESC LIMIT {rows}");
        assert!(shown(&scene.engine, &format!("EXPLAIN {newest}")).contains("newest rows, then all columns"));
        let sql = format!("SELECT min(n) FROM ({newest}) AS newest");
        assert_eq!(ask(&scene.engine, &newest).expect(&newest).num_rows(), rows, "{newest}");
        assert_eq!(value(&scene.engine, &sql), oldest.to_string(), "{sql}");
    }
}

#[test]
fn segments_that_nobody_needs_are_not_opened() {
    let mut scene = Scene::new();
    scene.commit(&wide(0..17_000));
    scene.commit(&wide(17_000..87_000));
    let newest = "SELECT * FROM logs WHERE app = 'app-3' ORDER BY ts DESC, n LIMIT 30";
    let before = shown(&scene.engine, newest);
    let segments = scene.store.snapshot().expect("a snapshot").tables["logs"].segments.clone();
    let oldest = segments.iter().min_by_key(|segment| segment.time_range).expect("two");
    std::fs::remove_file(&oldest.path).expect("it was there");
    let engine = Scene::engine_of(&scene.store);
    assert_eq!(shown(&engine, newest), before);
    assert_eq!(scene.store.troubles(), []);
    let all = ask(&engine, "SELECT max(message) FROM logs");
    assert!(all.expect_err("a segment is gone").message.contains("cannot be read"));
}
