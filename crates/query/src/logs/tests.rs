//! Pages of lines, counts over time, and the filter for live lines.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::Int64Type;
use proptest::prelude::{ProptestConfig, any, prop};
use proptest::proptest;

use super::{LogContext, LogFilter, LogHistogram, LogPatterns, LogSearch};
use crate::testing::{Stage, block_on, logs, logs_schema, many};
use crate::{QueryEngine, QueryErrorCode};

const SECOND: i64 = 1_000_000;

fn search(limit: usize) -> LogSearch {
    LogSearch { table: "logs".into(), filter: LogFilter::default(), from: None, to: None, limit, before: None }
}

fn filter(text: &str, levels: &[&str]) -> LogFilter {
    let text = (!text.is_empty()).then(|| text.to_owned());
    LogFilter { text, levels: levels.iter().map(ToString::to_string).collect(), search: None }
}

/// The messages of rows with their seconds: `12:message`.
fn lines(rows: &RecordBatch) -> Vec<String> {
    assert_eq!(rows.schema(), logs_schema(), "a page has the columns of the table");
    let (n, messages) = (rows.column(4).as_primitive::<Int64Type>(), rows.column(2).as_string_view());
    (0..rows.num_rows()).map(|row| format!("{}:{}", n.value(row), messages.value(row))).collect()
}

/// All pages from the first to the last, with `between` called after each.
fn pages(engine: &QueryEngine, mut search: LogSearch, mut between: impl FnMut(usize)) -> Vec<String> {
    let mut all = Vec::new();
    for page in 0.. {
        let found = block_on(engine.search_logs(&search)).unwrap();
        assert!(found.rows.num_rows() == search.limit || found.next.is_none(), "only the last page is short");
        all.extend(lines(&found.rows));
        between(page);
        match found.next {
            Some(next) => search.before = Some(next),
            None => break,
        }
    }
    all
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

#[test]
fn the_newest_lines_come_first_wherever_they_are() {
    let engine = Stage::with_logs(&[many(0, 10), many(20, 10)], &[many(10, 10)]).engine();
    let page = block_on(engine.search_logs(&search(3))).unwrap();
    assert_eq!(lines(&page.rows), ["29:message number 29", "28:message number 28", "27:message number 27"]);
    let all = pages(&engine, search(7), |_| {});
    let expected: Vec<String> = (0..30).rev().map(|n| format!("{n}:message number {n}")).collect();
    assert_eq!(all, expected);
}

#[test]
fn lines_are_found_by_parts_of_the_message_and_by_level() {
    let rows = logs(&[
        (1, "INFO", "Disk 100% full_up"),
        (2, "WARN", "disk is 100 percent full"),
        (3, "ERROR", "C:\\temp is GONE; it's so"),
        (4, "info", "ünïcode ÜBER"),
    ]);
    let engine = Stage::with_logs(&[rows], &[]).engine();
    let found = |text: &str, levels: &[&str]| {
        let search = LogSearch { filter: filter(text, levels), ..search(10) };
        let rows = block_on(engine.search_logs(&search)).unwrap().rows;
        lines(&rows).iter().map(|line| line.split(':').next().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(found("DISK", &[]), "2 1");
    assert_eq!(found("100%", &[]), "1");
    assert_eq!(found("full_", &[]), "1");
    assert_eq!(found("\\temp", &[]), "3");
    assert_eq!(found("it's", &[]), "3");
    assert_eq!(found("über", &[]), "4");
    assert_eq!(found("", &["INFO", "ERROR"]), "3 1");
    assert_eq!(found("disk", &["WARN"]), "2");
    assert_eq!(found("' OR 1=1 --", &[]), "");
    assert_eq!(found("", &["' OR '1'='1"]), "");
}

#[test]
fn a_range_of_time_includes_its_beginning_and_not_its_end() {
    let engine = Stage::with_logs(&[many(0, 10)], &[many(10, 10)]).engine();
    let search = LogSearch { from: Some(5 * SECOND), to: Some(12 * SECOND), ..search(3) };
    let all = pages(&engine, search, |_| {});
    assert_eq!(all.len(), 7);
    assert!(all[0].starts_with("11:") && all[6].starts_with("5:"), "{all:?}");
}

#[test]
fn pages_stay_right_while_lines_are_flushed_and_added() {
    let fresh: Vec<RecordBatch> =
        (0..10).map(|n| logs(&[(7, "INFO", &format!("line {n}")), (7, "INFO", "same")])).collect();
    let stage = Stage::with_logs(&[many(0, 5)], &fresh);
    let all = pages(&stage.engine(), search(3), |page| {
        let flushed = stage.segment(&format!("flushed-{page}"), &logs(&[(9, "INFO", "newer")]));
        stage.change(|snapshot| {
            let table = snapshot.tables.get_mut("logs").unwrap();
            table.segments.push(flushed);
            table.segments.reverse();
            if let Some(batch) = table.fresh.pop() {
                let moved = stage.segment(&format!("moved-{page}"), &batch);
                table.segments.push(moved);
            }
        });
    });
    let expected = (0..10).flat_map(|n| [format!("7:line {n}"), "7:same".to_owned()]);
    let expected = expected.chain((0..5).map(|n| format!("{n}:message number {n}"))).collect();
    assert_eq!(
        sorted(all),
        sorted(expected),
        "each line that was there, once, and none that is newer than the first page"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn pages_have_every_line_once_however_many_share_a_time(
        rows in prop::collection::vec((0_i64..6, 0_u8..4), 0..60),
        splits in prop::collection::vec(0_usize..3, 60),
        limit in 1_usize..20,
        _seed in any::<u8>(),
    ) {
        let mut parts: [Vec<(i64, &str, String)>; 3] = Default::default();
        for ((time, text), part) in rows.iter().zip(&splits) {
            parts[*part].push((*time, "INFO", format!("text {text}")));
        }
        let batches: Vec<RecordBatch> = parts
            .iter()
            .map(|rows| logs(&rows.iter().map(|(time, level, text)| (*time, *level, text.as_str())).collect::<Vec<_>>()))
            .collect();
        let engine = Stage::with_logs(&batches[..2], &batches[2..]).engine();
        let all = pages(&engine, search(limit), |_| {});
        let times: Vec<i64> = all.iter().map(|line| line.split(':').next().unwrap().parse().unwrap()).collect();
        assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
        let expected = rows.iter().map(|(time, text)| format!("{time}:text {text}")).collect();
        assert_eq!(sorted(all), sorted(expected));
    }
}

#[test]
fn what_is_no_cursor_is_refused() {
    let engine = Stage::with_logs(&[many(0, 3)], &[]).engine();
    for before in ["", "x", "1.2", "1.2.3.4", "zz.1.1", "99999999999999999999.1.1"] {
        let search = LogSearch { before: Some(before.into()), ..search(1) };
        assert_eq!(block_on(engine.search_logs(&search)).unwrap_err().code, QueryErrorCode::InvalidRequest, "{before}");
    }
    let unknown = LogSearch { table: "log".into(), ..search(1) };
    let error = block_on(engine.search_logs(&unknown)).unwrap_err();
    assert_eq!((error.code, error.hint.as_deref()), (QueryErrorCode::UnknownTable, Some("did you mean \"logs\"?")));
}

#[test]
fn a_table_without_times_or_messages_is_no_failure() {
    let stage = Stage::new();
    let batch = crate::testing::keyed(&["a", "b"]);
    stage.table("keyed", batch.schema(), &[batch], &[]);
    let engine = stage.engine();
    let search = LogSearch { table: "keyed".into(), ..search(1) };
    assert_eq!(block_on(engine.search_logs(&search)).unwrap_err().code, QueryErrorCode::NoTime);
    let empty = Stage::with_logs(&[], &[]).engine();
    let page = block_on(empty.search_logs(&self::search(5))).unwrap();
    assert_eq!((page.rows.num_rows(), page.next), (0, None));
}

fn histogram(buckets: usize) -> LogHistogram {
    LogHistogram { table: "logs".into(), filter: LogFilter::default(), from: None, to: None, buckets }
}

#[test]
fn lines_are_counted_over_time_and_by_level() {
    let engine = Stage::with_logs(&[many(3, 57)], &[many(60, 60)]).engine();
    let counted = block_on(engine.log_histogram(&histogram(10))).unwrap();
    assert_eq!((counted.from, counted.to, counted.bucket_us), (0, 120 * SECOND, 15 * SECOND));
    let shown: Vec<String> =
        counted.series.iter().map(|series| format!("{} {:?}", series.level, series.counts)).collect();
    assert_eq!(
        shown,
        ["ERROR [4, 5, 5, 5, 5, 5, 5, 5]", "INFO [4, 5, 5, 5, 5, 5, 5, 5]", "WARN [4, 5, 5, 5, 5, 5, 5, 5]"]
    );
    assert_eq!(counted.total, 117);
}

#[test]
fn a_histogram_counts_what_a_search_finds() {
    let engine = Stage::with_logs(&[many(0, 100)], &[many(100, 100)]).engine();
    let asked = LogHistogram {
        filter: filter("number 1", &["ERROR"]),
        from: Some(7 * SECOND),
        to: Some(150 * SECOND),
        ..histogram(60)
    };
    let counted = block_on(engine.log_histogram(&asked)).unwrap();
    let found = LogSearch { filter: asked.filter.clone(), from: asked.from, to: asked.to, ..search(1_000) };
    let found = block_on(engine.search_logs(&found)).unwrap();
    assert_eq!(counted.total, found.rows.num_rows() as u64);
    assert_eq!(counted.total, counted.series.iter().flat_map(|series| &series.counts).sum::<u64>());
    assert!(counted.total > 0 && counted.series.len() == 1);
    let buckets = counted.series[0].counts.len();
    assert!(buckets <= 61 && counted.from <= 7 * SECOND && counted.to >= 150 * SECOND, "{buckets}");
}

#[test]
fn a_histogram_of_nothing_and_of_all_of_time_have_bounds() {
    let empty = Stage::with_logs(&[], &[]).engine();
    let counted = block_on(empty.log_histogram(&histogram(60))).unwrap();
    assert_eq!((counted.total, counted.series.len()), (0, 0));
    let ends = logs(&[(-62_135_596_800, "INFO", "year 1"), (253_402_300_799, "INFO", "year 9999")]);
    let engine = Stage::with_logs(&[ends], &[]).engine();
    let counted = block_on(engine.log_histogram(&histogram(10))).unwrap();
    assert_eq!(counted.series[0].counts.iter().sum::<u64>(), 2);
    assert!(counted.series[0].counts.len() <= 11, "{}", counted.series[0].counts.len());
    let all = LogHistogram { from: Some(i64::MIN), to: Some(i64::MAX), ..histogram(1_000_000) };
    assert_eq!(block_on(engine.log_histogram(&all)).unwrap().total, 2);
    let none = LogHistogram { from: Some(5), to: Some(5), ..histogram(10) };
    assert_eq!(block_on(engine.log_histogram(&none)).unwrap_err().code, QueryErrorCode::InvalidRequest);
}

#[test]
fn live_lines_are_filtered_as_stored_ones() {
    let rows = many(0, 30);
    let engine = Stage::with_logs(std::slice::from_ref(&rows), &[]).engine();
    for wanted in [filter("", &[]), filter("NUMBER 2", &["INFO", "WARN"]), filter("nothing", &[])] {
        let live = wanted.compile(&rows.schema()).unwrap().matching(&rows).unwrap();
        let stored = block_on(engine.search_logs(&LogSearch { filter: wanted, ..search(100) })).unwrap().rows;
        assert_eq!(sorted(lines(&live)), sorted(lines(&stored)));
    }
    let keyed = Arc::new(crate::testing::keyed(&["ab", "c", "AB"]));
    let found = filter("b", &[]).compile(&keyed.schema()).unwrap().matching(&keyed).unwrap();
    assert_eq!(found.num_rows(), 2, "without a column `message`, all texts are searched");
}

#[test]
fn lines_of_one_pattern_are_counted_together() {
    let engine = Stage::with_logs(&[many(0, 10)], &[many(10, 5), logs(&[(99, "INFO", "done")])]).engine();
    let asked = LogPatterns { table: "logs".into(), filter: LogFilter::default(), from: None, to: None, limit: 10 };
    let found = block_on(engine.log_patterns(&asked)).unwrap().patterns;
    let shown: Vec<(&str, u64)> = found.iter().map(|one| (one.pattern.as_str(), one.lines)).collect();
    assert_eq!(shown, [("message number <n>", 15), ("done", 1)]);
    assert_eq!((found[0].times, found[0].sample.as_str()), ((0, 14 * SECOND), "message number 0"));
    let some = LogPatterns { filter: filter("number 3", &[]), from: Some(SECOND), limit: 1, ..asked.clone() };
    assert_eq!(block_on(engine.log_patterns(&some)).unwrap().patterns[0].lines, 1);
    let error = block_on(engine.log_patterns(&LogPatterns { table: "log".into(), ..asked })).unwrap_err();
    assert_eq!(error.code, QueryErrorCode::UnknownTable);
}

#[test]
fn the_lines_around_one_are_those_before_and_after_it() {
    let engine = Stage::with_logs(&[many(0, 10)], &[many(10, 10)]).engine();
    let asked = LogContext {
        table: "logs".into(),
        at: 10 * SECOND,
        origin: None,
        filter: LogFilter::default(),
        before: 2,
        after: 3,
    };
    let numbers = |asked: &LogContext| {
        let found = block_on(engine.log_context(asked)).unwrap();
        (found.rows.column(4).as_primitive::<Int64Type>().values().to_vec(), found.after)
    };
    assert_eq!(numbers(&asked), (vec![8, 9, 10, 11, 12, 13], 3));
    assert_eq!(numbers(&LogContext { at: 0, ..asked.clone() }), (vec![0, 1, 2, 3], 3));
    assert_eq!(numbers(&LogContext { at: 19 * SECOND, ..asked.clone() }), (vec![17, 18, 19], 0));
    assert_eq!(numbers(&LogContext { filter: filter("", &["INFO"]), ..asked.clone() }), (vec![3, 6, 9, 12, 15, 18], 3));
    assert_eq!(numbers(&LogContext { before: 0, after: 0, ..asked.clone() }), (vec![10], 0));
    let origin = Some(("app.log".to_owned(), 7));
    let error = block_on(engine.log_context(&LogContext { origin, ..asked })).unwrap_err();
    assert_eq!(error.code, QueryErrorCode::UnknownColumn);
}

#[test]
fn where_lines_say_where_they_come_from_their_neighbours_are_those_of_the_file() {
    use arrow::array::{ArrayRef, Int64Array, StringViewArray, TimestampMicrosecondArray};
    let count = 20;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("ts", Arc::new(TimestampMicrosecondArray::from_iter_values((0..count).map(|n| n % 5)).with_timezone("UTC"))),
        ("source_file", Arc::new(StringViewArray::from_iter_values((0..count).map(|n| format!("f{}", n % 2))))),
        ("source_offset", Arc::new(Int64Array::from_iter_values((0..count).map(|n| n * 100)))),
    ];
    let rows = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap();
    let stage = Stage::new();
    stage.table("logs", rows.schema(), std::slice::from_ref(&rows), &[]);
    let asked = LogContext {
        table: "logs".into(),
        at: 0,
        origin: Some(("f1".to_owned(), 700)),
        filter: LogFilter::default(),
        before: 2,
        after: 2,
    };
    let found = block_on(stage.engine().log_context(&asked)).unwrap();
    let offsets = found.rows.column(2).as_primitive::<Int64Type>().values().to_vec();
    assert_eq!((offsets, found.after), (vec![300, 500, 700, 900, 1_100], 2));
}

#[test]
fn a_scan_finds_piece_by_piece_what_a_page_finds() {
    let fresh = many(95, 30);
    let engine = Stage::with_logs(&[many(0, 40), many(30, 40), many(60, 40)], &[fresh]).engine();
    for (text, limit) in [("", 1_000), ("", 33), ("essage number 1", 1_000), ("7", 5), ("nowhere", 10)] {
        let asked = LogSearch { filter: filter(text, &[]), from: Some(5 * SECOND), ..search(limit) };
        let page = block_on(engine.search_logs(&asked)).unwrap();
        let (found, pieces, next) = block_on(async {
            let mut scan = engine.scan_logs_by(&asked, 1_000).await.unwrap();
            assert_eq!(scan.cost().segments, 3);
            assert!(scan.cost().rows >= 120, "{:?}", scan.cost());
            let (mut found, mut pieces, mut next, mut reached) = (Vec::new(), 0, None, i64::MAX);
            while let Some(piece) = scan.next(&engine).await.unwrap() {
                assert!(next.is_none(), "nothing comes after the last line that was wanted");
                assert!(piece.reached < reached && (0.0..=1.0).contains(&piece.done));
                found.extend(lines(&piece.rows));
                (pieces, next, reached) = (pieces + 1, piece.next, piece.reached);
            }
            (found, pieces, next)
        });
        assert_eq!(found, lines(&page.rows), "{text} {limit}");
        assert_eq!(next.is_some(), page.next.is_some(), "{text} {limit}");
        assert!(pieces > 3 || limit < 1_000, "{pieces}");
        if let Some(before) = next {
            let rest = |before| block_on(engine.search_logs(&LogSearch { before, ..asked.clone() })).unwrap();
            assert_eq!(lines(&rest(Some(before)).rows), lines(&rest(page.next).rows), "it goes on there");
        }
    }
}
