//! Tests of what stories cannot show: which spans of a session are of which partition, and how many runs there are.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use weir_model::TimeDelta;

use super::living::{Living, Placed, Row};
use super::parts::Parts;
use super::spans::{Span, Spans};
use crate::keys::Keys;
use crate::plan::{Aggregate, AggregatePlan, EmitPlan, WindowKind, WindowPlan};
use crate::tests::Names;
use crate::window::shape::Shape;

fn span(from: u32, start: i64, end: i64) -> Span {
    Span { from, start, end }
}

#[test]
fn a_session_of_one_partition_is_one_span_until_another_partition_joins() {
    let mut spans = Spans::only(1);
    spans.add((0, 10), span(1, 5, 15), i64::MIN);
    assert_eq!(spans.list((0, 15)), [span(1, 0, 15)]);
    spans.add((0, 15), span(2, 12, 22), i64::MIN);
    spans.add((0, 22), span(1, 20, 30), i64::MIN);
    assert_eq!(spans.list((0, 30)), [span(1, 0, 15), span(1, 20, 30), span(2, 12, 22)]);
    assert!(spans.hold((0, 30), 1, 20, 29), "it ends after 29");
    assert!(!spans.hold((0, 30), 1, 16, 0), "between two spans of the partition");
    assert!(!spans.hold((0, 30), 2, 5, 0), "before the span of the partition");
    assert!(!spans.hold((0, 30), 1, 3, 15), "its span is over");
    spans.add((0, 30), span(1, 10, 21), i64::MIN);
    assert_eq!(spans.list((0, 30)), [span(1, 0, 30), span(2, 12, 22)]);
    assert!(Spans::of(vec![span(1, 8, 20), span(1, 0, 10)], (0, 20)).is_only(1));
    assert!(!Spans::of(vec![span(1, 8, 20)], (0, 20)).is_only(1), "a part that is over was forgotten");
}

#[test]
fn spans_that_are_over_for_every_partition_are_forgotten() {
    let mut spans = Spans::only(0);
    for partition in 1..1_000 {
        let at = i64::from(partition);
        spans.add((0, at + 10), span(partition, at, at + 10), at - 5);
    }
    assert!(spans.parts().1.len() < 600, "{}", spans.parts().1.len());
}

/// The runs stay few while sessions that go on for ever and sessions that come and go share them.
#[test]
fn runs_are_merged_beyond_their_limit_and_dropped_with_their_sessions() {
    let count = AggregatePlan { name: "n".to_owned(), function: Aggregate::Count, argument: None, filter: None };
    let plan = WindowPlan {
        window: WindowKind::Session { gap: TimeDelta::from_secs(10) },
        by: vec!["key".to_owned()],
        compute: vec![count],
        lateness: TimeDelta::ZERO,
        emit: EmitPlan::default(),
    };
    let shape = Shape::new(&plan, Arc::new(Names));
    let (mut keys, mut living, mut parts) = (Keys::new(1), Living::new(10, 0, 1_000), Parts::default());
    let names: ArrayRef = Arc::new(StringArray::from_iter_values((0..200).map(|key| format!("k{key}"))));
    let mut ids = Vec::new();
    keys.intern(&[names], 200, &mut ids).expect("text is a key");
    let mut gone = Vec::new();
    for round in 0..200_i64 {
        for key in [ids[0], ids[round as usize]] {
            let row = Row { key, time: round * 5, mark: i64::MIN, from: 0 };
            let Placed::In(id) = living.place(row, &mut parts) else { panic!("there is room") };
            let part = parts.begin(id, key, row.time);
            living.get_mut(id).parts.push(part);
            parts.update(&[] as &[ArrayRef], &[parts.group(part).expect("it takes rows")], &shape);
            gone.extend((key != ids[0]).then_some((round, id)));
        }
        parts.seal(&keys, &shape);
        while let Some((_, id)) = gone.first().copied().filter(|(begun, _)| *begun < round - 3) {
            gone.remove(0);
            living.remove(id).parts.iter().for_each(|part| parts.give(*part, super::NOBODY));
        }
        parts.compact(4, &mut living, &keys, &shape);
        assert!(parts.runs().count() <= 4, "{} runs after round {round}", parts.runs().count());
    }
    let held = living.get(living.at(ids[0], 500).expect("it goes on")).parts.clone();
    assert!(held.len() <= 4, "{} parts", held.len());
    let (mut states, groups) = parts.gather([held.as_slice()].into_iter(), &shape);
    let counted = states.evaluate(groups, &shape);
    assert_eq!(counted[0].as_ref(), &Int64Array::from(vec![201]) as &dyn arrow::array::Array);
}
