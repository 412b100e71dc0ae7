//! What happens at limits, and what is refused.

use expect_test::expect;

use super::check;
use crate::{Story, restore_with};

#[test]
fn rows_that_would_make_too_many_groups_are_rejected() {
    check(
        "time delay=0s
         limit groups=2
         window 10s by key compute n=count(*)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 1
         barrier
         rows p0: 00:00:03 c 1 | 00:00:04 a 1 | 00:00:05 d 1
         rows p0: 00:00:11 c 1 | 00:00:12 d 1 | 00:00:13 e 1
         end",
        expect![[r#"
            rows p0, 3 of them
                rejected p0@2: window window0 holds 2 groups already, its limit: a coarser key or a shorter lateness makes fewer
                rejected p0@4: window window0 holds 2 groups already, its limit: a coarser key or a shorter lateness makes fewer
            rows p0, 3 of them
                rejected p0@5: window window0 holds 2 groups already, its limit: a coarser key or a shorter lateness makes fewer
                00:00:00..00:00:10 a n=2 on_time revision=0
                00:00:00..00:00:10 b n=1 on_time revision=0
            end
                00:00:10..00:00:20 d n=1 on_time revision=0
                00:00:10..00:00:20 e n=1 on_time revision=0
            read 8 = results 5 + filtered 0 + late 0 + rejected 3 + open 0
        "#]],
    );
}

#[test]
fn many_barriers_merge_runs_and_change_nothing() {
    check(
        "time delay=0s
         limit runs=2
         window 1m by key compute n=count(*), total=sum(value), p=p90(value) lateness=1m late=1s
         ---
         added p0
         rows p0: 00:00:01 a 0.1
         barrier
         rows p0: 00:00:02 a 0.2 | 00:00:02 b 1e300
         barrier
         rows p0: 00:00:03 a 0.3
         barrier
         rows p0: 00:00:04 b -1e300 | 00:00:05 b 1e-300
         barrier
         rows p0: 00:01:00 a 1
         barrier
         rows p0: 00:00:06 a 0.4
         barrier
         rows p0: 00:00:07 b 5
         barrier
         rows p0: 00:00:08 b 6
         barrier
         rows p0: 00:01:01 a 1
         end",
        expect![[r#"
            rows p0, 1 of them
                00:00:00..00:01:00 a n=3 total=0.6 p=0.1990497630785927 on_time revision=0
                00:00:00..00:01:00 b n=3 total=1e-300 p=2.490945526546524e282 on_time revision=0
            rows p0, 1 of them
                00:00:00..00:01:00 a n=4 total=1.0 p=0.30171510801508045 late revision=1
                00:00:00..00:01:00 b n=5 total=11.0 p=2.490945526546524e282 late revision=1
            end
                00:01:00..00:02:00 a n=2 total=2.0 p=1.0099842501579575 on_time revision=0
            read 11 = results 11 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_snapshot_of_another_plan_is_refused() {
    let story = |window: &str| {
        let text = format!("time delay=0s\n{window}\n---\nadded p0\nrows p0: 00:00:01 a 1\nbarrier");
        Story::parse(&text).expect("the story can be read")
    };
    let story_a = story("window 10s by key compute n=count(*)");
    let with = |window: &str| restore_with(&story_a, story(window).plan).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(with("window 10s by key compute n=count(*)"), Ok(()));
    assert_eq!(with("window 10s by key compute n=count(*) lateness=5s"), Ok(()), "lateness may change");
    let refused = with("window 10s by key compute n=count(value)").expect_err("other aggregates do not fit");
    assert!(refused.starts_with("the state does not fit any more: step window0: aggregates changed"), "{refused}");
    assert!(with("window 20s by key compute n=count(*)").is_err());
}
