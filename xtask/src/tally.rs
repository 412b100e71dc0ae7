//! Runs test commands and counts what their runners report. It judges nothing itself.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::shell::{Outcome, command};

/// How many lines of what a failed test said are said again at the end.
const LINES_OF_FAILURE: usize = 12;

/// Counts tests as their runners report them.
#[derive(Default)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    broken: Vec<&'static str>,
    /// The first lines of what each failed test said.
    failures: Vec<Vec<String>>,
    /// Whether what comes now is said by the last of them.
    in_failure: bool,
}

impl Tally {
    /// Runs a test command, showing its output and adding its counts. Goes on after failures.
    pub(crate) fn run(
        &mut self,
        name: &'static str,
        program: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Outcome {
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
            self.keep_failure(&line);
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

    /// Says what failed, shortly, and then the sum, as the last line on standard output.
    ///
    /// # Errors
    /// When something failed.
    pub(crate) fn finish(&self) -> Outcome {
        for line in self.failures.iter().flatten() {
            println!("{line}");
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 && self.broken.is_empty() {
            Ok(())
        } else {
            Err(format!("failed: {}", self.broken.join(", ")))
        }
    }

    /// Understands what cargo's runner says of a failed test: `---- name stdout ----` and what it printed, up to the next one or
    /// the list of all of them.
    fn keep_failure(&mut self, line: &str) {
        let heads = line.starts_with("---- ") && line.ends_with(" stdout ----");
        if heads {
            self.failures.push(Vec::new());
        }
        self.in_failure = heads || self.in_failure && line != "failures:" && !line.starts_with("test result: ");
        if let Some(said) = self.failures.last_mut().filter(|said| said.len() < LINES_OF_FAILURE)
            && self.in_failure
            && !line.is_empty()
        {
            said.push(line.to_owned());
        }
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

    #[test]
    fn what_failed_tests_said_first_is_kept_for_the_end() {
        let mut tally = Tally::default();
        let long: String = (0..100).map(|n| format!("line {n}\n")).collect();
        let printed = format!(
            "running 3 tests\ntest a ... FAILED\n\nfailures:\n\n---- a stdout ----\n\nthread 'a' panicked at a.rs:1:1:\none is not two\n\n\
             ---- b stdout ----\n{long}\nfailures:\n    a\n    b\n\ntest result: FAILED. 1 passed; 2 failed; 0 ignored\nrunning 1 test\n"
        );
        printed.lines().for_each(|line| tally.keep_failure(line));
        assert_eq!(tally.failures[0], ["---- a stdout ----", "thread 'a' panicked at a.rs:1:1:", "one is not two"]);
        assert_eq!((tally.failures.len(), tally.failures[1].len()), (2, LINES_OF_FAILURE));
        assert_eq!(tally.failures[1].last().map(String::as_str), Some("line 10"));
    }
}
