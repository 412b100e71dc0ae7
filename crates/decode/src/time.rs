//! Times as people and programs write them, as microseconds UTC. Never guesses a date from a time of day.

use chrono::DateTime;

use crate::Zone;

/// Whole numbers below this are seconds since 1970; it is the year 5138.
const SECONDS_BELOW: u64 = 100_000_000_000;
/// From [`SECONDS_BELOW`] to here they are milliseconds; the first of them is in March 1973.
const MILLIS_BELOW: u64 = 100_000_000_000_000;
/// From [`MILLIS_BELOW`] to here they are microseconds, and above nanoseconds.
const MICROS_BELOW: u64 = 100_000_000_000_000_000;

/// A date and a time of day at the front of a text, without regard to any zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LocalTime {
    /// Microseconds since 1970-01-01T00:00:00 on the local clock.
    pub(crate) micros: i64,
    /// How many bytes it takes.
    pub(crate) bytes: usize,
}

/// Reads a time as text: RFC 3339 with any number of fraction digits (those after the sixth are dropped) after `.` or
/// `,`, a space for the `T`, and an offset (`Z`, `+02:00`, `+0200`, `+02`) or none, which means `zone`; a number since
/// 1970 as [`from_number`]; or RFC 2822.
pub(crate) fn from_text(text: &[u8], zone: Zone) -> Option<i64> {
    match iso(text) {
        Some(local) => offset_at_end(&text[local.bytes..], zone).map(|seconds| local.micros - seconds * 1_000_000),
        None if text.iter().all(|b| b.is_ascii_digit() || *b == b'.') => from_number(text),
        None => DateTime::parse_from_rfc2822(std::str::from_utf8(text).ok()?).ok().map(|time| time.timestamp_micros()),
    }
}

/// Reads times as [`from_text`] does, of which most are in the same minute as the one before: that is worked out once.
#[derive(Clone, Debug)]
pub(crate) struct TimeReader {
    zone: Zone,
    /// The first bytes of the last time, `yyyy-MM-ddTHH:mm`.
    minute: [u8; 16],
    /// When that is, on the local clock.
    micros: i64,
}

impl TimeReader {
    pub(crate) fn new(zone: Zone) -> Self {
        Self { zone, minute: [0; 16], micros: 0 }
    }

    pub(crate) fn zone(&self) -> Zone {
        self.zone
    }

    /// The time that `text` is, in microseconds.
    #[inline]
    pub(crate) fn text(&mut self, text: &[u8]) -> Option<i64> {
        match text.split_first_chunk::<16>() {
            Some((minute, rest)) if *minute == self.minute => self.in_minute(rest).or_else(|| self.other(text)),
            Some(_) | None => self.other(text),
        }
    }

    /// The time whose text goes on so after the minute; `None` if it needs a closer look.
    #[inline]
    fn in_minute(&self, rest: &[u8]) -> Option<i64> {
        let second = two(rest, 1).filter(|second| rest[0] == b':' && *second < 60)?;
        let (fraction, bytes) = fraction(&rest[3..]);
        let east = offset_at_end(&rest[3 + bytes..], self.zone)?;
        Some(self.micros + (second - east) * 1_000_000 + fraction)
    }

    fn other(&mut self, text: &[u8]) -> Option<i64> {
        // A leap second is of the next minute.
        let local = iso(text).filter(|_| !text[17..].starts_with(b"60"));
        if let Some((local, minute)) = local.zip(text.first_chunk::<16>()) {
            (self.minute, self.micros) = (*minute, local.micros.div_euclid(60_000_000) * 60_000_000);
        }
        from_text(text, self.zone)
    }
}

/// Reads a number since 1970-01-01 UTC, as digits with an optional fraction. Its unit is told by its size: below 1e11
/// seconds, below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds; so times from March 1973 to the year
/// 5138 are read right in any unit. Negative numbers and exponents are no times.
pub(crate) fn from_number(text: &[u8]) -> Option<i64> {
    let (mut whole, mut at) = (0_u64, 0);
    while let Some(digit) = text.get(at).copied().and_then(digit) {
        whole = whole.checked_mul(10)?.checked_add(digit)?;
        at += 1;
    }
    let fraction = match text.get(at) {
        None if at > 0 => &[],
        Some(b'.') if at > 0 => &text[at + 1..],
        Some(_) | None => return None,
    };
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let (micros_per_unit, fraction_digits) = if whole < SECONDS_BELOW {
        (1_000_000, 6)
    } else if whole < MILLIS_BELOW {
        (1_000, 3)
    } else if whole < MICROS_BELOW {
        (1, 0)
    } else {
        return i64::try_from(whole / 1_000).ok();
    };
    let part =
        (0..fraction_digits).fold(0, |part, i| part * 10 + fraction.get(i).copied().and_then(digit).unwrap_or(0));
    i64::try_from(whole.checked_mul(micros_per_unit)?.checked_add(part)?).ok()
}

/// The same of a whole number.
pub(crate) fn from_whole(whole: u64) -> Option<i64> {
    let micros = match whole {
        ..SECONDS_BELOW => whole.checked_mul(1_000_000)?,
        SECONDS_BELOW..MILLIS_BELOW => whole.checked_mul(1_000)?,
        MILLIS_BELOW..MICROS_BELOW => whole,
        MICROS_BELOW.. => whole / 1_000,
    };
    i64::try_from(micros).ok()
}

/// The date and time at the front of `text`, in the shape `yyyy-MM-ddTHH:mm:ss` with an optional fraction.
#[inline]
pub(crate) fn iso(text: &[u8]) -> Option<LocalTime> {
    let fixed: &[u8; 19] = text.first_chunk()?;
    let separators = fixed[4] == b'-' && fixed[7] == b'-' && matches!(fixed[10], b'T' | b' ' | b't');
    if !separators {
        return None;
    }
    let year = two(fixed, 0)? * 100 + two(fixed, 2)?;
    let day = days(year, two(fixed, 5)?, two(fixed, 8)?)?;
    let (time_of_day, bytes) = clock(&text[11..])?;
    Some(LocalTime { micros: day * 86_400_000_000 + time_of_day, bytes: bytes + 11 })
}

/// The time of day at the front of `text`, in the shape `HH:mm:ss` with an optional fraction: microseconds since
/// midnight and the bytes that it takes. A leap second counts as the first second of the next minute.
#[inline]
pub(crate) fn clock(text: &[u8]) -> Option<(i64, usize)> {
    let fixed: &[u8; 8] = text.first_chunk()?;
    let (hour, minute, second) = (two(fixed, 0)?, two(fixed, 3)?, two(fixed, 6)?);
    if fixed[2] != b':' || fixed[5] != b':' || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let whole = ((hour * 60 + minute) * 60 + second) * 1_000_000;
    let (micros, bytes) = fraction(&text[8..]);
    Some((whole + micros, 8 + bytes))
}

/// The fraction of a second at the front of `text`, if there is one, and the bytes that it takes.
#[inline]
pub(crate) fn fraction(text: &[u8]) -> (i64, usize) {
    if !matches!(text.first(), Some(b'.' | b',')) {
        return (0, 0);
    }
    let (mut micros, mut unit, mut bytes) = (0, 100_000, 1);
    while let Some(digit) = text.get(bytes).copied().and_then(digit) {
        micros += digit as i64 * unit;
        unit /= 10;
        bytes += 1;
    }
    if bytes == 1 { (0, 0) } else { (micros, bytes) }
}

/// The offset at the front of `text` (`Z`, `+02:00`, `+0200`, `+02`): seconds east of UTC and the bytes that it takes.
#[inline]
pub(crate) fn offset(text: &[u8]) -> Option<(i64, usize)> {
    let sign = match text.first()? {
        b'Z' | b'z' => return Some((0, 1)),
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hours = two(text, 1)?;
    let (minutes, bytes) = match text.get(3) {
        Some(b':') => (two(text, 4)?, 6),
        Some(b) if b.is_ascii_digit() => (two(text, 3)?, 5),
        Some(_) | None => (0, 3),
    };
    (hours < 24 && minutes < 60).then_some((sign * (hours * 3_600 + minutes * 60), bytes))
}

/// The offset that all of `text` is.
#[inline]
fn offset_at_end(text: &[u8], zone: Zone) -> Option<i64> {
    match text {
        b"Z" => Some(0),
        b"" => Some(zone.seconds_east()),
        b" UTC" | b" GMT" | b" Z" => Some(0),
        _ => {
            let text = text.strip_prefix(b" ").unwrap_or(text);
            offset(text).filter(|(_, bytes)| *bytes == text.len()).map(|(seconds, _)| seconds)
        }
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, or `None` if there is no such date.
/// Howard Hinnant, "chrono-compatible low-level date algorithms", `days_from_civil`.
#[inline]
pub(crate) fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    const MONTH_DAYS: [i64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let month_days = MONTH_DAYS.get(usize::try_from(month - 1).ok()?)? + i64::from(is_leap && month == 2);
    if day < 1 || day > month_days {
        return None;
    }
    let shifted_year = year - i64::from(month <= 2);
    let era = shifted_year.div_euclid(400);
    let year_of_era = shifted_year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[inline]
fn digit(byte: u8) -> Option<u64> {
    byte.is_ascii_digit().then(|| u64::from(byte - b'0'))
}

/// The number that the two digits at `at` are.
#[inline]
pub(crate) fn two(text: &[u8], at: usize) -> Option<i64> {
    let (tens, ones) = (text.get(at)?.wrapping_sub(b'0'), text.get(at + 1)?.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens) * 10 + i64::from(ones))
}

#[cfg(test)]
mod tests;
