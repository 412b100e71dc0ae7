//! The ground truth of the workloads: batch answers over the generated file, and which rows a stream may call late.
//! Shares no code with Weir.
//!
//! Right means: a group without late rows equals the batch answer (count, min and max exactly; sum and avg to 1e-6; p95
//! within 1% by value or by rank). A group with late rows lies between the batch answer and the batch answer without the
//! rows that a watermark of the largest time so far less ten seconds, advanced per row, makes late for that window. Of
//! sessions, which late rows join and lengthen, `sessions` says what lies between.

mod hops;
mod minutes;
mod sessions;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use crate::shell::Outcome;

pub(super) use hops::workload_b;
pub(super) use minutes::workload_a;
pub(super) use sessions::workload_c;

/// How far the watermark is behind the largest time.
const DELAY_MS: i64 = 10_000;
/// Of sums and averages, relative.
const SUM_ERROR: f64 = 1e-6;
/// How many faults are told.
const FAULTS_SHOWN: usize = 3;

/// What a check found.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) groups: u64,
    /// Rows (or hops) that the result lacks; all of them may be missing.
    pub(super) late: u64,
    /// How many a watermark per row makes late.
    pub(super) late_max: u64,
    pub(super) faults: Vec<String>,
    faults_total: u64,
}

impl Verdict {
    fn fault(&mut self, what: String) {
        self.faults_total += 1;
        if self.faults.len() < FAULTS_SHOWN {
            self.faults.push(what);
        }
    }

    /// In a few words.
    pub(super) fn words(&self) -> String {
        match self.faults_total {
            0 => format!("right: {} groups, {} of {} late rows left out", self.groups, self.late, self.late_max),
            faults => format!("WRONG: {faults} faults, such as {}", self.faults.join("; ")),
        }
    }

    pub(super) fn is_right(&self) -> bool {
        self.faults_total == 0
    }
}

/// Calls `each` with every line of a file.
pub(super) fn lines(path: &Path, mut each: impl FnMut(&str) -> Outcome) -> Outcome {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
    let mut line = String::new();
    while reader.read_line(&mut line).map_err(failed)? > 0 {
        each(line.trim_end())?;
        line.clear();
    }
    Ok(())
}

/// Event time as a stream sees it: the watermark before each row.
struct Stream {
    largest: i64,
}

impl Stream {
    fn new() -> Self {
        Self { largest: i64::MIN / 2 }
    }

    /// Takes a row's time; returns the watermark before it.
    fn watermark_before(&mut self, time: i64) -> i64 {
        let before = self.largest - DELAY_MS;
        self.largest = self.largest.max(time);
        before
    }
}
