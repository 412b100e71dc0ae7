//! Snapshots and plans that were changed since: what is taken over, and that every balance stays even.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::Int64Type;
use weir_model::{Balance, Epoch, TimeDelta};

use super::{Names, batch, emitted, step, window_plan};
use crate::{
    Aggregate, Effect, Engine, EngineError, Input, Node, OperatorPlan, Output, Plan, Reset, RowsPlan, Snapshot,
    Upstream,
};

fn plan() -> Plan {
    window_plan(&["in"], &["key"], &[("n", Aggregate::Count, None)])
}

fn rows(source: usize, partition: &str, seconds: &[i64]) -> Input {
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["a"; seconds.len()]));
    Input::Batch { source, batch: batch(partition, seconds, vec![("key", keys)]) }
}

/// After three rows in an open window.
fn snapshot(plan: Plan) -> Snapshot {
    let mut engine = Engine::new(plan, Arc::new(Names)).expect("the plan is right");
    step(&mut engine, rows(0, "p0", &[1, 2, 3]));
    match step(&mut engine, Input::Barrier(Epoch(1))).pop() {
        Some(Effect::Snapshot(snapshot)) => snapshot,
        other => panic!("a barrier is answered by a snapshot: {other:?}"),
    }
}

fn restored(plan: Plan, reset: &Reset) -> Result<Engine, EngineError> {
    let engine = Engine::restore_without(plan, Arc::new(Names), snapshot(self::plan()), reset)?;
    assert!(engine.balances().iter().all(Balance::holds), "{:?}", engine.balances());
    Ok(engine)
}

/// What is counted of `a` when a row is added and all has ended.
fn counted(mut engine: Engine) -> i64 {
    step(&mut engine, rows(0, "p0", &[4]));
    let results = emitted(step(&mut engine, Input::End));
    results[0]["n"].as_primitive::<Int64Type>().value(0)
}

#[test]
fn steps_before_the_window_and_names_of_outputs_may_change() {
    let mut changed = plan();
    let select = OperatorPlan::Select(vec![("key".to_owned(), "key".to_owned())]);
    let first = Node { name: "new".to_owned(), from: Upstream::AllSources, operator: select };
    changed.nodes.insert(0, first);
    changed.nodes[1].from = Upstream::Node(0);
    changed.outputs = vec![Output { name: "renamed".to_owned(), from: Upstream::Node(1) }];
    let OperatorPlan::Window(window) = &mut changed.nodes[1].operator else { panic!("it is a window") };
    window.lateness = TimeDelta::from_secs(5);
    assert_eq!(counted(restored(changed, &Reset::Nothing).expect("it fits")), 4);
}

#[test]
fn a_window_goes_on_when_its_sources_become_more() {
    let mut changed = window_plan(&["early", "in"], &["key"], &[("n", Aggregate::Count, None)]);
    changed.nodes[0].name = "other".to_owned();
    let mut engine = restored(changed, &Reset::Nothing).expect("it fits");
    step(&mut engine, rows(0, "q0", &[5]));
    step(&mut engine, rows(1, "p0", &[4]));
    let results = emitted(step(&mut engine, Input::End));
    assert_eq!(results[0]["n"].as_primitive::<Int64Type>().value(0), 5);
}

#[test]
fn a_step_that_has_filtered_rows_may_go() {
    let mut before = plan();
    let sample = OperatorPlan::Rows(RowsPlan::Sample(crate::SamplePlan { keep: 0.5, by: Vec::new() }));
    before.nodes.insert(0, Node { name: "half".to_owned(), from: Upstream::AllSources, operator: sample });
    before.nodes[1].from = Upstream::Node(0);
    before.outputs[0].from = Upstream::Node(1);
    let engine = Engine::restore(plan(), Arc::new(Names), snapshot(before)).expect("it fits");
    let balance = engine.balances()[0];
    assert_eq!((balance.read, balance.filtered + balance.open), (3, 3), "{balance:?}");
}

#[test]
fn what_does_not_fit_is_refused_until_it_is_left_behind() {
    let mut changed = plan();
    let OperatorPlan::Window(window) = &mut changed.nodes[0].operator else { panic!("it is a window") };
    window.by.push("more".to_owned());
    let refused = restored(changed.clone(), &Reset::Nothing).expect_err("it does not fit").to_string();
    assert_eq!(refused, "the state does not fit any more: step w: key columns changed from `key` to `key, more`");
    let engine = restored(changed, &Reset::Steps(BTreeSet::from(["w".to_owned()]))).expect("it is left behind");
    let balance = engine.balances()[0];
    assert_eq!((balance.read, balance.filtered, balance.open), (3, 3, 0));
    assert_eq!(counted(engine), 1);
}

#[test]
fn a_plan_without_its_window_is_refused_while_that_holds_rows() {
    let mut changed = plan();
    changed.nodes.clear();
    changed.outputs[0].from = Upstream::Source(0);
    let refused = restored(changed.clone(), &Reset::Nothing).expect_err("rows would be lost").to_string();
    assert_eq!(refused, "the state does not fit any more: step w: it is gone");
    restored(changed, &Reset::Everything).expect("it is left behind");
}

#[test]
fn an_old_snapshot_that_does_not_say_what_made_it_fits_its_own_plan_only() {
    let mut old = snapshot(plan());
    let mut meta: serde_json::Value = serde_json::from_slice(&old.meta).expect("JSON");
    meta.as_object_mut().expect("an object").remove("plan");
    old.meta = meta.to_string().into_bytes();
    assert_eq!(counted(Engine::restore(plan(), Arc::new(Names), old.clone()).expect("its own")), 4);
    let mut changed = plan();
    changed.outputs[0].name = "renamed".to_owned();
    let refused = Engine::restore(changed, Arc::new(Names), old).expect_err("another");
    assert!(matches!(refused, EngineError::OtherPlan { .. }), "{refused}");
}

#[test]
fn what_is_in_a_snapshot_can_be_looked_at() {
    let inspection = snapshot(plan()).inspect().expect("whole");
    let step = &inspection.steps[0];
    assert_eq!((step.name.as_str(), step.kind.as_str()), ("w", "window"));
    assert_eq!((step.open_rows, step.groups, step.panes, step.runs), (3, 1, 1, 1));
    assert_eq!(inspection.partitions[0].rows, 3);
}
