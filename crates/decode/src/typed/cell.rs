//! A column of any type while it is built. Takes what fits it without loss of meaning and names what does not.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Decimal256Array, ListArray, MapArray, StructArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::{DECIMAL128_MAX_PRECISION, Decimal128Type, Decimal256Type, DecimalType, i256};
use weir_schema::avro::TimeUnit;

use super::scalar::Scalar;
use super::shape::{Shape, entries_field, item_field, member_fields};
use crate::Zone;
use crate::columns::{KeyColumn, Numbers, Presence, Texts};
use crate::time;

/// A column.
#[derive(Debug)]
pub(crate) enum Cell {
    Bool(Numbers<bool>),
    Int(Numbers<i64>),
    UInt(Numbers<u64>),
    Float(Numbers<f64>),
    Text(Texts),
    /// And room to write what is not text as text.
    Key(Box<KeyColumn>, Vec<u8>),
    Bytes(Texts),
    Date(Numbers<i32>),
    TimeOfDay(Numbers<i64>),
    Instant {
        values: Numbers<i64>,
        nanos: bool,
        local: bool,
    },
    Decimal {
        values: Numbers<i128>,
        precision: u8,
        scale: i8,
    },
    BigDecimal {
        values: Numbers<i256>,
        precision: u8,
        scale: i8,
    },
    List(Box<Listing>),
    Map(Box<Mapping>),
    Struct(Box<Group>),
}

/// Columns beside each other.
#[derive(Debug, Default)]
pub(crate) struct Group {
    pub(crate) members: Vec<Cell>,
    shapes: Vec<(Arc<str>, Shape)>,
    presence: Presence,
}

/// A column of lists.
#[derive(Debug)]
pub(crate) struct Listing {
    pub(crate) items: Cell,
    item: Shape,
    ends: Ends,
}

/// A column of maps.
#[derive(Debug)]
pub(crate) struct Mapping {
    keys: Texts,
    pub(crate) values: Cell,
    value: Shape,
    ends: Ends,
}

/// Where each row of a list ends, after a leading zero.
#[derive(Debug)]
struct Ends {
    ends: Vec<i32>,
    presence: Presence,
}

/// What a value should have been.
pub(crate) type Expected = &'static str;

impl Cell {
    pub(crate) fn new(shape: &Shape) -> Self {
        match shape {
            Shape::Bool => Self::Bool(Numbers::default()),
            Shape::Int => Self::Int(Numbers::default()),
            Shape::UInt => Self::UInt(Numbers::default()),
            Shape::Float => Self::Float(Numbers::default()),
            Shape::Text => Self::Text(Texts::default()),
            Shape::Key => Self::Key(Box::default(), Vec::new()),
            Shape::Bytes => Self::Bytes(Texts::default()),
            Shape::Date => Self::Date(Numbers::default()),
            Shape::TimeOfDay => Self::TimeOfDay(Numbers::default()),
            Shape::Instant { nanos, local } => {
                Self::Instant { values: Numbers::default(), nanos: *nanos, local: *local }
            }
            Shape::Decimal { precision, scale } if *precision <= DECIMAL128_MAX_PRECISION => {
                Self::Decimal { values: Numbers::default(), precision: *precision, scale: *scale }
            }
            Shape::Decimal { precision, scale } => {
                Self::BigDecimal { values: Numbers::default(), precision: *precision, scale: *scale }
            }
            Shape::List(item) => {
                Self::List(Box::new(Listing { items: Self::new(item), item: (**item).clone(), ends: Ends::default() }))
            }
            Shape::Map(value) => Self::Map(Box::new(Mapping {
                keys: Texts::default(),
                values: Self::new(value),
                value: (**value).clone(),
                ends: Ends::default(),
            })),
            Shape::Struct(members) => Self::Struct(Box::new(Group::new(members.clone()))),
        }
    }

    /// Appends `scalar`, or says what would be right and appends nothing.
    #[inline]
    pub(crate) fn put(&mut self, scalar: Scalar<'_>) -> Result<(), Expected> {
        match (&mut *self, scalar) {
            (Self::Int(values), Scalar::Int(value)) => values.push(Some(value)),
            (Self::Float(values), Scalar::Float(value)) => values.push(Some(value)),
            (Self::Text(texts), Scalar::Text(text, Some(at))) => texts.push_view(text, at),
            (Self::Key(keys, _), Scalar::Text(text, _)) => keys.push(text),
            (Self::Bool(values), Scalar::Bool(value)) => values.push(Some(value)),
            (Self::Bytes(texts), Scalar::Bytes(bytes, Some(at))) => texts.push_view(bytes, at),
            _ => return self.convert(scalar),
        }
        Ok(())
    }

    /// Appends what is not of the column's very type.
    fn convert(&mut self, scalar: Scalar<'_>) -> Result<(), Expected> {
        match self {
            Self::Bool(_) => return Err("true or false"),
            Self::Int(values) => values.push(Some(whole(scalar)?)),
            Self::UInt(values) => match scalar {
                Scalar::UInt(value) => values.push(Some(value)),
                other => values.push(Some(u64::try_from(whole(other)?).map_err(|_| "a number that is not negative")?)),
            },
            Self::Float(values) => values.push(Some(float(scalar)?)),
            Self::Text(texts) => match scalar {
                Scalar::Bytes(bytes, at) if std::str::from_utf8(bytes).is_ok() => match at {
                    Some(at) => texts.push_view(bytes, at),
                    None => texts.push_made(|out| out.extend_from_slice(bytes)),
                },
                Scalar::Bytes(..) => return Err("text in UTF-8"),
                other => texts.push_made(|out| other.write(out)),
            },
            Self::Key(keys, scratch) => {
                if let Scalar::Bytes(bytes, _) = scalar
                    && std::str::from_utf8(bytes).is_err()
                {
                    return Err("text in UTF-8");
                }
                scratch.clear();
                scalar.write(scratch);
                keys.push(scratch);
            }
            Self::Bytes(texts) => match scalar {
                Scalar::Bytes(bytes, Some(at)) | Scalar::Text(bytes, Some(at)) => texts.push_view(bytes, at),
                Scalar::Bytes(bytes, None) | Scalar::Text(bytes, None) => {
                    texts.push_made(|out| out.extend_from_slice(bytes));
                }
                _ => return Err("bytes"),
            },
            Self::Date(values) => match scalar {
                Scalar::Date(days) => values.push(Some(days)),
                _ => return Err("a date"),
            },
            Self::TimeOfDay(values) => match scalar {
                Scalar::TimeOfDay(micros) => values.push(Some(micros)),
                _ => return Err("a time of day"),
            },
            Self::Instant { values, nanos, .. } => values.push(Some(instant(scalar, *nanos)?)),
            Self::Decimal { values, precision, scale } => values.push(Some(decimal(scalar, *precision, *scale)?)),
            Self::BigDecimal { values, precision, scale } => {
                values.push(Some(big_decimal(scalar, *precision, *scale)?));
            }
            Self::List(_) => return Err("a list"),
            Self::Map(_) => return Err("a map"),
            Self::Struct(_) => return Err("a record"),
        }
        Ok(())
    }

    pub(crate) fn push_null(&mut self) {
        match self {
            Self::Bool(values) => values.push(None),
            Self::Int(values) | Self::TimeOfDay(values) | Self::Instant { values, .. } => values.push(None),
            Self::UInt(values) => values.push(None),
            Self::Float(values) => values.push(None),
            Self::Text(texts) | Self::Bytes(texts) => texts.push_null(),
            Self::Key(keys, _) => keys.push_null(),
            Self::Date(values) => values.push(None),
            Self::Decimal { values, .. } => values.push(None),
            Self::BigDecimal { values, .. } => values.push(None),
            Self::List(list) => list.ends.push(list.items.len(), false),
            Self::Map(map) => map.ends.push(map.keys.len(), false),
            Self::Struct(group) => group.push_null(),
        }
    }

    /// Forgets the rows from `rows` on, also what was begun of the next one.
    pub(crate) fn truncate(&mut self, rows: usize) {
        match self {
            Self::Bool(values) => values.truncate(rows),
            Self::Int(values) | Self::TimeOfDay(values) | Self::Instant { values, .. } => values.truncate(rows),
            Self::UInt(values) => values.truncate(rows),
            Self::Float(values) => values.truncate(rows),
            Self::Text(texts) | Self::Bytes(texts) => texts.truncate(rows),
            Self::Key(keys, _) => keys.truncate(rows),
            Self::Date(values) => values.truncate(rows),
            Self::Decimal { values, .. } => values.truncate(rows),
            Self::BigDecimal { values, .. } => values.truncate(rows),
            Self::List(list) => {
                let items = list.ends.truncate(rows);
                list.items.truncate(items);
            }
            Self::Map(map) => {
                let entries = map.ends.truncate(rows);
                map.keys.truncate(entries);
                map.values.truncate(entries);
            }
            Self::Struct(group) => group.truncate(rows),
        }
    }

    /// How many rows are whole.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bool(values) => values.len(),
            Self::Int(values) | Self::TimeOfDay(values) | Self::Instant { values, .. } => values.len(),
            Self::UInt(values) => values.len(),
            Self::Float(values) => values.len(),
            Self::Text(texts) | Self::Bytes(texts) => texts.len(),
            Self::Key(keys, _) => keys.len(),
            Self::Date(values) => values.len(),
            Self::Decimal { values, .. } => values.len(),
            Self::BigDecimal { values, .. } => values.len(),
            Self::List(list) => list.ends.rows(),
            Self::Map(map) => map.ends.rows(),
            Self::Struct(group) => group.presence.len(),
        }
    }

    /// The last value of a column of times; `None` when it is null, or there is none.
    pub(crate) fn last_time(&self) -> Option<i64> {
        match self {
            Self::Instant { values, .. } => values.last(),
            _ => None,
        }
    }

    /// The column so far; begins anew. `buffer` is what the records came in.
    pub(crate) fn finish(&mut self, buffer: &Buffer) -> ArrayRef {
        match self {
            Self::Bool(values) => values.finish_bools(),
            Self::Int(values) => values.finish_ints(),
            Self::UInt(values) => {
                let (values, nulls) = values.take();
                Arc::new(UInt64Array::new(values.into(), nulls))
            }
            Self::Float(values) => values.finish_floats(),
            Self::Text(texts) => texts.finish(buffer),
            Self::Key(keys, _) => keys.finish(),
            Self::Bytes(texts) => texts.finish_bytes(buffer),
            Self::Date(values) => {
                let (values, nulls) = values.take();
                Arc::new(Date32Array::new(values.into(), nulls))
            }
            Self::TimeOfDay(values) => {
                let (values, nulls) = values.take();
                Arc::new(Time64MicrosecondArray::new(values.into(), nulls))
            }
            Self::Instant { values, nanos, local } => {
                let zone: Option<Arc<str>> = (!*local).then(|| "UTC".into());
                let (values, nulls) = values.take();
                match nanos {
                    true => Arc::new(TimestampNanosecondArray::new(values.into(), nulls).with_timezone_opt(zone)),
                    false => Arc::new(TimestampMicrosecondArray::new(values.into(), nulls).with_timezone_opt(zone)),
                }
            }
            Self::Decimal { values, precision, scale } => {
                let (values, nulls) = values.take();
                let array = Decimal128Array::new(values.into(), nulls).with_precision_and_scale(*precision, *scale);
                Arc::new(array.expect("the schema was checked to fit Arrow"))
            }
            Self::BigDecimal { values, precision, scale } => {
                let (values, nulls) = values.take();
                let array = Decimal256Array::new(values.into(), nulls).with_precision_and_scale(*precision, *scale);
                Arc::new(array.expect("the schema was checked to fit Arrow"))
            }
            Self::List(list) => {
                let (ends, presence) = list.ends.finish();
                Arc::new(ListArray::new(item_field(&list.item), ends, list.items.finish(buffer), presence))
            }
            Self::Map(map) => {
                let (ends, presence) = map.ends.finish();
                let entries = entries_field(&map.value);
                let arrow::datatypes::DataType::Struct(fields) = entries.data_type() else {
                    unreachable!("entries are a struct")
                };
                let columns = vec![map.keys.finish(buffer), map.values.finish(buffer)];
                let inner = StructArray::new(fields.clone(), columns, None);
                Arc::new(MapArray::new(entries, ends, inner, presence, false))
            }
            Self::Struct(group) => {
                let presence = group.presence.finish();
                let columns: Vec<ArrayRef> = group.members.iter_mut().map(|cell| cell.finish(buffer)).collect();
                Arc::new(StructArray::new(member_fields(&group.shapes), columns, presence))
            }
        }
    }
}

impl Group {
    pub(crate) fn new(shapes: Vec<(Arc<str>, Shape)>) -> Self {
        let members = shapes.iter().map(|(_, shape)| Cell::new(shape)).collect();
        Self { members, shapes, presence: Presence::default() }
    }

    /// The record that was put into the members is over: what it lacks is null.
    #[inline]
    pub(crate) fn end_row(&mut self) {
        self.presence.push(true);
        let rows = self.presence.len();
        for cell in &mut self.members {
            if cell.len() < rows {
                cell.push_null();
            }
        }
    }

    fn push_null(&mut self) {
        self.presence.push(false);
        for cell in &mut self.members {
            cell.push_null();
        }
    }

    pub(crate) fn truncate(&mut self, rows: usize) {
        self.presence.truncate(rows);
        for cell in &mut self.members {
            cell.truncate(rows);
        }
    }

    /// How many rows are whole.
    pub(crate) fn rows(&self) -> usize {
        self.presence.len()
    }

    /// Begins anew, for members that are finished one by one.
    pub(crate) fn forget_rows(&mut self) {
        self.presence = Presence::default();
    }
}

impl Listing {
    /// How many items were put since the last list.
    pub(crate) fn open_items(&self) -> usize {
        self.items.len() - self.ends.last()
    }

    /// The items that were put are one list.
    pub(crate) fn end_row(&mut self) {
        self.ends.push(self.items.len(), true);
    }
}

impl Mapping {
    /// Takes the next key; its value follows.
    #[inline]
    pub(crate) fn put_key(&mut self, key: &[u8], at: Option<u32>) {
        match at {
            Some(at) => self.keys.push_view(key, at),
            None => self.keys.push_made(|out| out.extend_from_slice(key)),
        }
    }

    /// The entries that were put are one map.
    pub(crate) fn end_row(&mut self) {
        self.ends.push(self.keys.len(), true);
    }
}

impl Default for Ends {
    fn default() -> Self {
        Self { ends: vec![0], presence: Presence::default() }
    }
}

impl Ends {
    fn push(&mut self, end: usize, is_present: bool) {
        self.ends.push(i32::try_from(end).expect("a batch has less than 2 Gi items"));
        self.presence.push(is_present);
    }

    fn rows(&self) -> usize {
        self.ends.len() - 1
    }

    fn last(&self) -> usize {
        self.ends.last().map_or(0, |end| *end as usize)
    }

    /// Forgets the rows from `rows` on; how many items are left.
    fn truncate(&mut self, rows: usize) -> usize {
        self.ends.truncate(rows + 1);
        self.presence.truncate(rows);
        self.last()
    }

    fn finish(&mut self) -> (OffsetBuffer<i32>, Option<arrow::buffer::NullBuffer>) {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        (OffsetBuffer::new(ends.into()), self.presence.finish())
    }
}

fn whole(scalar: Scalar<'_>) -> Result<i64, Expected> {
    const EXPECTED: Expected = "a whole number of 64 bits";
    match scalar {
        Scalar::Int(value) => Ok(value),
        Scalar::UInt(value) => i64::try_from(value).map_err(|_| EXPECTED),
        // 2^63 is the first float that does not fit.
        Scalar::Float(value) if value.fract() == 0.0 && value.abs() < 9_223_372_036_854_775_808.0 => Ok(value as i64),
        _ => Err(EXPECTED),
    }
}

fn float(scalar: Scalar<'_>) -> Result<f64, Expected> {
    match scalar {
        Scalar::Float(value) => Ok(value),
        Scalar::Int(value) => Ok(value as f64),
        Scalar::UInt(value) => Ok(value as f64),
        Scalar::Decimal(value, scale) => Ok(value as f64 / 10_f64.powi(i32::from(scale))),
        Scalar::BigDecimal(..) => {
            let mut text = Vec::new();
            scalar.write(&mut text);
            std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok()).ok_or("a number")
        }
        _ => Err("a number"),
    }
}

fn instant(scalar: Scalar<'_>, nanos: bool) -> Result<i64, Expected> {
    const EXPECTED: Expected = "a time such as \"2026-01-31T12:00:00.5Z\", or a number since 1970";
    const FAR: Expected = "a time that fits the column";
    let (value, unit) = match scalar {
        Scalar::Instant(value, unit, _) => (value, unit),
        Scalar::Date(days) => (i64::from(days) * 86_400_000, TimeUnit::Millis),
        Scalar::Int(value) => {
            let whole = u64::try_from(value).map_err(|_| EXPECTED)?;
            (time::from_whole(whole).ok_or(EXPECTED)?, TimeUnit::Micros)
        }
        Scalar::UInt(value) => (time::from_whole(value).ok_or(EXPECTED)?, TimeUnit::Micros),
        Scalar::Text(text, _) => (time::from_text(text, Zone::default()).ok_or(EXPECTED)?, TimeUnit::Micros),
        _ => return Err(EXPECTED),
    };
    match (unit, nanos) {
        (TimeUnit::Millis, false) => value.checked_mul(1_000).ok_or(FAR),
        (TimeUnit::Millis, true) => value.checked_mul(1_000_000).ok_or(FAR),
        (TimeUnit::Micros, true) => value.checked_mul(1_000).ok_or(FAR),
        (TimeUnit::Nanos, false) => Ok(value.div_euclid(1_000)),
        (TimeUnit::Micros, false) | (TimeUnit::Nanos, true) => Ok(value),
    }
}

const DECIMAL: Expected = "a decimal of no more digits than the column has";

fn decimal(scalar: Scalar<'_>, precision: u8, scale: i8) -> Result<i128, Expected> {
    let (value, from) = match scalar {
        Scalar::Decimal(value, from) => (value, from),
        Scalar::Int(value) => (i128::from(value), 0),
        Scalar::UInt(value) => (i128::from(value), 0),
        Scalar::BigDecimal(..) => return Err(DECIMAL),
        _ => return Err("a decimal"),
    };
    let power = 10_i128.checked_pow(u32::from(scale.abs_diff(from))).ok_or(DECIMAL)?;
    let value = match scale >= from {
        true => value.checked_mul(power).ok_or(DECIMAL)?,
        false if value % power == 0 => value / power,
        false => return Err("a decimal of no more digits after the point than the column has"),
    };
    Decimal128Type::validate_decimal_precision(value, precision, scale).map_err(|_| DECIMAL)?;
    Ok(value)
}

fn big_decimal(scalar: Scalar<'_>, precision: u8, scale: i8) -> Result<i256, Expected> {
    let (value, from) = match scalar {
        Scalar::BigDecimal(value, from) => (value, from),
        Scalar::Decimal(value, from) => (i256::from_i128(value), from),
        Scalar::Int(value) => (i256::from_i128(i128::from(value)), 0),
        Scalar::UInt(value) => (i256::from_i128(i128::from(value)), 0),
        _ => return Err("a decimal"),
    };
    let power = i256::from_i128(10).checked_pow(u32::from(scale.abs_diff(from))).ok_or(DECIMAL)?;
    let value = match scale >= from {
        true => value.checked_mul(power).ok_or(DECIMAL)?,
        false if value.checked_rem(power) == Some(i256::ZERO) => value.checked_div(power).ok_or(DECIMAL)?,
        false => return Err("a decimal of no more digits after the point than the column has"),
    };
    Decimal256Type::validate_decimal_precision(value, precision, scale).map_err(|_| DECIMAL)?;
    Ok(value)
}
