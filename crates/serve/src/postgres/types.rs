//! Columns as PostgreSQL's types, and their values in its two formats: text, and binary for clients that ask for it. A
//! type that PostgreSQL lacks becomes the nearest that loses nothing: unsigned 64-bit integers are numeric, nested values
//! are json, everything else is text.

use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int16Array,
    Int32Array, Int64Array, StringArray, TimestampMicrosecondArray, new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, TimeUnit};
use arrow::error::ArrowError;
use arrow::json::writer::{EncoderOptions, make_encoder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::{BufMut, BytesMut};

/// A type of PostgreSQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Int2,
    Int4,
    Int8,
    Float4,
    Float8,
    Numeric,
    Text,
    Bytea,
    Date,
    Timestamp,
    Timestamptz,
    Json,
}

/// How values are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Binary,
}

impl Format {
    /// The format of this number.
    pub(super) fn numbered(number: u16) -> Option<Self> {
        match number {
            0 => Some(Self::Text),
            1 => Some(Self::Binary),
            _ => None,
        }
    }
}

/// Days and microseconds from 1970 to 2000, when PostgreSQL's time begins.
pub(super) const EPOCH_DAYS: i32 = 10_957;
pub(super) const EPOCH_MICROS: i64 = EPOCH_DAYS as i64 * 86_400_000_000;

impl Kind {
    pub(super) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Int8 | DataType::Int16 | DataType::UInt8 => Self::Int2,
            DataType::Int32 | DataType::UInt16 => Self::Int4,
            DataType::Int64 | DataType::UInt32 => Self::Int8,
            DataType::Float16 | DataType::Float32 => Self::Float4,
            DataType::Float64 => Self::Float8,
            DataType::UInt64 | DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) => {
                Self::Numeric
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Bytea
            }
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Timestamp(_, Some(_)) => Self::Timestamptz,
            DataType::Timestamp(_, None) => Self::Timestamp,
            DataType::List(_)
            | DataType::LargeList(_)
            | DataType::FixedSizeList(..)
            | DataType::Struct(_)
            | DataType::Map(..) => Self::Json,
            DataType::Dictionary(_, value) => Self::of(value),
            _ => Self::Text,
        }
    }

    /// Its number and its size in bytes (-1: not fixed), from PostgreSQL's pg_type.
    pub(super) fn oid_and_size(self) -> (u32, i16) {
        match self {
            Self::Bool => (16, 1),
            Self::Int2 => (21, 2),
            Self::Int4 => (23, 4),
            Self::Int8 => (20, 8),
            Self::Float4 => (700, 4),
            Self::Float8 => (701, 8),
            Self::Numeric => (1700, -1),
            Self::Text => (25, -1),
            Self::Bytea => (17, -1),
            Self::Date => (1082, 4),
            Self::Timestamp => (1114, 8),
            Self::Timestamptz => (1184, 8),
            Self::Json => (114, -1),
        }
    }

    /// What columns of it are cast to before they are written; `None`: they are written as they are.
    fn canonical(self) -> Option<DataType> {
        Some(match self {
            Self::Bool => DataType::Boolean,
            Self::Int2 => DataType::Int16,
            Self::Int4 => DataType::Int32,
            Self::Int8 => DataType::Int64,
            Self::Float4 => DataType::Float32,
            Self::Float8 => DataType::Float64,
            Self::Bytea => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamptz => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
            Self::Numeric | Self::Text | Self::Json => return None,
        })
    }
}

/// A column of a batch, ready to be written value by value.
pub(super) struct Cells {
    kind: Kind,
    format: Format,
    array: ArrayRef,
    nested: Option<Vec<Option<Vec<u8>>>>,
}

impl Cells {
    /// # Errors
    /// When the column cannot be brought to the form of its kind.
    pub(super) fn new(array: &ArrayRef, kind: Kind, format: Format) -> Result<Self, ArrowError> {
        let array = match array.data_type() {
            DataType::Dictionary(_, value) => cast(array, value)?,
            // Such a column does not say of its values that they are null.
            DataType::Null => new_null_array(&DataType::Utf8, array.len()),
            _ => Arc::clone(array),
        };
        let mut nested = None;
        let array = match (kind, kind.canonical()) {
            (_, Some(data_type)) => cast(&array, &data_type)?,
            (Kind::Numeric, _) => match array.data_type() {
                DataType::UInt64 => cast(&array, &DataType::Decimal128(20, 0))?,
                DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
                    cast(&array, &DataType::Decimal128(*precision, *scale))?
                }
                _ => array,
            },
            (Kind::Json, _) => {
                nested = Some(json(&array)?);
                array
            }
            _ => match array.data_type() {
                DataType::Utf8 => array,
                DataType::LargeUtf8 | DataType::Utf8View => cast(&array, &DataType::Utf8)?,
                _ => as_text(&array)?,
            },
        };
        Ok(Self { kind, format, array, nested })
    }

    /// Writes the value of a row; whether there is one.
    pub(super) fn write(&self, row: usize, out: &mut BytesMut) -> bool {
        if let Some(nested) = &self.nested {
            return nested[row].as_ref().map(|value| out.extend_from_slice(value)).is_some();
        }
        if self.array.is_null(row) {
            return false;
        }
        match self.format {
            Format::Text => self.text(row, out),
            Format::Binary => self.binary(row, out),
        }
        true
    }

    fn text(&self, row: usize, out: &mut BytesMut) {
        let array = &self.array;
        // Writing to memory does not fail.
        let _written = match self.kind {
            Kind::Bool => out.write_str(if of::<BooleanArray>(array).value(row) { "t" } else { "f" }),
            Kind::Int2 => write!(out, "{}", of::<Int16Array>(array).value(row)),
            Kind::Int4 => write!(out, "{}", of::<Int32Array>(array).value(row)),
            Kind::Int8 => write!(out, "{}", of::<Int64Array>(array).value(row)),
            Kind::Float4 => {
                float(out, f64::from(of::<Float32Array>(array).value(row)), of::<Float32Array>(array).value(row))
            }
            Kind::Float8 => float(out, of::<Float64Array>(array).value(row), of::<Float64Array>(array).value(row)),
            Kind::Numeric => out.write_str(&of::<Decimal128Array>(array).value_as_string(row)),
            Kind::Text | Kind::Json => out.write_str(of::<StringArray>(array).value(row)),
            Kind::Bytea => {
                let bytes = of::<BinaryArray>(array).value(row);
                out.write_str("\\x").and_then(|()| bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}")))
            }
            Kind::Date => match of::<Date32Array>(array).value_as_date(row) {
                Some(date) => write!(out, "{}", date.format("%Y-%m-%d")),
                None => out.write_str("infinity"),
            },
            Kind::Timestamp | Kind::Timestamptz => {
                match of::<TimestampMicrosecondArray>(array).value_as_datetime(row) {
                    Some(time) => {
                        let zone = if self.kind == Kind::Timestamptz { "+00" } else { "" };
                        write!(out, "{}{zone}", time.format("%Y-%m-%d %H:%M:%S%.f"))
                    }
                    None => out.write_str("infinity"),
                }
            }
        };
    }

    fn binary(&self, row: usize, out: &mut BytesMut) {
        let array = &self.array;
        match self.kind {
            Kind::Bool => out.put_u8(u8::from(of::<BooleanArray>(array).value(row))),
            Kind::Int2 => out.put_i16(of::<Int16Array>(array).value(row)),
            Kind::Int4 => out.put_i32(of::<Int32Array>(array).value(row)),
            Kind::Int8 => out.put_i64(of::<Int64Array>(array).value(row)),
            Kind::Float4 => out.put_f32(of::<Float32Array>(array).value(row)),
            Kind::Float8 => out.put_f64(of::<Float64Array>(array).value(row)),
            Kind::Numeric => numeric(&of::<Decimal128Array>(array).value_as_string(row), out),
            Kind::Text | Kind::Json => out.extend_from_slice(of::<StringArray>(array).value(row).as_bytes()),
            Kind::Bytea => out.extend_from_slice(of::<BinaryArray>(array).value(row)),
            Kind::Date => out.put_i32(of::<Date32Array>(array).value(row).saturating_sub(EPOCH_DAYS)),
            Kind::Timestamp | Kind::Timestamptz => {
                out.put_i64(of::<TimestampMicrosecondArray>(array).value(row).saturating_sub(EPOCH_MICROS));
            }
        }
    }
}

/// The array as what its kind was cast to.
fn of<T: 'static>(array: &ArrayRef) -> &T {
    array.as_any().downcast_ref().expect("the column was cast to this type")
}

fn float(out: &mut BytesMut, value: f64, shown: impl std::fmt::Display) -> std::fmt::Result {
    match value {
        _ if value.is_nan() => out.write_str("NaN"),
        f64::INFINITY => out.write_str("Infinity"),
        f64::NEG_INFINITY => out.write_str("-Infinity"),
        _ => write!(out, "{shown}"),
    }
}

/// Digits in groups of four, of which `weight + 1` stand before the point.
fn numeric(text: &str, out: &mut BytesMut) {
    let (sign, digits) = text.strip_prefix('-').map_or((0, text), |digits| (0x4000, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
    let padded = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
    let group = |digits: &[u8]| digits.iter().fold(0_u16, |number, digit| number * 10 + u16::from(digit - b'0'));
    let before = whole.len() / 4;
    let groups: Vec<u16> = whole.as_bytes().chunks(4).chain(padded.as_bytes().chunks(4)).map(group).collect();
    let leading = groups.iter().take(before.saturating_sub(1)).take_while(|group| **group == 0).count();
    out.put_u16((groups.len() - leading) as u16);
    out.put_i16((before - leading) as i16 - 1);
    out.put_u16(sign);
    out.put_u16(fraction.len() as u16);
    groups[leading..].iter().for_each(|group| out.put_u16(*group));
}

fn json(array: &ArrayRef) -> Result<Vec<Option<Vec<u8>>>, ArrowError> {
    let field = Arc::new(Field::new("value", array.data_type().clone(), true));
    let options = EncoderOptions::default();
    let mut encoder = make_encoder(&field, array.as_ref(), &options)?;
    let one = |row| {
        (!encoder.is_null(row)).then(|| {
            let mut value = Vec::new();
            encoder.encode(row, &mut value);
            value
        })
    };
    Ok((0..array.len()).map(one).collect())
}

fn as_text(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options)?;
    let texts: Result<StringArray, ArrowError> = (0..array.len())
        .map(|row| if array.is_null(row) { Ok(None) } else { Ok(Some(formatter.value(row).try_to_string()?)) })
        .collect();
    Ok(Arc::new(texts?))
}

#[cfg(test)]
mod tests {
    use arrow::array::{DictionaryArray, NullArray, UInt64Array};
    use arrow::datatypes::Int32Type;

    use super::*;

    fn told(array: ArrayRef, format: Format) -> Vec<Option<Vec<u8>>> {
        let cells = Cells::new(&array, Kind::of(array.data_type()), format).expect("it can be written");
        let one = |row| {
            let mut out = BytesMut::new();
            cells.write(row, &mut out).then(|| out.to_vec())
        };
        (0..array.len()).map(one).collect()
    }

    fn text(array: ArrayRef) -> Vec<Option<String>> {
        told(array, Format::Text)
            .into_iter()
            .map(|value| value.map(|text| String::from_utf8(text).expect("text")))
            .collect()
    }

    fn some(texts: &[&str]) -> Vec<Option<String>> {
        texts.iter().map(|text| Some((*text).to_owned())).collect()
    }

    #[test]
    fn values_are_written_as_postgresql_writes_them() {
        assert_eq!(
            text(Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
            [Some("t".to_owned()), Some("f".to_owned()), None]
        );
        let floats = Float64Array::from(vec![0.1, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1e300]);
        let shown = text(Arc::new(floats));
        assert_eq!(shown[..4], some(&["0.1", "NaN", "Infinity", "-Infinity"]));
        assert_eq!(text(Arc::new(Float32Array::from(vec![0.1]))), some(&["0.1"]));
        assert_eq!(text(Arc::new(UInt64Array::from(vec![u64::MAX]))), some(&["18446744073709551615"]));
        assert_eq!(text(Arc::new(BinaryArray::from_vec(vec![b"\x00\xff"]))), some(&["\\x00ff"]));
        let times = TimestampMicrosecondArray::from(vec![0, 1_500_000, -1]).with_timezone("UTC");
        let wanted = ["1970-01-01 00:00:00+00", "1970-01-01 00:00:01.500+00", "1969-12-31 23:59:59.999999+00"];
        assert_eq!(text(Arc::new(times)), some(&wanted));
        assert_eq!(text(Arc::new(NullArray::new(2))), [None, None]);
        let levels: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
        assert_eq!(text(Arc::new(levels)), some(&["a", "b", "a"]));
    }

    #[test]
    fn binary_numbers_have_groups_of_four_digits() {
        let numbers = ["0.00", "1.00", "-12345.67", "10000.00", "0.01", "99999999.99"];
        let array: Decimal128Array =
            numbers.iter().map(|number| number.replace('.', "").parse::<i128>().ok()).collect::<Decimal128Array>();
        let array = array.with_precision_and_scale(12, 2).expect("they fit");
        let words =
            |bytes: &[u8]| bytes.chunks(2).map(|word| i16::from_be_bytes([word[0], word[1]])).collect::<Vec<_>>();
        let told: Vec<Vec<i16>> =
            told(Arc::new(array), Format::Binary).iter().flatten().map(|bytes| words(bytes)).collect();
        // Groups, weight, sign, digits after the point, and the groups themselves.
        assert_eq!(told[1], [2, 0, 0, 2, 1, 0]);
        assert_eq!(told[2], [3, 1, 0x4000, 2, 1, 2345, 6700]);
        assert_eq!(told[3], [3, 1, 0, 2, 1, 0, 0]);
        assert_eq!(told[4], [2, 0, 0, 2, 0, 100]);
        assert_eq!(told[5], [3, 1, 0, 2, 9999, 9999, 9900]);
    }

    #[test]
    fn columns_have_the_types_that_the_catalog_says() {
        use arrow::datatypes::TimeUnit::{Microsecond, Nanosecond};
        for kind in [
            DataType::Boolean,
            DataType::Int8,
            DataType::UInt16,
            DataType::Int64,
            DataType::UInt64,
            DataType::Float16,
            DataType::Float64,
            DataType::Decimal128(10, 2),
            DataType::Utf8View,
            DataType::BinaryView,
            DataType::Date32,
            DataType::Timestamp(Microsecond, Some("UTC".into())),
            DataType::Timestamp(Nanosecond, None),
            DataType::new_list(DataType::Int64, true),
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)),
            DataType::Null,
        ] {
            assert_eq!(i64::from(Kind::of(&kind).oid_and_size().0), weir_query::oid_of_type(&kind), "{kind}");
        }
    }
}
