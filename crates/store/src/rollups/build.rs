//! Sums rows up while their segment is written. Writes nothing.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Float64Array, Int64Array, RecordBatch, StringViewArray,
    TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Float64Type, Schema, TimestampMicrosecondType};

use super::{
    BUCKET, GROUPS_MAX, ROWS, Rollup, Sketch, VALUES_MAX, count_column, max_column, min_column, sketch_column,
    sum_column,
};

/// The bucket of rows without a time.
const NO_TIME: i64 = i64::MIN;
/// Bits of a value's number in a group's key; more columns than fit are not summed up by.
const ID_BITS: usize = 16;
const BY_MAX: usize = 64 / ID_BITS;
const REMEMBERED: usize = 256;
/// A view of at most so many bytes is the value itself.
const INLINE_BYTES_MAX: u32 = 12;

/// The rollups of one segment.
#[derive(Debug)]
pub(crate) struct Builder {
    time: Option<usize>,
    values: Vec<Values>,
    gathered: Vec<Gathered>,
}

impl Builder {
    /// For rows with `schema`, whose column of event times is `time`.
    pub(crate) fn new(schema: &Schema, time: Option<&str>) -> Self {
        let index = time.and_then(|time| schema.index_of(time).ok());
        let is_time = |at: usize| matches!(schema.field(at).data_type(), DataType::Timestamp(_, _));
        let Some((time, index)) = time.zip(index.filter(|at| is_time(*at))) else {
            return Self { time: None, values: Vec::new(), gathered: Vec::new() };
        };
        let mut values: Vec<Values> = Vec::new();
        let mut gathered = Vec::new();
        for rollup in Rollup::of(schema, time) {
            let by = rollup.by.iter().filter_map(|name| {
                let column = schema.index_of(name).ok()?;
                let known = values.iter().position(|values| values.column == column);
                Some(known.unwrap_or_else(|| {
                    values.push(Values::new(column));
                    values.len() - 1
                }))
            });
            let by: Vec<usize> = by.collect();
            let measures = rollup.measures.iter().filter_map(|name| schema.index_of(name).ok());
            let measures = measures.map(Measure::new).collect();
            if by.len() == rollup.by.len() && by.len() <= BY_MAX {
                gathered.push(Gathered::new(rollup, by, measures));
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

    /// Each rollup with its groups, and with their sketches if it has any.
    pub(crate) fn finish(self) -> Vec<(Rollup, RecordBatch, Option<RecordBatch>)> {
        let values = self.values;
        self.gathered.into_iter().filter_map(|gathered| gathered.finish(&values)).collect()
    }
}

/// The different values of a column, numbered as they came; 0 is null.
#[derive(Debug)]
struct Values {
    column: usize,
    texts: Vec<String>,
    numbers: HashMap<String, u16>,
    /// Short values that came lately.
    remembered: Vec<(u128, u16)>,
    /// The number of each row of the batch at work.
    rows: Vec<u16>,
    is_given_up: bool,
}

impl Values {
    fn new(column: usize) -> Self {
        // A view of 12 bytes is never all ones.
        let remembered = vec![(u128::MAX, 0); REMEMBERED];
        let (texts, numbers, rows) = (Vec::new(), HashMap::new(), Vec::new());
        Self { column, texts, numbers, remembered, rows, is_given_up: false }
    }

    fn number(&mut self, batch: &RecordBatch) {
        self.rows.clear();
        let Some(texts) = batch.column(self.column).as_string_view_opt().filter(|_| !self.is_given_up) else { return };
        for row in 0..texts.len() {
            let number = if texts.is_null(row) { 0 } else { self.number_of(texts, row) };
            if self.is_given_up {
                return;
            }
            self.rows.push(number);
        }
    }

    fn number_of(&mut self, texts: &StringViewArray, row: usize) -> u16 {
        let view = texts.views()[row];
        let is_short = view as u32 <= INLINE_BYTES_MAX;
        let place = ((view ^ (view >> 64)).wrapping_mul(0x9e37_79b9_7f4a_7c15) as u64 >> 56) as usize % REMEMBERED;
        if is_short && self.remembered[place].0 == view {
            return self.remembered[place].1;
        }
        let text = texts.value(row);
        let number = match self.numbers.get(text) {
            Some(number) => *number,
            None if self.texts.len() >= VALUES_MAX => {
                self.is_given_up = true;
                return 0;
            }
            None => {
                self.texts.push(text.to_owned());
                let number = self.texts.len() as u16;
                self.numbers.insert(text.to_owned(), number);
                number
            }
        };
        if is_short {
            self.remembered[place] = (view, number);
        }
        number
    }
}

/// The groups of one rollup.
#[derive(Debug)]
struct Gathered {
    rollup: Rollup,
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
    fn new(rollup: Rollup, by: Vec<usize>, measures: Vec<Measure>) -> Self {
        let (groups, keys, rows, group_of) = (HashMap::default(), Vec::new(), Vec::new(), Vec::new());
        Self { rollup, by, groups, keys, rows, measures, bucket: NO_TIME, group_of }
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

    fn finish(mut self, values: &[Values]) -> Option<(Rollup, RecordBatch, Option<RecordBatch>)> {
        // Numbers that have no order, or sums that have no end, are left to the rows.
        let (measures, names): (Vec<Measure>, Vec<String>) = std::mem::take(&mut self.measures)
            .into_iter()
            .zip(std::mem::take(&mut self.rollup.measures))
            .filter(|(measure, _)| !measure.is_given_up && measure.sums.iter().all(|sum| sum.is_finite()))
            .unzip();
        let buckets = self.keys.iter().map(|(bucket, _)| (*bucket != NO_TIME).then_some(*bucket));
        let buckets = buckets.collect::<TimestampMicrosecondArray>().with_timezone("UTC");
        let mut columns: Vec<(String, ArrayRef)> = vec![(BUCKET.to_owned(), Arc::new(buckets))];
        for (place, (at, name)) in self.by.iter().zip(&self.rollup.by).enumerate() {
            let shift = ID_BITS * (self.by.len() - 1 - place);
            let text = |key: u64| Some(values[*at].texts[usize::from((key >> shift) as u16).checked_sub(1)?].as_str());
            let texts: StringViewArray = self.keys.iter().map(|(_, key)| text(*key)).collect();
            columns.push((name.clone(), Arc::new(texts)));
        }
        columns.push((ROWS.to_owned(), Arc::new(Int64Array::from(self.rows))));
        let mut sketches: Vec<(String, ArrayRef)> = Vec::new();
        for (measure, name) in measures.into_iter().zip(&names) {
            let is_there = |at: usize| measure.counts[at] > 0;
            let known = |values: &[f64]| -> ArrayRef {
                let known = values.iter().enumerate().map(|(at, value)| is_there(at).then_some(*value));
                Arc::new(known.collect::<Float64Array>())
            };
            columns.push((sum_column(name), known(&measure.sums)));
            columns.push((min_column(name), known(&measure.least)));
            columns.push((max_column(name), known(&measure.greatest)));
            let bytes: BinaryArray = measure.sketches.iter().map(|sketch| Some(sketch.write())).collect();
            sketches.push((sketch_column(name), Arc::new(bytes)));
            columns.push((count_column(name), Arc::new(Int64Array::from(measure.counts))));
        }
        self.rollup.measures = names;
        let batch = |columns: Vec<(String, ArrayRef)>| {
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
                .ok()
        };
        let sketches = if sketches.is_empty() { None } else { Some(batch(sketches)?) };
        Some((self.rollup, batch(columns)?, sketches))
    }
}

/// What the numbers of a column are like, by group.
#[derive(Debug)]
struct Measure {
    column: usize,
    counts: Vec<i64>,
    sums: Vec<f64>,
    least: Vec<f64>,
    greatest: Vec<f64>,
    sketches: Vec<Sketch>,
    /// There was one that is no number.
    is_given_up: bool,
}

impl Measure {
    fn new(column: usize) -> Self {
        let (counts, sums, sketches) = (Vec::new(), Vec::new(), Vec::new());
        Self { column, counts, sums, least: Vec::new(), greatest: Vec::new(), sketches, is_given_up: false }
    }

    fn add(&mut self, batch: &RecordBatch, groups: &[u32], count: usize) {
        let Some(numbers) = batch.column(self.column).as_primitive_opt::<Float64Type>() else {
            self.is_given_up = true;
            return;
        };
        self.counts.resize(count, 0);
        self.sums.resize(count, 0.0);
        self.least.resize(count, f64::INFINITY);
        self.greatest.resize(count, f64::NEG_INFINITY);
        self.sketches.resize_with(count, Sketch::default);
        for (row, group) in groups.iter().enumerate() {
            if numbers.is_null(row) || self.is_given_up {
                continue;
            }
            let (group, number) = (*group as usize, numbers.value(row));
            self.is_given_up = number.is_nan();
            self.counts[group] += 1;
            self.sums[group] += number;
            self.least[group] = self.least[group].min(number);
            self.greatest[group] = self.greatest[group].max(number);
            self.sketches[group].add(number);
        }
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
