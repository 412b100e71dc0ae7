//! The questions that run, how much memory each holds, and which is given up when there is none left. It ends none for any
//! other reason.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::error::{QueryError, QueryErrorCode};
use crate::guard::Stop;

/// All questions that run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running {
    questions: Arc<Mutex<Questions>>,
    /// Rung when one ends, and when one begins to wait for its reader.
    bell: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Questions {
    begun: u64,
    by_number: BTreeMap<u64, Arc<Question>>,
}

/// One question.
#[derive(Debug, Default)]
pub(crate) struct Question {
    pub(crate) stop: Stop,
    /// Memory that the pool has counted for it.
    pub(crate) held: Arc<AtomicUsize>,
    task: OnceLock<AbortHandle>,
    given_up: OnceLock<(QueryError, Instant)>,
    /// Since when its answer waits to be read.
    unread: Mutex<Option<Instant>>,
    bell: Notify,
}

/// Rows of an answer wait to be read until this is dropped.
#[derive(Debug)]
pub(crate) struct Unread<'a>(&'a Question);

/// A question runs until this is dropped.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) question: Arc<Question>,
    number: u64,
    of: Running,
}

/// What came of making room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relief {
    /// No question runs that could be given up: it is not they who take the memory.
    NoneRuns,
    /// One that was given up has not ended yet.
    Ending,
    /// A question was given up for which so many bytes were counted.
    GivenUp(usize),
}

impl Running {
    fn all(&self) -> MutexGuard<'_, Questions> {
        self.questions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Rung when one ends, and when one begins to wait for its reader.
    pub(crate) fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }

    /// One more runs.
    pub(crate) fn enter(&self, stop: Stop) -> Entered {
        let mut all = self.all();
        all.begun += 1;
        let (number, question) = (all.begun, Arc::new(Question { stop, ..Question::default() }));
        all.by_number.insert(number, Arc::clone(&question));
        Entered { question, number, of: self.clone() }
    }

    /// How many run.
    pub(crate) fn count(&self) -> usize {
        self.all().by_number.len()
    }

    /// Gives up the question that holds the most, of equal ones the last that was begun; the next when that one has ended, or
    /// after `patience`. `why` is what its error says.
    pub(crate) fn give_up_largest(&self, why: &str, patience: Duration) -> Relief {
        let all = self.all();
        let given_up = |question: &Question| question.given_up.get().map(|(_, when)| *when);
        let last = all.by_number.values().filter_map(|question| given_up(question)).max();
        if last.is_some_and(|last| last.elapsed() < patience) {
            return Relief::Ending;
        }
        let held = |question: &Question| question.held.load(Ordering::Relaxed);
        let left = all.by_number.iter().filter(|(_, question)| given_up(question).is_none());
        let largest = left.max_by_key(|(number, question)| (held(question), **number));
        let Some((_, question)) = largest else { return Relief::NoneRuns };
        let message = format!("the query was given up: {why}, and no other query held more");
        question.give_up(QueryError::new(QueryErrorCode::Memory, message).hint(
            "narrow the time range, group by less, ask for fewer rows, or give the process more memory (--memory)",
        ));
        Relief::GivenUp(held(question))
    }

    /// Gives up those whose answers were not read for `patience` until `now`, while others have waited since `waiting`. Returns when
    /// the next would have to go. `why` is what the error says.
    pub(crate) fn give_up_unread(
        &self,
        waiting: Instant,
        now: Instant,
        patience: Duration,
        why: &str,
    ) -> Option<Instant> {
        let all = self.all();
        let left = all.by_number.values().filter(|question| question.given_up.get().is_none());
        let unread = left.filter_map(|question| Some((question, question.unread_since()?.max(waiting) + patience)));
        let mut next: Option<Instant> = None;
        for (question, due) in unread {
            if due > now {
                next = Some(next.map_or(due, |next| next.min(due)));
                continue;
            }
            let message = format!(
                "the query was given up: its answer was not read for {patience:?} while other queries waited, and {why}"
            );
            question.give_up(
                QueryError::new(QueryErrorCode::Memory, message)
                    .hint("read it without a pause, ask for fewer rows, or give the process more memory (--memory)"),
            );
        }
        next
    }
}

impl Question {
    fn give_up(&self, error: QueryError) {
        let _first = self.given_up.set((error, Instant::now()));
        self.stop.now();
        if let Some(task) = self.task.get() {
            task.abort();
        }
        self.bell.notify_one();
    }

    /// It is computed by `task`, which ends at once if it was given up before.
    pub(crate) fn runs_in(&self, task: AbortHandle) {
        let task = self.task.get_or_init(|| task);
        if self.given_up.get().is_some() {
            task.abort();
        }
    }

    /// Why it was given up, if it was.
    pub(crate) fn error(&self) -> Option<QueryError> {
        self.given_up.get().map(|(error, _)| error.clone())
    }

    /// Its answer waits to be read from now on, which who waits for memory is told through `running`.
    pub(crate) fn waits_for_its_reader(&self, running: &Running) -> Unread<'_> {
        *self.unread.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        running.bell.notify_waiters();
        Unread(self)
    }

    fn unread_since(&self) -> Option<Instant> {
        *self.unread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns when it is given up; for one that waits.
    pub(crate) async fn is_given_up(&self) {
        while self.given_up.get().is_none() {
            self.bell.notified().await;
        }
    }
}

impl Drop for Unread<'_> {
    fn drop(&mut self) {
        *self.0.unread.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Entered {
    /// Its answer waits to be read.
    pub(crate) fn waits_for_its_reader(&self) -> Unread<'_> {
        self.question.waits_for_its_reader(&self.of)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        self.of.all().by_number.remove(&self.number);
        self.of.bell.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn holding(running: &Running, bytes: usize) -> Entered {
        let entered = running.enter(Stop::default());
        entered.question.held.store(bytes, Ordering::Relaxed);
        entered
    }

    #[test]
    fn the_largest_is_given_up_and_then_the_next_once_it_has_ended() {
        let running = Running::default();
        assert_eq!(running.give_up_largest("memory is scarce", LONG), Relief::NoneRuns);
        let (small, large, larger) = (holding(&running, 1), holding(&running, 5), holding(&running, 7));
        assert_eq!(running.give_up_largest("memory is scarce", LONG), Relief::GivenUp(7));
        assert_eq!(running.give_up_largest("memory is scarce", LONG), Relief::Ending);
        let error = larger.question.error().expect("it was given up");
        assert!(error.code == QueryErrorCode::Memory && error.message.contains("memory is scarce"), "{error}");
        assert!(large.question.error().is_none() && small.question.error().is_none());
        drop(larger);
        assert_eq!(running.give_up_largest("memory is scarce", LONG), Relief::GivenUp(5));
        let at_once = running.give_up_largest("memory is scarce", Duration::ZERO);
        assert_eq!(at_once, Relief::GivenUp(1), "that one takes too long to end");
        assert_eq!(running.give_up_largest("memory is scarce", Duration::ZERO), Relief::NoneRuns, "but them");
    }

    #[test]
    fn of_those_that_hold_nothing_the_last_is_given_up() {
        let running = Running::default();
        let (first, last) = (holding(&running, 0), holding(&running, 0));
        assert_eq!(running.give_up_largest("memory is scarce", LONG), Relief::GivenUp(0));
        assert!(first.question.error().is_none() && last.question.error().is_some());
    }
}
