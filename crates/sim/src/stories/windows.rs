//! What windows compute and when they say it.

use expect_test::expect;

use super::check;

#[test]
fn a_window_fires_when_the_watermark_passes_its_end() {
    check(
        "time delay=0s
         window 10s by key compute n=count(*), total=sum(value), mean=avg(value), low=min(value), high=max(value)
         ---
         added p0
         rows p0: 00:00:01 a 5 | 00:00:03 b 7 | 00:00:04 a 1
         barrier
         rows p0: 00:00:09 b 0.5 | 00:00:10 a 1 | 00:00:12 a 3
         end",
        expect![[r#"
            rows p0, 3 of them
                00:00:00..00:00:10 a n=2 total=6.0 mean=3.0 low=1.0 high=5.0 on_time revision=0
                00:00:00..00:00:10 b n=2 total=7.5 mean=3.75 low=0.5 high=7.0 on_time revision=0
            end
                00:00:10..00:00:20 a n=2 total=4.0 mean=2.0 low=1.0 high=3.0 on_time revision=0
            read 6 = results 6 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn rows_out_of_order_within_the_delay_are_on_time() {
    check(
        "time delay=5s
         window 10s by key compute n=count(*)
         ---
         added p0
         rows p0: 00:00:08 a 1 | 00:00:14 a 1 | 00:00:09.5 a 1
         rows p0: 00:00:15 a 1 | 00:00:20 a 1
         end",
        expect![[r#"
            rows p0, 2 of them
                00:00:00..00:00:10 a n=2 on_time revision=0
            end
                00:00:10..00:00:20 a n=2 on_time revision=0
                00:00:20..00:00:30 a n=1 on_time revision=0
            read 5 = results 5 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_late_row_goes_to_the_late_output_with_its_delay_and_the_window_it_missed() {
    check(
        "time delay=1s
         window 10s by key compute n=count(*)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:12 a 1
         barrier
         rows p0: 00:00:02 a 7 | 00:00:10 b 1
         end",
        expect![[r#"
            rows p0, 2 of them
                00:00:00..00:00:10 a n=1 on_time revision=0
            rows p0, 2 of them
                late a name=a value=7.0 event_time=00:00:02 late_by_ms=9000 00:00:00..00:00:10 source_file=p0 source_offset=2
            end
                00:00:10..00:00:20 a n=1 on_time revision=0
                00:00:10..00:00:20 b n=1 on_time revision=0
            read 4 = results 3 + filtered 0 + late 1 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn allowed_lateness_fires_the_groups_that_changed_again() {
    check(
        "time delay=0s
         window 10s by key compute n=count(*), total=sum(value) lateness=20s late=5s
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 1 | 00:00:10 a 100
         rows p0: 00:00:03 a 2 | 00:00:04 c 3
         rows p0: 00:00:16 a 100
         barrier
         rows p0: 00:00:05 a 4
         rows p0: 00:00:31 a 100 | 00:00:06 a 9
         end",
        expect![[r#"
            rows p0, 3 of them
                00:00:00..00:00:10 a n=1 total=1.0 on_time revision=0
                00:00:00..00:00:10 b n=1 total=1.0 on_time revision=0
            rows p0, 1 of them
                00:00:00..00:00:10 a n=2 total=3.0 late revision=1
                00:00:00..00:00:10 c n=1 total=3.0 late revision=1
            rows p0, 2 of them
                late a name=a value=9.0 event_time=00:00:06 late_by_ms=25000 00:00:00..00:00:10 source_file=p0 source_offset=8
                00:00:00..00:00:10 a n=3 total=7.0 late revision=2
                00:00:10..00:00:20 a n=2 total=200.0 on_time revision=0
            end
                00:00:30..00:00:40 a n=1 total=100.0 on_time revision=0
            read 9 = results 8 + filtered 0 + late 1 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn null_is_a_key_like_any_other_and_no_value() {
    check(
        "time delay=0s
         window 10s by key,name compute n=count(*), values=count(value), total=sum(value), high=max(value)
         ---
         added p0
         rows p0: 00:00:01 - - | 00:00:02 a - | 00:00:03 - 3
         barrier
         rows p0: 00:00:04 - 4 | 00:00:05 a -
         end",
        expect![[r#"
            end
                00:00:00..00:00:10 - name=- n=3 values=2 total=7.0 high=4.0 on_time revision=0
                00:00:00..00:00:10 a name=a n=2 values=0 total=- high=- on_time revision=0
            read 5 = results 5 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn where_and_select_work_before_and_after_a_window() {
    check(
        "time delay=0s
         where value > 1
         select who=key, what=value
         window 10s by who compute n=count(*), big=count(*) if what > 5
         where n >= 2
         select who=who, n=n, big=big
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 a 2 | 00:00:03 b 3 | 00:00:04 a 9 | 00:00:05 c -
         end",
        expect![[r#"
            end
                who=a n=2 big=1
            read 5 = results 3 + filtered 2 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn without_event_time_rows_are_filtered_and_projected_only() {
    check(
        "where key = 'a'
         select twice=value
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 2
         rows p0: 00:00:01 a 3",
        expect![[r#"
            rows p0, 2 of them
                twice=1.0
            rows p0, 1 of them
                twice=3.0
            read 3 = results 2 + filtered 1 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn the_row_that_an_expression_fails_for_is_rejected_and_no_other() {
    check(
        "time delay=0s
         select key=key, root=fail_if_negative(value)
         window 10s by key compute total=sum(root)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 a -2 | 00:00:03 b 3 | 00:00:04 a 4 | 00:00:05 b -1
         end",
        expect![[r#"
            rows p0, 5 of them
                rejected p0@1: fail_if_negative(value): a negative value
                rejected p0@4: fail_if_negative(value): a negative value
            end
                00:00:00..00:00:10 a total=5.0 on_time revision=0
                00:00:00..00:00:10 b total=3.0 on_time revision=0
            read 5 = results 3 + filtered 0 + late 0 + rejected 2 + open 0
        "#]],
    );
}

#[test]
fn windows_can_be_shifted_and_do_without_keys() {
    check(
        "time delay=0s
         window 10s compute n=count(*), median=p50(value) offset=3s
         ---
         added p0
         rows p0: 00:00:02 a 1 | 00:00:03 b 100 | 00:00:12 a 100 | 00:00:13 a 4
         end",
        expect![[r#"
            rows p0, 4 of them
                2025-12-31T23:59:53Z..00:00:03 n=1 median=1.0099842501579575 on_time revision=0
                00:00:03..00:00:13 n=2 median=99.89890814872125 on_time revision=0
            end
                00:00:13..00:00:23 n=1 median=4.039937000631686 on_time revision=0
            read 4 = results 4 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn end_fires_every_window() {
    check(
        "time delay=1m
         window 10s by key compute n=count(*)
         ---
         added p0
         added p1
         rows p0: 00:00:01 a 1 | 00:00:11 a 1 | 00:00:59 b 1
         end
         barrier",
        expect![[r#"
            end
                00:00:00..00:00:10 a n=1 on_time revision=0
                00:00:10..00:00:20 a n=1 on_time revision=0
                00:00:50..00:01:00 b n=1 on_time revision=0
            read 3 = results 3 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn spread_and_edges_of_a_group_do_not_depend_on_the_order_of_its_rows() {
    check(
        "time delay=20s
         window 10s by key compute first=first(value), last=last(value), who=last(name), spread=stddev(value), v=variance(value), big=first(value) if value > 5
         ---
         added p0
         added p1
         rows p0: 00:00:05 a 4 | 00:00:01 a 2 | 00:00:09 a 9 | 00:00:02 b 7
         barrier
         rows p1: 00:00:09 a 5 | 00:00:01 a 7 | 00:00:00 a - | 00:00:03 c -
         end",
        expect![[r#"
            end
                00:00:00..00:00:10 a first=2.0 last=9.0 who=a spread=2.701851217221259 v=7.3 big=7.0 on_time revision=0
                00:00:00..00:00:10 b first=7.0 last=7.0 who=b spread=- v=- big=7.0 on_time revision=0
                00:00:00..00:00:10 c first=- last=- who=c spread=- v=- big=- on_time revision=0
            read 8 = results 8 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}
