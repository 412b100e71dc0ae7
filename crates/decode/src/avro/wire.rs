//! Scalars as Avro writes them. Refuses values that are not one by one.

use arrow::datatypes::i256;
use weir_schema::avro::{Kind, Logical, TimeUnit};

use super::reader::Reader;
use crate::typed::{Fallible, Fault, Scalar};

/// How a scalar is written, and what it means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wire {
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Date,
    TimeMillis,
    TimeMicros,
    Instant(TimeUnit, bool),
    Decimal(i8),
    FixedDecimal(usize, i8),
}

impl Wire {
    /// How values of the writer's `kind` are read that mean `logical`; `None` where they are not scalars.
    pub(crate) fn of(kind: &Kind, logical: Option<Logical>) -> Option<Self> {
        Some(match (kind, logical) {
            (Kind::Int, Some(Logical::Date)) => Self::Date,
            (Kind::Int, Some(Logical::TimeMillis)) => Self::TimeMillis,
            (Kind::Int | Kind::Long, Some(Logical::TimeMicros)) => Self::TimeMicros,
            (Kind::Int | Kind::Long, Some(Logical::Timestamp { unit, local })) => Self::Instant(unit, local),
            (Kind::Bytes, Some(Logical::Decimal { scale, .. })) => Self::Decimal(scale),
            (Kind::Fixed(fixed), Some(Logical::Decimal { scale, .. })) => Self::FixedDecimal(fixed.bytes, scale),
            (Kind::Boolean, _) => Self::Boolean,
            (Kind::Int, _) => Self::Int,
            (Kind::Long, _) => Self::Long,
            (Kind::Float, _) => Self::Float,
            (Kind::Double, _) => Self::Double,
            (Kind::Bytes, _) => Self::Bytes,
            (Kind::String, _) => Self::Text,
            (Kind::Fixed(fixed), _) => Self::Fixed(fixed.bytes),
            (Kind::Null | Kind::Record(_) | Kind::Enum(_) | Kind::Array(_) | Kind::Map(_) | Kind::Union(_), _) => {
                return None;
            }
        })
    }

    #[inline]
    pub(crate) fn read<'a>(self, reader: &mut Reader<'a>) -> Fallible<Scalar<'a>> {
        Ok(match self {
            Self::Boolean => Scalar::Bool(reader.boolean()?),
            Self::Int => Scalar::Int(i64::from(reader.int()?)),
            Self::Long => Scalar::Int(reader.long()?),
            Self::Float => Scalar::Float(f64::from(reader.float()?)),
            Self::Double => Scalar::Float(reader.double()?),
            Self::Bytes => {
                let (bytes, at) = reader.sized()?;
                Scalar::Bytes(bytes, reader.place(at))
            }
            Self::Text => {
                let (text, at) = reader.text()?;
                Scalar::Text(text, reader.place(at))
            }
            Self::Fixed(bytes) => {
                let at = reader.at();
                Scalar::Bytes(reader.take(bytes)?, reader.place(at))
            }
            Self::Date => Scalar::Date(reader.int()?),
            Self::TimeMillis => {
                let at = reader.at();
                Scalar::TimeOfDay(time_of_day(i64::from(reader.int()?), 1_000, at)?)
            }
            Self::TimeMicros => {
                let at = reader.at();
                Scalar::TimeOfDay(time_of_day(reader.long()?, 1, at)?)
            }
            Self::Instant(unit, local) => Scalar::Instant(reader.long()?, unit, local),
            Self::Decimal(scale) => {
                let (bytes, at) = reader.sized()?;
                decimal(bytes, scale, at)?
            }
            Self::FixedDecimal(bytes, scale) => {
                let at = reader.at();
                decimal(reader.take(bytes)?, scale, at)?
            }
        })
    }
}

const DAY_MICROS: i64 = 86_400_000_000;

fn time_of_day(value: i64, micros: i64, at: usize) -> Fallible<i64> {
    match value.checked_mul(micros) {
        Some(time) if (0..DAY_MICROS).contains(&time) => Ok(time),
        Some(_) | None => Err(Fault::new(at, format!("time of day {value} is not within a day"))),
    }
}

/// A big-endian number in two's complement.
fn decimal<'a>(bytes: &[u8], scale: i8, at: usize) -> Fallible<Scalar<'a>> {
    let sign = if bytes.first().is_some_and(|byte| *byte >= 0x80) { 0xff } else { 0 };
    // Bytes that only repeat the sign say nothing.
    let digits = bytes.iter().position(|byte| *byte != sign).map_or(&[][..], |first| &bytes[first..]);
    let keeps_sign = digits.first().is_none_or(|byte| (*byte >= 0x80) == (sign == 0xff));
    let needed = digits.len() + usize::from(!keeps_sign);
    if needed <= 16 {
        let mut whole = [sign; 16];
        whole[16 - digits.len()..].copy_from_slice(digits);
        Ok(Scalar::Decimal(i128::from_be_bytes(whole), scale))
    } else if needed <= 32 {
        let mut whole = [sign; 32];
        whole[32 - digits.len()..].copy_from_slice(digits);
        Ok(Scalar::BigDecimal(i256::from_be_bytes(whole), scale))
    } else {
        Err(Fault::new(at, format!("decimal of {} bytes; expected at most 76 digits", bytes.len())))
    }
}
