//! Several sources and several paths through one plan.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use arrow::datatypes::Int64Type;
use weir_model::{Balance, EventTime, PartitionId, ProcessingTime, TimeDelta, Watermark};

use super::{Names, SECOND, batch, emitted, step, window_plan};
use crate::{Aggregate, Engine, Input, OperatorPlan, Output, PartitionState, Upstream};

fn rows(source: usize, partition: &str, seconds: &[i64]) -> Input {
    let keys: ArrayRef = Arc::new(StringArray::from(vec!["a"; seconds.len()]));
    Input::Batch { source, batch: batch(partition, seconds, vec![("key", keys)]) }
}

#[test]
fn a_window_waits_for_the_sources_it_takes_from_and_no_others() {
    let mut plan = window_plan(&["one", "two"], &["key"], &[("n", Aggregate::Count, None)]);
    let mut second = plan.nodes[0].clone();
    second.name = "only_one".to_owned();
    second.from = Upstream::Source(0);
    plan.nodes.push(second);
    plan.outputs.push(Output { name: "of_one".to_owned(), from: Upstream::Node(1) });
    plan.outputs.push(Output { name: "raw".to_owned(), from: Upstream::Source(1) });
    let mut engine = Engine::new(plan, Arc::new(Names)).expect("the plan is right");
    step(&mut engine, Input::PartitionAdded { source: 0, partition: PartitionId::new("p0") });
    step(&mut engine, Input::PartitionAdded { source: 1, partition: PartitionId::new("q0") });

    let fired = emitted(step(&mut engine, rows(0, "p0", &[1, 30])));
    assert_eq!(fired.len(), 1, "the window over both waits for the second source");
    assert_eq!(engine.watermark(), Watermark::UNKNOWN);
    let fired = emitted(step(&mut engine, rows(1, "q0", &[2, 15])));
    assert_eq!(fired.iter().map(|rows| rows.num_rows()).collect::<Vec<_>>(), [2, 1], "raw rows, and the window");
    assert_eq!(engine.watermark(), Watermark::at(EventTime::from_micros(15 * SECOND)));
    step(&mut engine, Input::Rejected { source: 1, partition: PartitionId::new("q0"), rows: 3 });
    let balance = |read, results, rejected, open| Balance { read, results, rejected, open, ..Balance::default() };
    assert_eq!(engine.balances(), [balance(7, 2, 3, 2), balance(2, 1, 0, 1), balance(5, 2, 3, 0)]);
}

#[test]
fn a_step_says_what_it_holds_and_which_window_fires_next() {
    let plan = window_plan(&["in"], &["key"], &[("n", Aggregate::Count, None)]);
    let mut engine = Engine::new(plan, Arc::new(Names)).expect("the plan is right");
    let holding = |engine: &Engine| engine.steps()[0].holding.expect("a window holds groups");
    assert_eq!((engine.steps()[0].watermark, holding(&engine).next_window), (Some(Watermark::UNKNOWN), None));
    let at = |seconds: i64| EventTime::from_micros(seconds * SECOND);

    step(&mut engine, rows(0, "p0", &[12, 25]));
    let (status, held) = (engine.steps().remove(0), holding(&engine));
    assert_eq!((status.watermark, status.open_rows), (Some(Watermark::at(at(25))), 1), "10-20 has fired");
    assert_eq!(held.next_window, Some((at(20), at(30))));
    assert_eq!((held.groups, held.panes, status.state_bytes > 0), (1, 1, true), "10-20 is gone");

    step(&mut engine, Input::End);
    assert_eq!((holding(&engine).next_window, engine.steps()[0].open_rows), (None, 0), "nothing is left to say");
}

#[test]
fn the_id_of_a_result_is_the_same_for_ever() {
    let plan = window_plan(&["in"], &["key", "none"], &[("n", Aggregate::Count, None)]);
    let mut engine = Engine::new(plan, Arc::new(Names)).expect("the plan is right");
    step(&mut engine, rows(0, "p0", &[1]));
    let results = &emitted(step(&mut engine, Input::End))[0];
    assert_eq!(
        results["row_id"].as_string::<i32>().value(0),
        "bf845df50f71fc25b67fc17ef79f1a9e",
        "sinks hold it to recognise rows by"
    );
}

#[test]
fn late_changes_do_not_wait_for_event_time_where_everything_is_idle() {
    let mut plan = window_plan(&["in"], &["key"], &[("n", Aggregate::Count, None)]);
    if let OperatorPlan::Window(window) = &mut plan.nodes[0].operator {
        window.lateness = TimeDelta::from_secs(60);
    }
    let mut engine = Engine::new(plan, Arc::new(Names)).expect("the plan is right");
    let tick = |seconds| Input::Tick(ProcessingTime::from_micros(seconds * SECOND));
    step(&mut engine, tick(0));
    assert_eq!(emitted(step(&mut engine, rows(0, "p0", &[1, 11, 2]))).len(), 1);
    step(&mut engine, Input::CaughtUp(PartitionId::new("p0")));
    assert!(step(&mut engine, tick(29)).is_empty());
    let again = emitted(step(&mut engine, tick(30)));
    assert_eq!(again[0]["n"].as_primitive::<Int64Type>().value(0), 2);
    assert_eq!(again[0]["revision"].as_primitive::<Int64Type>().value(0), 1);
    assert!(step(&mut engine, tick(31)).is_empty());
}

#[test]
fn partitions_are_shown_with_what_they_are_doing() {
    let plan = window_plan(&["in"], &["key"], &[("n", Aggregate::Count, None)]);
    let mut engine = Engine::new(plan, Arc::new(Names)).expect("the plan is right");
    step(&mut engine, Input::PartitionAdded { source: 0, partition: PartitionId::new("p1") });
    step(&mut engine, rows(0, "p0", &[1, 3, 2]));
    step(&mut engine, rows(0, "p2", &[5]));
    step(&mut engine, Input::CaughtUp(PartitionId::new("p0")));
    step(&mut engine, Input::PartitionFinished(PartitionId::new("p2")));
    let shown: Vec<_> = engine
        .partitions()
        .map(|status| (status.partition.to_string(), status.rows, status.state, status.watermark.time().micros()))
        .collect();
    assert_eq!(
        shown,
        [
            ("p0".to_owned(), 3, PartitionState::CaughtUp, 3 * SECOND),
            ("p1".to_owned(), 0, PartitionState::Reading, i64::MIN),
            ("p2".to_owned(), 1, PartitionState::Finished, 5 * SECOND),
        ]
    );
}
