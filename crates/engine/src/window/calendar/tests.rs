//! Spans of calendars against boundaries that were found with another implementation.

use chrono::{DateTime, NaiveDateTime, Weekday};

use super::{Calendar, HOUR};
use crate::plan::CalendarUnit;

const BOUNDARIES: &str = include_str!("boundaries.txt");

fn calendar(unit: &str, zone: &str, offset: i64) -> Calendar {
    let unit = match unit {
        "hour" => CalendarUnit::Hour,
        "day" => CalendarUnit::Day,
        "week" => CalendarUnit::Week { starts: Weekday::Mon },
        "week_from_sunday" => CalendarUnit::Week { starts: Weekday::Sun },
        "month" => CalendarUnit::Month,
        "quarter" => CalendarUnit::Quarter,
        "year" => CalendarUnit::Year,
        other => panic!("there is no unit {other}"),
    };
    Calendar::new(unit, zone.parse().expect("a zone"), offset)
}

fn instant(text: &str) -> i64 {
    let text = if text.len() == 16 { format!("{text}:00") } else { text.to_owned() };
    text.parse::<NaiveDateTime>().expect("a date and a time").and_utc().timestamp_micros()
}

fn shown((start, end): (i64, i64)) -> String {
    let one = |micros| DateTime::from_timestamp_micros(micros).expect("near").naive_utc().to_string();
    format!("{}..{}", one(start), one(end))
}

#[test]
fn spans_are_those_that_another_implementation_finds() {
    let lines = BOUNDARIES.lines().filter(|line| !line.starts_with('#'));
    let mut checked = 0;
    for line in lines {
        let (head, boundaries) = line.split_once(": ").expect("boundaries");
        let [zone, unit, offset] = head.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let minutes: i64 = offset.trim_end_matches('m').parse().expect("minutes");
        let calendar = calendar(unit, zone, minutes * 60_000_000);
        let boundaries: Vec<i64> = boundaries.split(' ').map(instant).collect();
        for pair in boundaries.windows(2) {
            let expected = (pair[0], pair[1]);
            for time in [pair[0], pair[0] + 1, (pair[0] + pair[1]) / 2, pair[1] - 1] {
                // Also without what is remembered.
                assert_eq!(shown(calendar.find(time)), shown(expected), "{head}");
                assert_eq!(shown(calendar.span(time)), shown(expected), "{head}");
            }
            checked += 1;
        }
    }
    assert!(checked > 120, "{checked}");
}

#[test]
fn spans_leave_no_gap_and_do_not_overlap_over_a_century() {
    for zone in ["Europe/Berlin", "Pacific/Apia", "America/Sao_Paulo", "America/St_Johns", "Africa/Monrovia"] {
        // In Apia the fourth of July 1892 was there twice.
        for (unit, longest) in [("hour", 2), ("day", 48), ("week", 24 * 8), ("month", 24 * 32)] {
            let calendar = calendar(unit, zone, 0);
            // Hours only around the years in which clocks were changed most.
            let (from, to) = if unit == "hour" { ("1918", "1920") } else { ("1890", "2020") };
            let (mut time, end) = (instant(&format!("{from}-01-01T00:00")), instant(&format!("{to}-01-01T00:00")));
            time = calendar.find(time).0;
            while time < end {
                let (start, next) = calendar.find(time);
                assert_eq!(start, time, "{zone} {unit}");
                assert!(next > start && next - start <= longest * HOUR, "{zone} {}", shown((start, next)));
                assert_eq!(calendar.find(next - 1), (start, next), "{zone} {unit}");
                time = next;
            }
        }
    }
}

#[test]
fn before_the_first_year_and_after_the_last_there_is_one_span() {
    let days = calendar("day", "Europe/Berlin", 0);
    let (start, first) = days.span(i64::MIN);
    assert_eq!(start, i64::MIN);
    assert_eq!(days.span(first - 1), (i64::MIN, first));
    assert_eq!(days.span(first).0, first);
    let (last, end) = days.span(i64::MAX - 1);
    assert_eq!(end, i64::MAX);
    assert_eq!(days.span(last - 1).1, last);
}
