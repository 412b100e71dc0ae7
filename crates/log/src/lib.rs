//! Bytes are safe: topics of records on the local disk, acknowledged after they are durable, read by offset.
//! Knows nothing of what is in a record.

mod config;
mod log;

pub use config::LogConfig;
pub use log::{AppendAck, Log};
