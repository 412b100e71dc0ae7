//! Stories of records of several lines.

use proptest::prelude::*;

use super::*;
use crate::cutting::{records_at_once, records_in_pieces};

fn framer(pattern: &str) -> PatternFramer {
    PatternFramer::new(pattern.parse().expect("a pattern"))
}

fn records(pattern: &str, text: &str) -> Vec<String> {
    let cut = records_at_once(&framer(pattern), text.as_bytes());
    cut.into_iter().map(|(start, length)| text[start..start + length].to_owned()).collect()
}

#[test]
fn lines_that_do_not_begin_a_record_belong_to_the_one_before() {
    let text = "2026-01-01 failed\r\n\tat a.b\r\nCaused by: x\n2026-01-02 fine\n\n2026-01-03 end";
    assert_eq!(
        records(r"^\d{4}-", text),
        ["2026-01-01 failed\r\n\tat a.b\r\nCaused by: x", "2026-01-02 fine\n", "2026-01-03 end"]
    );
}

#[test]
fn what_comes_before_the_first_beginning_is_a_record_of_its_own() {
    assert_eq!(records("^S", "banner\nmore\nS1\nS2\n"), ["banner\nmore", "S1", "S2"]);
    assert_eq!(records("^S", ""), [""; 0]);
}

#[test]
fn a_record_is_open_until_the_next_begins() {
    assert_eq!(framer("^S").frame(b"S1\nx\n", 0, false), Framed::Incomplete);
    assert_eq!(framer("^S").frame(b"S1\nx\nS", 5, false), Framed::Incomplete, "the line is not whole yet");
    assert_eq!(framer("^S").frame(b"S1\nx\nS2\n", 6, false), Framed::Record { record: 4, next: 5 });
    assert!(framer("^S").needs_lookahead());
}

#[test]
fn a_pattern_that_is_none_or_too_large_is_refused() {
    let refusal = |text: &str| text.parse::<LinePattern>().expect_err("refused");
    assert!(refusal("(").contains("\"(\" is not a regular expression"), "{}", refusal("("));
    assert!(refusal(r"(\w{1000}){1000}").contains("limit"), "{}", refusal(r"(\w{1000}){1000}"));
}

proptest! {
    #[test]
    fn cutting_elsewhere_gives_the_same_records(text in "[ab\r\n]{0,60}", mut cuts in prop::collection::vec(0_usize..60, 0..6)) {
        cuts.iter_mut().for_each(|cut| *cut = (*cut).min(text.len()));
        cuts.sort_unstable();
        let framer = framer("^a");
        prop_assert_eq!(records_in_pieces(&framer, text.as_bytes(), &cuts), records_at_once(&framer, text.as_bytes()));
    }
}
