//! What can be typed about dead letters: `weir dlq`. It does nothing.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::QueryFormat;

/// Arguments of `weir dlq`.
#[derive(Debug, Args)]
pub struct DlqArgs {
    /// What to do with the dead letters.
    #[command(subcommand)]
    pub command: DlqCommand,
}

/// What can be done with dead letters.
#[derive(Debug, Subcommand)]
pub enum DlqCommand {
    /// Lists them, newest first.
    List(DlqListArgs),
    /// Shows some in full, with everything visible that a terminal would obey.
    Show(DlqShowArgs),
    /// Gives them to their pipeline again, each exactly once. What fails again is a dead letter again.
    Replay(DlqReplayArgs),
    /// Deletes them.
    Purge(DlqPurgeArgs),
}

/// Which dead letters are meant: those to which everything applies that is said.
#[derive(Debug, Args)]
pub struct LetterArgs {
    /// Only those of this pipeline.
    #[arg(long)]
    pub pipeline: Option<String>,
    /// Only those of this source.
    #[arg(long)]
    pub source: Option<String>,
    /// Only those whose reason contains this, in any case.
    #[arg(long)]
    pub reason: Option<String>,
    /// Only those that were rejected at or after this time, such as 2026-01-31T12:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Only those that were rejected before this time.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// The data folder.
    #[arg(long, default_value = "./data", env = "WEIR_DATA")]
    pub data: PathBuf,
    /// The table they are in.
    #[arg(long, default_value = "dead_letters")]
    pub table: String,
}

/// Arguments of `weir dlq list`.
#[derive(Debug, Args)]
pub struct DlqListArgs {
    /// Which.
    #[command(flatten)]
    pub which: LetterArgs,
    /// The largest number to list.
    #[arg(long, default_value_t = 100)]
    pub limit: usize,
    /// How they are written.
    #[arg(long, value_enum, default_value_t = QueryFormat::Table)]
    pub format: QueryFormat,
}

/// Arguments of `weir dlq show`.
#[derive(Debug, Args)]
pub struct DlqShowArgs {
    /// Their ids, as `weir dlq list` shows them.
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    /// Which, when pipelines share an id.
    #[command(flatten)]
    pub which: LetterArgs,
    /// Writes their records as they came, byte for byte, and nothing else.
    #[arg(long)]
    pub raw: bool,
}

/// Arguments of `weir dlq replay`.
#[derive(Debug, Args)]
pub struct DlqReplayArgs {
    /// Their ids; without any, all to which the rest applies.
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Which.
    #[command(flatten)]
    pub which: LetterArgs,
}

/// Arguments of `weir dlq purge`.
#[derive(Debug, Args)]
pub struct DlqPurgeArgs {
    /// Their ids; without any, all to which the rest applies.
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Which.
    #[command(flatten)]
    pub which: LetterArgs,
    /// Does not ask.
    #[arg(long)]
    pub yes: bool,
}
