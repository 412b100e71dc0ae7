//! The rows of a batch by pane, and which of them are late. Folds nothing.
//!
//! Rows jump to and fro between as many panes as their disorder is long: with panes of a second each row is in another one
//! than the row before it. So what is known of a pane is kept where a time leads to it at once.

use std::collections::BTreeMap;

use weir_model::planted;

use super::spans::{PaneId, Spans};

/// Panes that are found without looking for them, of those that a batch hits at a time.
const RECENT: usize = 64;
/// Lists of rows that are kept for the next batch.
const SPARE_MAX: usize = 64;

/// The rows of a batch by pane.
#[derive(Debug, Default)]
pub(crate) struct Assigned {
    slots: BTreeMap<PaneId, usize>,
    /// By the guess of their times.
    recent: Vec<Known>,
    /// For each pane the indices of its rows.
    pub(crate) panes: Vec<(PaneId, Vec<u32>)>,
    pub(crate) late: Vec<u32>,
    spare: Vec<Vec<u32>>,
}

/// What was worked out of a pane.
#[derive(Clone, Copy, Debug)]
struct Known {
    start: i64,
    end: i64,
    /// Rows before which the watermark has not come so far are taken by all windows that hold the pane.
    all_take: i64,
    /// From here on no window takes them.
    none_takes: i64,
    slot: usize,
}

impl Known {
    /// Holds no time.
    const NOTHING: Self = Self { start: i64::MAX, end: i64::MAX, all_take: i64::MIN, none_takes: i64::MIN, slot: 0 };

    #[inline]
    fn holds(&self, time: i64) -> bool {
        self.start <= time && time < self.end
    }
}

impl Assigned {
    /// Assigns rows by their `times`. A row is late for a window if the watermark before it (`marks`) has passed the
    /// window's end by `lateness`, or the end is not after `gone`: then the window was dropped already. A row that is
    /// late for every window that holds its pane is late; one that is late for some goes to the others only.
    pub(crate) fn assign(&mut self, spans: &Spans, times: &[i64], marks: &[i64], (gone, lateness): (i64, i64)) {
        self.begin();
        let mut known = Known::NOTHING;
        for (row, (&time, &mark)) in (0u32..).zip(times.iter().zip(marks)) {
            if !known.holds(time) {
                let guess = spans.guess(time) as usize % RECENT;
                if !self.recent[guess].holds(time) {
                    self.recent[guess] = self.know(spans, time, (gone, lateness));
                }
                known = self.recent[guess];
            }
            if mark < known.all_take || (planted!(WindowEndIncluded) && mark == known.none_takes) {
                self.panes[known.slot].1.push(row);
            } else if mark < known.none_takes {
                let from = spans.first_ending_after(mark.saturating_sub(lateness));
                let slot = self.slot(PaneId { start: known.start, from });
                self.panes[slot].1.push(row);
            } else {
                self.late.push(row);
            }
        }
    }

    /// Forgets the batch before, but not the room that it took.
    fn begin(&mut self) {
        self.slots.clear();
        self.recent.clear();
        self.recent.resize(RECENT, Known::NOTHING);
        self.late.clear();
        for (_, mut rows) in self.panes.drain(..) {
            if self.spare.len() < SPARE_MAX {
                rows.clear();
                self.spare.push(rows);
            }
        }
    }

    fn know(&mut self, spans: &Spans, time: i64, (gone, lateness): (i64, i64)) -> Known {
        let (start, end) = spans.pane_of(time);
        let newest = spans.end(spans.newest(start));
        let none_takes = if newest <= gone { i64::MIN } else { newest.saturating_add(lateness) };
        let oldest = spans.end(spans.oldest(start).max(spans.first_ending_after(gone)));
        let all_take = none_takes.min(oldest.saturating_add(lateness));
        Known { start, end, all_take, none_takes, slot: self.slot(PaneId { start, from: PaneId::ALL }) }
    }

    fn slot(&mut self, pane: PaneId) -> usize {
        *self.slots.entry(pane).or_insert_with(|| {
            self.panes.push((pane, self.spare.pop().unwrap_or_default()));
            self.panes.len() - 1
        })
    }
}

#[cfg(test)]
mod tests {
    use weir_model::TimeDelta;

    use super::*;
    use crate::plan::WindowKind;

    /// Windows of `size` by `slide` seconds; whatever is random about times, each row is where a search finds it.
    fn check(size: i64, slide: i64, times: &[i64]) {
        let seconds = TimeDelta::from_secs;
        let kind = WindowKind::Sliding { size: seconds(size), slide: seconds(slide), offset: TimeDelta::ZERO };
        let spans = Spans::new(kind).expect("it has spans");
        let mut assigned = Assigned::default();
        for _ in 0..2 {
            assigned.assign(&spans, times, &vec![i64::MIN; times.len()], (i64::MIN, 0));
            let rows: usize = assigned.panes.iter().map(|(_, rows)| rows.len()).sum();
            assert_eq!((rows, assigned.late.len()), (times.len(), 0));
            for (pane, rows) in &assigned.panes {
                assert!(rows.is_sorted(), "rows keep their order");
                rows.iter().for_each(|row| assert_eq!(spans.pane_of(times[*row as usize]).0, pane.start));
            }
            let panes: std::collections::BTreeSet<PaneId> = assigned.panes.iter().map(|(pane, _)| *pane).collect();
            assert_eq!(panes.len(), assigned.panes.len(), "a pane is there once");
        }
    }

    #[test]
    fn every_row_is_in_its_pane_however_far_rows_jump() {
        let second = 1_000_000;
        let jumps: Vec<i64> = (0..5_000_i64).map(|row| row * 7_919 % 300 * second + row * 104_729 % second).collect();
        let edges: Vec<i64> = (-200..200).flat_map(|at| [at * second - 1, at * second, at * second + 1]).collect();
        for (size, slide) in [(1, 1), (3600, 1), (60, 60), (10, 3), (7, 5)] {
            check(size, slide, &jumps);
            check(size, slide, &edges);
            check(size, slide, &jumps.iter().map(|time| time + 1_767_225_600 * second).collect::<Vec<_>>());
        }
    }
}
