//! Stories of lines.

use proptest::prelude::*;

use super::*;
use crate::cutting::{records_at_once, records_in_pieces};

fn lines(text: &str) -> Vec<&str> {
    records_at_once(&LineFramer, text.as_bytes())
        .into_iter()
        .map(|(start, length)| &text[start..start + length])
        .collect()
}

#[test]
fn a_line_is_a_record_with_either_line_end_or_none() {
    assert_eq!(lines("a\nb\r\n\nc\r"), ["a", "b", "", "c"]);
    assert_eq!(lines("a\n"), ["a"]);
    assert_eq!(lines(""), [""; 0]);
}

#[test]
fn a_line_without_an_end_is_a_record_only_when_nothing_follows() {
    assert_eq!(LineFramer.frame(b"abc", 0, false), Framed::Incomplete);
    assert_eq!(LineFramer.frame(b"abc", 3, true), Framed::Record { record: 3, next: 3 });
    assert!(!LineFramer.needs_lookahead());
}

proptest! {
    #[test]
    fn cutting_elsewhere_gives_the_same_records(text in "[ab\r\n]{0,60}", mut cuts in prop::collection::vec(0_usize..60, 0..6)) {
        cuts.iter_mut().for_each(|cut| *cut = (*cut).min(text.len()));
        cuts.sort_unstable();
        prop_assert_eq!(records_in_pieces(&LineFramer, text.as_bytes(), &cuts), records_at_once(&LineFramer, text.as_bytes()));
    }
}
