//! What is done while an output takes no rows: wait, ever longer and with jitter, and say so. Refuses to wait for ever, and
//! to keep a process that was asked to stop.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use weir_model::{
    Backoff, BackoffConfig, BreakerConfig, BreakerState, Clock, ErrorKind, ProcessingTime, SeamError, SeamResult,
    TimeDelta,
};
use weir_observe::{Guarded, Health, OutputWaiting, PipelineHandle};

use super::Shared;
use super::shown_breaker::ShownBreaker;

/// How long calls may go on after the process was asked to stop; what is not done then is done at the next start.
const STOPPED_WITHIN: Duration = Duration::from_secs(3);
/// A call that takes so long is shown as waiting.
const SLOW: Duration = Duration::from_secs(3);

/// Knows when everything is to stop.
#[derive(Clone)]
pub(super) struct Stopping {
    asked: watch::Receiver<bool>,
    /// When even calls that are under way are given up.
    over: Arc<OnceLock<Instant>>,
}

impl Stopping {
    pub(super) fn new(asked: watch::Receiver<bool>) -> Self {
        Self { asked, over: Arc::default() }
    }

    /// Resolves once somebody wants everything to stop, or nobody is left who could say so. Cancel-safe.
    pub(super) async fn asked(&mut self) {
        let _ = self.asked.wait_for(|asked| *asked).await;
    }

    /// Whether that is so.
    pub(super) fn is_asked(&self) -> bool {
        *self.asked.borrow()
    }

    /// Resolves when calls that are under way are given up. Cancel-safe.
    async fn over(&mut self) {
        self.asked().await;
        tokio::time::sleep_until(*self.over.get_or_init(|| Instant::now() + STOPPED_WITHIN)).await;
    }
}

/// Tries again what an output could not do, whatever it was: writing, preparing and committing share one breaker.
pub(super) struct Patience {
    output: String,
    breaker: ShownBreaker,
    backoff: Backoff,
    /// The state of the generator of random numbers.
    random: u64,
    clock: Arc<dyn Clock>,
    handle: Arc<PipelineHandle>,
    health: Arc<Health>,
    stopping: Stopping,
    /// Whether the board says that it waits.
    shown: bool,
}

impl Patience {
    pub(super) fn new(
        output: &str,
        retry: BackoffConfig,
        shared: &Shared,
        handle: &Arc<PipelineHandle>,
        stopping: &Stopping,
    ) -> Self {
        let breaker = BreakerConfig { open_for_max: retry.max, ..BreakerConfig::default() };
        Self {
            output: output.to_owned(),
            breaker: ShownBreaker::new(breaker, Guarded::Output(output.to_owned()), handle),
            backoff: Backoff::new(retry),
            random: shared.clock.now().micros().unsigned_abs() ^ hash(output),
            clock: Arc::clone(&shared.clock),
            handle: Arc::clone(handle),
            health: Arc::clone(&shared.health),
            stopping: stopping.clone(),
            shown: false,
        }
    }

    /// Makes a call, again and again while the output cannot take it now.
    ///
    /// # Errors
    /// What the call says when trying again does not help; `Retry` when the deadline has passed; `Unknown` when the process
    /// was asked to stop meanwhile.
    pub(super) async fn insist<T>(&mut self, mut call: impl AsyncFnMut() -> SeamResult<T>) -> SeamResult<T> {
        loop {
            let now = self.clock.now();
            let permit = match self.breaker.permit(now) {
                Ok(permit) => permit,
                Err(until) => {
                    self.pause(until - now).await?;
                    continue;
                }
            };
            let error = match self.within_reason(&mut call).await {
                Some(Ok(done)) => {
                    self.breaker.succeeded(permit);
                    self.backoff.succeeded();
                    self.goes_on();
                    return Ok(done);
                }
                Some(Err(error)) if error.kind == ErrorKind::Retry => error,
                Some(Err(error)) => {
                    self.goes_on();
                    return Err(self.named(error));
                }
                None => {
                    self.breaker.abandoned(permit, self.clock.now());
                    return Err(self.stopped());
                }
            };
            let now = self.clock.now();
            self.breaker.failed(permit, now, error.retry_after);
            let random = self.next_random();
            let Some(pause) = self.backoff.failed(now, random, error.retry_after) else {
                self.goes_on();
                let since = self.backoff.failing_since().unwrap_or(now);
                let named = self.named(error);
                return Err(SeamError { message: format!("{}; it was tried since {since}", named.message), ..named });
            };
            let pause = TimeDelta::from_micros(i64::try_from(pause.as_micros()).unwrap_or(i64::MAX));
            let next = match self.breaker.state() {
                BreakerState::Open { until, .. } => until.max(now + pause),
                BreakerState::Closed | BreakerState::HalfOpen { .. } => now + pause,
            };
            self.waits(Some(next), error.full());
            self.pause(next - now).await?;
        }
    }

    /// The outcome of one call; `None` when it was given up because everything stops.
    async fn within_reason<T>(&mut self, call: &mut impl AsyncFnMut() -> SeamResult<T>) -> Option<SeamResult<T>> {
        let mut stopping = self.stopping.clone();
        let call = call();
        tokio::pin!(call);
        tokio::select! {
            biased;
            outcome = &mut call => return Some(outcome),
            () = stopping.over() => return None,
            () = tokio::time::sleep(SLOW) => {}
        }
        self.waits(None, format!("no answer for {} s yet", SLOW.as_secs()));
        tokio::select! {
            biased;
            outcome = &mut call => Some(outcome),
            () = stopping.over() => None,
        }
    }

    async fn pause(&mut self, pause: TimeDelta) -> SeamResult<()> {
        let pause = Duration::from_micros(u64::try_from(pause.micros()).unwrap_or(0));
        tokio::select! {
            biased;
            () = self.stopping.asked() => Err(self.stopped()),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    fn waits(&mut self, next_try: Option<ProcessingTime>, error: String) {
        let since = self.backoff.failing_since().unwrap_or_else(|| self.clock.now());
        let pipeline = self.handle.name();
        if !self.shown {
            tracing::warn!(
                pipeline,
                output = self.output,
                error,
                "the output takes no rows: the pipeline waits for it"
            );
        }
        self.shown = true;
        self.health.waits(
            &format!("{pipeline}/{}", self.output),
            format!("output {} of pipeline {pipeline} takes no rows since {since}: {error}", self.output),
        );
        // It has started as far as it can: others need not wait for it too.
        self.health.started(pipeline);
        let failures = self.backoff.failures();
        self.handle.waits(OutputWaiting { output: self.output.clone(), since, next_try, failures, error });
    }

    fn goes_on(&mut self) {
        if self.shown {
            let pipeline = self.handle.name();
            tracing::info!(pipeline, output = self.output, "the pipeline waits for its output no longer");
            self.health.goes_on(&format!("{pipeline}/{}", self.output));
            self.handle.goes_on(&self.output);
            self.shown = false;
        }
    }

    fn stopped(&mut self) -> SeamError {
        self.goes_on();
        let message = format!(
            "output {} took no rows when everything was asked to stop: the next start goes on from the last commit",
            self.output
        );
        SeamError::new(ErrorKind::Unknown, message)
    }

    pub(super) fn named(&self, error: SeamError) -> SeamError {
        SeamError { message: format!("output {}: {}", self.output, error.message), ..error }
    }

    /// The next of evenly distributed numbers. Source: Sebastiano Vigna, "splitmix64.c", 2015, public domain.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Different outputs draw different numbers (FNV-1a).
fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
