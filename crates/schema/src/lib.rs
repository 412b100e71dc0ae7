//! Schemas of records that are not text: read, compared, and told apart; and where people say they are. Pure: knows no bytes
//! of records, reads no file and asks no registry.

pub mod avro;
pub mod protobuf;
mod registry;
mod source;

pub use registry::{BasicAuth, BearerAuth, RegistryAuth, RegistryConfig};
pub use source::SchemaSource;
