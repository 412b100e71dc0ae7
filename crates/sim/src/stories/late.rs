//! Rows that are late for windows which have fired: collected, or told at once.

use expect_test::expect;

use super::check;

#[test]
fn each_late_row_is_told_at_once_with_its_group_alone() {
    check(
        "time delay=0s
         window 10s by key compute n=count(*), total=sum(value) lateness=1m late=immediately
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 1 | 00:00:03 c 1 | 00:00:11 a 1
         rows p0: 00:00:04 a 2 | 00:00:05 a 4 | 00:00:12 a 1 | 00:00:06 b 8
         barrier
         rows p0: 00:00:07 d 1
         rows p0: 00:01:09 a 1 | 00:00:08 a 8 | 00:01:10 a 1 | 00:00:09 a 16
         end",
        expect![[r#"
            rows p0, 4 of them
                00:00:00..00:00:10 a n=1 total=1.0 on_time revision=0
                00:00:00..00:00:10 b n=1 total=1.0 on_time revision=0
                00:00:00..00:00:10 c n=1 total=1.0 on_time revision=0
            rows p0, 4 of them
                00:00:00..00:00:10 a n=2 total=3.0 late revision=1
                00:00:00..00:00:10 a n=3 total=7.0 late revision=2
                00:00:00..00:00:10 b n=2 total=9.0 late revision=3
            rows p0, 1 of them
                00:00:00..00:00:10 d n=1 total=1.0 late revision=4
            rows p0, 4 of them
                late a name=a value=16.0 event_time=00:00:09 late_by_ms=61000 00:00:00..00:00:10 source_file=p0 source_offset=12
                00:00:10..00:00:20 a n=2 total=2.0 on_time revision=0
                00:00:00..00:00:10 a n=4 total=15.0 late revision=5
                00:01:00..00:01:10 a n=1 total=1.0 on_time revision=0
            end
                00:01:10..00:01:20 a n=1 total=1.0 on_time revision=0
            read 13 = results 12 + filtered 0 + late 1 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_late_row_is_told_at_once_in_the_sliding_windows_that_have_fired_and_later_in_the_others() {
    check(
        "time delay=0s
         window 10s every 5s by key compute n=count(*) lateness=10s late=immediately
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:06 b 1 | 00:00:16 c 1
         barrier
         rows p0: 00:00:11 a 1 | 00:00:08 a 1 | 00:00:07 b 1
         rows p0: 00:00:21 c 1
         end",
        expect![[r#"
            rows p0, 3 of them
                2025-12-31T23:59:55Z..00:00:05 a n=1 on_time revision=0
                00:00:00..00:00:10 a n=1 on_time revision=0
                00:00:00..00:00:10 b n=1 on_time revision=0
                00:00:05..00:00:15 b n=1 on_time revision=0
            rows p0, 3 of them
                00:00:05..00:00:15 a n=1 late revision=1
                00:00:00..00:00:10 a n=2 late revision=1
                00:00:05..00:00:15 a n=2 late revision=2
                00:00:00..00:00:10 b n=2 late revision=2
                00:00:05..00:00:15 b n=2 late revision=3
            rows p0, 1 of them
                00:00:10..00:00:20 a n=1 on_time revision=0
                00:00:10..00:00:20 c n=1 on_time revision=0
            end
                00:00:15..00:00:25 c n=2 on_time revision=0
                00:00:20..00:00:30 c n=1 on_time revision=0
            read 7 = results 7 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_row_that_is_late_and_the_last_of_many_is_told_late_and_then_early() {
    check(
        "time delay=0s
         window 10s every 5s by key compute n=count(*) lateness=1m late=immediately early_rows=3
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:12 b 1 | 00:00:08 c 1
         barrier
         rows p0: 00:00:13 b 1 | 00:00:09 c 1 | 00:00:07 c 1
         end",
        expect![[r#"
            rows p0, 3 of them
                2025-12-31T23:59:55Z..00:00:05 a n=1 on_time revision=0
                00:00:00..00:00:10 a n=1 on_time revision=0
                00:00:00..00:00:10 c n=1 late revision=1
                00:00:05..00:00:15 b n=1 early revision=0
                00:00:05..00:00:15 c n=1 early revision=0
                00:00:10..00:00:20 b n=1 early revision=0
            rows p0, 3 of them
                00:00:00..00:00:10 c n=2 late revision=2
                00:00:00..00:00:10 c n=3 late revision=3
                00:00:05..00:00:15 b n=2 early revision=1
                00:00:05..00:00:15 c n=3 early revision=1
                00:00:10..00:00:20 b n=2 early revision=1
            end
                00:00:05..00:00:15 b n=2 on_time revision=2
                00:00:05..00:00:15 c n=3 on_time revision=2
                00:00:10..00:00:20 b n=2 on_time revision=2
            read 6 = results 6 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_window_that_fired_at_an_end_waits_for_the_next_with_its_new_rows() {
    check(
        "time delay=0s
         window 10s by key compute n=count(*) lateness=1m late=immediately
         ---
         added p0
         rows p0: 00:00:01 a 1
         end
         added p0
         rows p0: 00:00:02 a 1 | 00:00:12 b 1 | 00:00:03 a 1
         barrier
         end",
        expect![[r#"
            end
                00:00:00..00:00:10 a n=1 on_time revision=0
            rows p0, 3 of them
                00:00:00..00:00:10 a n=2 late revision=1
                00:00:00..00:00:10 a n=3 late revision=2
            end
                00:00:10..00:00:20 b n=1 on_time revision=0
            read 4 = results 4 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn another_partition_is_not_late_for_windows_that_wait_for_it() {
    check(
        "time delay=0s
         window 10s by key compute n=count(*) lateness=10s late=immediately
         ---
         added p0
         added p1
         rows p0: 00:00:01 a 1 | 00:00:12 a 1 | 00:00:02 a 1
         rows p1: 00:00:03 a 1 | 00:00:11 a 1
         rows p0: 00:00:04 a 1
         rows p1: 00:00:05 b 1
         end",
        expect![[r#"
            rows p1, 2 of them
                00:00:00..00:00:10 a n=3 on_time revision=0
            rows p0, 1 of them
                00:00:00..00:00:10 a n=4 late revision=1
            rows p1, 1 of them
                00:00:00..00:00:10 b n=1 late revision=2
            end
                00:00:10..00:00:20 a n=2 on_time revision=0
            read 7 = results 7 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}
