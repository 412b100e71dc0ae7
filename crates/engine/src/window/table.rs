//! The groups of one pane while they are being filled: a number per key, and the aggregates of each.
//!
//! A table turns into a *run*: the keys' columns `k0, k1 ...`, then the states of aggregate n as `s<n>_0, s<n>_1 ...`.
//! An aggregate whose argument's type is not known yet has no state and no columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take_arrays;
use arrow::datatypes::{Field, Schema};

use super::accumulators::Accumulators;
use super::shape::Shape;
use crate::keys::{GroupIndex, KeyId, Keys};

#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) groups: GroupIndex,
    accumulators: Accumulators,
    row_groups: Vec<u32>,
}

/// What rows have added to a table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Added<'a> {
    /// The group of each row.
    pub(crate) rows: &'a [u32],
    /// The keys that the table did not hold before.
    pub(crate) new_keys: &'a [KeyId],
    /// How many groups there are now.
    groups: usize,
}

impl Added<'_> {
    /// Adds the rows to the counts of their groups.
    pub(crate) fn count(&self, counts: &mut Vec<i64>) {
        counts.resize(self.groups, 0);
        self.rows.iter().for_each(|group| counts[*group as usize] += 1);
    }
}

impl Table {
    /// Adds rows with these keys and inputs, after which come what [`Shape::extras`] gives.
    pub(crate) fn update(&mut self, keys: &[KeyId], inputs: &[ArrayRef], shape: &Shape) -> Added<'_> {
        let before = self.groups.len();
        self.row_groups.clear();
        self.row_groups.extend(keys.iter().map(|key| self.groups.group(*key)));
        let groups = self.groups.len();
        self.accumulators.update(inputs, &self.row_groups, groups, shape);
        Added { rows: &self.row_groups, new_keys: &self.groups.keys()[before..], groups }
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
        self.accumulators.merge(&run.schema(), &columns, &groups, self.groups.len(), shape)
    }

    /// The same for groups whose columns are known to be such states. Returns the keys that are new to this table.
    pub(crate) fn absorb_new(&mut self, groups: &RecordBatch, keys: &[KeyId], shape: &Shape) -> &[KeyId] {
        let before = self.groups.len();
        self.absorb(groups, keys, false, shape).expect("the same aggregates made the states");
        &self.groups.keys()[before..]
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
        let groups = self.groups.len();
        let mut names: Vec<String> = (0..columns.len()).map(|index| format!("k{index}")).collect();
        self.accumulators.seal(groups, shape, &mut names, &mut columns);
        batch(names, columns, groups)
    }

    /// The results of each aggregate, a row per group.
    pub(crate) fn evaluate(&mut self, shape: &Shape) -> Vec<ArrayRef> {
        self.accumulators.evaluate(self.groups.len(), shape)
    }

    pub(crate) fn size(&self) -> usize {
        self.groups.size() + self.accumulators.size() + self.row_groups.capacity() * 4
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
