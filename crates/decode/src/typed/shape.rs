//! What a column holds, before it is built: the types that formats with schemas have, as Arrow has them.
//! Refuses types that no format gives.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use weir_model::FieldKind;

use crate::columns::time_type;
use crate::keys::Keys;

/// What a column holds.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Bool,
    Int,
    UInt,
    Float,
    Text,
    /// Text of few distinct values.
    Key,
    Bytes,
    Date,
    /// Microseconds since midnight.
    TimeOfDay,
    /// Microseconds, or nanoseconds, since 1970; of UTC or of some clock.
    Instant {
        nanos: bool,
        local: bool,
    },
    Decimal {
        precision: u8,
        scale: i8,
    },
    List(Box<Shape>),
    /// Its keys are text.
    Map(Box<Shape>),
    Struct(Vec<(Arc<str>, Shape)>),
}

/// Where `name` stands among members.
pub(crate) fn member<T>(members: &[(Arc<str>, T)], name: &str) -> Option<usize> {
    members.iter().position(|(known, _)| **known == *name)
}

impl Shape {
    /// How times are held that a pipeline computes with.
    pub(crate) const TIME: Self = Self::Instant { nanos: false, local: false };

    /// What a plan wants, if it is one of these.
    pub(crate) fn of_kind(kind: &FieldKind) -> Option<Self> {
        match kind {
            FieldKind::Key => Some(Self::Key),
            FieldKind::Value(data_type) => Self::of_type(data_type),
        }
    }

    fn of_type(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Bool,
            DataType::Int64 => Self::Int,
            DataType::UInt64 => Self::UInt,
            DataType::Float64 => Self::Float,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::BinaryView => Self::Bytes,
            DataType::Date32 => Self::Date,
            DataType::Time64(TimeUnit::Microsecond) => Self::TimeOfDay,
            DataType::Timestamp(unit, zone) => {
                Self::Instant { nanos: *unit == TimeUnit::Nanosecond, local: zone.is_none() }
            }
            DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
                Self::Decimal { precision: *precision, scale: *scale }
            }
            DataType::Dictionary(..) => Self::Key,
            DataType::List(item) => Self::List(Box::new(Self::of_type(item.data_type())?)),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(members) => Self::Map(Box::new(Self::of_type(members.get(1)?.data_type())?)),
                _ => return None,
            },
            DataType::Struct(members) => {
                let member =
                    |field: &Arc<Field>| Some((field.name().as_str().into(), Self::of_type(field.data_type())?));
                Self::Struct(members.iter().map(member).collect::<Option<_>>()?)
            }
            _ => return None,
        })
    }

    /// The type of its columns.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::UInt => DataType::UInt64,
            Self::Float => DataType::Float64,
            Self::Text => DataType::Utf8View,
            Self::Key => Keys::data_type(),
            Self::Bytes => DataType::BinaryView,
            Self::Date => DataType::Date32,
            Self::TimeOfDay => DataType::Time64(TimeUnit::Microsecond),
            Self::Instant { nanos: false, local: false } => time_type(),
            Self::Instant { nanos, local } => {
                let unit = if *nanos { TimeUnit::Nanosecond } else { TimeUnit::Microsecond };
                DataType::Timestamp(unit, (!local).then(|| "UTC".into()))
            }
            Self::Decimal { precision, scale } if *precision <= 38 => DataType::Decimal128(*precision, *scale),
            Self::Decimal { precision, scale } => DataType::Decimal256(*precision, *scale),
            Self::List(item) => DataType::List(item_field(item)),
            Self::Map(value) => DataType::Map(entries_field(value), false),
            Self::Struct(members) => DataType::Struct(member_fields(members)),
        }
    }

    /// Whether values are one by one, and not made of others.
    pub(crate) fn is_scalar(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Map(_) | Self::Struct(_))
    }

    /// The same, grown by what `other` has: members of structs are added behind, whole numbers become floats where floats
    /// come. Everything else stays as it is: a column keeps its type, and what does not fit it is rejected by the value.
    pub(crate) fn grown(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Int | Self::UInt, Self::Float) => Self::Float,
            (Self::List(item), Self::List(other)) => Self::List(Box::new(item.grown(other))),
            (Self::Map(value), Self::Map(other)) => Self::Map(Box::new(value.grown(other))),
            (Self::Struct(members), Self::Struct(others)) => {
                let mut grown = members.clone();
                for (name, shape) in others {
                    match member(&grown, name) {
                        Some(index) => grown[index].1 = grown[index].1.grown(shape),
                        None => grown.push((Arc::clone(name), shape.clone())),
                    }
                }
                Self::Struct(grown)
            }
            _ => self.clone(),
        }
    }
}

/// The field of a list's items.
pub(super) fn item_field(item: &Shape) -> Arc<Field> {
    Arc::new(Field::new("item", item.data_type(), true))
}

/// The field of a map's entries.
pub(super) fn entries_field(value: &Shape) -> Arc<Field> {
    let entries = vec![Field::new("key", DataType::Utf8View, false), Field::new("value", value.data_type(), true)];
    Arc::new(Field::new("entries", DataType::Struct(entries.into()), false))
}

/// The fields of a struct.
pub(super) fn member_fields(members: &[(Arc<str>, Shape)]) -> Fields {
    members.iter().map(|(name, shape)| Field::new(&**name, shape.data_type(), true)).collect()
}
