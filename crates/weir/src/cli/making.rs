//! What can be typed to make data: `weir gen`. It does nothing.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `weir gen`.
#[derive(Debug, Args)]
pub struct GenArgs {
    /// What to make.
    #[command(subcommand)]
    pub what: GenCommand,
}

/// What can be made.
#[derive(Debug, Subcommand)]
pub enum GenCommand {
    /// JSON log lines of 348 bytes: the same seed gives the same bytes.
    Logs {
        /// How many.
        #[arg(long, default_value_t = 1_000_000)]
        rows: u64,
        /// The seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How fast event time runs, in rows per second.
        #[arg(long, default_value_t = 1389.0)]
        rows_per_sec: f64,
        /// The file to write; standard output without it.
        #[arg(long, short)]
        out: Option<PathBuf>,
    },
}
