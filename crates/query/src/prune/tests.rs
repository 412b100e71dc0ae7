//! Which segments a condition leaves.
#![allow(clippy::unwrap_used)]

use datafusion::logical_expr::{Expr, lit};
use datafusion::prelude::ident;
use datafusion::scalar::ScalarValue;

use super::TimeBounds;

fn at(micros: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())))
}

fn bounds(filter: Expr) -> (i64, i64, bool) {
    let bounds = TimeBounds::of(&[filter], "ts");
    (bounds.min, bounds.max, bounds.null_passes)
}

#[test]
fn comparisons_bound_the_time() {
    let ts = || ident("ts");
    assert_eq!(bounds(ts().gt_eq(at(5)).and(ts().lt(at(9)))), (5, 8, false));
    assert_eq!(bounds(ts().gt(at(5))), (6, i64::MAX, false));
    assert_eq!(bounds(at(5).lt_eq(ts())), (5, i64::MAX, false));
    assert_eq!(bounds(ts().eq(at(5))), (5, 5, false));
    assert_eq!(bounds(ts().between(at(2), at(3))), (2, 3, false));
    assert_eq!(bounds(ts().is_not_null()), (i64::MIN, i64::MAX, false));
}

#[test]
fn alternatives_keep_what_either_leaves() {
    let ts = || ident("ts");
    assert_eq!(bounds(ts().lt(at(3)).or(ts().eq(at(9)))), (i64::MIN, 9, false));
    assert_eq!(bounds(ts().gt(at(3)).or(ts().is_null())), (i64::MIN, i64::MAX, true));
    assert_eq!(bounds(ts().gt(at(3)).or(ident("x").eq(lit(1)))), (i64::MIN, i64::MAX, true));
}

#[test]
fn what_is_not_about_the_time_leaves_everything() {
    for filter in [ident("x").gt(at(5)), ident("ts").not_eq(at(5)), ident("ts").gt(ident("x")), lit(true)] {
        assert_eq!(bounds(filter), (i64::MIN, i64::MAX, true));
    }
}

#[test]
fn finer_and_coarser_literals_never_lose_a_row() {
    let nanos = |value| lit(ScalarValue::TimestampNanosecond(Some(value), Some("UTC".into())));
    let ts = || ident("ts");
    assert_eq!(bounds(ts().gt(nanos(1_500))), (2, i64::MAX, false));
    assert_eq!(bounds(ts().lt(nanos(1_500))), (i64::MIN, 1, false));
    assert_eq!(bounds(ts().lt(nanos(2_000))), (i64::MIN, 1, false));
    assert_eq!(bounds(ts().gt_eq(nanos(-1_500))), (-1, i64::MAX, false));
    assert_eq!(bounds(ts().gt_eq(lit(ScalarValue::TimestampSecond(Some(1), None)))), (1_000_000, i64::MAX, false));
    assert_eq!(bounds(ts().gt_eq(lit(ScalarValue::TimestampSecond(Some(i64::MAX), None)))), (i64::MIN, i64::MAX, true));
}

#[test]
fn a_segment_without_times_passes_only_where_rows_without_times_may() {
    let bounded = TimeBounds::of(&[ident("ts").gt(at(5))], "ts");
    assert!(!bounded.may_pass(None));
    assert!(!bounded.may_pass(Some((1, 5))));
    assert!(bounded.may_pass(Some((1, 6))));
    assert!(TimeBounds::of(&[], "ts").may_pass(None));
}
