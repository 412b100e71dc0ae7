//! Which pane a time belongs to, and which windows a pane belongs to. Knows no rows.
//!
//! Panes are the spans between neighbouring boundaries of windows, so that a window is a row of whole panes. A tumbling
//! window and a span of the calendar are one pane; a sliding window is `size / gcd(size, slide)` of them, each shared by
//! `size / slide` windows. [`Spans`] is all that the rest of a window knows of how time is cut; nothing else computes with
//! lengths, but for [`super::tiers`], which are of sliding windows only.

use serde::{Deserialize, Serialize};
use weir_model::TimeDelta;

use super::calendar::Calendar;
use crate::plan::{GlobalPlan, WindowKind};

/// The windows and panes of a window node.
#[derive(Clone, Debug)]
pub(crate) enum Spans {
    /// All of one length.
    Fixed(Fixed),
    /// One after the other, as a clock somewhere has it: a window is a pane.
    Calendar(Calendar),
}

/// Windows that are all of one length, at equal distances.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fixed {
    size: i64,
    slide: i64,
    offset: i64,
    pane: i64,
    /// 2^64 divided by the length of a pane.
    inverse: u64,
}

/// Windows whose spans are not known before their rows are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spanless {
    /// One that never ends.
    Global(GlobalPlan),
    /// Rows that follow each other closely.
    Session {
        /// How closely not.
        gap: TimeDelta,
    },
}

/// A pane, or of a pane the rows that only its newer windows take, as they were late for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct PaneId {
    /// Where the pane begins.
    pub(crate) start: i64,
    /// Where the first window begins that takes these rows; [`PaneId::ALL`] if all do that are alive.
    pub(crate) from: i64,
}

impl PaneId {
    /// Before every window.
    pub(crate) const ALL: i64 = i64::MIN;
}

impl Spans {
    /// The spans of windows of this kind, or how the one works that is never over.
    pub(crate) fn new(kind: WindowKind) -> Result<Self, Spanless> {
        let fixed = |size: TimeDelta, slide: TimeDelta, offset: TimeDelta| {
            let (size, slide) = (size.micros(), slide.micros());
            let pane = greatest_common_divisor(size, slide);
            Self::Fixed(Fixed { size, slide, offset: offset.micros(), pane, inverse: u64::MAX / pane.unsigned_abs() })
        };
        Ok(match kind {
            WindowKind::Tumbling { size, offset } => fixed(size, size, offset),
            WindowKind::Sliding { size, slide, offset } => fixed(size, slide, offset),
            WindowKind::Calendar { unit, zone, offset } => Self::Calendar(Calendar::new(unit, zone, offset.micros())),
            WindowKind::Global(global) => return Err(Spanless::Global(global)),
            WindowKind::Session { gap } => return Err(Spanless::Session { gap }),
        })
    }

    /// Those that are put together from more than one pane.
    pub(crate) fn sliding(&self) -> Option<Fixed> {
        match self {
            Self::Fixed(fixed) if fixed.panes() > 1 => Some(*fixed),
            Self::Fixed(_) | Self::Calendar(_) => None,
        }
    }

    /// How long every window is, if all are of one length.
    pub(crate) fn size(&self) -> Option<i64> {
        match self {
            Self::Fixed(fixed) => Some(fixed.size),
            Self::Calendar(_) => None,
        }
    }

    /// The pane that holds `time`: where it begins and ends.
    pub(crate) fn pane_of(&self, time: i64) -> (i64, i64) {
        match self {
            Self::Fixed(fixed) => {
                let start = fixed.aligned(time, fixed.pane);
                (start, start.saturating_add(fixed.pane))
            }
            Self::Calendar(calendar) => calendar.span(time),
        }
    }

    /// A number that times of one pane have in common, almost all of them, and times of neighbouring panes do not. Costs a
    /// multiplication where [`Spans::pane_of`] divides.
    #[inline]
    pub(crate) fn guess(&self, time: i64) -> u64 {
        match self {
            Self::Fixed(fixed) => ((u128::from(time as u64) * u128::from(fixed.inverse)) >> 64) as u64,
            Self::Calendar(_) => 0,
        }
    }

    /// Where the last window begins that does so at or before `time`.
    pub(crate) fn newest(&self, time: i64) -> i64 {
        match self {
            Self::Fixed(fixed) => fixed.aligned(time, fixed.slide),
            Self::Calendar(calendar) => calendar.span(time).0,
        }
    }

    /// Where the first window begins that ends after `time`.
    pub(crate) fn first_ending_after(&self, time: i64) -> i64 {
        match self {
            Self::Fixed(fixed) => {
                fixed.aligned(time.saturating_sub(fixed.size).saturating_add(fixed.slide), fixed.slide)
            }
            Self::Calendar(calendar) => calendar.span(time).0,
        }
    }

    /// Where the window after the one that begins at `start` begins.
    pub(crate) fn next(&self, start: i64) -> i64 {
        match self {
            Self::Fixed(fixed) => start.saturating_add(fixed.slide),
            Self::Calendar(calendar) => calendar.span(start).1,
        }
    }

    /// Where the window that begins at `start` ends.
    pub(crate) fn end(&self, start: i64) -> i64 {
        match self {
            Self::Fixed(fixed) => start.saturating_add(fixed.size),
            Self::Calendar(calendar) => calendar.span(start).1,
        }
    }

    /// Where the first window begins that holds the pane.
    pub(crate) fn oldest(&self, pane: i64) -> i64 {
        self.first_ending_after(pane)
    }

    /// The first end of a window after `time`.
    pub(crate) fn end_after(&self, time: i64) -> i64 {
        self.end(self.first_ending_after(time))
    }
}

impl Fixed {
    /// How long a pane is.
    pub(crate) fn pane(&self) -> i64 {
        self.pane
    }

    /// How many panes a window has.
    pub(crate) fn panes(&self) -> i64 {
        self.size / self.pane
    }

    /// Where the window that begins at `start` ends.
    pub(crate) fn end(&self, start: i64) -> i64 {
        start.saturating_add(self.size)
    }

    /// Where the last multiple of `width` from the offset lies that is not after `time`.
    pub(crate) fn aligned(&self, time: i64, width: i64) -> i64 {
        time.saturating_sub(time.saturating_sub(self.offset).rem_euclid(width))
    }
}

fn greatest_common_divisor(left: i64, right: i64) -> i64 {
    if right == 0 { left } else { greatest_common_divisor(right, left % right) }
}
