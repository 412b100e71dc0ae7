//! Plans that contradict themselves are refused, and say what would be right.

use std::sync::Arc;

use weir_model::TimeDelta;

use super::{Names, window_plan};
use crate::{Aggregate, Engine, OperatorPlan, Plan, Upstream, WindowKind, WindowPlan};

fn window(plan: &mut Plan) -> &mut WindowPlan {
    match &mut plan.nodes[0].operator {
        OperatorPlan::Window(window) => window,
        other => panic!("the first node is {other:?}"),
    }
}

#[track_caller]
fn refused(change: impl Fn(&mut Plan)) -> String {
    let mut plan = window_plan(&["in"], &["key"], &[("n", Aggregate::Count, None)]);
    change(&mut plan);
    Engine::new(plan, Arc::new(Names)).expect_err("the plan contradicts itself").to_string()
}

#[test]
fn a_plan_that_contradicts_itself_is_refused_with_the_place() {
    let zero = WindowKind::Tumbling { size: TimeDelta::ZERO, offset: TimeDelta::ZERO };
    assert_eq!(refused(|plan| window(plan).window = zero), "step w: the size is 0s; it must be longer than nothing");
    assert_eq!(
        refused(|plan| window(plan).emit.early_every = Some(TimeDelta::ZERO)),
        "step w: emit.early_every is 0s; it must be longer than nothing"
    );
    assert_eq!(
        refused(|plan| window(plan).emit.early_rows = Some(0)),
        "step w: emit.early_rows is 0; it must be at least 1"
    );
    assert_eq!(
        refused(|plan| {
            plan.time.as_mut().expect("it has one").max_drift = Some(TimeDelta::from_secs(-1));
        }),
        "time: max_drift is -1s; it cannot be negative"
    );
    let sliding = |size, slide| WindowKind::Sliding {
        size: TimeDelta::from_secs(size),
        slide: TimeDelta::from_secs(slide),
        offset: TimeDelta::ZERO,
    };
    assert_eq!(
        refused(|plan| window(plan).window = sliding(10, 0)),
        "step w: the slide is 0s; it must be longer than nothing"
    );
    assert_eq!(
        refused(|plan| window(plan).window = sliding(10, 11)),
        "step w: the slide is 11s, longer than the size 10s: rows in between would be in no window"
    );
    assert_eq!(
        refused(|plan| window(plan).window = sliding(100_001, 1)),
        "step w: 100001s by 1s makes more than 100000 windows overlap; a longer slide makes fewer"
    );
    assert_eq!(
        refused(|plan| window(plan).lateness = TimeDelta::from_secs(-1)),
        "step w: the lateness is -1s; it cannot be negative"
    );
    assert_eq!(
        refused(|plan| window(plan).by.push("n".to_owned())),
        "step w: the result would have two columns called n"
    );
    assert_eq!(
        refused(|plan| window(plan).by.push("revision".to_owned())),
        "step w: the result would have two columns called revision"
    );
    assert_eq!(
        refused(|plan| window(plan).compute[0].function = Aggregate::Sum),
        "step w: n: needs an argument; only count goes without"
    );
    assert_eq!(
        refused(|plan| window(plan).compute[0].function = Aggregate::Quantile(95.0)),
        "step w: n: the quantile 95 is not between 0 and 1"
    );
    assert_eq!(refused(|plan| plan.time = None), "step w: a window needs `time`: the field that holds the event time");
    assert_eq!(
        refused(|plan| plan.outputs[0].from = Upstream::Node(1)),
        "output out: takes from step 1, which does not come before it"
    );
    assert_eq!(refused(|plan| plan.nodes[0].from = Upstream::Source(1)), "step w: takes from source 1 of 1");
    assert_eq!(refused(|plan| plan.nodes.push(plan.nodes[0].clone())), "step w: another step has this name");
}

#[test]
fn the_fingerprint_tells_apart_what_has_other_state_and_nothing_else() {
    let plan = window_plan(&["in"], &["key"], &[("n", Aggregate::Count, None)]);
    let changed = |change: &dyn Fn(&mut Plan)| {
        let mut other = plan.clone();
        change(&mut other);
        other.fingerprint() != plan.fingerprint()
    };
    assert!(changed(&|plan| window(plan).by.push("more".to_owned())));
    assert!(changed(&|plan| window(plan).compute[0].filter = Some("key".to_owned())));
    assert!(changed(&|plan| plan.sources.push("more".to_owned())));
    let size = TimeDelta::from_secs(10);
    let sliding = WindowKind::Sliding { size, slide: size, offset: TimeDelta::ZERO };
    assert!(changed(&|plan| window(plan).window = sliding));
    assert!(!changed(&|plan| window(plan).emit.early_rows = Some(1)));
    assert!(!changed(&|plan| window(plan).lateness = TimeDelta::from_secs(1)));
    assert!(!changed(&|plan| plan.limits.groups_per_node = 1));
    assert_eq!(
        plan.fingerprint(),
        "cf7511e7dc687c2a",
        "it is stored, and must not change from one release to the next"
    );
}
