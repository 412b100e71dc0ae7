//! Scalars as Protobuf writes them. Refuses messages.

use std::sync::Arc;

use weir_schema::protobuf::{Default, Kind, Schema};

use super::reader::{Reader, WireType};
use crate::typed::{Fallible, Fault, Scalar};

/// How a scalar is written, and what it means.
#[derive(Clone, Debug)]
pub(crate) enum Wire {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    Text,
    Bytes,
    /// The names of its numbers, by their number.
    Enum(Arc<[(i32, Arc<str>)]>),
}

impl Wire {
    /// How values of `kind` are written; `None` for messages.
    pub(crate) fn of(schema: &Schema, kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Double => Self::Double,
            Kind::Float => Self::Float,
            Kind::Int32 => Self::Int32,
            Kind::Int64 => Self::Int64,
            Kind::Uint32 => Self::Uint32,
            Kind::Uint64 => Self::Uint64,
            Kind::Sint32 => Self::Sint32,
            Kind::Sint64 => Self::Sint64,
            Kind::Fixed32 => Self::Fixed32,
            Kind::Fixed64 => Self::Fixed64,
            Kind::Sfixed32 => Self::Sfixed32,
            Kind::Sfixed64 => Self::Sfixed64,
            Kind::Bool => Self::Bool,
            Kind::String => Self::Text,
            Kind::Bytes => Self::Bytes,
            Kind::Enum(id) => Self::Enum(schema.enumeration(id).values.as_slice().into()),
            Kind::Message(_) => return None,
        })
    }

    /// What follows the tag of one value.
    pub(crate) fn wire_type(&self) -> WireType {
        match self {
            Self::Int32
            | Self::Int64
            | Self::Uint32
            | Self::Uint64
            | Self::Sint32
            | Self::Sint64
            | Self::Bool
            | Self::Enum(_) => WireType::Varint,
            Self::Double | Self::Fixed64 | Self::Sfixed64 => WireType::I64,
            Self::Float | Self::Fixed32 | Self::Sfixed32 => WireType::I32,
            Self::Text | Self::Bytes => WireType::Len,
        }
    }

    /// What a value is that was not written.
    pub(crate) fn zero(&self) -> Default {
        match self {
            Self::Double | Self::Float => Default::Float(0.0),
            Self::Uint64 | Self::Fixed64 => Default::UInt(0),
            Self::Bool => Default::Bool(false),
            Self::Text => Default::Text("".into()),
            Self::Bytes => Default::Bytes([].into()),
            Self::Enum(values) => match named(values, 0) {
                Some(name) => Default::Text(Arc::clone(name)),
                None => Default::Int(0),
            },
            Self::Int32
            | Self::Int64
            | Self::Uint32
            | Self::Sint32
            | Self::Sint64
            | Self::Fixed32
            | Self::Sfixed32
            | Self::Sfixed64 => Default::Int(0),
        }
    }

    /// Reads one value. Numbers that are too large for their type lose their upper bits, as everywhere.
    #[inline]
    pub(crate) fn read<'s, 'a: 's>(&'s self, reader: &mut Reader<'a>) -> Fallible<Scalar<'s>> {
        Ok(match self {
            Self::Double => Scalar::Float(f64::from_le_bytes(reader.eight()?)),
            Self::Float => Scalar::Float(f64::from(f32::from_le_bytes(reader.four()?))),
            Self::Int32 => Scalar::Int(i64::from(reader.varint()? as i32)),
            Self::Int64 => Scalar::Int(reader.varint()? as i64),
            Self::Uint32 => Scalar::Int(i64::from(reader.varint()? as u32)),
            Self::Uint64 => Scalar::UInt(reader.varint()?),
            Self::Sint32 => {
                let value = reader.varint()? as u32;
                Scalar::Int(i64::from((value >> 1) as i32 ^ -((value & 1) as i32)))
            }
            Self::Sint64 => {
                let value = reader.varint()?;
                Scalar::Int((value >> 1) as i64 ^ -((value & 1) as i64))
            }
            Self::Fixed32 => Scalar::Int(i64::from(u32::from_le_bytes(reader.four()?))),
            Self::Fixed64 => Scalar::UInt(u64::from_le_bytes(reader.eight()?)),
            Self::Sfixed32 => Scalar::Int(i64::from(i32::from_le_bytes(reader.four()?))),
            Self::Sfixed64 => Scalar::Int(i64::from_le_bytes(reader.eight()?)),
            Self::Bool => Scalar::Bool(reader.varint()? != 0),
            Self::Text | Self::Bytes => self.of_payload(reader.sized()?)?,
            Self::Enum(values) => {
                let number = reader.varint()? as i32;
                match named(values, number) {
                    Some(name) => Scalar::Text(name.as_bytes(), None),
                    None => Scalar::Int(i64::from(number)),
                }
            }
        })
    }

    /// The value of text or bytes whose length was read.
    pub(crate) fn of_payload<'a>(&self, bytes: Reader<'a>) -> Fallible<Scalar<'a>> {
        match self {
            Self::Bytes => Ok(Scalar::Bytes(bytes.rest(), bytes.place())),
            Self::Text => match std::str::from_utf8(bytes.rest()) {
                Ok(_) => Ok(Scalar::Text(bytes.rest(), bytes.place())),
                Err(error) => {
                    let at = error.valid_up_to();
                    let wrong = bytes.rest().get(at).copied().unwrap_or_default();
                    Err(Fault::new(bytes.at() + at, format!("string is not valid UTF-8 ({wrong:#04x})")))
                }
            },
            other => bytes.fault(format!("is {}; expected {}", WireType::Len.word(), other.wire_type().word())),
        }
    }
}

fn named(values: &[(i32, Arc<str>)], number: i32) -> Option<&Arc<str>> {
    values.binary_search_by_key(&number, |(known, _)| *known).ok().map(|index| &values[index].1)
}

/// A default, on its way into a column.
pub(crate) fn scalar(default: &Default) -> Scalar<'_> {
    match default {
        Default::Bool(value) => Scalar::Bool(*value),
        Default::Int(value) => Scalar::Int(*value),
        Default::UInt(value) => Scalar::UInt(*value),
        Default::Float(value) => Scalar::Float(*value),
        Default::Text(text) => Scalar::Text(text.as_bytes(), None),
        Default::Bytes(bytes) => Scalar::Bytes(bytes, None),
    }
}

/// The seconds and nanoseconds of a `Timestamp` or a `Duration`.
pub(crate) fn seconds_and_nanos(mut reader: Reader<'_>) -> Fallible<(i64, i32)> {
    let (mut seconds, mut nanos) = (0, 0);
    while let Some((number, wire)) = reader.tag()? {
        match (number, wire) {
            (1, WireType::Varint) => seconds = reader.varint()? as i64,
            (2, WireType::Varint) => nanos = reader.varint()? as i32,
            (other, wire) => reader.skip(other, wire)?,
        }
    }
    Ok((seconds, nanos))
}
