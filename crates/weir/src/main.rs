//! The binary: reads the command line, runs one command, says how it ended.

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use weir::cli::{Cli, Command, LogFormat};
use weir::commands;
use weir::exit::Failure;

/// It gives memory back that is free: what the process takes is what it uses.
#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The stack of every thread that may plan a query: long expressions recurse deeply.
const STACK_BYTES: usize = 16 << 20;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = match cli.log_format {
        LogFormat::Auto => weir_observe::LogFormat::Auto,
        LogFormat::Text => weir_observe::LogFormat::Text,
        LogFormat::Json => weir_observe::LogFormat::Json,
    };
    let outcome = weir_observe::init_logging(format, cli.log_filter())
        .map_err(|error| Failure::refused(error.full()))
        .and_then(|()| run(&cli.command));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::from(failure.code as u8)
        }
    }
}

fn run(command: &Command) -> Result<(), Failure> {
    match command {
        Command::Up(args) => asynchronous(commands::up::run(args)),
        Command::Run(args) => asynchronous(commands::run::run(args)),
        Command::Check(args) => commands::check::run(args),
        Command::Test(args) => commands::test::run(args),
        Command::Explain(args) => asynchronous(commands::explain::run(args)),
        Command::Query(args) => asynchronous(commands::query::run(args)),
        Command::Search(args) => asynchronous(commands::query::search(args)),
        Command::Tail(args) => asynchronous(commands::tail::run(args)),
        Command::Delete(args) => asynchronous(commands::delete::run(args)),
        Command::Dlq(args) => asynchronous(commands::dlq::run(args)),
        Command::Replay(args) => asynchronous(commands::replay::run(args)),
        Command::State(args) => commands::state::run(args),
        Command::Lag(args) => asynchronous(commands::lag::run(args)),
        Command::Kafka(command) => asynchronous(commands::kafka::run(command)),
        Command::Registry(args) => asynchronous(commands::registry::run(args)),
        Command::Backup(args) => commands::backup::backup(args),
        Command::Restore(args) => commands::backup::restore(args),
        Command::Gen(args) => commands::generate::run(args),
        Command::Completions { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "weir", &mut std::io::stdout());
            Ok(())
        }
        Command::Man => clap_mangen::Man::new(Cli::command())
            .render(&mut std::io::stdout())
            .map_err(|error| Failure::run(error.to_string())),
    }
}

fn asynchronous(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()
        .map_err(|error| Failure::run(format!("no threads: {error}")))?;
    let outcome = runtime.block_on(work);
    // A reader that waits on standard input cannot be cancelled; it must not keep the process.
    runtime.shutdown_background();
    outcome
}
