//! Steps that look at rows one after the other.

use expect_test::{Expect, expect};
use weir_engine::{Node, OperatorPlan, RowsPlan, Upstream};

use crate::{Story, play};

/// Plays a story whose rows first pass these steps, in every way, and compares what it tells.
#[track_caller]
pub(super) fn check_after(steps: Vec<RowsPlan>, story: &str, expected: Expect) {
    let mut story = Story::parse(story).expect("the story can be read");
    let before = steps.len();
    for node in &mut story.plan.nodes {
        node.from = match node.from {
            Upstream::Node(index) => Upstream::Node(index + before),
            Upstream::AllSources | Upstream::Source(_) => Upstream::Node(before - 1),
        };
    }
    let steps = steps.into_iter().enumerate().map(|(index, plan)| Node {
        name: format!("{}-{index}", plan.kind()),
        from: index.checked_sub(1).map_or(Upstream::AllSources, Upstream::Node),
        operator: OperatorPlan::Rows(plan),
    });
    story.plan.nodes.splice(0..0, steps);
    story.plan.outputs[0].from = Upstream::Node(story.plan.nodes.len() - 1);
    match play(&story) {
        Ok((told, _)) => expected.assert_eq(&told),
        Err(error) => panic!("{error}"),
    }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

#[test]
fn columns_are_added_replaced_renamed_and_dropped() {
    check_after(
        vec![
            RowsPlan::Add(pairs(&[("big", "value > 2"), ("name", "'x'")])),
            RowsPlan::Rename(pairs(&[("amount", "value"), ("key", "name")])),
            RowsPlan::Drop(vec!["nobody".to_owned(), "name".to_owned()]),
        ],
        "time delay=0s
         where big = 'true'
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 3 | 00:00:03 - -
         end",
        expect![[r#"
            rows p0, 3 of them
                x amount=3.0 big=true
            read 3 = results 1 + filtered 2 + late 0 + rejected 0 + open 0
        "#]],
    );
}
