//! Protobuf schemas: proto2, proto3 and editions, as text, as a descriptor, or as a set of descriptors. The text is read by
//! protox; what comes out is a table of its own, so that nothing else knows that crate. Refuses services and options: they
//! say nothing about the bytes of a record.

mod compatibility;
mod parse;
mod schema;
#[cfg(test)]
mod tests;

pub use compatibility::can_read;
pub use parse::{MESSAGES_MAX, NESTING_MAX, SchemaError};
pub use schema::{Default, Enum, EnumId, Field, Kind, Label, Meaning, Message, MessageId, Schema};
