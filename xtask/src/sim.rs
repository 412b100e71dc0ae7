//! The running pipeline under seeds, with faults: starts the simulator and says how to play a seed again.

use crate::shell::{Outcome, command, step, target};

/// Seeds that every change must pass, always the same ones.
const CI_SEEDS: &str = "5000";
/// Seeds of a night, after those of every change.
const NIGHT_SEEDS: &str = "200000";
/// How the simulator is built: with the features of the whole workspace, so that nothing is compiled that the tests do
/// not need too.
const BUILD: [&str; 5] = ["build", "--quiet", "--workspace", "--bin", "weir-faults"];

/// Seeds within which each planted bug must be found.
const PLANTED_SEEDS: &str = "2000";
/// What plants bugs.
const WITH_BUGS: [&str; 2] = ["--features", "weir-faults/planted"];

/// What workers over simulated brokers are played.
const OF_WORKERS: [&str; 2] = ["--of", "workers"];
/// Seeds of workers that every change must pass, and those of a night.
const CI_WORKERS: &str = "1000";
const NIGHT_WORKERS: &str = "50000";

/// `cargo xtask sim [--of workers] [--seed N | --seeds N --from N | --planted all]`.
pub(crate) fn run(options: &[&str]) -> Outcome {
    if options.contains(&"--planted") {
        return planted("debug", options);
    }
    step("build the simulator", "cargo", &BUILD, &[])?;
    play("debug", options)
}

/// What every change must pass.
pub(crate) fn ci() -> Outcome {
    run(&["--seeds", CI_SEEDS])?;
    run(&[&OF_WORKERS[..], &["--seeds", CI_WORKERS]].concat())?;
    run(&["--planted", "all"])
}

/// Plants bugs that must be found.
fn planted(profile: &str, options: &[&str]) -> Outcome {
    let build = [&BUILD[..], &WITH_BUGS, &["--profile", if profile == "debug" { "dev" } else { profile }]].concat();
    step("build the simulator with bugs", "cargo", &build, &[])?;
    play(profile, &[&["--seeds", PLANTED_SEEDS], options].concat())
}

/// What takes too long for every change, in a build that is fast and checks itself all the same.
pub(crate) fn nightly() -> Outcome {
    let build = [&BUILD[..], &["--profile", "seeds"]].concat();
    step("build the simulator", "cargo", &build, &[])?;
    play("seeds", &["--from", CI_SEEDS, "--seeds", NIGHT_SEEDS])?;
    play("seeds", &[&OF_WORKERS[..], &["--from", CI_WORKERS, "--seeds", NIGHT_WORKERS]].concat())?;
    planted("seeds", &["--planted", "all"])
}

fn play(profile: &str, options: &[&str]) -> Outcome {
    let simulator = target().join(profile).join("weir-faults");
    let commit = commit();
    let arguments = [&["--commit", commit.as_str()], options].concat();
    step("simulation", &simulator.to_string_lossy(), &arguments, &[])
}

/// The commit that is played, for whoever reads of a failure.
fn commit() -> String {
    let said = command("git", &["describe", "--always", "--dirty"]).output();
    said.map_or_else(|_| "unknown".to_owned(), |said| String::from_utf8_lossy(&said.stdout).trim().to_owned())
}
