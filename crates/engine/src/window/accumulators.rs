//! The aggregates of groups that are numbered from 0 without gaps. Knows nothing of keys, windows or sessions.
//!
//! In a run the states of aggregate n are the columns `s<n>_0, s<n>_1 ...`. An aggregate whose argument's type is not
//! known yet has no state and no columns.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Schema};

use super::shape::Shape;
use crate::aggregate::{Accumulator, results_unseen};

#[derive(Debug, Default)]
pub(crate) struct Accumulators {
    accumulators: Vec<Option<Box<dyn Accumulator>>>,
}

impl Accumulators {
    /// Adds rows, whose groups are below `total`, with their inputs, after which comes what [`Shape::extras`] gives.
    pub(crate) fn update(&mut self, inputs: &[ArrayRef], groups: &[u32], total: usize, shape: &Shape) {
        self.make_accumulators(shape);
        for (measure, accumulator) in shape.measures.iter().zip(&mut self.accumulators) {
            let Some(accumulator) = accumulator else { continue };
            let several_arguments: Vec<ArrayRef>;
            let filter = measure.filter.map(|index| inputs[index].as_boolean());
            if measure.arguments.iter().any(|index| *inputs[*index].data_type() == DataType::Null) {
                continue;
            }
            let arguments = match (measure.arguments.as_slice(), measure.extra) {
                ([], _) => &[],
                ([only], None) => std::slice::from_ref(&inputs[*only]),
                (several, extra) => {
                    several_arguments = several.iter().chain(&extra).map(|index| inputs[*index].clone()).collect();
                    several_arguments.as_slice()
                }
            };
            accumulator.update_batch(arguments, groups, filter, total);
        }
    }

    fn make_accumulators(&mut self, shape: &Shape) {
        self.accumulators.resize_with(shape.measures.len(), || None);
        for (measure, accumulator) in shape.measures.iter().zip(&mut self.accumulators) {
            if accumulator.is_none() {
                *accumulator = shape.accumulator(measure);
            }
        }
    }

    /// Adds the states among `columns`, those of a run with this schema.
    ///
    /// # Errors
    /// When they are not states of these aggregates.
    pub(crate) fn merge(
        &mut self,
        schema: &Schema,
        columns: &[ArrayRef],
        groups: &[u32],
        total: usize,
        shape: &Shape,
    ) -> Result<(), String> {
        self.make_accumulators(shape);
        let owners: Vec<Option<usize>> = schema.fields().iter().map(|field| aggregate_of(field.name())).collect();
        for (index, accumulator) in self.accumulators.iter_mut().enumerate() {
            let own = owners.iter().zip(columns).filter(|(owner, _)| **owner == Some(index));
            let states: Vec<ArrayRef> = own.map(|(_, column)| column.clone()).collect();
            match accumulator {
                Some(accumulator) if !states.is_empty() => accumulator.merge_batch(&states, groups, total)?,
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// Appends the states of all groups as columns with their names, and starts anew.
    pub(crate) fn seal(&mut self, total: usize, shape: &Shape, names: &mut Vec<String>, columns: &mut Vec<ArrayRef>) {
        self.make_accumulators(shape);
        for (index, accumulator) in self.accumulators.iter_mut().enumerate() {
            let states = accumulator.as_mut().map(|accumulator| accumulator.state(total)).unwrap_or_default();
            names.extend((0..states.len()).map(|state| format!("s{index}_{state}")));
            columns.extend(states);
        }
    }

    /// The results of each aggregate, a row per group.
    pub(crate) fn evaluate(&mut self, total: usize, shape: &Shape) -> Vec<ArrayRef> {
        self.make_accumulators(shape);
        let measures = shape.measures.iter().zip(&mut self.accumulators);
        let results = measures.map(|(measure, accumulator)| match accumulator {
            Some(accumulator) => accumulator.evaluate(total),
            None => results_unseen(&measure.function, total),
        });
        results.collect()
    }

    pub(crate) fn size(&self) -> usize {
        self.accumulators.iter().flatten().map(|accumulator| accumulator.size()).sum()
    }
}

/// The aggregate whose state a column of this name is.
fn aggregate_of(column: &str) -> Option<usize> {
    column.strip_prefix('s')?.split_once('_')?.0.parse().ok()
}
