//! How time passes for a worker: what it waits for on a machine, and what a simulation lets pass at once. Refuses to say what
//! time it is: that is the clock's.

use std::time::{Duration, Instant};

/// Time that passes, whatever clocks are set to.
pub trait Pace: Send + Sync {
    /// How long it is since some moment before; never less than the last time.
    fn elapsed(&self) -> Duration;

    /// Lets so much time pass.
    fn rest(&self, pause: Duration);
}

/// The machine's.
#[derive(Clone, Copy, Debug)]
pub struct MachinePace(Instant);

impl MachinePace {
    /// From now on.
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for MachinePace {
    fn default() -> Self {
        Self::new()
    }
}

impl Pace for MachinePace {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn rest(&self, pause: Duration) {
        std::thread::park_timeout(pause);
    }
}
