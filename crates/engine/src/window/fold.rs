//! The first half of a window: rows go in, partial results per pane come out. Holds no window open and fires nothing.
//!
//! In a parallel plan each task folds what it reads, and only partials travel to the owner of the keys.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;

use super::shape::Shape;
use super::spans::PaneId;
use super::table::Table;
use crate::keys::KeyId;

#[derive(Debug, Default)]
pub(crate) struct Fold {
    tables: BTreeMap<PaneId, Table>,
}

impl Fold {
    /// Folds rows into their pane. Returns the keys that its table did not hold.
    pub(crate) fn add(&mut self, pane: PaneId, keys: &[KeyId], inputs: &[ArrayRef], shape: &Shape) -> &[KeyId] {
        self.tables.entry(pane).or_default().update(keys, inputs, shape)
    }

    /// The same for the rows with these indices, ascending.
    pub(crate) fn add_some(
        &mut self,
        pane: PaneId,
        indices: &[u32],
        keys: &[KeyId],
        inputs: &[ArrayRef],
        shape: &Shape,
    ) -> &[KeyId] {
        if indices.len() == keys.len() {
            return self.add(pane, keys, inputs, shape);
        }
        let keys: Vec<KeyId> = indices.iter().map(|row| keys[*row as usize]).collect();
        let indices = UInt32Array::from(indices.to_vec());
        let pick = |input: &ArrayRef| take(input, &indices, None).expect("the indices are of rows of this batch");
        let inputs: Vec<ArrayRef> = inputs.iter().map(pick).collect();
        self.add(pane, &keys, &inputs, shape)
    }

    /// Adds groups that were folded elsewhere, with these keys. Returns those that the table of the pane did not hold.
    pub(crate) fn absorb(&mut self, pane: PaneId, groups: &RecordBatch, keys: &[KeyId], shape: &Shape) -> &[KeyId] {
        self.tables.entry(pane).or_default().absorb_new(groups, keys, shape)
    }

    /// Counts the rows that were added to a pane last into the counts of its groups.
    pub(crate) fn count(&self, pane: PaneId, counts: &mut Vec<i64>) {
        if let Some(table) = self.tables.get(&pane) {
            table.count_last(counts);
        }
    }

    /// How many groups all panes have together.
    pub(crate) fn groups(&self) -> usize {
        self.tables.values().map(|table| table.groups.len()).sum()
    }

    /// Takes the partial result of a pane out.
    pub(crate) fn take(&mut self, pane: PaneId) -> Option<Table> {
        self.tables.remove(&pane)
    }

    /// Takes every partial result out, in the order of the panes.
    pub(crate) fn drain(&mut self) -> BTreeMap<PaneId, Table> {
        std::mem::take(&mut self.tables)
    }

    pub(crate) fn renumber(&mut self, ids: &[KeyId]) {
        self.tables.values_mut().for_each(|table| table.groups.renumber(ids));
    }

    pub(crate) fn size(&self) -> usize {
        self.tables.values().map(Table::size).sum()
    }
}
