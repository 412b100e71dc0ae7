//! Nexmark: the public benchmark of an online auction, its queries as pipelines of Weir, its events made in memory.
//! Measures the engine alone: no file, no decoding, no output. `cargo xtask bench nexmark` runs it.
//!
//! `weir-nexmark [--events N] [--rate R] [--seed S] [--only q5,q7] [--runs N]`

mod events;
#[cfg(test)]
mod naive;
mod queries;
mod random;
mod run;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use events::Events;
use queries::{QUERIES, Query};
use run::Cost;

struct Options {
    events: u64,
    /// Events per second of event time.
    rate: u64,
    seed: u64,
    runs: u64,
    only: Vec<String>,
}

fn main() -> ExitCode {
    match options().and_then(|options| measure(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn options() -> Result<Options, String> {
    let mut options = Options { events: 10_000_000, rate: 100_000, seed: 1, runs: 1, only: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.replace('_', "").parse().map_err(|_| format!("{word} needs a whole number, not {value}"));
        match word.as_str() {
            "--events" => options.events = number()?,
            "--rate" => options.rate = number()?.max(1),
            "--seed" => options.seed = number()?,
            "--runs" => options.runs = number()?.max(1),
            "--only" => options.only = value.split(',').map(str::to_owned).collect(),
            _ => return Err(format!("unknown option {word}")),
        }
    }
    Ok(options)
}

fn measure(options: &Options) -> Result<(), String> {
    let Options { events, rate, runs, .. } = options;
    println!(
        "Nexmark, {events} events at {rate} per second of event time, one thread, best of {runs}; a snapshot every {} events.",
        run::EVENTS_PER_SNAPSHOT
    );
    println!("Thousand events per second and core (CPU time); Flink as published for Flink 1.13 with RocksDB.\n");
    println!(
        "| query | Weir | times Flink | Flink | engine alone | making events, CPU-s | engine, CPU-s | results | |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for query in QUERIES.iter().filter(|query| options.only.is_empty() || options.only.iter().any(|o| o == query.name))
    {
        let mut best: Option<Cost> = None;
        for _ in 0..*runs {
            let cost = run::run(query, Events::new(options.seed, *rate), *events, Some(run::clock), |_| ())?;
            if best.is_none_or(|so_far| cost.total_secs() < so_far.total_secs()) {
                best = Some(cost);
            }
        }
        println!("{}", line(query, *events, best.ok_or("no run")?));
    }
    Ok(())
}

fn line(query: &Query, events: u64, cost: Cost) -> String {
    let thousands = |secs: f64| events as f64 / secs / 1e3;
    let own = thousands(cost.total_secs());
    format!(
        "| {} | {own:.0} | {:.1} | {} | {:.0} | {:.2} | {:.2} | {} | {} |",
        query.name,
        own / query.flink,
        query.flink,
        thousands(cost.engine_secs),
        cost.events_secs,
        cost.engine_secs,
        cost.results,
        query.remark,
    )
}
