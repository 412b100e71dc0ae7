//! Oracles: each knows by a rule of its own, naively, what must come of a random stream, and shares no code with the
//! engine. How streams are played to the engine and compared is said once, here.

mod as_of;
mod calendar;
mod deduplicate;
mod global;
mod join;
mod lines;
mod sessions;
mod windows;

use std::fmt::Debug;

use proptest::prelude::{Strategy, prop_assert_eq};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};

use crate::player::{next_random, number_of};
use crate::{Commits, Outcome, PlayError, Story, Tasks, interleave, play_in_tasks, play_once, play_with_crashes};

/// Threads that share the streams of an oracle, on every machine, so that it plays the same streams.
const SHARDS: u32 = 2;
/// How often a stream is read by other numbers of tasks, each at a pace of its own: many streams in a few ways find more
/// than few in many.
const INTERLEAVINGS: usize = 2;
/// Tasks that a stream is spread over, at most.
const TASKS_MAX: usize = 8;

/// What an oracle says of an outcome.
type Verdict = Result<(), TestCaseError>;

/// The number behind a name in a result.
fn number(text: &str, name: &str) -> Option<usize> {
    let word = text.split(' ').find_map(|word| word.strip_prefix(name));
    word.and_then(|value| value.parse::<f64>().ok()).map(|value| value as usize)
}

/// Whether an outcome is what an oracle says of a case.
type Compare<C, A> = fn(&C, &A, &Outcome) -> Verdict;

/// What is checked of random cases, of which an oracle says `A`.
struct Check<C, A> {
    /// How many times as many streams are played as of other oracles.
    weight: u32,
    /// Crashes in each stream.
    crashes: usize,
    /// What is played.
    story: fn(&C) -> Story,
    /// What the oracle says.
    answer: fn(&C) -> A,
    /// What must come out when the rows come in the order of the story.
    straight: Compare<C, A>,
    /// The same when several tasks read the partitions, each at a pace of its own.
    tasks: Compare<C, A>,
    /// Whether every result is the last of its kind, so that tasks must say to the byte what one engine says.
    is_final: fn(&C) -> bool,
}

/// Who plays a story, and how: from 1 to 8 of either kind, over fewer key groups than keys and over more.
fn tasks_of(story: &Story, commits: Commits) -> Tasks {
    let mut seed = number_of(story) * 2 + commits as u64 + 1;
    let mut some = |most: u64| (next_random(&mut seed) % most + 1) as usize;
    let (folds, merges, key_groups) = (some(TASKS_MAX as u64), some(TASKS_MAX as u64), some(5) as u16);
    Tasks { folds, merges, key_groups, commits, crashes: some(4) - 1, seed }
}

impl<C: Debug, A> Check<C, A> {
    /// Plays random cases. `PROPTEST_CASES` says how many (times the weight), `PROPTEST_RNG_SEED` which; a failure is
    /// shrunk and printed whole.
    fn run<S: Strategy<Value = C>>(&self, cases: fn() -> S) {
        std::thread::scope(|scope| {
            let runs: Vec<_> = (0..SHARDS).map(|shard| scope.spawn(move || self.run_shard(shard, cases()))).collect();
            if let Some(failed) = runs.into_iter().find_map(|run| run.join().err()) {
                std::panic::resume_unwind(failed);
            }
        });
    }

    /// A part of the cases, the same ones whenever the seed is the same.
    fn run_shard(&self, shard: u32, cases: impl Strategy<Value = C>) {
        let whole = Config::default();
        let rng_seed = match whole.rng_seed {
            RngSeed::Fixed(seed) => RngSeed::Fixed(seed.wrapping_add(u64::from(shard) << 32)),
            RngSeed::Random => RngSeed::Random,
        };
        let own = (whole.cases * self.weight).div_ceil(SHARDS);
        let config = Config { cases: own, rng_seed, failure_persistence: None, max_shrink_iters: 400, ..whole };
        if let Err(error) = TestRunner::new(config).run(&cases, |case| self.play(&case)) {
            panic!("{error}");
        }
    }

    fn play(&self, case: &C) -> Verdict {
        let failed = |error: PlayError| TestCaseError::fail(error.to_string());
        let (story, answer) = ((self.story)(case), (self.answer)(case));
        let (_, straight) = play_with_crashes(&story, self.crashes).map_err(failed)?;
        (self.straight)(case, &answer, &straight)?;
        let mut seed = number_of(&story) + 1;
        for _ in 0..INTERLEAVINGS {
            let tasks = next_random(&mut seed) as usize % TASKS_MAX + 1;
            let read = interleave(&story, tasks, seed);
            (self.tasks)(case, &answer, &play_once(&read).map_err(failed)?)?;
        }
        for commits in [Commits::Together, Commits::Each] {
            let outcome = play_in_tasks(&story, tasks_of(&story, commits)).map_err(failed)?;
            (self.tasks)(case, &answer, &outcome)?;
            if (self.is_final)(case) {
                prop_assert_eq!(outcome.sorted(), straight.clone());
            }
        }
        Ok(())
    }
}
