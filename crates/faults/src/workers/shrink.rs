//! Makes a failing scenario small: takes away mishaps, bad weather, records and workers while it still fails.

use super::{Scenario, Weather, run};
use crate::Failure;
use crate::shrink::Shrinking;

/// Simulations that shrinking may take.
const RUNS_MAX: usize = 300;

/// The smallest scenario found that still fails, and how.
pub fn shrink(scenario: Scenario, failure: Failure) -> (Scenario, Failure) {
    let runs = |scenario: &Scenario| run(scenario).map(drop);
    Shrinking::new((scenario, failure), RUNS_MAX, runs).smallest_by(Shrinking::round_of_workers)
}

impl Shrinking<Scenario> {
    /// Tries everything once; whether anything could go.
    fn round_of_workers(&mut self) -> bool {
        let mut has_shrunk = false;
        for mishap in (0..self.smallest.0.mishaps.len()).rev() {
            has_shrunk |= self.attempt(|scenario| _ = scenario.mishaps.remove(mishap));
        }
        let clear: [fn(&mut Weather) -> &mut u64; 4] = [
            |weather| &mut weather.late,
            |weather| &mut weather.lost,
            |weather| &mut weather.unanswered,
            |weather| &mut weather.redelivered,
        ];
        for clear in clear {
            let is_bad = *clear(&mut self.smallest.0.weather) > 0;
            has_shrunk |= is_bad && self.attempt(|scenario| *clear(&mut scenario.weather) = 0);
        }
        let now = self.smallest.0.clone();
        has_shrunk |= now.ids > 4 && self.attempt(|scenario| scenario.ids /= 2);
        has_shrunk |= now.portions > 1 && self.attempt(|scenario| scenario.portions = 1);
        has_shrunk |= now.is_disordered && self.attempt(|scenario| scenario.is_disordered = false);
        has_shrunk |= now.bad_every > 0 && self.attempt(|scenario| scenario.bad_every = 0);
        has_shrunk |= now.workers > 1 && self.attempt(|scenario| scenario.workers -= 1);
        has_shrunk |= now.key_groups > 1 && self.attempt(|scenario| scenario.key_groups = 1);
        has_shrunk |= now.partitions > 1 && self.attempt(|scenario| scenario.partitions -= 1);
        has_shrunk
    }
}
