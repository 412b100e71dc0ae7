//! Many keys in a global window: what a snapshot writes anew, and that none is counted under another's name when keys are
//! forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use weir_model::{Epoch, TimeDelta};

use super::{Names, batch, emitted, step, window_plan};
use crate::{Aggregate, Effect, Engine, GlobalPlan, Input, OperatorPlan, Plan, Snapshot, WindowKind};

fn plan(every_rows: u64, forget_after: Option<i64>) -> Plan {
    let compute = [("n", Aggregate::Count, None), ("k", Aggregate::Max, Some("key"))];
    let mut plan = window_plan(&["in"], &["key"], &compute);
    if let OperatorPlan::Window(window) = &mut plan.nodes[0].operator {
        let forget_after = forget_after.map(TimeDelta::from_secs);
        window.window = WindowKind::Global(GlobalPlan { every_rows: Some(every_rows), forget_after });
    }
    plan
}

fn rows(second: i64, keys: impl Iterator<Item = i64>) -> Input {
    let keys: Vec<i64> = keys.collect();
    let times = vec![second; keys.len()];
    let keys: ArrayRef = Arc::new(Int64Array::from(keys));
    Input::Batch { source: 0, batch: batch("p0", &times, vec![("key", keys)]) }
}

fn snapshot(engine: &mut Engine, epoch: u64) -> Snapshot {
    let taken = step(engine, Input::Barrier(Epoch(epoch)));
    let snapshot = |effect| if let Effect::Snapshot(snapshot) = effect { Some(snapshot) } else { None };
    taken.into_iter().find_map(snapshot).expect("a barrier is answered by a snapshot")
}

/// The keys and counts that were told.
fn told(effects: Vec<Effect>) -> Vec<(i64, i64)> {
    let mut told = Vec::new();
    for rows in emitted(effects) {
        let column = |name: &str| rows[name].as_primitive::<Int64Type>().clone();
        let (keys, counts) = (column("key"), column("n"));
        assert_eq!(keys, column("k"), "a group holds rows of its own key only");
        told.extend(keys.values().iter().copied().zip(counts.values().iter().copied()));
    }
    told
}

#[test]
fn a_snapshot_writes_what_has_changed_and_a_second_life_goes_on_from_it() {
    const KEYS: i64 = 20_000;
    let mut engine = Engine::new(plan(1_000, None), Arc::new(Names)).expect("the plan is right");
    for first in (0..KEYS).step_by(5_000) {
        step(&mut engine, rows(1, first..first + 5_000));
    }
    let mut known: BTreeSet<u64> = snapshot(&mut engine, 0).runs.iter().map(|run| run.id).collect();
    let mut written = 0;
    for epoch in 1..=100_i64 {
        step(&mut engine, rows(1 + epoch, (0..20).map(|key| key * 7 + epoch)));
        let taken = snapshot(&mut engine, epoch as u64);
        assert!(taken.runs.len() <= 16, "{} runs", taken.runs.len());
        written +=
            taken.runs.iter().filter(|run| known.insert(run.id)).map(|run| run.batch().num_rows()).sum::<usize>();
        if epoch % 10 == 0 {
            engine = Engine::restore(plan(1_000, None), Arc::new(Names), taken).expect("the snapshot is whole");
        }
    }
    // 2,000 rows have changed; all of them and their merges are a fraction of writing 20,000 groups a hundred times.
    assert!(written < 40_000, "{written} rows were written");
    let counts: BTreeMap<i64, i64> = told(step(&mut engine, Input::End)).into_iter().collect();
    assert_eq!(counts.len() as i64, KEYS);
    assert_eq!(counts.values().sum::<i64>(), KEYS + 100 * 20);
}

#[test]
fn keys_that_are_forgotten_make_room_and_are_not_mistaken_for_others() {
    const KEYS: i64 = 3_000;
    let mut engine = Engine::new(plan(2, Some(16)), Arc::new(Names)).expect("the plan is right");
    let mut last: BTreeMap<i64, i64> = BTreeMap::new();
    for round in 0..8 {
        // Two of three rows of a key, so that the third is its last word when it is forgotten.
        let keys = (0..3 * KEYS).map(|row| round * KEYS + row % KEYS);
        last.extend(told(step(&mut engine, rows(1 + round * 20, keys))));
        let taken = snapshot(&mut engine, round as u64);
        if round % 3 == 2 {
            engine = Engine::restore(plan(2, Some(16)), Arc::new(Names), taken).expect("the snapshot is whole");
        }
        assert!(engine.state_bytes() < 8 << 20, "{} bytes", engine.state_bytes());
    }
    last.extend(told(step(&mut engine, Input::End)));
    assert_eq!(last.len() as i64, 8 * KEYS, "every key was told");
    assert!(last.values().all(|count| *count == 3), "and all of its rows");
}
