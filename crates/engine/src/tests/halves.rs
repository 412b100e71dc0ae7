//! A plan in two halves: what travels between them, what of it is refused, and what moves. That they say what one engine
//! says is shown by the oracles of `weir-sim`.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, StringArray, StringViewArray};
use arrow::datatypes::Int64Type;
use weir_model::{Balance, PartitionId, TimeDelta};

use super::{Names, batch, window_plan};
use crate::{
    Aggregate, Begin, DeduplicatePlan, Effect, EngineError, Fold, Input, JoinLinesPlan, KeyGroup, LateRows, Merge,
    Node, OperatorPlan, Partial, PartialError, Plan, RowsPlan, Upstream, WindowKind,
};

fn plan() -> Plan {
    window_plan(&["in"], &["key"], &[("n", Aggregate::Count, None), ("total", Aggregate::Sum, Some("value"))])
}

fn rows(seconds: &[i64], value: ArrayRef) -> Input {
    let keys: ArrayRef =
        Arc::new(seconds.iter().map(|second| Some(format!("k{}", second % 5))).collect::<StringArray>());
    let views: ArrayRef =
        Arc::new(seconds.iter().map(|second| Some(format!("a text of row {second}"))).collect::<StringViewArray>());
    Input::Batch { source: 0, batch: batch("p0", seconds, vec![("key", keys), ("value", value), ("text", views)]) }
}

fn numbers(seconds: &[i64]) -> ArrayRef {
    Arc::new(seconds.iter().map(|second| Some(*second as f64)).collect::<Float64Array>())
}

fn fold(plan: &Plan, key_groups: u16) -> Fold {
    let of = (0, PartitionId::new("p0"));
    Fold::new(plan.clone(), Arc::new(Names), key_groups, of).expect("the plan is right")
}

fn merge(plan: &Plan, key_groups: u16) -> Merge {
    let mut merge = Merge::new(plan.clone(), Arc::new(Names), key_groups).expect("the plan is right");
    (0..plan.key_groups(key_groups)).for_each(|group| merge.begin(KeyGroup(group)).expect("there is such a group"));
    merge
}

/// Lets everything travel, as bytes, and answers travel back.
fn travel(fold: &mut Fold, merge: &mut Merge) -> Vec<Effect> {
    let mut effects = Vec::new();
    for partial in fold.flush() {
        let partial = Partial::from_bytes(&partial.to_bytes()).expect("what was just written can be read");
        let held = merge.take(partial, &mut effects).expect("it is the next");
        held.iter().for_each(|held| fold.hear(held));
    }
    effects
}

/// What was read, and what of it became results.
fn balance(folds: &[&Fold], merge: &Merge) -> Balance {
    let mut sum = merge.balances()[0];
    folds.iter().for_each(|fold| sum += fold.balances()[0]);
    assert!(sum.holds(), "{sum:?}");
    sum
}

fn counted(effects: &[Effect]) -> i64 {
    let count = |effect: &Effect| match effect {
        Effect::Emit { rows, .. } => {
            let counts = rows.column_by_name("n").expect("it is computed").as_primitive::<Int64Type>();
            counts.values().iter().sum()
        }
        _ => 0,
    };
    effects.iter().map(count).sum()
}

#[test]
fn rows_travel_as_they_are_until_every_owner_has_answered_and_are_folded_from_then_on() {
    let (plan, seconds) = (plan(), [1, 2, 3, 6, 7]);
    let (mut fold, mut merge) = (fold(&plan, 4), merge(&plan, 4));
    fold.step(rows(&seconds, numbers(&seconds)), &mut Vec::new());
    let sent = fold.flush();
    assert_eq!(sent.len(), 4, "every owner hears of the partition");
    assert_eq!(sent.iter().map(Partial::contains).sum::<u64>(), 5);
    assert!(sent.iter().all(|partial| partial.asks && partial.sequence == 0));
    let answers: Vec<_> = sent.into_iter().map(|partial| merge.take(partial, &mut Vec::new())).collect();
    for held in answers.into_iter().flatten().flatten() {
        fold.hear(&held);
    }
    let many: Vec<i64> = (0..1_000).map(|row| 8 + row / 700).collect();
    fold.step(rows(&many, numbers(&many)), &mut Vec::new());
    let sent = fold.flush();
    let groups: usize = sent.iter().flat_map(|partial| &partial.parts).map(|part| part.body.columns().num_rows()).sum();
    assert_eq!((groups, sent.iter().map(Partial::contains).sum()), (2, 1_000), "two keys in one pane");
    assert!(sent.iter().all(|partial| !partial.asks && partial.watermark == fold.status().watermark));
    let mut effects = Vec::new();
    for partial in sent {
        merge.take(partial, &mut effects).expect("it is the next");
    }
    fold.step(rows(&[25], numbers(&[25])), &mut effects);
    effects.extend(travel(&mut fold, &mut merge));
    assert_eq!(counted(&effects), 1_005);
    assert_eq!(balance(&[&fold], &merge).open, 1);
    assert!(fold.flush().is_empty(), "without news nothing is sent");
}

#[test]
fn a_partial_that_is_damaged_anywhere_is_refused() {
    let (plan, seconds) = (plan(), [1, 2]);
    let mut fold = fold(&plan, 1);
    fold.step(rows(&seconds, numbers(&seconds)), &mut Vec::new());
    let bytes = fold.flush().remove(0).to_bytes();
    let refused = |bytes: &[u8]| match Partial::from_bytes(bytes) {
        Err(PartialError::Damaged { reason }) => reason,
        other => panic!("it is damaged: {other:?}"),
    };
    for place in 0..bytes.len() {
        let mut other = bytes.clone();
        other[place] ^= 0x40;
        refused(&other);
        refused(&bytes[..place]);
    }
    assert_eq!(refused(&[]), "it does not begin as one");
    let mut newer = bytes.clone();
    newer[4] = 2;
    assert_eq!(refused(&newer), "it is of version 2, and 1 is known here");
    assert_eq!(refused(&[&bytes[..], &[0]].concat()), "its checksum is wrong");
}

#[test]
fn what_another_plan_made_or_is_for_others_is_refused() {
    let plan = plan();
    let mut fold = fold(&plan, 4);
    let partial = fold.flush().remove(3);
    let mut other = plan.clone();
    other.nodes[0].name = "other".to_owned();
    let refused = merge(&other, 4).take(partial.clone(), &mut Vec::new()).expect_err("it is of another plan");
    assert!(matches!(refused, PartialError::OtherPlan { .. }), "{refused}");
    let refused = merge(&plan, 5).take(partial.clone(), &mut Vec::new()).expect_err("it is cut otherwise");
    assert!(matches!(refused, PartialError::OtherPlan { .. }), "{refused}");
    let mut owner = merge(&plan, 4);
    let moved = owner.export(&[KeyGroup(3)]);
    let refused = owner.take(partial.clone(), &mut Vec::new()).expect_err("it was given away");
    assert_eq!(refused.to_string(), "a partial of partition p0 is for key group 3, which is not owned here");
    let mut next = Merge::new(plan.clone(), Arc::new(Names), 4).expect("the plan is right");
    next.import(KeyGroup(3), &moved[0].1).expect("it was just exported");
    next.take(partial, &mut Vec::new()).expect("it is owned here");
    assert_eq!(next.owned().collect::<Vec<_>>(), [KeyGroup(3)]);
    assert!(matches!(next.begin(KeyGroup(4)), Err(EngineError::Plan { .. })));
    let whole = crate::Engine::restore(plan, Arc::new(Names), moved[0].1.clone());
    assert!(matches!(whole, Err(EngineError::OtherPlan { .. })));
}

#[test]
fn groups_over_the_limit_are_rejected_and_counted_by_their_rows() {
    let (mut plan, seconds) = (plan(), [1, 2, 3, 6, 7]);
    plan.limits.groups_per_node = 2;
    let (mut fold, mut merge) = (fold(&plan, 1), merge(&plan, 1));
    travel(&mut fold, &mut merge);
    fold.step(rows(&seconds, numbers(&seconds)), &mut Vec::new());
    let effects = travel(&mut fold, &mut merge);
    let [Effect::RejectResult { rows, reason, .. }] = &effects[..] else { panic!("one group is over: {effects:?}") };
    assert_eq!(rows.column(2).as_primitive::<Int64Type>().values(), &[1]);
    assert!(reason.starts_with("window w holds 2 groups already"), "{reason}");
    let balance = balance(&[&fold], &merge);
    assert_eq!((balance.read, balance.rejected, balance.open), (5, 1, 4));
}

#[test]
fn partitions_that_say_different_types_do_not_mix() {
    let (plan, seconds) = (plan(), [1, 2]);
    let (mut first, mut merge) = (fold(&plan, 1), merge(&plan, 1));
    let of = (0, PartitionId::new("p1"));
    let mut second = Fold::new(plan.clone(), Arc::new(Names), 1, of).expect("the plan is right");
    travel(&mut first, &mut merge);
    travel(&mut second, &mut merge);
    first.step(rows(&seconds, numbers(&seconds)), &mut Vec::new());
    travel(&mut first, &mut merge);
    let Input::Batch { mut batch, .. } = rows(&seconds, Arc::new(Int64Array::from(vec![1, 2]))) else { panic!("rows") };
    batch.partition = PartitionId::new("p1");
    second.step(Input::Batch { source: 0, batch }, &mut Vec::new());
    let effects = travel(&mut second, &mut merge);
    let [Effect::RejectResult { reason, .. }] = &effects[..] else { panic!("they differ: {effects:?}") };
    assert_eq!(reason, "value: is Int64 there, and Float64 came before");
    let sum = balance(&[&first, &second], &merge);
    assert_eq!((sum.rejected, sum.open), (2, 2));
}

#[test]
fn a_keyed_step_behind_another_one_makes_a_plan_of_one_key_group() {
    let mut plan = plan();
    assert_eq!(plan.key_groups(64), 64);
    let again = DeduplicatePlan {
        by: vec!["n".to_owned()],
        within: TimeDelta::from_secs(1),
        late: LateRows::Aside,
        keys_max: 10,
    };
    let operator = OperatorPlan::Deduplicate(again);
    plan.nodes.push(Node { name: "once".to_owned(), from: Upstream::Node(0), operator });
    assert_eq!((plan.key_groups(64), plan.key_groups(0)), (1, 1));
}

#[test]
fn a_record_that_may_go_on_moves_with_its_partition() {
    let mut plan = plan();
    let lines = JoinLinesPlan {
        column: "text".to_owned(),
        by: Vec::new(),
        begin: Begin::StartsWith("^a".to_owned()),
        lines_max: 10,
        bytes_max: 1_000,
        max_wait: None,
    };
    plan.nodes.insert(
        0,
        Node {
            name: "lines".to_owned(),
            from: Upstream::AllSources,
            operator: OperatorPlan::Rows(RowsPlan::JoinLines(lines)),
        },
    );
    plan.nodes[1].from = Upstream::Node(0);
    plan.outputs[0].from = Upstream::Node(1);
    let OperatorPlan::Window(window) = &mut plan.nodes[1].operator else { panic!("a window") };
    window.window = WindowKind::Tumbling { size: TimeDelta::from_secs(10), offset: TimeDelta::ZERO };
    let (mut first, mut merge) = (fold(&plan, 2), merge(&plan, 2));
    let mut effects = Vec::new();
    first.step(rows(&[1, 2], numbers(&[1, 2])), &mut effects);
    first.step(Input::Barrier(weir_model::Epoch(1)), &mut effects);
    effects.extend(travel(&mut first, &mut merge));
    let snapshot =
        effects.iter().find_map(|effect| if let Effect::Snapshot(one) = effect { Some(one.clone()) } else { None });
    let of = (0, PartitionId::new("p0"));
    let second = Fold::restore(plan, Arc::new(Names), 2, of, snapshot.expect("a barrier makes a snapshot"));
    let mut second = second.expect("it was just made");
    second.step(Input::End, &mut effects);
    effects.extend(travel(&mut second, &mut merge));
    merge.end(&mut effects);
    assert_eq!(counted(&effects), 2);
    assert_eq!(balance(&[&second], &merge).open, 0);
}
