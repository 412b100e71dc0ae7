//! Plants one bug after the other and counts the seeds until it is found. A bug that no seed finds is a hole in the simulator.

use std::process::ExitCode;
use std::time::Instant;

use weir_model::{Planted, plant};

use crate::{Of, Options, search};

/// What workers must stumble over; everything else is for the pipeline alone.
const OF_WORKERS: [Planted; 13] = [
    Planted::RedeliveredTaken,
    Planted::BundleRemovedEarly,
    Planted::BundleIgnored,
    Planted::PartialsForgotten,
    Planted::UndecidedRead,
    Planted::StableNotRequired,
    Planted::MembershipNotSaid,
    Planted::NotAborted,
    Planted::SlowProducerKept,
    Planted::GivenUpKept,
    Planted::CommitMadeAgain,
    Planted::OffsetsBeside,
    Planted::CommitNotConfirmed,
];
/// Both must stumble over these.
const OF_BOTH: [Planted; 1] = [Planted::SnapshotNameReused];

/// Every bug that `only` names must be found among the first seeds, as many as the options say.
pub(crate) fn hunt(options: &Options, only: &str) -> ExitCode {
    let is_meant = |bug: &&Planted| only == "all" || only.split(',').any(|only| bug.name() == only);
    let of = |bug: &Planted| {
        let of = if OF_WORKERS.contains(bug) { Of::Workers } else { Of::Pipeline };
        std::iter::once((*bug, of)).chain(OF_BOTH.contains(bug).then_some((*bug, Of::Workers))).collect::<Vec<_>>()
    };
    let bugs = Planted::ALL.iter().filter(is_meant).flat_map(of);
    let (mut found, mut escaped, mut slowest) = (0, Vec::new(), 0);
    let began = Instant::now();
    for (bug, of) in bugs {
        plant(Some(bug));
        let caught = search(options, &|seed| of.run(seed));
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
