//! One value on its way into a column. Lives on the stack; refuses to hold other values.

use std::io::Write;

use arrow::datatypes::{Decimal128Type, Decimal256Type, DecimalType, i256};
use chrono::{DateTime, NaiveDate, NaiveTime, SecondsFormat};
use weir_model::{EventTime, Value};
use weir_schema::avro::TimeUnit;

/// A value.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scalar<'a> {
    Bool(bool),
    Int(i64),
    /// Avro has no such numbers; Protobuf has.
    UInt(u64),
    Float(f64),
    /// Text, which was found to be UTF-8, and where it stands in the batch's buffer if it does.
    Text(&'a [u8], Option<u32>),
    /// Bytes, and where they stand in the batch's buffer if they do.
    Bytes(&'a [u8], Option<u32>),
    /// Days since 1970.
    Date(i32),
    /// Microseconds since midnight.
    TimeOfDay(i64),
    /// Units since 1970, of UTC or (`true`) of some clock.
    Instant(i64, TimeUnit, bool),
    /// Unscaled, and the digits after the point.
    Decimal(i128, i8),
    /// The same for what 128 bits do not hold.
    BigDecimal(i256, i8),
}

impl Scalar<'_> {
    /// Appends it as people write it; bytes as they are.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let mut text = |text: std::fmt::Arguments<'_>| out.write_fmt(text).expect("a vector takes everything");
        match self {
            Self::Bool(value) => text(format_args!("{value}")),
            Self::Int(value) => text(format_args!("{value}")),
            Self::UInt(value) => text(format_args!("{value}")),
            Self::Float(value) => text(format_args!("{value:?}")),
            Self::Text(bytes, _) | Self::Bytes(bytes, _) => out.extend_from_slice(bytes),
            Self::Date(days) => match NaiveDate::from_num_days_from_ce_opt(days.saturating_add(719_163)) {
                Some(date) => text(format_args!("{date}")),
                None => text(format_args!("{days} days since 1970")),
            },
            Self::TimeOfDay(micros) => {
                let seconds = u32::try_from(micros.div_euclid(1_000_000)).unwrap_or(u32::MAX);
                let nanos = u32::try_from(micros.rem_euclid(1_000_000) * 1_000).unwrap_or_default();
                match NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos) {
                    Some(time) => text(format_args!("{time}")),
                    None => text(format_args!("{micros} microseconds since midnight")),
                }
            }
            Self::Instant(value, unit, local) => {
                let mut shown = instant(value, unit);
                if local && shown.ends_with('Z') {
                    shown.pop();
                }
                text(format_args!("{shown}"));
            }
            Self::Decimal(value, scale) => {
                text(format_args!("{}", Decimal128Type::format_decimal(value, Decimal128Type::MAX_PRECISION, scale)))
            }
            Self::BigDecimal(value, scale) => {
                text(format_args!("{}", Decimal256Type::format_decimal(value, Decimal256Type::MAX_PRECISION, scale)))
            }
        }
    }

    /// It, as an error message shows it.
    #[cold]
    pub(crate) fn show(self) -> String {
        match self {
            Self::Text(bytes, _) | Self::Bytes(bytes, _) => Value(bytes).to_string(),
            other => {
                let mut out = Vec::new();
                other.write(&mut out);
                String::from_utf8_lossy(&out).into_owned()
            }
        }
    }
}

fn instant(value: i64, unit: TimeUnit) -> String {
    match unit {
        TimeUnit::Millis => value
            .checked_mul(1_000)
            .map(EventTime::from_micros)
            .map_or_else(|| format!("{value} milliseconds since 1970"), |time| time.to_string()),
        TimeUnit::Micros => EventTime::from_micros(value).to_string(),
        TimeUnit::Nanos if value % 1_000 == 0 => EventTime::from_micros(value / 1_000).to_string(),
        TimeUnit::Nanos => DateTime::from_timestamp_nanos(value).to_rfc3339_opts(SecondsFormat::Nanos, true),
    }
}
