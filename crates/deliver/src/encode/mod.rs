//! Rows as text and as records with a schema: JSON lines, comma-separated values, Avro, Protobuf, or as they are. Pure. Refuses to reorder
//! columns.

mod avro;
mod base64;
mod csv;
mod fit;
mod json;
mod json_schema;
mod protobuf;
mod raw;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod trial;
mod values;

pub(crate) use avro::{container_block, container_header, plain, records as avro_records, schema_of as avro_schema};
pub(crate) use base64::base64;
pub(crate) use csv::{csv_header, csv_lines, csv_rows};
pub use json::ndjson;
pub(crate) use json_schema::json_schema;
pub(crate) use protobuf::{message_indexes, messages as protobuf_messages, schema_of as protobuf_schema};
pub(crate) use raw::raw_values;
