//! `variance` and `stddev` of a sample: from the sums of the values and of their squares, both far more exact than a float,
//! so that nothing is lost where values are large and close to each other, and order does not matter.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array, Int64Array};
use arrow::datatypes::{Float64Type, Int64Type};

use super::exact::{ExactSums, Pair};
use super::{Accumulator, ArgumentType, each_value};

#[derive(Debug)]
pub(crate) struct Variance {
    argument: ArgumentType,
    /// Whether the square root is wanted.
    root: bool,
    sums: ExactSums,
    squares: ExactSums,
    counts: Vec<i64>,
}

impl Variance {
    pub(crate) fn new(argument: ArgumentType, root: bool) -> Self {
        Self { argument, root, sums: ExactSums::default(), squares: ExactSums::default(), counts: Vec::new() }
    }

    fn resize(&mut self, total_groups: usize) {
        self.sums.resize(total_groups);
        self.squares.resize(total_groups);
        self.counts.resize(total_groups, 0);
    }

    #[inline]
    fn add(&mut self, group: usize, value: f64) {
        self.sums.add(group, value);
        self.squares.add_square(group, value);
        self.counts[group] += 1;
    }
}

impl Accumulator for Variance {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        self.resize(total_groups);
        let values = &arguments[0];
        if self.argument == ArgumentType::Float {
            let numbers = values.as_primitive::<Float64Type>().values();
            each_value(values, groups, filter, |group, row| self.add(group, numbers[row]));
        } else {
            let numbers = values.as_primitive::<Int64Type>().values();
            each_value(values, groups, filter, |group, row| self.add(group, numbers[row] as f64));
        }
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        self.resize(total_groups);
        let [sums, squares, counts] = states else {
            return Err(format!("{} state columns where there are three", states.len()));
        };
        let binary = |state: &'_ ArrayRef| state.as_binary_opt::<i32>().cloned();
        let (Some(sums), Some(squares), Some(counts)) =
            (binary(sums), binary(squares), counts.as_primitive_opt::<Int64Type>())
        else {
            return Err(format!("states of {}, {} and {}", sums.data_type(), squares.data_type(), counts.data_type()));
        };
        for (row, &group) in groups.iter().enumerate() {
            self.sums.merge(group as usize, sums.value(row))?;
            self.squares.merge(group as usize, squares.value(row))?;
            self.counts[group as usize] += counts.value(row);
        }
        Ok(())
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        self.resize(total_groups);
        let sums: BinaryArray = self.sums.take_states().map(Some).collect();
        let squares: BinaryArray = self.squares.take_states().map(Some).collect();
        vec![Arc::new(sums), Arc::new(squares), Arc::new(Int64Array::from(std::mem::take(&mut self.counts)))]
    }

    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        self.resize(total_groups);
        let root = self.root;
        let groups = self.sums.take_pairs().zip(self.squares.take_pairs()).zip(std::mem::take(&mut self.counts));
        let results = groups.map(|((sum, squares), count)| {
            let variance = (count > 1).then(|| variance(sum, squares, count as f64));
            if root { variance.map(f64::sqrt) } else { variance }
        });
        Arc::new(results.collect::<Float64Array>())
    }

    fn size(&self) -> usize {
        self.sums.size() + self.squares.size() + self.counts.capacity() * size_of::<i64>()
    }
}

/// `(squares - sum^2 / count) / (count - 1)`, with twice the digits of a float until the last step (Dekker, "A
/// floating-point technique for extending the available precision", 1971).
fn variance(sum: Pair, squares: Pair, count: f64) -> f64 {
    let square = sum.high * sum.high;
    let square_rest = sum.high.mul_add(sum.high, -square) + 2.0 * sum.high * sum.low;
    let share = square / count;
    let share_rest = ((-share).mul_add(count, square) + square_rest) / count;
    let difference = squares.high - share;
    // What the subtraction rounded away: none where the two are close, which is where it would matter.
    let back = difference + share;
    let lost = (squares.high - back) - (share - (back - difference));
    let spread = difference + (lost + (squares.low - share_rest));
    if spread.is_nan() { f64::NAN } else { spread.max(0.0) / (count - 1.0) }
}
