//! The values of a column as JSON text, and as text for people; decides nothing about rows.
//!
//! The kind of a column is looked up once per batch, not once per value.

use std::io::Write as _;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, FixedSizeListArray, GenericListArray, OffsetSizeTrait, StructArray,
};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use weir_model::EventTime;

/// The name of a type as people write it in pipelines: `string`, `int64`, `float64`, `bool`, `timestamp`, ...
pub fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string".into(),
        DataType::Dictionary(_, values) => type_name(values),
        DataType::Boolean => "bool".into(),
        DataType::Timestamp(..) => "timestamp".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Null => "null".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            "binary".into()
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            format!("list<{}>", type_name(item.data_type()))
        }
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| format!("{}: {}", field.name(), type_name(field.data_type())));
            format!("struct<{}>", fields.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string().to_lowercase(),
    }
}

type Write<'a> = Box<dyn Fn(usize, &mut Vec<u8>) + 'a>;

/// The values of one column, ready to be written.
pub struct Values<'a> {
    nulls: Option<arrow::buffer::NullBuffer>,
    write: Write<'a>,
    /// The values are texts: their JSON is quoted.
    is_text: bool,
}

impl<'a> Values<'a> {
    /// Looks at a column.
    pub fn new(array: &'a ArrayRef) -> Self {
        let is_text = is_text(array.data_type());
        Self { nulls: array.logical_nulls(), write: writer(array), is_text }
    }

    /// Whether there is no value in this row; numbers that JSON does not have count as none.
    pub fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// Whether the values are texts by nature, rather than numbers, times or lists.
    pub fn is_text(&self) -> bool {
        self.is_text
    }

    /// Appends the value as JSON.
    pub fn json(&self, row: usize, out: &mut Vec<u8>) {
        if self.is_null(row) { out.extend_from_slice(b"null") } else { (self.write)(row, out) }
    }

    /// Appends the value as people read it: texts and times without quotes, lists and objects as JSON.
    pub fn plain(&self, row: usize, out: &mut Vec<u8>) {
        let start = out.len();
        self.json(row, out);
        if out.get(start) == Some(&b'"') {
            let quoted = String::from_utf8_lossy(&out[start..]).into_owned();
            out.truncate(start);
            let plain = serde_json::from_str::<String>(&quoted).unwrap_or(quoted);
            out.extend_from_slice(plain.as_bytes());
        }
    }
}

fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

fn writer(array: &ArrayRef) -> Write<'_> {
    macro_rules! integers {
        ($type:ty) => {{
            let array = array.as_primitive::<$type>();
            Box::new(move |row, out: &mut Vec<u8>| push(out, format_args!("{}", array.value(row))))
        }};
    }
    macro_rules! floats {
        ($type:ty, $as:ty) => {{
            let array = array.as_primitive::<$type>();
            Box::new(move |row, out: &mut Vec<u8>| push_float(out, <$as>::from(array.value(row)).into()))
        }};
    }
    macro_rules! times {
        ($type:ty, $per_second:expr) => {{
            let array = array.as_primitive::<$type>();
            Box::new(move |row, out: &mut Vec<u8>| push_time(out, array.value(row), $per_second))
        }};
    }
    match array.data_type() {
        DataType::Null => Box::new(|_, out| out.extend_from_slice(b"null")),
        DataType::Boolean => booleans(array.as_boolean()),
        DataType::Int8 => integers!(Int8Type),
        DataType::Int16 => integers!(Int16Type),
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::UInt8 => integers!(UInt8Type),
        DataType::UInt16 => integers!(UInt16Type),
        DataType::UInt32 => integers!(UInt32Type),
        DataType::UInt64 => integers!(UInt64Type),
        DataType::Float16 => floats!(Float16Type, f32),
        DataType::Float32 => floats!(Float32Type, f32),
        DataType::Float64 => floats!(Float64Type, f64),
        DataType::Timestamp(TimeUnit::Second, _) => times!(TimestampSecondType, 1),
        DataType::Timestamp(TimeUnit::Millisecond, _) => times!(TimestampMillisecondType, 1_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => times!(TimestampMicrosecondType, 1_000_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => times!(TimestampNanosecondType, 1_000_000_000),
        DataType::Date32 => {
            let array = array.as_primitive::<Date32Type>();
            Box::new(move |row, out| push_date(out, i64::from(array.value(row))))
        }
        DataType::Date64 => {
            let array = array.as_primitive::<Date64Type>();
            Box::new(move |row, out| push_date(out, array.value(row).div_euclid(86_400_000)))
        }
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            Box::new(move |row, out| push_text(out, array.value(row)))
        }
        DataType::LargeUtf8 => {
            let array = array.as_string::<i64>();
            Box::new(move |row, out| push_text(out, array.value(row)))
        }
        DataType::Utf8View => {
            let array = array.as_string_view();
            Box::new(move |row, out| push_text(out, array.value(row)))
        }
        DataType::Dictionary(..) => dictionary(array),
        DataType::Struct(_) => objects(array.as_struct()),
        DataType::List(_) => lists(array.as_list::<i32>()),
        DataType::LargeList(_) => lists(array.as_list::<i64>()),
        DataType::FixedSizeList(..) => fixed_lists(array.as_fixed_size_list()),
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            formatted(array, false)
        }
        // binaries are written in hexadecimal digits; durations, intervals and times of day as Arrow shows them
        _ => formatted(array, true),
    }
}

fn push(out: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    // writing to memory does not fail
    let _ = out.write_fmt(what);
}

fn push_float(out: &mut Vec<u8>, value: f64) {
    match serde_json::Number::from_f64(value) {
        Some(number) => push(out, format_args!("{number}")),
        None => out.extend_from_slice(b"null"),
    }
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    // writing to memory does not fail
    let _ = serde_json::to_writer(out, text);
}

fn push_time(out: &mut Vec<u8>, value: i64, per_second: i64) {
    let (secs, part) = (value.div_euclid(per_second), value.rem_euclid(per_second));
    let whole = EventTime::from_micros(secs.saturating_mul(1_000_000)).to_string();
    push(out, format_args!("\"{}", whole.trim_end_matches('Z')));
    if part != 0 {
        // 1_000 per second are three digits, and so on
        let digits = format!("{part:0width$}", width = per_second.ilog10() as usize);
        push(out, format_args!(".{}", digits.trim_end_matches('0')));
    }
    out.extend_from_slice(b"Z\"");
}

fn push_date(out: &mut Vec<u8>, days: i64) {
    let time = EventTime::from_micros(days.saturating_mul(86_400_000_000)).to_string();
    push(out, format_args!("\"{}\"", time.split('T').next().unwrap_or_default()));
}

fn booleans(array: &BooleanArray) -> Write<'_> {
    Box::new(move |row, out| out.extend_from_slice(if array.value(row) { b"true" } else { b"false" }))
}

fn dictionary(array: &ArrayRef) -> Write<'_> {
    let dictionary = array.as_any_dictionary();
    let keys = dictionary.normalized_keys();
    let values = Values::new(dictionary.values());
    Box::new(move |row, out| values.json(keys[row], out))
}

fn objects(array: &StructArray) -> Write<'_> {
    let names: Vec<Vec<u8>> = array.fields().iter().map(|field| json_key(field.name())).collect();
    let children: Vec<Values<'_>> = array.columns().iter().map(Values::new).collect();
    Box::new(move |row, out| {
        out.push(b'{');
        for (index, (name, child)) in names.iter().zip(&children).enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(name);
            child.json(row, out);
        }
        out.push(b'}');
    })
}

/// A name as the key of a JSON object, with its colon.
pub(super) fn json_key(name: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(name.len() + 3);
    push_text(&mut key, name);
    key.push(b':');
    key
}

fn lists<O: OffsetSizeTrait>(array: &GenericListArray<O>) -> Write<'_> {
    let items = Values::new(array.values());
    Box::new(move |row, out| {
        let offsets = array.value_offsets();
        push_items(out, &items, offsets[row].as_usize()..offsets[row + 1].as_usize());
    })
}

fn fixed_lists(array: &FixedSizeListArray) -> Write<'_> {
    let items = Values::new(array.values());
    Box::new(move |row, out| {
        let start = usize::try_from(array.value_offset(row)).unwrap_or_default();
        let length = usize::try_from(array.value_length()).unwrap_or_default();
        push_items(out, &items, start..start + length);
    })
}

fn push_items(out: &mut Vec<u8>, items: &Values<'_>, range: std::ops::Range<usize>) {
    out.push(b'[');
    for (index, item) in range.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        items.json(item, out);
    }
    out.push(b']');
}

fn formatted(array: &ArrayRef, quoted: bool) -> Write<'_> {
    let options = FormatOptions::new().with_display_error(true);
    match ArrayFormatter::try_new(array.as_ref(), &options) {
        Ok(_) => Box::new(move |row, out| {
            let options = FormatOptions::new().with_display_error(true);
            let text =
                ArrayFormatter::try_new(array.as_ref(), &options).map(|formatter| formatter.value(row).to_string());
            let text = text.unwrap_or_default();
            if quoted { push_text(out, &text) } else { out.extend_from_slice(text.as_bytes()) }
        }),
        Err(error) => {
            let text = error.to_string();
            Box::new(move |_, out| push_text(out, &text))
        }
    }
}
