//! Windows by brute force. A row is late when the watermark of its own source, just before it, had reached the end of its
//! window plus the lateness.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Groups;
use crate::scenario::{DAY_SECONDS, Record, Setup};

/// What windows must say.
pub(super) struct Answer {
    pub(super) groups: Groups,
    /// The ids of late rows.
    pub(super) late: Vec<u64>,
}

/// `records` by source, in their order.
pub(super) fn answer(records: &[Vec<&Record>], setup: &Setup) -> Answer {
    let mut answer = Answer { groups: Groups::new(), late: Vec::new() };
    for source in records {
        let mut highest: Option<i64> = None;
        for record in source.iter().filter(|record| !record.is_bad) {
            let start = record.time_ms.div_euclid(setup.size * 1000) * setup.size;
            let closes_ms = (start + setup.size + setup.lateness) * 1000;
            if record.value >= setup.least {
                if highest.is_some_and(|highest| highest - setup.delay * 1000 >= closes_ms) {
                    answer.late.push(record.id);
                } else {
                    let group = answer.groups.entry((start, format!("k{}", record.key)));
                    let (n, total, most) = group.or_insert((0, 0, i64::MIN));
                    (*n, *total, *most) = (*n + 1, *total + record.value, (*most).max(record.value));
                }
            }
            highest = highest.max(Some(record.time_ms));
        }
    }
    answer
}

/// A window's start in seconds, and a key.
type Group = (i64, String);
/// How many, their sum, and the highest.
type Said = (u64, i64, i64);

/// Of each window and key the last that was said.
pub(super) fn last_revisions(rows: &[Value]) -> Result<Groups, String> {
    let mut last: BTreeMap<Group, BTreeMap<i64, Said>> = BTreeMap::new();
    for row in rows {
        let read = || -> Option<(Group, i64, Said)> {
            let start = seconds(row["window_start"].as_str()?)?;
            let values = (row["n"].as_u64()?, row["total"].as_i64()?, row["highest"].as_i64()?);
            Some(((start, row["key"].as_str()?.to_owned()), row["revision"].as_i64()?, values))
        };
        let (group, revision, values) = read().ok_or_else(|| format!("this is not the result of a window: {row}"))?;
        if let Some(before) = last.entry(group).or_default().insert(revision, values) {
            return Err(format!("a revision is there twice: {row}, and {before:?} before"));
        }
    }
    let newest = |(group, revisions): (Group, BTreeMap<i64, Said>)| Some((group, revisions.into_values().last()?));
    Ok(last.into_iter().filter_map(newest).collect())
}

/// The seconds after the first event of a time of its day, such as `2026-01-01T00:01:40Z`.
fn seconds(text: &str) -> Option<i64> {
    let number = |from: usize| text.get(from..from + 2)?.parse::<i64>().ok();
    let day = number(8)? - 1;
    debug_assert_eq!(DAY_SECONDS % 86_400, 0);
    Some(day * 86_400 + number(11)? * 3600 + number(14)? * 60 + number(17)?)
}
