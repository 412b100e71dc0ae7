//! Rows that joins hold, with next to no memory: whatever was let go of, and wherever it was gone on from, the same pairs come
//! in the same order; and how many bytes of a row stay.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, UInt64Array};
use weir_model::{Batch, TimeDelta};

use super::batch;
use super::spilled::{Fed, Life, input, join};
use crate::{JoinKind, JoinSpan, OperatorPlan, Plan};

/// Numbers that look random, and are the same every time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as i64).rem_euclid(end)
    }
}

fn within(before: i64, after: i64) -> JoinSpan {
    JoinSpan::Within { before: TimeDelta::from_secs(before), after: TimeDelta::from_secs(after) }
}

fn plans() -> Vec<Plan> {
    let as_of = |ttl: Option<i64>| JoinSpan::AsOf { ttl: ttl.map(TimeDelta::from_secs), deleted: None };
    let tumbling = JoinSpan::Tumbling { size: TimeDelta::from_secs(20), offset: TimeDelta::from_secs(3) };
    let spans = [within(0, 30), within(600, 600), within(3, 0), tumbling, as_of(None), as_of(Some(40))];
    let of_kinds =
        spans.into_iter().flat_map(|span| [JoinKind::Inner, JoinKind::Left].map(|kind| (span.clone(), kind)));
    let plans = of_kinds.flat_map(|(span, kind)| {
        [(0, 1_000), (45, 1_000), (5, 60)].map(|(lateness, rows_max)| {
            let mut plan = join(span.clone());
            if let OperatorPlan::Join(join) = &mut plan.nodes[0].operator {
                (join.kind, join.lateness, join.rows_max) = (kind, TimeDelta::from_secs(lateness), rows_max);
            }
            plan
        })
    });
    plans.collect()
}

/// Some rows of one side: few keys, of which some are null, out of order by more than is waited for, many of one time.
fn some_rows(numbers: &mut Numbers, offset: &mut u64, now: i64) -> (usize, Batch) {
    let (side, rows) = (numbers.below(2) as usize, numbers.below(9) as usize + 1);
    let seconds: Vec<i64> = (0..rows).map(|_| (now - numbers.below(4) * numbers.below(15)).max(0)).collect();
    let keys: ArrayRef =
        Arc::new((0..rows).map(|_| Some(numbers.below(6)).filter(|key| *key > 0)).collect::<Int64Array>());
    let value: ArrayRef = Arc::new((0..rows as u64).map(|row| Some(*offset + row)).collect::<UInt64Array>());
    let mut columns = vec![("key", keys), ("value", value.clone())];
    // Some rows have a column that others lack.
    if now > 60 && numbers.below(2) == 0 {
        columns.push(("more", value));
    }
    let mut batch = batch(&format!("p{side}"), &seconds, columns);
    batch.offsets = (*offset..*offset + rows as u64).collect::<Vec<_>>().into();
    *offset += rows as u64;
    (side, batch)
}

fn inputs(seed: u64) -> Vec<Fed> {
    let (mut numbers, mut offset, mut now, mut inputs) = (Numbers(seed), 0, 0, Vec::new());
    for _ in 0..32 {
        now += numbers.below(6);
        inputs.push(Some(some_rows(&mut numbers, &mut offset, now)));
    }
    inputs.push(None);
    inputs
}

/// Rows in their order, however they were cut into batches.
fn told(rows: &[RecordBatch]) -> Vec<String> {
    let lines = |batch: &RecordBatch| -> Vec<String> {
        let row = |row: usize| {
            let schema = batch.schema();
            let fields = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
                let value = arrow::util::display::array_value_to_string(column, row).expect("it can be shown");
                format!("{}={value}", field.name())
            });
            fields.collect::<Vec<_>>().join(" ")
        };
        (0..batch.num_rows()).map(row).collect()
    };
    rows.iter().flat_map(lines).collect()
}

#[test]
fn without_any_memory_and_with_a_crash_after_every_line_a_join_says_what_it_says_with_all_of_it() {
    for (number, plan) in plans().iter().enumerate() {
        let mut pairs = 0;
        for seed in 0..2 {
            let inputs = inputs(seed * 1_000 + number as u64);
            let (mut all, mut none, mut crashing) =
                (Life::new(plan, usize::MAX), Life::new(plan, 0), Life::new(plan, usize::MAX));
            for (index, fed) in inputs.iter().enumerate() {
                let expected = told(&all.take(input(fed)));
                pairs += expected.len();
                assert_eq!(told(&none.take(input(fed))), expected, "plan {number}, seed {seed}, input {index}");
                assert_eq!(
                    told(&crashing.take(input(fed))),
                    expected,
                    "plan {number}, seed {seed}, input {index}, after a crash"
                );
                crashing.crash();
            }
        }
        assert!(pairs > 0, "plan {number}: nothing was joined");
    }
}

const ROWS: usize = 200_000;

/// A batch of rows with keys of their own, all at this second: a text that is as long as most identifiers, and a number.
fn batch_of(source: usize, second: i64, keys: std::ops::Range<usize>) -> Fed {
    let (text, number): (StringArray, Int64Array) = (
        StringArray::from_iter_values(keys.clone().map(|key| format!("order {key:030}"))),
        keys.clone().map(|key| key as i64).collect(),
    );
    let mut batch = batch(
        &format!("p{source}"),
        &vec![second; keys.len()],
        vec![("key", Arc::new(text) as ArrayRef), ("number", Arc::new(number))],
    );
    batch.offsets = (keys.start as u64..keys.end as u64).collect::<Vec<_>>().into();
    Some((source, batch))
}

/// What is held of rows of one side: bytes of a row with all in memory, of what of it are columns, and after all was let go.
fn bytes_per_row(plan: &Plan, source: usize) -> (usize, usize, usize) {
    let mut life = Life::new(plan, usize::MAX);
    for (second, first) in (0..).zip((0..ROWS).step_by(4_000)) {
        life.take(input(&batch_of(source, second, first..first + 4_000)));
    }
    let all = life.engine.state_bytes();
    let snapshot = life.snapshot();
    let of_rows = |run: &crate::Run| run.rows.bytes() as usize;
    let columns: usize = snapshot.runs.iter().map(of_rows).sum();
    drop(snapshot);
    let freed = life.engine.release(0, &life.store());
    let left = life.engine.state_bytes();
    assert_eq!(freed, all - left.min(all), "what is free is what is not held any more");
    (all / ROWS, columns / ROWS, left / ROWS)
}

#[test]
fn of_a_row_that_was_let_go_some_bytes_stay_and_its_index_in_memory_takes_some_thirty() {
    let hour = 3_600;
    for (what, span) in [
        ("within", within(hour, hour)),
        ("tumbling", JoinSpan::Tumbling { size: TimeDelta::from_secs(20), offset: TimeDelta::ZERO }),
    ] {
        let mut plan = join(span);
        if let OperatorPlan::Join(join) = &mut plan.nodes[0].operator {
            join.lateness = TimeDelta::from_secs(hour);
        }
        let (all, columns, left) = bytes_per_row(&plan, 0);
        // Key and time, the offset of the text and what it says, the number.
        assert!((68..80).contains(&columns), "{what}: {columns} bytes of columns");
        assert!(all <= columns + 32, "{what}: {all} bytes with all in memory, {columns} of them columns");
        assert!((5..=8).contains(&left), "{what}: {left} bytes after all was let go");
    }
}

#[test]
fn of_a_version_of_a_table_that_was_let_go_some_forty_bytes_stay() {
    let (all, columns, left) = bytes_per_row(&join(JoinSpan::AsOf { ttl: None, deleted: None }), 1);
    assert!(all <= columns + 42, "{all} bytes with all in memory, {columns} of them columns");
    assert!((30..=42).contains(&left), "{left} bytes after all was let go");
}

#[test]
fn a_row_that_asks_for_what_is_not_there_reads_nothing() {
    let mut life = Life::new(&join(within(3_600, 3_600)), usize::MAX);
    life.take(input(&batch_of(0, 0, 0..10_000)));
    life.take(input(&batch_of(0, 2_000, 10_000..20_000)));
    life.snapshot();
    life.engine.release(0, &life.store());
    // Nothing can be loaded from here on.
    life.forget_files();
    assert!(life.take(input(&batch_of(1, 5, 20_000..30_000))).is_empty(), "other keys");
    assert!(life.take(input(&batch_of(1, 5_000, 5_000..6_000))).is_empty(), "these keys, at a time that is not held");
}
