//! What `join` with `as_of` must do: of every row of the stream, each row of the table that might hold is looked at.

use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq};
use proptest::test_runner::TestCaseError;

use super::lines::{Lines, partition_of, places};
use super::{Check, Verdict, number};
use crate::story::DAY;
use crate::{Outcome, Row, Story};

const SECOND: i64 = 1_000_000;

/// What is random about a case.
#[derive(Clone, Debug)]
struct Case {
    delay: i64,
    lateness: i64,
    ttl: Option<i64>,
    left: bool,
    /// How many partitions each side has.
    partitions: usize,
    rows: Vec<Given>,
    barriers: Vec<usize>,
}

/// A row: of the table or not, of which partition, at which second, its key, whether it says "deleted", and whether a line
/// ends after it.
#[derive(Clone, Copy, Debug)]
struct Given {
    table: bool,
    partition: usize,
    second: i64,
    key: Option<u8>,
    deleted: bool,
    ends: bool,
}

impl Case {
    fn story(&self) -> Story {
        let plan = format!(
            "time delay={}s\nsources left right\njoin with right on key=key as_of kind={} lateness={}s{} deleted value < 0",
            self.delay,
            if self.left { "left" } else { "inner" },
            self.lateness,
            self.ttl.map(|ttl| format!(" ttl={ttl}s")).unwrap_or_default(),
        );
        let mut lines = Lines::of(&plan);
        for table in [false, true] {
            lines.added((0..self.partitions).map(|index| partition_of(table, index)));
        }
        for (index, given) in self.rows.iter().enumerate() {
            // The value says which row it is.
            let value = if given.deleted { -1.0 - index as f64 } else { index as f64 };
            let key = given.key.map(|key| format!("k{key}"));
            let row = Row { time: DAY + given.second * SECOND, key, value: Some(value) };
            lines.row(partition_of(given.table, given.partition), row, given.ends);
            lines.barrier(&self.barriers, index);
        }
        lines.end()
    }
}

/// What must come: of each row of the stream that goes on the rows of the table it may have got (none: nulls), and the
/// rows of the stream that are late.
fn answer(case: &Case) -> Answer {
    let mut highest: BTreeMap<(bool, usize), i64> = BTreeMap::new();
    // From when on each row of the table holds.
    let mut holds: BTreeMap<usize, i64> = BTreeMap::new();
    let (mut stream, mut late) = (Vec::new(), Vec::new());
    for (index, given) in case.rows.iter().enumerate() {
        let own = highest.entry((given.table, given.partition)).or_insert(i64::MIN);
        let low = own.saturating_sub(case.delay + case.lateness);
        match given.table {
            true if given.key.is_some() => drop(holds.insert(index, given.second.max(low))),
            true => {}
            false if low > given.second => late.push(index),
            false => stream.push(index),
        }
        *own = (*own).max(given.second);
    }
    let mut answers = BTreeMap::new();
    for index in stream {
        let row = case.rows[index];
        let held = |other: &usize| row.key == case.rows[*other].key && holds[other] <= row.second;
        let known: Vec<usize> = holds.keys().copied().filter(held).collect();
        let newest = known.iter().map(|other| case.rows[*other].second).max();
        let of_newest = known.iter().copied().filter(|other| Some(case.rows[*other].second) == newest);
        // Of each partition the last; which partition decides is not said here.
        let last: BTreeMap<usize, usize> = of_newest.map(|other| (case.rows[other].partition, other)).collect();
        let is_row = |other: &usize| {
            !case.rows[*other].deleted && case.ttl.is_none_or(|ttl| row.second <= case.rows[*other].second + ttl)
        };
        let may_be_none = last.is_empty() || !last.values().all(is_row);
        let mut found: Vec<usize> = last.values().copied().filter(is_row).collect();
        if may_be_none {
            found.push(usize::MAX);
        }
        answers.insert(index, found);
    }
    (answers, late)
}

fn cases() -> impl Strategy<Value = Case> {
    let ttl = proptest::option::of(1..20_i64);
    let shape = (0..5_i64, 0..5_i64, ttl, proptest::bool::ANY, 1..=3_usize, 1..70_usize);
    shape.prop_flat_map(|(delay, lateness, ttl, left, partitions, count)| {
        let row = (
            (proptest::bool::ANY, 0..partitions, -12_i64..6),
            proptest::option::weighted(0.9, 0..3_u8),
            proptest::bool::weighted(0.15),
            proptest::bool::ANY,
        );
        let rows = proptest::collection::vec(row, count).prop_map(|rows| {
            let rows = rows.into_iter().zip(100_i64..);
            let given = rows.map(|(((table, partition, jitter), key, deleted, ends), at)| Given {
                deleted: deleted && table,
                second: at + jitter,
                table,
                partition,
                key,
                ends,
            });
            given.collect::<Vec<_>>()
        });
        let barriers = places(count, 0..5);
        (Just((delay, lateness, ttl, left, partitions)), rows, barriers).prop_map(
            |((delay, lateness, ttl, left, partitions), rows, barriers)| Case {
                delay,
                lateness,
                ttl,
                left,
                partitions,
                rows,
                barriers,
            },
        )
    })
}

type Answer = (BTreeMap<usize, Vec<usize>>, Vec<usize>);

/// Whether each row of the stream has got what the oracle says.
fn compare(case: &Case, (answers, late): &Answer, outcome: &Outcome) -> Verdict {
    let mut found: BTreeMap<usize, usize> = BTreeMap::new();
    for (_, _, text) in &outcome.results {
        let row = number(text, "value=").ok_or_else(|| TestCaseError::fail(format!("no row of the stream: {text}")))?;
        let version = number(text, "right_value=").unwrap_or(usize::MAX);
        prop_assert!(found.insert(row, version).is_none(), "{} comes twice", row);
    }
    for (row, may_be) in answers {
        // A row that is filtered has no version and goes nowhere.
        let version = found.remove(row).or((!case.left).then_some(usize::MAX));
        prop_assert!(
            version.is_some_and(|version| may_be.contains(&version)),
            "{} has {:?}, not of {:?}",
            row,
            version,
            may_be
        );
    }
    prop_assert!(found.is_empty(), "{:?} come besides", found);
    let mut found: Vec<usize> = outcome.late.iter().filter_map(|text| number(text, "value=")).collect();
    found.sort_unstable();
    prop_assert_eq!(&found, late);
    prop_assert_eq!(outcome.rejected.len(), 0);
    Ok(())
}

#[test]
fn of_random_streams_every_row_gets_the_version_that_holds_at_its_time() {
    let is_final = |_: &Case| false;
    Check { weight: 1, crashes: 1, story: Case::story, answer, straight: compare, tasks: compare, is_final }.run(cases);
}
