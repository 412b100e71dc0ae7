//! Columns that are missing, appear, or change their type.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Decimal128Array, Float64Array, Int32Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Int64Type};

use super::{Names, batch, emitted, rejected, step, window_plan};
use crate::{Aggregate, Engine, Input};

fn engine(compute: &[(&str, Aggregate, Option<&str>)]) -> Engine {
    Engine::new(window_plan(&["in"], &["key"], compute), Arc::new(Names)).expect("the plan is right")
}

fn rows(seconds: &[i64], columns: Vec<(&str, ArrayRef)>) -> Input {
    Input::Batch { source: 0, batch: batch("p0", seconds, columns) }
}

#[test]
fn a_column_that_appears_later_is_null_before() {
    let mut engine = engine(&[
        ("n", Aggregate::Count, None),
        ("values", Aggregate::Count, Some("value")),
        ("total", Aggregate::Sum, Some("value")),
    ]);
    let keys = || -> ArrayRef { Arc::new(StringArray::from(vec!["a", "b"])) };
    step(&mut engine, rows(&[1, 2], vec![("key", keys())]));
    step(&mut engine, rows(&[3, 4], vec![("key", keys()), ("value", Arc::new(Int64Array::from(vec![Some(5), None])))]));
    let results = &emitted(step(&mut engine, Input::End))[0];
    let column = |name: &str| results[name].as_primitive::<Int64Type>().clone();
    assert_eq!(column("n"), Int64Array::from(vec![2, 2]));
    assert_eq!(column("values"), Int64Array::from(vec![1, 0]));
    assert_eq!(column("total"), Int64Array::from(vec![Some(5), None]));
}

#[test]
fn whole_numbers_of_every_width_and_decimals_are_taken() {
    let mut engine = engine(&[
        ("total", Aggregate::Sum, Some("value")),
        ("mean", Aggregate::Avg, Some("exact")),
        ("last", Aggregate::Max, Some("at")),
    ]);
    let exact = Decimal128Array::from(vec![150, 250]).with_precision_and_scale(10, 2).expect("they fit");
    let at = TimestampMicrosecondArray::from(vec![7, 9]).with_timezone("UTC");
    step(
        &mut engine,
        rows(
            &[1, 2],
            vec![
                ("value", Arc::new(Int32Array::from(vec![1, 2]))),
                ("exact", Arc::new(exact)),
                ("at", Arc::new(at.clone())),
            ],
        ),
    );
    let results = &emitted(step(&mut engine, Input::End))[0];
    assert_eq!(results["total"].as_primitive::<Int64Type>().value(0), 3);
    let mean = Decimal128Array::from(vec![2_000_000]).with_precision_and_scale(38, 6).expect("it fits");
    assert_eq!(results["mean"].as_ref(), &mean as &dyn Array, "2, with four places more than the values have");
    assert_eq!(results["last"].as_ref(), &at.slice(1, 1) as &dyn Array);
    assert_eq!(*results["key"].data_type(), DataType::Utf8, "a key that was never there is a null text");
}

#[test]
fn rows_whose_values_are_of_another_type_are_rejected_with_both_types() {
    let mut engine = engine(&[("total", Aggregate::Sum, Some("value"))]);
    step(&mut engine, rows(&[1], vec![("value", Arc::new(Int64Array::from(vec![1])))]));
    let effects = step(&mut engine, rows(&[2], vec![("value", Arc::new(Float64Array::from(vec![1.5])))]));
    assert_eq!(rejected(&effects), [(0, "value: a value of type Float64 came where Int64 came before")]);
    let effects = step(
        &mut engine,
        rows(
            &[2],
            vec![("value", Arc::new(Int64Array::from(vec![2]))), ("key", Arc::new(BinaryArray::from(vec![&b"x"[..]])))],
        ),
    );
    assert_eq!(
        rejected(&effects),
        [(0, "a value of type Binary cannot be a key; text, numbers, booleans and times can")]
    );
    let results = &emitted(step(&mut engine, Input::End))[0];
    assert_eq!(results["total"].as_primitive::<Int64Type>().value(0), 1);
}

#[test]
fn text_is_not_summed_and_an_expression_that_does_not_compile_rejects_its_rows() {
    let mut sum_of_text = engine(&[("total", Aggregate::Sum, Some("value"))]);
    let effects = step(&mut sum_of_text, rows(&[2], vec![("value", Arc::new(StringArray::from(vec!["1"])))]));
    assert_eq!(rejected(&effects), [(0, "value: sum takes numbers, not Utf8")]);
    let mut no_column = engine(&[("total", Aggregate::Sum, Some("no column"))]);
    let effects = step(&mut no_column, rows(&[2], vec![("value", Arc::new(StringArray::from(vec!["1"])))]));
    assert_eq!(rejected(&effects), [(0, "no column: not the name of a column")]);
}

#[test]
fn nulls_decide_no_type_and_are_rejected_with_no_value_beside_them() {
    let texts = |values: Vec<Option<&str>>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let numbers = || -> ArrayRef { Arc::new(Int64Array::from(vec![Some(5), None])) };
    for cut in [true, false] {
        let mut engine = engine(&[("n", Aggregate::Count, None), ("total", Aggregate::Sum, Some("value"))]);
        // A column that nothing is known of is a text.
        step(&mut engine, rows(&[1], vec![("value", texts(vec![None]))]));
        step(&mut engine, rows(&[2, 3], vec![("value", numbers())]));
        let mut effects = Vec::new();
        if cut {
            effects.extend(step(&mut engine, rows(&[4], vec![("value", texts(vec![None]))])));
            effects.extend(step(&mut engine, rows(&[5], vec![("value", texts(vec![Some("x")]))])));
        } else {
            effects.extend(step(&mut engine, rows(&[4, 5], vec![("value", texts(vec![None, Some("x")]))])));
        }
        assert_eq!(rejected(&effects).len(), 1, "{effects:?}");
        let results = &emitted(step(&mut engine, Input::End))[0];
        let column = |name: &str| results[name].as_primitive::<Int64Type>().value(0);
        assert_eq!((column("n"), column("total")), (4, 5), "cut: {cut}");
    }
}

#[test]
fn rows_without_event_time_cannot_enter_a_window() {
    let mut engine = engine(&[("n", Aggregate::Count, None)]);
    let mut untimed = batch("p0", &[1], vec![("key", Arc::new(StringArray::from(vec!["a"])))]);
    untimed.times = Vec::<i64>::new().into();
    let effects = step(&mut engine, Input::Batch { source: 0, batch: untimed });
    assert_eq!(rejected(&effects), [(0, "a window needs rows with an event time")]);
}
