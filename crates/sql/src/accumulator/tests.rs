//! What is brought keeps the laws of aggregates, and nothing that DataFusion has is forgotten.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::functions_aggregate::all_default_aggregate_functions;
use proptest::prelude::{any, prop_assert, proptest};
use weir_model::{Accumulator, Compiler, Laws, same_bytes};

use super::Brought;
use crate::SqlCompiler;
use crate::aggregate::{AGGREGATES, BROUGHT, alias, is_brought, refused};

/// Equal but for the last digits.
fn nearly(left: &ArrayRef, right: &ArrayRef) -> bool {
    if *left.data_type() != DataType::Float64 {
        return same_bytes(left, right);
    }
    let value = |array: &ArrayRef| array.as_primitive::<Float64Type>().iter().next().flatten();
    match (value(left), value(right)) {
        (Some(left), Some(right)) => {
            (left.is_nan() && right.is_nan()) || (left - right).abs() <= 1e-9 * (1.0 + left.abs().max(right.abs()))
        }
        (left, right) => left == right,
    }
}

fn check(name: &str, types: &[DataType], parts: &[Vec<ArrayRef>], exact: bool) -> Result<(), String> {
    let make = || -> Box<dyn Accumulator> { Box::new(Brought::new(name, types).unwrap()) };
    let same: &dyn Fn(&ArrayRef, &ArrayRef) -> bool = if exact { &same_bytes } else { &nearly };
    Laws { make: &make, values: types.len(), same }.check(parts).map_err(|broken| format!("{name}: {broken}"))
}

#[test]
fn every_aggregate_of_datafusion_is_brought_or_has_a_reason_not_to_be() {
    let has_own = |name: &str| AGGREGATES.iter().any(|shape| shape.name == name && !is_brought(name));
    for function in all_default_aggregate_functions() {
        let name = function.name();
        let ways = [has_own(name), is_brought(name), alias(name).is_some(), refused(name).is_some()];
        assert_eq!(ways.iter().filter(|way| **way).count(), 1, "{name}: {ways:?}");
    }
    let names: BTreeSet<&str> = BROUGHT.iter().map(|shape| shape.name).collect();
    assert_eq!(names.len(), BROUGHT.len());
}

proptest! {
    #[test]
    fn what_is_brought_keeps_the_laws(
        parts in proptest::collection::vec(
            proptest::collection::vec((any::<Option<bool>>(), proptest::option::of(-50_i64..50), proptest::option::of(-50_i64..50)), 0..6),
            1..5,
        ),
    ) {
        for shape in BROUGHT {
            let (types, exact) = match (shape.name, shape.arguments) {
                ("bool_and" | "bool_or", _) => (vec![DataType::Boolean], true),
                ("bit_and" | "bit_or" | "bit_xor", _) => (vec![DataType::Int64], true),
                (_, count) => (vec![DataType::Float64; count], false),
            };
            let column = |part: &Vec<(Option<bool>, Option<i64>, Option<i64>)>, index: usize| -> ArrayRef {
                let number = |row: &(Option<bool>, Option<i64>, Option<i64>)| if index == 0 { row.1 } else { row.2 };
                match types[index] {
                    DataType::Boolean => Arc::new(part.iter().map(|row| row.0).collect::<BooleanArray>()),
                    DataType::Int64 => Arc::new(part.iter().map(number).collect::<Int64Array>()),
                    _ => Arc::new(part.iter().map(|row| number(row).map(|value| value as f64 / 4.0)).collect::<Float64Array>()),
                }
            };
            let parts: Vec<Vec<ArrayRef>> =
                parts.iter().map(|part| (0..types.len()).map(|index| column(part, index)).collect()).collect();
            let checked = check(shape.name, &types, &parts, exact);
            prop_assert!(checked.is_ok(), "{}", checked.unwrap_err());
        }
    }
}

#[test]
fn an_unknown_aggregate_is_refused_with_the_nearest_and_values_of_a_wrong_type_with_theirs() {
    let refuse = |name: &str, types: &[DataType]| {
        SqlCompiler::new().accumulator(name, &[], types).map(|_| ()).unwrap_err().full()
    };
    let told = refuse("bool_nand", &[DataType::Boolean]);
    assert!(told.contains("there is no aggregate \"bool_nand\"") && told.contains("did you mean bool_and"), "{told}");
    let told = refuse("array_agg", &[DataType::Int64]);
    assert!(told.contains("order"), "{told}");
    let told = refuse("bit_and", &[DataType::Utf8]);
    assert!(told.contains("bit_and does not take Utf8"), "{told}");
}

#[test]
fn damaged_states_are_errors() {
    let state: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let mut correlation = Brought::new("corr", &[DataType::Float64, DataType::Float64]).unwrap();
    assert!(correlation.merge_batch(&[state], &[0], 1).unwrap_err().contains("corr"));
}

#[test]
fn values_come_as_the_engine_holds_them() {
    // Truth values are numbers to the engine.
    let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(0), None]));
    let mut all = Brought::new("bool_and", &[DataType::Boolean]).unwrap();
    all.update_batch(&[values], &[0, 1, 2], None, 4);
    let found = all.evaluate(4);
    assert_eq!(found.as_boolean(), &BooleanArray::from(vec![Some(true), Some(false), None, None]));
}
