//! Rows that come again.

use expect_test::expect;

use super::check;

#[test]
fn a_row_that_comes_again_is_filtered_whatever_partition_it_comes_by() {
    check(
        "time delay=5s
         deduplicate by key,name within=10s
         ---
         added p0
         added p1
         rows p0: 00:00:01 a 1 | 00:00:01 a 2 | 00:00:02 b 3
         rows p1: 00:00:01 a 4 | 00:00:03 b 5 | 00:00:03 c 6
         end",
        expect![[r#"
            rows p0, 3 of them
                a name=a value=1.0
                b name=b value=3.0
            rows p1, 3 of them
                c name=c value=6.0
            read 6 = results 3 + filtered 3 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn those_that_go_on_are_at_least_so_far_apart_whether_earlier_or_later() {
    check(
        "time delay=1m
         deduplicate by key within=10s
         ---
         added p0
         rows p0: 00:01:00 a 1 | 00:01:09.999 a 2 | 00:01:10 a 3 | 00:00:50.001 a 4 | 00:00:50 a 5
         rows p0: 00:01:19 a 6 | 00:01:20 a 7
         end",
        expect![[r#"
            rows p0, 5 of them
                a name=a value=1.0
                a name=a value=3.0
                a name=a value=5.0
            rows p0, 2 of them
                a name=a value=7.0
            read 7 = results 4 + filtered 3 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_row_without_a_key_equals_no_other() {
    check(
        "time delay=0s
         deduplicate by key,value within=10s
         ---
         added p0
         rows p0: 00:00:01 - 1 | 00:00:01 - 1 | 00:00:01 a - | 00:00:01 a - | 00:00:01 a 1 | 00:00:01 a 1
         end",
        expect![[r#"
            rows p0, 6 of them
                - name=- value=1.0
                - name=- value=1.0
                a name=a value=-
                a name=a value=-
                a name=a value=1.0
            read 6 = results 5 + filtered 1 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_row_whose_keys_are_forgotten_is_late_or_passes() {
    let story = |late: &str| {
        format!(
            "time delay=0s
             deduplicate by key within=10s{late}
             ---
             added p0
             rows p0: 00:00:05 a 1 | 00:00:40 b 2
             barrier
             rows p0: 00:00:30 a 3 | 00:00:30.001 a 4 | 00:00:30.001 a 5 | 00:00:05 a 6
             end"
        )
    };
    check(
        &story(""),
        expect![[r#"
            rows p0, 2 of them
                a name=a value=1.0
                b name=b value=2.0
            rows p0, 4 of them
                late a name=a value=3.0 event_time=00:00:30 late_by_ms=10000 -..- source_file=p0 source_offset=2
                late a name=a value=6.0 event_time=00:00:05 late_by_ms=35000 -..- source_file=p0 source_offset=5
                a name=a value=4.0
            read 6 = results 3 + filtered 1 + late 2 + rejected 0 + open 0
        "#]],
    );
    check(
        &story(" late=pass"),
        expect![[r#"
            rows p0, 2 of them
                a name=a value=1.0
                b name=b value=2.0
            rows p0, 4 of them
                a name=a value=3.0
                a name=a value=4.0
                a name=a value=6.0
            read 6 = results 5 + filtered 1 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn what_is_remembered_outlives_barriers_and_is_forgotten_with_time() {
    check(
        "time delay=0s
         deduplicate by key within=2s keys=3
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:01 b 1
         barrier
         rows p0: 00:00:02 c 1 | 00:00:02 d 1
         barrier
         rows p0: 00:00:02 a 2 | 00:00:02 b 2
         barrier
         rows p0: 00:00:05.999 e 1
         barrier
         rows p0: 00:00:06 e 1 | 00:00:06 f 1 | 00:00:06 g 1
         barrier
         rows p0: 00:00:06 f 2
         end",
        expect![[r#"
            rows p0, 2 of them
                a name=a value=1.0
                b name=b value=1.0
            rows p0, 2 of them
                rejected p0@3: deduplicate0 remembers 3 keys already, its limit: a shorter `within` or a higher `keys_max` makes room
                c name=c value=1.0
            rows p0, 1 of them
                rejected p0@6: deduplicate0 remembers 3 keys already, its limit: a shorter `within` or a higher `keys_max` makes room
            rows p0, 3 of them
                rejected p0@7: deduplicate0 remembers 3 keys already, its limit: a shorter `within` or a higher `keys_max` makes room
                f name=f value=1.0
                g name=g value=1.0
            read 11 = results 5 + filtered 3 + late 0 + rejected 3 + open 0
        "#]],
    );
}

#[test]
fn a_window_after_it_counts_every_row_once() {
    check(
        "time delay=0s
         deduplicate by value within=1m
         window 10s by key compute n=count(*)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 a 1 | 00:00:03 a 2 | 00:00:04 b 1
         rows p0: 00:00:11 a 1 | 00:00:12 a 3
         end",
        expect![[r#"
            rows p0, 2 of them
                00:00:00..00:00:10 a n=2 on_time revision=0
            end
                00:00:10..00:00:20 a n=1 on_time revision=0
            read 6 = results 3 + filtered 3 + late 0 + rejected 0 + open 0
        "#]],
    );
}
