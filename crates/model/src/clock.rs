//! Where the shell gets the time from; the core is told.

use crate::ProcessingTime;

/// Tells the time. The core never sees it: time arrives there as an input.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> ProcessingTime;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> ProcessingTime {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        ProcessingTime::from_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
    }
}
