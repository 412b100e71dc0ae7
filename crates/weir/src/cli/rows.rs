//! What can be typed about the rows of tables: `weir query`, `search`, `tail`, `delete`. It does nothing.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Arguments of `weir query`.
#[derive(Debug, Args)]
pub struct QueryArgs {
    /// The question, in SQL. `-` reads it from standard input.
    pub sql: String,
    /// How it is answered.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// Arguments of `weir search`.
#[derive(Debug, Args)]
pub struct SearchArgs {
    /// The table.
    pub table: String,
    /// What is looked for, and what is made of it: `level:error "out of memory" | count by host`. Empty finds every row.
    #[arg(default_value = "", allow_hyphen_values = true)]
    pub search: String,
    /// How it is answered.
    #[command(flatten)]
    pub answer: AnswerArgs,
}

/// How a question is answered.
#[derive(Debug, Args)]
pub struct AnswerArgs {
    /// The data folder to ask.
    #[arg(long, default_value = "./data", env = "WEIR_DATA")]
    pub data: PathBuf,
    /// How the answer is written.
    #[arg(long, value_enum, default_value_t = QueryFormat::Table)]
    pub format: QueryFormat,
    /// The largest number of rows to print; 0 for all.
    #[arg(long, default_value_t = 0)]
    pub limit: usize,
    /// How long the query may take, such as `30s`.
    #[arg(long, default_value = "5m")]
    pub timeout: weir_model::DurationText,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum QueryFormat {
    /// For people.
    Table,
    /// One JSON object with columns and rows.
    Json,
    /// One JSON object per row.
    Ndjson,
    /// Comma-separated values with a header.
    Csv,
    /// An Arrow IPC stream.
    Arrow,
    /// A Parquet file.
    Parquet,
}

/// Arguments of `weir tail`.
#[derive(Debug, Args)]
pub struct TailArgs {
    /// The table.
    #[arg(default_value = "logs")]
    pub table: String,
    /// Only rows whose message contains this, in any case.
    #[arg(long, short)]
    pub search: Option<String>,
    /// The data folder of a Weir that is up.
    #[arg(long, default_value = "./data", env = "WEIR_DATA")]
    pub data: PathBuf,
    /// How rows are printed.
    #[arg(long, value_enum, default_value_t = TailFormat::Text)]
    pub format: TailFormat,
}

/// How `tail` prints rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TailFormat {
    /// Time, level and message.
    Text,
    /// One JSON object per row.
    Json,
}

/// Arguments of `weir delete`.
#[derive(Debug, Args)]
pub struct DeleteArgs {
    /// The table.
    pub table: String,
    /// Which rows: a condition in SQL, such as `level = 'DEBUG' AND ts < '2026-01-01'`. `true` means all of them.
    #[arg(long = "where", value_name = "CONDITION")]
    pub condition: String,
    /// Only says how many there are.
    #[arg(long)]
    pub dry_run: bool,
    /// Does not ask whether that is meant.
    #[arg(long, short)]
    pub yes: bool,
    /// The data folder; whoever may write to it may delete.
    #[arg(long, default_value = "./data", env = "WEIR_DATA")]
    pub data: PathBuf,
}
