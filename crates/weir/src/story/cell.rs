//! One value in a story: as it is written, as it was found, and whether the two agree. Knows no rows.

use serde_json::Value;

/// A value as a story writes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    /// `*`: whatever it is.
    Any,
    /// `null`.
    Null,
    /// In quotes: exactly this text.
    Quoted(String),
    /// Without quotes: this text, number, time, or time of day.
    Plain(String),
    /// A list or a map.
    Nested(Value),
}

impl Cell {
    /// A word of a table.
    pub(super) fn plain(text: &str) -> Self {
        match text {
            "*" => Self::Any,
            "null" => Self::Null,
            text => Self::Plain(text.to_owned()),
        }
    }

    /// A value of a map.
    pub(super) fn of_value(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::String(text) if text == "null" => Self::Quoted(text.clone()),
            Value::String(text) => Self::plain(text),
            Value::Bool(_) | Value::Number(_) => Self::Plain(value.to_string()),
            Value::Array(_) | Value::Object(_) => Self::Nested(value.clone()),
        }
    }

    /// Whether `found` is what is meant.
    pub(super) fn agrees(&self, found: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Null => found.is_null(),
            Self::Quoted(text) => found.as_str() == Some(text),
            Self::Nested(value) => value == found,
            Self::Plain(text) => match found {
                Value::Null => false,
                Value::String(found) => text == found || same_time(text, found),
                Value::Bool(found) => *text == found.to_string(),
                Value::Number(found) => same_number(text, found),
                Value::Array(_) | Value::Object(_) => serde_json::from_str::<Value>(text).is_ok_and(|it| it == *found),
            },
        }
    }

    /// As a table writes it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Any => "*".to_owned(),
            Self::Null => "null".to_owned(),
            Self::Quoted(text) => quoted(text),
            Self::Plain(text) => word(text),
            Self::Nested(value) => word(&value.to_string()),
        }
    }

    /// Whether it is a time of day, such as `10:00` or `10:00:05.5`.
    pub(super) fn is_time_of_day(&self) -> bool {
        matches!(self, Self::Plain(text) if time_of_day(text).is_some())
    }
}

/// A value that was found, as a table writes it.
pub(super) fn shown(found: &Value) -> String {
    match found {
        Value::String(text) if text == "null" || text == "*" => quoted(text),
        Value::String(text) => word(text),
        other => word(&other.to_string()),
    }
}

/// The time of day of a time that was found, if it is one.
pub(super) fn shown_as_time_of_day(found: &Value) -> Option<String> {
    let time = found.as_str()?.strip_suffix('Z')?;
    let (date, time) = time.split_once('T')?;
    (date.len() == 10 && time_of_day(time).is_some()).then(|| time.to_owned())
}

fn word(text: &str) -> String {
    let is_bare = !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if is_bare && !text.starts_with(['"', '#']) { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    Value::String(text.to_owned()).to_string()
}

/// How far a number may be from `~100`, as a part of it: what sketches promise.
const ABOUT: f64 = 0.01;

/// A number agrees at the precision at which it is written: `0.33` is 0.3333, but `2` is not 2.4; `~2` is within 1%.
fn same_number(text: &str, found: &serde_json::Number) -> bool {
    if let (Ok(wanted), Some(found)) = (text.parse::<i128>(), found.as_i128()) {
        return wanted == found;
    }
    if let (Some(about), Some(found)) =
        (text.strip_prefix('~').and_then(|about| about.parse::<f64>().ok()), found.as_f64())
    {
        return (about - found).abs() <= ABOUT * about.abs();
    }
    let (Ok(wanted), Some(found)) = (text.parse::<f64>(), found.as_f64()) else { return false };
    let decimals = text.split_once('.').filter(|_| !text.contains(['e', 'E'])).map(|(_, decimals)| decimals.len());
    match decimals.and_then(|decimals| i32::try_from(decimals).ok()) {
        // A hair more than half a unit of the last digit, for what a half is not in binary.
        Some(decimals) => wanted == found || (wanted - found).abs() <= 0.500_000_1 * 10_f64.powi(-decimals),
        None => wanted == found,
    }
}

fn same_time(text: &str, found: &str) -> bool {
    let instant = |text: &str| chrono::DateTime::parse_from_rfc3339(text).ok();
    let Some(found_instant) = instant(found) else { return false };
    match time_of_day(text) {
        Some(wanted) => {
            found.split_once('T').and_then(|(_, time)| time_of_day(time.trim_end_matches('Z'))) == Some(wanted)
        }
        None => instant(text) == Some(found_instant),
    }
}

fn time_of_day(text: &str) -> Option<chrono::NaiveTime> {
    let looks = text.len() >= 5 && text.starts_with(|c: char| c.is_ascii_digit());
    let formats = ["%H:%M:%S%.f", "%H:%M"].into_iter().filter(|_| looks);
    formats.filter_map(|format| chrono::NaiveTime::parse_from_str(text, format).ok()).next()
}
