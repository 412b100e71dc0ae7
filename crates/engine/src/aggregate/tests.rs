//! The laws of every aggregate, and what each computes.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, StringArray, StructArray};
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type, SchemaRef};
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use weir_model::{Compiler, Expression, Laws, SeamResult, same_bytes};

use super::distinct::{Approx, COUNT_DISTINCT_MAX, Distinct, FEW_MAX};
use super::exact::ExactSums;
use super::sketch::{BINS_MAX, Sketch};
use super::top_k::DISTINCT_MAX;
use super::{Accumulator, ArgumentType, accumulator, extra, sum};
use crate::plan::Aggregate;

/// Every aggregate there is, with settings.
fn functions() -> Vec<Aggregate> {
    vec![
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
        Aggregate::CountDistinct,
        Aggregate::ApproxDistinct,
        Aggregate::TopK(2),
        Aggregate::Other { name: "total".to_owned(), arguments: vec!["x".to_owned()] },
    ]
}

#[test]
fn no_aggregate_escapes_the_laws() {
    let source = include_str!("../plan.rs");
    let (_, arms) = source.split_once("pub enum Aggregate {\n").expect("the plan has aggregates");
    let (arms, _) = arms.split_once("\n}").expect("the enum ends");
    let word = |text: &str| text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();
    let arms = arms.lines().filter_map(|line| line.strip_prefix("    "));
    let written: BTreeSet<String> = arms.filter(|arm| arm.starts_with(char::is_uppercase)).map(word).collect();
    let tested: BTreeSet<String> = functions().iter().map(|function| word(&format!("{function:?}"))).collect();
    assert_eq!(written, tested);
}

/// A compiler that brings one aggregate, as users may: a sum of integers.
#[derive(Debug)]
struct Brings;

impl Compiler for Brings {
    fn compile(&self, text: &str, _: &SchemaRef) -> SeamResult<Arc<dyn Expression>> {
        unreachable!("{text} is compiled by nobody here")
    }

    fn accumulator(&self, name: &str, _: &[String], types: &[DataType]) -> SeamResult<Box<dyn Accumulator>> {
        assert_eq!((name, types.len()), ("total", 1));
        let own: Result<Box<dyn Accumulator>, String> = match &types[0] {
            DataType::Int64 => Ok(Box::<sum::WholeSum>::default()),
            other => Err(format!("total takes integers, not {other}")),
        };
        own.map_err(|problem| weir_model::SeamError::new(weir_model::ErrorKind::Config, problem))
    }
}

/// The arguments of `function` for `values`; where it takes times or places, several values have the same.
fn arguments(function: &Aggregate, values: &ArrayRef) -> Vec<ArrayRef> {
    let texts = arrow::compute::cast(values, &DataType::Utf8).expect("every value can be shown");
    let number = |text: Option<&str>| text.map_or(0, |text| text.bytes().map(i64::from).sum::<i64>() % 3);
    let numbers: Int64Array = texts.as_string::<i32>().iter().map(number).map(Some).collect();
    match extra(function) {
        None => vec![values.clone()],
        Some(_) => vec![values.clone(), Arc::new(numbers)],
    }
}

fn make(function: &Aggregate, kind: &ArgumentType) -> Box<dyn Accumulator> {
    accumulator(function, std::slice::from_ref(kind), &Brings).expect("it takes such values")
}

/// One group's result of `values`.
fn whole(function: Aggregate, kind: &ArgumentType, values: &ArrayRef) -> ArrayRef {
    let mut accumulator = make(&function, kind);
    accumulator.update_batch(&arguments(&function, values), &vec![0; values.len()], None, 1);
    accumulator.evaluate(1)
}

/// The laws for every aggregate that takes such values; how many do.
fn check_laws(kind: &ArgumentType, parts: &[ArrayRef]) -> usize {
    let takes = |function: &Aggregate| accumulator(function, std::slice::from_ref(kind), &Brings).is_ok();
    let functions = functions().into_iter().filter(takes);
    let checked = functions.map(|function| {
        let make = || make(&function, kind);
        let laws = Laws { make: &make, values: 1, same: &same_bytes };
        let parts: Vec<Vec<ArrayRef>> = parts.iter().map(|part| arguments(&function, part)).collect();
        laws.check(&parts).unwrap_or_else(|broken| panic!("{function:?}: {broken}"));
    });
    checked.count()
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
    fn every_aggregate_of_floats_keeps_the_laws(
        parts in proptest::collection::vec(proptest::collection::vec(floats(), 0..8), 1..6),
    ) {
        let parts: Vec<ArrayRef> = parts.into_iter().map(|part| Arc::new(Float64Array::from(part)) as ArrayRef).collect();
        prop_assert_eq!(check_laws(&ArgumentType::Float, &parts), functions().len() - 1);
    }

    #[test]
    fn every_aggregate_of_integers_keeps_the_laws(
        parts in proptest::collection::vec(proptest::collection::vec(any::<Option<i64>>(), 0..8), 1..6),
    ) {
        let parts: Vec<ArrayRef> = parts.into_iter().map(|part| Arc::new(Int64Array::from(part)) as ArrayRef).collect();
        prop_assert_eq!(check_laws(&ArgumentType::Whole, &parts), functions().len());
    }

    #[test]
    fn every_aggregate_of_decimals_keeps_the_laws(
        parts in proptest::collection::vec(proptest::collection::vec(any::<Option<i64>>(), 0..8), 1..6),
    ) {
        let decimals = |part: Vec<Option<i64>>| {
            let values: Decimal128Array = part.into_iter().map(|value| value.map(i128::from)).collect();
            Arc::new(values.with_data_type(DataType::Decimal128(20, 2))) as ArrayRef
        };
        let parts: Vec<ArrayRef> = parts.into_iter().map(decimals).collect();
        prop_assert_eq!(check_laws(&ArgumentType::Decimal(20, 2), &parts), functions().len() - 1);
    }

    #[test]
    fn every_aggregate_of_text_keeps_the_laws(
        parts in proptest::collection::vec(proptest::collection::vec(proptest::option::of("[ab]{0,3}"), 0..8), 1..6),
    ) {
        let parts: Vec<ArrayRef> = parts.into_iter().map(|part| Arc::new(StringArray::from(part)) as ArrayRef).collect();
        prop_assert_eq!(check_laws(&ArgumentType::Text, &parts), 8);
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
fn extremes_of_text_are_by_its_bytes() {
    let values: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), None, Some("a"), Some("é")]));
    let result = |function| whole(function, &ArgumentType::Text, &values).as_string::<i32>().value(0).to_owned();
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
        let mut accumulator = make(&function, &ArgumentType::Text);
        accumulator.update_batch(&[values.clone(), times.clone()], &[0; 6], None, 1);
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
    for function in functions().iter().filter(|function| !matches!(function, Aggregate::Count)) {
        let kind = if matches!(function, Aggregate::Other { .. }) { ArgumentType::Whole } else { ArgumentType::Float };
        let state: ArrayRef = Arc::new(arrow::array::BinaryArray::from(vec![Some(&b"short"[..])]));
        assert!(make(function, &kind).merge_batch(&[state], &[0], 1).is_err(), "{function:?}");
        let state: ArrayRef = Arc::new(StringArray::from(vec!["text"]));
        assert!(make(function, &kind).merge_batch(&[state], &[0], 1).is_err(), "{function:?}");
    }
}

#[test]
fn text_cannot_be_summed() {
    let refused =
        accumulator(&Aggregate::Sum, &[ArgumentType::Text], &Brings).map(|_| ()).expect_err("text is no number");
    assert_eq!(refused, "sum takes numbers, not Utf8");
}

#[test]
fn decimals_are_summed_exactly_and_averaged_with_four_places_more() {
    let decimals = |values: Vec<i128>| {
        Arc::new(Decimal128Array::from(values).with_data_type(DataType::Decimal128(38, 2))) as ArrayRef
    };
    let result = |function, values: Vec<i128>| {
        let result = whole(function, &ArgumentType::Decimal(38, 2), &decimals(values));
        (result.data_type().clone(), result.as_primitive::<Decimal128Type>().iter().next().flatten())
    };
    let most = 10_i128.pow(38) - 1;
    assert_eq!(result(Aggregate::Sum, vec![10, 20, -1]), (DataType::Decimal128(38, 2), Some(29)));
    assert_eq!(result(Aggregate::Sum, vec![most, most, -most]), (DataType::Decimal128(38, 2), Some(most)));
    assert_eq!(result(Aggregate::Sum, vec![most, 1]).1, None);
    assert_eq!(result(Aggregate::Avg, vec![1, 0, 0]), (DataType::Decimal128(38, 6), Some(3_333)));
    assert_eq!(result(Aggregate::Avg, vec![2, 0, 0]).1, Some(6_667));
    assert_eq!(result(Aggregate::Avg, vec![-2, 0, 0]).1, Some(-6_667));
    assert_eq!(result(Aggregate::Avg, vec![]).1, None);
    assert_eq!(result(Aggregate::Max, vec![-5, most, 7]), (DataType::Decimal128(38, 2), Some(most)));
}

/// One group's distinct values of integers.
fn distinct(function: Aggregate, values: impl Iterator<Item = i64>) -> Option<i64> {
    let values: ArrayRef = Arc::new(Int64Array::from_iter_values(values));
    whole(function, &ArgumentType::Whole, &values).as_primitive::<Int64Type>().iter().next().flatten()
}

#[test]
fn distinct_values_are_counted_exactly_up_to_the_limit_and_null_beyond() {
    let most = COUNT_DISTINCT_MAX as i64;
    assert_eq!(distinct(Aggregate::CountDistinct, (0..3 * most).map(|value| value % most)), Some(most));
    assert_eq!(distinct(Aggregate::CountDistinct, 0..=most), None);
    let zeros: ArrayRef = Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN]));
    let counted = whole(Aggregate::CountDistinct, &ArgumentType::Float, &zeros);
    assert_eq!(counted.as_primitive::<Int64Type>().value(0), 2, "0 is -0, and what is no number is one value");
}

#[test]
fn distinct_values_are_estimated_within_a_few_standard_errors() {
    let few = FEW_MAX as i64;
    assert_eq!(distinct(Aggregate::ApproxDistinct, 0..few), Some(few));
    for count in [few + 1, 1_000, 4_096, 10_000, 30_000, 100_000] {
        let (mut squares, rounds) = (0.0, 12);
        for round in 0..rounds {
            let from = round * 1_000_000;
            let found = distinct(Aggregate::ApproxDistinct, from..from + count).expect("it always says something");
            let error = found as f64 / count as f64 - 1.0;
            assert!(error.abs() < 0.065, "{found} for {count}: four standard errors of 1.6%");
            squares += error * error;
        }
        let spread = (squares / rounds as f64).sqrt();
        assert!(spread < 0.027, "the spread of {count} is {spread}");
    }
}

proptest! {
    #[test]
    fn a_sketch_of_distinct_values_is_the_same_bytes_in_any_order(
        hashes in proptest::collection::vec(any::<u64>(), 0..1500), cut in 0_usize..1500,
    ) {
        let of = |hashes: &mut dyn Iterator<Item = &u64>| {
            let mut sketch = Approx::default();
            hashes.for_each(|hash| sketch.insert(*hash));
            sketch
        };
        let expected = of(&mut hashes.iter()).write();
        prop_assert_eq!(&of(&mut hashes.iter().rev()).write(), &expected);
        let (head, tail) = hashes.split_at(cut.min(hashes.len()));
        for (first, second) in [(head, tail), (tail, head)] {
            let mut merged = of(&mut first.iter());
            prop_assert!(merged.merge(&of(&mut second.iter()).write()).is_some());
            prop_assert_eq!(&merged.write(), &expected);
        }
    }
}

/// What `top_k` says: values and counts.
fn top(result: &ArrayRef) -> Vec<(i64, i64)> {
    let objects: StructArray = result.as_list::<i32>().value(0).as_struct().clone();
    let column = |index: usize| objects.column(index).as_primitive::<Int64Type>().values().to_vec();
    column(0).into_iter().zip(column(1)).collect()
}

#[test]
fn the_most_frequent_values_come_first_and_of_equally_frequent_ones_the_smallest() {
    let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(5), Some(3), Some(9), None, Some(9), Some(3), Some(1)]));
    assert_eq!(top(&whole(Aggregate::TopK(3), &ArgumentType::Whole, &values)), [(3, 2), (9, 2), (1, 1)]);
    let nothing: ArrayRef = Arc::new(Int64Array::from(vec![None, None]));
    assert!(whole(Aggregate::TopK(3), &ArgumentType::Whole, &nothing).is_null(0));
}

/// `rows` rows of which every tenth has value 7, every twentieth 8, and all others a value of their own or, if there are
/// only `distinct`, one of these; with their places.
fn skewed(rows: i64, distinct: i64) -> Vec<ArrayRef> {
    let value = |row: i64| match row % 20 {
        0 | 10 => 7,
        5 => 8,
        _ => 100 + row % distinct,
    };
    let places = (0..rows).map(|row| row.wrapping_mul(0x5851_f42d_4c95_7f2d));
    vec![Arc::new(Int64Array::from_iter_values((0..rows).map(value))), Arc::new(Int64Array::from_iter_values(places))]
}

#[test]
fn top_k_is_exact_at_its_limit_and_finds_frequent_values_beyond() {
    let result = |arguments: &[ArrayRef]| {
        let mut accumulator = make(&Aggregate::TopK(2), &ArgumentType::Whole);
        accumulator.update_batch(arguments, &vec![0; arguments[0].len()], None, 1);
        (accumulator.size(), top(&accumulator.evaluate(1)))
    };
    let at_limit = skewed(20_000, DISTINCT_MAX as i64 - 2);
    assert_eq!(result(&at_limit).1, [(7, 2_000), (8, 1_000)]);
    let rows = 200_000;
    let (bytes, found) = result(&skewed(rows, rows));
    let [(7, tenth), (8, twentieth)] = found[..] else { panic!("{found:?}") };
    let allowed = rows * 14 / 10_000;
    assert!((rows / 10..=rows / 10 + allowed).contains(&tenth), "{tenth}");
    assert!((rows / 20..=rows / 20 + allowed).contains(&twentieth), "{twentieth}");
    assert!(bytes < 400_000, "{bytes} bytes, however many values there are");
}

#[test]
fn top_k_keeps_the_laws_beyond_its_limit_and_its_states_are_the_same_bytes() {
    let arguments = skewed(9_000, 9_000);
    let cut = |from: usize, rows: usize| arguments.iter().map(|column| column.slice(from, rows)).collect::<Vec<_>>();
    let parts = [cut(0, 700), cut(700, 4_000), cut(4_700, 10), cut(4_710, 4_290)];
    let make = || make(&Aggregate::TopK(10), &ArgumentType::Whole);
    Laws { make: &make, values: 1, same: &same_bytes }.check(&parts).expect("the laws hold");
    let state = |parts: &mut dyn Iterator<Item = &Vec<ArrayRef>>| {
        let mut accumulator = make();
        parts.for_each(|part| accumulator.update_batch(part, &vec![0; part[0].len()], None, 1));
        accumulator.state(1)
    };
    let expected = state(&mut parts.iter());
    assert_eq!(state(&mut parts.iter().rev()), expected);
    let mut merged = make();
    parts.iter().rev().for_each(|part| {
        merged.merge_batch(&state(&mut std::iter::once(part)), &[0], 1).expect("these are states");
    });
    assert_eq!(merged.state(1), expected);
}
