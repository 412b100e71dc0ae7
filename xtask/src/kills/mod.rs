//! The binary, killed: at random moments under load, and at every single system call by which it makes something durable.
//! After each life the next one goes on; at the end every record is there once. It shares no code with what it kills.

mod calls;
mod client;
mod random;

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Outcome, command, root, step, target};

/// What one `cargo xtask kills` does.
struct Options {
    weir: PathBuf,
    /// Kills at random moments.
    kills: u32,
    /// Every so many system calls the process is killed; 0: never.
    every: u32,
    /// The only script whose calls are looked at.
    only: Option<String>,
    /// So many lives that are killed at calls side by side: most of one it waits.
    jobs: usize,
    seed: u64,
}

/// Lives side by side: waiting for epochs and syncs they leave two processors room for so many.
const JOBS: usize = 4;
/// Kills of a change, and of a night.
const CI: [&str; 4] = ["--kills", "30", "--every", "29"];
const NIGHT: [&str; 4] = ["--kills", "300", "--every", "1"];

/// `cargo xtask kills [--kills N] [--every K] [--only SCRIPT] [--jobs J] [--seed S] [--release]`.
pub(crate) fn run(words: &[&str]) -> Outcome {
    let options = Options::read(words)?;
    let scratch = target().join("kills");
    let _ = fs::remove_dir_all(&scratch);
    fs::create_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
    if options.kills > 0 {
        random::run(&options, &scratch.join("random"))?;
    }
    if options.every > 0 {
        calls::run(&options, &scratch.join("calls"))?;
    }
    fs::remove_dir_all(&scratch).map_err(|error| format!("{}: {error}", scratch.display()))
}

/// What every change must pass.
pub(crate) fn ci() -> Outcome {
    run(&CI)
}

/// What takes too long for every change.
pub(crate) fn nightly() -> Outcome {
    run(&[NIGHT.as_slice(), &["--release"]].concat())
}

impl Options {
    fn read(words: &[&str]) -> Outcome<Self> {
        let (mut kills, mut every, mut jobs, mut seed, mut release) = (30, 40, JOBS, 1, false);
        let mut only = None;
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if *word == "--release" {
                release = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            let number = || value.parse::<u32>().map_err(|_| format!("{word} {value}: not a number"));
            match *word {
                "--kills" => kills = number()?,
                "--only" => only = Some((*value).to_owned()),
                "--every" => every = number()?,
                "--jobs" => jobs = number()?.max(1) as usize,
                "--seed" => seed = u64::from(number()?),
                _ => {
                    return Err(format!(
                        "no such option: {word}; there are --kills, --every, --only, --jobs, --seed and --release"
                    ));
                }
            }
        }
        Ok(Self { weir: binary(release)?, kills, every, only, jobs, seed })
    }
}

/// The binary to kill, built if it is not there; that of a release always anew.
fn binary(release: bool) -> Outcome<PathBuf> {
    let (weir, flags) = match release {
        true => (target().join("release/weir"), &["build", "--release", "-p", "weir"][..]),
        false => (target().join("debug/weir"), &["build", "-p", "weir"][..]),
    };
    if release || !weir.is_file() {
        step("build", "cargo", flags, &[])?;
    }
    let weir = std::path::absolute(root().join(weir)).map_err(|error| error.to_string())?;
    Ok(weir)
}

/// The rows of an answer as CSV without its header.
fn ask(weir: &Path, data: &Path, sql: &str) -> Outcome<Vec<String>> {
    let output = command(&weir.to_string_lossy(), &["query", "--format", "csv", "--data"])
        .arg(data)
        .arg(sql)
        .output()
        .map_err(|error| format!("{}: {error}", weir.display()))?;
    if !output.status.success() {
        return Err(format!("{sql}: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().skip(1).map(str::to_owned).collect())
}

/// Moments drawn at random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Writes a text file.
fn write(path: &Path, text: &str) -> Outcome {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// A row: `n`, at a time that grows with it.
fn row(n: u64) -> String {
    let (minutes, millis) = (n / 6000, n % 6000 * 10);
    let (hour, minute, second) = (minutes / 60, minutes % 60, millis / 1000);
    format!("{{\"ts\":\"2026-01-01T{hour:02}:{minute:02}:{second:02}.{:03}Z\",\"n\":{n}}}\n", millis % 1000)
}

/// What is wrong with a pipeline's tables `<name>` and `<name>_windows` when the rows 0 to `rows` were put in: lost rows,
/// doubled rows, and everything that cannot be explained by what was put in.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    lost: u64,
    doubled: u64,
    unexplained: u64,
}

impl Verdict {
    fn of(weir: &Path, data: &Path, name: &str, rows: u64) -> Outcome<Self> {
        let sql = format!(
            "SELECT r.stored, r.there, r.known, w.windows, w.starts, w.wrong FROM
             (SELECT count(*) AS stored, count(DISTINCT n) AS there,
                     count(DISTINCT CASE WHEN n >= 0 AND n < {rows} THEN n END) AS known FROM {name}) r
             CROSS JOIN
             (SELECT count(*) AS windows, count(DISTINCT window_start) AS starts,
                     sum(CASE WHEN events = {ROWS_PER_WINDOW} AND total = per_window THEN 0 ELSE 1 END) AS wrong
              FROM (SELECT *, {ROWS_PER_WINDOW} * (low + low + {ROWS_PER_WINDOW} - 1) / 2 AS per_window FROM {name}_windows)) w"
        );
        let answer = ask(weir, data, &sql)?;
        let numbers: Vec<u64> =
            answer.first().map_or("", String::as_str).split(',').map(|word| word.parse().unwrap_or(0)).collect();
        let [stored, there, known, windows, starts, wrong] = numbers.as_slice() else {
            return Err(format!("{name}: not an answer: {answer:?}"));
        };
        // Every window whose end the watermark has passed has fired once; the last ones are still open.
        let expected = (rows.saturating_sub(1) / ROWS_PER_WINDOW).saturating_sub(1);
        let missing = expected.saturating_sub(*starts);
        Ok(Self {
            lost: rows - known.min(&rows) + missing,
            doubled: (stored - there) + (windows - starts),
            unexplained: (there - known) + wrong,
        })
    }

    fn add(&mut self, other: &Self) {
        self.lost += other.lost;
        self.doubled += other.doubled;
        self.unexplained += other.unexplained;
    }

    /// An error if anything is wrong.
    fn judge(&self, what: &str) -> Outcome {
        println!("{what}: {} lost, {} doubled, {} unexplained", self.lost, self.doubled, self.unexplained);
        if *self == Self::default() {
            Ok(())
        } else {
            Err(format!("{what}: something is lost, doubled or unexplained"))
        }
    }
}

/// Windows of ten seconds, rows every ten milliseconds.
const ROWS_PER_WINDOW: u64 = 1000;

/// A pipeline called `name` whose rows go to the table `name`, and to windows in `<name>_windows`.
fn pipeline(name: &str, source: &str) -> String {
    format!(
        "name: {name}
sources:
  rows:
    {source}
    format: json
time: {{ field: ts, watermark: {{ bounded: {{ delay: 1s }} }} }}
steps:
  - name: per_window
    window: {{ tumbling: 10s, compute: {{ events: count(*), total: sum(n), low: min(n) }} }}
outputs:
  - table: {name}
    from: rows
  - table: {name}_windows
    from: per_window
epoch: 100ms
"
    )
}
