//! Workload A by Weir and by others, on the same rows, with the same meter and the same check. Each rival is a script in
//! `bench/rivals` and a package of PyPI, installed once into a folder of its own; one that cannot be installed or run is
//! reported with the reason, and the others go on.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::meter::{self, Cost};
use super::options::Options;
use super::{A, fields, truth};
use crate::shell::{Outcome, has, root};

/// How a rival takes its input.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// The generator's file.
    File,
    /// The same with times as milliseconds.
    Millis,
    /// The same cut into files of [`CHUNK_ROWS`] rows, in a folder.
    Chunks,
}

struct Rival {
    name: &'static str,
    script: &'static str,
    packages: &'static [&'static str],
    form: Form,
    needs_java: bool,
    /// More rows than this take it too long; it gets as many of the first.
    rows_max: u64,
}

const CHUNK_ROWS: u64 = 1_000_000;
/// Later than everything that the generator makes; its own window stays open.
const LAST_ROW: &str = "{\"ts\":\"2027-01-01T00:00:00Z\",\"level\":\"END\",\"service\":\"none\",\"duration_ms\":0}\n";

const RIVALS: [Rival; 6] = [
    rival("duckdb", "duckdb_a.py", &["duckdb==2.0.0"], Form::File),
    rival("datafusion", "datafusion_a.py", &["datafusion==55.0.0"], Form::File),
    rival("clink", "clink_a.py", &["pyclink==0.12.2"], Form::Millis),
    Rival { rows_max: 100_000, ..rival("bytewax", "bytewax_a.py", &["bytewax==0.21.1"], Form::File) },
    Rival { needs_java: true, ..rival("spark", "spark_a.py", &["pyspark==4.3.0"], Form::Chunks) },
    Rival { needs_java: true, ..rival("flink", "flink_a.py", &["apache-flink==2.3.0"], Form::File) },
];

const fn rival(name: &'static str, script: &'static str, packages: &'static [&'static str], form: Form) -> Rival {
    Rival { name, script, packages, form, needs_java: false, rows_max: u64::MAX }
}

/// A line of the table.
struct Row {
    name: &'static str,
    rows: u64,
    outcome: Outcome<(Cost, String)>,
}

pub(super) fn run(options: &Options) -> Outcome {
    let weir = super::binary(options)?;
    let scratch = super::scratch()?;
    let input = super::input(options, &weir, &scratch)?;
    let rows = super::count_lines(&input)?;
    let wanted = |name: &str| options.only.is_empty() || options.only.iter().any(|only| only == name);
    let out = scratch.join("rivals/weir");
    fs::create_dir_all(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let mut table = vec![Row { name: "weir", rows, outcome: weir_itself(options, &weir, &input, &out) }];
    print(&table[0]);
    for rival in RIVALS.iter().filter(|rival| wanted(rival.name)) {
        let rows = rows.min(rival.rows_max);
        let outcome = one(rival, options, &input, rows, &scratch);
        table.push(Row { name: rival.name, rows, outcome });
        print(&table[table.len() - 1]);
    }
    println!(
        "\n| | rows | CPU-s per million rows | rows per CPU-s | peak MiB | wall s | result |\n|---|---|---|---|---|---|---|"
    );
    table.iter().for_each(|row| println!("{}", row.markdown()));
    Ok(())
}

fn print(row: &Row) {
    eprintln!("{}", row.markdown());
}

impl Row {
    fn markdown(&self) -> String {
        let Self { name, rows, outcome } = self;
        match outcome {
            Err(why) => {
                format!("| {name} | {rows} | | | | | did not run: {} |", why.lines().last().unwrap_or_default())
            }
            Ok((cost, verdict)) => format!(
                "| {name} | {rows} | {:.2} | {:.0} | {:.0} | {:.1} | {verdict} |",
                cost.cpu_secs / *rows as f64 * 1e6,
                *rows as f64 / cost.cpu_secs,
                cost.peak_bytes as f64 / f64::from(1 << 20),
                cost.wall_secs
            ),
        }
    }
}

/// The cheapest of several runs, checked.
fn best(
    options: &Options,
    mut run: impl FnMut() -> Outcome<Cost>,
    check: impl FnOnce() -> Outcome<String>,
) -> Outcome<(Cost, String)> {
    let mut best: Option<Cost> = None;
    for _ in 0..options.runs {
        let cost = run()?;
        if best.is_none_or(|so_far| cost.cpu_secs < so_far.cpu_secs) {
            best = Some(cost);
        }
    }
    Ok((best.ok_or("no run")?, check()?))
}

fn weir_itself(options: &Options, weir: &Path, input: &Path, out: &Path) -> Outcome<(Cost, String)> {
    let check = || Ok(truth::workload_a(input, &out.join("result.ndjson"))?.words());
    best(options, || super::run_once(&A, weir, input, out, options), check)
}

fn one(rival: &Rival, options: &Options, input: &Path, rows: u64, scratch: &Path) -> Outcome<(Cost, String)> {
    if rival.needs_java && !has("java") {
        return Err("it needs java on the path".to_owned());
    }
    let home = scratch.join("rivals").join(rival.name);
    fs::create_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    let python = install(rival.packages, &home)?;
    let first = if rows < super::count_lines(input)? { head(input, rows, &home)? } else { input.to_path_buf() };
    let form = match rival.form {
        Form::File => first.clone(),
        Form::Millis => in_millis(&first, &home)?,
        Form::Chunks => in_chunks(&first, &home)?,
    };
    let (result, checkpoints) = (home.join("result.ndjson"), home.join("checkpoints"));
    let run = || {
        for old in [&result, &checkpoints, &home.join("result.ndjson.parts")] {
            let _ = if old.is_dir() { fs::remove_dir_all(old) } else { fs::remove_file(old) };
        }
        fs::create_dir_all(&checkpoints).map_err(|error| format!("{}: {error}", checkpoints.display()))?;
        let said = File::create(home.join("said.txt")).map_err(|error| error.to_string())?;
        let mut command = Command::new(&python);
        command.arg(root().join("bench/rivals").join(rival.script)).args([&form, &result, &checkpoints]);
        command.current_dir(&home).stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        meter::run(&mut command).map_err(|error| {
            let said = fs::read_to_string(home.join("said.txt")).unwrap_or_default();
            format!("{error}: {}", said.lines().last().unwrap_or_default())
        })
    };
    best(options, run, || Ok(truth::workload_a(&first, &result)?.words()))
}

/// A Python with the rival's packages, installed once.
pub(super) fn install(packages: &[&str], home: &Path) -> Outcome<PathBuf> {
    if packages.is_empty() {
        return Ok(PathBuf::from("python3"));
    }
    let (venv, done) = (home.join("venv"), home.join(format!("installed {}", packages.join(" "))));
    let python = venv.join("bin/python");
    if done.exists() {
        return Ok(python);
    }
    eprintln!("== installing {}", packages.join(" "));
    quiet(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    quiet(
        Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).args(packages),
    )?;
    File::create(done).map_err(|error| error.to_string())?;
    Ok(python)
}

/// Runs a command; what it says is told only if it fails.
fn quiet(command: &mut Command) -> Outcome {
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let error = said.lines().rfind(|line| line.to_lowercase().contains("error")).unwrap_or(&said);
    Err(format!("it could not be installed: {}", error.trim()))
}

fn head(input: &Path, rows: u64, home: &Path) -> Outcome<PathBuf> {
    let path = home.join(format!("first-{rows}.ndjson"));
    rewrite(input, &path, rows, |line| Ok(line.to_owned()))?;
    Ok(path)
}

fn in_millis(input: &Path, home: &Path) -> Outcome<PathBuf> {
    let path = home.join("millis.ndjson");
    rewrite(input, &path, u64::MAX, |line| {
        let (text, millis) = (fields::text(line, "ts")?, fields::millis(line, "ts")?);
        Ok(line.replacen(&format!("\"{text}\""), &millis.to_string(), 1))
    })?;
    Ok(path)
}

fn rewrite(input: &Path, path: &Path, rows: u64, each: impl Fn(&str) -> Outcome<String>) -> Outcome {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path).map_err(failed)?);
    let mut written = 0;
    truth::lines(input, |line| {
        written += 1;
        if written > rows { Ok(()) } else { writeln!(out, "{}", each(line)?).map_err(failed) }
    })?;
    out.flush().map_err(failed)
}

fn in_chunks(input: &Path, home: &Path) -> Outcome<PathBuf> {
    let folder = home.join("chunks");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let (mut rows, mut out) = (0, None::<BufWriter<File>>);
    truth::lines(input, |line| {
        if rows % CHUNK_ROWS == 0 {
            let path = folder.join(format!("{:05}.json", rows / CHUNK_ROWS));
            out = Some(BufWriter::with_capacity(1 << 20, File::create(path).map_err(|error| error.to_string())?));
        }
        rows += 1;
        match &mut out {
            Some(out) => writeln!(out, "{line}").map_err(|error| error.to_string()),
            None => Ok(()),
        }
    })?;
    // Spark shows a window once a later row has moved the watermark past it, and this run ends: one row ends all windows.
    if let Some(out) = &mut out {
        out.flush().map_err(|error| error.to_string())?;
    }
    fs::write(folder.join("99999.json"), LAST_ROW).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}
