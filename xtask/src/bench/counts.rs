//! Instructions of the core loop, counted by valgrind's callgrind: the same on every machine and under any load, so that
//! a change of a per cent shows. Appends a line per case to `bench/history/counts.tsv`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use super::options::Options;
use crate::shell::{Outcome, command, has, root, step, target};

/// What is counted: a case, the example that runs it with its arguments, and the function whose instructions count,
/// with all it calls.
struct Case {
    name: &'static str,
    example: &'static str,
    arguments: &'static [&'static str],
    inside: &'static str,
}

const ROWS: u64 = 100_000;
/// As many thousands, for the example.
const THOUSANDS: &str = "100";

const CASES: [Case; 7] = [
    Case { name: "engine A", example: "workload_a", arguments: &["once", "A", THOUSANDS], inside: "*Engine*step*" },
    Case { name: "engine A0", example: "workload_a", arguments: &["once", "A0", THOUSANDS], inside: "*Engine*step*" },
    Case { name: "engine B", example: "workload_a", arguments: &["once", "B", THOUSANDS], inside: "*Engine*step*" },
    // The cost of a row, without that of results, must be flat in the number of windows that cover it.
    Case {
        name: "1h rows",
        example: "workload_a",
        arguments: &["once", "1h rows", THOUSANDS],
        inside: "*Engine*step*",
    },
    Case {
        name: "1h by 1s rows",
        example: "workload_a",
        arguments: &["once", "1h by 1s rows", THOUSANDS],
        inside: "*Engine*step*",
    },
    Case {
        name: "1h by 1s",
        example: "workload_a",
        arguments: &["once", "1h by 1s", THOUSANDS],
        inside: "*Engine*step*",
    },
    Case { name: "decode A", example: "json_speed", arguments: &["INPUT", "1"], inside: "*ProjectedDecoder*decode*" },
];

pub(super) fn run(options: &Options) -> Outcome {
    if !has("valgrind") {
        return Err("bench counts needs valgrind: on Debian, apt-get install valgrind".to_owned());
    }
    step("build", "cargo", &["build", "--release", "--quiet", "-p", "weir-engine", "--example", "workload_a"], &[])?;
    step("build", "cargo", &["build", "--release", "--quiet", "-p", "weir-decode", "--example", "json_speed"], &[])?;
    let weir = super::binary(options)?;
    let input = super::generate(&weir, &super::scratch()?, ROWS, options.seed)?;
    let commit = commit()?;
    let mut lines = String::new();
    for case in &CASES {
        let instructions = count(case, &input)?;
        let per_row = instructions as f64 / ROWS as f64;
        println!("{:<14} {per_row:>9.1} instructions per row", case.name);
        lines.push_str(&format!("{commit}\t{}\t{per_row:.1}\n", case.name));
    }
    let history = root().join("bench/history/counts.tsv");
    let mut file =
        OpenOptions::new().append(true).open(&history).map_err(|error| format!("{}: {error}", history.display()))?;
    file.write_all(lines.as_bytes()).map_err(|error| format!("{}: {error}", history.display()))
}

fn count(case: &Case, input: &Path) -> Outcome<u64> {
    let example = target().join("release/examples").join(case.example);
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", &format!("--toggle-collect={}", case.inside)]);
    valgrind.arg(example);
    for argument in case.arguments {
        match *argument {
            "INPUT" => valgrind.arg(input),
            argument => valgrind.arg(argument),
        };
    }
    let output = valgrind.output().map_err(|error| format!("valgrind could not be started: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let collected = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok());
    collected.filter(|count| *count > 0).ok_or_else(|| format!("valgrind counted nothing for {}:\n{said}", case.name))
}

/// The date and name of the commit that is checked out, and whether it was changed.
fn commit() -> Outcome<String> {
    let git = |arguments: &[&str]| -> Outcome<String> {
        let output = command("git", arguments).output().map_err(|error| format!("git: {error}"))?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = if git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty() { "" } else { "+" };
    Ok(format!("{}{changed}", git(&["log", "-1", "--format=%cs\t%h"])?))
}
