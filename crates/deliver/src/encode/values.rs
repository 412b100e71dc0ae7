//! Values of columns, whatever their exact type: whole numbers, floats, texts, bytes, decimals, times. Found once per batch.
//! Refuses to change what a value means.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Decimal256Type, Float16Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
    TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type, i256,
};

/// What gives the value of a row that is not null.
pub(super) type Get<'a, T> = Box<dyn Fn(usize) -> T + 'a>;

fn primitive<'a, P: ArrowPrimitiveType, T>(array: &'a ArrayRef, into: fn(P::Native) -> T) -> Get<'a, T>
where
    T: 'a,
{
    let array = array.as_primitive::<P>();
    Box::new(move |row| into(array.value(row)))
}

/// Whole numbers.
pub(super) fn whole(array: &ArrayRef) -> Option<Get<'_, i128>> {
    Some(match array.data_type() {
        DataType::Int8 => primitive::<Int8Type, _>(array, i128::from),
        DataType::Int16 => primitive::<Int16Type, _>(array, i128::from),
        DataType::Int32 => primitive::<Int32Type, _>(array, i128::from),
        DataType::Int64 => primitive::<Int64Type, _>(array, i128::from),
        DataType::UInt8 => primitive::<UInt8Type, _>(array, i128::from),
        DataType::UInt16 => primitive::<UInt16Type, _>(array, i128::from),
        DataType::UInt32 => primitive::<UInt32Type, _>(array, i128::from),
        DataType::UInt64 => primitive::<UInt64Type, _>(array, i128::from),
        _ => return None,
    })
}

/// Floats, and whole numbers as floats.
pub(super) fn float(array: &ArrayRef) -> Option<Get<'_, f64>> {
    Some(match array.data_type() {
        DataType::Float16 => primitive::<Float16Type, _>(array, f64::from),
        DataType::Float32 => primitive::<Float32Type, _>(array, f64::from),
        DataType::Float64 => primitive::<Float64Type, _>(array, |value| value),
        _ => {
            let whole = whole(array)?;
            Box::new(move |row| whole(row) as f64)
        }
    })
}

/// Texts.
pub(super) fn text(array: &ArrayRef) -> Option<Get<'_, &str>> {
    Some(match array.data_type() {
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            Box::new(|row| array.value(row))
        }
        DataType::LargeUtf8 => {
            let array = array.as_string::<i64>();
            Box::new(|row| array.value(row))
        }
        DataType::Utf8View => {
            let array = array.as_string_view();
            Box::new(|row| array.value(row))
        }
        _ => return None,
    })
}

/// Bytes, and texts as bytes.
pub(super) fn bytes(array: &ArrayRef) -> Option<Get<'_, &[u8]>> {
    Some(match array.data_type() {
        DataType::Binary => {
            let array = array.as_binary::<i32>();
            Box::new(|row| array.value(row))
        }
        DataType::LargeBinary => {
            let array = array.as_binary::<i64>();
            Box::new(|row| array.value(row))
        }
        DataType::BinaryView => {
            let array = array.as_binary_view();
            Box::new(|row| array.value(row))
        }
        DataType::FixedSizeBinary(_) => {
            let array = array.as_fixed_size_binary();
            Box::new(|row| array.value(row))
        }
        _ => {
            let text = text(array)?;
            Box::new(move |row| text(row).as_bytes())
        }
    })
}

/// Decimals, unscaled, with their scale; whole numbers are decimals without a scale.
pub(super) fn decimal(array: &ArrayRef) -> Option<(Get<'_, i256>, i8)> {
    Some(match array.data_type() {
        DataType::Decimal128(_, scale) => (primitive::<Decimal128Type, _>(array, i256::from_i128), *scale),
        DataType::Decimal256(_, scale) => (primitive::<Decimal256Type, _>(array, |value| value), *scale),
        _ => {
            let whole = whole(array)?;
            (Box::new(move |row| i256::from_i128(whole(row))), 0)
        }
    })
}

/// Days since 1970.
pub(super) fn date(array: &ArrayRef) -> Option<Get<'_, i32>> {
    matches!(array.data_type(), DataType::Date32).then(|| primitive::<Date32Type, _>(array, |days| days))
}

/// Units since 1970, in nanoseconds, which are never too many for so wide a number.
pub(super) fn instant(array: &ArrayRef) -> Option<Get<'_, i128>> {
    Some(match array.data_type() {
        DataType::Timestamp(TimeUnit::Second, _) => {
            primitive::<TimestampSecondType, _>(array, |value| i128::from(value) * 1_000_000_000)
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            primitive::<TimestampMillisecondType, _>(array, |value| i128::from(value) * 1_000_000)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            primitive::<TimestampMicrosecondType, _>(array, |value| i128::from(value) * 1_000)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => primitive::<TimestampNanosecondType, _>(array, i128::from),
        _ => return None,
    })
}

/// Nanoseconds since midnight.
pub(super) fn time_of_day(array: &ArrayRef) -> Option<Get<'_, i64>> {
    Some(match array.data_type() {
        DataType::Time32(TimeUnit::Second) => {
            primitive::<Time32SecondType, _>(array, |value| i64::from(value) * 1_000_000_000)
        }
        DataType::Time32(_) => primitive::<Time32MillisecondType, _>(array, |value| i64::from(value) * 1_000_000),
        DataType::Time64(TimeUnit::Nanosecond) => primitive::<Time64NanosecondType, _>(array, |value| value),
        DataType::Time64(_) => primitive::<Time64MicrosecondType, _>(array, |value| value.saturating_mul(1_000)),
        _ => return None,
    })
}

/// The array that a dictionary's keys point into, and which of its values a row is.
pub(super) fn dictionary(array: &ArrayRef) -> Option<(&ArrayRef, Get<'_, Option<usize>>)> {
    let dictionary = array.as_any_dictionary_opt()?;
    let keys = dictionary.normalized_keys();
    Some((dictionary.values(), Box::new(move |row| dictionary.keys().is_valid(row).then(|| keys[row]))))
}
