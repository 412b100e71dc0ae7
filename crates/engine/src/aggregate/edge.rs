//! `first` and `last`: the value with the earliest or the latest event time. Of several at the same time, `first` takes the
//! smallest and `last` the largest, so that order does not matter.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int64Array};
use arrow::datatypes::Int64Type;

use super::value::{Value, column, shown};
use super::{Accumulator, ArgumentType, each_value};

#[derive(Debug)]
pub(crate) struct Edge {
    wanted: Ordering,
    argument: ArgumentType,
    best: Vec<Option<(i64, Value)>>,
}

impl Edge {
    pub(crate) fn new(wanted: Ordering, argument: ArgumentType) -> Self {
        Self { wanted, argument, best: Vec::new() }
    }

    fn take(
        &mut self,
        (times, values): (&Int64Array, &ArrayRef),
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        self.best.resize(total_groups, None);
        each_value(values, groups, filter, |group, row| {
            let (time, best) = (times.value(row), &mut self.best[group]);
            let order =
                |(known, value): &(i64, Value)| time.cmp(known).then_with(|| Value::compare_row(values, row, value));
            if best.as_ref().is_none_or(|best| order(best) == self.wanted) {
                *best = Some((time, Value::of(values, row)));
            }
        });
    }

    fn take_best(&mut self, total_groups: usize) -> (Vec<Option<i64>>, Vec<Option<Value>>) {
        self.best.resize(total_groups, None);
        std::mem::take(&mut self.best).into_iter().map(Option::unzip).unzip()
    }
}

impl Accumulator for Edge {
    fn update_batch(
        &mut self,
        arguments: &[ArrayRef],
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        let times = arguments[1].as_primitive::<Int64Type>();
        self.take((times, &arguments[0]), groups, filter, total_groups);
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        let [times, values] = states else { return Err(format!("{} state columns where there are two", states.len())) };
        match times.as_primitive_opt::<Int64Type>() {
            Some(times) if *values.data_type() == self.argument.physical() => {
                self.take((times, values), groups, None, total_groups);
                Ok(())
            }
            _ => Err(format!("the state is {} and {}", times.data_type(), values.data_type())),
        }
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        let (times, values) = self.take_best(total_groups);
        vec![Arc::new(Int64Array::from(times)), column(values, &self.argument)]
    }

    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        shown(self.take_best(total_groups).1, &self.argument)
    }

    fn size(&self) -> usize {
        let text: usize = self.best.iter().flatten().map(|(_, value)| value.text_bytes()).sum();
        text + self.best.capacity() * size_of::<Option<(i64, Value)>>()
    }
}
