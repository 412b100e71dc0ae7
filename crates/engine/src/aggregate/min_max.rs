//! `min` and `max`: of numbers, instants, dates, booleans and text. Floats are in IEEE total order: NaN is the largest.

use std::cmp::Ordering;
use std::fmt::Debug;
use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowNativeTypeOp, AsArray, BooleanArray, PrimitiveArray, StringArray};
use arrow::datatypes::ArrowPrimitiveType;

use super::value::as_shown;
use super::{Accumulator, ArgumentType, each_value, only_state};

/// The extreme of numbers and of everything that is held as one.
#[derive(Debug)]
pub(crate) struct NumberExtreme<T: ArrowPrimitiveType> {
    wanted: Ordering,
    argument: ArgumentType,
    best: Vec<Option<T::Native>>,
}

impl<T: ArrowPrimitiveType> NumberExtreme<T> {
    /// Of values that come as `T`, the physical type of `argument`.
    pub(crate) fn new(wanted: Ordering, argument: ArgumentType) -> Self {
        Self { wanted, argument, best: Vec::new() }
    }

    fn take(&mut self, values: &PrimitiveArray<T>, groups: &[u32], filter: Option<&BooleanArray>, total_groups: usize) {
        self.best.resize(total_groups, None);
        let numbers = values.values();
        each_value(values, groups, filter, |group, row| {
            let (value, best) = (numbers[row], &mut self.best[group]);
            // `compare` is a total order, also of floats.
            if best.is_none_or(|best| value.compare(best) == self.wanted) {
                *best = Some(value);
            }
        });
    }
}

impl<T: ArrowPrimitiveType + Debug> Accumulator for NumberExtreme<T> {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        self.take(arguments[0].as_primitive::<T>(), groups, filter, total_groups);
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        self.take(only_state(states)?, groups, None, total_groups);
        Ok(())
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        self.best.resize(total_groups, None);
        let best = std::mem::take(&mut self.best).into_iter();
        vec![Arc::new(best.collect::<PrimitiveArray<T>>().with_data_type(self.argument.physical()))]
    }

    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        as_shown(&self.state(total_groups).swap_remove(0), &self.argument)
    }

    fn size(&self) -> usize {
        self.best.capacity() * size_of::<Option<T::Native>>()
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
        arguments: &[ArrayRef],
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        self.take(arguments[0].as_string::<i32>(), groups, filter, total_groups);
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
