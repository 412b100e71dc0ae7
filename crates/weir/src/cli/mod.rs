//! What can be typed: commands, options, their help. It does nothing.

mod letters;
mod making;
mod pipelines;
mod rows;
mod saving;
mod starting;
mod topics;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use letters::{DlqArgs, DlqCommand, DlqListArgs, DlqPurgeArgs, DlqReplayArgs, DlqShowArgs, LetterArgs};
pub use making::{GenArgs, GenCommand};
pub use pipelines::{CheckArgs, ExplainArgs, LagArgs, ReplayArgs, StateArgs, StateCommand, TestArgs};
pub use rows::{AnswerArgs, DeleteArgs, QueryArgs, QueryFormat, SearchArgs, TailArgs, TailFormat};
pub use saving::{BackupArgs, RestoreArgs};
pub use starting::{RegistryArgs, RunArgs, UpArgs};
pub use topics::{KafkaCommand, TopicsApplyArgs, TopicsCommand};

/// Exactly-once pipelines for logs, metrics and events of Spark and Kafka shops, in one binary.
#[derive(Debug, Parser)]
#[command(name = "weir", version, about, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How Weir's own log is written to standard error.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Auto, env = "WEIR_LOG_FORMAT", help_heading = "Logging")]
    pub log_format: LogFormat,
    /// What of Weir's own log is written, such as `info` or `weir_store=debug,warn`. Default: `info` of `weir up`, `warn`
    /// of every other command.
    #[arg(long, global = true, env = "WEIR_LOG", help_heading = "Logging")]
    pub log: Option<String>,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    all went well
  1    it ran, and something went wrong: the message says what
  2    it did not start: the command line or the pipeline file is wrong
  130  interrupted before the end; what was accepted is safe and the next run goes on from there";

/// What Weir does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Starts everything: pipelines, HTTP ingest, queries and the web page.
    Up(UpArgs),
    /// Runs one pipeline until its sources end, or until Ctrl-C.
    Run(RunArgs),
    /// Checks pipelines without starting them: plan, guarantees, what is wrong and where.
    Check(CheckArgs),
    /// Says what a pipeline does and what it costs; where one is up, what it waits for and why an event was late.
    Explain(ExplainArgs),
    /// Plays stories against pipelines, without starting anything: these records, then that happens, then this comes out.
    Test(TestArgs),
    /// Answers a question in SQL.
    Query(QueryArgs),
    /// Finds rows in the short language of searches, and counts or orders them.
    Search(SearchArgs),
    /// Shows the rows of a table as they arrive.
    Tail(TailArgs),
    /// Deletes rows of a table for which a condition is true, for good.
    Delete(DeleteArgs),
    /// Looks at records that could not be processed.
    Dlq(DlqArgs),
    /// Computes the results of a past span of time anew, compares them with what is shown, and puts them in its place.
    Replay(ReplayArgs),
    /// Looks at what pipelines remember.
    State(StateArgs),
    /// Shows how far a pipeline is behind the topics of Kafka that it reads.
    Lag(LagArgs),
    /// Looks after Kafka.
    #[command(subcommand)]
    Kafka(KafkaCommand),
    /// Runs a schema registry, alone: `weir up --registry ADDRESS` runs it beside the pipelines.
    Registry(RegistryArgs),
    /// Saves the data folder, also while it is in use: consistent, and only what is new.
    Backup(BackupArgs),
    /// Brings a data folder back from a backup, or lists and checks backups.
    Restore(RestoreArgs),
    /// Makes data to try things with.
    Gen(GenArgs),
    /// Prints the completion script of a shell.
    #[command(hide = true)]
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Prints the manual page.
    #[command(hide = true)]
    Man,
}

impl Cli {
    /// What of Weir's own log is written.
    pub fn log_filter(&self) -> &str {
        match (&self.log, &self.command) {
            (Some(filter), _) => filter,
            (None, Command::Up(_) | Command::Registry(_)) => "warn,weir=info",
            (None, _) => "warn",
        }
    }
}

/// How Weir's own log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// Where a pipeline comes from and what is changed in it.
#[derive(Debug, Args)]
pub struct Overrides {
    /// Overrides any key of the pipeline: `--set 'sources.logs.file.paths=["/var/log/*.log"]'`. May be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub set: Vec<String>,
}

/// How the summary of a run is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SummaryFormat {
    /// For people, on standard error.
    Text,
    /// One JSON object on standard output.
    Json,
}
