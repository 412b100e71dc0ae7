//! Which segments to merge. A pure function: no files, no clock.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::SegmentRef;

/// So many neighbours of one size class are merged.
const NEIGHBOURS: usize = 8;
/// A merge makes no segment of more rows than this.
const MERGED_ROWS_MAX: u64 = 1 << 20;
/// A row of logs takes at most about so much memory while it is merged, in what is read, in the search index and in rollups,
/// and half of that in a file.
const ROW_BYTES: u64 = 128;
const PACKED: u64 = 2;
/// Rows up to which a segment is of the smallest class; each further class is [`NEIGHBOURS`] times larger.
const SMALLEST_CLASS_ROWS: u64 = 1 << 6;

/// How large a merge may be: its rows pass a batch at a time, but its files and what is made of all rows are in memory.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    /// Rows of what is made.
    rows_max: u64,
    /// Bytes of the files that are merged.
    bytes_max: u64,
    /// Segments that are left alone: with its neighbour each would take more memory than a merge may.
    too_large: BTreeSet<PathBuf>,
}

impl Sizes {
    /// Those of merges in so much memory.
    pub(crate) fn in_memory_of(bytes: usize) -> Self {
        let rows_max = (bytes as u64 / ROW_BYTES).clamp(2, MERGED_ROWS_MAX);
        Self { rows_max, bytes_max: rows_max * ROW_BYTES / PACKED, too_large: BTreeSet::new() }
    }

    /// The same, with segments that are left alone.
    pub(crate) fn without(self, too_large: BTreeSet<PathBuf>) -> Self {
        Self { too_large, ..self }
    }

    /// Whether a segment is large enough to be left alone: from half of what a merge may be on.
    fn is_full(&self, segment: &SegmentRef) -> bool {
        segment.rows >= self.rows_max / 2
            || segment.bytes >= self.bytes_max / 2
            || self.too_large.contains(&segment.path)
    }
}

/// Segments to merge: `count` neighbours from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) first: usize,
    pub(crate) count: usize,
}

/// Chooses among the segments of a table, which are in the order in which they were committed.
///
/// Tiers: [`NEIGHBOURS`] neighbours of one class are merged into one of the next, so a row is rewritten about
/// once per class (more often only in the smallest, where it costs little), and a table has at most `NEIGHBOURS - 1` segments per class besides the full ones.
pub(crate) fn choose(segments: &[SegmentRef], sizes: &Sizes) -> Option<Choice> {
    let classes: Vec<Option<u32>> = segments.iter().map(|segment| class(segment, sizes)).collect();
    let largest = classes.iter().flatten().max()?;
    (0..=*largest).find_map(|class| {
        let is_small = |index: usize| classes[index].is_some_and(|of| of <= class);
        let mut first = 0;
        while first < segments.len() {
            let run = (first..segments.len()).take_while(|&index| is_small(index)).count();
            // Smaller ones in between go along, but do not count: else a large one would be rewritten for their sake.
            if (first..first + run).filter(|&index| classes[index] == Some(class)).count() >= NEIGHBOURS {
                return Some(Choice { first, count: within_limits(&segments[first..first + run], sizes) });
            }
            first += run.max(1);
        }
        None
    })
}

/// How many segments wait to be merged, those that merges make and that are merged again included.
pub(crate) fn debt(segments: &[SegmentRef], sizes: &Sizes) -> u64 {
    let (mut left, mut waiting) = (segments.to_vec(), 0);
    while let Some(Choice { first, count }) = choose(&left, sizes) {
        waiting += count as u64;
        let merged = &left[first..first + count];
        let (rows, bytes) = merged.iter().fold((0, 0), |(rows, bytes), one| (rows + one.rows, bytes + one.bytes));
        let merged = SegmentRef { rows, bytes, ..merged[0].clone() };
        left.splice(first..first + count, [merged]);
    }
    waiting
}

/// The size class of a segment; `None` when it is full.
fn class(segment: &SegmentRef, sizes: &Sizes) -> Option<u32> {
    if sizes.is_full(segment) {
        return None;
    }
    let mut class = 0;
    let mut limit = SMALLEST_CLASS_ROWS;
    while segment.rows > limit {
        class += 1;
        limit *= NEIGHBOURS as u64;
    }
    Some(class)
}

/// How many of a run's first segments may be merged; at least two, since two that are not full are within the limits.
fn within_limits(run: &[SegmentRef], sizes: &Sizes) -> usize {
    let (mut rows, mut bytes) = (0, 0);
    let fitting = run.iter().take_while(|segment| {
        rows += segment.rows;
        bytes += segment.bytes;
        rows <= sizes.rows_max && bytes <= sizes.bytes_max
    });
    fitting.count().max(2)
}
