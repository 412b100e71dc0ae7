//! A circuit breaker that the board shows: whoever scrapes the metrics sees when it opens, is probed and closes. Refuses to
//! decide anything: that is the breaker's.

use std::sync::Arc;
use std::time::Duration;

use weir_model::{Breaker, BreakerConfig, BreakerState, Permit, ProcessingTime};
use weir_observe::{Guarded, PipelineHandle};

pub(super) struct ShownBreaker {
    breaker: Breaker,
    of: Guarded,
    handle: Arc<PipelineHandle>,
}

impl ShownBreaker {
    /// A closed one, before `of`.
    pub(super) fn new(config: BreakerConfig, of: Guarded, handle: &Arc<PipelineHandle>) -> Self {
        let shown = Self { breaker: Breaker::new(config), of, handle: Arc::clone(handle) };
        shown.handle.breaker(&shown.of, shown.state());
        shown
    }

    pub(super) fn state(&self) -> BreakerState {
        self.breaker.state()
    }

    /// As [`Breaker::permit`].
    pub(super) fn permit(&mut self, now: ProcessingTime) -> Result<Permit, ProcessingTime> {
        self.shown(|breaker| breaker.permit(now))
    }

    /// As [`Breaker::succeeded`].
    pub(super) fn succeeded(&mut self, permit: Permit) {
        self.shown(|breaker| breaker.succeeded(permit));
    }

    /// As [`Breaker::failed`].
    pub(super) fn failed(&mut self, permit: Permit, now: ProcessingTime, asked_for: Option<Duration>) {
        self.shown(|breaker| breaker.failed(permit, now, asked_for));
    }

    /// As [`Breaker::abandoned`].
    pub(super) fn abandoned(&mut self, permit: Permit, now: ProcessingTime) {
        self.shown(|breaker| breaker.abandoned(permit, now));
    }

    /// The board is written to when something changes only: calls are many.
    fn shown<T>(&mut self, act: impl FnOnce(&mut Breaker) -> T) -> T {
        let before = self.breaker.state();
        let done = act(&mut self.breaker);
        let state = self.breaker.state();
        if state != before {
            self.handle.breaker(&self.of, state);
        }
        done
    }
}
