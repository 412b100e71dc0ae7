//! Which pane a time belongs to, and which rows are late for theirs.

use std::collections::BTreeMap;

use crate::plan::WindowKind;

/// The panes of a window node. A tumbling window is one pane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spans {
    size: i64,
    offset: i64,
}

impl Spans {
    pub(crate) fn new(kind: WindowKind) -> Self {
        match kind {
            WindowKind::Tumbling { size, offset } => Self { size: size.micros(), offset: offset.micros() },
        }
    }

    pub(crate) fn size(&self) -> i64 {
        self.size
    }

    /// Where the pane of `time` begins.
    pub(crate) fn start(&self, time: i64) -> i64 {
        time.saturating_sub(time.saturating_sub(self.offset).rem_euclid(self.size))
    }

    /// Where the pane that begins at `start` ends.
    pub(crate) fn end(&self, start: i64) -> i64 {
        start.saturating_add(self.size)
    }

    /// The first boundary between panes after `time`.
    pub(crate) fn boundary_after(&self, time: i64) -> i64 {
        self.end(self.start(time))
    }
}

/// The rows of a batch by pane.
#[derive(Debug, Default)]
pub(crate) struct Assigned {
    slots: BTreeMap<i64, usize>,
    /// For each pane the indices of its rows. A batch hits one to three panes as a rule.
    pub(crate) panes: Vec<(i64, Vec<u32>)>,
    pub(crate) late: Vec<u32>,
}

impl Assigned {
    /// Assigns rows by their `times`. A row is late if the watermark before it (`marks`) has passed the end of its pane
    /// by `lateness`, or the end is not after `gone`: then the pane was dropped already.
    pub(crate) fn assign(&mut self, spans: &Spans, times: &[i64], marks: &[i64], (gone, lateness): (i64, i64)) {
        self.panes.clear();
        self.slots.clear();
        self.late.clear();
        let (mut slot, mut start, mut end) = (0, i64::MAX, i64::MAX);
        let mut last_mark_on_time = i64::MIN;
        for (row, (&time, &mark)) in (0u32..).zip(times.iter().zip(marks)) {
            if time < start || time >= end {
                start = spans.start(time);
                end = spans.end(start);
                last_mark_on_time = if end <= gone { i64::MIN } else { end.saturating_add(lateness) };
                slot = self.slot(start, times.len());
            }
            if mark >= last_mark_on_time {
                self.late.push(row);
            } else {
                self.panes[slot].1.push(row);
            }
        }
    }

    fn slot(&mut self, start: i64, rows: usize) -> usize {
        *self.slots.entry(start).or_insert_with(|| {
            let room = if self.panes.is_empty() { rows } else { 0 };
            self.panes.push((start, Vec::with_capacity(room)));
            self.panes.len() - 1
        })
    }
}
