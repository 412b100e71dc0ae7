//! `count`: rows, or values that are not null.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array};

use super::{Accumulator, each_value, only_state};

#[derive(Debug, Default)]
pub(crate) struct Count {
    counts: Vec<i64>,
}

impl Accumulator for Count {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        self.counts.resize(total_groups, 0);
        let counts = &mut self.counts;
        match (arguments.first(), filter) {
            (None, None) => groups.iter().for_each(|&group| counts[group as usize] += 1),
            (None, Some(filter)) => each_value(filter, groups, Some(filter), |group, _| counts[group] += 1),
            (Some(values), filter) => each_value(values, groups, filter, |group, _| counts[group] += 1),
        }
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        self.counts.resize(total_groups, 0);
        let states: &Int64Array = only_state(states)?;
        each_value(states, groups, None, |group, row| self.counts[group] += states.value(row));
        Ok(())
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        vec![self.evaluate(total_groups)]
    }

    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        self.counts.resize(total_groups, 0);
        Arc::new(Int64Array::from(std::mem::take(&mut self.counts)))
    }

    fn size(&self) -> usize {
        self.counts.capacity() * size_of::<i64>()
    }
}
