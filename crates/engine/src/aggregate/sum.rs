//! `sum`: of integers as an integer, of floats exactly and rounded once.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array, Int64Array};
use arrow::datatypes::{Float64Type, Int64Type};

use super::exact::ExactSums;
use super::{Accumulator, each_value, only_state};

/// The sum of integers, in 128 bits. A sum that does not fit into 64 is shown as null rather than as a wrong number.
#[derive(Debug, Default)]
pub(crate) struct WholeSum {
    sums: Vec<i128>,
    seen: Vec<bool>,
}

impl WholeSum {
    fn resize(&mut self, total_groups: usize) {
        self.sums.resize(total_groups, 0);
        self.seen.resize(total_groups, false);
    }
}

impl Accumulator for WholeSum {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        self.resize(total_groups);
        let values = arguments[0].as_primitive::<Int64Type>();
        each_value(values, groups, filter, |group, row| {
            self.sums[group] += i128::from(values.value(row));
            self.seen[group] = true;
        });
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        self.resize(total_groups);
        let states: &BinaryArray = only_state(states)?;
        let mut damaged = false;
        each_value(states, groups, None, |group, row| match states.value(row).try_into() {
            Ok(bytes) => {
                self.sums[group] += i128::from_le_bytes(bytes);
                self.seen[group] = true;
            }
            Err(_) => damaged = true,
        });
        if damaged { Err("a sum that is not 16 bytes".to_owned()) } else { Ok(()) }
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        self.resize(total_groups);
        let sums = std::mem::take(&mut self.sums).into_iter().zip(std::mem::take(&mut self.seen));
        vec![Arc::new(sums.map(|(sum, seen)| seen.then(|| sum.to_le_bytes())).collect::<BinaryArray>())]
    }

    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        self.resize(total_groups);
        let sums = std::mem::take(&mut self.sums).into_iter().zip(std::mem::take(&mut self.seen));
        Arc::new(sums.map(|(sum, seen)| i64::try_from(sum).ok().filter(|_| seen)).collect::<Int64Array>())
    }

    fn size(&self) -> usize {
        self.sums.capacity() * 17
    }
}

/// The sum of floats.
#[derive(Debug, Default)]
pub(crate) struct FloatSum {
    sums: ExactSums,
    seen: Vec<bool>,
}

impl FloatSum {
    fn resize(&mut self, total_groups: usize) {
        self.sums.resize(total_groups);
        self.seen.resize(total_groups, false);
    }
}

impl Accumulator for FloatSum {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        self.resize(total_groups);
        let values = arguments[0].as_primitive::<Float64Type>();
        let numbers = values.values();
        each_value(values, groups, filter, |group, row| {
            self.sums.add(group, numbers[row]);
            self.seen[group] = true;
        });
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        self.resize(total_groups);
        let states: &BinaryArray = only_state(states)?;
        for (row, &group) in groups.iter().enumerate().filter(|(row, _)| states.is_valid(*row)) {
            self.sums.merge(group as usize, states.value(row))?;
            self.seen[group as usize] = true;
        }
        Ok(())
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        self.resize(total_groups);
        let states = self.sums.take_states().zip(std::mem::take(&mut self.seen));
        vec![Arc::new(states.map(|(state, seen)| seen.then_some(state)).collect::<BinaryArray>())]
    }

    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        self.resize(total_groups);
        let sums = self.sums.take().zip(std::mem::take(&mut self.seen));
        Arc::new(sums.map(|(sum, seen)| seen.then_some(sum)).collect::<Float64Array>())
    }

    fn size(&self) -> usize {
        self.sums.size() + self.seen.capacity()
    }
}
