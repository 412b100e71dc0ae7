//! Keys of every type become the same numbers for the same values, and come back as they were.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, LargeStringArray, StringArray, StringViewArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Int32Type};

use super::{GroupIndex, Keys};

fn intern(keys: &mut Keys, columns: &[ArrayRef]) -> Vec<u32> {
    let mut ids = Vec::new();
    keys.intern(columns, columns[0].len(), &mut ids).expect("these can be keys");
    ids
}

#[test]
fn strings_are_the_same_key_however_they_are_stored() {
    let texts = [Some("a"), None, Some("b"), Some("a")];
    let mut keys = Keys::new(1);
    let plain: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    let first = intern(&mut keys, std::slice::from_ref(&plain));
    let others: [ArrayRef; 3] = [
        Arc::new(StringViewArray::from(texts.to_vec())),
        Arc::new(LargeStringArray::from(texts.to_vec())),
        Arc::new(texts.into_iter().collect::<DictionaryArray<Int32Type>>()),
    ];
    for other in others {
        assert_eq!(intern(&mut keys, &[other]), first);
    }
    assert_eq!(first[0], first[3]);
    assert_eq!(keys.columns(&first)[0].as_ref(), plain.as_ref());
}

#[test]
fn values_of_every_type_come_back_as_they_were() {
    let columns: [ArrayRef; 5] = [
        Arc::new(Int64Array::from(vec![Some(1), None, Some(i64::MIN)])),
        Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::INFINITY), None])),
        Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])),
        Arc::new(TimestampMicrosecondArray::from(vec![Some(1), None, Some(3)]).with_timezone("UTC")),
        new_null_array(&DataType::Utf8, 3),
    ];
    let mut keys = Keys::new(5);
    let ids = intern(&mut keys, &columns);
    assert_eq!(ids.len(), 3);
    for (column, back) in columns.iter().zip(keys.columns(&ids)) {
        assert_eq!(column.as_ref(), back.as_ref());
    }
}

#[test]
fn zero_and_minus_zero_are_one_key_and_so_is_what_is_no_number() {
    let mut keys = Keys::new(1);
    let floats: ArrayRef = Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN]));
    let ids = intern(&mut keys, &[floats]);
    assert_eq!((ids[0], ids[2]), (ids[1], ids[3]));
    assert_ne!(ids[0], ids[2]);
}

#[test]
fn many_combinations_are_told_apart_beyond_the_small_table() {
    let mut keys = Keys::new(2);
    let left: ArrayRef = Arc::new((0..1000).map(|row| Some(row % 500)).collect::<Int64Array>());
    let right: ArrayRef = Arc::new((0..1000).map(|row| Some(row / 2)).collect::<Int64Array>());
    let ids = intern(&mut keys, &[left.clone(), right.clone()]);
    let distinct: std::collections::BTreeSet<u32> = ids.iter().copied().collect();
    assert_eq!(distinct.len(), 1000);
    let back = keys.columns(&ids);
    assert_eq!((back[0].as_ref(), back[1].as_ref()), (left.as_ref(), right.as_ref()));
}

#[test]
fn forgetting_keeps_the_living_and_numbers_them_anew() {
    let mut keys = Keys::new(2);
    let column = |values: &[&str]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let ids = intern(&mut keys, &[column(&["a", "b", "c"]), column(&["x", "y", "z"])]);
    let new = keys.keep(&[ids[2], ids[0]]);
    assert_eq!(keys.len(), 2);
    assert_eq!(keys.columns(&new)[1].as_ref(), column(&["z", "x"]).as_ref());
    assert_eq!(intern(&mut keys, &[column(&["a"]), column(&["x"])]), [new[1]]);
}

#[test]
fn a_column_that_changes_its_type_or_cannot_be_a_key_is_an_error() {
    let mut keys = Keys::new(1);
    let whole: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    intern(&mut keys, &[whole]);
    let text: ArrayRef = Arc::new(StringArray::from(vec!["1"]));
    let refused = keys.intern(&[text], 1, &mut Vec::new()).expect_err("a number came before");
    assert_eq!(refused, "a key of type Utf8 came where Int64 came before");
    let bytes: ArrayRef = Arc::new(arrow::array::BinaryArray::from(vec![&b"x"[..]]));
    assert!(Keys::new(1).intern(&[bytes], 1, &mut Vec::new()).is_err());
}

#[test]
fn groups_are_numbered_in_the_order_in_which_their_keys_come() {
    let mut groups = GroupIndex::default();
    assert_eq!([7, 100_000, 7, 100_000, 3].map(|key| groups.group(key)), [0, 1, 0, 1, 2]);
    assert_eq!((groups.find(100_000), groups.find(8), groups.keys()), (Some(1), None, &[7, 100_000, 3][..]));
}
