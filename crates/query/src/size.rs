//! How many bytes rows take by themselves, whatever buffers they share with others; about, and quick to know.

use std::ops::Range;

use arrow::array::{Array, AsArray, GenericListArray, OffsetSizeTrait, RecordBatch};
use arrow::datatypes::DataType;

/// A value that is in a dictionary, by its key, as many times as it is written.
const DICTIONARY_VALUE: usize = 16;
/// What is not known any better.
const OTHER_VALUE: usize = 16;

/// The bytes of some rows of a batch.
pub(crate) fn bytes_of(batch: &RecordBatch, rows: Range<usize>) -> usize {
    batch.columns().iter().map(|column| values(column.as_ref(), rows.clone())).sum()
}

/// The pieces of a batch that have about `bytes` bytes at most, but always a row.
pub(crate) fn pieces(batch: &RecordBatch, bytes: usize) -> impl Iterator<Item = RecordBatch> {
    let all = bytes_of(batch, 0..batch.num_rows());
    let count = all.div_ceil(bytes.max(1)).max(1);
    let rows = batch.num_rows().div_ceil(count).max(1);
    (0..batch.num_rows()).step_by(rows).map(move |from| batch.slice(from, rows.min(batch.num_rows() - from)))
}

/// The largest row of a batch, where its rows together are more than `bytes`; else no row can be.
pub(crate) fn largest_row(batch: &RecordBatch, bytes: usize) -> usize {
    if bytes_of(batch, 0..batch.num_rows()) <= bytes {
        return 0;
    }
    (0..batch.num_rows()).map(|row| bytes_of(batch, row..row + 1)).max().unwrap_or(0)
}

fn values(column: &dyn Array, rows: Range<usize>) -> usize {
    let count = rows.len();
    match column.data_type() {
        DataType::Utf8View => viewed(&column.as_string_view().views()[rows]),
        DataType::BinaryView => viewed(&column.as_binary_view().views()[rows]),
        DataType::Utf8 => spanned(column.as_string::<i32>().value_offsets(), rows, |span| span.len()),
        DataType::LargeUtf8 => spanned(column.as_string::<i64>().value_offsets(), rows, |span| span.len()),
        DataType::Binary => spanned(column.as_binary::<i32>().value_offsets(), rows, |span| span.len()),
        DataType::LargeBinary => spanned(column.as_binary::<i64>().value_offsets(), rows, |span| span.len()),
        DataType::List(_) => listed(column.as_list::<i32>(), rows),
        DataType::LargeList(_) => listed(column.as_list::<i64>(), rows),
        DataType::Struct(_) => {
            column.as_struct().columns().iter().map(|child| values(child.as_ref(), rows.clone())).sum()
        }
        DataType::Dictionary(_, _) => DICTIONARY_VALUE * count,
        other => other.primitive_width().unwrap_or(OTHER_VALUE) * count,
    }
}

/// Views with the values behind them; the length is in the lower half of a view.
fn viewed(views: &[u128]) -> usize {
    views.iter().map(|view| size_of::<u128>() + (*view as u32) as usize).sum()
}

/// The offsets of rows with what lies between the first and the last of them.
fn spanned<O: OffsetSizeTrait>(offsets: &[O], rows: Range<usize>, inside: impl Fn(Range<usize>) -> usize) -> usize {
    size_of::<O>() * rows.len() + inside(offsets[rows.start].as_usize()..offsets[rows.end].as_usize())
}

fn listed<O: OffsetSizeTrait>(lists: &GenericListArray<O>, rows: Range<usize>) -> usize {
    spanned(lists.value_offsets(), rows, |span| values(lists.values().as_ref(), span))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, ListArray, StringArray, StringViewArray};
    use arrow::datatypes::Int32Type;

    use super::*;

    fn batch(columns: Vec<ArrayRef>) -> RecordBatch {
        let names = ["a", "b", "c", "d"];
        RecordBatch::try_from_iter(names.into_iter().zip(columns)).expect("the columns are equally long")
    }

    #[test]
    fn rows_are_as_large_as_their_own_values() {
        let texts = ["x".repeat(100), String::new(), "y".repeat(1_000)];
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1); 25]), None, Some(vec![])]);
        let rows = batch(vec![
            Arc::new(StringViewArray::from_iter_values(&texts)),
            Arc::new(StringArray::from_iter_values(&texts)),
            Arc::new(Int64Array::from(vec![1, 2, 3])),
            Arc::new(list),
        ]);
        let of = |from, to| bytes_of(&rows, from..to);
        assert_eq!([of(0, 1), of(1, 2), of(2, 3)], [116 + 104 + 8 + 104, 16 + 4 + 8 + 4, 1_016 + 1_004 + 8 + 4]);
        assert_eq!(of(0, 3), of(0, 1) + of(1, 2) + of(2, 3));
        assert_eq!(bytes_of(&rows.slice(1, 2), 1..2), of(2, 3), "slices begin elsewhere");
        assert_eq!((largest_row(&rows, 1_000), largest_row(&rows, 1 << 20)), (of(2, 3), 0));
    }

    #[test]
    fn pieces_are_the_whole_and_none_is_large_that_need_not_be() {
        let rows = batch(vec![Arc::new(StringViewArray::from_iter_values((0..1_000).map(|_| "x".repeat(84))))]);
        let cut: Vec<RecordBatch> = pieces(&rows, 10_000).collect();
        assert_eq!((cut.len(), cut.iter().map(RecordBatch::num_rows).sum::<usize>()), (10, 1_000));
        assert_eq!(pieces(&rows, 1).count(), 1_000);
        assert_eq!(pieces(&rows, 1 << 20).count(), 1);
        assert_eq!(pieces(&rows.slice(0, 0), 1).count(), 0);
    }
}
