//! How event time moves over partitions.

use expect_test::expect;

use super::check;

#[test]
fn two_skewed_partitions_lose_nothing() {
    check(
        "time delay=1s
         window 10s by key compute n=count(*)
         ---
         added p0
         added p1
         rows p0: 00:00:01 a 1 | 00:05:00 a 1 | 00:09:00 a 1
         barrier
         rows p1: 00:00:02 a 1 | 00:00:03 b 1 | 00:05:01 a 1
         rows p1: 00:10:00 a 1
         end",
        expect![[r#"
            rows p1, 3 of them
                00:00:00..00:00:10 a n=2 on_time revision=0
                00:00:00..00:00:10 b n=1 on_time revision=0
            rows p1, 1 of them
                00:05:00..00:05:10 a n=2 on_time revision=0
            end
                00:09:00..00:09:10 a n=1 on_time revision=0
                00:10:00..00:10:10 a n=1 on_time revision=0
            read 7 = results 7 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_partition_that_is_known_but_unread_holds_time_back() {
    check(
        "time delay=0s
         window 10s compute n=count(*)
         ---
         added p0
         added p1
         tick 1s
         rows p0: 00:00:01 a 1 | 00:01:00 a 1
         tick 60s
         rows p1: 00:00:02 a 1
         rows p1: 00:00:30 a 1
         end",
        expect![[r#"
            rows p1, 1 of them
                00:00:00..00:00:10 n=2 on_time revision=0
            end
                00:00:30..00:00:40 n=1 on_time revision=0
                00:01:00..00:01:10 n=1 on_time revision=0
            read 4 = results 4 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn an_idle_partition_neither_stalls_the_others_nor_drops_its_rows() {
    check(
        "time delay=0s idle_after=30s
         window 10s by key compute n=count(*)  lateness=1m
         ---
         added p0
         added p1
         tick 0s
         rows p1: 00:00:01 b 1
         caught_up p1
         rows p0: 00:00:02 a 1 | 00:00:25 a 1
         tick 29s
         barrier
         tick 30s
         rows p0: 00:00:31 a 1
         rows p1: 00:00:03 b 1 | 00:00:21 b 1
         tick 31s
         rows p0: 00:00:45 a 1
         rows p1: 00:00:45 b 1
         end",
        expect![[r#"
            tick 30s
                00:00:00..00:00:10 a n=1 on_time revision=0
                00:00:00..00:00:10 b n=1 on_time revision=0
            rows p0, 1 of them
                00:00:20..00:00:30 a n=1 on_time revision=0
            rows p1, 1 of them
                00:00:00..00:00:10 b n=2 late revision=1
                00:00:20..00:00:30 b n=1 late revision=1
                00:00:30..00:00:40 a n=1 on_time revision=0
            end
                00:00:40..00:00:50 a n=1 on_time revision=0
                00:00:40..00:00:50 b n=1 on_time revision=0
            read 8 = results 8 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn silence_alone_is_not_idleness() {
    check(
        "time delay=0s idle_after=30s
         window 10s compute n=count(*)
         ---
         added p0
         added p1
         tick 0s
         rows p1: 00:00:01 b 1
         rows p0: 00:00:59 a 1
         tick 10m
         caught_up p1",
        expect![[r#"
            caught_up p1
                00:00:00..00:00:10 n=1 on_time revision=0
            read 2 = results 1 + filtered 0 + late 0 + rejected 0 + open 1
        "#]],
    );
}

#[test]
fn a_row_from_the_far_future_is_rejected_and_moves_nothing() {
    check(
        "time delay=0s future_limit=5m
         window 10s compute n=count(*)
         ---
         added p0
         tick 10s
         rows p0: 00:00:01 a 1 | 23:00:00 a 1 | 00:00:02 a 1 | 00:05:10 a 1 | 00:05:10.000001 a 1
         end",
        expect![[r#"
            rows p0, 5 of them
                rejected p0@1: the event time 2026-01-01T23:00:00Z is more than 300s ahead of the clock (2026-01-01T00:00:10Z): a wrong clock or a wrong unit, or future_limit is too small
                rejected p0@4: the event time 2026-01-01T00:05:10.000001Z is more than 300s ahead of the clock (2026-01-01T00:00:10Z): a wrong clock or a wrong unit, or future_limit is too small
                00:00:00..00:00:10 n=2 on_time revision=0
            end
                00:05:10..00:05:20 n=1 on_time revision=0
            read 5 = results 3 + filtered 0 + late 0 + rejected 2 + open 0
        "#]],
    );
}

#[test]
fn a_partition_that_appears_late_loses_nothing_to_windows_that_are_still_there() {
    check(
        "time delay=0s
         window 10s by key compute n=count(*) lateness=1m
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:15 a 1
         added p1
         rows p1: 00:00:02 a 1 | 00:00:03 b 1
         barrier
         rows p1: 00:00:20 b 1
         rows p0: 00:00:40 a 1
         rows p1: 00:00:40 a 1
         end",
        expect![[r#"
            rows p0, 2 of them
                00:00:00..00:00:10 a n=1 on_time revision=0
            rows p0, 1 of them
                00:00:00..00:00:10 a n=2 late revision=1
                00:00:00..00:00:10 b n=1 late revision=1
                00:00:10..00:00:20 a n=1 on_time revision=0
            rows p1, 1 of them
                00:00:20..00:00:30 b n=1 on_time revision=0
            end
                00:00:40..00:00:50 a n=2 on_time revision=0
            read 7 = results 7 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn rows_of_a_partition_that_appears_after_its_windows_were_dropped_are_late_not_lost() {
    check(
        "time delay=0s
         window 10s by key compute n=count(*)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:35 a 1
         added p1
         rows p1: 00:00:02 a 1 | 00:00:31 b 1
         end",
        expect![[r#"
            rows p0, 2 of them
                00:00:00..00:00:10 a n=1 on_time revision=0
            rows p1, 2 of them
                late a name=a value=1.0 event_time=00:00:02 late_by_ms=33000 00:00:00..00:00:10 source_file=p1 source_offset=0
            end
                00:00:30..00:00:40 a n=1 on_time revision=0
                00:00:30..00:00:40 b n=1 on_time revision=0
            read 4 = results 3 + filtered 0 + late 1 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_finished_partition_holds_nothing_back() {
    check(
        "time delay=0s
         window 10s compute n=count(*)
         ---
         added p0
         added p1
         rows p0: 00:00:01 a 1 | 00:00:30 a 1
         rows p1: 00:00:02 a 1
         finished p1
         finished p0
         end",
        expect![[r#"
            finished p1
                00:00:00..00:00:10 n=2 on_time revision=0
            end
                00:00:30..00:00:40 n=1 on_time revision=0
            read 3 = results 3 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_row_is_late_by_its_own_partition_even_where_another_holds_the_window_open() {
    check(
        "time delay=0s
         window 10s by key compute n=count(*)
         ---
         added p0
         added p1
         rows p0: 00:00:20 a 1 | 00:00:05 a 1
         rows p1: 00:00:05 a 1
         end",
        expect![[r#"
            rows p0, 2 of them
                late a name=a value=1.0 event_time=00:00:05 late_by_ms=15000 00:00:00..00:00:10 source_file=p0 source_offset=1
            end
                00:00:00..00:00:10 a n=1 on_time revision=0
                00:00:20..00:00:30 a n=1 on_time revision=0
            read 3 = results 2 + filtered 0 + late 1 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn after_the_end_newer_rows_of_a_new_partition_are_on_time() {
    check(
        "time delay=5s
         window 10s by key compute n=count(*)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:12 a 1 | 00:00:31 b 1
         end
         barrier
         added p1
         rows p1: 00:00:41 a 1 | 00:00:45 b 1 | 00:00:52 a 1
         rows p1: 00:01:10 a 1
         end",
        expect![[r#"
            rows p0, 3 of them
                00:00:00..00:00:10 a n=1 on_time revision=0
                00:00:10..00:00:20 a n=1 on_time revision=0
            end
                00:00:30..00:00:40 b n=1 on_time revision=0
            rows p1, 1 of them
                00:00:40..00:00:50 a n=1 on_time revision=0
                00:00:40..00:00:50 b n=1 on_time revision=0
                00:00:50..00:01:00 a n=1 on_time revision=0
            end
                00:01:10..00:01:20 a n=1 on_time revision=0
            read 7 = results 7 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn after_the_end_rows_of_a_window_that_it_fired_make_it_fire_again() {
    check(
        "time delay=5s
         window 10s by key compute n=count(*), total=sum(value)
         ---
         added p0
         rows p0: 00:00:31 a 1 | 00:00:32 b 10
         end
         barrier
         rows p0: 00:00:33 a 2 | 00:00:41 a 3
         barrier
         rows p0: 00:00:34 a 4 | 00:00:46 c 1
         end",
        expect![[r#"
            end
                00:00:30..00:00:40 a n=1 total=1.0 on_time revision=0
                00:00:30..00:00:40 b n=1 total=10.0 on_time revision=0
            rows p0, 2 of them
                00:00:30..00:00:40 a n=3 total=7.0 late revision=1
            end
                00:00:40..00:00:50 a n=1 total=3.0 on_time revision=0
                00:00:40..00:00:50 c n=1 total=1.0 on_time revision=0
            read 6 = results 6 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn after_the_end_rows_of_windows_that_time_has_passed_are_late() {
    check(
        "time delay=5s
         window 10s by key compute n=count(*) lateness=10s late=1s
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:15 a 1 | 00:00:36 a 1
         end
         added p1
         rows p1: 00:00:02 a 1 | 00:00:16 a 1 | 00:00:25 a 1 | 00:00:37 a 1
         end",
        expect![[r#"
            rows p0, 3 of them
                00:00:00..00:00:10 a n=1 on_time revision=0
                00:00:10..00:00:20 a n=1 on_time revision=0
            end
                00:00:30..00:00:40 a n=1 on_time revision=0
            rows p1, 4 of them
                late a name=a value=1.0 event_time=00:00:02 late_by_ms=29000 00:00:00..00:00:10 source_file=p1 source_offset=0
                late a name=a value=1.0 event_time=00:00:16 late_by_ms=15000 00:00:10..00:00:20 source_file=p1 source_offset=1
                00:00:20..00:00:30 a n=1 late revision=0
            end
                00:00:30..00:00:40 a n=2 late revision=1
            read 7 = results 5 + filtered 0 + late 2 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_second_end_without_new_rows_says_nothing() {
    check(
        "time delay=1m
         window 10s by key compute n=count(*) lateness=1m
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:01:11 a 1
         end
         end
         barrier
         added p1
         end
         rows p1: 00:01:12 a 1
         end
         end",
        expect![[r#"
            rows p0, 2 of them
                00:00:00..00:00:10 a n=1 on_time revision=0
            end
                00:01:10..00:01:20 a n=1 on_time revision=0
            end
                00:01:10..00:01:20 a n=2 late revision=1
            read 3 = results 3 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn after_the_end_a_partition_that_is_announced_again_holds_time_back() {
    check(
        "time delay=0s
         window 10s by key compute n=count(*)
         ---
         added p0
         rows p0: 00:00:01 a 1
         finished p0
         end
         barrier
         added p0
         added p1
         rows p1: 00:00:31 b 1
         rows p0: 00:00:12 a 1 | 00:00:32 a 1
         end",
        expect![[r#"
            end
                00:00:00..00:00:10 a n=1 on_time revision=0
            rows p0, 2 of them
                00:00:10..00:00:20 a n=1 on_time revision=0
            end
                00:00:30..00:00:40 a n=1 on_time revision=0
                00:00:30..00:00:40 b n=1 on_time revision=0
            read 4 = results 4 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_partition_that_is_too_far_ahead_is_paused_until_the_others_have_come_closer() {
    check(
        "time delay=0s idle_after=30s max_drift=1m
         window 10s compute n=count(*)
         ---
         added p0
         added p1
         added p2
         tick 0s
         rows p0: 00:00:01 a 1 | 00:05:00 a 1
         rows p1: 00:00:02 a 1
         rows p2: 00:04:00 a 1
         barrier
         rows p1: 00:03:10 a 1
         caught_up p1
         rows p2: 00:04:10 a 1
         tick 29s
         tick 30s
         rows p1: 00:03:11 a 1
         finished p1
         end",
        expect![[r#"
            rows p0, 2 of them
                pause p0
            rows p1, 1 of them
                pause p1
            rows p2, 1 of them
                resume p1
                pause p2
            rows p1, 1 of them
                00:00:00..00:00:10 n=2 on_time revision=0
                resume p2
            tick 30s
                00:03:10..00:03:20 n=1 on_time revision=0
                00:04:00..00:04:10 n=1 on_time revision=0
                resume p0
            rows p1, 1 of them
                late a name=a value=1.0 event_time=00:03:11 late_by_ms=59000 00:03:10..00:03:20 source_file=p1 source_offset=2
                pause p0
            finished p1
                resume p0
            end
                00:04:10..00:04:20 n=1 on_time revision=0
                00:05:00..00:05:10 n=1 on_time revision=0
            read 7 = results 6 + filtered 0 + late 1 + rejected 0 + open 0
        "#]],
    );
}
