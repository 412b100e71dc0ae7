//! `min` and `max`: of numbers, instants, dates, booleans and text. Floats are in IEEE total order: NaN is the largest.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};

use super::{Accumulator, each_value, only_state};

/// The extreme of everything that is ordered like an integer.
#[derive(Debug)]
pub(crate) struct WholeExtreme {
    wanted: Ordering,
    shown: DataType,
    best: Vec<Option<i64>>,
}

impl WholeExtreme {
    pub(crate) fn new(wanted: Ordering, shown: DataType) -> Self {
        Self { wanted, shown, best: Vec::new() }
    }

    fn take(&mut self, values: &Int64Array, groups: &[u32], filter: Option<&BooleanArray>, total_groups: usize) {
        self.best.resize(total_groups, None);
        each_value(values, groups, filter, |group, row| {
            let (value, best) = (values.value(row), &mut self.best[group]);
            if best.is_none_or(|best| value.cmp(&best) == self.wanted) {
                *best = Some(value);
            }
        });
    }
}

impl Accumulator for WholeExtreme {
    fn update_batch(
        &mut self,
        values: Option<&ArrayRef>,
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        let values = values.expect("min and max have an argument").as_primitive::<Int64Type>();
        self.take(values, groups, filter, total_groups);
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        self.take(only_state(states)?, groups, None, total_groups);
        Ok(())
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        self.best.resize(total_groups, None);
        vec![Arc::new(Int64Array::from(std::mem::take(&mut self.best)))]
    }

    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        let best = self.state(total_groups).swap_remove(0);
        cast(&best, &self.shown).expect("values that came from this type go back to it")
    }

    fn size(&self) -> usize {
        self.best.capacity() * size_of::<Option<i64>>()
    }
}

/// The extreme of floats.
#[derive(Debug)]
pub(crate) struct FloatExtreme {
    wanted: Ordering,
    best: Vec<Option<f64>>,
}

impl FloatExtreme {
    pub(crate) fn new(wanted: Ordering) -> Self {
        Self { wanted, best: Vec::new() }
    }

    fn take(&mut self, values: &Float64Array, groups: &[u32], filter: Option<&BooleanArray>, total_groups: usize) {
        self.best.resize(total_groups, None);
        each_value(values, groups, filter, |group, row| {
            let (value, best) = (values.value(row), &mut self.best[group]);
            if best.is_none_or(|best| value.total_cmp(&best) == self.wanted) {
                *best = Some(value);
            }
        });
    }
}

impl Accumulator for FloatExtreme {
    fn update_batch(
        &mut self,
        values: Option<&ArrayRef>,
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        let values = values.expect("min and max have an argument").as_primitive::<Float64Type>();
        self.take(values, groups, filter, total_groups);
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        self.take(only_state(states)?, groups, None, total_groups);
        Ok(())
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        vec![self.evaluate(total_groups)]
    }

    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        self.best.resize(total_groups, None);
        Arc::new(Float64Array::from(std::mem::take(&mut self.best)))
    }

    fn size(&self) -> usize {
        self.best.capacity() * size_of::<Option<f64>>()
    }
}

/// The extreme of text, by its bytes.
#[derive(Debug)]
pub(crate) struct TextExtreme {
    wanted: Ordering,
    best: Vec<Option<Box<str>>>,
}

impl TextExtreme {
    pub(crate) fn new(wanted: Ordering) -> Self {
        Self { wanted, best: Vec::new() }
    }

    fn take(&mut self, values: &StringArray, groups: &[u32], filter: Option<&BooleanArray>, total_groups: usize) {
        self.best.resize(total_groups, None);
        each_value(values, groups, filter, |group, row| {
            let (value, best) = (values.value(row), &mut self.best[group]);
            if best.as_deref().is_none_or(|best| value.cmp(best) == self.wanted) {
                *best = Some(value.into());
            }
        });
    }
}

impl Accumulator for TextExtreme {
    fn update_batch(
        &mut self,
        values: Option<&ArrayRef>,
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        let values = values.expect("min and max have an argument").as_string::<i32>();
        self.take(values, groups, filter, total_groups);
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        self.take(only_state(states)?, groups, None, total_groups);
        Ok(())
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        vec![self.evaluate(total_groups)]
    }

    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        self.best.resize(total_groups, None);
        Arc::new(std::mem::take(&mut self.best).into_iter().collect::<StringArray>())
    }

    fn size(&self) -> usize {
        let text: usize = self.best.iter().flatten().map(|text| text.len()).sum();
        text + self.best.capacity() * size_of::<Option<Box<str>>>()
    }
}
