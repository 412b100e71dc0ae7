//! `first` and `last`: the value with the earliest or the latest event time. Of several at the same time, `first` takes the
//! smallest and `last` the largest, so that order does not matter.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Float64Type, Int64Type};

use super::{Accumulator, ArgumentType, each_value};

#[derive(Debug)]
pub(crate) struct Edge {
    wanted: Ordering,
    argument: ArgumentType,
    best: Vec<Option<(i64, Value)>>,
}

#[derive(Clone, Debug)]
enum Value {
    Whole(i64),
    Float(f64),
    Text(Box<str>),
}

impl Edge {
    pub(crate) fn new(wanted: Ordering, argument: ArgumentType) -> Self {
        Self { wanted, argument, best: Vec::new() }
    }

    fn take(&mut self, timed: Timed<'_>, groups: &[u32], filter: Option<&BooleanArray>, total_groups: usize) {
        self.best.resize(total_groups, None);
        each_value(timed.values, groups, filter, |group, row| {
            let best = &mut self.best[group];
            if best.as_ref().is_none_or(|best| timed.compare(row, best) == self.wanted) {
                *best = Some((timed.times.value(row), timed.value(row)));
            }
        });
    }
}

/// Values and their event times.
#[derive(Clone, Copy)]
struct Timed<'a> {
    times: &'a Int64Array,
    values: &'a dyn Array,
}

impl<'a> Timed<'a> {
    /// # Errors
    /// When these are not times and values of the type `argument`.
    fn of(times: &'a ArrayRef, values: &'a ArrayRef, argument: &ArgumentType) -> Result<Self, String> {
        match times.as_primitive_opt::<Int64Type>() {
            Some(times) if *values.data_type() == argument.physical() => Ok(Self { times, values }),
            _ => Err(format!("the state is {} and {}", times.data_type(), values.data_type())),
        }
    }

    fn value(&self, row: usize) -> Value {
        match self.values.data_type() {
            DataType::Int64 => Value::Whole(self.values.as_primitive::<Int64Type>().value(row)),
            DataType::Float64 => Value::Float(self.values.as_primitive::<Float64Type>().value(row)),
            _ => Value::Text(self.values.as_string::<i32>().value(row).into()),
        }
    }

    fn compare(&self, row: usize, (time, value): &(i64, Value)) -> Ordering {
        self.times.value(row).cmp(time).then_with(|| match value {
            Value::Whole(value) => self.values.as_primitive::<Int64Type>().value(row).cmp(value),
            Value::Float(value) => self.values.as_primitive::<Float64Type>().value(row).total_cmp(value),
            Value::Text(value) => self.values.as_string::<i32>().value(row).cmp(value),
        })
    }
}

/// Values with their event times in one column, as the accumulator takes them.
pub(crate) fn timed(times: &ArrayRef, values: &ArrayRef) -> ArrayRef {
    let field = |name: &str, column: &ArrayRef| Field::new(name, column.data_type().clone(), true);
    let fields = Fields::from(vec![field("time", times), field("value", values)]);
    Arc::new(StructArray::new(fields, vec![times.clone(), values.clone()], None))
}

impl Accumulator for Edge {
    fn update_batch(
        &mut self,
        values: Option<&ArrayRef>,
        groups: &[u32],
        filter: Option<&BooleanArray>,
        total_groups: usize,
    ) {
        let columns = values.expect("first and last have an argument").as_struct();
        let argument = self.argument.clone();
        let timed = Timed::of(columns.column(0), columns.column(1), &argument);
        self.take(timed.expect("the argument was made by `timed`"), groups, filter, total_groups);
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[u32], total_groups: usize) -> Result<(), String> {
        let [times, values] = states else { return Err(format!("{} state columns where there are two", states.len())) };
        let argument = self.argument.clone();
        self.take(Timed::of(times, values, &argument)?, groups, None, total_groups);
        Ok(())
    }

    fn state(&mut self, total_groups: usize) -> Vec<ArrayRef> {
        self.best.resize(total_groups, None);
        let (times, values): (Vec<Option<i64>>, Vec<Option<Value>>) =
            std::mem::take(&mut self.best).into_iter().map(Option::unzip).unzip();
        let values: ArrayRef = match self.argument.physical() {
            DataType::Int64 => Arc::new(
                values
                    .into_iter()
                    .map(|value| match value {
                        Some(Value::Whole(value)) => Some(value),
                        _ => None,
                    })
                    .collect::<Int64Array>(),
            ),
            DataType::Float64 => Arc::new(
                values
                    .into_iter()
                    .map(|value| match value {
                        Some(Value::Float(value)) => Some(value),
                        _ => None,
                    })
                    .collect::<Float64Array>(),
            ),
            _ => Arc::new(
                values
                    .into_iter()
                    .map(|value| match value {
                        Some(Value::Text(value)) => Some(value),
                        _ => None,
                    })
                    .collect::<StringArray>(),
            ),
        };
        vec![Arc::new(Int64Array::from(times)), values]
    }

    fn evaluate(&mut self, total_groups: usize) -> ArrayRef {
        let values = self.state(total_groups).swap_remove(1);
        cast(&values, &self.argument.shown()).expect("values that came from this type go back to it")
    }

    fn size(&self) -> usize {
        self.best.capacity() * size_of::<Option<(i64, Value)>>()
    }
}
