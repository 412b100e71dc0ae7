//! Oracles: each knows by a rule of its own, naively, what must come of a random stream, and shares no code with the
//! engine. How streams are played to the engine and compared is said once, here.

mod as_of;
mod calendar;
mod deduplicate;
mod global;
mod join;
mod sessions;
mod windows;

use std::fmt::Debug;

use proptest::prelude::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

use crate::{Outcome, PlayError, Story, interleave, play_once, play_with_crashes};

/// Tasks that a stream is spread over, at most.
const TASKS_MAX: usize = 8;

/// What an oracle says of an outcome.
type Verdict = Result<(), TestCaseError>;

/// What is checked of random cases.
struct Check<C> {
    /// Crashes in each stream.
    crashes: usize,
    /// What is played.
    story: fn(&C) -> Story,
    /// What must come out when the rows come in the order of the story.
    straight: fn(&C, &Outcome) -> Verdict,
    /// The same when several tasks read the partitions, each at a pace of its own; `None` where nothing can be said.
    tasks: Option<fn(&C, &Outcome) -> Verdict>,
}

impl<C: Debug> Check<C> {
    /// Plays random cases. `PROPTEST_CASES` says how many, `PROPTEST_RNG_SEED` which; a failure is shrunk and printed
    /// whole.
    fn run(&self, cases: impl Strategy<Value = C>) {
        let config = Config { failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
        if let Err(error) = TestRunner::new(config).run(&cases, |case| self.play(&case)) {
            panic!("{error}");
        }
    }

    fn play(&self, case: &C) -> Verdict {
        let failed = |error: PlayError| TestCaseError::fail(error.to_string());
        let story = (self.story)(case);
        let (_, outcome) = play_with_crashes(&story, self.crashes).map_err(failed)?;
        (self.straight)(case, &outcome)?;
        let Some(compare) = self.tasks else { return Ok(()) };
        for tasks in 1..=TASKS_MAX {
            let read = interleave(&story, tasks, (story.lines.len() * TASKS_MAX + tasks) as u64);
            compare(case, &play_once(&read).map_err(failed)?)?;
        }
        Ok(())
    }
}
