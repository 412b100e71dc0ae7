//! One value of any type that aggregates take, for those that keep values: ordered, hashed, written and read back.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::ArgumentType;

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Whole(i64),
    /// In IEEE total order.
    Float(f64),
    Decimal(i128),
    Text(Box<str>),
}

/// The bytes of a number or the text, which tell values of one type apart.
pub(crate) enum Bytes<'a> {
    Short([u8; 8]),
    Long([u8; 16]),
    Text(&'a [u8]),
}

impl Bytes<'_> {
    /// Those of `array`, which is in the physical type of an [`ArgumentType`]. 0 and -0 are one value, and so are all
    /// that are no number.
    #[inline]
    pub(crate) fn of(array: &ArrayRef, row: usize) -> Bytes<'_> {
        match array.data_type() {
            DataType::Int64 => Bytes::Short(array.as_primitive::<Int64Type>().value(row).to_le_bytes()),
            DataType::Float64 => {
                let value = array.as_primitive::<Float64Type>().value(row);
                let value = if value.is_nan() { f64::NAN } else { value + 0.0 };
                Bytes::Short(value.to_bits().to_le_bytes())
            }
            DataType::Decimal128(..) => Bytes::Long(array.as_primitive::<Decimal128Type>().value(row).to_le_bytes()),
            _ => Bytes::Text(array.as_string::<i32>().value(row).as_bytes()),
        }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Short(bytes) => bytes,
            Self::Long(bytes) => bytes,
            Self::Text(bytes) => bytes,
        }
    }

    #[inline]
    pub(crate) fn hash(&self) -> u64 {
        xxh3_64(self.as_slice())
    }

    #[inline]
    pub(crate) fn long_hash(&self) -> u128 {
        xxh3_128(self.as_slice())
    }
}

impl Value {
    pub(crate) fn of(array: &dyn Array, row: usize) -> Self {
        match array.data_type() {
            DataType::Int64 => Self::Whole(array.as_primitive::<Int64Type>().value(row)),
            DataType::Float64 => Self::Float(array.as_primitive::<Float64Type>().value(row)),
            DataType::Decimal128(..) => Self::Decimal(array.as_primitive::<Decimal128Type>().value(row)),
            _ => Self::Text(array.as_string::<i32>().value(row).into()),
        }
    }

    /// What [`Bytes`] say of a value of this type.
    pub(crate) fn read(bytes: &[u8], argument: &ArgumentType) -> Option<Self> {
        Some(match argument {
            ArgumentType::Whole | ArgumentType::Ordered(_) => Self::Whole(i64::from_le_bytes(bytes.try_into().ok()?)),
            ArgumentType::Float => Self::Float(f64::from_le_bytes(bytes.try_into().ok()?)),
            ArgumentType::Decimal(..) => Self::Decimal(i128::from_le_bytes(bytes.try_into().ok()?)),
            ArgumentType::Text => Self::Text(str::from_utf8(bytes).ok()?.into()),
        })
    }

    /// The order of a value in `array` and this one, which is of the same type.
    pub(crate) fn compare_row(array: &dyn Array, row: usize, value: &Self) -> Ordering {
        match value {
            Self::Whole(value) => array.as_primitive::<Int64Type>().value(row).cmp(value),
            Self::Float(value) => array.as_primitive::<Float64Type>().value(row).total_cmp(value),
            Self::Decimal(value) => array.as_primitive::<Decimal128Type>().value(row).cmp(value),
            Self::Text(value) => array.as_string::<i32>().value(row).cmp(value),
        }
    }

    /// Whether a value in `array` is this one, as [`Bytes`] tell values apart.
    pub(crate) fn equals_row(&self, array: &ArrayRef, row: usize) -> bool {
        match self {
            Self::Float(value) => {
                let other = array.as_primitive::<Float64Type>().value(row);
                *value == other || (value.is_nan() && other.is_nan())
            }
            value => Self::compare_row(array, row, value) == Ordering::Equal,
        }
    }

    /// The one of the values which [`Bytes`] do not tell apart that stands for all.
    pub(crate) fn canonical(self) -> Self {
        match self {
            Self::Float(value) if value.is_nan() => Self::Float(f64::NAN),
            Self::Float(value) => Self::Float(value + 0.0),
            value => value,
        }
    }

    /// Appends its length as a `u32` and its bytes, which [`Value::read`] reads.
    pub(crate) fn write(&self, bytes: &mut Vec<u8>) {
        let own = match self {
            Self::Whole(value) => &value.to_le_bytes()[..],
            Self::Float(value) => &value.to_le_bytes()[..],
            Self::Decimal(value) => &value.to_le_bytes()[..],
            Self::Text(text) => text.as_bytes(),
        };
        bytes.extend_from_slice(&(own.len() as u32).to_le_bytes());
        bytes.extend_from_slice(own);
    }

    pub(crate) fn text_bytes(&self) -> usize {
        if let Self::Text(text) = self { text.len() } else { 0 }
    }
}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Whole(left), Self::Whole(right)) => left.cmp(right),
            (Self::Float(left), Self::Float(right)) => left.total_cmp(right),
            (Self::Decimal(left), Self::Decimal(right)) => left.cmp(right),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            (Self::Whole(_) | Self::Float(_) | Self::Decimal(_) | Self::Text(_), _) => {
                unreachable!("the values of one aggregate are of one type")
            }
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

/// Values as a column of the physical type of `argument`.
pub(crate) fn column(values: Vec<Option<Value>>, argument: &ArgumentType) -> ArrayRef {
    let values = values.into_iter();
    match argument {
        ArgumentType::Whole | ArgumentType::Ordered(_) => Arc::new(
            values
                .map(|value| if let Some(Value::Whole(value)) = value { Some(value) } else { None })
                .collect::<Int64Array>(),
        ),
        ArgumentType::Float => Arc::new(
            values
                .map(|value| if let Some(Value::Float(value)) = value { Some(value) } else { None })
                .collect::<Float64Array>(),
        ),
        ArgumentType::Decimal(..) => {
            let values = values.map(|value| if let Some(Value::Decimal(value)) = value { Some(value) } else { None });
            Arc::new(values.collect::<Decimal128Array>().with_data_type(argument.physical()))
        }
        ArgumentType::Text => Arc::new(
            values
                .map(|value| if let Some(Value::Text(value)) = value { Some(value) } else { None })
                .collect::<StringArray>(),
        ),
    }
}

/// The same, as results are shown.
pub(crate) fn shown(values: Vec<Option<Value>>, argument: &ArgumentType) -> ArrayRef {
    as_shown(&column(values, argument), argument)
}

/// A column of the physical type of `argument` as results are shown.
pub(crate) fn as_shown(values: &ArrayRef, argument: &ArgumentType) -> ArrayRef {
    cast(values, &argument.shown()).expect("values that came from this type go back to it")
}
