//! Records of Avro into columns: only what a plan needs is built, the rest is passed over by the writer's schema. Refuses
//! to build a tree of values, and to guess where a record does not fit its schema.

mod config;
mod decoder;
mod default;
mod limits;
mod plan;
mod reader;
mod run;
mod shapes;
mod skip;
#[cfg(test)]
mod tests;
mod text;
mod wire;

pub(crate) use config::fixed_schema;
pub use config::{AvroConfig, AvroFraming};
pub(crate) use decoder::AvroDecoder;
