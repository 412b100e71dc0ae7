//! Everything that must be green: formatting, lints, the rules of the tree, all tests, the page in a real browser.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use crate::kafka;
use crate::shell::{Outcome, command, has, root, step, target};
use crate::tally::Tally;
use crate::{kills, seeds, sim, tidy};

/// What must be installed, and the Debian package of each; `./x` reads the same list.
const PROGRAMS: &str = include_str!("../programs");

const STEPS: [&str; 10] = ["programs", "format", "lints", "tidy", "kafka", "tests", "kills", "seeds", "sim", "page"];

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
    tally.run("tests", "cargo", &["test", "--workspace", "--exclude", "weir-sim", "--no-fail-fast"], &[])?;
    kills::ci()?;
    seeds::play(&mut tally, seeds::CI)?;
    sim::ci()?;
    page(&mut tally)?;
    tally.finish()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_programs_can_be_read() {
        let listed: Vec<_> = programs().collect();
        assert!(listed.contains(&("javac", "default-jdk-headless")), "{listed:?}");
        assert!(listed.iter().all(|(program, _)| *program != "cc"), "{listed:?}");
    }
}
