//! What can be typed: commands, options, their help. It does nothing.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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

/// Arguments of `weir up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    /// Pipeline files. Without any, rows posted to /api/v1/ingest/logs are stored in the table `logs`.
    pub pipelines: Vec<PathBuf>,
    /// Where everything is kept.
    #[arg(long, default_value = "./data", env = "WEIR_DATA")]
    pub data: PathBuf,
    /// The address of the web page and the API.
    #[arg(long, default_value = "127.0.0.1:7280", env = "WEIR_LISTEN")]
    pub listen: SocketAddr,
    /// Also runs a schema registry (the API of Confluent's) at this address, such as 127.0.0.1:8081.
    #[arg(long, value_name = "ADDRESS", env = "WEIR_REGISTRY_LISTEN")]
    pub registry: Option<SocketAddr>,
    /// Also answers clients of PostgreSQL (psql, drivers, dashboards) at this address, such as 127.0.0.1:5433; read-only.
    #[arg(long, value_name = "ADDRESS", env = "WEIR_POSTGRES_LISTEN")]
    pub postgres: Option<SocketAddr>,
    /// Also answers clients of Arrow Flight SQL (ADBC and JDBC drivers) at this address, such as 127.0.0.1:7281; read-only.
    #[arg(long, value_name = "ADDRESS", env = "WEIR_FLIGHT_LISTEN")]
    pub flight: Option<SocketAddr>,
    /// How much memory the process may take, such as `2GiB`, at least 256MiB: shared among questions, posted bodies, tables and
    /// pipelines. Default: three quarters of what the machine, or the container, has.
    #[arg(long, value_name = "SIZE", env = "WEIR_MEMORY")]
    pub memory: Option<weir_model::ByteSize>,
    /// How long a stop (Ctrl-C, SIGTERM) may take: three tenths of it for the last commit of the pipelines, six for requests
    /// that are open. What is not committed by then is read again at the next start.
    #[arg(long, value_name = "TIME", default_value_t = weir_model::DurationText::secs(5), env = "WEIR_STOP_WITHIN")]
    pub stop_within: weir_model::DurationText,
    /// Allows an address that other machines can reach, although nobody has to log in.
    #[arg(long)]
    pub allow_unauthenticated: bool,
    /// If the newest state is damaged, goes back to an older one also where outputs (standard output, Kafka) then get
    /// rows twice. Tables and files are always set back to what they showed then.
    #[arg(long)]
    pub fall_back: bool,
    /// Leaves state behind and goes on from the same positions: that of a whole pipeline, or of one of its steps. What
    /// the open windows hold is in no result then. May be repeated.
    #[arg(long, value_name = "PIPELINE[/STEP]")]
    pub reset_state: Vec<String>,
    /// Overrides, applied to every pipeline named on the command line.
    #[command(flatten)]
    pub overrides: Overrides,
}

/// Arguments of `weir registry`.
#[derive(Debug, Args)]
pub struct RegistryArgs {
    /// Where the schemas are kept: the file registry.sqlite in this folder.
    #[arg(long, default_value = "./data", env = "WEIR_DATA")]
    pub data: PathBuf,
    /// The address of the API.
    #[arg(long, default_value = "127.0.0.1:8081", env = "WEIR_REGISTRY_LISTEN")]
    pub listen: SocketAddr,
    /// Allows an address that other machines can reach, although nobody has to log in.
    #[arg(long)]
    pub allow_unauthenticated: bool,
}

/// Arguments of `weir run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The pipeline file.
    pub pipeline: PathBuf,
    /// Where state and tables are kept.
    #[arg(long, default_value = "./data", env = "WEIR_DATA")]
    pub data: PathBuf,
    /// How much memory the process may take, such as `2GiB`, at least 256MiB. Default: three quarters of what the machine, or
    /// the container, has.
    #[arg(long, value_name = "SIZE", env = "WEIR_MEMORY")]
    pub memory: Option<weir_model::ByteSize>,
    /// Overrides of the pipeline.
    #[command(flatten)]
    pub overrides: Overrides,
    /// If the newest state is damaged, goes back to an older one also where outputs (standard output, Kafka) then get
    /// rows twice. Tables and files are always set back to what they showed then.
    #[arg(long)]
    pub fall_back: bool,
    /// Leaves the state of this step behind and goes on from the same positions: what its open windows hold is in no
    /// result. Without a step: the state of all steps. May be repeated.
    #[arg(long, value_name = "STEP", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub reset_state: Vec<String>,
    /// Prints no progress and no summary.
    #[arg(long, short)]
    pub quiet: bool,
    /// How the summary is printed.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Text)]
    pub format: SummaryFormat,
}

/// How the summary of a run is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SummaryFormat {
    /// For people, on standard error.
    Text,
    /// One JSON object on standard output.
    Json,
}

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

/// `NAME=VALUE` of an option.
fn bucket_option(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("it is NAME=VALUE, such as region=eu-central-1".to_owned()),
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

/// Arguments of `weir backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Where backups are kept: a folder, or a place in a bucket: `s3://bucket/prefix`, `gs://`, `az://`. Contents that are there
    /// are not written again.
    #[arg(value_name = "FOLDER|URL")]
    pub to: String,
    /// Of a bucket: an option by the name that object stores have for it, such as `region=eu-central-1` or
    /// `endpoint=http://127.0.0.1:9000`. Keys and what is not said are taken from the environment, as the cloud's own tools do
    /// (AWS_ACCESS_KEY_ID and so on). May be repeated.
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = bucket_option)]
    pub options: Vec<(String, String)>,
    /// The data folder; it may be in use.
    #[arg(long, default_value = "./data", env = "WEIR_DATA")]
    pub data: PathBuf,
    /// Deletes older backups afterwards: how many are kept, such as `10`, or how long, such as `7d`. The newest always is.
    #[arg(long, value_name = "N|AGE")]
    pub keep: Option<crate::backup::Keep>,
    /// Leaves rows that lie in buckets (`tiers`) there, and only names them: whatever is restored needs the buckets as they were.
    #[arg(long)]
    pub without_tiers: bool,
    /// How the summary is printed.
    #[arg(long, value_enum, default_value_t = SummaryFormat::Text)]
    pub format: SummaryFormat,
}

/// Arguments of `weir restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// Where backups are kept: a folder, or a place in a bucket.
    #[arg(value_name = "FOLDER|URL")]
    pub from: String,
    /// Of a bucket: an option, as of `weir backup`. May be repeated.
    #[arg(long = "option", value_name = "NAME=VALUE", value_parser = bucket_option)]
    pub options: Vec<(String, String)>,
    /// Which backup; the newest without it.
    #[arg(long)]
    pub id: Option<String>,
    /// The data folder to make. It must be empty or not there.
    #[arg(long, default_value = "./data", env = "WEIR_DATA")]
    pub data: PathBuf,
    /// Only reads the backup and compares it with its checksums.
    #[arg(long, conflicts_with = "list")]
    pub verify: bool,
    /// Only lists the backups there are.
    #[arg(long)]
    pub list: bool,
}

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
