//! Which columns a message becomes when everything is wanted, or when a plan leaves the type of a field to its schema.

use std::sync::Arc;

use weir_schema::protobuf::{Field, Kind, Label, Meaning, MessageId, Schema};

use super::limits::{COLUMNS_MAX, STRUCT_DEPTH_MAX};
use crate::typed::Shape;

/// Seconds to the nanosecond, of as many digits as a `Duration` may have.
pub(crate) const DURATION: Shape = Shape::Decimal { precision: 21, scale: 9 };

/// Finds shapes; counts the columns.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    columns: usize,
    trail: Vec<MessageId>,
}

impl Shapes {
    /// The columns of a message.
    pub(crate) fn members(&mut self, schema: &Schema, message: MessageId) -> Vec<(Arc<str>, Shape)> {
        self.trail.push(message);
        let fields = schema.message(message).fields.iter();
        let members = fields.map(|field| (Arc::clone(&field.name), self.field(schema, field))).collect();
        self.trail.pop();
        members
    }

    fn field(&mut self, schema: &Schema, field: &Field) -> Shape {
        let value = self.value(schema, field.kind);
        match field.label {
            Label::Single | Label::Required => value,
            Label::Repeated => Shape::List(Box::new(value)),
            Label::Map { .. } => Shape::Map(Box::new(value)),
        }
    }

    fn value(&mut self, schema: &Schema, kind: Kind) -> Shape {
        self.columns += 1;
        match kind {
            Kind::Double | Kind::Float => Shape::Float,
            Kind::Int32
            | Kind::Int64
            | Kind::Uint32
            | Kind::Sint32
            | Kind::Sint64
            | Kind::Fixed32
            | Kind::Sfixed32
            | Kind::Sfixed64 => Shape::Int,
            Kind::Uint64 | Kind::Fixed64 => Shape::UInt,
            Kind::Bool => Shape::Bool,
            Kind::String | Kind::Enum(_) => Shape::Text,
            Kind::Bytes => Shape::Bytes,
            Kind::Message(id) => match schema.message(id).means {
                Some(Meaning::Timestamp) => Shape::Instant { nanos: true, local: false },
                Some(Meaning::Duration) => DURATION,
                Some(Meaning::Wrapper) => {
                    schema.message(id).field(1).map_or(Shape::Text, |field| self.value(schema, field.kind))
                }
                Some(Meaning::Struct | Meaning::Value | Meaning::List) => Shape::Text,
                None if self.is_too_deep(id) => Shape::Text,
                None => match self.members(schema, id) {
                    members if members.is_empty() => Shape::Text,
                    members => Shape::Struct(members),
                },
            },
        }
    }

    fn is_too_deep(&self, message: MessageId) -> bool {
        self.trail.contains(&message) || self.trail.len() > STRUCT_DEPTH_MAX || self.columns > COLUMNS_MAX
    }
}
