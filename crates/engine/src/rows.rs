//! Rows on their way through the plan: columns and, as long as they come from a source, where each is from.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::array::{Array, BooleanArray, Int64Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{filter, filter_record_batch, take, take_record_batch};
use arrow::datatypes::{Int64Type, UInt64Type};
use weir_model::PartitionId;

/// Rows of one partition, or of a window.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) columns: RecordBatch,
    /// Where the rows come from; `None` for the results of a window.
    pub(crate) origin: Option<Origin>,
}

/// Where rows come from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) source: usize,
    pub(crate) partition: PartitionId,
    /// What people know the partition by.
    pub(crate) name: Arc<str>,
    /// Per row: where its record begins.
    pub(crate) offsets: ScalarBuffer<u64>,
    /// Per row: its event time; empty when the pipeline has none.
    pub(crate) times: ScalarBuffer<i64>,
    /// Per row: the watermark of its partition before it; empty when the pipeline has no event time.
    pub(crate) marks: ScalarBuffer<i64>,
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        self.columns.num_rows()
    }

    pub(crate) fn slice(&self, from: usize, rows: usize) -> Self {
        let origin = self
            .origin
            .as_ref()
            .map(|origin| origin.map(|longs| longs.slice(from, rows), |longs| longs.slice(from, rows)));
        Self { columns: self.columns.slice(from, rows), origin }
    }

    /// The rows for which `keep`, which has no nulls, is true.
    pub(crate) fn filter(&self, keep: &BooleanArray) -> Self {
        let why = "the filter is as long as the columns";
        let origin = self.origin.as_ref().map(|origin| {
            origin.map(
                |values| {
                    filter(&UInt64Array::new(values, None), keep)
                        .expect(why)
                        .as_primitive::<UInt64Type>()
                        .values()
                        .clone()
                },
                |values| {
                    filter(&Int64Array::new(values, None), keep)
                        .expect(why)
                        .as_primitive::<Int64Type>()
                        .values()
                        .clone()
                },
            )
        });
        Self { columns: filter_record_batch(&self.columns, keep).expect(why), origin }
    }

    /// The rows with these indices.
    pub(crate) fn take(&self, indices: &UInt32Array) -> Self {
        let why = "the indices are of rows of these columns";
        let origin = self.origin.as_ref().map(|origin| {
            origin.map(
                |values| {
                    take(&UInt64Array::new(values, None), indices, None)
                        .expect(why)
                        .as_primitive::<UInt64Type>()
                        .values()
                        .clone()
                },
                |values| {
                    take(&Int64Array::new(values, None), indices, None)
                        .expect(why)
                        .as_primitive::<Int64Type>()
                        .values()
                        .clone()
                },
            )
        });
        Self { columns: take_record_batch(&self.columns, indices).expect(why), origin }
    }
}

impl Origin {
    /// The same origin with each list of values that is there replaced.
    fn map(
        &self,
        unsigned: impl Fn(ScalarBuffer<u64>) -> ScalarBuffer<u64>,
        signed: impl Fn(ScalarBuffer<i64>) -> ScalarBuffer<i64>,
    ) -> Self {
        let signed =
            |values: &ScalarBuffer<i64>| if values.is_empty() { values.clone() } else { signed(values.clone()) };
        Self {
            source: self.source,
            partition: self.partition.clone(),
            name: self.name.clone(),
            offsets: unsigned(self.offsets.clone()),
            times: signed(&self.times),
            marks: signed(&self.marks),
        }
    }
}

/// `mask` with its nulls as false.
pub(crate) fn true_only(mask: &BooleanArray) -> BooleanArray {
    match mask.nulls() {
        None => mask.clone(),
        Some(nulls) => BooleanArray::new(mask.values() & nulls.inner(), None),
    }
}
