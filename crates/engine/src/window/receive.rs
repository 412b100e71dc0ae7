//! How the half of a window node that owns keys takes what was folded where partitions are read: as if the rows had come
//! themselves. Decides nothing about single rows, for it has none.

use std::ops::Range;

use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::Int64Type;

use super::Window;
use super::assigned::Assigned;
use super::folding::PLACE_COLUMNS;
use super::spans::PaneId;
use crate::Effect;
use crate::halves::Groups;
use crate::keys::key_columns;
use crate::operator::Outcome;

/// Groups of one pane.
struct OfPane {
    pane: PaneId,
    batch: RecordBatch,
    /// Of each group how many rows.
    rows: Vec<i64>,
}

impl OfPane {
    fn count(&self) -> u64 {
        self.rows.iter().sum::<i64>() as u64
    }

    fn pick(&self, indices: Vec<u32>) -> Self {
        let rows = indices.iter().map(|index| self.rows[*index as usize]).collect();
        let batch =
            take_record_batch(&self.batch, &UInt32Array::from(indices)).expect("the indices are of these groups");
        Self { pane: self.pane, batch, rows }
    }
}

impl Window {
    pub(super) fn receive(&mut self, groups: &Groups, effects: &mut Vec<Effect>) -> Outcome {
        let mut outcome = Outcome::default();
        let agreed = self.shape.agree(&groups.kinds);
        for groups in of_panes(&groups.batch) {
            match &agreed {
                Ok(()) => self.receive_pane(groups, &mut outcome, effects),
                Err(reason) => self.reject_groups(&groups, reason.clone(), &mut outcome, effects),
            }
        }
        outcome
    }

    fn receive_pane(&mut self, groups: OfPane, outcome: &mut Outcome, effects: &mut Vec<Effect>) {
        let keys = key_columns(&groups.batch, PLACE_COLUMNS.len() + self.shape.keys);
        let mut ids = std::mem::take(&mut self.ids);
        if let Err(reason) = self.keys.intern(&keys[PLACE_COLUMNS.len()..], groups.batch.num_rows(), &mut ids) {
            return self.reject_groups(&groups, reason, outcome, effects);
        }
        let limit = self.limits.groups_per_node;
        if self.merge.groups() + ids.len() > limit {
            self.merge.warm_all(&mut self.keys, &self.shape);
            let mut assigned = Assigned::default();
            assigned.panes.push((groups.pane, (0..ids.len() as u32).collect()));
            let over = self.merge.over_limit(&assigned, &ids, limit);
            if !over.is_empty() {
                let kept = (0..ids.len() as u32).filter(|index| over.binary_search(index).is_err()).collect();
                let kept = groups.pick(kept);
                self.reject_groups(&groups.pick(over), self.over_limit_reason(), outcome, effects);
                return self.receive_pane(kept, outcome, effects);
            }
        }
        let rows = groups.count();
        let new = self.fold.absorb(groups.pane, &groups.batch, &ids, &self.shape);
        self.merge.note(groups.pane, rows as usize, new, self.reached);
        self.ids = ids;
        let is_late = !self.merge.passed(groups.pane, self.reached).is_empty();
        let stop = self.triggers.stop_after(groups.pane, rows, is_late);
        self.speak(stop, outcome);
    }

    /// Rejects groups as a whole: the rows that are in them are nowhere any more.
    fn reject_groups(&self, groups: &OfPane, reason: String, outcome: &mut Outcome, effects: &mut Vec<Effect>) {
        if groups.batch.num_rows() == 0 {
            return;
        }
        outcome.rejected += groups.count();
        let shown: Vec<usize> = (0..PLACE_COLUMNS.len() + self.shape.keys).collect();
        let rows = groups.batch.project(&shown).expect("these columns come first");
        effects.push(Effect::RejectResult { node: self.node, rows, reason });
    }
}

/// Groups by their pane.
fn of_panes(batch: &RecordBatch) -> Vec<OfPane> {
    let place = |column: usize| batch.column(column).as_primitive::<Int64Type>().values().clone();
    let (starts, froms, rows) = (place(0), place(1), place(2));
    let at = |row: usize| PaneId { start: starts[row], from: froms[row] };
    let mut found: Vec<(PaneId, Range<usize>)> = Vec::new();
    for row in 0..batch.num_rows() {
        match found.last_mut() {
            Some((pane, range)) if *pane == at(row) => range.end = row + 1,
            _ => found.push((at(row), row..row + 1)),
        }
    }
    let of = |(pane, range): (PaneId, Range<usize>)| OfPane {
        pane,
        rows: rows[range.clone()].to_vec(),
        batch: batch.slice(range.start, range.len()),
    };
    found.into_iter().map(of).collect()
}
