//! How watermarks follow from event times.

use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use weir_model::TimeDelta;

use super::UNKNOWN;
use super::partition::Rule;
use crate::plan::WatermarkPlan;

fn periodic(delay: i64, every: i64) -> Rule {
    let micros = TimeDelta::from_micros;
    Rule::new(Some(&WatermarkPlan::Periodic { delay: micros(delay), every: micros(every) }))
}

proptest! {
    #[test]
    fn a_time_reaches_a_watermark_exactly_from_the_time_that_the_rule_names(
        delay in 0_i64..50, every in 1_i64..30, mark in -100_i64..100, latest in -100_i64..200,
    ) {
        let rule = periodic(delay, every);
        prop_assert_eq!(rule.mark(latest) >= mark, latest >= rule.reached_at(mark));
        prop_assert!(rule.mark(latest) <= latest - delay);
        prop_assert_eq!(rule.mark(latest).rem_euclid(every), 0);
    }
}

#[test]
fn nothing_overflows_at_the_ends_of_time() {
    let rule = periodic(10, 7);
    assert_eq!(rule.mark(UNKNOWN), UNKNOWN);
    assert!(rule.mark(i64::MAX) <= i64::MAX - 10);
    assert_eq!(rule.reached_at(i64::MAX), i64::MAX);
    assert!(rule.reached_at(UNKNOWN + 1) < 0);
}
