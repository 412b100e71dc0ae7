//! Random streams against the oracles, many of them, in a build that is fast and still checks itself.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::shell::Outcome;
use crate::tally::Tally;

/// Streams per oracle that every change must pass (the oracle of windows plays five times as many), and which: always the
/// same, so that a red build is the change's own doing. New streams are for `cargo xtask seeds` and for the night.
pub(crate) const CI: (u64, u64) = (2_000, 20_261_121);
/// The same unless told otherwise.
const CASES: u64 = 10_000;
/// Streams per oracle of a night.
const NIGHT_CASES: u64 = 200_000;

/// `cargo xtask seeds [--cases N] [--seed S]`.
pub(crate) fn run(options: &[&str]) -> Outcome {
    let (mut cases, mut seed) = (CASES, None);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        let value = options.next().ok_or_else(|| format!("{option} needs a value"))?;
        let number = value.parse::<u64>().map_err(|_| format!("{option} {value}: not a number"))?;
        match *option {
            "--cases" => cases = number,
            "--seed" => seed = Some(number),
            _ => return Err(format!("no such option: {option}; there are --cases and --seed")),
        }
    }
    let mut tally = Tally::default();
    play(&mut tally, (cases, seed.unwrap_or_else(new_seed)))?;
    tally.finish()
}

/// What takes too long for every change.
pub(crate) fn nightly() -> Outcome {
    let mut tally = Tally::default();
    play(&mut tally, (NIGHT_CASES, new_seed()))?;
    tally.finish()
}

/// Plays `cases` streams to every oracle. A failure is shrunk and printed whole; the seed brings it back.
pub(crate) fn play(tally: &mut Tally, (cases, seed): (u64, u64)) -> Outcome {
    eprintln!("\nseed {seed}; the same streams again: cargo xtask seeds --cases {cases} --seed {seed}");
    let (cases, seed) = (cases.to_string(), seed.to_string());
    let environment = [("PROPTEST_CASES", cases.as_str()), ("PROPTEST_RNG_SEED", seed.as_str())];
    tally.run("random streams", "cargo", &["test", "--profile", "seeds", "-p", "weir-sim"], &environment)
}

/// Another one every time.
fn new_seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() ^ u64::from(since.subsec_nanos())
}
