//! The gate lets through what people write and stops what machines write.
#![allow(clippy::unwrap_used)]

use super::Gate;
use crate::{SqlError, SqlErrorKind};

fn refused(text: &str) -> SqlError {
    Gate::default().check(text).unwrap_err()
}

fn chain(term: &str, joint: &str, terms: usize) -> String {
    vec![term; terms].join(joint)
}

#[test]
fn what_people_write_passes() {
    let long = format!("SELECT {} FROM logs WHERE a IN ({})", chain("a", ", ", 300), chain("'x'", ",", 1_000));
    for text in ["SELECT 1", "level IN ('ERROR', 'FATAL') AND NOT a.b IS NULL -- why", long.as_str(), ""] {
        assert!(Gate::default().check(text).is_ok(), "{text}");
    }
}

#[test]
fn four_hundred_operators_pass_and_one_more_does_not() {
    assert!(Gate::default().check(&chain("1", "+", 401)).is_ok());
    let error = refused(&chain("1", "+", 402));
    assert_eq!(error.kind, SqlErrorKind::TooComplex);
    assert_eq!(error.message, "the SQL text has more than 400 operators");
    assert_eq!(error.column, Some(802), "the operator that is one too many");
}

#[test]
fn every_way_to_make_a_chain_counts() {
    for (start, link) in [
        ("a", " OR a"),
        ("a", " LIKE a"),
        ("a", "::int"),
        ("a", "[1]"),
        ("a", " IS NULL"),
        ("a", " COLLATE x"),
        ("a", " BETWEEN 1"),
        ("", " NOT"),
        ("", " -"),
        ("", "~ "),
        ("CASE", " WHEN a THEN b"),
        ("a", " AT TIME ZONE 'x'"),
        ("a", "->'x'"),
        ("SELECT 1", " UNION SELECT 1"),
        ("SELECT 1 FROM a", " JOIN a USING (a)"),
        ("a", ".a"),
        ("a", ",a"),
        ("", "("),
        ("", " CASE"),
        ("", "{"),
    ] {
        let text = format!("{start}{}", link.repeat(2_001));
        assert_eq!(refused(&text).kind, SqlErrorKind::TooComplex, "{link}");
    }
}

#[test]
fn words_and_brackets_inside_of_texts_and_quoted_names_do_not_count() {
    let text = format!("a = '{}' AND \"{}\" = 1 /* {} */", "( AND ".repeat(500), "[ OR ".repeat(500), "(+".repeat(500));
    assert!(Gate::default().check(&text).is_ok());
}

#[test]
fn a_text_may_have_64_kib() {
    let text = |bytes: usize| format!("'{}'", "x".repeat(bytes - 2));
    assert!(Gate::default().check(&text(64 << 10)).is_ok());
    assert_eq!(refused(&text((64 << 10) + 1)).kind, SqlErrorKind::TooLong);
}

#[test]
fn what_is_no_token_is_refused_with_its_place() {
    let error = refused("a = 1 AND\n b = 'open");
    assert_eq!((error.kind, error.column), (SqlErrorKind::Syntax, Some(16)));
}
