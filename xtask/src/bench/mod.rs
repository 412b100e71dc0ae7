//! Workloads that are measured as a user would run them: the release binary, from input to result, checked against the
//! ground truth.

mod asking;
mod bucket;
mod counts;
mod emission;
mod fields;
mod ingest;
mod jsonbench;
mod kafka;
mod large;
mod load;
pub(crate) mod meter;
mod mixed;
mod on_disk;
mod options;
mod rivals;
mod scaling;
mod settings;
mod state;
mod store;
mod truth;
mod up;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

use crate::shell::{Outcome, command, root, step, target};
use meter::Cost;
use options::Options;
use truth::Verdict;

/// A process that ends with the benchmark.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `cargo xtask bench WORDS`.
pub(crate) fn run(words: &[&str]) -> Outcome {
    match words {
        ["a", rest @ ..] => workload(&A, &options::parse(rest)?),
        ["ak", rest @ ..] => kafka::ak(&options::parse(rest)?),
        ["delays", rest @ ..] => kafka::delays(&options::parse(rest)?),
        ["b", rest @ ..] => workload(&B, &options::parse(rest)?),
        ["c", rest @ ..] => workload(&C, &options::parse(rest)?),
        ["nexmark", rest @ ..] => nexmark(rest),
        ["rivals", rest @ ..] => rivals::run(&options::parse(rest)?),
        ["scaling", rest @ ..] => scaling::run(&options::parse(rest)?),
        ["emission", rest @ ..] => emission::run(&options::parse(rest)?),
        ["store", rest @ ..] => store::run(&options::parse(rest)?),
        ["large", rest @ ..] => large::run(&options::parse(rest)?),
        ["mixed", rest @ ..] => mixed::run(&options::parse(rest)?),
        ["settings", rest @ ..] => settings::run(&options::parse(&[&["--rows", settings::ROWS], rest].concat())?),
        ["jsonbench", rest @ ..] => jsonbench::run(&options::parse(rest)?),
        ["ingest", rest @ ..] => ingest::run(&options::parse(rest)?),
        ["state", rest @ ..] => state::run(&options::parse(rest)?),
        ["counts", rest @ ..] => counts::run(&options::parse(rest)?),
        _ => Err(
            "bench: name one of a, ak, b, c, nexmark, scaling, rivals, store, large, mixed, settings, jsonbench, delays, \
             emission, ingest, state, counts"
                .to_owned(),
        ),
    }
}

/// A workload over a file of the generator.
struct Workload {
    name: &'static str,
    pipeline: &'static str,
    check: fn(&Path, &Path) -> Outcome<Verdict>,
}

const A: Workload = Workload { name: "a", pipeline: "examples/bench-a.yaml", check: truth::workload_a };
const B: Workload = Workload { name: "b", pipeline: "examples/bench-b.yaml", check: truth::workload_b };
const C: Workload = Workload { name: "c", pipeline: "examples/bench-c.yaml", check: truth::workload_c };

fn workload(workload: &Workload, options: &Options) -> Outcome {
    let weir = binary(options)?;
    let scratch = scratch()?;
    let input = input(options, &weir, &scratch)?;
    let out = match &options.out {
        Some(out) => out.clone(),
        None => scratch.join(workload.name),
    };
    fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let out = fs::canonicalize(&out).map_err(|error| error.to_string())?;

    let mut best: Option<Cost> = None;
    let mut walls = Vec::new();
    for _ in 0..options.runs {
        let cost = run_once(workload, &weir, &input, &out, options)?;
        walls.push(cost.wall_secs);
        if best.is_none_or(|so_far| cost.cpu_secs < so_far.cpu_secs) {
            best = Some(cost);
        }
    }
    let cost = best.ok_or("no run")?;
    let wall_secs = walls.into_iter().fold(f64::INFINITY, f64::min);
    let rows = count_lines(&input)?;
    let result = out.join("result.ndjson");
    let verdict = (workload.check)(&input, &result)?;
    let is_right = verdict.is_right();
    report(workload, options, &Measured { rows, input, result, cost: Cost { wall_secs, ..cost }, verdict });
    if is_right { Ok(()) } else { Err("the result is wrong".to_owned()) }
}

/// The queries of Nexmark over events made in memory; the words are for that program.
fn nexmark(words: &[&str]) -> Outcome {
    let cargo = ["run", "--release", "--quiet", "--package", "weir-nexmark", "--"];
    step("nexmark", "cargo", &[&cargo, words].concat(), &[])
}

/// What a workload took, at best, and what came of it.
struct Measured {
    rows: u64,
    input: PathBuf,
    result: PathBuf,
    cost: Cost,
    verdict: Verdict,
}

/// The release binary: the one that was named, or else one that is built.
fn binary(options: &Options) -> Outcome<PathBuf> {
    if let Some(weir) = &options.weir {
        return fs::canonicalize(weir).map_err(|error| format!("{}: {error}", weir.display()));
    }
    step("build", "cargo", &["build", "--release", "--quiet", "--package", "weir"], &[])?;
    Ok(target().join("release/weir"))
}

fn scratch() -> Outcome<PathBuf> {
    let scratch = target().join("bench");
    fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
    Ok(scratch)
}

fn input(options: &Options, weir: &Path, scratch: &Path) -> Outcome<PathBuf> {
    match &options.file {
        Some(file) => fs::canonicalize(file).map_err(|error| format!("{}: {error}", file.display())),
        None => generate(weir, scratch, options.rows, options.seed),
    }
}

fn generate(weir: &Path, scratch: &Path, rows: u64, seed: u64) -> Outcome<PathBuf> {
    let file = scratch.join(format!("logs-{rows}-{seed}.ndjson"));
    if !file.exists() {
        let name = file.to_string_lossy().into_owned();
        let (rows, seed) = (rows.to_string(), seed.to_string());
        let arguments = ["gen", "logs", "--rows", &rows, "--seed", &seed, "--out", &name];
        step("generate", &weir.to_string_lossy(), &arguments, &[])?;
    }
    Ok(file)
}

fn run_once(workload: &Workload, weir: &Path, input: &Path, out: &Path, options: &Options) -> Outcome<Cost> {
    let (data, result) = (out.join("data"), out.join("result.ndjson"));
    if data.exists() {
        fs::remove_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
    }
    if result.exists() {
        fs::remove_file(&result).map_err(|error| format!("{}: {error}", result.display()))?;
    }
    let mut command = command(&weir.to_string_lossy(), &["run", "--quiet"]);
    command.arg(root().join(workload.pipeline)).arg("--data").arg(data);
    command.arg("--set").arg(format!("sources.logs.file.paths=[{:?}]", input.to_string_lossy()));
    command.arg("--set").arg(format!("outputs.0.file.path={:?}", result.to_string_lossy()));
    command.arg("--set").arg(format!("epoch={}", options.epoch));
    if let Some(tasks) = options.tasks {
        command.arg("--set").arg(format!("tasks={tasks}"));
    }
    meter::run(&mut command)
}

fn count_lines(path: &Path) -> Outcome<u64> {
    use std::io::Read;
    let mut file = fs::File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (mut lines, mut buffer) = (0, vec![0; 1 << 20]);
    loop {
        let read = file.read(&mut buffer).map_err(|error| format!("{}: {error}", path.display()))?;
        if read == 0 {
            return Ok(lines);
        }
        lines += buffer[..read].iter().filter(|&&byte| byte == b'\n').count() as u64;
    }
}

fn report(workload: &Workload, options: &Options, measured: &Measured) {
    let Measured { rows, input, result, cost, verdict } = measured;
    let all = *rows as f64;
    let (cpu, wall, per_core) = (cost.cpu_secs / all * 1e6, all / cost.wall_secs, all / cost.cpu_secs);
    let peak_mib = cost.peak_bytes as f64 / f64::from(1 << 20);
    let name = workload.name;
    if options.json {
        println!(
            "{{\"workload\":{name:?},\"rows\":{rows},\"runs\":{},\"cpu_secs_per_million_rows\":{cpu:.3},\
             \"rows_per_sec\":{wall:.0},\"rows_per_cpu_sec\":{per_core:.0},\"peak_mib\":{peak_mib:.1},\"right\":{},\
             \"input\":{input:?},\"result\":{result:?}}}",
            options.runs,
            verdict.is_right(),
        );
        return;
    }
    let tasks = options.tasks.map_or(String::new(), |tasks| format!(", {tasks} tasks"));
    println!(
        "workload {}, {rows} rows, a checkpoint every {}{tasks}, best of {} runs",
        name.to_uppercase(),
        options.epoch,
        options.runs
    );
    println!("  CPU seconds per million rows  {cpu:.3}");
    println!("  rows per CPU second           {per_core:.0}");
    println!("  rows per second (wall)        {wall:.0}");
    println!("  peak memory                   {peak_mib:.1} MiB");
    println!("  result                        {} in {}", verdict.words(), result.display());
}
