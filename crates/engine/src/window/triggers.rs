//! When a window node speaks besides as event time passes its windows: by the clock, by rows, for late rows. Knows no
//! window; what speaks then is decided by [`super::merge`].

use std::collections::BTreeMap;

use super::assigned::Assigned;
use super::spans::PaneId;
use crate::plan::{EmitPlan, LateEmit};

#[derive(Debug)]
pub(crate) struct Triggers {
    late: LateEmit,
    /// Windows of one length collect late rows no longer than they are.
    late_every_max: i64,
    early_every: Option<i64>,
    early_rows: Option<u64>,
    /// Rows taken since the last multiple of `early_rows`.
    pub(crate) rows_since: u64,
}

/// What is due after a row.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stop {
    /// The row was late for windows of this pane that have fired, and these speak at once.
    pub(crate) late: Option<PaneId>,
    /// Enough rows were taken for all open windows to speak.
    pub(crate) early: bool,
}

impl Triggers {
    pub(crate) fn new(plan: EmitPlan, size: Option<i64>) -> Self {
        Self {
            late: plan.late,
            late_every_max: size.unwrap_or(i64::MAX),
            early_every: plan.early_every.map(|every| every.micros()),
            early_rows: plan.early_rows,
            rows_since: 0,
        }
    }

    /// The rows of a batch after which there is something to say, each by the number of the row behind it. `is_late`
    /// says of which panes rows come too late for some window.
    pub(crate) fn stops(&mut self, assigned: &Assigned, is_late: impl Fn(PaneId) -> bool) -> BTreeMap<u32, Stop> {
        let mut stops: BTreeMap<u32, Stop> = BTreeMap::new();
        if self.late == LateEmit::Immediately {
            for (pane, rows) in assigned.panes.iter().filter(|(pane, rows)| !rows.is_empty() && is_late(*pane)) {
                rows.iter().for_each(|row| stops.entry(row + 1).or_default().late = Some(*pane));
            }
        }
        if let Some(every) = self.early_rows {
            let mut rows: Vec<u32> = assigned.panes.iter().flat_map(|(_, indices)| indices).copied().collect();
            rows.sort_unstable();
            for row in rows {
                self.rows_since += 1;
                if self.rows_since == every {
                    self.rows_since = 0;
                    stops.entry(row + 1).or_default().early = true;
                }
            }
        }
        stops
    }

    /// What is due after so many rows of `pane` have come at once. `is_late` says whether they come too late for some window.
    pub(crate) fn stop_after(&mut self, pane: PaneId, rows: u64, is_late: bool) -> Stop {
        self.rows_since += rows;
        let early = self.early_rows.is_some_and(|every| self.rows_since >= every);
        self.rows_since %= self.early_rows.unwrap_or(u64::MAX);
        Stop { late: (self.late == LateEmit::Immediately && is_late).then_some(pane), early }
    }

    /// Whether what late rows have changed is told as the watermark goes from `before` to `reached`.
    pub(crate) fn tells_late(&self, before: i64, reached: i64) -> bool {
        let every = self.late_every();
        every.is_none_or(|every| before.div_euclid(every) != reached.div_euclid(every))
    }

    /// The first watermark after `reached` at which it may be.
    pub(crate) fn next_late(&self, reached: i64) -> i64 {
        let every = self.late_every();
        every.map_or(i64::MAX, |every| reached.div_euclid(every).saturating_add(1).saturating_mul(every))
    }

    fn late_every(&self) -> Option<i64> {
        match self.late {
            LateEmit::Every(every) => Some(every.micros().min(self.late_every_max)),
            LateEmit::Immediately => None,
        }
    }

    /// Whether open windows speak as processing time goes from `before` to `now`.
    pub(crate) fn tells_early(&self, before: i64, now: i64) -> bool {
        self.early_every.is_some_and(|every| before.div_euclid(every) != now.div_euclid(every))
    }
}
