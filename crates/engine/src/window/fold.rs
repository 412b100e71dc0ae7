//! The first half of a window: rows go in, partial results per pane come out. Holds no window open and fires nothing.
//!
//! In a parallel plan each task folds what it reads, and only partials travel to the owner of the keys.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::take;

use super::shape::Shape;
use super::spans::PaneId;
use super::table::{Added, Table};
use crate::keys::KeyId;

#[derive(Debug, Default)]
pub(crate) struct Fold {
    tables: BTreeMap<PaneId, Table>,
}

impl Fold {
    /// Folds rows into their panes: `panes` says of each the indices of its rows, ascending. Tells `note` what each has got.
    ///
    /// Columns are put into the order of the panes once, and each pane takes a slice of them: what a pane costs does not
    /// depend on how many columns there are to pick from.
    pub(crate) fn add<'a>(
        &mut self,
        panes: impl Iterator<Item = (PaneId, &'a [u32])>,
        keys: &[KeyId],
        inputs: &[ArrayRef],
        shape: &Shape,
        mut note: impl FnMut(PaneId, Added<'_>),
    ) {
        let panes: Vec<(PaneId, &[u32])> = panes.filter(|(_, rows)| !rows.is_empty()).collect();
        if let [(pane, rows)] = panes[..]
            && rows.len() == keys.len()
        {
            return note(pane, self.tables.entry(pane).or_default().update(keys, inputs, shape));
        }
        let rows = panes.iter().map(|(_, rows)| rows.len()).sum();
        let (mut order, mut picked) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        for (_, rows) in &panes {
            order.extend_from_slice(rows);
            picked.extend(rows.iter().map(|row| keys[*row as usize]));
        }
        let order = UInt32Array::from(order);
        let pick = |input: &ArrayRef| take(input, &order, None).expect("the indices are of rows of this batch");
        let inputs: Vec<ArrayRef> = inputs.iter().map(pick).collect();
        let mut from = 0;
        for (pane, rows) in panes {
            let own: Vec<ArrayRef> = inputs.iter().map(|input| input.slice(from, rows.len())).collect();
            let table = self.tables.entry(pane).or_default();
            note(pane, table.update(&picked[from..from + rows.len()], &own, shape));
            from += rows.len();
        }
    }

    /// Adds groups that were folded elsewhere, with these keys. Returns those that the table of the pane did not hold.
    pub(crate) fn absorb(&mut self, pane: PaneId, groups: &RecordBatch, keys: &[KeyId], shape: &Shape) -> &[KeyId] {
        self.tables.entry(pane).or_default().absorb_new(groups, keys, shape)
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
