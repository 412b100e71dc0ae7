//! The simulation itself: that it repeats, and that what it does to workers happens to them.

use std::collections::BTreeMap;

use super::{Mishap, Scenario, Shape, What, run};

/// A seed whose scenario has this shape.
fn calm(shape: Shape) -> Scenario {
    let mut scenario = (1..).map(Scenario::of).find(|scenario| scenario.shape == shape).expect("there are many");
    scenario.mishaps.clear();
    scenario.weather = Default::default();
    scenario.workers = 2;
    scenario.partitions = 2;
    scenario
}

#[test]
fn the_same_seed_does_the_same_and_another_one_something_else() {
    let mut traces = BTreeMap::new();
    for seed in 1..9 {
        let ran = run(&Scenario::of(seed)).expect("it passes");
        assert_eq!(run(&Scenario::of(seed)).expect("it passes again"), ran, "seed {seed}");
        traces.insert(ran.trace, seed);
    }
    assert_eq!(traces.len(), 8);
}

#[test]
fn workers_without_mishaps_have_one_life_each() {
    for shape in [Shape::Through, Shape::Counts] {
        let ran = run(&calm(shape)).expect("it passes");
        assert_eq!((ran.lives, ran.deaths, ran.refused), (2, 0, 0), "{shape:?}");
    }
}

/// Frozen at every 10 ms of its first commits, for longer than its session and its transaction: it wakes up as nobody.
#[test]
fn a_worker_that_wakes_up_after_its_partitions_moved_is_refused_at_some_moments_and_doubles_nothing_at_any() {
    let mut refused = 0;
    for at in 0..40 {
        let mut scenario = calm(Shape::Through);
        (scenario.ids, scenario.portions, scenario.epoch_ms, scenario.weather.way_ms) = (240, 30, 100, 20);
        let what = What::Freeze { worker: 0, for_ms: 4_500 };
        scenario.mishaps = vec![Mishap { at_ms: 1_300 + at * 10, what }];
        refused += run(&scenario).expect("nothing is doubled").refused;
    }
    assert!(refused > 0, "no freeze met a commit");
}

/// What a topic made anew does to workers, every one of them says.
#[test]
fn a_topic_that_was_made_anew_is_refused_by_name() {
    let mut scenario = calm(Shape::Through);
    scenario.mishaps = vec![Mishap { at_ms: 0, what: What::Recreate }];
    run(&scenario).expect("all workers refuse");
}

/// The brokers die at every 50 ms of its first commits, for longer than sessions last: what it has committed has to be asked for.
#[test]
fn a_granted_commit_whose_marker_is_forgotten_is_confirmed_by_whoever_made_it() {
    let mut forgotten = 0;
    for at in 0..80 {
        let mut scenario = calm(Shape::Through);
        (scenario.ids, scenario.portions, scenario.epoch_ms, scenario.forgets) = (240, 30, 100, true);
        scenario.mishaps = vec![Mishap { at_ms: 1_300 + at * 50, what: What::Brokers { for_ms: 4_500 } }];
        forgotten += run(&scenario).unwrap_or_else(|failure| panic!("brokers that die at {at}: {failure}")).forgotten;
    }
    assert!(forgotten > 0, "no death met a marker");
}

/// Frozen at every 2 ms while it looks for the first time where it goes on, for longer than its session: another one begins with
/// its partitions meanwhile, and owners of keys hear of them.
#[test]
fn a_worker_that_wakes_up_while_others_begin_with_its_partitions_asks_nobody_about_them() {
    let run_frozen = |at: u64| {
        let mut scenario = calm(Shape::Counts);
        (scenario.ids, scenario.portions, scenario.epoch_ms, scenario.weather.way_ms) = (240, 30, 100, 20);
        scenario.mishaps = vec![Mishap { at_ms: at, what: What::Freeze { worker: 0, for_ms: 4_500 } }];
        run(&scenario)
    };
    for at in (90..170).step_by(2) {
        run_frozen(at).unwrap_or_else(|failure| panic!("frozen at {at} ms: {failure}"));
    }
}
