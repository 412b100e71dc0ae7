//! Workload B: rows per application in windows of 10 s sliding by 1 s.

use std::collections::HashMap;
use std::path::Path;

use super::{Stream, Verdict, lines};
use crate::bench::fields::{millis, number, text};
use crate::shell::Outcome;

/// Checks a result of workload B.
pub(in crate::bench) fn workload_b(input: &Path, result: &Path) -> Outcome<Verdict> {
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
