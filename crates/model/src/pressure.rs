//! How scarce memory is, as whoever measures the process tells those who take memory. Measures nothing itself, and leaves
//! it to each of them what to do without.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ByteSize;

/// How scarce memory is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum PressureLevel {
    /// There is enough: everybody keeps to their own limit, and nothing else.
    #[default]
    Calm,
    /// What can wait waits, and what is large spills.
    High,
    /// Nothing grows any more, and the largest is given up.
    Critical,
}

/// What the process takes of the memory that it may take, shared by whoever measures it and all who heed it.
///
/// ```
/// use weir_model::{Pressure, PressureLevel};
///
/// let pressure = Pressure::default();
/// let heeded = pressure.clone();
/// assert_eq!(heeded.level(), PressureLevel::Calm);
/// pressure.tell(PressureLevel::High, 440 << 20, 512 << 20);
/// assert_eq!(heeded.level(), PressureLevel::High);
/// assert_eq!(heeded.to_string(), "the process takes 440MiB of the 512MiB of memory that it may");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Pressure(Arc<Told>);

#[derive(Debug, Default)]
struct Told {
    level: AtomicU8,
    taken: AtomicU64,
    limit: AtomicU64,
    listeners: Mutex<Listeners>,
}

/// Who wants to know at once when it is more or less scarce than before.
#[derive(Default)]
struct Listeners(Vec<Box<dyn Fn() + Send + Sync>>);

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} listeners", self.0.len())
    }
}

impl Pressure {
    /// The process takes `taken` bytes of the `limit` that it may, which is `level`.
    pub fn tell(&self, level: PressureLevel, taken: u64, limit: u64) {
        self.0.taken.store(taken, Ordering::Relaxed);
        self.0.limit.store(limit, Ordering::Relaxed);
        let before = self.0.level.swap(level as u8, Ordering::Relaxed);
        if before != level as u8 {
            self.listeners().0.iter().for_each(|listener| listener());
        }
    }

    /// Calls `listener` from now on whenever the level has changed, on the thread that tells it: it must return at once.
    pub fn listen(&self, listener: impl Fn() + Send + Sync + 'static) {
        self.listeners().0.push(Box::new(listener));
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As it was told last.
    pub fn level(&self) -> PressureLevel {
        match self.0.level.load(Ordering::Relaxed) {
            0 => PressureLevel::Calm,
            1 => PressureLevel::High,
            _ => PressureLevel::Critical,
        }
    }
}

impl fmt::Display for Pressure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |bytes: &AtomicU64| ByteSize(bytes.load(Ordering::Relaxed) >> 20 << 20);
        write!(f, "the process takes {} of the {} of memory that it may", whole(&self.0.taken), whole(&self.0.limit))
    }
}
