//! Snapshots: what they share, and what of them is refused.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, StringArray};
use weir_model::Epoch;

use super::{Names, batch, emitted, step, window_plan};
use crate::{Aggregate, Effect, Engine, EngineError, Input, Plan, RunRows, Snapshot};

fn plan() -> Plan {
    window_plan(&["in"], &["key"], &[("n", Aggregate::Count, None), ("total", Aggregate::Sum, Some("value"))])
}

fn rows(seconds: &[i64]) -> Input {
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["a"; seconds.len()]));
    let values: ArrayRef = Arc::new(Float64Array::from(vec![0.1; seconds.len()]));
    Input::Batch { source: 0, batch: batch("p0", seconds, vec![("key", keys), ("value", values)]) }
}

fn snapshot(engine: &mut Engine) -> Snapshot {
    let effects = step(engine, Input::Barrier(Epoch(1)));
    let [Effect::Snapshot(snapshot)] = &effects[..] else { panic!("a barrier is answered by a snapshot: {effects:?}") };
    snapshot.clone()
}

fn ids(snapshot: &Snapshot) -> BTreeSet<u64> {
    snapshot.runs.iter().map(|run| run.id).collect()
}

#[test]
fn a_snapshot_names_the_runs_that_did_not_change_as_before() {
    let mut engine = Engine::new(plan(), Arc::new(Names)).expect("the plan is right");
    step(&mut engine, rows(&[1]));
    let first = snapshot(&mut engine);
    let unchanged = snapshot(&mut engine);
    step(&mut engine, rows(&[2]));
    let third = snapshot(&mut engine);
    assert_eq!((first.runs.len(), third.runs.len()), (1, 2));
    assert_eq!(ids(&first), ids(&unchanged));
    assert!(ids(&third).is_superset(&ids(&first)));
}

#[test]
fn runs_over_the_limit_are_merged_under_a_new_name() {
    let mut plan = plan();
    plan.limits.runs_per_pane = 3;
    let mut engine = Engine::new(plan, Arc::new(Names)).expect("the plan is right");
    let mut seen = BTreeSet::new();
    for second in 0..9 {
        step(&mut engine, rows(&[second]));
        let snapshot = snapshot(&mut engine);
        assert!(snapshot.runs.len() <= 3, "{}", snapshot.runs.len());
        seen.extend(ids(&snapshot));
    }
    assert_eq!(seen.len(), 9, "no name stands for two runs");
    let results = &emitted(step(&mut engine, Input::End))[0];
    assert_eq!(results["n"].as_ref(), &arrow::array::Int64Array::from(vec![9]) as &dyn arrow::array::Array);
}

#[test]
fn another_attempt_gives_another_content_another_name() {
    let mut engine = Engine::new(plan(), Arc::new(Names)).expect("the plan is right");
    step(&mut engine, rows(&[1]));
    let base = snapshot(&mut engine);
    let attempt = |second| {
        let mut engine = Engine::restore(plan(), Arc::new(Names), base.clone()).expect("it is its own snapshot");
        step(&mut engine, rows(&[second, second]));
        ids(&snapshot(&mut engine))
    };
    assert_eq!(attempt(2), attempt(2));
    let other = {
        let mut engine = Engine::restore(plan(), Arc::new(Names), base.clone()).expect("it is its own snapshot");
        step(&mut engine, rows(&[2]));
        ids(&snapshot(&mut engine))
    };
    assert_eq!(attempt(2).intersection(&other).copied().collect::<BTreeSet<_>>(), ids(&base));
}

#[test]
fn a_damaged_snapshot_is_refused_with_what_is_wrong() {
    let mut engine = Engine::new(plan(), Arc::new(Names)).expect("the plan is right");
    step(&mut engine, rows(&[1]));
    let whole = snapshot(&mut engine);
    let refused = |change: &dyn Fn(&mut Snapshot)| {
        let mut damaged = whole.clone();
        change(&mut damaged);
        match Engine::restore(plan(), Arc::new(Names), damaged) {
            Err(EngineError::Corrupt(what)) => what,
            other => panic!("a damaged snapshot was taken: {other:?}"),
        }
    };
    assert!(refused(&|snapshot| snapshot.runs.clear()).ends_with("is missing"));
    assert!(
        refused(&|snapshot| snapshot.runs[0].rows =
            RunRows::Held(snapshot.runs[0].batch().project(&[]).expect("no columns")))
        .ends_with("has 0 columns")
    );
    assert!(refused(&|snapshot| snapshot.meta.truncate(20)).contains("EOF"));
    let fewer_outputs = refused(&|snapshot| {
        let text = String::from_utf8(snapshot.meta.clone()).expect("it is JSON");
        snapshot.meta = text.replace("\"outputs\":[0]", "\"outputs\":[]").into_bytes();
    });
    assert!(fewer_outputs.starts_with("it counts (1, 1, 0)"), "{fewer_outputs}");
    let swapped = refused(&|snapshot| {
        let columns = snapshot.runs[0].batch().clone();
        let names = ["k0", "s1_0", "s0_0"].into_iter().zip(columns.columns().iter().cloned());
        let batch = arrow::array::RecordBatch::try_from_iter(names).expect("equally long");
        snapshot.runs[0].rows = RunRows::Held(batch);
    });
    assert!(swapped.contains("the state is"), "{swapped}");
}
