//! Keeps pipelines running: each on a thread of its own, restarted from its last commit when something passes by, stopped
//! for good when trying again cannot help.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use weir_engine::Reset;
use weir_model::{ErrorKind, SeamError, SeamResult};
use weir_observe::{NewOutput, PipelineHandle, PipelineState};

use super::Shared;
use super::patience::Stopping;
use super::task::{Finish, Task};
use crate::Job;

/// The pauses before a pipeline is started again; the last one repeats.
const RESTART_PAUSES: [Duration; 5] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// The pause where there was no room on the disk: it spares nobody to wait longer, and results wait meanwhile.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(1);

/// A pipeline that has run for so long is sound again: what fails it next is something else.
const STEADY: Duration = Duration::from_secs(120);

/// How long a pipeline is kept going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until it ends or fails for the first time.
    FirstEnd,
    /// Until it is stopped: a failure that may pass is followed by a restart from the last commit.
    Stopped,
}

/// How a pipeline ended.
#[derive(Debug)]
pub struct Ended {
    /// Which one.
    pub pipeline: String,
    /// Whether all its sources had ended, or why it could not go on.
    pub result: Result<bool, SeamError>,
}

/// Starts pipelines and waits for their ends.
pub struct Supervisor {
    shared: Shared,
    stop: watch::Sender<bool>,
    ended_sender: mpsc::UnboundedSender<Ended>,
    ended: mpsc::UnboundedReceiver<Ended>,
    running: usize,
}

impl Supervisor {
    /// A supervisor of nothing yet.
    pub fn new(shared: Shared) -> Self {
        let (ended_sender, ended) = mpsc::unbounded_channel();
        Self { shared, stop: watch::Sender::new(false), ended_sender, ended, running: 0 }
    }

    /// Puts `job` on the board and starts it on a thread of its own.
    ///
    /// # Errors
    /// When no thread can be had.
    pub fn start(&mut self, job: Job, until: Until) -> SeamResult<()> {
        let outputs = job.outputs.iter().map(|output| NewOutput {
            name: output.name.clone(),
            kind: output.output.kind().to_owned(),
            guarantee: output.output.guarantee(),
        });
        let handle = self.shared.board.add(&job.plan.pipeline, outputs.collect(), self.shared.clock.now());
        self.shared.health.starting(&job.plan.pipeline, "its state is being restored");
        let (shared, stop, sender) = (self.shared.clone(), self.stop.subscribe(), self.ended_sender.clone());
        let runtime = tokio::runtime::Handle::current();
        let name = job.plan.pipeline.clone();
        std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || {
                let result = runtime.block_on(keep_running(&job, &shared, &handle, until, stop));
                let _ = sender.send(Ended { pipeline: name, result });
            })
            .map_err(|error| SeamError::caused(ErrorKind::Closed, "no thread for the pipeline", error))?;
        self.running += 1;
        Ok(())
    }

    /// The next pipeline that ends; `None` when none is running. Cancel-safe.
    pub async fn next_end(&mut self) -> Option<Ended> {
        if self.running == 0 {
            return None;
        }
        let ended = self.ended.recv().await;
        self.running -= usize::from(ended.is_some());
        ended
    }

    /// Asks every pipeline to commit what it has taken and end.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }
}

/// Runs `job` here, on the caller's runtime, until it ends: whether all its sources had ended.
///
/// # Errors
/// Why it cannot go on: what trying again from the last commit would not mend, or after `stop` anything.
pub async fn keep_running(
    job: &Job,
    shared: &Shared,
    handle: &Arc<PipelineHandle>,
    until: Until,
    stop: watch::Receiver<bool>,
) -> Result<bool, SeamError> {
    let mut job = job.clone();
    let (mut restarts, mut stopping) = (Restarts::default(), Stopping::new(stop));
    loop {
        let began = Instant::now();
        let error = match attempt(&mut job, shared, handle, &stopping).await {
            Ok(finish) => {
                let ended = finish == Finish::SourcesEnded;
                handle.set_state(if ended { PipelineState::Finished } else { PipelineState::Stopped });
                return Ok(ended);
            }
            Err(error) => error,
        };
        let may_pass = matches!(error.kind, ErrorKind::Retry | ErrorKind::Unknown);
        if may_pass && stopping.is_asked() {
            // What was taken after the last commit is taken again at the next start.
            tracing::warn!(pipeline = handle.name(), error = error.full(), "stopped without a last commit");
            handle.set_state(PipelineState::Stopped);
            return Ok(false);
        }
        handle.failed(error.full());
        if until == Until::FirstEnd || !may_pass {
            return Err(error);
        }
        let pause = restarts.pause(began.elapsed(), error.is_no_room());
        tracing::error!(pipeline = handle.name(), error = error.full(), ?pause, "restarting from the last commit");
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = stopping.asked() => {
                handle.set_state(PipelineState::Stopped);
                return Ok(false);
            }
        }
    }
}

/// How often a pipeline has failed since it last ran well.
#[derive(Debug, Default)]
struct Restarts {
    failures: usize,
}

impl Restarts {
    /// How long it is waited after a failure of a pipeline that had run for so long.
    fn pause(&mut self, had_run: Duration, no_room: bool) -> Duration {
        if had_run >= STEADY {
            self.failures = 0;
        }
        if no_room {
            // It says nothing about the pipeline, and is not the first of several.
            return NO_ROOM_PAUSE;
        }
        let pause = RESTART_PAUSES[self.failures.min(RESTART_PAUSES.len() - 1)];
        self.failures += 1;
        pause
    }
}

async fn attempt(
    job: &mut Job,
    shared: &Shared,
    handle: &Arc<PipelineHandle>,
    stopping: &Stopping,
) -> SeamResult<Finish> {
    handle.set_state(PipelineState::Starting);
    if let Some(share) = &job.share {
        return super::worker::run(share, shared, handle, stopping).await;
    }
    let task = Task::recover(job, shared, handle, stopping).await?;
    job.recovery.reset = Reset::Nothing;
    shared.health.started(&job.plan.pipeline);
    task.run(stopping.clone()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_every_failure_up_to_the_longest_and_begin_anew_after_a_steady_time() {
        let mut restarts = Restarts::default();
        let pauses: Vec<_> = (0..7).map(|_| restarts.pause(Duration::from_secs(5), false)).collect();
        assert_eq!(pauses[..5], RESTART_PAUSES);
        assert_eq!(pauses[5..], [RESTART_PAUSES[4]; 2]);
        assert_eq!(restarts.pause(STEADY - Duration::from_millis(1), false), RESTART_PAUSES[4], "not steady yet");
        assert_eq!(restarts.pause(STEADY, false), RESTART_PAUSES[0]);
        assert_eq!(restarts.pause(Duration::ZERO, false), RESTART_PAUSES[1]);
    }

    #[test]
    fn a_full_disk_is_looked_at_again_soon_however_often_and_is_no_failure_of_the_pipeline() {
        let mut restarts = Restarts::default();
        let pauses: Vec<_> = (0..100).map(|_| restarts.pause(Duration::ZERO, true)).collect();
        assert!(pauses.iter().all(|pause| *pause == NO_ROOM_PAUSE));
        assert_eq!(restarts.pause(Duration::ZERO, false), RESTART_PAUSES[0]);
    }
}
