//! Avro schemas after the specification of Apache Avro 1.12: <https://avro.apache.org/docs/1.12.0/specification/>.
//! Refuses to guess at what the specification leaves to nobody.

mod canonical;
mod compatibility;
mod parse;
mod schema;
#[cfg(test)]
mod tests;

pub use compatibility::{Incompatible, can_read, promotes, same_name};
pub use parse::{NESTING_MAX, NODES_MAX, SchemaError};
pub use schema::{Enum, Field, Fixed, Kind, Logical, Node, NodeId, Record, Schema, TimeUnit};
