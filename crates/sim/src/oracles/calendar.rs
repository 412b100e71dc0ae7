//! An oracle for calendar windows: it looks at the clock of a zone minute by minute, and knows where spans begin. Computes
//! with no boundary of its own; random rows around changes of the clock are played to it and to the engine.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveDateTime, TimeDelta, Timelike};
use chrono_tz::Tz;
use proptest::prelude::{Strategy, prop_assert_eq};
use weir_model::PartitionId;

use super::{Check, Verdict};
use crate::{Line, Outcome, Row, Story};

/// Zones, and days on which their clocks were changed or nearly.
const CHANGES: [(&str, &str); 9] = [
    ("Europe/Berlin", "2026-03-29"),
    ("Europe/Berlin", "2026-10-25"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Pacific/Apia", "2011-12-30"),
    ("America/Sao_Paulo", "2018-11-04"),
    ("Asia/Beirut", "2022-03-27"),
    ("America/St_Johns", "2006-10-29"),
    ("Africa/Cairo", "2024-04-26"),
];
const UNITS: [&str; 6] = ["hour", "day", "week", "month", "quarter", "year"];

/// What is random about a case.
#[derive(Clone, Debug)]
struct Case {
    zone: &'static str,
    day: NaiveDate,
    unit: &'static str,
    offset_minutes: i64,
    /// Minutes after the first instant that is looked at.
    rows: Vec<i64>,
}

impl Case {
    /// Two days before the change, in UTC.
    fn begin(&self) -> NaiveDateTime {
        (self.day - Days::new(2)).and_hms_opt(0, 0, 0).expect("midnight in UTC")
    }

    fn at(&self, minute: i64) -> i64 {
        (self.begin() + TimeDelta::minutes(minute)).and_utc().timestamp_micros()
    }

    fn story(&self) -> Story {
        let plan = format!(
            "time delay=10d\nwindow {} in {} compute n=count(*) offset={}m\n---\nadded p0\n",
            self.unit, self.zone, self.offset_minutes
        );
        let mut story = Story::parse(&plan).expect("the plan can be read");
        for (index, minute) in self.rows.iter().enumerate() {
            // A barrier in between, and batches of one to three rows.
            if index % 5 == 4 {
                story.lines.push(Line::Barrier);
            }
            let row = Row { time: self.at(*minute), key: None, value: None };
            match story.lines.last_mut() {
                Some(Line::Rows(_, rows)) if rows.len() <= index % 3 => rows.push(row),
                _ => story.lines.push(Line::Rows(PartitionId::new("p0"), vec![row])),
            }
        }
        story.lines.push(Line::End);
        story
    }

    /// How many rows are in each span, in the order of time.
    fn answer(&self) -> Vec<usize> {
        let zone: Tz = self.zone.parse().expect("a zone");
        let shown = |minute: i64| {
            let at = DateTime::from_timestamp_micros(self.at(minute)).expect("near");
            at.with_timezone(&zone).naive_local() - TimeDelta::minutes(self.offset_minutes)
        };
        let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
        let last = self.rows.iter().copied().max().unwrap_or(0);
        let (mut span, mut furthest, mut before) = (0, label(self.unit, shown(0)), shown(0));
        for minute in 0..=last {
            let now = shown(minute);
            let begins = match self.unit {
                // Another hour than a minute ago, or a full one.
                "hour" => label("hour", now) != label("hour", before) || now.minute() == 0,
                unit => label(unit, now) > furthest,
            };
            span += i64::from(begins);
            (furthest, before) = (furthest.max(label(self.unit, now)), now);
            let here = self.rows.iter().filter(|row| **row == minute).count();
            if here > 0 {
                *counts.entry(span).or_default() += here;
            }
        }
        counts.into_values().collect()
    }
}

/// A number that grows from span to span.
fn label(unit: &str, shown: NaiveDateTime) -> i64 {
    let (year, month) = (i64::from(shown.year()), i64::from(shown.month0()));
    let days = i64::from(shown.date().num_days_from_ce());
    match unit {
        "hour" => days * 24 + i64::from(shown.hour()),
        "day" => days,
        // Day 1 of the common era was a Monday.
        "week" => (days - 1) / 7,
        "month" => year * 12 + month,
        "quarter" => year * 4 + month / 3,
        _ => year,
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let rows = proptest::collection::vec(0..5 * 24 * 60_i64, 1..20);
    let unit = proptest::sample::select(UNITS.to_vec());
    (proptest::sample::select(CHANGES.to_vec()), unit, 0..8_i64, rows).prop_map(|((zone, day), unit, offset, rows)| {
        let offset_minutes = if unit == "hour" { offset * 7 } else { offset * 173 };
        Case { zone, day: day.parse().expect("a date"), unit, offset_minutes, rows }
    })
}

fn compare(_: &Case, expected: &Vec<usize>, outcome: &Outcome) -> Verdict {
    let mut found: Vec<(&str, usize)> = outcome.last_revisions().values().map(|(_, text)| counted(text)).collect();
    // Of years between 2006 and 2026, texts are in the order of time.
    found.sort();
    let found: Vec<usize> = found.into_iter().map(|(_, count)| count).collect();
    prop_assert_eq!(&found, expected);
    Ok(())
}

#[test]
fn rows_are_in_the_spans_that_the_clock_of_a_zone_shows() {
    let (story, answer, is_final) = (Case::story, Case::answer, |_: &Case| true);
    Check { weight: 1, crashes: 1, story, answer, straight: compare, tasks: compare, is_final }.run(cases);
}

/// The span and the count of a result such as `start..end n=3 on_time revision=0`.
fn counted(text: &str) -> (&str, usize) {
    let (span, rest) = text.split_once(" n=").expect("a result counts");
    let count = rest.split(' ').next().and_then(|count| count.parse().ok());
    (span, count.expect("a count is a number"))
}
