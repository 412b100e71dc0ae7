//! Rows as JSON. Times are RFC 3339 in UTC, numbers the shortest text that reads back as the same, nulls are written,
//! NaN and infinities (which JSON lacks) are null, bytes are base64.

use std::io::Write;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, MapArray, OffsetSizeTrait, PrimitiveArray, RecordBatch,
};
use arrow::datatypes::{
    ArrowDictionaryKeyType, DataType, Date32Type, Date64Type, Field, Float16Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use weir_model::EventTime;

use super::base64;

/// Appends `rows` to `out`, one JSON object per line.
pub fn ndjson(rows: &RecordBatch, out: &mut Vec<u8>) {
    let fields = Fields::new(rows.schema_ref().fields().iter().map(AsRef::as_ref), rows.columns());
    for row in 0..rows.num_rows() {
        fields.write(row, out);
        out.push(b'\n');
    }
}

/// Appends the value of `array` in `row` to `out`, as JSON.
pub(super) fn json_value(array: &ArrayRef, row: usize, out: &mut Vec<u8>) {
    Column::new(array).write(row, out);
}

/// The fields of an object: each key as it is written, and where its values come from.
struct Fields<'a>(Vec<(Vec<u8>, Column<'a>)>);

impl<'a> Fields<'a> {
    fn new(fields: impl Iterator<Item = &'a Field>, columns: &'a [ArrayRef]) -> Self {
        let field = |(field, column): (&Field, &'a ArrayRef)| {
            let mut key = Vec::new();
            string(field.name(), &mut key);
            key.push(b':');
            (key, Column::new(column))
        };
        Self(fields.zip(columns).map(field).collect())
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, (key, column)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(key);
            column.write(row, out);
        }
        out.push(b'}');
    }
}

type WriteValue<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

/// How the values of one array are written: decided once per batch.
struct Column<'a> {
    array: &'a dyn Array,
    value: WriteValue<'a>,
}

impl<'a> Column<'a> {
    fn new(array: &'a ArrayRef) -> Self {
        Self { array, value: writer(array) }
    }

    fn write(&self, row: usize, out: &mut Vec<u8>) {
        if self.array.is_null(row) {
            out.extend_from_slice(b"null");
        } else {
            (self.value)(row, out);
        }
    }
}

fn writer(array: &ArrayRef) -> WriteValue<'_> {
    match array.data_type() {
        DataType::Null => Box::new(|_, out| out.extend_from_slice(b"null")),
        DataType::Boolean => {
            let array = array.as_boolean();
            Box::new(move |row, out| out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }))
        }
        DataType::Int8 => integers::<Int8Type>(array),
        DataType::Int16 => integers::<Int16Type>(array),
        DataType::Int32 => integers::<Int32Type>(array),
        DataType::Int64 => integers::<Int64Type>(array),
        DataType::UInt8 => integers::<UInt8Type>(array),
        DataType::UInt16 => integers::<UInt16Type>(array),
        DataType::UInt32 => integers::<UInt32Type>(array),
        DataType::UInt64 => integers::<UInt64Type>(array),
        DataType::Float16 => floats::<Float16Type>(array, |value| value.is_finite()),
        DataType::Float32 => floats::<Float32Type>(array, f32::is_finite),
        DataType::Float64 => floats::<Float64Type>(array, f64::is_finite),
        DataType::Utf8 => strings(array.as_string::<i32>()),
        DataType::LargeUtf8 => strings(array.as_string::<i64>()),
        DataType::Utf8View => {
            let array = array.as_string_view();
            Box::new(move |row, out| string(array.value(row), out))
        }
        DataType::Binary => {
            let array = array.as_binary::<i32>();
            Box::new(move |row, out| string(&base64(array.value(row)), out))
        }
        DataType::LargeBinary => {
            let array = array.as_binary::<i64>();
            Box::new(move |row, out| string(&base64(array.value(row)), out))
        }
        DataType::BinaryView => {
            let array = array.as_binary_view();
            Box::new(move |row, out| string(&base64(array.value(row)), out))
        }
        DataType::Timestamp(unit, _) => times(array, *unit),
        DataType::Date32 => dates(array.as_primitive::<Date32Type>(), |days| i64::from(days) * 86_400_000_000),
        DataType::Date64 => dates(array.as_primitive::<Date64Type>(), |millis| millis.saturating_mul(1_000)),
        DataType::Dictionary(key, _) => match key.as_ref() {
            DataType::Int8 => entries::<Int8Type>(array),
            DataType::Int16 => entries::<Int16Type>(array),
            DataType::Int32 => entries::<Int32Type>(array),
            DataType::Int64 => entries::<Int64Type>(array),
            DataType::UInt8 => entries::<UInt8Type>(array),
            DataType::UInt16 => entries::<UInt16Type>(array),
            DataType::UInt32 => entries::<UInt32Type>(array),
            _ => entries::<UInt64Type>(array),
        },
        DataType::List(_) => list(array.as_list::<i32>()),
        DataType::LargeList(_) => list(array.as_list::<i64>()),
        DataType::Map(..) => map(array.as_map()),
        DataType::Struct(fields) => {
            let fields = Fields::new(fields.iter().map(AsRef::as_ref), array.as_struct().columns());
            Box::new(move |row, out| fields.write(row, out))
        }
        // Types that no decoder and no aggregate makes: as Arrow shows them.
        _ => shown(array),
    }
}

fn integers<T: ArrowPrimitiveType>(array: &ArrayRef) -> WriteValue<'_>
where
    T::Native: std::fmt::Display,
{
    let array = array.as_primitive::<T>();
    Box::new(move |row, out| write(out, format_args!("{}", array.value(row))))
}

fn floats<T: ArrowPrimitiveType>(array: &ArrayRef, is_finite: fn(T::Native) -> bool) -> WriteValue<'_>
where
    T::Native: std::fmt::Debug,
{
    let array: &PrimitiveArray<T> = array.as_primitive::<T>();
    Box::new(move |row, out| match array.value(row) {
        // Debug is the shortest text that reads back as the same, with an exponent where that is shorter.
        value if is_finite(value) => write(out, format_args!("{value:?}")),
        _ => out.extend_from_slice(b"null"),
    })
}

fn strings<O: OffsetSizeTrait>(array: &arrow::array::GenericStringArray<O>) -> WriteValue<'_> {
    Box::new(move |row, out| string(array.value(row), out))
}

fn times(array: &ArrayRef, unit: TimeUnit) -> WriteValue<'_> {
    match unit {
        TimeUnit::Second => {
            dates(array.as_primitive::<TimestampSecondType>(), |seconds| seconds.saturating_mul(1_000_000))
        }
        TimeUnit::Millisecond => {
            dates(array.as_primitive::<TimestampMillisecondType>(), |millis| millis.saturating_mul(1_000))
        }
        TimeUnit::Microsecond => dates(array.as_primitive::<TimestampMicrosecondType>(), |micros| micros),
        TimeUnit::Nanosecond => dates(array.as_primitive::<TimestampNanosecondType>(), |nanos| nanos.div_euclid(1_000)),
    }
}

fn dates<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, micros: fn(T::Native) -> i64) -> WriteValue<'_> {
    Box::new(move |row, out| write(out, format_args!("\"{}\"", EventTime::from_micros(micros(array.value(row))))))
}

fn entries<K: ArrowDictionaryKeyType>(array: &ArrayRef) -> WriteValue<'_> {
    let dictionary = array.as_dictionary::<K>();
    let values = Column::new(dictionary.values());
    Box::new(move |row, out| match dictionary.key(row) {
        Some(key) => values.write(key, out),
        None => out.extend_from_slice(b"null"),
    })
}

fn list<O: OffsetSizeTrait>(array: &arrow::array::GenericListArray<O>) -> WriteValue<'_> {
    let values = Column::new(array.values());
    let offsets = array.value_offsets();
    Box::new(move |row, out| {
        out.push(b'[');
        let (begin, end) = (offsets[row].as_usize(), offsets[row + 1].as_usize());
        for index in begin..end {
            if index > begin {
                out.push(b',');
            }
            values.write(index, out);
        }
        out.push(b']');
    })
}

/// An object; keys that are not text are written as text.
fn map(array: &MapArray) -> WriteValue<'_> {
    let (keys, values) = (Column::new(array.keys()), Column::new(array.values()));
    let offsets = array.value_offsets();
    Box::new(move |row, out| {
        out.push(b'{');
        let (begin, end) = (offsets[row] as usize, offsets[row + 1] as usize);
        for index in begin..end {
            if index > begin {
                out.push(b',');
            }
            let start = out.len();
            keys.write(index, out);
            if out.get(start) != Some(&b'"') {
                out.insert(start, b'"');
                out.push(b'"');
            }
            out.push(b':');
            values.write(index, out);
        }
        out.push(b'}');
    })
}

fn shown(array: &ArrayRef) -> WriteValue<'_> {
    match ArrayFormatter::try_new(array, &FormatOptions::default()) {
        Ok(formatter) => Box::new(move |row, out| string(&formatter.value(row).to_string(), out)),
        Err(error) => {
            let message = error.to_string();
            Box::new(move |_, out| string(&message, out))
        }
    }
}

fn write(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("a vector takes everything");
}

/// Appends `text` as a JSON string.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut written = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[written..at]);
        written = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => write(out, format_args!("\\u{control:04x}")),
        }
    }
    out.extend_from_slice(&bytes[written..]);
    out.push(b'"');
}
