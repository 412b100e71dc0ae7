//! Plays seeds and says which fail, and why. `cargo xtask sim` starts it.

#[cfg(feature = "planted")]
mod hunt;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use weir_faults::{Failure, Ran, Scenario, journal, run, shrink};

const USAGE: &str = "usage: weir-faults [--seeds N] [--from SEED] [--seed SEED] [--threads N] [--commit HASH] | --journal SEED | --planted all|NAME,NAME";
/// Every so many seeds one is played twice, to see whether it does the same.
const TWICE_EVERY: u64 = 50;

struct Options {
    from: u64,
    seeds: u64,
    threads: u64,
    commit: String,
    /// Whose operations are shown.
    journal: Option<u64>,
    /// Which planted bug is to be found.
    planted: Option<String>,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if let Some(seed) = options.journal {
        journal(&Scenario::of(seed)).iter().for_each(|operation| println!("{operation}"));
        return ExitCode::SUCCESS;
    }
    // What a simulation panics with is told with its seed.
    std::panic::set_hook(Box::new(|_| {}));
    if let Some(only) = options.planted.as_deref() {
        return planted(&options, only);
    }
    let began = Instant::now();
    let sum = Mutex::new(Ran::default());
    let found = search(&options, &|seed| {
        let ran = play(seed)?;
        add(&mut sum.lock().expect("nobody panics with it"), &ran);
        Ok(ran)
    });
    let sum = sum.into_inner().expect("nobody panics with it");
    let Some((seed, failure)) = found else {
        println!(
            "{} seeds from {}: {} lives, {} of them cut short, {} faults, {} refusals of damage, {} operations of the disk, in {:.1} s",
            options.seeds,
            options.from,
            sum.lives,
            sum.deaths,
            sum.mishaps,
            sum.refused,
            sum.operations,
            began.elapsed().as_secs_f64()
        );
        return ExitCode::SUCCESS;
    };
    println!("seed {seed} fails at commit {} {failure}", options.commit);
    let (small, failure) = shrink(Scenario::of(seed), failure);
    println!("what is left of it when everything goes that need not be there:\n{small:#?}\nfails {failure}");
    println!("again: cargo xtask sim --seed {seed}");
    ExitCode::FAILURE
}

#[cfg(feature = "planted")]
fn planted(options: &Options, only: &str) -> ExitCode {
    hunt::hunt(options, only)
}

#[cfg(not(feature = "planted"))]
fn planted(_: &Options, _: &str) -> ExitCode {
    eprintln!("nothing is planted here: build with --features weir-faults/planted");
    ExitCode::from(2)
}

/// Plays seeds on all threads, in about their order, until one fails: the smallest of those that did.
fn search(options: &Options, play: &(dyn Fn(u64) -> Result<Ran, Failure> + Sync)) -> Option<(u64, Failure)> {
    let (next, found) = (AtomicU64::new(0), AtomicBool::new(false));
    let first = Mutex::new(None::<(u64, Failure)>);
    std::thread::scope(|scope| {
        for _ in 0..options.threads {
            scope.spawn(|| {
                while !found.load(Ordering::Relaxed) {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= options.seeds {
                        return;
                    }
                    let seed = options.from + number;
                    let Err(failure) = play(seed) else { continue };
                    found.store(true, Ordering::Relaxed);
                    let mut first = first.lock().expect("nobody panics with it");
                    if first.as_ref().is_none_or(|(other, _)| seed < *other) {
                        *first = Some((seed, failure));
                    }
                }
            });
        }
    });
    first.into_inner().expect("nobody panics with it")
}

/// Plays a seed, some of them twice.
fn play(seed: u64) -> Result<Ran, Failure> {
    let scenario = Scenario::of(seed);
    let ran = run(&scenario)?;
    if seed.is_multiple_of(TWICE_EVERY) {
        let again = run(&scenario)?;
        if again != ran {
            let what = format!("the same seed did something else the second time: {ran:?}, then {again:?}");
            return Err(Failure { what, life: 0, mishaps: Vec::new() });
        }
    }
    Ok(ran)
}

fn add(sum: &mut Ran, ran: &Ran) {
    sum.lives += ran.lives;
    sum.deaths += ran.deaths;
    sum.mishaps += ran.mishaps;
    sum.refused += ran.refused;
    sum.operations += ran.operations;
}

fn options() -> Result<Options, String> {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get() as u64);
    let mut options =
        Options { from: 0, seeds: 1000, threads, commit: "unknown".to_owned(), journal: None, planted: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{word} {value}: not a number"));
        match word.as_str() {
            "--seeds" => options.seeds = number()?,
            "--from" => options.from = number()?,
            "--seed" => (options.from, options.seeds) = (number()?, 1),
            "--threads" => options.threads = number()?.max(1),
            "--journal" => options.journal = Some(number()?),
            "--planted" => options.planted = Some(value),
            "--commit" => options.commit = value,
            _ => return Err(format!("no such option: {word}")),
        }
    }
    Ok(options)
}
