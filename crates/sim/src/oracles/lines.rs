//! Random rows as the lines of a story. Decides nothing: what is random was chosen before.

use std::ops::Range;

use proptest::prelude::Strategy;
use weir_model::PartitionId;

use crate::{Line, Row, Story};

/// A story that is being written.
pub(super) struct Lines {
    story: Story,
    /// Whether the next row may stand in the line of the last one.
    open: bool,
}

impl Lines {
    /// Of a plan, as text.
    pub(super) fn of(plan: &str) -> Self {
        Self { story: Story::parse(&format!("{plan}\n---")).expect("the plan can be read"), open: false }
    }

    /// A row: in the line of the row before it if that is of the same partition and its line has not ended. `ends` says
    /// whether this one's line does.
    pub(super) fn row(&mut self, partition: PartitionId, row: Row, ends: bool) {
        match self.story.lines.last_mut() {
            Some(Line::Rows(last, rows)) if self.open && *last == partition => rows.push(row),
            _ => self.story.lines.push(Line::Rows(partition, vec![row])),
        }
        self.open = !ends;
    }

    /// Whatever else happens.
    pub(super) fn push(&mut self, line: Line) {
        self.story.lines.push(line);
    }

    /// A barrier, if there is one after row `index`.
    pub(super) fn barrier(&mut self, barriers: &[usize], index: usize) {
        if barriers.contains(&index) {
            self.push(Line::Barrier);
        }
    }

    /// Partitions are there, under these names.
    pub(super) fn added(&mut self, partitions: impl Iterator<Item = PartitionId>) {
        self.story.lines.extend(partitions.map(Line::Added));
    }

    /// The story, which ends now.
    pub(super) fn end(mut self) -> Story {
        self.push(Line::End);
        self.story
    }
}

/// The partitions `p0`, `p1` and so on.
pub(super) fn partitions(count: usize) -> impl Iterator<Item = PartitionId> + Clone {
    (0..count).map(partition)
}

/// One of them.
pub(super) fn partition(index: usize) -> PartitionId {
    PartitionId::new(format!("p{index}"))
}

/// One of a side of a join, whose sources are `left` and `right`.
pub(super) fn partition_of(right: bool, index: usize) -> PartitionId {
    PartitionId::new(format!("{}/{index}", if right { "right" } else { "left" }))
}

/// Up to so many places among as many rows as there are.
pub(super) fn places(rows: usize, count: Range<usize>) -> impl Strategy<Value = Vec<usize>> {
    proptest::collection::vec(0..rows, count)
}
