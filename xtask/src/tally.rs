//! Runs test commands and counts what their runners report. It judges nothing itself.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use crate::shell::{Outcome, command};

/// Counts tests as their runners report them.
#[derive(Default)]
pub(crate) struct Tally {
    passed: u64,
    failed: u64,
    broken: Vec<&'static str>,
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

    /// Says the sum, as the last line on standard output.
    ///
    /// # Errors
    /// When something failed.
    pub(crate) fn finish(&self) -> Outcome {
        println!("{} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 && self.broken.is_empty() {
            Ok(())
        } else {
            Err(format!("failed: {}", self.broken.join(", ")))
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
}
