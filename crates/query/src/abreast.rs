//! Work on many files at once, where each is waited for: one after the other a disk is asked for one thing at a time.

use std::panic::resume_unwind;
use std::thread;

/// More threads than processors: nearly all of their time they wait.
const THREADS_MAX: usize = 8;
/// From so many things on that are waited for, threads are worth what they cost.
const WAITED_FOR_MIN: usize = 4;

/// How many threads share some work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threads(usize);

impl Threads {
    /// The caller does it alone: what is in memory is not waited for.
    pub(crate) const ONE: Self = Self(1);
    /// For work that waits for a disk.
    pub(crate) const SEVERAL: Self = Self(THREADS_MAX);

    /// As many as are worth it when these are not in memory.
    pub(crate) fn to_wait_for<T>(cold: impl Iterator<Item = T>) -> Self {
        if cold.take(WAITED_FOR_MIN).count() == WAITED_FOR_MIN { Self::SEVERAL } else { Self::ONE }
    }

    /// What `work` makes of each of `items`, in their order.
    pub(crate) fn map<'a, I: Sync, T: Send>(self, items: &'a [I], work: impl Fn(&'a I) -> T + Sync) -> Vec<T> {
        if self.0 == 1 || items.len() < 2 {
            return items.iter().map(work).collect();
        }
        thread::scope(|scope| {
            let work = &work;
            let begun = items.chunks(items.len().div_ceil(self.0)).map(|part| {
                let all = move || part.iter().map(work).collect::<Vec<_>>();
                thread::Builder::new().name("weir-index".into()).spawn_scoped(scope, all).map_err(|_| part)
            });
            let begun: Vec<_> = begun.collect();
            let done = begun.into_iter().flat_map(|part| match part {
                Ok(thread) => thread.join().unwrap_or_else(|panic| resume_unwind(panic)),
                // There is no thread to be had.
                Err(part) => part.iter().map(work).collect(),
            });
            done.collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_what_they_are_of() {
        for count in [0, 1, 2, 7, 8, 9, 100] {
            let items: Vec<usize> = (0..count).collect();
            let expected: Vec<usize> = (0..count).map(|n| n * n).collect();
            for threads in [Threads::ONE, Threads::SEVERAL] {
                assert_eq!(threads.map(&items, |n| n * n), expected, "{threads:?}");
            }
        }
    }

    #[test]
    fn several_are_at_work_at_once() {
        // Each waits for another one: one thread alone would wait for ever.
        let both = std::sync::Barrier::new(2);
        let leaders = Threads::SEVERAL.map(&[1, 2], |_| both.wait().is_leader());
        assert_eq!(leaders.iter().filter(|is_leader| **is_leader).count(), 1);
    }
}
