//! The dates and times at the front of log lines, in the shapes that log4j patterns commonly have. A time of day
//! without a date is no date.

use crate::time::{clock, days, fraction, from_number, iso, offset, two};

/// A date and time at the front of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Microseconds since 1970 on the clock that the line was written by.
    local: i64,
    /// How far that clock is ahead of UTC in seconds, where the line says so.
    offset: Option<i64>,
    /// How many bytes it takes.
    pub(crate) bytes: usize,
}

impl Stamp {
    /// Microseconds since 1970, UTC; `zone` is for lines that do not say.
    pub(crate) fn micros(self, zone: crate::Zone) -> i64 {
        self.local - self.offset.unwrap_or_else(|| zone.seconds_east()) * 1_000_000
    }
}

const DAY: i64 = 86_400_000_000;

/// The names of zones that log4j writes and that mean one thing everywhere, with their hours east of UTC.
const ZONES: [(&[u8], i64); 11] = [
    (b"UTC", 0),
    (b"GMT", 0),
    (b"CET", 1),
    (b"CEST", 2),
    (b"EET", 2),
    (b"EEST", 3),
    (b"EST", -5),
    (b"EDT", -4),
    (b"PST", -8),
    (b"PDT", -7),
    (b"JST", 9),
];

/// The date and time at the front of `line`.
///
/// Read are `2026-11-21 01:18:22` (or with `/` or `.` in the date and `T` before the time), `26/11/21 01:18:22`
/// (Spark's own: year, month, day), `21 Nov 2026 01:18:22`, `21/Nov/2026:01:18:22`, `Nov 21, 2026 01:18:22`,
/// `21-11-2026 01:18:22` (the day first; with `/` the month first unless that cannot be), `20261121 01:18:22`,
/// `20261121T011822`, and milliseconds since 1970; each with a fraction after `.` or `,` and a zone.
pub(crate) fn stamp(line: &[u8]) -> Option<Stamp> {
    let (local, bytes) = match line {
        [b'0'..=b'9', ..] => numeric(line).or_else(|| named_month(line))?,
        [b'A'..=b'Z', b'a'..=b'z', b'a'..=b'z', ..] => month_first(line)?,
        _ => return None,
    };
    let (offset, more) = zone(&line[bytes..]);
    let bytes = bytes + more;
    let is_whole = !line.get(bytes).is_some_and(|b| b.is_ascii_alphanumeric());
    is_whole.then_some(Stamp { local, offset, bytes })
}

fn numeric(line: &[u8]) -> Option<(i64, usize)> {
    if let Some(local) = iso(line) {
        return Some((local.micros, local.bytes));
    }
    let digits = line.iter().take_while(|b| b.is_ascii_digit()).count();
    match (digits, line.get(digits)) {
        (4, Some(b'/' | b'.' | b'-')) => date_clock(line, days(four(line, 0)?, two(line, 5)?, two(line, 8)?)?, 4, 7),
        (2, Some(b'/' | b'.' | b'-')) => day_or_year_first(line),
        (8, Some(_)) => packed(line),
        (13, Some(b' ' | b']')) => Some((from_number(&line[..13])?, 13)),
        (17, Some(_)) => {
            let day = days(four(line, 0)?, two(line, 4)?, two(line, 6)?)?;
            let seconds = seconds(two(line, 8)?, two(line, 10)?, two(line, 12)?)?;
            let millis = two(line, 14)? * 10 + i64::from(line[16] - b'0');
            Some((day * DAY + seconds * 1_000_000 + millis * 1_000, 17))
        }
        _ => None,
    }
}

/// `26/11/21 01:18:22`, or with four digits of year at the end of the date.
fn day_or_year_first(line: &[u8]) -> Option<(i64, usize)> {
    let (first, second) = (two(line, 0)?, two(line, 3)?);
    if let Some(year) = four(line, 6) {
        let is_month_first = if line[2] == b'/' { first <= 12 } else { second > 12 };
        let (day, month) = if is_month_first { (second, first) } else { (first, second) };
        return at_clock(line, days(year, month, day)?, [2, 5], 10);
    }
    at_clock(line, days(2000 + first, second, two(line, 6)?)?, [2, 5], 8)
}

fn date_clock(line: &[u8], day: i64, separator: usize, second: usize) -> Option<(i64, usize)> {
    at_clock(line, day, [separator, second], 10)
}

/// The time of day after a date of `date_bytes`, whose two separators must be alike.
fn at_clock(line: &[u8], day: i64, separators: [usize; 2], date_bytes: usize) -> Option<(i64, usize)> {
    let is_date = line.get(separators[0])? == line.get(separators[1])?
        && matches!(line.get(date_bytes), Some(b' ' | b'T' | b':'));
    let (time, bytes) = clock(line.get(date_bytes + 1..)?).filter(|_| is_date)?;
    Some((day * DAY + time, date_bytes + 1 + bytes))
}

/// `20261121 01:18:22` and `20261121T011822`.
fn packed(line: &[u8]) -> Option<(i64, usize)> {
    let day = days(four(line, 0)?, two(line, 4)?, two(line, 6)?)?;
    if !matches!(line[8], b' ' | b'T') {
        return None;
    }
    if let Some((time, bytes)) = clock(&line[9..]) {
        return Some((day * DAY + time, 9 + bytes));
    }
    let seconds = seconds(two(line, 9)?, two(line, 11)?, two(line, 13)?)?;
    let (micros, bytes) = fraction(&line[15..]);
    Some((day * DAY + seconds * 1_000_000 + micros, 15 + bytes))
}

/// `21 Nov 2026 01:18:22` and `21/Nov/2026:01:18:22`.
fn named_month(line: &[u8]) -> Option<(i64, usize)> {
    let (day, at) = one_or_two(line)?;
    let separator = *line.get(at)?;
    if !matches!(separator, b' ' | b'/' | b'-') {
        return None;
    }
    let date = days(four(line, at + 5)?, month(line.get(at + 1..)?)?, day)?;
    at_clock(line, date, [at, at + 4], at + 9)
}

/// `Nov 21, 2026 01:18:22`, also with AM or PM.
fn month_first(line: &[u8]) -> Option<(i64, usize)> {
    let month = month(line)?;
    let rest = line.strip_prefix(&line[..3])?.strip_prefix(b" ")?;
    let (day, at) = one_or_two(rest)?;
    let rest = rest[at..].strip_prefix(b", ").or_else(|| rest[at..].strip_prefix(b" "))?;
    let date = days(four(rest, 0)?, month, day)?;
    let rest = rest.get(4..)?.strip_prefix(b" ")?;
    let (hour, digits) = one_or_two(rest)?;
    let padded = [if digits == 1 { b"0" } else { &b""[..] }, rest.get(..8.min(rest.len()))?].concat();
    let (mut time, _) = clock(&padded)?;
    let mut left = &rest[digits + 6..];
    for (mark, noon) in [(&b" AM"[..], 0), (b" PM", 12)] {
        if let Some(after) = left.strip_prefix(mark) {
            time += (hour % 12 + noon - hour) * 3_600_000_000;
            left = after;
        }
    }
    Some((date * DAY + time, line.len() - left.len()))
}

/// The zone after a time: how far ahead of UTC in seconds, and the bytes that it takes.
fn zone(rest: &[u8]) -> (Option<i64>, usize) {
    let space = usize::from(rest.first() == Some(&b' '));
    let name = &rest[space..];
    let letters = name.iter().take_while(|b| b.is_ascii_uppercase()).count();
    if let Some((_, hours)) = ZONES.iter().find(|(zone, _)| *zone == &name[..letters]) {
        return (Some(hours * 3_600), space + letters);
    }
    let is_offset = match name {
        [b'Z', rest @ ..] => space == 0 && !rest.first().is_some_and(u8::is_ascii_alphanumeric),
        [b'+' | b'-', b'0'..=b'9', b'0'..=b'9', ..] => true,
        _ => false,
    };
    match offset(name).filter(|_| is_offset) {
        Some((seconds, bytes)) => (Some(seconds), space + bytes),
        None => (None, 0),
    }
}

fn month(text: &[u8]) -> Option<i64> {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let name = text.get(..3)?;
    MONTHS.chunks(3).position(|month| month.eq_ignore_ascii_case(name)).map(|index| index as i64 + 1)
}

fn seconds(hour: i64, minute: i64, second: i64) -> Option<i64> {
    (hour < 24 && minute < 60 && second <= 60).then_some((hour * 60 + minute) * 60 + second)
}

fn four(text: &[u8], at: usize) -> Option<i64> {
    Some(two(text, at)? * 100 + two(text, at + 2)?)
}

fn one_or_two(text: &[u8]) -> Option<(i64, usize)> {
    match two(text, 0) {
        Some(number) => Some((number, 2)),
        None => text.first().filter(|b| b.is_ascii_digit()).map(|b| (i64::from(b - b'0'), 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Zone;

    fn read(line: &str) -> Option<(i64, usize)> {
        stamp(line.as_bytes()).map(|stamp| (stamp.micros(Zone::default()), stamp.bytes))
    }

    #[test]
    fn every_shape_of_date_is_read() {
        let second = 1_795_223_902_000_000;
        for (date, micros) in [
            ("26/11/21 01:18:22", second),
            ("2026-11-21 01:18:22", second),
            ("2026-11-21T01:18:22.123Z", second + 123_000),
            ("2026-11-21 01:18:22,123", second + 123_000),
            ("2026-11-21T02:18:22.123456+01:00", second + 123_456),
            ("2026-11-21 02:18:22 +0100", second),
            ("2026-11-21 02:18:22,5 CET", second + 500_000),
            ("2026-11-21 01:18:22 UTC", second),
            ("2026/11/21 01:18:22", second),
            ("2026.11.21 01:18:22.5", second + 500_000),
            ("26/11/21 01:18:22.123", second + 123_000),
            ("21 Nov 2026 01:18:22,123", second + 123_000),
            ("21/Nov/2026:01:18:22 +0000", second),
            ("Nov 21, 2026 1:18:22 AM", second),
            ("Nov 21, 2026 1:18:22 PM", second + 43_200_000_000),
            ("21-11-2026 01:18:22", second),
            ("21/11/2026 01:18:22", second),
            ("11/21/2026 01:18:22", second),
            ("21.11.2026 01:18:22", second),
            ("20261121 01:18:22", second),
            ("20261121T011822,123", second + 123_000),
            ("20261121011822123", second + 123_000),
            ("1795223902123", second + 123_000),
        ] {
            assert_eq!(read(&format!("{date} INFO")), Some((micros, date.len())), "{date}");
        }
    }

    #[test]
    fn what_only_looks_like_a_date_is_none() {
        for line in [
            "",
            "26/11/21",
            "26/13/21 01:18:22",
            "26/11/21 25:18:22",
            "01:18:22 INFO",
            "2026-11-21 INFO",
            "Now is the time",
            "26/11/21 01:18:22x",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }
}
