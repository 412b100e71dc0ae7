//! What can be typed about a pipeline: `weir check`, `explain`, `test`, `state`, `replay`, `lag`. It does nothing.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Overrides, SummaryFormat};

/// Arguments of `weir check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The pipeline files.
    #[arg(required = true)]
    pub pipelines: Vec<PathBuf>,
    /// Overrides, applied to every pipeline.
    #[command(flatten)]
    pub overrides: Overrides,
    /// How findings are printed.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Text)]
    pub format: SummaryFormat,
}

/// Arguments of `weir explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The pipeline file, or the name of a pipeline that is up.
    pub pipeline: String,
    /// The data folder: when a Weir is up on it, what the pipeline is doing there is told too.
    #[arg(long, default_value = "./data", env = "WEIR_DATA")]
    pub data: PathBuf,
    /// Says why the record at this offset of this file (as in the columns source_file and source_offset) was late.
    #[arg(long, value_name = "FILE:OFFSET")]
    pub why_late: Option<String>,
    /// Overrides of the pipeline.
    #[command(flatten)]
    pub overrides: Overrides,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Text)]
    pub format: SummaryFormat,
}

/// Arguments of `weir test`.
#[derive(Debug, Args)]
#[command(after_help = TEST_HELP)]
pub struct TestArgs {
    /// Story files, folders of them, or patterns such as `stories/**/*.yaml`.
    #[arg(required = true, value_name = "STORY")]
    pub stories: Vec<PathBuf>,
    /// Writes what was found into the files, in the place of what was expected. Everything else in them stays as it is.
    #[arg(long)]
    pub update: bool,
    /// Plays each story only as it is written, not also cut into single records and with a crash after every step.
    #[arg(long)]
    pub no_replay: bool,
    /// How results are printed.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Text)]
    pub format: SummaryFormat,
}

const TEST_HELP: &str = "\
A story:
  pipeline: ../spark-errors.yaml      # seen from this file
  stories:
    an error is counted in its minute:
      - records: |
          26/01/01 10:00:05 ERROR Executor: first
          26/01/01 10:00:40 ERROR Executor: second
      - end
      - expect:
          errors_per_minute: |
            window_start  errors  pane
            10:00         2       on_time

docs/guide/testing-pipelines.md says everything that can stand in one.";

/// Arguments of `weir state`.
#[derive(Debug, Args)]
pub struct StateArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub command: StateCommand,
}

/// What can be done with state.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// Shows which epochs are kept, and what the newest state consists of, step by step. Also while the pipeline runs.
    Inspect {
        /// The name of the pipeline, or its file: with the file, what lies in a bucket (`state.snapshots`) is read there where this
        /// disk has no copy of it.
        #[arg(value_name = "NAME|FILE")]
        pipeline: String,
        /// Overrides of the pipeline, of its file.
        #[command(flatten)]
        overrides: Overrides,
        /// The data folder.
        #[arg(long, default_value = "./data", env = "WEIR_DATA")]
        data: PathBuf,
        /// Prints so many rows of the state of each step as well: keys, and what is computed so far in its inner form.
        #[arg(long, value_name = "ROWS", default_value_t = 0)]
        rows: usize,
        /// How it is printed.
        #[arg(long, value_enum, default_value_t = SummaryFormat::Text)]
        format: SummaryFormat,
    },
}

/// Arguments of `weir replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The pipeline file, as it is now: what is shown may have been made by an older version of it.
    pub pipeline: PathBuf,
    /// Results of windows that end after this time, and rows from this time on, such as 2026-01-31T12:00:00Z. Without it
    /// from the beginning.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Results of windows that begin before this time, and rows before this time. Without it up to what is still open.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Reads the rows that the pipeline has stored in this table in the place of the records of a source, where these are gone.
    /// May be repeated.
    #[arg(long = "input", value_name = "SOURCE=TABLE", value_parser = replay_input)]
    pub inputs: Vec<crate::replay::Input>,
    /// Swaps it in when it is compared, without asking.
    #[arg(long)]
    pub swap: bool,
    /// Swaps in the replay that was made before.
    #[arg(long, conflicts_with_all = ["from", "to", "swap"])]
    pub apply: bool,
    /// Takes back what was swapped in.
    #[arg(long, conflicts_with_all = ["from", "to", "swap", "apply"])]
    pub undo: bool,
    /// Removes the replay that was made before, and with it the way back.
    #[arg(long, conflicts_with_all = ["from", "to", "swap", "apply", "undo"])]
    pub discard: bool,
    /// Shows the replay that was made before.
    #[arg(long, conflicts_with_all = ["from", "to", "swap", "apply", "undo", "discard"])]
    pub status: bool,
    /// How many rows of each kind that differs are shown per table.
    #[arg(long, value_name = "ROWS", default_value_t = 3)]
    pub examples: usize,
    /// Where state and tables are kept; it may be in use.
    #[arg(long, default_value = "./data", env = "WEIR_DATA")]
    pub data: PathBuf,
    /// Overrides of the pipeline.
    #[command(flatten)]
    pub overrides: Overrides,
    /// Shows no progress.
    #[arg(long, short)]
    pub quiet: bool,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Text)]
    pub format: SummaryFormat,
}

/// `SOURCE=TABLE` of a replay.
fn replay_input(text: &str) -> Result<crate::replay::Input, String> {
    match text.split_once('=') {
        Some((source, table)) if !source.is_empty() && !table.is_empty() => {
            Ok(crate::replay::Input { source: source.to_owned(), table: table.to_owned() })
        }
        _ => Err("it is SOURCE=TABLE, such as orders=raw_orders".to_owned()),
    }
}

/// Arguments of `weir lag`.
#[derive(Debug, Args)]
pub struct LagArgs {
    /// The pipeline file. The pipeline may be up or not: what it has committed counts.
    pub pipeline: PathBuf,
    /// The data folder.
    #[arg(long, default_value = "./data", env = "WEIR_DATA")]
    pub data: PathBuf,
    /// How long to wait between two looks, from which the rates follow; `0s` looks once.
    #[arg(long, default_value = "2s")]
    pub interval: weir_model::DurationText,
    /// Overrides of the pipeline.
    #[command(flatten)]
    pub overrides: Overrides,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Text)]
    pub format: SummaryFormat,
}
