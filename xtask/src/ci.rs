//! Everything that must be green: formatting, lints, the rules of the tree, all tests, the page in a real browser.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::kafka;
use crate::shell::{Outcome, command, has, root, step, target};
use crate::tidy;

/// What must be installed, and the Debian package of each; `./x` reads the same list.
const PROGRAMS: &str = include_str!("../programs");

const STEPS: [&str; 7] = ["programs", "format", "lints", "tidy", "kafka", "tests", "page"];

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
    kafka::fetch()?;
    let mut tally = Tally::default();
    tally.run("tests", "cargo", &["test", "--workspace", "--no-fail-fast"], &[])?;
    page(&mut tally)?;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed == 0 && tally.broken.is_empty() {
        Ok(())
    } else {
        Err(format!("failed: {}", tally.broken.join(", ")))
    }
}

fn require_programs() -> Outcome {
    let missing: Vec<_> = programs().filter(|(program, _)| !has(program)).map(|(_, package)| package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "the tests use programs that are not installed; on Debian:\n\n    apt-get install -y {}\n",
        missing.join(" ")
    ))
}

/// Every program of the list with its package. The compiler and its libraries are not asked about: this was built.
fn programs() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = PROGRAMS.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let mut words = line.split_whitespace();
        let (program, package, purpose) = (words.next()?, words.next()?, words.next()?);
        (purpose == "test").then_some((program, package))
    })
}

/// Builds the page anew.
pub(crate) fn build_page() -> Outcome {
    page_packages()?;
    step("page: build", "npm", &["--prefix", "web", "run", "build"], &[])
}

fn page_packages() -> Outcome {
    if root().join("web/node_modules").exists() {
        return Ok(());
    }
    step("page: packages", "npm", &["--prefix", "web", "ci", "--no-audit", "--no-fund"], &[])
}

/// The page against its own mock, which also finds out whether web/dist is what web/src builds to; then against the real
/// server, over the data of the examples.
fn page(tally: &mut Tally) -> Outcome {
    page_packages()?;
    step("page: types", "npm", &["--prefix", "web", "run", "check"], &[])?;
    tally.run("page with a mock server", "npm", &["--prefix", "web", "test"], &[])?;
    let scratch = target().join("page");
    let server = Server::start(&scratch)?;
    let environment = [("WEIR_URL", server.url.as_str()), ("WEIR_STREAM", "spark")];
    tally.run("page with the real server", "npm", &["--prefix", "web", "test"], &environment)
}

/// A real server over the data of the examples, gone when this is dropped.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(scratch: &Path) -> Outcome<Self> {
        if scratch.exists() {
            std::fs::remove_dir_all(scratch).map_err(|error| format!("{}: {error}", scratch.display()))?;
        }
        let weir = target().join("debug/weir");
        let mut process = command(&weir.to_string_lossy(), &["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(scratch)
            .args(["examples/spark-logs.yaml", "examples/spark-live.yaml"])
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", weir.display()))?;
        let said = BufReader::new(process.stderr.take().ok_or("no output")?);
        let mut lines = said.lines().map_while(Result::ok);
        let url = lines
            .find_map(|line| Some(format!("http://{}/", line.split("http://").nth(1)?.split_whitespace().next()?)));
        // What it says later must not block it.
        std::thread::spawn(move || lines.for_each(drop));
        let url = url.ok_or("the server ended before it was up")?;
        Ok(Self { process, url })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
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
    fn run(&mut self, name: &'static str, program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
        eprintln!("\n== {name}: {program} {}", arguments.join(" "));
        let mut child = command(program, arguments)
            .envs(environment.iter().copied())
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

    /// Understands `test result: ok. 3 passed; 1 failed; ...` of cargo and `Tests  1 failed | 3 passed (4)` of vitest.
    fn count(&mut self, line: &str) {
        let plain = without_colours(line);
        let Some(counts) = plain.strip_prefix("test result: ").or_else(|| plain.trim_start().strip_prefix("Tests  "))
        else {
            return;
        };
        let words: Vec<&str> = counts.split([' ', ';', '|']).filter(|word| !word.is_empty()).collect();
        for pair in words.windows(2) {
            match (pair[0].parse::<u64>(), pair[1]) {
                (Ok(n), "passed") => self.passed += n,
                (Ok(n), "failed") => self.failed += n,
                _ => {}
            }
        }
    }
}

/// A line without the escape sequences that colour it.
fn without_colours(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_programs_can_be_read() {
        let listed: Vec<_> = programs().collect();
        assert!(listed.contains(&("java", "default-jre-headless")), "{listed:?}");
        assert!(listed.iter().all(|(program, _)| *program != "cc"), "{listed:?}");
    }

    #[test]
    fn the_summary_lines_of_both_runners_are_understood() {
        let mut tally = Tally::default();
        for line in [
            "test result: FAILED. 3 passed; 1 failed; 0 ignored",
            "\u{1b}[2m      Tests \u{1b}[22m \u{1b}[1m\u{1b}[31m2 failed\u{1b}[39m\u{1b}[22m | \u{1b}[32m5 passed\u{1b}[39m (7)",
            "   Duration  7 passed seconds",
        ] {
            tally.count(line);
        }
        assert_eq!((tally.passed, tally.failed), (8, 3));
    }
}
