//! Bytes are safe: topics of records on the local disk, acknowledged after they are durable, read by offset.
//! Knows nothing of what is in a record.
//!
//! `<folder>/<topic>/<partition>/<base offset, 20 digits>.log`, frames as [`frame`] says. One thread per partition
//! writes: it takes all appends that are waiting, writes them with one call, syncs once and acknowledges them all, so the
//! slower the disk the larger the groups. Readers see only what is durable.

mod config;
mod frame;
mod keys;
mod log;
mod partition;
mod read;
mod recover;
mod remember;
mod retain;
mod segment;
#[cfg(test)]
mod tests;
mod topic;
mod writer;

pub use config::{LogConfig, PARTITIONS_MAX, Retain, TopicConfig, Unread};
pub use log::{AppendAck, AppendOptions, Log, TopicPartition};
pub use retain::{PartitionMeasure, Retained};
