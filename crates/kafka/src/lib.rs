//! How Weir speaks to Kafka, whichever way the data goes: connections, and what an error means. Refuses to read or write a
//! record: that is for sources and sinks.

mod connection;
mod error;
#[cfg(test)]
mod tests;

pub use connection::{Connection, Login, SaslConfig, Speaker, TlsConfig, is_broker, is_topic_name};
pub use error::{kind_of, seam_error};
