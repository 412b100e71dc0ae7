//! What can be typed about Kafka itself: `weir kafka`. It does nothing.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What can be done with Kafka.
#[derive(Debug, Subcommand)]
pub enum KafkaCommand {
    /// Topics.
    #[command(subcommand)]
    Topics(TopicsCommand),
}

/// What can be done with topics.
#[derive(Debug, Subcommand)]
pub enum TopicsCommand {
    /// Makes the topics that a file names: creates what is missing and adds partitions. It takes nothing away, and says what is
    /// otherwise than the file says.
    Apply(TopicsApplyArgs),
}

/// Arguments of `weir kafka topics apply`.
#[derive(Debug, Args)]
pub struct TopicsApplyArgs {
    /// The file: brokers, and topics with their partitions and settings.
    pub file: PathBuf,
    /// Some of the brokers, in the place of those in the file.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub brokers: Vec<String>,
    /// Says what would be done, and does nothing.
    #[arg(long)]
    pub dry_run: bool,
}
