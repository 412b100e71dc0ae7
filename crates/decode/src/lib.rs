//! Bytes become columns. Pure: no I/O, no clock, no logging; what cannot be decoded comes back as a value.
//!
//! A source finds records in its bytes with a format's [`Framer`](weir_model::Framer) and hands them to the format's
//! [`Decoder`](weir_model::Decoder). [`FormatConfig`] is where both come from.
//!
//! | format | a record is | fields |
//! |---|---|---|
//! | `json` | a line | as the data has them, or just those that a plan needs |
//! | `text` | a line, or what begins with one of a certain look | `ts`, `message` |
//! | `csv` | a line, or several where a value in quotes has line ends | those that are named |
//! | `raw` | whatever the source says | `ts`, `value` |
//! | `avro` | a value with a schema | as its schema has them, or just those that a plan needs |
//! | `protobuf` | a message | as its schema has them, or just those that a plan needs |
//! | `spark_log` | a log event with its stack trace | see [`spark`] |

mod avro;
mod columns;
mod config;
mod csv;
#[cfg(test)]
mod cutting;
mod framing;
mod json;
mod keys;
mod line_framer;
mod line_pattern;
mod pattern_framer;
mod protobuf;
mod raw;
mod reject;
pub mod spark;
mod text;
mod time;
mod typed;
mod utf8;
mod whole_framer;
mod zone;

pub use avro::{AvroConfig, AvroFraming};
pub use config::{FormatConfig, JsonConfig, JsonFraming, RawConfig, SparkLogConfig, TextConfig, WrongSchema};
pub use csv::CsvConfig;
pub use line_pattern::LinePattern;
pub use protobuf::{ProtobufConfig, ProtobufFraming};
pub use weir_schema::{BasicAuth, BearerAuth, RegistryAuth, RegistryConfig, SchemaSource};
pub use zone::Zone;
