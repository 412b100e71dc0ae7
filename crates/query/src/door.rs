//! Where queries begin: at once while there is enough memory, one at a time while it is scarce and none while it is critical,
//! in the order in which they came. It takes from nobody what they hold, but for an answer that nobody reads while others wait.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Notify};
use weir_model::{Pressure, PressureLevel};

use crate::guard::Stop;
use crate::running::{Entered, Running};

/// How queries wait for memory.
#[derive(Debug)]
pub(crate) struct Door {
    pressure: Pressure,
    running: Running,
    /// Rung when memory becomes more or less scarce, when a query ends, and when one begins to wait for its reader.
    bell: Arc<Notify>,
    /// Whoever is first in line has it; the others wait for it in their order.
    line: Mutex<()>,
}

impl Door {
    /// That of the queries `running`, in a process in which memory is as scarce as `pressure` says.
    pub(crate) fn new(pressure: Pressure, running: Running) -> Self {
        let bell = running.bell();
        let rung = Arc::clone(&bell);
        pressure.listen(move || rung.notify_waiters());
        Self { pressure, running, bell, line: Mutex::default() }
    }

    /// Returns when one more query runs, which heeds `stop`. An answer that is not read for `unread_max` meanwhile is given up;
    /// `ring` returns at the time that it is given.
    pub(crate) async fn enter<F: Future<Output = ()>>(
        &self,
        stop: &Stop,
        unread_max: Duration,
        ring: impl Fn(Instant) -> F,
    ) -> Entered {
        let since = Instant::now();
        let _first = self.line.lock().await;
        loop {
            // From here on it is heard, also while it is looked.
            let rung = self.bell.notified();
            if self.is_open() {
                return self.running.enter(stop.clone());
            }
            let due = self.running.give_up_unread(since, Instant::now(), unread_max, &self.pressure.to_string());
            match due {
                Some(due) => tokio::select! {
                    () = rung => {}
                    () = ring(due) => {}
                },
                None => rung.await,
            }
        }
    }

    fn is_open(&self) -> bool {
        match self.pressure.level() {
            PressureLevel::Calm => true,
            PressureLevel::High => self.running.count() == 0,
            PressureLevel::Critical => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use futures::FutureExt;
    use futures::future::{join_all, pending, poll_immediate};

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn door() -> (Door, Running, Pressure) {
        let (pressure, running) = (Pressure::default(), Running::default());
        (Door::new(pressure.clone(), running.clone()), running, pressure)
    }

    fn never(_: Instant) -> impl Future<Output = ()> {
        pending()
    }

    /// One that wants to begin.
    async fn enter(door: &Door) -> Entered {
        door.enter(&Stop::default(), LONG, never).await
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        // No timer: nobody looks again by the clock.
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    #[test]
    fn those_who_wait_begin_one_at_a_time_in_the_order_in_which_they_came() {
        let (door, running, pressure) = door();
        block_on(async {
            let first = enter(&door).await;
            pressure.tell(PressureLevel::High, 450 << 20, 512 << 20);
            let begun = RefCell::new(Vec::new());
            let (door, running, begun) = (&door, &running, &begun);
            let one = |number: usize| {
                async move {
                    let entered = enter(door).await;
                    assert_eq!(running.count(), 1, "number {number} runs alone");
                    begun.borrow_mut().push(number);
                    tokio::task::yield_now().await;
                    drop(entered);
                }
                .boxed_local()
            };
            let mut waiting: Vec<_> = (0..20).map(one).collect();
            for one in &mut waiting {
                assert!(poll_immediate(one).await.is_none(), "it waits");
            }
            // Whoever is asked first now is not who came first.
            waiting.reverse();
            drop(first);
            join_all(waiting).await;
            assert_eq!(*begun.borrow(), (0..20).collect::<Vec<_>>());
        });
    }

    #[test]
    fn all_begin_when_there_is_enough_again_and_nobody_while_it_is_critical() {
        let (door, running, pressure) = door();
        block_on(async {
            pressure.tell(PressureLevel::Critical, 500 << 20, 512 << 20);
            let mut waiting: Vec<_> = (0..3).map(|_| enter(&door).boxed_local()).collect();
            for one in &mut waiting {
                assert!(poll_immediate(one).await.is_none(), "it waits");
            }
            pressure.tell(PressureLevel::Calm, 100 << 20, 512 << 20);
            let entered = join_all(waiting).await;
            assert_eq!((entered.len(), running.count()), (3, 3));
        });
    }

    #[test]
    fn an_answer_that_nobody_reads_is_given_up_when_others_have_waited_for_so_long() {
        let (door, running, pressure) = door();
        block_on(async {
            let (stalled, at_work) = (enter(&door).await, enter(&door).await);
            pressure.tell(PressureLevel::High, 450 << 20, 512 << 20);
            let due = Cell::new(None);
            // The time that is waited for comes when the test says so.
            let now = Notify::new();
            let ring = |when| {
                due.set(Some(when));
                async { now.notified().await }
            };
            let stop = Stop::default();
            let mut waits = door.enter(&stop, LONG, ring).boxed_local();
            assert!(poll_immediate(&mut waits).await.is_none());
            assert_eq!(due.get(), None, "all are read");
            let before = Instant::now();
            let unread = stalled.question.waits_for_its_reader(&running);
            assert!(poll_immediate(&mut waits).await.is_none());
            assert!(due.get().is_some_and(|due| due >= before + LONG), "from then on it has so long");
            drop(unread);
            assert!(stalled.question.error().is_none(), "it was read in time");
            drop((stalled, at_work));
            waits.await;
        });
    }
}
