//! Aggregate calls taken apart.
#![allow(clippy::unwrap_used)]

use super::{Parameter, parse_aggregate};
use crate::SqlErrorKind;

fn parsed(text: &str) -> String {
    let call = parse_aggregate(text).unwrap();
    let parameters: Vec<String> = call
        .parameters
        .iter()
        .map(|parameter| match parameter {
            Parameter::Number(number) => number.to_string(),
            Parameter::Text(text) => format!("'{text}'"),
        })
        .collect();
    format!("{} [{}] {} {:?}", call.function, parameters.join(" "), call.arguments.join(" | "), call.filter)
}

#[test]
fn calls_are_taken_apart() {
    assert_eq!(parsed("count(*)"), "count []  None");
    assert_eq!(parsed("COUNT(x)"), "count [] x None");
    assert_eq!(parsed("stddev(x)"), "stddev [] x None");
    assert_eq!(parsed("Variance(x + y)"), "variance [] x + y None");
    assert_eq!(parsed("first(x)"), "first [] x None");
    assert_eq!(parsed("last(x) FILTER (WHERE y)"), "last [] x Some(\"y\")");
    assert_eq!(parsed("sum(a * 2)"), "sum [] a * 2 None");
    assert_eq!(parsed("quantile(0.95, tags.\"Took\")"), "quantile [0.95] tags.\"Took\" None");
    assert_eq!(
        parsed("count(*) FILTER (WHERE level = 'ERROR' AND a > 1)"),
        "count []  Some(\"level = 'ERROR' AND a > 1\")"
    );
}

#[test]
fn columns_of_a_call_know_which_are_numbers() {
    let uses = |text| {
        let uses = parse_aggregate(text).unwrap().columns().unwrap();
        uses.into_iter().map(|used| (used.name, used.numeric)).collect::<Vec<_>>()
    };
    assert_eq!(uses("sum(Took) FILTER (WHERE level = 'x')"), [("Took".to_owned(), true), ("level".to_owned(), false)]);
    assert_eq!(uses("quantile(0.5, tags.took)"), [("tags.took".to_owned(), true)]);
    assert_eq!(uses("stddev(took)"), [("took".to_owned(), true)]);
    assert_eq!(uses("last(message)"), [("message".to_owned(), false)]);
    assert_eq!(uses("max(ts)"), [("ts".to_owned(), false)]);
    assert_eq!(uses("sum(length(message))"), [("message".to_owned(), false)]);
    assert_eq!(uses("count(*)"), []);
}

#[test]
fn an_unknown_aggregate_is_named_with_what_was_meant() {
    let error = parse_aggregate("  cuont(*)").unwrap_err();
    assert_eq!((error.kind, error.column), (SqlErrorKind::UnknownFunction, Some(3)));
    assert!(error.to_string().starts_with("there is no aggregate \"cuont\" (did you mean count? There are"), "{error}");
    for (elsewhere, here) in [
        ("approx_median(x)", "did you mean median(x)?"),
        ("uniq(x)", "did you mean approx_distinct(x)?"),
        ("topk(x)", "did you mean top_k(10, x)?"),
        ("stddev_samp(x)", "did you mean stddev(x)?"),
        ("first_value(x)", "did you mean first(x)?"),
        ("latest(x)", "did you mean last(x)?"),
        ("array_agg(x)", "depends on the order of rows"),
        ("kurtosis(x)", "stddev(x), first(x), last(x)"),
    ] {
        let error = parse_aggregate(elsewhere).unwrap_err();
        assert!(error.to_string().contains(here), "{error}");
    }
}

#[test]
fn what_is_not_one_plain_call_is_refused_with_what_would_be_right() {
    for (text, part) in [
        ("count(*) + 1", "is not the call of an aggregate"),
        (
            "count(DISTINCT x)",
            "DISTINCT or ALL cannot be used with count (write count_distinct(x) or approx_distinct(x))",
        ),
        ("corr(x)", "corr takes 2 argument(s), not 1 (write corr(y, x))"),
        ("top_k(x)", "write top_k(10, x)"),
        ("top_k(0, x)", "a whole one from 1 to 100"),
        ("top_k(2.5, x)", "a whole one from 1 to 100"),
        ("top_k(101, x)", "a whole one from 1 to 100"),
        ("sum(*)", "\"*\" cannot be used with sum (write sum(x))"),
        ("last(*)", "\"*\" cannot be used with last (write last(x))"),
        ("first(a, b)", "first takes 1 argument(s), not 2"),
        ("first(x ORDER BY y)", "ORDER BY"),
        ("sum(a, b)", "sum takes 1 argument(s), not 2"),
        ("count()", "count takes 1 argument(s), not 0"),
        ("quantile(x)", "write quantile(0.95, x)"),
        ("quantile(1.5, x)", "a share that is not a number from 0 to 1"),
        ("quantile(-0.5, x)", "a share that is not a number from 0 to 1"),
        ("quantile('p95', x)", "a share that is not a number from 0 to 1"),
        ("quantile(y, x)", "a parameter that is not a literal"),
        ("sum(x) OVER ()", "OVER cannot be used with sum"),
        ("sum(x ORDER BY y)", "ORDER BY"),
        ("count(*", "the text ends where"),
        ("", "the expression is empty"),
    ] {
        let error = parse_aggregate(text).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}
