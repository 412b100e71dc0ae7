//! Times inside of texts, as microseconds since 1970 UTC. Knows no zone but the one that is written.

use chrono::{DateTime, NaiveDateTime};

/// Whole numbers below this are seconds since 1970, then milliseconds, microseconds and nanoseconds.
const SECONDS_BELOW: u64 = 100_000_000_000;

/// Forms with a zone.
const WITH_ZONE: [&str; 4] =
    ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z", "%d/%b/%Y:%H:%M:%S %z"];
/// Forms without: they are UTC. A comma before the fraction, as Java writes it, has become a point.
const WITHOUT_ZONE: [&str; 4] =
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y/%m/%d %H:%M:%S%.f", "%d/%b/%Y:%H:%M:%S"];

/// Reads a time.
pub(super) fn from_text(text: &str) -> Option<i64> {
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return from_number(text);
    }
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.timestamp_micros());
    }
    let pointed = text.replacen(',', ".", 1);
    let zoned = WITH_ZONE.iter().find_map(|form| DateTime::parse_from_str(&pointed, form).ok());
    if let Some(time) = zoned.or_else(|| DateTime::parse_from_rfc2822(text).ok()) {
        return Some(time.timestamp_micros());
    }
    let local = pointed.strip_suffix('Z').unwrap_or(&pointed);
    let local = WITHOUT_ZONE.iter().find_map(|form| NaiveDateTime::parse_from_str(local, form).ok());
    Some(local?.and_utc().timestamp_micros())
}

/// Reads a number since 1970; its size tells the unit.
fn from_number(text: &str) -> Option<i64> {
    let whole: u64 = text.split('.').next()?.parse().ok()?;
    let micros_per_unit = if whole < SECONDS_BELOW {
        1e6
    } else if whole < SECONDS_BELOW * 1_000 {
        1e3
    } else if whole < SECONDS_BELOW * 1_000_000 {
        return i64::try_from(whole).ok();
    } else {
        return i64::try_from(whole / 1_000).ok();
    };
    let number: f64 = text.parse().ok()?;
    Some((number * micros_per_unit).round() as i64)
}
