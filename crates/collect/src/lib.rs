//! Where bytes come in: sources that yield records with positions, and the pure splitting of request bodies.
//! Refuses to look inside a record: that is decoding.

mod body;
mod config;
mod cutter;
mod file;
#[cfg(test)]
mod framers;
mod kafka;
mod log;
mod stdin;

pub use body::{BodyError, BodyLimits, decompress, split_body};
pub use config::SourceConfig;
pub use file::{FileConfig, FileSource, StartAt, names_file};
pub use kafka::{
    Envelope, KafkaConfig, KafkaSource, KafkaStart, LastRecord, Parts as EnvelopeParts, StartTime, Tombstones,
    differing,
};
pub use weir_log::PARTITIONS_MAX;

pub use log::{Acknowledge, HttpConfig, LogConfig, LogSource, Lost, RetainConfig, Unread, log_partition};
pub use stdin::{StdinConfig, StdinSource};
