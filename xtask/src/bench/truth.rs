//! The ground truth of the workloads: batch answers over the generated file, and which rows a stream may call late.
//! Shares no code with Weir.
//!
//! Right means: a group without late rows equals the batch answer (count, min and max exactly; sum and avg to 1e-6; p95
//! within 1% by value or by rank). A group with late rows lies between the batch answer and the batch answer without the
//! rows that a watermark of the largest time so far less ten seconds, advanced per row, makes late for that window.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use super::fields::{millis, number, text};
use crate::shell::Outcome;

/// How far the watermark is behind the largest time.
const DELAY_MS: i64 = 10_000;
const MINUTE_MS: i64 = 60_000;
/// Of sums and averages, relative.
const SUM_ERROR: f64 = 1e-6;
/// Of quantiles, relative: by value, or by rank.
const QUANTILE_ERROR: f64 = 0.01;
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

#[derive(Default)]
struct Group {
    values: Vec<f64>,
    late: u64,
    seen: bool,
}

/// Checks a result of workload A: one-minute tumbling windows by service and level.
pub(super) fn workload_a(input: &Path, result: &Path) -> Outcome<Verdict> {
    let mut groups: BTreeMap<(i64, String, String), Group> = BTreeMap::new();
    let mut stream = Stream::new();
    lines(input, |line| {
        let time = millis(line, "ts")?;
        let start = time.div_euclid(MINUTE_MS) * MINUTE_MS;
        let key = (start, text(line, "service")?.to_owned(), text(line, "level")?.to_owned());
        let group = groups.entry(key).or_default();
        group.values.push(number(line, "duration_ms")?);
        group.late += u64::from(stream.watermark_before(time) >= start + MINUTE_MS);
        Ok(())
    })?;
    let mut verdict = Verdict { late_max: groups.values().map(|group| group.late).sum(), ..Verdict::default() };
    lines(result, |line| {
        let key = (millis(line, "window_start")?, text(line, "service")?.to_owned(), text(line, "level")?.to_owned());
        verdict.groups += 1;
        match groups.get_mut(&key) {
            None => verdict.fault(format!("no such group: {line}")),
            Some(group) if group.seen => verdict.fault(format!("twice: {line}")),
            Some(group) => {
                group.seen = true;
                compare(group, line, &mut verdict)?;
            }
        }
        Ok(())
    })?;
    for (key, group) in groups.iter().filter(|(_, group)| !group.seen) {
        if (group.values.len() as u64) > group.late {
            verdict.fault(format!("missing: {key:?}"));
        }
        verdict.late += group.values.len() as u64;
    }
    Ok(verdict)
}

fn compare(group: &mut Group, line: &str, verdict: &mut Verdict) -> Outcome {
    let rows = group.values.len() as u64;
    let count = number(line, "count")? as u64;
    if count > rows || count < rows - group.late {
        verdict.fault(format!("count should be {} to {rows}: {line}", rows - group.late));
        return Ok(());
    }
    verdict.late += rows - count;
    if group.late > 0 {
        return Ok(());
    }
    group.values.sort_by(f64::total_cmp);
    let values = &group.values;
    let sum: f64 = values.iter().sum();
    for (name, expected, error) in [
        ("min", values[0], 0.0),
        ("max", values[values.len() - 1], 0.0),
        ("sum", sum, SUM_ERROR),
        ("avg", sum / rows as f64, SUM_ERROR),
    ] {
        let found = number(line, name)?;
        if (found - expected).abs() > error * expected.abs() {
            verdict.fault(format!("{name} should be {expected}: {line}"));
        }
    }
    let found = number(line, "p95")?;
    let rank = 0.95 * (rows - 1) as f64;
    let near = [rank.floor(), rank.ceil()].map(|rank| values[rank as usize]);
    let (low, high) = (near[0] * (1.0 - QUANTILE_ERROR), near[1] * (1.0 + QUANTILE_ERROR));
    let below = values.partition_point(|value| *value < found) as f64;
    let by_rank = (below - rank).abs() <= (QUANTILE_ERROR * rows as f64).max(1.0);
    if !(low..=high).contains(&found) && !by_rank {
        verdict.fault(format!("p95 should be {low} to {high}: {line}"));
    }
    Ok(())
}

/// Checks a result of workload B: 10 s windows sliding by 1 s, counted by application.
pub(super) fn workload_b(input: &Path, result: &Path) -> Outcome<Verdict> {
    const SIZE_MS: i64 = 10_000;
    const SLIDE_MS: i64 = 1_000;
    let mut apps: HashMap<String, u32> = HashMap::new();
    // By application and window: rows, and how many of them may be left out.
    let mut groups: HashMap<(u32, i64), (u64, u64)> = HashMap::new();
    let mut stream = Stream::new();
    lines(input, |line| {
        let time = millis(line, "ts")?;
        let watermark = stream.watermark_before(time);
        let next = apps.len() as u32;
        let app = *apps.entry(text(line, "app_id")?.to_owned()).or_insert(next);
        let last = time.div_euclid(SLIDE_MS) * SLIDE_MS;
        for hop in 0..SIZE_MS / SLIDE_MS {
            let start = last - hop * SLIDE_MS;
            let group = groups.entry((app, start)).or_default();
            group.0 += 1;
            group.1 += u64::from(watermark >= start + SIZE_MS);
        }
        Ok(())
    })?;
    let mut verdict = Verdict { late_max: groups.values().map(|(_, late)| late).sum(), ..Verdict::default() };
    lines(result, |line| {
        verdict.groups += 1;
        let app = apps.get(text(line, "app_id")?).copied().unwrap_or(u32::MAX);
        let count = number(line, "count")? as u64;
        match groups.remove(&(app, millis(line, "window_start")?)) {
            None => verdict.fault(format!("no such group, or twice: {line}")),
            Some((rows, late)) if count > rows || count < rows - late => {
                verdict.fault(format!("count should be {} to {rows}: {line}", rows - late));
            }
            Some((rows, _)) => verdict.late += rows - count,
        }
        Ok(())
    })?;
    for (key, (rows, late)) in groups {
        if rows > late {
            verdict.fault(format!("missing: {key:?}"));
        }
        verdict.late += rows;
    }
    Ok(verdict)
}
