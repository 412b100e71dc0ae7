//! Tables as they are made: what is found in them, what they refuse.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, StringViewArray};
use arrow::array::{DictionaryArray, new_null_array};
use arrow::datatypes::{DataType, Int32Type};

use super::{EnrichPlan, Missing, Table};

fn plan(on: &[&str], take: &[&str]) -> EnrichPlan {
    EnrichPlan {
        on: on.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect(),
        take: take.iter().map(|name| (*name).to_owned()).collect(),
        missing: Missing::Keep,
    }
}

fn table(id: ArrayRef) -> Table {
    let team: ArrayRef = Arc::new(StringArray::from_iter_values((0..id.len()).map(|row| format!("team {row}"))));
    let columns = RecordBatch::try_from_iter([("id", id), ("team", team)]).unwrap();
    Table::new(&plan(&["id"], &["team"]), "v1", &columns).unwrap()
}

fn found(table: &Table, keys: ArrayRef) -> Vec<Option<u32>> {
    table.find(std::slice::from_ref(&keys), keys.len()).unwrap().iter().collect()
}

#[test]
fn keys_are_compared_as_what_the_table_has() {
    let numbers = table(Arc::new(Int64Array::from(vec![7, 42])));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["42", "x", "7", "007"]));
    assert_eq!(found(&numbers, texts), [Some(1), None, Some(0), Some(0)]);
    assert_eq!(found(&numbers, Arc::new(Float64Array::from(vec![42.0, 42.5]))), [Some(1), None]);

    let texts = table(Arc::new(StringArray::from(vec!["7", "007"])));
    assert_eq!(found(&texts, Arc::new(Int64Array::from(vec![7, 8]))), [Some(0), None]);
    assert_eq!(found(&texts, Arc::new(StringViewArray::from(vec!["007"]))), [Some(1)]);
    let words: DictionaryArray<Int32Type> = [Some("007"), None, Some("7")].into_iter().collect();
    assert_eq!(found(&texts, Arc::new(words)), [Some(1), None, Some(0)]);
    assert_eq!(found(&texts, new_null_array(&DataType::Null, 1)), [None]);
}

#[test]
fn of_rows_with_equal_keys_the_last_counts_and_null_is_no_key() {
    let table = table(Arc::new(StringArray::from(vec![Some("a"), None, Some("b"), Some("a")])));
    let keys: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b")]));
    assert_eq!(found(&table, keys), [Some(3), None, Some(2)]);
    assert_eq!((table.rows(), table.duplicates()), (2, 1));
}

#[test]
fn a_table_without_the_columns_is_refused() {
    let id: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let columns = RecordBatch::try_from_iter([("id", id.clone()), ("team", id)]).unwrap();
    let refused = |on: &[&str], take: &[&str]| Table::new(&plan(on, take), "v1", &columns).unwrap_err().to_string();
    assert_eq!(refused(&["id"], &["owner"]), "there is no column owner in the table; there are id, team");
    assert_eq!(refused(&["app"], &["team"]), "there is no column app in the table; there are id, team");
}
