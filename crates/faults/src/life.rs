//! One life of the process: it opens the data folder, runs the pipeline, takes what is posted, and ends somehow.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use weir_model::{ErrorKind, Guarantee, KeptCommit, Offset, SeamError};
use weir_observe::{NewOutput, PipelineHandle, PipelineState};
use weir_running::{Shared, Until, keep_running};

use crate::client::{Answer, Client};
use crate::oracle;
use crate::pipeline::{OUTPUTS, PIPELINE, job};
use crate::scenario::{Life, Mishap, Setup};
use crate::world::World;

/// Nothing takes longer, in the time of the simulation: after this something hangs.
const LIMIT: Duration = Duration::from_secs(300);
/// Without faults everything that is posted is committed within this, besides the pauses of the client.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(60);
/// How long it is waited for sources that are paused because others are behind.
const DRIFT_PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked whether the process still lives.
const LOOK: Duration = Duration::from_millis(20);
/// How long the client waits before it tries again.
const AGAIN: Duration = Duration::from_millis(100);
/// Before one of so many posts it is looked what can be seen.
const LOOK_EVERY: usize = 3;
/// After so many posts the log is asked to delete what was read.
const RETAIN_EVERY: usize = 3;

/// How a life ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The power failed, or it was killed.
    Died,
    /// It gave up, as it should when a disk fails.
    GaveUp(SeamError),
    /// It was asked to, or everything was done.
    Finished(Arc<PipelineHandle>),
}

/// How long a pipeline runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Until everything is posted and committed, or something goes wrong.
    CatchUp,
    /// Until everything that is in the log was read; then all windows end.
    End,
    /// Not at all: it recovers, and stops.
    Recover,
}

/// Lives once.
pub(crate) fn live(
    world: &mut World,
    client: &mut Client,
    setup: &Setup,
    (life, goal): (&Life, Goal),
) -> Result<End, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    let before = world.disk.operations();
    for Mishap { kind, after, fault } in &life.mishaps {
        match kind {
            None => world.disk.fail_at(before + after, *fault),
            Some(kind) => world.disk.fail_at_next(kind, *after, *fault),
        }
    }
    let ended = runtime.block_on(async {
        let began = tokio::time::Instant::now();
        let ended = lived(world, client, setup, (life, goal)).await;
        world.passed += began.elapsed();
        ended
    });
    world.disk.set_capacity(None);
    ended
}

async fn lived(world: &World, client: &mut Client, setup: &Setup, (life, goal): (&Life, Goal)) -> Result<End, String> {
    let shared = match world.open(setup) {
        Ok(shared) => shared,
        Err(_) if !world.disk.is_powered() => return Ok(End::Died),
        Err(error) => return Ok(End::GaveUp(error)),
    };
    if life.flip.is_none() {
        let committed = world.positions(setup.sources);
        let needed: Vec<u64> = committed.iter().map(|(_, next)| if setup.retains { *next } else { 0 }).collect();
        client.check(&shared.log, &needed)?;
        oracle::committed(world, &shared, client, setup)?;
    }
    let outputs =
        OUTPUTS.map(|name| NewOutput { name: name.to_owned(), kind: String::new(), guarantee: Guarantee::ExactlyOnce });
    let handle = shared.board.add(PIPELINE, outputs.into(), shared.clock.now());
    let (stop, stopped) = watch::channel(goal == Goal::Recover);
    let job = job(setup, world.root(), goal != Goal::End);
    let until = if goal == Goal::End { Until::FirstEnd } else { Until::Stopped };
    let running = keep_running(&job, &shared, &handle, until, stopped);
    let ended = tokio::select! {
        biased;
        ended = running => ended.map(|_| ()),
        () = died(world) => return Ok(End::Died),
        never = disturb(world, life, &stop) => match never {},
        done = post_all(world, client, setup, (&shared, &handle), &stop), if goal == Goal::CatchUp => match done? {
            LogClosed => Err(SeamError::new(ErrorKind::Closed, "the log takes nothing more")),
        },
        () = tokio::time::sleep(LIMIT) => return Err(format!("nothing came to an end within {LIMIT:?}: {:?}", handle.status(shared.clock.now()))),
    };
    match ended {
        _ if !world.disk.is_powered() => Ok(End::Died),
        Ok(()) => Ok(End::Finished(handle)),
        Err(error) => Ok(End::GaveUp(error)),
    }
}

/// Resolves once the process should be gone.
async fn died(world: &World) {
    while world.disk.is_powered() {
        tokio::time::sleep(LOOK).await;
    }
}

/// What happens at a time, not at an operation.
async fn disturb(world: &World, life: &Life, stop: &watch::Sender<bool>) -> std::convert::Infallible {
    let full = async {
        let Some((from, length, left)) = life.full else { return };
        tokio::time::sleep(Duration::from_millis(from)).await;
        world.disk.set_capacity(Some(world.disk.used_bytes() + left));
        tokio::time::sleep(Duration::from_millis(length)).await;
        world.disk.set_capacity(None);
    };
    let asked = async {
        let Some(at) = life.stop_ms else { return };
        tokio::time::sleep(Duration::from_millis(at)).await;
        stop.send_replace(true);
    };
    tokio::join!(full, asked);
    std::future::pending().await
}

/// The log's disk failed.
struct LogClosed;

/// Posts what there is to post. Once it is committed the pipeline is stopped, whose end is then the end of this life.
async fn post_all(
    world: &World,
    client: &mut Client,
    setup: &Setup,
    (shared, handle): (&Shared, &Arc<PipelineHandle>),
    stop: &watch::Sender<bool>,
) -> Result<LogClosed, String> {
    let mut posts = 0;
    while let Some(post) = client.next() {
        tokio::time::sleep(Duration::from_millis(post.pause_ms)).await;
        // Between two lives of the pipeline there may be half of what is being copied.
        if posts % LOOK_EVERY == 0 && world.disk.is_powered() && handle.state() == PipelineState::Running {
            oracle::visible(world, shared, client, setup)?;
        }
        loop {
            match client.post(&shared.log)? {
                Answer::Acknowledged => break,
                Answer::TryLater => tokio::time::sleep(AGAIN).await,
                Answer::Closed => return Ok(LogClosed),
            }
        }
        posts += 1;
        if setup.retains && posts % RETAIN_EVERY == 0 {
            retain(world, shared, setup).await;
        }
    }
    let since = tokio::time::Instant::now();
    // A source that is paused waits for one to which nothing more is posted: only the end makes it go on.
    let may_wait = |since: tokio::time::Instant| setup.drift.is_some() && since.elapsed() > DRIFT_PATIENCE;
    while !is_caught_up(world, shared, setup) && !may_wait(since) {
        if since.elapsed() > CATCH_UP_LIMIT {
            return Err(format!("what was posted was not committed within {CATCH_UP_LIMIT:?}"));
        }
        tokio::time::sleep(LOOK).await;
    }
    stop.send_replace(true);
    std::future::pending().await
}

/// Deletes segments of which everything is committed, by every commit that can still be gone back to.
async fn retain(world: &World, shared: &Shared, setup: &Setup) {
    let Ok(kept) = shared.commits.kept(PIPELINE).await else { return };
    for (topic, newest) in world.positions(setup.sources) {
        let next = |kept: &KeptCommit| {
            let positions = kept.commit.as_ref().ok()?.positions.get(&topic)?;
            positions.values().next().map(|position| position.offset.0)
        };
        let needed = kept.iter().map(|kept| next(kept).unwrap_or(0)).min().unwrap_or(newest);
        // A disk that fails is the log's to tell.
        let _ = shared.log.retain(topic.as_str(), Offset(needed));
    }
}

fn is_caught_up(world: &World, shared: &Shared, setup: &Setup) -> bool {
    world.positions(setup.sources).iter().all(|(topic, next)| shared.log.end(topic.as_str()).0 <= *next)
}
