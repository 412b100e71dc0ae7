//! Sums rows up while their segment is written. Writes nothing.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Schema, TimestampMicrosecondType};

use super::measure::Measure;
use super::values::Values;
use super::{BUCKET, GROUPS_MAX, ROWS, Rollup};
use crate::RollupSettings;

/// The bucket of rows without a time.
const NO_TIME: i64 = i64::MIN;
/// Bits of a value's number in a group's key; more columns than fit are not summed up by.
const ID_BITS: usize = 16;
const BY_MAX: usize = 64 / ID_BITS;

/// The rollups of one segment.
#[derive(Debug)]
pub(crate) struct Builder {
    time: Option<usize>,
    values: Vec<Values>,
    gathered: Vec<Gathered>,
}

impl Builder {
    /// For rows with `schema`, whose column of event times is `time`; `own` are those that the table has of its own choice.
    pub(crate) fn new(schema: &Schema, time: Option<&str>, own: &[RollupSettings]) -> Self {
        let index = time.and_then(|time| schema.index_of(time).ok());
        let is_time = |at: usize| matches!(schema.field(at).data_type(), DataType::Timestamp(_, _));
        let Some((time, index)) = time.zip(index.filter(|at| is_time(*at))) else {
            return Self { time: None, values: Vec::new(), gathered: Vec::new() };
        };
        let mut values: Vec<Values> = Vec::new();
        let mut gathered = Vec::new();
        for (rollup, is_own) in Rollup::of(schema, time, own) {
            let by = rollup.by.iter().filter_map(|name| {
                let column = schema.index_of(name).ok()?;
                let known = values.iter().position(|values| values.column == column);
                known.or_else(|| {
                    values.push(Values::new(column, schema.field(column).data_type())?);
                    Some(values.len() - 1)
                })
            });
            let by: Vec<usize> = by.collect();
            let measures: Vec<Measure> = rollup.measures.iter().filter_map(|name| Measure::of(schema, name)).collect();
            // What is not in this segment, or cannot be told apart or summed up, is left to its rows.
            if by.len() == rollup.by.len() && by.len() <= BY_MAX && measures.len() == rollup.measures.len() {
                gathered.push(Gathered::new(rollup, is_own, by, measures));
            }
        }
        Self { time: Some(index), values, gathered }
    }

    /// The next rows.
    pub(crate) fn add(&mut self, batch: &RecordBatch) {
        let Some(time) = self.time else { return };
        let Some(times) = batch.column(time).as_primitive_opt::<TimestampMicrosecondType>() else { return };
        for values in &mut self.values {
            values.number(batch);
        }
        let all = &self.values;
        self.gathered.retain(|gathered| gathered.by.iter().all(|at| !all[*at].is_given_up));
        self.gathered.retain_mut(|gathered| {
            for row in 0..times.len() {
                let time = if times.is_null(row) { NO_TIME } else { times.value(row) };
                gathered.add(time, row, all);
            }
            gathered.measure(batch);
            gathered.rows.len() <= GROUPS_MAX
        });
    }

    /// Each rollup that could be made.
    pub(crate) fn finish(self) -> Vec<Made> {
        let values = self.values;
        self.gathered.into_iter().filter_map(|gathered| gathered.finish(&values)).collect()
    }
}

/// A rollup with its groups, and with their sketches if it has any.
pub(crate) struct Made {
    pub(crate) rollup: Rollup,
    /// Whether the table's owners chose it.
    pub(crate) is_own: bool,
    pub(crate) groups: RecordBatch,
    pub(crate) sketches: Option<RecordBatch>,
}

/// The groups of one rollup.
#[derive(Debug)]
struct Gathered {
    rollup: Rollup,
    is_own: bool,
    by: Vec<usize>,
    groups: HashMap<(i64, u64), u32, BuildHasherDefault<KeyHasher>>,
    keys: Vec<(i64, u64)>,
    rows: Vec<i64>,
    measures: Vec<Measure>,
    /// The bucket of the last row.
    bucket: i64,
    /// The group of each row of the batch at work.
    group_of: Vec<u32>,
}

impl Gathered {
    fn new(rollup: Rollup, is_own: bool, by: Vec<usize>, measures: Vec<Measure>) -> Self {
        let (groups, keys, rows, group_of) = (HashMap::default(), Vec::new(), Vec::new(), Vec::new());
        Self { rollup, is_own, by, groups, keys, rows, measures, bucket: NO_TIME, group_of }
    }

    #[inline]
    fn add(&mut self, time: i64, row: usize, values: &[Values]) {
        if row == 0 {
            self.group_of.clear();
        }
        if self.rows.len() > GROUPS_MAX {
            return;
        }
        if time == NO_TIME {
            self.bucket = NO_TIME;
        } else if self.bucket == NO_TIME
            || time < self.bucket
            || time.wrapping_sub(self.bucket).cast_unsigned() >= self.rollup.every_us.cast_unsigned()
        {
            self.bucket = time.div_euclid(self.rollup.every_us).saturating_mul(self.rollup.every_us);
        }
        let key = self.by.iter().fold(0, |key, at| (key << ID_BITS) | u64::from(values[*at].rows[row]));
        let key = (self.bucket, key);
        let group = *self.groups.entry(key).or_insert_with(|| {
            self.keys.push(key);
            self.rows.push(0);
            self.keys.len() as u32 - 1
        });
        self.rows[group as usize] += 1;
        self.group_of.push(group);
    }

    fn measure(&mut self, batch: &RecordBatch) {
        if self.rows.len() > GROUPS_MAX {
            return;
        }
        for measure in &mut self.measures {
            measure.add(batch, &self.group_of, self.rows.len());
        }
    }

    fn finish(mut self, values: &[Values]) -> Option<Made> {
        // Numbers that have no order, or sums that have no end, are left to the rows.
        let (measures, names): (Vec<Measure>, Vec<String>) = std::mem::take(&mut self.measures)
            .into_iter()
            .zip(std::mem::take(&mut self.rollup.measures))
            .filter(|(measure, _)| measure.is_sound())
            .unzip();
        let buckets = self.keys.iter().map(|(bucket, _)| (*bucket != NO_TIME).then_some(*bucket));
        let buckets = buckets.collect::<TimestampMicrosecondArray>().with_timezone("UTC");
        let mut columns: Vec<(String, ArrayRef)> = vec![(BUCKET.to_owned(), Arc::new(buckets))];
        for (place, (at, name)) in self.by.iter().zip(&self.rollup.by).enumerate() {
            let shift = ID_BITS * (self.by.len() - 1 - place);
            let numbers = self.keys.iter().map(|(_, key)| (key >> shift) as u16);
            columns.push((name.clone(), values[*at].named(numbers)));
        }
        columns.push((ROWS.to_owned(), Arc::new(Int64Array::from(self.rows))));
        let mut sketches: Vec<(String, ArrayRef)> = Vec::new();
        for (measure, name) in measures.into_iter().zip(&names) {
            measure.finish(name, &mut columns, &mut sketches);
        }
        self.rollup.measures = names;
        let batch = |columns: Vec<(String, ArrayRef)>| {
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
                .ok()
        };
        let sketches = if sketches.is_empty() { None } else { Some(batch(sketches)?) };
        Some(Made { rollup: self.rollup, is_own: self.is_own, groups: batch(columns)?, sketches })
    }
}

/// Multiplies and folds: keys are small numbers that nobody chooses.
#[derive(Debug, Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_i64(&mut self, value: i64) {
        self.write_u64(value.cast_unsigned());
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = u128::from(self.0 ^ value) * 0x9e37_79b9_7f4a_7c15_u128;
        self.0 = (mixed >> 64) as u64 ^ mixed as u64;
    }
}
