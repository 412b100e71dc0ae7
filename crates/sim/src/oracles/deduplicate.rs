//! What `deduplicate` must do, by looking at every row that went on before.

use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq};

use super::lines::{Lines, partition, partitions, places};
use super::{Check, Verdict};
use crate::story::DAY;
use crate::{Line, Outcome, Row, Story};

const SECOND: i64 = 1_000_000;

/// What is random about a case.
#[derive(Clone, Debug)]
struct Case {
    delay: i64,
    within: i64,
    passes_late: bool,
    partitions: usize,
    /// Which partition, the second, the key, and whether a line ends after it.
    rows: Vec<(usize, i64, Option<u8>, bool)>,
    /// After which rows there are barriers, and ends of everything.
    barriers: Vec<usize>,
    ends: Vec<usize>,
}

impl Case {
    fn row(&self, index: usize) -> Row {
        let (_, second, key, _) = self.rows[index];
        // The value says which row it is.
        Row { time: DAY + second * SECOND, key: key.map(|key| format!("k{key}")), value: Some(index as f64) }
    }

    fn story(&self) -> Story {
        let late = if self.passes_late { " late=pass" } else { "" };
        let plan = format!("time delay={}s\ndeduplicate by key within={}s{late}", self.delay, self.within);
        let mut lines = Lines::of(&plan);
        lines.added(partitions(self.partitions));
        for (index, (from, _, _, ends)) in self.rows.iter().enumerate() {
            lines.row(partition(*from), self.row(index), *ends);
            lines.barrier(&self.barriers, index);
            if self.ends.contains(&index) {
                lines.push(Line::End);
                lines.added(partitions(self.partitions));
            }
        }
        lines.end()
    }
}

/// The rows that go on, and those that are late.
fn answer(case: &Case) -> Answer {
    let (mut gone_on, mut late) = (Vec::new(), Vec::new());
    let mut first_of_key: Vec<(u8, i64)> = Vec::new();
    let mut highest: BTreeMap<usize, i64> = BTreeMap::new();
    let (mut furthest, mut ended) = (i64::MIN, i64::MIN);
    for (index, (partition, second, key, _)) in case.rows.iter().enumerate() {
        let own = highest.entry(*partition).or_insert(i64::MIN);
        let watermark = (*own).max(ended).saturating_sub(case.delay);
        if watermark.saturating_sub(case.within) >= *second {
            if case.passes_late { &mut gone_on } else { &mut late }.push(index);
        } else if let Some(key) = key {
            if first_of_key.iter().all(|(other, at)| other != key || (at - second).abs() >= case.within) {
                first_of_key.push((*key, *second));
                gone_on.push(index);
            }
        } else {
            gone_on.push(index);
        }
        *own = (*own).max(*second);
        furthest = furthest.max(*second);
        if case.ends.contains(&index) {
            ended = furthest;
        }
    }
    (gone_on, late)
}

fn cases() -> impl Strategy<Value = Case> {
    let shape = (0..6_i64, 1..20_i64, proptest::bool::ANY, 1..=4_usize, 1..80_usize);
    shape.prop_flat_map(|(delay, within, passes_late, partitions, count)| {
        let row = (0..partitions, -15_i64..6, proptest::option::weighted(0.9, 0..6_u8), proptest::bool::ANY);
        let rows = proptest::collection::vec(row, count).prop_map(|rows| {
            let place = |(index, (from, jitter, key, ends))| (from, 100 + index as i64 + jitter, key, ends);
            rows.into_iter().enumerate().map(place).collect::<Vec<_>>()
        });
        let (barriers, ends) = (places(count, 0..5), places(count, 0..2));
        (Just((delay, within, passes_late, partitions)), rows, barriers, ends).prop_map(
            |((delay, within, passes_late, partitions), rows, barriers, ends)| Case {
                delay,
                within,
                passes_late,
                partitions,
                rows,
                barriers,
                ends,
            },
        )
    })
}

/// The numbers behind `value=`, ascending.
fn values<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<usize> {
    let value = |text: &str| {
        let rest = text.split("value=").nth(1).expect("a row shows its value");
        rest.split(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number") as usize
    };
    let mut values: Vec<usize> = texts.map(value).collect();
    values.sort_unstable();
    values
}

type Answer = (Vec<usize>, Vec<usize>);

/// Whether those rows went on that the oracle says.
fn compare(_: &Case, (gone_on, late): &Answer, outcome: &Outcome) -> Verdict {
    prop_assert_eq!(&values(outcome.results.iter().map(|(_, _, text)| text.as_str())), gone_on);
    prop_assert_eq!(&values(outcome.late.iter().map(String::as_str)), late);
    Ok(())
}

/// Which of several equal rows is the first depends on who is read first. But the late ones are told by their own partition,
/// and of the others those that went on are far enough apart, and near enough to each that did not.
fn compare_in_any_order(case: &Case, (_, expected): &Answer, outcome: &Outcome) -> Verdict {
    let gone_on = values(outcome.results.iter().map(|(_, _, text)| text.as_str()));
    let late = values(outcome.late.iter().map(String::as_str));
    if !case.passes_late {
        prop_assert_eq!(&late, expected);
    }
    let near = |left: usize, right: usize| {
        let ((_, left, key, _), (_, right, other, _)) = (case.rows[left], case.rows[right]);
        key.is_some() && key == other && (left - right).abs() < case.within
    };
    for (row, (_, _, key, _)) in case.rows.iter().enumerate().filter(|(row, _)| !late.contains(row)) {
        if gone_on.contains(&row) {
            let twin = gone_on.iter().find(|other| **other != row && near(**other, row));
            prop_assert!(twin.is_none() || case.passes_late, "{} and {:?} went on", row, twin);
        } else {
            prop_assert!(key.is_some() && gone_on.iter().any(|other| near(*other, row)), "{} did not go on", row);
        }
    }
    Ok(())
}

#[test]
fn of_random_streams_those_rows_go_on_that_equal_none_before_them() {
    let (story, tasks) = (Case::story, compare_in_any_order);
    Check { weight: 1, crashes: 1, story, answer, straight: compare, tasks, is_final: |_| false }.run(cases);
}
