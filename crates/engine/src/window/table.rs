//! The groups of one pane while they are being filled: a number per key, and the aggregates of each.
//!
//! A table turns into a *run*: the keys' columns `k0, k1 ...`, then the states of aggregate n as `s<n>_0, s<n>_1 ...`.
//! An aggregate whose argument's type is not known yet has no state and no columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, UInt32Array, new_null_array};
use arrow::compute::take_arrays;
use arrow::datatypes::{DataType, Field, Schema};

use super::shape::Shape;
use crate::aggregate::{Accumulator, result_type_unseen};
use crate::keys::{GroupIndex, KeyId, Keys};
use crate::plan::Aggregate;

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) groups: GroupIndex,
    accumulators: Vec<Option<Box<dyn Accumulator>>>,
    row_groups: Vec<u32>,
}

impl Table {
    /// Adds rows with these keys and inputs, after which come what [`Shape::extras`] gives. Returns the keys that are new to this table.
    pub(crate) fn update(&mut self, keys: &[KeyId], inputs: &[ArrayRef], shape: &Shape) -> &[KeyId] {
        let before = self.groups.len();
        self.row_groups.clear();
        self.row_groups.extend(keys.iter().map(|key| self.groups.group(*key)));
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
            accumulator.update_batch(arguments, &self.row_groups, filter, self.groups.len());
        }
        &self.groups.keys()[before..]
    }

    fn make_accumulators(&mut self, shape: &Shape) {
        self.accumulators.resize_with(shape.measures.len(), || None);
        for (measure, accumulator) in shape.measures.iter().zip(&mut self.accumulators) {
            if accumulator.is_none() {
                *accumulator = shape.accumulator(measure);
            }
        }
    }

    /// Adds the groups of a run, whose rows have these keys; with `only_known`, only those that the table has already.
    ///
    /// # Errors
    /// When the run's columns are not states of these aggregates.
    pub(crate) fn absorb(
        &mut self,
        run: &RecordBatch,
        keys: &[KeyId],
        only_known: bool,
        shape: &Shape,
    ) -> Result<(), String> {
        self.make_accumulators(shape);
        let mut columns: Vec<ArrayRef> = run.columns().to_vec();
        let groups: Vec<u32> = if only_known {
            let known = keys.iter().zip(0u32..).filter_map(|(key, row)| Some((row, self.groups.find(*key)?)));
            let (rows, groups): (Vec<u32>, Vec<u32>) = known.unzip();
            let pick = take_arrays(&columns, &UInt32Array::from(rows), None);
            columns = pick.map_err(|error| error.to_string())?;
            groups
        } else {
            keys.iter().map(|key| self.groups.group(*key)).collect()
        };
        let schema = run.schema();
        for (index, accumulator) in self.accumulators.iter_mut().enumerate() {
            let prefix = format!("s{index}_");
            let own = schema.fields().iter().zip(&columns).filter(|(field, _)| field.name().starts_with(&prefix));
            let states: Vec<ArrayRef> = own.map(|(_, column)| column.clone()).collect();
            match accumulator {
                Some(accumulator) if !states.is_empty() => {
                    accumulator.merge_batch(&states, &groups, self.groups.len())?
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }

    /// Turns into a run and the keys of its rows.
    pub(crate) fn seal(self, keys: &Keys, shape: &Shape) -> (RecordBatch, Vec<KeyId>) {
        let ids = self.groups.keys().to_vec();
        let columns = keys.columns(&ids);
        (self.into_batch(columns, shape), ids)
    }

    /// Turns into the states alone, a row per group.
    pub(crate) fn seal_states(self, shape: &Shape) -> RecordBatch {
        self.into_batch(Vec::new(), shape)
    }

    fn into_batch(mut self, mut columns: Vec<ArrayRef>, shape: &Shape) -> RecordBatch {
        self.make_accumulators(shape);
        let groups = self.groups.len();
        let mut names: Vec<String> = (0..columns.len()).map(|index| format!("k{index}")).collect();
        for (index, accumulator) in self.accumulators.iter_mut().enumerate() {
            let states = accumulator.as_mut().map(|accumulator| accumulator.state(groups)).unwrap_or_default();
            names.extend((0..states.len()).map(|state| format!("s{index}_{state}")));
            columns.extend(states);
        }
        batch(names, columns, groups)
    }

    /// The results of each aggregate, a row per group.
    pub(crate) fn evaluate(&mut self, shape: &Shape) -> Vec<ArrayRef> {
        self.make_accumulators(shape);
        let groups = self.groups.len();
        let measures = shape.measures.iter().zip(&mut self.accumulators);
        let results = measures.map(|(measure, accumulator)| match accumulator {
            Some(accumulator) => accumulator.evaluate(groups),
            None if measure.function == Aggregate::Count => Arc::new(Int64Array::from(vec![0; groups])),
            None => new_null_array(&result_type_unseen(&measure.function), groups),
        });
        results.collect()
    }

    pub(crate) fn size(&self) -> usize {
        let accumulators: usize = self.accumulators.iter().flatten().map(|accumulator| accumulator.size()).sum();
        self.groups.size() + accumulators + self.row_groups.capacity() * 4
    }
}

/// A batch of nullable columns.
pub(crate) fn batch(names: Vec<String>, columns: Vec<ArrayRef>, rows: usize) -> RecordBatch {
    let fields =
        names.into_iter().zip(&columns).map(|(name, column)| Field::new(name, column.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options).expect("the fields are made of the columns")
}
