//! Parameters of clients: what their types are, and their values, in either format, as text. What a type looks like in bytes
//! is by its number, which the client said or was told; what it becomes is the store's matter.
//!
//! Source: PostgreSQL 17, the functions `*_recv` of its types.

use std::fmt::Write;

use arrow::array::{Array, Date32Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, TimeUnit};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bytes::{Buf, Bytes};

use super::types::{EPOCH_DAYS, EPOCH_MICROS, Format, Kind};

const BOOL: u32 = 16;
const BYTEA: u32 = 17;
const INT8: u32 = 20;
const INT2: u32 = 21;
const INT4: u32 = 23;
pub(super) const TEXT: u32 = 25;
const OID: u32 = 26;
const JSON: u32 = 114;
const FLOAT4: u32 = 700;
const FLOAT8: u32 = 701;
const BPCHAR: u32 = 1042;
const VARCHAR: u32 = 1043;
const DATE: u32 = 1082;
const TIMESTAMP: u32 = 1114;
const TIMESTAMPTZ: u32 = 1184;
const NUMERIC: u32 = 1700;
const UUID: u32 = 2950;
const JSONB: u32 = 3802;
const NAME: u32 = 19;
const UNKNOWN: u32 = 705;

/// Lists: the number of each, and that of its elements.
const LISTS: [(u32, u32); 13] = [
    (1000, BOOL),
    (1001, BYTEA),
    (1005, INT2),
    (1007, INT4),
    (1009, TEXT),
    (1015, VARCHAR),
    (1016, INT8),
    (1021, FLOAT4),
    (1022, FLOAT8),
    (1115, TIMESTAMP),
    (1182, DATE),
    (1185, TIMESTAMPTZ),
    (1231, NUMERIC),
];

/// What a client says that a parameter is; `None` for types that are as good as text, and for none at all.
pub(super) fn of_parameter(oid: u32) -> Option<DataType> {
    Some(match oid {
        BOOL => DataType::Boolean,
        BYTEA => DataType::Binary,
        INT2 => DataType::Int16,
        INT4 => DataType::Int32,
        INT8 | OID => DataType::Int64,
        FLOAT4 => DataType::Float32,
        FLOAT8 => DataType::Float64,
        DATE => DataType::Date32,
        TIMESTAMP => DataType::Timestamp(TimeUnit::Microsecond, None),
        TIMESTAMPTZ => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
        _ => {
            let (_, element) = LISTS.iter().find(|(list, _)| *list == oid)?;
            DataType::List(Field::new_list_field(of_parameter(*element).unwrap_or(DataType::Utf8), true).into())
        }
    })
}

/// The number of the type that a parameter has, as clients are told.
pub(super) fn oid_of_parameter(data_type: &DataType) -> u32 {
    let (DataType::List(field) | DataType::LargeList(field)) = data_type else {
        return Kind::of(data_type).oid_and_size().0;
    };
    let element = Kind::of(field.data_type()).oid_and_size().0;
    LISTS.iter().find(|(_, of)| *of == element).map_or(TEXT, |(list, _)| *list)
}

/// A parameter as text, from either format.
///
/// # Errors
/// What is wrong with it.
pub(super) fn parameter(bytes: &Bytes, format: Format, oid: u32) -> Result<String, String> {
    match format {
        Format::Text => text(bytes),
        Format::Binary => binary(bytes, oid),
    }
}

fn text(bytes: &[u8]) -> Result<String, String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| "a parameter is not UTF-8".to_owned())
}

fn binary(bytes: &[u8], oid: u32) -> Result<String, String> {
    let number = |size: usize| -> Result<i64, String> {
        sized(bytes, size, oid)?;
        let first = if bytes[0] & 0x80 != 0 { -1_i64 } else { 0 };
        Ok(bytes.iter().fold(first, |number, byte| (number << 8) | i64::from(*byte)))
    };
    match oid {
        0 | TEXT | VARCHAR | BPCHAR | NAME | UNKNOWN | JSON => text(bytes),
        JSONB => match bytes {
            [1, json @ ..] => text(json),
            _ => Err("binary jsonb begins with its version, which is 1".to_owned()),
        },
        BOOL => Ok((number(1)? != 0).to_string()),
        INT2 => Ok(number(2)?.to_string()),
        INT4 => Ok(number(4)?.to_string()),
        OID => Ok((number(4)? as u32).to_string()),
        INT8 => Ok(number(8)?.to_string()),
        FLOAT4 => Ok(f32::from_bits(number(4)? as u32).to_string()),
        FLOAT8 => Ok(f64::from_bits(number(8)? as u64).to_string()),
        NUMERIC => numeric(bytes),
        BYTEA => Ok(bytes.iter().fold("\\x".to_owned(), |mut hex, byte| {
            // Writing to memory does not fail.
            let _written = write!(hex, "{byte:02x}");
            hex
        })),
        UUID => {
            sized(bytes, 16, oid)?;
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
        }
        DATE => {
            let days = number(4)? + i64::from(EPOCH_DAYS);
            let days = i32::try_from(days).map_err(|_| format!("a date {days} days after 1970"))?;
            shown(&Date32Array::from(vec![days])).map_err(|error| error.to_string())
        }
        TIMESTAMP | TIMESTAMPTZ => {
            let micros = number(8)?;
            let micros = micros.checked_add(EPOCH_MICROS).ok_or_else(|| format!("a time {micros} µs after 2000"))?;
            let array = TimestampMicrosecondArray::from(vec![micros]).with_timezone("+00:00");
            shown(&array).map_err(|error| error.to_string())
        }
        _ if LISTS.iter().any(|(list, _)| *list == oid) => list(bytes),
        _ => Err(format!("a binary parameter of the type with the number {oid} is not read; send it as text")),
    }
}

fn sized(bytes: &[u8], size: usize, oid: u32) -> Result<(), String> {
    if bytes.len() == size {
        return Ok(());
    }
    Err(format!(
        "a binary parameter of {} bytes cannot be of the type with the number {oid}, which has {size}",
        bytes.len()
    ))
}

fn shown(array: &dyn Array) -> Result<String, ArrowError> {
    ArrayFormatter::try_new(array, &FormatOptions::default())?.value(0).try_to_string()
}

/// Digits in groups of four, of which `weight + 1` stand before the point.
fn numeric(mut bytes: &[u8]) -> Result<String, String> {
    const GROUPS_MAX: usize = 100;
    let broken = || "a binary numeric parameter is cut off".to_owned();
    if bytes.len() < 8 {
        return Err(broken());
    }
    let (groups, weight) = (usize::from(bytes.get_u16()), i32::from(bytes.get_i16()));
    let (sign, scale) = (bytes.get_u16(), usize::from(bytes.get_u16()));
    let sign = match sign {
        0 => "",
        0x4000 => "-",
        0xc000 => return Ok("NaN".to_owned()),
        0xd000 => return Ok("Infinity".to_owned()),
        0xf000 => return Ok("-Infinity".to_owned()),
        other => return Err(format!("a binary numeric parameter with the sign {other:#06x}")),
    };
    if bytes.len() != groups * 2 {
        return Err(broken());
    }
    if groups > GROUPS_MAX || weight.unsigned_abs() as usize > GROUPS_MAX || scale > GROUPS_MAX * 4 {
        return Err(format!("a numeric parameter with more than {} digits", GROUPS_MAX * 4));
    }
    let digits: Vec<u16> = std::iter::repeat_with(|| bytes.get_u16()).take(groups).collect();
    if digits.iter().any(|group| *group > 9999) {
        return Err("a binary numeric parameter with a group of more than four digits".to_owned());
    }
    let group = |place: i32| usize::try_from(place).ok().and_then(|place| digits.get(place)).copied().unwrap_or(0);
    let whole: String = (0..=weight).map(|place| format!("{:04}", group(place))).collect();
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    let fraction: String =
        (0..scale.div_ceil(4) as i32).map(|place| format!("{:04}", group(weight + 1 + place))).collect();
    Ok(match scale {
        0 => format!("{sign}{whole}"),
        _ => format!("{sign}{whole}.{}", &fraction[..scale]),
    })
}

/// A list of one dimension, as the text that PostgreSQL writes: `{"a","b",NULL}`.
fn list(mut bytes: &[u8]) -> Result<String, String> {
    let broken = || "a binary list is cut off".to_owned();
    let take = |bytes: &mut &[u8]| if bytes.len() < 4 { Err(broken()) } else { Ok(bytes.get_i32()) };
    let dimensions = take(&mut bytes)?;
    let (_flags, element) = (take(&mut bytes)?, take(&mut bytes)? as u32);
    match dimensions {
        0 => return Ok("{}".to_owned()),
        1 => {}
        more => return Err(format!("a list of {more} dimensions; lists of one are read")),
    }
    let (count, _lowest) = (take(&mut bytes)?, take(&mut bytes)?);
    let mut elements = Vec::new();
    for _ in 0..count {
        let length = take(&mut bytes)?;
        let Ok(length) = usize::try_from(length) else {
            elements.push("NULL".to_owned());
            continue;
        };
        let (value, rest) = bytes.split_at_checked(length).ok_or_else(broken)?;
        let value =
            if LISTS.iter().any(|(list, _)| *list == element) { Err(broken()) } else { binary(value, element) }?;
        elements.push(format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")));
        bytes = rest;
    }
    Ok(format!("{{{}}}", elements.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], oid: u32) -> Result<String, String> {
        parameter(&Bytes::copy_from_slice(bytes), Format::Binary, oid)
    }

    fn words(words: &[i16]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn numbers(numbers: &[i32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    #[test]
    fn binary_parameters_become_what_they_say_or_an_error() {
        assert_eq!(read(&(-5_i32).to_be_bytes(), INT4), Ok("-5".to_owned()));
        assert_eq!(read(&u32::MAX.to_be_bytes(), OID), Ok("4294967295".to_owned()));
        assert_eq!(read(&1.5_f64.to_be_bytes(), FLOAT8), Ok("1.5".to_owned()));
        assert_eq!(read(&[1], BOOL), Ok("true".to_owned()));
        assert_eq!(read(&0_i32.to_be_bytes(), DATE), Ok("2000-01-01".to_owned()));
        assert_eq!(read(&1_i64.to_be_bytes(), TIMESTAMPTZ), Ok("2000-01-01T00:00:00.000001Z".to_owned()));
        assert_eq!(read("é".as_bytes(), TEXT), Ok("é".to_owned()));
        assert_eq!(read(b"\x01{}", JSONB), Ok("{}".to_owned()));
        assert_eq!(read(&[0, 255], BYTEA), Ok("\\x00ff".to_owned()));
        assert_eq!(read(&[0x11; 16], UUID), Ok("11111111-1111-1111-1111-111111111111".to_owned()));
        assert!(read(&[1, 2], INT4).is_err_and(|error| error.contains("of 2 bytes")));
        assert!(read(&i64::MAX.to_be_bytes(), TIMESTAMPTZ).is_err());
        assert!(read(&[0xff], TEXT).is_err());
        assert!(read(&[0], 600).is_err_and(|error| error.contains("send it as text")));
    }

    #[test]
    fn binary_numbers_are_read_as_they_are_written() {
        for (bytes, text) in [
            ([0, 0, 0, 0].as_slice(), "0"),
            (&[0, 0, 0, 2], "0.00"),
            (&[2, 0, 0, 2, 3, 2500], "3.25"),
            (&[3, 1, 0x4000, 2, 1, 2345, 6700], "-12345.67"),
            (&[1, 1, 0, 0, 7], "70000"),
            (&[1, -1, 0, 2, 100], "0.01"),
            (&[1, -2, 0, 6, 1200], "0.000012"),
            (&[1, -1, 0, 4, 7], "0.0007"),
            (&[0, 0, -0x4000, 0], "NaN"),
        ] {
            assert_eq!(read(&words(bytes), NUMERIC), Ok(text.to_owned()), "{bytes:?}");
        }
        for wrong in [[1, 0, 0, 0].as_slice(), &[0, 0, 7, 0], &[1, 0, 0, 0, 10_000], &[1, i16::MAX, 0, 0, 1], &[0, 0]] {
            assert!(read(&words(wrong), NUMERIC).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn binary_lists_become_the_texts_that_postgresql_writes() {
        let mut two = numbers(&[1, 1, TEXT as i32, 2, 1, 3]);
        two.extend_from_slice(b"a\"\\");
        two.extend_from_slice(&numbers(&[-1]));
        assert_eq!(read(&two, 1009), Ok(r#"{"a\"\\",NULL}"#.to_owned()));
        assert_eq!(read(&numbers(&[1, 0, INT4 as i32, 1, 1, 4, 7]), 1007), Ok("{\"7\"}".to_owned()));
        assert_eq!(read(&numbers(&[0, 0, INT4 as i32]), 1007), Ok("{}".to_owned()));
        for wrong in [
            &numbers(&[1, 0, 23, i32::MAX, 1])[..],
            &numbers(&[2, 0, 23, 1, 1, 1, 1]),
            &numbers(&[1, 0, 23, 1, 1, 9, 7]),
            &[0],
        ] {
            assert!(read(wrong, 1007).is_err(), "{wrong:?}");
        }
        let kind = DataType::List(Field::new_list_field(DataType::Int64, true).into());
        assert_eq!((oid_of_parameter(&kind), of_parameter(1016)), (1016, Some(kind)));
        assert_eq!(oid_of_parameter(&DataType::Utf8View), TEXT);
    }

    #[test]
    fn any_bytes_are_a_parameter_or_an_error() {
        let mut random = 7_u64;
        for _ in 0..20_000 {
            let mut next = || {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (random >> 33) as u8
            };
            let oid = [NUMERIC, 1007, 1009, 1231, DATE, TIMESTAMP, UUID, JSONB, INT8][next() as usize % 9];
            let bytes: Vec<u8> = (0..next() % 40).map(|_| if next() % 3 == 0 { next() } else { 0 }).collect();
            let _any = read(&bytes, oid);
        }
    }
}
