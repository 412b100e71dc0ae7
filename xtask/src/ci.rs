//! Everything that must be green: formatting, lints, the rules of the tree, all tests, the page in a real browser.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::shell::{Outcome, command, has, root, step};
use crate::tidy;

/// Programs that some test starts for real, and the Debian package of each.
const PROGRAMS: [(&str, &str); 4] =
    [("chromium", "chromium"), ("promtool", "prometheus"), ("node", "nodejs"), ("npm", "npm")];

const STEPS: [&str; 6] = ["programs", "format", "lints", "tidy", "tests", "page"];

/// What `ci` runs.
pub(crate) fn list() -> Outcome {
    println!("{}", STEPS.join("\n"));
    Ok(())
}

/// Runs everything; the last line on standard output sums up all tests.
pub(crate) fn run() -> Outcome {
    require_programs()?;
    step("format", "cargo", &["fmt", "--all", "--check"], &[])?;
    step("lints", "cargo", &["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"], &[])?;
    tidy::run()?;
    let mut tally = Tally::default();
    tally.run("tests", "cargo", &["test", "--workspace", "--no-fail-fast"])?;
    page(&mut tally)?;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed == 0 && tally.broken.is_empty() { Ok(()) } else { Err(format!("failed: {}", tally.broken.join(", "))) }
}

fn require_programs() -> Outcome {
    let missing: Vec<_> = PROGRAMS.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!("the tests use programs that are not installed; on Debian:\n\n    apt-get install -y {}\n", missing.join(" ")))
}

/// Builds the page anew.
pub(crate) fn build_page() -> Outcome {
    let web = root().join("web");
    let web = web.to_string_lossy();
    if !root().join("web/node_modules").exists() {
        step("page: packages", "npm", &["--prefix", &web, "ci", "--no-audit", "--no-fund"], &[])?;
    }
    step("page: build", "npm", &["--prefix", &web, "run", "build"], &[])
}

fn page(tally: &mut Tally) -> Outcome {
    build_page()?;
    let changed = command("git", &["status", "--porcelain", "--", "web/dist"]).output().map_err(|error| error.to_string())?;
    if !changed.stdout.is_empty() {
        return Err("web/dist is not what web/src builds to: run `cargo xtask web` and commit the result".to_owned());
    }
    step("page: types", "npm", &["--prefix", "web", "run", "check"], &[])?;
    tally.run("page in a browser", "npm", &["--prefix", "web", "test"])
}

/// Counts tests as their runners report them.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    broken: Vec<&'static str>,
}

impl Tally {
    /// Runs a test command, showing its output and adding its counts. Goes on after failures.
    fn run(&mut self, name: &'static str, program: &str, arguments: &[&str]) -> Outcome {
        eprintln!("\n== {name}: {program} {}", arguments.join(" "));
        let mut child = command(program, arguments)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{name}: {program} could not be started: {error}"))?;
        let output = child.stdout.take().ok_or("no output")?;
        let before = self.passed + self.failed;
        for line in BufReader::new(output).lines() {
            let line = line.map_err(|error| error.to_string())?;
            println!("{line}");
            self.count(&line);
        }
        let status = child.wait().map_err(|error| error.to_string())?;
        if !status.success() {
            self.broken.push(name);
        }
        if self.passed + self.failed == before {
            return Err(format!("{name}: no test was run"));
        }
        Ok(())
    }

    /// Understands `test result: ok. 3 passed; 0 failed; ...` and the summary lines `# pass 3` (or `ℹ pass 3`) of node's runner.
    fn count(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix("test result: ") {
            let numbers: Vec<u64> = rest.split_whitespace().filter_map(|word| word.parse().ok()).collect();
            self.passed += numbers.first().copied().unwrap_or(0);
            self.failed += numbers.get(1).copied().unwrap_or(0);
        } else if let Some(rest) = line.strip_prefix("# ").or_else(|| line.strip_prefix("ℹ ")) {
            let mut words = rest.split_whitespace();
            match (words.next(), words.next().and_then(|word| word.parse::<u64>().ok())) {
                (Some("pass"), Some(n)) => self.passed += n,
                (Some("fail"), Some(n)) => self.failed += n,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_lines_of_both_runners_are_understood() {
        let mut tally = Tally::default();
        for line in ["test result: FAILED. 3 passed; 1 failed; 0 ignored", "# pass 5", "ℹ fail 2", "# duration_ms 7"] {
            tally.count(line);
        }
        assert_eq!((tally.passed, tally.failed), (8, 3));
    }
}
