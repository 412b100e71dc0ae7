//! `avg`: the exact sum, rounded once, divided by the count.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array, Int64Array};
use arrow::datatypes::{Float64Type, Int64Type};

use super::exact::ExactSums;
use super::{Accumulator, ArgumentType, each_value};

#[derive(Debug)]
pub(crate) struct Avg {
    argument: ArgumentType,
    sums: ExactSums,
    counts: Vec<i64>,
}

impl Avg {
    pub(crate) fn new(argument: ArgumentType) -> Self {
        Self { argument, sums: ExactSums::default(), counts: Vec::new() }
    }

    fn resize(&mut self, total_groups: usize) {
        self.sums.resize(total_groups);
        self.counts.resize(total_groups, 0);
    }
}

impl Accumulator for Avg {
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
            each_value(values, groups, filter, |group, row| {
                self.sums.add(group, numbers[row]);
                self.counts[group] += 1;
            });
        } else {
            let numbers = values.as_primitive::<Int64Type>().values();
            each_value(values, groups, filter, |group, row| {
                self.sums.add_whole(group, numbers[row]);
                self.counts[group] += 1;
            });
        }
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        self.resize(total_groups);
        let [sums, counts] = states else { return Err(format!("{} state columns where there are two", states.len())) };
        let (Some(sums), Some(counts)) = (sums.as_binary_opt::<i32>(), counts.as_primitive_opt::<Int64Type>()) else {
            return Err(format!("states of {} and {}", sums.data_type(), counts.data_type()));
        };
        for (row, &group) in groups.iter().enumerate() {
            self.sums.merge(group as usize, sums.value(row))?;
            self.counts[group as usize] += counts.value(row);
        }
        Ok(())
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        self.resize(total_groups);
        let sums: BinaryArray = self.sums.take_states().map(Some).collect();
        vec![Arc::new(sums), Arc::new(Int64Array::from(std::mem::take(&mut self.counts)))]
    }

    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        self.resize(total_groups);
        let groups = self.sums.take().zip(std::mem::take(&mut self.counts));
        Arc::new(groups.map(|(sum, count)| (count > 0).then(|| sum / count as f64)).collect::<Float64Array>())
    }

    fn size(&self) -> usize {
        self.sums.size() + self.counts.capacity() * size_of::<i64>()
    }
}
