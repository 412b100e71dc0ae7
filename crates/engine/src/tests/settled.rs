//! From which event time on results may still come.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use weir_model::{Epoch, EventTime, PartitionId, TimeDelta};

use super::{Names, batch, step, window_plan};
use crate::{Aggregate, Effect, Engine, GlobalPlan, Input, OperatorPlan, Plan, Settled, Upstream, WindowKind};

fn plan(window: WindowKind, lateness: i64) -> Plan {
    let mut plan = window_plan(&["in"], &["key"], &[("n", Aggregate::Count, None)]);
    let OperatorPlan::Window(of_plan) = &mut plan.nodes[0].operator else { panic!("it is a window") };
    (of_plan.window, of_plan.lateness) = (window, TimeDelta::from_secs(lateness));
    plan
}

/// What is settled after rows at these seconds; and after the partition has ended.
fn check(window: WindowKind, lateness: i64, seconds: &[i64], expected: Settled) {
    let plan = plan(window, lateness);
    let mut engine = Engine::new(plan.clone(), Arc::new(Names)).expect("the plan is right");
    let settled = |engine: &mut Engine| {
        let effects = step(engine, Input::Barrier(Epoch(1)));
        let [Effect::Snapshot(snapshot)] = &effects[..] else { panic!("{effects:?}") };
        assert_eq!(snapshot.settled(&plan, Upstream::AllSources).expect("understood"), Settled::AsRead);
        snapshot.settled(&plan, plan.outputs[0].from).expect("understood")
    };
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["a"; seconds.len()]));
    step(&mut engine, Input::Batch { source: 0, batch: batch("p0", seconds, vec![("key", keys)]) });
    assert_eq!(settled(&mut engine), expected, "{window:?}");
    step(&mut engine, Input::PartitionFinished(PartitionId::new("p0")));
    step(&mut engine, Input::End);
    let at_the_end = if let Settled::Never(_) = expected { expected } else { Settled::Before(EventTime::MAX) };
    assert_eq!(settled(&mut engine), at_the_end, "{window:?} at the end");
}

fn before(second: i64) -> Settled {
    Settled::Before(EventTime::from_micros(second * 1_000_000))
}

#[test]
fn results_are_settled_up_to_the_first_window_that_is_open() {
    let seconds = TimeDelta::from_secs;
    let tumbling = WindowKind::Tumbling { size: seconds(10), offset: TimeDelta::ZERO };
    check(tumbling, 0, &[1, 12, 25], before(20));
    check(tumbling, 10, &[1, 12, 25], before(10));
    let sliding = WindowKind::Sliding { size: seconds(30), slide: seconds(10), offset: TimeDelta::ZERO };
    check(sliding, 0, &[1, 55], before(30));
}

#[test]
fn sessions_are_settled_up_to_the_earliest_that_goes_on() {
    let session = WindowKind::Session { gap: TimeDelta::from_secs(10) };
    check(session, 0, &[1, 5, 25, 31, 38], before(25));
    check(session, 0, &[40], before(40));
}

#[test]
fn nothing_of_a_global_window_is_ever_settled() {
    check(WindowKind::Global(GlobalPlan::default()), 0, &[1], Settled::Never("w".to_owned()));
}
