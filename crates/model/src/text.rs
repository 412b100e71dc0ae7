//! Durations and sizes as people write them in configuration: `10s`, `500ms`, `64MiB`.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::{Serialize, Serializer};

use crate::TimeDelta;

/// A length of time: a number and one of `us`, `ms`, `s`, `m`, `h`, `d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationText(TimeDelta);

const DURATION_UNITS: [(&str, i64); 6] =
    [("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000), ("d", 86_400_000_000)];

impl DurationText {
    /// `secs` seconds.
    pub const fn secs(secs: i64) -> Self {
        Self(TimeDelta::from_secs(secs))
    }

    /// `millis` milliseconds.
    pub const fn millis(millis: i64) -> Self {
        Self(TimeDelta::from_millis(millis))
    }

    /// As a difference of event times.
    pub const fn delta(self) -> TimeDelta {
        self.0
    }

    /// As the standard library has it.
    pub fn std(self) -> std::time::Duration {
        std::time::Duration::from_micros(u64::try_from(self.0.micros()).unwrap_or(0))
    }
}

/// A number of bytes: a number and one of `B`, `KiB`, `MiB`, `GiB`, `TiB` (or `KB`, `MB`, `GB`, `TB`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const SIZE_UNITS: [(&str, i64); 9] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
];

fn parse_with_unit(text: &str, units: &[(&str, i64)]) -> Option<i64> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?;
    let (number, unit) = (text[..split].parse::<f64>().ok()?, text[split..].trim_start());
    let &(_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    let value = number * factor as f64;
    (value.is_finite() && value < i64::MAX as f64).then_some(value.round() as i64)
}

fn show_with_unit(value: i64, units: &[(&str, i64)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let largest =
        units.iter().filter(|(_, factor)| value != 0 && value % factor == 0).max_by_key(|(_, factor)| *factor);
    let (unit, factor) = largest.copied().unwrap_or(units[0]);
    write!(f, "{}{unit}", value / factor)
}

macro_rules! as_text {
    ($type:ident, $units:ident, $from:expr, $to:expr, $what:literal, $pattern:literal, $example:literal) => {
        impl FromStr for $type {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                parse_with_unit(text, &$units).map($from).ok_or_else(|| format!("\"{text}\" is not {}", $what))
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                show_with_unit($to(*self), &$units, f)
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct TextVisitor;
                impl Visitor<'_> for TextVisitor {
                    type Value = $type;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($what)
                    }
                    fn visit_str<E: Error>(self, text: &str) -> Result<$type, E> {
                        text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
                    }
                }
                deserializer.deserialize_str(TextVisitor)
            }
        }

        impl JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "examples": [$example], "description": $what })
            }
        }
    };
}

as_text!(
    DurationText,
    DURATION_UNITS,
    |micros| Self(TimeDelta::from_micros(micros)),
    |text: DurationText| text.0.micros(),
    "a duration such as 500ms, 10s, 5m, 2h or 7d",
    r"^[0-9.]+ ?(us|ms|s|m|h|d)$",
    "10s"
);
as_text!(
    ByteSize,
    SIZE_UNITS,
    |bytes| Self(bytes as u64),
    |size: ByteSize| i64::try_from(size.0).unwrap_or(i64::MAX),
    "a size such as 512KiB, 64MiB or 2GiB",
    r"^[0-9.]+ ?([KMGT]i?)?B$",
    "64MiB"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_are_text() {
        assert_eq!("1.5s".parse(), Ok(DurationText::millis(1500)));
        assert_eq!("5m".parse::<DurationText>().map(|d| d.to_string()), Ok("5m".to_owned()));
        assert_eq!("64MiB".parse(), Ok(ByteSize(64 << 20)));
        assert_eq!(ByteSize(1 << 30).to_string(), "1GiB");
        assert_eq!(DurationText::secs(0).to_string(), "0us");
    }

    #[test]
    fn a_unit_is_required_and_must_be_known() {
        for wrong in ["10", "10 parsecs", "", "s", "-1s", "1e400s"] {
            assert!(wrong.parse::<DurationText>().is_err(), "{wrong}");
        }
    }
}
