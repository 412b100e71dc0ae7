//! Plays seeds and says which fail, and why. `cargo xtask sim` starts it.

#[cfg(feature = "planted")]
mod hunt;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use weir_faults::{Failure, Ran, Scenario, journal, run, shrink, workers};

const USAGE: &str = "usage: weir-faults [--seeds N] [--from SEED] [--seed SEED] [--threads N] [--commit HASH] [--of pipeline|workers] | --journal SEED | --planted all|NAME,NAME";
/// Every so many seeds one is played twice, to see whether it does the same.
const TWICE_EVERY: u64 = 50;

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// A pipeline over its log, alone.
    Pipeline,
    /// Workers that share one over Kafka.
    Workers,
}

impl Of {
    fn run(self, seed: u64) -> Result<Ran, Failure> {
        match self {
            Self::Pipeline => run(&Scenario::of(seed)),
            Self::Workers => workers::run(&workers::Scenario::of(seed)),
        }
    }

    /// What is left of a failing seed when everything goes that need not be there, and how that fails.
    fn shrunk(self, seed: u64, failure: Failure) -> (String, Failure) {
        match self {
            Self::Pipeline => {
                let (small, failure) = shrink(Scenario::of(seed), failure);
                (format!("{small:#?}"), failure)
            }
            Self::Workers => {
                let (small, failure) = workers::shrink(workers::Scenario::of(seed), failure);
                (format!("{small:#?}"), failure)
            }
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Pipeline => "pipeline",
            Self::Workers => "workers",
        }
    }
}

struct Options {
    of: Of,
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
        let ran = play(options.of, seed)?;
        add(&mut sum.lock().expect("nobody panics with it"), &ran);
        Ok(ran)
    });
    let sum = sum.into_inner().expect("nobody panics with it");
    let Some((seed, failure)) = found else {
        println!(
            "{} seeds from {} of {}: {} lives, {} of them cut short, {} faults, {} refusals{}, {} operations, in {:.1} s",
            options.seeds,
            options.from,
            match options.of {
                Of::Pipeline => "a pipeline",
                Of::Workers => "workers",
            },
            sum.lives,
            sum.deaths,
            sum.mishaps,
            sum.refused,
            match options.of {
                Of::Pipeline => " of damage",
                Of::Workers => " of members that are none any more",
            },
            sum.operations,
            began.elapsed().as_secs_f64()
        );
        return ExitCode::SUCCESS;
    };
    println!("seed {seed} fails at commit {} {failure}", options.commit);
    let (small, failure) = options.of.shrunk(seed, failure);
    println!("what is left of it when everything goes that need not be there:\n{small}\nfails {failure}");
    println!("again: cargo xtask sim --of {} --seed {seed}", options.of.name());
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
fn play(of: Of, seed: u64) -> Result<Ran, Failure> {
    let ran = of.run(seed)?;
    if seed.is_multiple_of(TWICE_EVERY) {
        let again = of.run(seed)?;
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
    let commit = "unknown".to_owned();
    let mut options = Options { of: Of::Pipeline, from: 0, seeds: 1000, threads, commit, journal: None, planted: None };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{word} {value}: not a number"));
        match word.as_str() {
            "--of" => {
                let of = [Of::Pipeline, Of::Workers].into_iter().find(|of| of.name() == value);
                options.of = of.ok_or_else(|| format!("--of {value}: pipeline or workers"))?;
            }
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
