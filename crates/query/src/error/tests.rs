//! Places and words of errors.

use super::{Place, QueryError, QueryErrorCode, listed};

#[test]
fn a_place_counts_lines_and_characters_from_one() {
    let text = "SELECT é,\n  x FROM t";
    assert_eq!(Place::of(text, 1), Place { line: 1, column: 1 });
    assert_eq!(Place::of(text, 9), Place { line: 1, column: 9 });
    assert_eq!(Place::of(text, 13), Place { line: 2, column: 3 });
}

#[test]
fn an_error_reads_as_one_sentence() {
    let error = QueryError::new(QueryErrorCode::UnknownColumn, "there is no column \"levle\"");
    let error = error.at_word("SELECT\nlevle", "levle").hint("did you mean \"level\"?");
    let expected = "there is no column \"levle\" at line 2, column 1 (did you mean \"level\"?)";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn long_lists_of_names_are_cut() {
    let names = vec!["x"; 25];
    assert!(listed(&names).ends_with("x, x and 5 more"));
}
