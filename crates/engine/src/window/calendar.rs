//! Spans of a calendar: days, weeks, months as a clock somewhere shows them, whatever was done to that clock. A boundary
//! is worked out when a time comes that lies in none of the spans that were last asked for, never once per row.
//!
//! A span begins at the first instant at which the clock shows its beginning or, where the clock was put forward over
//! that, more; it ends where the next one begins. So spans leave no gap and do not overlap, a day has 23 or 25 hours where
//! the clock is changed, and a date that was skipped has no span. An hour begins whenever the clock shows a full hour or
//! another hour than before: where the clock goes back by an hour, that hour is there twice.

use std::cell::Cell;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime};
use weir_model::{EventTime, TimeZone};

use crate::plan::CalendarUnit;

const HOUR: i64 = 3_600_000_000;
/// Times outside of these years are in one span before and one after them.
const YEARS: (i32, i32) = (1, 9999);
/// Spans that are remembered: rows go to and fro between neighbours.
const RECENT: usize = 4;

/// The spans of a calendar.
#[derive(Clone, Debug)]
pub(crate) struct Calendar {
    unit: CalendarUnit,
    zone: TimeZone,
    /// How much later than the calendar's own each span begins, as the clock shows it.
    offset: i64,
    recent: Cell<[(i64, i64); RECENT]>,
    /// Where in `recent` the next one goes.
    next: Cell<usize>,
}

impl Calendar {
    pub(crate) fn new(unit: CalendarUnit, zone: TimeZone, offset: i64) -> Self {
        // Spans that hold nothing.
        Self { unit, zone, offset, recent: Cell::new([(0, 0); RECENT]), next: Cell::new(0) }
    }

    /// The span that holds `time`: where it begins, and where the next one does.
    pub(crate) fn span(&self, time: i64) -> (i64, i64) {
        let mut recent = self.recent.get();
        if let Some(known) = recent.iter().find(|(start, end)| (*start..*end).contains(&time)) {
            return *known;
        }
        let found = self.find(time);
        let next = self.next.get();
        recent[next] = found;
        self.recent.set(recent);
        self.next.set((next + 1) % RECENT);
        found
    }

    fn find(&self, time: i64) -> (i64, i64) {
        let (first, last) = (new_year(YEARS.0), new_year(YEARS.1));
        let (start, end) = self.find_near(time.clamp(first, last));
        match time {
            time if time < start => (i64::MIN, start),
            time if time >= end => (end, i64::MAX),
            _ => (start, end),
        }
    }

    fn find_near(&self, time: i64) -> (i64, i64) {
        match self.unit {
            CalendarUnit::Hour => {
                let start = self.hour_begins(time);
                (start, self.hour_after(start))
            }
            CalendarUnit::Day
            | CalendarUnit::Week { .. }
            | CalendarUnit::Month
            | CalendarUnit::Quarter
            | CalendarUnit::Year => self.period(time),
        }
    }

    /// The span of whole days that holds `time`.
    fn period(&self, time: i64) -> (i64, i64) {
        let mut first = self.first_day(self.date(time));
        // Where the clock goes back over midnight it shows a date that has ended.
        while self.begins(first) > time {
            first = self.first_day(first - Days::new(1));
        }
        let mut start = self.begins(first);
        loop {
            first = self.next_period(first);
            let end = self.begins(first);
            if end > time {
                return (start, end);
            }
            start = end;
        }
    }

    fn begins(&self, first: NaiveDate) -> i64 {
        let midnight = first.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
        self.zone.first_at(midnight + self.offset).micros()
    }

    /// The date that the clock shows, if days began `offset` later.
    fn date(&self, time: i64) -> NaiveDate {
        let shown = DateTime::from_timestamp_micros(self.shown(time));
        shown.expect("the time is near the years of the calendar").date_naive()
    }

    fn first_day(&self, date: NaiveDate) -> NaiveDate {
        let day =
            |month: u32| NaiveDate::from_ymd_opt(date.year(), month, 1).expect("a month begins with its first day");
        match self.unit {
            CalendarUnit::Hour | CalendarUnit::Day => date,
            CalendarUnit::Week { starts } => date.week(starts).first_day(),
            CalendarUnit::Month => day(date.month()),
            CalendarUnit::Quarter => day(date.month0() / 3 * 3 + 1),
            CalendarUnit::Year => day(1),
        }
    }

    fn next_period(&self, first: NaiveDate) -> NaiveDate {
        // A day that is surely in the next span, whose first day it has.
        let days = match self.unit {
            CalendarUnit::Hour | CalendarUnit::Day => 1,
            CalendarUnit::Week { .. } => 7,
            CalendarUnit::Month => 31,
            CalendarUnit::Quarter => 92,
            CalendarUnit::Year => 366,
        };
        self.first_day(first + Days::new(days))
    }

    /// What the clock shows, less the offset.
    fn shown(&self, time: i64) -> i64 {
        self.zone.local(EventTime::from_micros(time)) - self.offset
    }

    fn hour_begins(&self, time: i64) -> i64 {
        let full = time - self.shown(time).rem_euclid(HOUR);
        match self.change(full, time) {
            None => full,
            Some(change) if self.begins_hour(change) => change,
            Some(change) => self.hour_begins(change - 1),
        }
    }

    /// Where the hour ends that `time` is in.
    fn hour_after(&self, time: i64) -> i64 {
        let full = time + HOUR - self.shown(time).rem_euclid(HOUR);
        match self.change(time, full) {
            None => full,
            Some(change) if self.begins_hour(change) => change,
            Some(change) => self.hour_after(change),
        }
    }

    /// Whether the clock, changed at `change`, shows a full hour or another one than before.
    fn begins_hour(&self, change: i64) -> bool {
        let (before, after) = (self.shown(change - 1), self.shown(change));
        before.div_euclid(HOUR) != after.div_euclid(HOUR) || after.rem_euclid(HOUR) == 0
    }

    /// When the clock was changed after `from` and not after `to`.
    fn change(&self, from: i64, to: i64) -> Option<i64> {
        let (from, to) = (EventTime::from_micros(from), EventTime::from_micros(to));
        (!self.zone.agree(from, to)).then(|| self.zone.change(from, to).micros())
    }
}

fn new_year(year: i32) -> i64 {
    let day = NaiveDate::from_ymd_opt(year, 1, 1).expect("a year has a first day");
    day.and_time(NaiveTime::MIN).and_utc().timestamp_micros()
}

#[cfg(test)]
mod tests;
