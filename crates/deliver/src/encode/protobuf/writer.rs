//! Messages by a schema: <https://protobuf.dev/programming-guides/encoding/>. How a column is written is found once per batch;
//! whether a value fits, row by row.

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch};
use arrow::datatypes::{DataType, Fields, i256};
use weir_schema::protobuf::{EnumId, Field, Kind, Label, Meaning, MessageId, Schema};

use crate::encode::avro::names;
use crate::encode::fit::{Write, each_row, inside, misfit, shown};
use crate::encode::values;

/// What stands behind a tag.
const VARINT: u32 = 0;
const EIGHT: u32 = 1;
const SIZED: u32 = 2;
const FOUR: u32 = 5;

/// Each row as a message of `schema`, or why it does not fit.
///
/// # Errors
/// When no row can fit: columns are of other types than the message wants, or one that must be there is not.
pub(crate) fn messages(
    schema: &Schema,
    message: MessageId,
    rows: &RecordBatch,
) -> Result<Vec<Result<Vec<u8>, String>>, String> {
    let write = fields(schema, message, rows.schema_ref().fields(), rows.columns())?;
    Ok(each_row(rows.num_rows(), &write))
}

/// The fields of a message, each from the column of its name; fields without a column are left out.
fn fields<'a>(
    schema: &'a Schema,
    message: MessageId,
    columns: &'a Fields,
    arrays: &'a [ArrayRef],
) -> Result<Write<'a>, String> {
    let names = names(columns);
    let mut parts: Vec<(&'a str, Write<'a>)> = Vec::new();
    for field in &schema.message(message).fields {
        let found = columns.iter().position(|column| **column.name() == *field.name);
        let found = found.or_else(|| names.iter().position(|name| **name == *field.name));
        match found {
            Some(index) => {
                let write = of_field(schema, field, &arrays[index]).map_err(|reason| inside(&field.name, &reason))?;
                parts.push((&field.name, write));
            }
            None if field.label == Label::Required => {
                return Err(inside(&field.name, "the schema requires it, and there is no such column"));
            }
            None => {}
        }
    }
    Ok(Box::new(move |row, out| {
        parts.iter().try_for_each(|(name, write)| write(row, out).map_err(|misfit| misfit.inside(*name)))
    }))
}

/// A field with its tag, wherever it is not null.
fn of_field<'a>(schema: &'a Schema, field: &'a Field, array: &'a ArrayRef) -> Result<Write<'a>, String> {
    if let Some((values, key)) = values::dictionary(array) {
        let write = of_field(schema, field, values)?;
        let is_required = field.label == Label::Required;
        return Ok(Box::new(move |row, out| match key(row) {
            Some(key) => write(key, out),
            None if is_required => Err(misfit("is null; the schema requires it")),
            None => Ok(()),
        }));
    }
    let write = match (field.label, array.data_type()) {
        (_, DataType::Null) => Box::new(|_: usize, _: &mut Vec<u8>| Ok(())),
        (Label::Single | Label::Required, _) => single(schema, field.number, field.kind, array)?,
        (Label::Repeated, DataType::List(_)) => repeated(schema, field, array.as_list::<i32>())?,
        (Label::Repeated, DataType::LargeList(_)) => repeated(schema, field, array.as_list::<i64>())?,
        (Label::Map { key }, DataType::Map(..)) => entries(schema, field, key, array.as_map())?,
        (Label::Repeated, other) => return Err(format!("is {other}; the schema wants a list")),
        (Label::Map { .. }, other) => return Err(format!("is {other}; the schema wants a map")),
    };
    let nulls = array.logical_nulls();
    let is_required = field.label == Label::Required;
    Ok(Box::new(move |row, out| match nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
        true if is_required => Err(misfit("is null; the schema requires it")),
        true => Ok(()),
        false => write(row, out),
    }))
}

/// One value with its tag.
fn single<'a>(schema: &'a Schema, number: u32, kind: Kind, array: &'a ArrayRef) -> Result<Write<'a>, String> {
    let (wire, write) = value(schema, kind, array)?;
    let tag = tag(number, wire);
    Ok(Box::new(move |row, out| {
        out.extend_from_slice(&tag);
        write(row, out)
    }))
}

fn repeated<'a, O: OffsetSizeTrait>(
    schema: &'a Schema,
    field: &'a Field,
    list: &'a arrow::array::GenericListArray<O>,
) -> Result<Write<'a>, String> {
    let items = list.values();
    let (wire, write) = value(schema, field.kind, items)?;
    let (offsets, nulls) = (list.value_offsets(), items.logical_nulls());
    let (one, packed) = (tag(field.number, wire), tag(field.number, SIZED));
    Ok(Box::new(move |row, out| {
        let (begin, end) = (offsets[row].as_usize(), offsets[row + 1].as_usize());
        let item = |item: usize, out: &mut Vec<u8>| {
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(item)) {
                return Err(
                    misfit("is null, which lists of Protobuf do not hold").inside(format!("[{}]", item - begin))
                );
            }
            write(item, out).map_err(|misfit| misfit.inside(format!("[{}]", item - begin)))
        };
        if wire == SIZED {
            return (begin..end).try_for_each(|index| {
                out.extend_from_slice(&one);
                item(index, out)
            });
        }
        if begin == end {
            return Ok(());
        }
        let mut all = Vec::new();
        (begin..end).try_for_each(|index| item(index, &mut all))?;
        out.extend_from_slice(&packed);
        put_sized(&all, out);
        Ok(())
    }))
}

fn entries<'a>(
    schema: &'a Schema,
    field: &'a Field,
    key: Kind,
    map: &'a arrow::array::MapArray,
) -> Result<Write<'a>, String> {
    let keys = single(schema, 1, key, map.keys())?;
    let values = single(schema, 2, field.kind, map.values())?;
    let (offsets, nulls) = (map.value_offsets(), map.values().logical_nulls());
    let tag = tag(field.number, SIZED);
    Ok(Box::new(move |row, out| {
        for entry in offsets[row] as usize..offsets[row + 1] as usize {
            let mut all = Vec::new();
            keys(entry, &mut all)?;
            if nulls.as_ref().is_some_and(|nulls| nulls.is_null(entry)) {
                return Err(misfit("has an entry that is null, which maps of Protobuf do not hold"));
            }
            values(entry, &mut all)?;
            out.extend_from_slice(&tag);
            put_sized(&all, out);
        }
        Ok(())
    }))
}

/// How one value is written, and what its tag says about it.
fn value<'a>(schema: &'a Schema, kind: Kind, array: &'a ArrayRef) -> Result<(u32, Write<'a>), String> {
    if let Some((values, key)) = values::dictionary(array) {
        let (wire, write) = value(schema, kind, values)?;
        return Ok((wire, Box::new(move |row, out| key(row).map_or(Ok(()), |key| write(key, out)))));
    }
    let unfit = || format!("is {}; the schema wants {}", array.data_type(), kind.word(schema));
    let number = |low: i128, high: i128, put: fn(i128, &mut Vec<u8>)| {
        let whole = values::whole(array).ok_or_else(unfit)?;
        let word = kind.word(schema);
        let write: Write<'a> = Box::new(move |row, out| match whole(row) {
            value if (low..=high).contains(&value) => {
                put(value, out);
                Ok(())
            }
            value => Err(misfit(format!("is {value}, which {word} does not hold"))),
        });
        Ok::<Write<'a>, String>(write)
    };
    let (i32s, i64s) = ((i128::from(i32::MIN), i128::from(i32::MAX)), (i128::from(i64::MIN), i128::from(i64::MAX)));
    Ok(match kind {
        Kind::Int32 => (VARINT, number(i32s.0, i32s.1, |value, out| put_varint(value as i64 as u64, out))?),
        Kind::Int64 => (VARINT, number(i64s.0, i64s.1, |value, out| put_varint(value as i64 as u64, out))?),
        Kind::Uint32 => (VARINT, number(0, i128::from(u32::MAX), |value, out| put_varint(value as u64, out))?),
        Kind::Uint64 => (VARINT, number(0, i128::from(u64::MAX), |value, out| put_varint(value as u64, out))?),
        Kind::Sint32 => (VARINT, number(i32s.0, i32s.1, |value, out| put_varint(zigzag(value as i64), out))?),
        Kind::Sint64 => (VARINT, number(i64s.0, i64s.1, |value, out| put_varint(zigzag(value as i64), out))?),
        Kind::Fixed32 => {
            (FOUR, number(0, i128::from(u32::MAX), |value, out| out.extend((value as u32).to_le_bytes()))?)
        }
        Kind::Fixed64 => {
            (EIGHT, number(0, i128::from(u64::MAX), |value, out| out.extend((value as u64).to_le_bytes()))?)
        }
        Kind::Sfixed32 => (FOUR, number(i32s.0, i32s.1, |value, out| out.extend((value as i32).to_le_bytes()))?),
        Kind::Sfixed64 => (EIGHT, number(i64s.0, i64s.1, |value, out| out.extend((value as i64).to_le_bytes()))?),
        Kind::Bool => {
            let array = array.as_boolean_opt().ok_or_else(unfit)?;
            (
                VARINT,
                Box::new(move |row, out| {
                    out.push(u8::from(array.value(row)));
                    Ok(())
                }),
            )
        }
        Kind::Float => {
            let float = values::float(array).ok_or_else(unfit)?;
            (
                FOUR,
                Box::new(move |row, out| {
                    out.extend((float(row) as f32).to_le_bytes());
                    Ok(())
                }),
            )
        }
        Kind::Double => {
            let float = values::float(array).ok_or_else(unfit)?;
            (
                EIGHT,
                Box::new(move |row, out| {
                    out.extend(float(row).to_le_bytes());
                    Ok(())
                }),
            )
        }
        Kind::String => {
            let shown = shown(array).ok_or_else(unfit)?;
            (
                SIZED,
                Box::new(move |row, out| {
                    put_sized(shown(row).as_bytes(), out);
                    Ok(())
                }),
            )
        }
        Kind::Bytes => {
            let bytes = values::bytes(array).ok_or_else(unfit)?;
            (
                SIZED,
                Box::new(move |row, out| {
                    put_sized(bytes(row), out);
                    Ok(())
                }),
            )
        }
        Kind::Enum(id) => (VARINT, enumeration(schema, id, array, unfit)?),
        Kind::Message(id) => (SIZED, message(schema, id, array, unfit)?),
    })
}

fn enumeration<'a>(
    schema: &'a Schema,
    id: EnumId,
    array: &'a ArrayRef,
    unfit: impl Fn() -> String,
) -> Result<Write<'a>, String> {
    let of = schema.enumeration(id);
    let text = values::text(array).ok_or_else(unfit)?;
    Ok(Box::new(move |row, out| {
        let name = text(row);
        let known = of.values.iter().find(|(_, known)| **known == *name).map(|(number, _)| *number);
        // A number that the schema had no name for came in as text.
        match known.or_else(|| name.parse().ok()) {
            Some(number) => {
                put_varint(i64::from(number) as u64, out);
                Ok(())
            }
            None => Err(misfit(format!("is \"{name}\", which is no value of the enum {}", of.name))),
        }
    }))
}

fn message<'a>(
    schema: &'a Schema,
    id: MessageId,
    array: &'a ArrayRef,
    unfit: impl Fn() -> String,
) -> Result<Write<'a>, String> {
    let of = schema.message(id);
    let write: Write<'a> = match (of.means, array.data_type()) {
        (Some(Meaning::Timestamp), _) => {
            let instant = values::instant(array).ok_or_else(unfit)?;
            Box::new(move |row, out| {
                put_seconds(instant(row).div_euclid(NANOS), instant(row).rem_euclid(NANOS), out);
                Ok(())
            })
        }
        (Some(Meaning::Duration), _) => {
            let (value, scale) = values::decimal(array).ok_or_else(&unfit)?;
            let power = 10_i128.checked_pow(u32::from(scale.abs_diff(9))).ok_or_else(unfit)?;
            Box::new(move |row, out| {
                let value = i256::to_i128(value(row));
                let nanos = match scale <= 9 {
                    true => value.and_then(|value| value.checked_mul(power)),
                    false => value.filter(|value| value % power == 0).map(|value| value / power),
                };
                match nanos.filter(|nanos| nanos.abs() <= 315_576_000_000 * NANOS) {
                    Some(nanos) => {
                        put_seconds(nanos / NANOS, nanos % NANOS, out);
                        Ok(())
                    }
                    None => Err(misfit("is a span of seconds that a Duration does not hold")),
                }
            })
        }
        (Some(Meaning::Wrapper), _) => {
            let kind = of.field(1).ok_or_else(&unfit)?.kind;
            single(schema, 1, kind, array)?
        }
        (Some(Meaning::Struct | Meaning::Value | Meaning::List) | None, DataType::Struct(members)) => {
            fields(schema, id, members, array.as_struct().columns())?
        }
        // A list within a list is the only field of a message.
        (None, DataType::List(_) | DataType::LargeList(_) | DataType::Map(..)) if of.fields.len() == 1 => {
            of_field(schema, &of.fields[0], array)?
        }
        _ => return Err(unfit()),
    };
    Ok(Box::new(move |row, out| {
        let mut all = Vec::new();
        write(row, &mut all)?;
        put_sized(&all, out);
        Ok(())
    }))
}

/// Which message of its schema a record is, as the Confluent wire format has it: how many indexes, and they; a single zero is
/// short for the first message.
pub(crate) fn message_indexes(indexes: &[u32]) -> Vec<u8> {
    let mut out = Vec::new();
    if indexes == [0] {
        return vec![0];
    }
    put_varint(zigzag(indexes.len() as i64), &mut out);
    for index in indexes {
        put_varint(zigzag(i64::from(*index)), &mut out);
    }
    out
}

const NANOS: i128 = 1_000_000_000;

fn put_seconds(seconds: i128, nanos: i128, out: &mut Vec<u8>) {
    for (number, value) in [(1, seconds), (2, nanos)] {
        if value != 0 {
            out.extend(tag(number, VARINT));
            put_varint(value as i64 as u64, out);
        }
    }
}

fn tag(number: u32, wire: u32) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(u64::from(number << 3 | wire), &mut out);
    out
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn put_sized(bytes: &[u8], out: &mut Vec<u8>) {
    put_varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
