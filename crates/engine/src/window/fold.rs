//! The first half of a window: rows go in, partial results per pane come out. Holds no window open and fires nothing.
//!
//! In a parallel plan each task folds what it reads, and only partials travel to the owner of the keys.

use std::collections::BTreeMap;

use arrow::array::ArrayRef;

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
