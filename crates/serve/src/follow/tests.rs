//! Views of a table as they follow each other, and what was new in each.

use std::path::Path;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringViewArray, new_null_array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use parquet::arrow::ArrowWriter;

use super::*;

fn batch(numbers: &[i64]) -> RecordBatch {
    let texts: StringViewArray = numbers.iter().map(|n| Some(format!("line {n}"))).collect();
    let columns: [(&str, ArrayRef); 2] =
        [("n", Arc::new(Int64Array::from(numbers.to_vec()))), ("message", Arc::new(texts))];
    let fields: Vec<Field> =
        columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns.into_iter().map(|(_, column)| column).collect())
        .expect("the columns fit")
}

fn file(folder: &Path, name: &str, rows: &RecordBatch) -> Segment {
    let path = folder.join(name);
    let target = std::fs::File::create(&path).expect("the folder is writable");
    let mut writer = ArrowWriter::try_new(target, rows.schema(), None).expect("it can be written");
    writer.write(rows).expect("it can be written");
    writer.close().expect("it can be written");
    Segment { path, rows: rows.num_rows() as u64, bytes: 1, time_range: None, index: None, remote: None }
}

fn table(segments: &[&Segment], fresh: &[&RecordBatch]) -> Table {
    Table {
        schema: batch(&[]).schema(),
        time_column: None,
        segments: segments.iter().copied().cloned().collect(),
        fresh: fresh.iter().copied().cloned().collect(),
        keep: None,
    }
}

fn seen(new: &New) -> Vec<i64> {
    let numbers = |batch: &RecordBatch| {
        let column = batch.column_by_name("n").expect("it has numbers").as_primitive::<Int64Type>();
        column.values().to_vec()
    };
    new.batches.iter().flat_map(numbers).collect()
}

#[test]
fn what_was_there_is_not_new_and_every_new_batch_is_new_once() {
    let (old, first, second) = (batch(&[1]), batch(&[2, 3]), batch(&[2, 3]));
    let mut follower = Follower::from_now(Some(&table(&[], &[&old])));
    assert_eq!(seen(&follower.look(Some(&table(&[], &[&old])))), [0; 0]);
    assert_eq!(seen(&follower.look(Some(&table(&[], &[&old, &first])))), [2, 3]);
    assert_eq!(
        seen(&follower.look(Some(&table(&[], &[&old, &first, &second])))),
        [2, 3],
        "equal rows are not the same"
    );
    assert_eq!(seen(&follower.look(Some(&table(&[], &[&old, &first, &second])))), [0; 0]);
}

#[test]
fn rows_that_move_from_memory_to_a_file_are_not_new() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = batch(&[1, 2]);
    let mut follower = Follower::from_now(Some(&table(&[], &[&rows])));
    let new = follower.look(Some(&table(&[&file(folder.path(), "a", &rows)], &[])));
    assert_eq!((seen(&new), new.skipped), (vec![], 0));
}

#[test]
fn rows_that_came_and_went_to_a_file_between_two_looks_are_found_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut follower = Follower::from_now(Some(&table(&[], &[&batch(&[1, 2])])));
    let flushed = file(folder.path(), "a", &batch(&[1, 3, 2, 1]));
    let new = follower.look(Some(&table(&[&flushed], &[&batch(&[5])])));
    assert_eq!((seen(&new), new.skipped), (vec![3, 1, 5], 0));
}

#[test]
fn merging_files_brings_nothing_new() {
    let folder = tempfile::tempdir().expect("a folder");
    let (a, b) = (file(folder.path(), "a", &batch(&[1])), file(folder.path(), "b", &batch(&[2])));
    let mut follower = Follower::from_now(Some(&table(&[&a, &b], &[])));
    let merged = file(folder.path(), "c", &batch(&[1, 2]));
    let new = follower.look(Some(&table(&[&merged], &[])));
    assert_eq!((seen(&new), new.skipped), (vec![], 0));
}

#[test]
fn what_cannot_be_told_apart_is_counted_as_skipped() {
    let folder = tempfile::tempdir().expect("a folder");
    let (a, b) = (file(folder.path(), "a", &batch(&[1])), file(folder.path(), "b", &batch(&[2])));
    let mut follower = Follower::from_now(Some(&table(&[&a, &b], &[])));
    let (merged, more) = (file(folder.path(), "c", &batch(&[1, 2])), file(folder.path(), "d", &batch(&[3])));
    let new = follower.look(Some(&table(&[&merged, &more], &[])));
    assert_eq!((seen(&new), new.skipped), (vec![], 1), "merged and written at once");
    let gone =
        Segment { path: folder.path().join("gone"), rows: 4, bytes: 1, time_range: None, index: None, remote: None };
    assert_eq!(follower.look(Some(&table(&[&merged, &more, &gone], &[]))).skipped, 4, "a file that cannot be read");
    let large = Segment {
        path: folder.path().join("large"),
        rows: CATCH_UP_ROWS_MAX + 1,
        bytes: 1,
        time_range: None,
        index: None,
        remote: None,
    };
    assert_eq!(follower.look(Some(&table(&[&merged, &more, &gone, &large], &[]))).skipped, CATCH_UP_ROWS_MAX + 1);
}

#[test]
fn a_table_that_gets_a_new_column_is_still_the_same_rows() {
    let rows = batch(&[1, 2]);
    let mut follower = Follower::from_now(Some(&table(&[], &[&rows])));
    let mut fields = rows.schema().fields().to_vec();
    fields.push(Arc::new(Field::new("new", DataType::Int64, true)));
    let mut columns = rows.columns().to_vec();
    columns.push(new_null_array(&DataType::Int64, 2));
    let wider = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("the columns fit");
    assert_eq!(seen(&follower.look(Some(&table(&[], &[&wider])))), [0; 0]);
}

#[test]
fn a_table_that_begins_to_exist_is_all_new() {
    let mut follower = Follower::from_now(None);
    assert_eq!(seen(&follower.look(None)), [0; 0]);
    assert_eq!(seen(&follower.look(Some(&table(&[], &[&batch(&[1])])))), [1]);
}

#[test]
fn a_batch_that_each_view_widens_anew_is_new_once() {
    let narrow = batch(&[1, 2]);
    let widened = || {
        let mut fields: Vec<Field> = narrow.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
        fields.push(Field::new("stack", DataType::Utf8View, true));
        let mut columns = narrow.columns().to_vec();
        columns.push(new_null_array(&DataType::Utf8View, narrow.num_rows()));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("the columns fit")
    };
    let view = || Table { schema: widened().schema(), ..table(&[], &[&widened()]) };
    let mut follower = Follower::default();
    assert_eq!(seen(&follower.look(Some(&view()))), [1, 2]);
    let again = follower.look(Some(&view()));
    assert_eq!((seen(&again), again.skipped), (vec![], 0));
}
