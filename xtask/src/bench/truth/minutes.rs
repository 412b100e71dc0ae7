//! Workload A: one-minute tumbling windows by service and level.

use std::collections::BTreeMap;
use std::path::Path;

use super::{SUM_ERROR, Stream, Verdict, lines};
use crate::bench::fields::{millis, number, text};
use crate::shell::Outcome;

const MINUTE_MS: i64 = 60_000;
/// Of quantiles, relative: by value, or by rank.
const QUANTILE_ERROR: f64 = 0.01;

#[derive(Default)]
struct Group {
    values: Vec<f64>,
    late: u64,
    seen: bool,
}

/// Checks a result of workload A.
pub(in crate::bench) fn workload_a(input: &Path, result: &Path) -> Outcome<Verdict> {
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
