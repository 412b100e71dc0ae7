//! `quantile`: a value with a relative error of at most 1%, from a [`Sketch`] per group.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array};
use arrow::datatypes::{Float64Type, Int64Type};

use super::sketch::Sketch;
use super::{Accumulator, ArgumentType, each_value, only_state};

#[derive(Debug)]
pub(crate) struct Quantile {
    quantile: f64,
    argument: ArgumentType,
    sketches: Vec<Sketch>,
}

impl Quantile {
    pub(crate) fn new(quantile: f64, argument: ArgumentType) -> Self {
        Self { quantile, argument, sketches: Vec::new() }
    }
}

impl Accumulator for Quantile {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        self.sketches.resize_with(total_groups, Sketch::default);
        let values = &arguments[0];
        let sketches = &mut self.sketches;
        if self.argument == ArgumentType::Float {
            let numbers = values.as_primitive::<Float64Type>().values();
            each_value(values, groups, filter, |group, row| sketches[group].add(numbers[row]));
        } else {
            let numbers = values.as_primitive::<Int64Type>().values();
            each_value(values, groups, filter, |group, row| sketches[group].add(numbers[row] as f64));
        }
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        self.sketches.resize_with(total_groups, Sketch::default);
        let states: &BinaryArray = only_state(states)?;
        for (row, &group) in groups.iter().enumerate().filter(|(row, _)| states.is_valid(*row)) {
            let state = states.value(row);
            let sketch = Sketch::read(state).ok_or_else(|| format!("a sketch of {} bytes", state.len()))?;
            self.sketches[group as usize].merge(&sketch);
        }
        Ok(())
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        self.sketches.resize_with(total_groups, Sketch::default);
        let sketches = std::mem::take(&mut self.sketches);
        vec![Arc::new(sketches.iter().map(|sketch| Some(sketch.write())).collect::<BinaryArray>())]
    }

    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        self.sketches.resize_with(total_groups, Sketch::default);
        let sketches = std::mem::take(&mut self.sketches);
        Arc::new(sketches.iter().map(|sketch| sketch.quantile(self.quantile)).collect::<Float64Array>())
    }

    fn size(&self) -> usize {
        self.sketches.iter().map(Sketch::size).sum()
    }
}
