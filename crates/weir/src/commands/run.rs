//! `weir run`: one pipeline, until its sources end or somebody presses Ctrl-C.

use std::sync::Arc;

use weir_engine::Reset;
use weir_model::{Clock, SystemClock};
use weir_sql::SqlCompiler;

use super::load;
use crate::cli::{RunArgs, SummaryFormat};
use crate::exit::{ExitCode, Failure};
use crate::memory::{Memory, Use};
use crate::progress::{self, Progress};
use crate::retention::log_config;
use crate::running::{Recovery, Shared, Supervisor, Until};
use crate::{tables, watch};

/// Runs the command.
///
/// # Errors
/// When the pipeline is wrong, fails, meets trouble on the way, or is interrupted.
pub async fn run(args: &RunArgs) -> Result<(), Failure> {
    let mut job = load::job(&args.pipeline, &args.overrides)?;
    let fall_back = job.recovery.fall_back || args.fall_back;
    job.recovery = Recovery { fall_back, reset: reset(&args.reset_state) };
    let memory = Memory::new(args.memory, Use::Run)?;
    memory.share_among(std::slice::from_mut(&mut job))?;
    let tables_kept = memory.store(std::slice::from_ref(&job))?;
    let shared = Shared::open_with(&args.data, log_config([&job])?, tables_kept, Arc::new(SqlCompiler::new()))?;
    tables::settle(&shared.store, [&job])?;
    let (name, board) = (job.plan.pipeline.clone(), shared.board.clone());
    let mut supervisor = Supervisor::new(shared);
    supervisor.start(job, Until::FirstEnd)?;
    let handle = board.get(&name).ok_or_else(|| Failure::run("the pipeline is not on the board"))?;

    let progress = Progress::new(args.quiet || args.format == SummaryFormat::Json);
    let (ended, _) = watch::to_its_end(&mut supervisor, &handle, &progress).await;

    let status = handle.status(SystemClock.now());
    match args.format {
        SummaryFormat::Json => {
            println!("{}", serde_json::to_string(&status).map_err(|error| Failure::run(error.to_string()))?)
        }
        SummaryFormat::Text if !args.quiet => eprint!("{}", progress::summary(&status)),
        SummaryFormat::Text => {}
    }
    match ended.map(|ended| ended.result) {
        Some(Err(error)) => Err(error.into()),
        Some(Ok(false)) => {
            Err(Failure { code: ExitCode::Interrupted, message: "interrupted; what was taken is committed".into() })
        }
        Some(Ok(true)) | None if !status.trouble.is_empty() => {
            Err(Failure::run(format!("finished with trouble: {}", status.trouble[0].message)))
        }
        Some(Ok(true)) | None => Ok(()),
    }
}

/// The state that is to be left behind; a step without a name is all of them.
pub(super) fn reset(steps: &[String]) -> Reset {
    match steps {
        [] => Reset::Nothing,
        steps if steps.iter().any(String::is_empty) => Reset::Everything,
        steps => Reset::Steps(steps.iter().cloned().collect()),
    }
}
