//! What can be typed to start pipelines, or all there is: `weir up`, `run`, `registry`. It does nothing.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{Overrides, SummaryFormat};

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
