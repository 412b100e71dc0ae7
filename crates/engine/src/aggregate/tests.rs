//! The laws of every aggregate, and what each computes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use super::exact::ExactSums;
use super::sketch::{BINS_MAX, Sketch};
use super::{Accumulator, ArgumentType, accumulator, takes_times, timed};
use crate::plan::Aggregate;

const FUNCTIONS: [Aggregate; 10] = [
    Aggregate::Count,
    Aggregate::Sum,
    Aggregate::Avg,
    Aggregate::Min,
    Aggregate::Max,
    Aggregate::Quantile(0.95),
    Aggregate::Variance,
    Aggregate::Stddev,
    Aggregate::First,
    Aggregate::Last,
];

/// `values` as `function` takes them; where it takes times, several values have the same.
fn argument(function: Aggregate, values: &ArrayRef) -> ArrayRef {
    let kind = |bits: u64| (bits % 3) as i64;
    let times: Int64Array = match values.data_type() {
        DataType::Float64 => {
            values.as_primitive::<Float64Type>().iter().map(|value| kind(value.map_or(0, f64::to_bits))).collect()
        }
        _ => values.as_primitive::<Int64Type>().iter().map(|value| kind(value.unwrap_or(0) as u64)).collect(),
    };
    if takes_times(function) { timed(&(Arc::new(times) as ArrayRef), values) } else { values.clone() }
}

fn make(function: Aggregate, kind: &ArgumentType) -> Box<dyn Accumulator> {
    accumulator(function, Some(kind)).expect("it takes numbers")
}

/// One group's result of `values`.
fn whole(function: Aggregate, kind: &ArgumentType, values: &ArrayRef) -> ArrayRef {
    let mut accumulator = make(function, kind);
    accumulator.update_batch(Some(&argument(function, values)), &vec![0; values.len()], None, 1);
    accumulator.evaluate(1)
}

/// The result of parts whose states are merged in the order of `order`, in pairs as a tree or one after the other.
fn merged(function: Aggregate, kind: &ArgumentType, parts: &[ArrayRef], reverse: bool, tree: bool) -> ArrayRef {
    let state = |values: &ArrayRef| {
        let mut accumulator = make(function, kind);
        accumulator.update_batch(Some(&argument(function, values)), &vec![0; values.len()], None, 1);
        accumulator.state(1)
    };
    let mut states: Vec<Vec<ArrayRef>> = parts.iter().map(state).collect();
    if reverse {
        states.reverse();
    }
    let merge = |states: &[Vec<ArrayRef>]| {
        let mut accumulator = make(function, kind);
        states.iter().for_each(|state| accumulator.merge_batch(state, &[0], 1).expect("these are states"));
        accumulator
    };
    while tree && states.len() > 2 {
        states = states.chunks(2).map(|pair| merge(pair).state(1)).collect();
    }
    merge(&states).evaluate(1)
}

/// Bytes that tell two results apart, also 0 from -0.
fn bits(result: &ArrayRef) -> String {
    match result.data_type() {
        DataType::Float64 => format!(
            "{:?}",
            result.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits)).collect::<Vec<_>>()
        ),
        _ => format!("{:?}", result.as_primitive::<Int64Type>().iter().collect::<Vec<_>>()),
    }
}

fn check_laws(kind: &ArgumentType, parts: &[ArrayRef]) {
    let all: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
    let all = arrow::compute::concat(&all).expect("the parts are of one type");
    for function in FUNCTIONS {
        let expected = bits(&whole(function, kind, &all));
        for (reverse, tree) in [(false, false), (true, false), (false, true), (true, true)] {
            assert_eq!(bits(&merged(function, kind, parts, reverse, tree)), expected, "{function:?} {reverse} {tree}");
        }
    }
}

fn floats() -> impl Strategy<Value = Option<f64>> {
    let any_float = any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite());
    proptest::option::of(proptest::prop_oneof![
        any_float,
        -1e6..1e6,
        (-400_i32..400).prop_map(|value| f64::from(value) / 10.0)
    ])
}

proptest! {
    #[test]
    fn merging_floats_is_associative_and_commutative_and_parts_are_the_whole(
        parts in proptest::collection::vec(proptest::collection::vec(floats(), 0..8), 1..6),
    ) {
        let parts: Vec<ArrayRef> = parts.into_iter().map(|part| Arc::new(Float64Array::from(part)) as ArrayRef).collect();
        check_laws(&ArgumentType::Float, &parts);
    }

    #[test]
    fn merging_integers_is_associative_and_commutative_and_parts_are_the_whole(
        parts in proptest::collection::vec(proptest::collection::vec(any::<Option<i64>>(), 0..8), 1..6),
    ) {
        let parts: Vec<ArrayRef> = parts.into_iter().map(|part| Arc::new(Int64Array::from(part)) as ArrayRef).collect();
        check_laws(&ArgumentType::Whole, &parts);
    }

    #[test]
    fn a_sum_is_the_exact_sum_rounded_once(scaled in proptest::collection::vec(-(1_i64 << 52)..1 << 52, 1..40), exponent in -300_i32..200) {
        // Integers times one power of two: their sum fits 128 bits, and `as f64` rounds it once.
        let unit = 2f64.powi(exponent);
        let mut sums = ExactSums::default();
        sums.resize(1);
        scaled.iter().for_each(|value| sums.add(0, *value as f64 * unit));
        let exact = scaled.iter().map(|value| i128::from(*value)).sum::<i128>() as f64 * unit;
        prop_assert_eq!(sums.take().next(), Some(exact));
    }

    #[test]
    fn a_quantile_is_within_one_percent_of_the_value_with_that_rank(
        mut values in proptest::collection::vec(proptest::prop_oneof![1e-3..1e9, -1e6..-1e-3, proptest::prelude::Just(0.0)], 1..200),
        quantile in 0.0..=1.0,
    ) {
        let mut sketch = Sketch::default();
        values.iter().for_each(|value| sketch.add(*value));
        values.sort_by(f64::total_cmp);
        let expected = values[(quantile * (values.len() - 1) as f64) as usize];
        let found = sketch.quantile(quantile).expect("there are values");
        prop_assert!((found - expected).abs() <= 0.01 * expected.abs(), "{found} for {expected}");
        prop_assert_eq!(Sketch::read(&sketch.write()), Some(sketch));
    }
}

#[test]
fn sums_do_not_lose_small_values_between_large_ones() {
    let values: ArrayRef =
        Arc::new(Float64Array::from(vec![1e300, 0.1, -1e300, 0.2, 5e-324, -5e-324, 1e22, 0.3, -1e22]));
    assert_eq!(whole(Aggregate::Sum, &ArgumentType::Float, &values).as_primitive::<Float64Type>().value(0), 0.6);
}

#[test]
fn sums_beyond_all_floats_are_infinite_and_what_is_no_number_stays_so() {
    let sum = |values: Vec<f64>| {
        let values: ArrayRef = Arc::new(Float64Array::from(values));
        whole(Aggregate::Sum, &ArgumentType::Float, &values).as_primitive::<Float64Type>().value(0)
    };
    assert_eq!(sum(vec![f64::MAX, f64::MAX]), f64::INFINITY);
    assert_eq!(sum(vec![f64::MAX, f64::MAX, -f64::MAX]), f64::MAX);
    assert_eq!(sum(vec![1.0, f64::NEG_INFINITY]), f64::NEG_INFINITY);
    assert!(sum(vec![f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    assert!(sum(vec![f64::NAN, 1.0]).is_nan());
}

#[test]
fn a_sum_of_integers_that_does_not_fit_is_null_and_recovers() {
    let sum = |values: Vec<i64>| {
        let values: ArrayRef = Arc::new(Int64Array::from(values));
        whole(Aggregate::Sum, &ArgumentType::Whole, &values).as_primitive::<Int64Type>().iter().next().flatten()
    };
    assert_eq!(sum(vec![i64::MAX, 1]), None);
    assert_eq!(sum(vec![i64::MAX, 1, -1]), Some(i64::MAX));
}

#[test]
fn filters_and_nulls_are_passed_over_by_every_aggregate() {
    let values: ArrayRef = Arc::new(Float64Array::from(vec![Some(1.0), None, Some(3.0), Some(100.0)]));
    let filter = BooleanArray::from(vec![true, true, true, false]);
    let result = |function| {
        let mut accumulator = make(function, &ArgumentType::Float);
        accumulator.update_batch(Some(&values), &[1, 1, 1, 1], Some(&filter), 2);
        arrow::compute::cast(&accumulator.evaluate(2), &DataType::Float64)
            .expect("a number")
            .as_primitive::<Float64Type>()
            .clone()
    };
    assert_eq!(result(Aggregate::Count), Float64Array::from(vec![0.0, 2.0]));
    assert_eq!(result(Aggregate::Sum), Float64Array::from(vec![None, Some(4.0)]));
    assert_eq!(result(Aggregate::Avg), Float64Array::from(vec![None, Some(2.0)]));
    assert_eq!(result(Aggregate::Min), Float64Array::from(vec![None, Some(1.0)]));
    assert_eq!(result(Aggregate::Max), Float64Array::from(vec![None, Some(3.0)]));
}

#[test]
fn extremes_of_text_are_by_its_bytes() {
    let values: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), None, Some("a"), Some("é")]));
    let result = |function| {
        let mut accumulator = make(function, &ArgumentType::Text);
        accumulator.update_batch(Some(&values), &[0; 4], None, 1);
        accumulator.evaluate(1).as_string::<i32>().value(0).to_owned()
    };
    assert_eq!((result(Aggregate::Min), result(Aggregate::Max)), ("a".to_owned(), "é".to_owned()));
}

proptest! {
    #[test]
    fn a_variance_is_as_exact_where_values_are_large_and_close(
        spread in proptest::collection::vec(-1000_i64..1000, 2..40),
        base in proptest::sample::select(vec![0.0, 1000.5, 1e9, -1e12]),
        unit in proptest::sample::select(vec![1.0, 0.125, 1024.0]),
    ) {
        // Differences that floats hold exactly, whatever is added to them.
        let values: ArrayRef = Arc::new(Float64Array::from_iter_values(spread.iter().map(|value| base + *value as f64 * unit)));
        let count = spread.len() as i128;
        let (sum, squares) = (spread.iter().sum::<i64>() as i128, spread.iter().map(|value| value * value).sum::<i64>() as i128);
        let expected = (count * squares - sum * sum) as f64 / (count * (count - 1)) as f64 * unit * unit;
        let found = whole(Aggregate::Variance, &ArgumentType::Float, &values).as_primitive::<Float64Type>().value(0);
        let allowed = 1e-13 * expected + 1e-29 * base * base;
        prop_assert!((found - expected).abs() <= allowed, "{found} for {expected}");
    }
}

#[test]
fn the_variance_of_less_than_two_values_is_null_and_of_infinite_ones_no_number() {
    let of = |values: Vec<f64>| {
        let values: ArrayRef = Arc::new(Float64Array::from(values));
        whole(Aggregate::Stddev, &ArgumentType::Float, &values).as_primitive::<Float64Type>().iter().next().flatten()
    };
    assert_eq!(of(vec![]), None);
    assert_eq!(of(vec![3.0]), None);
    assert_eq!(of(vec![3.0, 3.0]), Some(0.0));
    assert_eq!(of(vec![1.0, 2.0, 3.0]), Some(1.0));
    assert!(of(vec![1.0, f64::INFINITY]).is_some_and(f64::is_nan));
}

#[test]
fn first_and_last_are_by_event_time_and_then_by_value() {
    let times: ArrayRef = Arc::new(Int64Array::from(vec![2, 1, 1, 3, 3, 0]));
    let values: ArrayRef =
        Arc::new(StringArray::from(vec![Some("d"), Some("c"), Some("b"), Some("e"), Some("f"), None]));
    let result = |function| {
        let mut accumulator = make(function, &ArgumentType::Text);
        accumulator.update_batch(Some(&timed(&times, &values)), &[0; 6], None, 1);
        accumulator.evaluate(1).as_string::<i32>().value(0).to_owned()
    };
    assert_eq!((result(Aggregate::First), result(Aggregate::Last)), ("b".to_owned(), "f".to_owned()));
}

#[test]
fn a_sketch_keeps_its_upper_bins_when_it_has_too_many() {
    let mut sketch = Sketch::default();
    (-300..300).for_each(|exponent| sketch.add(10f64.powi(exponent)));
    assert!(sketch.write().len() <= 8 + 2 * 8 + BINS_MAX * 8);
    let top = sketch.quantile(1.0).expect("there are values");
    assert!((top / 1e299 - 1.0).abs() <= 0.01, "{top}");
}

#[test]
fn damaged_states_are_errors() {
    for function in [Aggregate::Sum, Aggregate::Quantile(0.5), Aggregate::Variance, Aggregate::First] {
        let state: ArrayRef = Arc::new(arrow::array::BinaryArray::from(vec![Some(&b"short"[..])]));
        assert!(make(function, &ArgumentType::Float).merge_batch(&[state], &[0], 1).is_err(), "{function:?}");
        let state: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        assert!(make(function, &ArgumentType::Float).merge_batch(&[state], &[0], 1).is_err(), "{function:?}");
    }
}

#[test]
fn text_cannot_be_summed() {
    let refused = accumulator(Aggregate::Sum, Some(&ArgumentType::Text)).map(|_| ()).expect_err("text is no number");
    assert_eq!(refused, "sum takes numbers, not Utf8");
}
