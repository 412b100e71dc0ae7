//! What the numbers of a column are like, by group: floats and whole numbers, each summed up in its own kind. Groups nothing.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, Float64Array, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema};

use super::{Sketch, count_column, max_column, min_column, sketch_column, sum_column};

/// The numbers of one column.
#[derive(Debug)]
pub(super) struct Measure {
    column: usize,
    counts: Vec<i64>,
    of: Of,
    /// There was something that is no number, or a sum that is none.
    is_given_up: bool,
}

/// By group.
#[derive(Debug)]
enum Of {
    Floats { sums: Vec<f64>, least: Vec<f64>, greatest: Vec<f64>, sketches: Vec<Sketch> },
    Wholes { sums: Vec<i64>, least: Vec<i64>, greatest: Vec<i64> },
}

impl Measure {
    /// That of the column `name`; `None` when it is not there or holds no numbers.
    pub(super) fn of(schema: &Schema, name: &str) -> Option<Self> {
        let (column, field) = schema.column_with_name(name)?;
        let of = match field.data_type() {
            DataType::Float64 => {
                let (sums, least, greatest, sketches) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
                Of::Floats { sums, least, greatest, sketches }
            }
            DataType::Int64 => Of::Wholes { sums: Vec::new(), least: Vec::new(), greatest: Vec::new() },
            _ => return None,
        };
        Some(Self { column, counts: Vec::new(), of, is_given_up: false })
    }

    /// Whether every group has its numbers.
    pub(super) fn is_sound(&self) -> bool {
        let is_finite = match &self.of {
            Of::Floats { sums, .. } => sums.iter().all(|sum| sum.is_finite()),
            Of::Wholes { .. } => true,
        };
        !self.is_given_up && is_finite
    }

    /// The numbers of `batch`, whose rows belong to `groups`, of `count` groups so far.
    pub(super) fn add(&mut self, batch: &RecordBatch, groups: &[u32], count: usize) {
        self.counts.resize(count, 0);
        self.is_given_up = self.is_given_up || self.add_all(batch.column(self.column), groups, count).is_none();
    }

    fn add_all(&mut self, column: &ArrayRef, groups: &[u32], count: usize) -> Option<()> {
        match &mut self.of {
            Of::Floats { sums, least, greatest, sketches } => {
                let numbers = column.as_primitive_opt::<Float64Type>()?;
                sums.resize(count, 0.0);
                least.resize(count, f64::INFINITY);
                greatest.resize(count, f64::NEG_INFINITY);
                sketches.resize_with(count, Sketch::default);
                for (row, group) in groups.iter().enumerate().filter(|(row, _)| numbers.is_valid(*row)) {
                    let (group, number) = (*group as usize, numbers.value(row));
                    if number.is_nan() {
                        return None;
                    }
                    self.counts[group] += 1;
                    sums[group] += number;
                    least[group] = least[group].min(number);
                    greatest[group] = greatest[group].max(number);
                    sketches[group].add(number);
                }
            }
            Of::Wholes { sums, least, greatest } => {
                let numbers = column.as_primitive_opt::<Int64Type>()?;
                sums.resize(count, 0);
                least.resize(count, i64::MAX);
                greatest.resize(count, i64::MIN);
                for (row, group) in groups.iter().enumerate().filter(|(row, _)| numbers.is_valid(*row)) {
                    let (group, number) = (*group as usize, numbers.value(row));
                    self.counts[group] += 1;
                    sums[group] = sums[group].checked_add(number)?;
                    least[group] = least[group].min(number);
                    greatest[group] = greatest[group].max(number);
                }
            }
        }
        Some(())
    }

    /// The columns of the measure that is called `name`.
    pub(super) fn finish(
        self,
        name: &str,
        columns: &mut Vec<(String, ArrayRef)>,
        sketches: &mut Vec<(String, ArrayRef)>,
    ) {
        let counts = &self.counts;
        let floats = |values: &[f64]| -> ArrayRef { Arc::new(known(values, counts).collect::<Float64Array>()) };
        let wholes = |values: &[i64]| -> ArrayRef { Arc::new(known(values, counts).collect::<Int64Array>()) };
        let [sums, least, greatest] = match self.of {
            Of::Floats { sums, least, greatest, sketches: made } => {
                let bytes: BinaryArray = made.iter().map(|sketch| Some(sketch.write())).collect();
                sketches.push((sketch_column(name), Arc::new(bytes)));
                [floats(&sums), floats(&least), floats(&greatest)]
            }
            Of::Wholes { sums, least, greatest } => [wholes(&sums), wholes(&least), wholes(&greatest)],
        };
        columns.push((sum_column(name), sums));
        columns.push((min_column(name), least));
        columns.push((max_column(name), greatest));
        columns.push((count_column(name), Arc::new(Int64Array::from(self.counts))));
    }
}

/// The values of groups that have any number.
fn known<'a, T: Copy>(values: &'a [T], counts: &'a [i64]) -> impl Iterator<Item = Option<T>> + 'a {
    values.iter().zip(counts).map(|(value, count)| (*count > 0).then_some(*value))
}
