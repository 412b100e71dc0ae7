//! How workload A scales: runs with one task and with several, in turn, and what the busiest thread of each took.
//!
//! Wall time says this on a quiet machine only. Processor time of the busiest thread does on any: with a processor for
//! every thread a run cannot end before its busiest thread has done its work, and where the work is shared as it comes,
//! as tasks do, it ends about then. Both are said.

use std::fs;

use super::meter::Cost;
use super::options::Options;
use super::{A, run_once, truth};
use crate::shell::Outcome;

pub(super) fn run(options: &Options) -> Outcome {
    let tasks = options.tasks.unwrap_or(2).max(2);
    let weir = super::binary(options)?;
    let scratch = super::scratch()?;
    let input = super::input(options, &weir, &scratch)?;
    let rows = super::count_lines(&input)? as f64;
    let (mut one, mut many) = (Vec::new(), Vec::new());
    let out = |name: &str| -> Outcome<_> {
        let out = scratch.join("scaling").join(name);
        fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
        Ok(out)
    };
    let (out_one, out_many) = (out("one")?, out("many")?);
    for _ in 0..options.runs {
        one.push(run_once(&A, &weir, &input, &out_one, &Options { tasks: Some(1), ..options.clone() })?);
        many.push(run_once(&A, &weir, &input, &out_many, &Options { tasks: Some(tasks), ..options.clone() })?);
    }
    let verdict = truth::workload_a(&input, &out_many.join("result.ndjson"))?;
    let same = fs::read(out_one.join("result.ndjson")).ok() == fs::read(out_many.join("result.ndjson")).ok();
    println!("workload A, {rows} rows, least of {} runs each; CPU seconds per million rows", options.runs);
    println!("| tasks | all threads | busiest thread | wall seconds | peak MiB |\n|---|---|---|---|---|");
    for (tasks, costs) in [(1, &one), (tasks, &many)] {
        let per_million = |of: fn(&Cost) -> f64| least(costs, of) / rows * 1e6;
        println!(
            "| {tasks} | {:.3} | {:.3} | {:.2} | {:.1} |",
            per_million(|cost| cost.cpu_secs),
            per_million(|cost| cost.busiest_secs),
            least(costs, |cost| cost.wall_secs),
            least(costs, |cost| cost.peak_bytes as f64) / f64::from(1 << 20),
        );
    }
    let times = |of: fn(&Cost) -> f64| least(&one, of) / least(&many, of);
    println!(
        "{tasks} tasks are {:.2} times one by the busiest thread, {:.2} times by the clock; {}; {}",
        times(|cost| cost.busiest_secs),
        times(|cost| cost.wall_secs),
        if same { "the same bytes" } else { "OTHER BYTES" },
        verdict.words(),
    );
    if same && verdict.is_right() { Ok(()) } else { Err("the results are wrong".to_owned()) }
}

fn least(costs: &[Cost], of: fn(&Cost) -> f64) -> f64 {
    costs.iter().map(of).fold(f64::INFINITY, f64::min)
}
