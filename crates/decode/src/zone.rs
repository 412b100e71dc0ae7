//! The offset from UTC that times without one are read with, as people write it. No names of places: those need a
//! database that changes with governments.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize, Serializer};

/// A fixed offset from UTC: `UTC`, `Z`, `+02:00`, `-0530`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    minutes_east: i16,
}

/// No place on Earth is further from UTC than this.
const MINUTES_MAX: i16 = 18 * 60;

impl Zone {
    /// How far local time is ahead of UTC, in seconds.
    pub fn seconds_east(self) -> i64 {
        i64::from(self.minutes_east) * 60
    }
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not an offset from UTC such as UTC, +02:00 or -05:30");
        if matches!(text, "UTC" | "utc" | "Z" | "z" | "GMT") {
            return Ok(Self::default());
        }
        let (sign, rest) = match text.as_bytes().first() {
            Some(b'+') => (1, &text[1..]),
            Some(b'-') => (-1, &text[1..]),
            _ => return Err(wrong()),
        };
        let digits: String = rest.chars().filter(|c| *c != ':').collect();
        let is_shaped = match rest.len() {
            2 | 4 => digits.len() == rest.len(),
            5 => digits.len() == 4 && rest.as_bytes()[2] == b':',
            _ => false,
        };
        let shape = is_shaped && digits.bytes().all(|b| b.is_ascii_digit());
        if !shape {
            return Err(wrong());
        }
        let number = |part: &str| part.parse::<i16>().map_err(|_| wrong());
        let (hours, minutes) = (number(&digits[..2])?, if digits.len() == 4 { number(&digits[2..])? } else { 0 });
        let total = hours * 60 + minutes;
        if minutes >= 60 || total > MINUTES_MAX {
            return Err(wrong());
        }
        Ok(Self { minutes_east: sign * total })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.minutes_east == 0 {
            return f.write_str("UTC");
        }
        let sign = if self.minutes_east < 0 { '-' } else { '+' };
        let minutes = self.minutes_east.abs();
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

impl Serialize for Zone {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl JsonSchema for Zone {
    fn schema_name() -> Cow<'static, str> {
        "Zone".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": "^(UTC|utc|GMT|Z|z|[+-][0-9]{2}(:?[0-9]{2})?)$",
            "default": "UTC",
            "examples": ["UTC", "+02:00"],
            "description": "a fixed offset from UTC",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_and_shown() {
        for (text, seconds, shown) in
            [("UTC", 0, "UTC"), ("+02:00", 7_200, "+02:00"), ("-0530", -19_800, "-05:30"), ("+01", 3_600, "+01:00")]
        {
            let zone: Zone = text.parse().expect("valid");
            assert_eq!((zone.seconds_east(), zone.to_string().as_str()), (seconds, shown));
        }
    }

    #[test]
    fn names_of_places_and_impossible_offsets_are_refused() {
        for text in ["Europe/Berlin", "2", "+2", "+99:00", "+01:60", "+0:100", "", "+é1"] {
            assert!(text.parse::<Zone>().is_err(), "{text}");
        }
    }
}
