//! Makes a failing scenario small: takes away lives, faults, posts and records while it still fails.

use crate::{Failure, Kind, Life, Scenario, run};

/// Simulations that shrinking may take.
const RUNS_MAX: usize = 600;

/// The smallest scenario found that still fails, and how.
pub fn shrink(scenario: Scenario, failure: Failure) -> (Scenario, Failure) {
    let runs = |scenario: &Scenario| run(scenario).map(drop);
    Shrinking::new((scenario, failure), RUNS_MAX, runs).smallest_by(Shrinking::round)
}

/// A scenario that fails, and gets smaller.
pub(crate) struct Shrinking<S> {
    pub(crate) smallest: (S, Failure),
    run: fn(&S) -> Result<(), Failure>,
    runs: usize,
    runs_max: usize,
}

impl<S: Clone> Shrinking<S> {
    /// Runs it so many times at most.
    pub(crate) fn new(failing: (S, Failure), runs_max: usize, run: fn(&S) -> Result<(), Failure>) -> Self {
        Self { smallest: failing, run, runs: 0, runs_max }
    }

    /// What is left once a round, which tries everything once, can take nothing away.
    pub(crate) fn smallest_by(mut self, round: impl Fn(&mut Self) -> bool) -> (S, Failure) {
        while self.runs < self.runs_max && round(&mut self) {}
        self.smallest
    }

    /// Keeps what `change` makes of the scenario if that still fails.
    pub(crate) fn attempt(&mut self, change: impl FnOnce(&mut S)) -> bool {
        if self.runs >= self.runs_max {
            return false;
        }
        self.runs += 1;
        let mut candidate = self.smallest.0.clone();
        change(&mut candidate);
        match (self.run)(&candidate) {
            Ok(()) => false,
            Err(failure) => {
                self.smallest = (candidate, failure);
                true
            }
        }
    }
}

impl Shrinking<Scenario> {
    /// Tries everything once; whether anything could go.
    fn round(&mut self) -> bool {
        let lives = self.without(
            |scenario| scenario.lives.len(),
            |scenario, from, count| {
                scenario.lives.drain(from..from + count);
            },
        );
        let posts = self.without(
            |scenario| scenario.posts.len(),
            |scenario, from, count| {
                scenario.posts.drain(from..from + count);
            },
        );
        self.simpler() | self.fewer_records() | lives | posts
    }

    /// Takes away parts of a list of so many: half of it, a quarter, down to one at a time.
    fn without(&mut self, len: impl Fn(&Scenario) -> usize, take: impl Fn(&mut Scenario, usize, usize)) -> bool {
        let mut has_shrunk = false;
        let mut count = len(&self.smallest.0).max(1);
        loop {
            let mut from = 0;
            while from + count <= len(&self.smallest.0) {
                if self.attempt(|scenario| take(scenario, from, count)) {
                    has_shrunk = true;
                } else {
                    from += count;
                }
            }
            if count == 1 {
                return has_shrunk;
            }
            count /= 2;
        }
    }

    fn fewer_records(&mut self) -> bool {
        let mut has_shrunk = false;
        let mut post = 0;
        while post < self.smallest.0.posts.len() {
            let mut record = 0;
            while self.smallest.0.posts[post].records.len() > 1 && record < self.smallest.0.posts[post].records.len() {
                let fewer = self.attempt(|scenario| {
                    scenario.posts[post].records.remove(record);
                });
                if fewer {
                    has_shrunk = true;
                } else {
                    record += 1;
                }
            }
            post += 1;
        }
        has_shrunk
    }

    fn simpler(&mut self) -> bool {
        let mut has_shrunk = false;
        for life in 0..self.smallest.0.lives.len() {
            let now: Life = self.smallest.0.lives[life].clone();
            has_shrunk |= now.full.is_some() && self.attempt(|scenario| scenario.lives[life].full = None);
            has_shrunk |= now.stop_ms.is_some() && self.attempt(|scenario| scenario.lives[life].stop_ms = None);
            has_shrunk |= now.flip.is_some() && self.attempt(|scenario| scenario.lives[life].flip = None);
            for mishap in (0..now.mishaps.len()).rev() {
                has_shrunk |= self.attempt(|scenario| {
                    scenario.lives[life].mishaps.remove(mishap);
                });
            }
        }
        for output in 0..4 {
            let is_simple = self.smallest.0.setup.kinds[output] == Kind::Lines;
            has_shrunk |= !is_simple && self.attempt(|scenario| scenario.setup.kinds[output] = Kind::Lines);
        }
        let setup = self.smallest.0.setup.clone();
        let small = setup.state_bytes_max < usize::MAX;
        has_shrunk |= small && self.attempt(|scenario| scenario.setup.state_bytes_max = usize::MAX);
        has_shrunk |= setup.retains && self.attempt(|scenario| scenario.setup.retains = false);
        has_shrunk |= setup.drift.is_some() && self.attempt(|scenario| scenario.setup.drift = None);
        has_shrunk |= setup.least != 0 && self.attempt(|scenario| scenario.setup.least = 0);
        has_shrunk
    }
}
