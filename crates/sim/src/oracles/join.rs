//! What `join` must do: every left row against every right row.

use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy, prop_assert_eq};
use proptest::test_runner::TestCaseError;

use super::lines::{Lines, partition_of, places};
use super::{Check, Verdict, number};
use crate::story::DAY;
use crate::{Outcome, Row, Story};

const SECOND: i64 = 1_000_000;

/// Which times reach each other, in seconds.
#[derive(Clone, Copy, Debug)]
enum Reach {
    Within(i64, i64),
    Tumbling(i64),
}

/// What is random about a case.
#[derive(Clone, Debug)]
struct Case {
    delay: i64,
    lateness: i64,
    reach: Reach,
    left: bool,
    /// How many partitions each side has.
    partitions: usize,
    rows: Vec<Given>,
    barriers: Vec<usize>,
}

/// A row: of the right side or not, of which partition, at which second, its key, and whether a line ends after it.
#[derive(Clone, Copy, Debug)]
struct Given {
    right: bool,
    partition: usize,
    second: i64,
    key: Option<u8>,
    ends: bool,
}

impl Case {
    fn story(&self) -> Story {
        let span = match self.reach {
            Reach::Within(before, after) => format!("before={before}s after={after}s"),
            Reach::Tumbling(size) => format!("tumbling={size}s"),
        };
        let plan = format!(
            "time delay={}s\nsources left right\njoin with right on key=key {span} kind={} lateness={}s",
            self.delay,
            if self.left { "left" } else { "inner" },
            self.lateness
        );
        let mut lines = Lines::of(&plan);
        for right in [false, true] {
            lines.added((0..self.partitions).map(|index| partition_of(right, index)));
        }
        for (index, given) in self.rows.iter().enumerate() {
            let row = Row {
                time: DAY + given.second * SECOND,
                key: given.key.map(|key| format!("k{key}")),
                // The value says which row it is.
                value: Some(index as f64),
            };
            lines.row(partition_of(given.right, given.partition), row, given.ends);
            lines.barrier(&self.barriers, index);
        }
        lines.end()
    }

    fn reach(&self, left: i64, right: i64) -> bool {
        match self.reach {
            Reach::Within(before, after) => left - before <= right && right <= left + after,
            // Windows are counted from the epoch.
            Reach::Tumbling(size) => (DAY / SECOND + left).div_euclid(size) == (DAY / SECOND + right).div_euclid(size),
        }
    }
}

/// The pairs, ascending, and the rows that are late. A left row that stays alone has no second number.
fn answer(case: &Case) -> Answer {
    let mut highest: BTreeMap<(bool, usize), i64> = BTreeMap::new();
    let (mut on_time, mut late) = (Vec::new(), Vec::new());
    for (index, given) in case.rows.iter().enumerate() {
        let own = highest.entry((given.right, given.partition)).or_insert(i64::MIN);
        if own.saturating_sub(case.delay + case.lateness) > given.second {
            late.push(index);
        } else {
            on_time.push(index);
        }
        *own = (*own).max(given.second);
    }
    let mut pairs = Vec::new();
    for left in on_time.iter().filter(|index| !case.rows[**index].right) {
        let row = case.rows[*left];
        let partners = on_time.iter().filter(|index| {
            let other = case.rows[**index];
            other.right && row.key.is_some() && other.key == row.key && case.reach(row.second, other.second)
        });
        let partners: Vec<_> = partners.map(|right| (*left, Some(*right))).collect();
        if partners.is_empty() && case.left {
            pairs.push((*left, None));
        }
        pairs.extend(partners);
    }
    pairs.sort_unstable();
    (pairs, late)
}

fn cases() -> impl Strategy<Value = Case> {
    let reach = proptest::prop_oneof![
        (0..15_i64, 0..15_i64).prop_map(|(before, after)| Reach::Within(before, after)),
        (1..15_i64).prop_map(Reach::Tumbling),
    ];
    let shape = (0..5_i64, 0..5_i64, reach, proptest::bool::ANY, 1..=3_usize, 1..70_usize);
    shape.prop_flat_map(|(delay, lateness, reach, left, partitions, count)| {
        let row = (
            proptest::bool::ANY,
            0..partitions,
            -12_i64..6,
            proptest::option::weighted(0.9, 0..4_u8),
            proptest::bool::ANY,
        );
        let rows =
            proptest::collection::vec(row, count).prop_map(|rows| {
                let given =
                    |(index, (right, partition, jitter, key, ends)): (usize, (bool, usize, i64, Option<u8>, bool))| {
                        Given { right, partition, second: 100 + index as i64 + jitter, key, ends }
                    };
                rows.into_iter().enumerate().map(given).collect::<Vec<_>>()
            });
        let barriers = places(count, 0..5);
        (Just((delay, lateness, reach, left, partitions)), rows, barriers).prop_map(
            |((delay, lateness, reach, left, partitions), rows, barriers)| Case {
                delay,
                lateness,
                reach,
                left,
                partitions,
                rows,
                barriers,
            },
        )
    })
}

type Answer = (Vec<(usize, Option<usize>)>, Vec<usize>);

/// Whether the pairs are those that the oracle makes.
fn compare(_: &Case, (expected, late): &Answer, outcome: &Outcome) -> Verdict {
    let mut found: Vec<(usize, Option<usize>)> = Vec::new();
    for (_, _, text) in &outcome.results {
        let left = number(text, "value=").ok_or_else(|| TestCaseError::fail(format!("no left row: {text}")))?;
        found.push((left, number(text, "right_value=")));
    }
    found.sort_unstable();
    prop_assert_eq!(&found, expected);
    let mut found: Vec<usize> = outcome.late.iter().filter_map(|text| number(text, "value=")).collect();
    found.sort_unstable();
    prop_assert_eq!(&found, late);
    prop_assert_eq!(outcome.rejected.len(), 0);
    Ok(())
}

#[test]
fn of_random_streams_every_pair_is_made_once_and_every_other_row_is_accounted_for() {
    // Whether a row is late is decided by its own partition, and pairs are made whichever comes first. A left row that
    // stays alone before anybody has seen a right one has no columns of it, and who has seen one by then depends on the pace.
    let is_final = |case: &Case| !case.left;
    Check { weight: 1, crashes: 1, story: Case::story, answer, straight: compare, tasks: compare, is_final }.run(cases);
}
