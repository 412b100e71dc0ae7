//! Paths into a tree.

use super::{parse_path, show_path};

fn names(path: &str) -> Vec<String> {
    parse_path(path).map(|segments| segments.into_iter().map(|segment| segment.name).collect()).unwrap_or_default()
}

#[test]
fn paths_have_keys_indexes_and_quoted_keys() {
    assert_eq!(names("a.b.0.c"), ["a", "b", "0", "c"]);
    assert_eq!(names("a.b[0].c"), ["a", "b", "0", "c"]);
    assert_eq!(names("a[0][1]"), ["a", "0", "1"]);
    assert_eq!(names("schema.\"tags.env\""), ["schema", "tags.env"]);
}

#[test]
fn paths_that_are_none_say_where_they_break() {
    let broken = |path| parse_path(path).map_err(|(at, message)| format!("{at}: {message}")).unwrap_err();
    assert_eq!(broken(""), "0: a key is missing");
    assert_eq!(broken("a."), "2: a key is missing");
    assert_eq!(broken("a..b"), "2: a key is missing");
    assert_eq!(broken("a[1"), "1: a `[` that is not closed");
    assert_eq!(broken("a[x]"), "2: an index that is not a number");
    assert_eq!(broken("a.\"b"), "2: a quote that is not closed");
    assert_eq!(broken("\"a\"b"), "3: a dot is missing");
}

#[test]
fn paths_are_shown_as_they_are_written() {
    let path = parse_path("steps.0.\"a.b\"").unwrap_or_default();
    assert_eq!(show_path(&path, |depth| depth == 1), "steps[0].\"a.b\"");
}
