//! Plants one bug after the other and counts the seeds until it is found. A bug that no seed finds is a hole in the simulator.

use std::process::ExitCode;
use std::time::Instant;

use weir_faults::Scenario;
use weir_model::{Planted, plant};

use crate::{Options, search};

/// Every bug that `only` names must be found among the first seeds, as many as the options say.
pub(crate) fn hunt(options: &Options, only: &str) -> ExitCode {
    let bugs = Planted::ALL.iter().filter(|bug| only == "all" || only.split(',').any(|only| bug.name() == only));
    let (mut found, mut escaped, mut slowest) = (0, Vec::new(), 0);
    let began = Instant::now();
    for bug in bugs {
        plant(Some(*bug));
        let caught = search(options, &|seed| weir_faults::run(&Scenario::of(seed)));
        plant(None);
        match caught {
            Some((seed, failure)) => {
                let what = failure.what.lines().next().unwrap_or_default();
                println!("{:26} seed {seed:4}: {what}", bug.name());
                (found, slowest) = (found + 1, slowest.max(seed));
            }
            None => {
                println!("{:26} NOT FOUND: {}", bug.name(), bug.what());
                escaped.push(bug.name());
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{found} planted bugs found within {} seeds, {} not, in {seconds:.1} s", slowest + 1, escaped.len());
    if escaped.is_empty() && found > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
