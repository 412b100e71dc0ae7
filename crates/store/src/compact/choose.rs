//! Which segments to merge. A pure function: no files, no clock.

use crate::SegmentRef;

/// So many neighbours of one size class are merged.
const NEIGHBOURS: usize = 8;
/// A segment of so many rows is large enough to be left alone.
const FULL_ROWS: u64 = 1 << 19;
/// And so is one of so many bytes.
const FULL_BYTES: u64 = 32 << 20;
/// A merge makes no segment of more rows than this; it is done in memory.
const MERGED_ROWS_MAX: u64 = 1 << 20;
/// And takes no more bytes of files than this.
const MERGED_BYTES_MAX: u64 = 64 << 20;
/// Rows up to which a segment is of the smallest class; each further class is [`NEIGHBOURS`] times larger.
const SMALLEST_CLASS_ROWS: u64 = 1 << 6;

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
pub(crate) fn choose(segments: &[SegmentRef]) -> Option<Choice> {
    let classes: Vec<Option<u32>> = segments.iter().map(class).collect();
    let largest = classes.iter().flatten().max()?;
    (0..=*largest).find_map(|class| {
        let is_small = |index: usize| classes[index].is_some_and(|of| of <= class);
        let mut first = 0;
        while first < segments.len() {
            let run = (first..segments.len()).take_while(|&index| is_small(index)).count();
            // Smaller ones in between go along, but do not count: else a large one would be rewritten for their sake.
            if (first..first + run).filter(|&index| classes[index] == Some(class)).count() >= NEIGHBOURS {
                return Some(Choice { first, count: within_limits(&segments[first..first + run]) });
            }
            first += run.max(1);
        }
        None
    })
}

/// How many segments wait to be merged, those that merges make and that are merged again included.
pub(crate) fn debt(segments: &[SegmentRef]) -> u64 {
    let (mut left, mut waiting) = (segments.to_vec(), 0);
    while let Some(Choice { first, count }) = choose(&left) {
        waiting += count as u64;
        let merged = &left[first..first + count];
        let (rows, bytes) = merged.iter().fold((0, 0), |(rows, bytes), one| (rows + one.rows, bytes + one.bytes));
        let merged = SegmentRef { rows, bytes, ..merged[0].clone() };
        left.splice(first..first + count, [merged]);
    }
    waiting
}

/// The size class of a segment; `None` when it is full.
fn class(segment: &SegmentRef) -> Option<u32> {
    if segment.rows >= FULL_ROWS || segment.bytes >= FULL_BYTES {
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
fn within_limits(run: &[SegmentRef]) -> usize {
    let (mut rows, mut bytes) = (0, 0);
    let fitting = run.iter().take_while(|segment| {
        rows += segment.rows;
        bytes += segment.bytes;
        rows <= MERGED_ROWS_MAX && bytes <= MERGED_BYTES_MAX
    });
    fitting.count().max(2)
}
