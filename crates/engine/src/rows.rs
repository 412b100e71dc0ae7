//! Rows on their way through the plan: columns and, as long as they come from a source, where each is from.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::array::{Array, BooleanArray, Int64Array, RecordBatch, UInt32Array, UInt64Array};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{concat_batches, filter, filter_record_batch, take, take_record_batch};
use arrow::datatypes::{Int64Type, UInt64Type};
use weir_model::{Offset, PartitionId};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::Effect;
use crate::compiled::Trouble;

/// Rows of one partition, or made by a step out of others.
#[derive(Clone, Debug)]
pub(crate) struct Rows {
    pub(crate) columns: RecordBatch,
    /// Where the rows come from; `None` for those that a step has made: they were counted where they were made.
    pub(crate) origin: Option<Origin>,
    /// The event time of rows that a step has made, if they have one.
    pub(crate) made: Option<Timing>,
}

/// When rows are, as far as the steps that wait for event time are concerned.
#[derive(Clone, Debug)]
pub(crate) struct Timing {
    /// Per row: its event time.
    pub(crate) times: ScalarBuffer<i64>,
    /// Per row: the watermark before it; [`Timing::CORRECTION`] if it replaces one that was given before.
    pub(crate) marks: ScalarBuffer<i64>,
}

impl Timing {
    /// Later than everything: what follows has counted the row that this one replaces.
    pub(crate) const CORRECTION: i64 = i64::MAX;

    /// `rows` rows at one time.
    pub(crate) fn at(time: i64, mark: i64, rows: usize) -> Self {
        Self { times: vec![time; rows].into(), marks: vec![mark; rows].into() }
    }

    fn map(&self, values: impl Fn(ScalarBuffer<i64>) -> ScalarBuffer<i64>) -> Self {
        Self { times: values(self.times.clone()), marks: values(self.marks.clone()) }
    }
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
    /// Per domain: the least watermark of the other partitions that hold it back. Where the partition is of the domain,
    /// the watermark of the domain before a row is the lesser of this and the row's mark, or where it was before.
    pub(crate) held: Arc<[i64]>,
}

impl Rows {
    /// Per row a hash that tells it from others: the same whenever it is read, however rows are cut into batches. Of a
    /// record its partition and where it begins, of a result its id; where that was not selected, its time.
    pub(crate) fn places(&self, times: &[i64]) -> Int64Array {
        if let Some(origin) = &self.origin {
            let partition = xxh3_64(origin.partition.as_str().as_bytes());
            let place = |offset: &u64| xxh3_64_with_seed(&offset.to_le_bytes(), partition) as i64;
            return Int64Array::from_iter_values(origin.offsets.iter().map(place));
        }
        match self.columns.column_by_name("row_id").and_then(|ids| ids.as_string_opt::<i32>()) {
            Some(ids) => ids.iter().map(|id| Some(id.map_or(0, |id| xxh3_64(id.as_bytes()) as i64))).collect(),
            None => Int64Array::from_iter_values(times.iter().map(|time| xxh3_64(&time.to_le_bytes()) as i64)),
        }
    }

    /// The same rows with other columns.
    pub(crate) fn with_columns(&self, columns: RecordBatch) -> Self {
        Self { columns, origin: self.origin.clone(), made: self.made.clone() }
    }

    pub(crate) fn len(&self) -> usize {
        self.columns.num_rows()
    }

    /// The event time of each row and the watermark before it; `None` where rows have none.
    pub(crate) fn timing(&self) -> Option<(&ScalarBuffer<i64>, &ScalarBuffer<i64>)> {
        let of_source = self.origin.as_ref().map(|origin| (&origin.times, &origin.marks));
        let timing = of_source.or_else(|| self.made.as_ref().map(|made| (&made.times, &made.marks)));
        timing.filter(|(times, _)| !times.is_empty() || self.len() == 0)
    }

    /// The same for `who`, that cannot do without.
    ///
    /// # Errors
    /// When rows have none.
    pub(crate) fn timed(&self, who: &str) -> Result<(&ScalarBuffer<i64>, &ScalarBuffer<i64>), Trouble> {
        self.timing().ok_or_else(|| Trouble::Types(format!("{who} needs rows with an event time")))
    }

    /// Rejects the rows with these indices, which are of `node`'s input.
    pub(crate) fn reject(&self, node: usize, rows: &[u32], reason: impl Fn() -> String, effects: &mut Vec<Effect>) {
        match &self.origin {
            Some(origin) => effects.extend(rows.iter().map(|row| origin.rejected(*row as usize, reason()))),
            None if rows.is_empty() => {}
            None => {
                let rows = self.take(&UInt32Array::from(rows.to_vec())).columns;
                effects.push(Effect::RejectResult { node, rows, reason: reason() });
            }
        }
    }

    /// Rows of one partition one after the other, as few batches as their columns allow.
    pub(crate) fn joined(all: Vec<Self>) -> Vec<Self> {
        let fits = |left: &Self, right: &Self| {
            let name = |rows: &Self| rows.origin.as_ref().map(|origin| origin.name.clone());
            left.columns.schema() == right.columns.schema() && name(left) == name(right)
        };
        let join = |rows: &[Self]| {
            let [first, _, ..] = rows else { return rows[0].clone() };
            let columns = concat_batches(&first.columns.schema(), rows.iter().map(|rows| &rows.columns));
            let origins: Vec<&Origin> = rows.iter().filter_map(|rows| rows.origin.as_ref()).collect();
            let longs = |of: fn(&Origin) -> &ScalarBuffer<i64>| {
                origins.iter().flat_map(|origin| of(origin).iter().copied()).collect::<ScalarBuffer<i64>>()
            };
            let origin = origins.first().map(|first| Origin {
                offsets: origins.iter().flat_map(|origin| origin.offsets.iter().copied()).collect(),
                times: longs(|origin| &origin.times),
                marks: longs(|origin| &origin.marks),
                ..(*first).clone()
            });
            Self { columns: columns.expect("the schemas are equal"), origin, made: None }
        };
        all.chunk_by(fits).map(join).collect()
    }

    pub(crate) fn slice(&self, from: usize, rows: usize) -> Self {
        let origin = self
            .origin
            .as_ref()
            .map(|origin| origin.map(|longs| longs.slice(from, rows), |longs| longs.slice(from, rows)));
        let made = self.made.as_ref().map(|made| made.map(|longs| longs.slice(from, rows)));
        Self { columns: self.columns.slice(from, rows), origin, made }
    }

    /// The rows for which `keep`, which has no nulls, is true.
    pub(crate) fn filter(&self, keep: &BooleanArray) -> Self {
        let why = "the filter is as long as the columns";
        let longs = |values: ScalarBuffer<i64>| {
            filter(&Int64Array::new(values, None), keep).expect(why).as_primitive::<Int64Type>().values().clone()
        };
        let origin = self.origin.as_ref().map(|origin| {
            origin.map(
                |values| {
                    filter(&UInt64Array::new(values, None), keep)
                        .expect(why)
                        .as_primitive::<UInt64Type>()
                        .values()
                        .clone()
                },
                longs,
            )
        });
        let made = self.made.as_ref().map(|made| made.map(longs));
        Self { columns: filter_record_batch(&self.columns, keep).expect(why), origin, made }
    }

    /// The rows with these indices.
    pub(crate) fn take(&self, indices: &UInt32Array) -> Self {
        let why = "the indices are of rows of these columns";
        let longs = |values: ScalarBuffer<i64>| {
            take(&Int64Array::new(values, None), indices, None).expect(why).as_primitive::<Int64Type>().values().clone()
        };
        let origin = self.origin.as_ref().map(|origin| {
            origin.map(
                |values| {
                    take(&UInt64Array::new(values, None), indices, None)
                        .expect(why)
                        .as_primitive::<UInt64Type>()
                        .values()
                        .clone()
                },
                longs,
            )
        });
        let made = self.made.as_ref().map(|made| made.map(longs));
        Self { columns: take_record_batch(&self.columns, indices).expect(why), origin, made }
    }
}

impl Origin {
    /// The row with this index cannot be processed.
    pub(crate) fn rejected(&self, row: usize, reason: String) -> Effect {
        Effect::Reject { partition: self.partition.clone(), offset: Offset(self.offsets[row]), reason }
    }

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
            held: self.held.clone(),
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
