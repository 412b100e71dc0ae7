//! Values by a schema: <https://avro.apache.org/docs/1.12.0/specification/#binary-encoding>. How a column is written is found
//! once per batch; whether a value fits, row by row.

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, RecordBatch};
use arrow::datatypes::{DataType, Fields, i256};
use weir_schema::avro::{Enum, Kind, Logical, NodeId, Record, Schema, TimeUnit};

use super::schema::names;
use crate::encode::fit::{Fit, Write, each_row, inside, misfit, shown};
use crate::encode::values;

/// Each row as a value of `schema`, or why it does not fit.
///
/// # Errors
/// When no row can fit: the schema is no record, or wants columns that are not there, or of other types.
pub(crate) fn records(schema: &Schema, rows: &RecordBatch) -> Result<Vec<Result<Vec<u8>, String>>, String> {
    let root = match schema.kind(schema.root()) {
        Kind::Record(record) => record,
        _ => return Err(format!("the schema is {}; rows are records", schema.word(schema.root()))),
    };
    let write = fields(schema, root, rows.schema_ref().fields(), rows.columns())?;
    Ok(each_row(rows.num_rows(), &write))
}

/// The fields of a record, each from the column of its name.
fn fields<'a>(
    schema: &'a Schema,
    record: &'a Record,
    columns: &'a Fields,
    arrays: &'a [ArrayRef],
) -> Result<Write<'a>, String> {
    let names = names(columns);
    let mut parts: Vec<(&'a str, Write<'a>)> = Vec::with_capacity(record.fields.len());
    for field in &record.fields {
        let is_it = |name: &str| *field.name == *name || field.aliases.iter().any(|alias| **alias == *name);
        let found = columns.iter().position(|column| is_it(column.name()));
        let found = found.or_else(|| names.iter().position(|name| is_it(name)));
        let write = match found {
            Some(index) => {
                nullable(schema, field.node, &arrays[index]).map_err(|reason| inside(&field.name, &reason))?
            }
            None => match null_branch(schema, field.node) {
                Some(branch) => {
                    let null = number(branch as i64);
                    Box::new(move |_: usize, out: &mut Vec<u8>| {
                        out.extend_from_slice(&null);
                        Ok(())
                    })
                }
                None => return Err(inside(&field.name, "the schema wants it, and there is no such column")),
            },
        };
        parts.push((&field.name, write));
    }
    Ok(Box::new(move |row, out| {
        for (name, write) in &parts {
            write(row, out).map_err(|misfit| misfit.inside(*name))?;
        }
        Ok(())
    }))
}

/// Which branch of a union is null.
fn null_branch(schema: &Schema, node: NodeId) -> Option<usize> {
    match schema.kind(node) {
        Kind::Union(branches) => branches.iter().position(|branch| matches!(schema.kind(*branch), Kind::Null)),
        _ => None,
    }
}

/// Values that may be null.
fn nullable<'a>(schema: &'a Schema, node: NodeId, array: &'a ArrayRef) -> Result<Write<'a>, String> {
    if let Some((values, key)) = values::dictionary(array) {
        let write = nullable(schema, node, values)?;
        let null = null(schema, node);
        return Ok(Box::new(move |row, out| match key(row) {
            Some(key) => write(key, out),
            None => null(out),
        }));
    }
    let null = null(schema, node);
    let write = match schema.kind(node) {
        Kind::Union(branches) => union(schema, branches, array)?,
        Kind::Null => Box::new(|_: usize, _: &mut Vec<u8>| Ok(())),
        _ => plain(schema, node, array)?,
    };
    let nulls = array.logical_nulls();
    Ok(Box::new(move |row, out| match nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
        true => null(out),
        false => write(row, out),
    }))
}

/// How a null is written.
fn null<'a>(schema: &'a Schema, node: NodeId) -> impl Fn(&mut Vec<u8>) -> Fit + use<'a> {
    let branch = null_branch(schema, node).map(|branch| number(branch as i64));
    let is_null = matches!(schema.kind(node), Kind::Null);
    let word = schema.word(node);
    move |out| match &branch {
        Some(branch) => {
            out.extend_from_slice(branch);
            Ok(())
        }
        None if is_null => Ok(()),
        None => Err(misfit(format!("is null; the schema wants {word}"))),
    }
}

/// A value of one of several types: the only one that takes the column, or the branch whose member of a struct is there.
fn union<'a>(schema: &'a Schema, branches: &'a [NodeId], array: &'a ArrayRef) -> Result<Write<'a>, String> {
    let real = || branches.iter().enumerate().filter(|(_, branch)| !matches!(schema.kind(**branch), Kind::Null));
    if let (DataType::Struct(members), true) = (array.data_type(), real().count() > 1) {
        let of = |name: &str| real().find(|(_, branch)| schema.word(**branch) == name);
        if members.iter().all(|member| of(member.name()).is_some()) {
            let columns = array.as_struct().columns();
            let mut parts = Vec::with_capacity(members.len());
            for (member, column) in members.iter().zip(columns) {
                let Some((index, branch)) = of(member.name()) else { continue };
                parts.push((column, number(index as i64), plain_or_null(schema, *branch, column)?));
            }
            return Ok(Box::new(move |row, out| {
                let Some((_, index, write)) = parts.iter().find(|(column, ..)| column.is_valid(row)) else {
                    return Err(misfit("no branch of the union has a value"));
                };
                out.extend_from_slice(index);
                write(row, out)
            }));
        }
    }
    // Nearly everything can be text, and whole numbers can be floats: these come last.
    let is_close = |branch: NodeId| match schema.kind(branch) {
        Kind::String => values::text(array).is_some(),
        Kind::Bytes => values::text(array).is_none(),
        Kind::Float | Kind::Double => values::whole(array).is_none(),
        _ => true,
    };
    let ordered =
        real().filter(|(_, branch)| is_close(**branch)).chain(real().filter(|(_, branch)| !is_close(**branch)));
    let mut reason = "is always null".to_owned();
    for (index, branch) in ordered {
        match plain_or_null(schema, *branch, array) {
            Ok(write) => {
                let index = number(index as i64);
                return Ok(Box::new(move |row, out| {
                    out.extend_from_slice(&index);
                    write(row, out)
                }));
            }
            Err(why) => reason = why,
        }
    }
    if *array.data_type() == DataType::Null { Ok(Box::new(|_, _| Ok(()))) } else { Err(reason) }
}

fn plain_or_null<'a>(schema: &'a Schema, node: NodeId, array: &'a ArrayRef) -> Result<Write<'a>, String> {
    match values::dictionary(array) {
        Some(_) => nullable(schema, node, array),
        None => plain(schema, node, array),
    }
}

/// Values that are there.
fn plain<'a>(schema: &'a Schema, node: NodeId, array: &'a ArrayRef) -> Result<Write<'a>, String> {
    let of = schema.node(node);
    let unfit = || format!("is {}; the schema wants {}", array.data_type(), schema.word(node));
    Ok(match (&of.kind, of.logical) {
        (Kind::Boolean, _) => {
            let array = array.as_boolean_opt().ok_or_else(unfit)?;
            Box::new(move |row, out| {
                out.push(u8::from(array.value(row)));
                Ok(())
            })
        }
        (Kind::Int, Some(Logical::Date)) => {
            let days = values::date(array).ok_or_else(unfit)?;
            Box::new(move |row, out| {
                put_number(i64::from(days(row)), out);
                Ok(())
            })
        }
        (Kind::Int | Kind::Long, Some(Logical::TimeMillis | Logical::TimeMicros)) => {
            let unit = if of.logical == Some(Logical::TimeMillis) { 1_000_000 } else { 1_000 };
            let time = values::time_of_day(array).ok_or_else(unfit)?;
            Box::new(move |row, out| {
                put_number(time(row) / unit, out);
                Ok(())
            })
        }
        (Kind::Long, Some(Logical::Timestamp { unit, .. })) => {
            let nanos = match unit {
                TimeUnit::Millis => 1_000_000,
                TimeUnit::Micros => 1_000,
                TimeUnit::Nanos => 1,
            };
            let time = values::instant(array).ok_or_else(unfit)?;
            Box::new(move |row, out| match i64::try_from(time(row).div_euclid(nanos)) {
                Ok(time) => {
                    put_number(time, out);
                    Ok(())
                }
                Err(_) => Err(misfit("is a time that 64 bits do not hold in the schema's unit")),
            })
        }
        (Kind::Bytes, Some(Logical::Decimal { precision, scale })) => decimal(array, precision, scale, None, unfit)?,
        (Kind::Fixed(fixed), Some(Logical::Decimal { precision, scale })) => {
            decimal(array, precision, scale, Some(fixed.bytes), unfit)?
        }
        (Kind::Int, _) => {
            let whole = values::whole(array).ok_or_else(unfit)?;
            Box::new(move |row, out| match i32::try_from(whole(row)) {
                Ok(value) => {
                    put_number(i64::from(value), out);
                    Ok(())
                }
                Err(_) => Err(misfit(format!("is {}; the schema wants 32 bits", whole(row)))),
            })
        }
        (Kind::Long, _) => {
            let whole = values::whole(array).ok_or_else(unfit)?;
            Box::new(move |row, out| match i64::try_from(whole(row)) {
                Ok(value) => {
                    put_number(value, out);
                    Ok(())
                }
                Err(_) => Err(misfit(format!("is {}; the schema wants 64 bits with a sign", whole(row)))),
            })
        }
        (Kind::Float, _) => {
            let float = values::float(array).ok_or_else(unfit)?;
            Box::new(move |row, out| {
                out.extend_from_slice(&(float(row) as f32).to_le_bytes());
                Ok(())
            })
        }
        (Kind::Double, _) => {
            let float = values::float(array).ok_or_else(unfit)?;
            Box::new(move |row, out| {
                out.extend_from_slice(&float(row).to_le_bytes());
                Ok(())
            })
        }
        (Kind::Bytes, _) => {
            let bytes = values::bytes(array).ok_or_else(unfit)?;
            Box::new(move |row, out| {
                put_sized(bytes(row), out);
                Ok(())
            })
        }
        (Kind::String, _) => text(array, unfit)?,
        (Kind::Fixed(fixed), _) => {
            let (bytes, length) = (values::bytes(array).ok_or_else(unfit)?, fixed.bytes);
            Box::new(move |row, out| match bytes(row) {
                bytes if bytes.len() == length => {
                    out.extend_from_slice(bytes);
                    Ok(())
                }
                bytes => Err(misfit(format!("has {} bytes; the schema wants {length}", bytes.len()))),
            })
        }
        (Kind::Enum(symbols), _) => enumeration(symbols, array, unfit)?,
        (Kind::Array(items), _) => match array.data_type() {
            DataType::List(_) => list(schema, *items, array.as_list::<i32>())?,
            DataType::LargeList(_) => list(schema, *items, array.as_list::<i64>())?,
            _ => return Err(unfit()),
        },
        (Kind::Map(values), _) => {
            let map = array.as_map_opt().ok_or_else(unfit)?;
            let (keys, values) = (text(map.keys(), unfit)?, nullable(schema, *values, map.values())?);
            let offsets = map.value_offsets();
            Box::new(move |row, out| {
                let (begin, end) = (offsets[row] as usize, offsets[row + 1] as usize);
                blocks(begin, end, out, |entry, out| {
                    keys(entry, out)?;
                    values(entry, out)
                })
            })
        }
        (Kind::Record(record), _) => {
            let group = array.as_struct_opt().ok_or_else(unfit)?;
            fields(schema, record, group.fields(), group.columns())?
        }
        (Kind::Null | Kind::Union(_), _) => nullable(schema, node, array)?,
    })
}

/// Text, and everything else as it is shown.
fn text<'a>(array: &'a ArrayRef, unfit: impl Fn() -> String) -> Result<Write<'a>, String> {
    if let Some(text) = values::text(array) {
        return Ok(Box::new(move |row, out| {
            put_sized(text(row).as_bytes(), out);
            Ok(())
        }));
    }
    let shown = shown(array).ok_or_else(unfit)?;
    Ok(Box::new(move |row, out| {
        put_sized(shown(row).as_bytes(), out);
        Ok(())
    }))
}

fn enumeration<'a>(of: &'a Enum, array: &'a ArrayRef, unfit: impl Fn() -> String) -> Result<Write<'a>, String> {
    let text = values::text(array).ok_or_else(unfit)?;
    Ok(Box::new(move |row, out| {
        let symbol = text(row);
        match of.symbols.iter().position(|known| **known == *symbol).or(of.default) {
            Some(index) => {
                put_number(index as i64, out);
                Ok(())
            }
            None => Err(misfit(format!("is \"{symbol}\", which is no symbol of the enum {}", of.name))),
        }
    }))
}

fn list<'a, O: OffsetSizeTrait>(
    schema: &'a Schema,
    items: NodeId,
    list: &'a arrow::array::GenericListArray<O>,
) -> Result<Write<'a>, String> {
    let write = nullable(schema, items, list.values())?;
    let offsets = list.value_offsets();
    Ok(Box::new(move |row, out| {
        let (begin, end) = (offsets[row].as_usize(), offsets[row + 1].as_usize());
        blocks(begin, end, out, &write)
    }))
}

/// One block of all items, and the empty one that ends it.
fn blocks(begin: usize, end: usize, out: &mut Vec<u8>, write: impl Fn(usize, &mut Vec<u8>) -> Fit) -> Fit {
    if end > begin {
        put_number((end - begin) as i64, out);
        for item in begin..end {
            write(item, out).map_err(|misfit| misfit.inside(format!("[{}]", item - begin)))?;
        }
    }
    out.push(0);
    Ok(())
}

fn decimal<'a>(
    array: &'a ArrayRef,
    precision: u8,
    scale: i8,
    fixed: Option<usize>,
    unfit: impl Fn() -> String,
) -> Result<Write<'a>, String> {
    let (value, from) = values::decimal(array).ok_or_else(&unfit)?;
    let power = i256::from_i128(10).checked_pow(u32::from(scale.abs_diff(from))).ok_or_else(&unfit)?;
    let most = i256::from_i128(10).checked_pow(u32::from(precision)).ok_or_else(unfit)?;
    Ok(Box::new(move |row, out| {
        let value = value(row);
        let scaled = match scale >= from {
            true => value.checked_mul(power),
            false => value.checked_rem(power).filter(|rest| *rest == i256::ZERO).and_then(|_| value.checked_div(power)),
        };
        let fits = |scaled: &i256| scaled.wrapping_abs() < most;
        let Some(scaled) = scaled.filter(fits) else {
            return Err(misfit(format!(
                "is a decimal that {precision} digits, {scale} of them after the point, do not hold"
            )));
        };
        let bytes = scaled.to_be_bytes();
        let sign = if bytes[0] >= 0x80 { 0xff } else { 0 };
        let first = bytes.iter().position(|byte| *byte != sign).unwrap_or(bytes.len() - 1);
        // The first bit says the sign.
        let first = if (bytes[first] >= 0x80) == (sign == 0xff) { first } else { first - 1 };
        let digits = &bytes[first..];
        match fixed {
            None => put_sized(digits, out),
            Some(length) if digits.len() <= length => {
                out.extend(std::iter::repeat_n(sign, length - digits.len()));
                out.extend_from_slice(digits);
            }
            Some(length) => return Err(misfit(format!("is a decimal that {length} bytes do not hold"))),
        }
        Ok(())
    }))
}

pub(super) fn put_sized(bytes: &[u8], out: &mut Vec<u8>) {
    put_number(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

/// A zig-zag number.
pub(super) fn put_number(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn number(value: i64) -> Vec<u8> {
    let mut out = Vec::new();
    put_number(value, &mut out);
    out
}
