//! What is being answered, by numbers that nobody can guess, so that another connection may stop it. It stops nothing
//! itself: whoever answers listens to its [`Stop`].

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// A number below 2^63 that nobody can guess: keys of the standard library's hasher are random.
pub(crate) fn unguessable() -> u64 {
    RandomState::new().hash_one(0) >> 1
}

/// All that may be stopped.
#[derive(Debug, Default)]
pub(crate) struct Stops(Mutex<HashMap<u64, Arc<Notify>>>);

impl Stops {
    fn all(&self) -> MutexGuard<'_, HashMap<u64, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// May be stopped from now on, by a number that nothing else has.
    pub(crate) fn enter(self: &Arc<Self>) -> Stop {
        let (mut all, bell) = (self.all(), Arc::new(Notify::new()));
        loop {
            let number = unguessable();
            if let Entry::Vacant(place) = all.entry(number) {
                place.insert(Arc::clone(&bell));
                return Stop { number, bell, of: Arc::clone(self) };
            }
        }
    }

    /// The same by a number that is known already. Of two that have the same, the later can be stopped.
    pub(crate) fn enter_as(self: &Arc<Self>, number: u64) -> Stop {
        let bell = Arc::new(Notify::new());
        self.all().insert(number, Arc::clone(&bell));
        Stop { number, bell, of: Arc::clone(self) }
    }

    /// Stops what has this number; `false` when nothing has.
    pub(crate) fn ring(&self, number: u64) -> bool {
        self.all().get(&number).inspect(|bell| bell.notify_one()).is_some()
    }
}

/// Something that may be stopped, until this is dropped.
#[derive(Debug)]
pub(crate) struct Stop {
    number: u64,
    bell: Arc<Notify>,
    of: Arc<Stops>,
}

impl Stop {
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Resolves when it should stop, also when that was said before.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }
}

impl Drop for Stop {
    fn drop(&mut self) {
        let mut all = self.of.all();
        if all.get(&self.number).is_some_and(|bell| Arc::ptr_eq(bell, &self.bell)) {
            all.remove(&self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn each_is_stopped_by_its_own_number_for_as_long_as_it_lives() {
        let stops = Arc::new(Stops::default());
        let (one, other) = (stops.enter(), stops.enter());
        assert!(stops.ring(one.number()));
        assert_eq!((one.rung().now_or_never(), other.rung().now_or_never()), (Some(()), None));
        let number = one.number();
        drop(one);
        assert!(!stops.ring(number), "it has ended");
        assert!(stops.ring(other.number()));
    }

    #[test]
    fn the_later_of_two_with_one_number_outlives_the_end_of_the_first() {
        let stops = Arc::new(Stops::default());
        let (first, later) = (stops.enter_as(7), stops.enter_as(7));
        drop(first);
        assert!(stops.ring(7));
        assert_eq!(later.rung().now_or_never(), Some(()));
    }
}
