//! Searches by example: what they find, what they make, what is wrong with them, what could come next.
#![allow(clippy::unwrap_used)]

use proptest::prelude::ProptestConfig;
use proptest::proptest;

use super::Search;
use crate::logs::StagedSearch;
use crate::testing::{Stage, block_on, logs, many};
use crate::{QueryEngine, QueryErrorCode, RunOptions};
use arrow::util::pretty::pretty_format_batches;

fn engine() -> QueryEngine {
    let old = logs(&[
        (1, "INFO", "Disk 100% full on host-7"),
        (2, "WARN", "java.lang.OutOfMemoryError: heap"),
        (3, "ERROR", "connection to kafka:9092 lost"),
    ]);
    let new = logs(&[(14, "ERROR", "disk is gone"), (25, "DEBUG", "took a * and a (bracket)")]);
    Stage::with_logs(&[old], &[new]).engine()
}

fn asked(text: &str) -> StagedSearch {
    StagedSearch { table: "logs".into(), search: Search::parse(text).unwrap(), from: None, to: None }
}

/// The seconds of the lines that a search finds, in their order.
fn found(text: &str) -> String {
    let rows = block_on(async {
        let search = asked(&format!("{text} | fields n"));
        engine().search(&search, RunOptions::default()).await?.collect_one().await
    });
    let rows = rows.unwrap_or_else(|error| panic!("{text}: {error}"));
    let numbers = arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(rows.column(0));
    numbers.values().iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The answer to a search as a table.
fn made(text: &str) -> String {
    let rows = block_on(async { engine().search(&asked(text), RunOptions::default()).await?.collect_one().await });
    let rows = rows.unwrap_or_else(|error| panic!("{text}: {error}"));
    pretty_format_batches(&[rows]).unwrap().to_string()
}

/// What is wrong with a search, in words.
fn wrong(text: &str) -> String {
    let answer = Search::parse(text).and_then(|search| {
        let search = StagedSearch { search, ..asked("") };
        block_on(async { engine().search(&search, RunOptions::default()).await?.collect_one().await })
    });
    answer.err().unwrap_or_else(|| panic!("{text} should be wrong")).to_string()
}

#[test]
fn words_are_parts_of_the_message_and_all_of_them_must_be_there() {
    assert_eq!(found(""), "25 14 3 2 1", "the newest first");
    assert_eq!(found("disk"), "14 1");
    assert_eq!(found("disk FULL"), "1");
    assert_eq!(found("disk AND gone"), "14");
    assert_eq!(found("full OR gone"), "14 1");
    assert_eq!(found("disk -full"), "14");
    assert_eq!(found("NOT disk"), "25 3 2");
    assert_eq!(found("-(disk OR heap)"), "25 3");
    assert_eq!(found("\"on host\""), "1");
    assert_eq!(found("java*heap"), "2");
    assert_eq!(found("\"a * and\""), "25", "in quotes a star is a star");
    assert_eq!(found("\"kafka:9092\""), "3");
    assert_eq!(found("100%"), "1");
    assert_eq!(found("\"(bracket)\""), "25");
}

#[test]
fn columns_are_tested_as_a_whole_ignoring_case() {
    assert_eq!(found("level:error"), "14 3");
    assert_eq!(found("level:(error OR warn)"), "14 3 2");
    assert_eq!(found("level:(error, warn)"), "14 3 2");
    assert_eq!(found("LEVEL:err*"), "14 3");
    assert_eq!(found("level:err"), "");
    assert_eq!(found("level:=error"), "", "exactly so");
    assert_eq!(found("level:=ERROR"), "14 3");
    assert_eq!(found("-level:error disk"), "1");
    assert_eq!(found("level:!=ERROR"), "25 2 1");
    assert_eq!(found("n:3"), "3");
    assert_eq!(found("n:>=14"), "25 14");
    assert_eq!(found("n:2..14"), "14 3 2");
    assert_eq!(found("took:<1.5"), "2 1", "1 s took 0.5");
    assert_eq!(found("message:~\"(?i)^disk .*full\""), "1");
    assert_eq!(found("ts:>1970-01-01T00:00:10Z"), "25 14");
    assert_eq!(found("took:*"), "25 14 3 2 1");
    assert_eq!(found("message:\"disk is gone\""), "14");
}

#[test]
fn stages_count_order_and_choose() {
    answers("level:error | count", &["| count |", "| 2     |"]);
    answers("| count by level | sort count desc, level | limit 2", &["| ERROR | 2     |", "| DEBUG | 1     |"]);
    answers(
        "| stats count() as lines, max(n), p50(n), distinct(level) as levels",
        &["| lines | max_n | p50_n | levels |", "| 5     | 25    |"],
    );
    answers(
        "| timeline 10s by level | where level:ERROR",
        &["1970-01-01T00:00:00Z | ERROR | 1", "1970-01-01T00:00:10Z | ERROR | 1"],
    );
    answers("| top 1 level", &["| ERROR | 2     |"]);
    answers("| where n:<3 | fields n, level | sort n", &["| 1 | INFO  |", "| 2 | WARN  |"]);
    assert_eq!(found("| limit 2"), "25 14");
}

/// Whether the answer to a search has these pieces in this order.
fn answers(text: &str, pieces: &[&str]) {
    let answer = made(text);
    let mut rest = answer.as_str();
    for piece in pieces {
        let at = rest.find(piece).unwrap_or_else(|| panic!("{text}: no {piece:?} in\n{answer}"));
        rest = &rest[at + piece.len()..];
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_what_would_be_right() {
    for (text, message) in [
        (
            "lvel:error",
            "there is no column \"lvel\"; there are ts, level, message, took, n at line 1, column 1 (did you mean level? A text with a colon goes in quotes)",
        ),
        ("n:many", "n is a int64, and \"many\" is none at line 1, column 3"),
        (
            "disk | conut by level",
            "there is no stage \"conut\"; there are where, count, stats, timeline, top, sort, limit, fields at line 1, column 8 (did you mean count?)",
        ),
        ("\"open", "the quote is not closed at line 1, column 1 (write \" at its end)"),
        ("(disk", "the bracket is not closed at line 1, column 1 (write ) at its end)"),
        (
            "disk)",
            "\")\" is not expected here at line 1, column 5 (a bracket that is not opened? In quotes it is a text)",
        ),
        ("disk OR", "there is nothing on one side of OR at line 1, column 8 (a OR b)"),
        (
            "level:",
            "a value for level is missing at line 1, column 7 (level:value, level:\"two words\", level:>5, level:* for any)",
        ),
        ("message:~\"(\"", "this is no regular expression: unclosed group at line 1, column 10"),
        (
            "| stats median(n)",
            "there is no function \"median\"; there are count, distinct, sum, avg, min, max, p95, p50 at line 1, column 9 (percentiles are p50, p95, p99.9; SQL has all other functions)",
        ),
        ("| stats sum(level)", "level is a string, and only numbers have a sum at line 1, column 13"),
        ("| timeline 5", "\"5\" is no span of time at line 1, column 12 (10s, 5m, 1h or 1d: timeline 5m by level)"),
        ("| limit 0", "\"0\" should be a number from 1 to 1000000 at line 1, column 9"),
        (
            "| count | timeline 1m",
            "timeline needs the column of event times, and it is not there at line 1, column 11 (put timeline before stages that leave it out)",
        ),
        (
            "disk\n|",
            "a stage is missing after |; there are where, count, stats, timeline, top, sort, limit, fields at line 2, column 2",
        ),
    ] {
        assert_eq!(wrong(text), message, "{text}");
    }
}

#[test]
fn the_limits_of_a_search_hold() {
    let code = |text: &str| Search::parse(text).unwrap_err().code;
    assert_eq!(code(&"a".repeat(9_000)), QueryErrorCode::TooLong);
    assert_eq!(code(&"a ".repeat(201)), QueryErrorCode::TooComplex);
    assert!(Search::parse(&"a ".repeat(200)).is_ok());
    assert_eq!(code(&format!("{}a{}", "(".repeat(33), ")".repeat(33))), QueryErrorCode::TooComplex);
    assert!(Search::parse(&format!("{}a{}", "(".repeat(32), ")".repeat(32))).is_ok());
    assert_eq!(code(&"| limit 1".repeat(21)), QueryErrorCode::TooComplex);
    assert_eq!(code(&format!("n:({})", "1 ".repeat(201))), QueryErrorCode::TooComplex);
    let limited = RunOptions { max_rows: Some(3), ..RunOptions::default() };
    let engine = engine();
    let rows = block_on(async {
        let mut result = engine.search(&asked(""), limited).await?;
        let mut rows = 0;
        while let Some(batch) = result.next().await.transpose()? {
            rows += batch.num_rows();
        }
        Ok::<_, crate::QueryError>((rows, result.truncated()))
    });
    assert_eq!(rows.unwrap(), (3, true));
}

#[test]
fn what_could_come_next_is_offered() {
    let offered = |text: &str| {
        let completion = block_on(engine().complete_search("logs", text, text.chars().count())).unwrap();
        let texts: Vec<&str> = completion.candidates.iter().map(|candidate| candidate.text.as_str()).collect();
        format!("{}..{} {}", completion.from, completion.to, texts.join(" "))
    };
    assert_eq!(offered(""), "0..0 ts: level: message: took: n: OR NOT");
    assert_eq!(offered("disk le"), "5..7 level:");
    assert_eq!(offered("-le"), "1..3 level:");
    assert_eq!(offered("level:"), "6..6 ERROR DEBUG INFO WARN");
    assert_eq!(offered("level:e"), "6..7 ERROR");
    assert_eq!(offered("level:(error OR w"), "16..17 WARN");
    assert_eq!(offered("message:disk"), "8..12 \"Disk 100% full on host-7\" \"disk is gone\"");
    assert_eq!(offered("disk | "), "7..7 where count stats timeline top sort limit fields");
    assert_eq!(offered("disk | co"), "7..9 count");
    assert_eq!(offered("| count by le"), "11..13 level");
    assert_eq!(offered("| stats p"), "8..9 p95 p50");
    assert_eq!(offered("\"in quotes le"), "13..13 ");
    assert_eq!(offered("nosuch:x"), "7..8 ");
}

#[test]
fn values_that_are_offered_are_those_of_the_newest_hour() {
    let engine = Stage::with_logs(&[many(0, 10), logs(&[(10_000, "FATAL", "x")])], &[]).engine();
    let completion = block_on(engine.complete_search("logs", "level:", 6)).unwrap();
    assert_eq!(completion.candidates.len(), 1, "{completion:?}");
    assert_eq!((completion.candidates[0].text.as_str(), completion.candidates[0].detail.as_str()), ("FATAL", "1 rows"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    #[test]
    fn no_text_breaks_the_reader(text in "[a-z:\"()|,*~<>=. \\\\-]{0,40}|(level|OR|AND|NOT|\\||count|by|stats|\\(|\\)|:|-| ){0,20}") {
        let length = text.chars().count();
        if let Err(error) = Search::parse(&text) {
            let place = error.place.expect("an error has a place");
            assert!(place.line >= 1 && place.column >= 1 && place.column <= length + 1, "{error}");
            assert!(!error.message.is_empty());
        }
        super::before(&text);
    }
}
