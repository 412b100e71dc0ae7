//! Records of Protobuf into columns: only what a plan needs is built, the rest is passed over by its length. Refuses to build
//! messages, and to guess where a record does not fit its schema.

mod config;
mod decoder;
mod json;
mod limits;
mod plan;
mod reader;
mod run;
mod shapes;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use config::fixed_schema;
pub use config::{ProtobufConfig, ProtobufFraming};
pub(crate) use decoder::ProtobufDecoder;
