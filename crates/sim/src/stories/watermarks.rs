//! What moves a watermark: every row, steps of event time, or the rows that say so.

use expect_test::expect;

use super::check;

#[test]
fn a_periodic_watermark_moves_at_multiples_and_lets_rows_in_that_a_bounded_one_would_not() {
    // 00:00:29 less 2 s is still in the step that begins at 00:00:20; with 00:00:32 the next one begins.
    check(
        "time delay=2s every=10s
         window 5s by key compute n=count(*)
         ---
         added p0
         rows p0: 00:00:21 a 1 | 00:00:29 a 1 | 00:00:22 b 1 | 00:00:31.999999 a 1 | 00:00:23 c 1
         rows p0: 00:00:32 a 1 | 00:00:24 d 1
         end",
        expect![[r#"
            rows p0, 2 of them
                late d name=d value=1.0 event_time=00:00:24 late_by_ms=6000 00:00:20..00:00:25 source_file=p0 source_offset=6
                00:00:20..00:00:25 a n=1 on_time revision=0
                00:00:20..00:00:25 b n=1 on_time revision=0
                00:00:20..00:00:25 c n=1 on_time revision=0
                00:00:25..00:00:30 a n=1 on_time revision=0
            end
                00:00:30..00:00:35 a n=2 on_time revision=0
            read 7 = results 6 + filtered 0 + late 1 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn windows_of_a_periodic_watermark_fire_together() {
    check(
        "time delay=0s every=10s
         window 2s compute n=count(*)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:03 a 1 | 00:00:05 a 1 | 00:00:09 a 1
         barrier
         rows p0: 00:00:10 a 1
         end",
        expect![[r#"
            rows p0, 1 of them
                00:00:00..00:00:02 n=1 on_time revision=0
                00:00:02..00:00:04 n=1 on_time revision=0
                00:00:04..00:00:06 n=1 on_time revision=0
                00:00:08..00:00:10 n=1 on_time revision=0
            end
                00:00:10..00:00:12 n=1 on_time revision=0
            read 5 = results 5 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn the_slowest_step_of_several_partitions_holds_time_back() {
    check(
        "time delay=0s every=1m
         window 30s compute n=count(*)
         ---
         added p0
         added p1
         rows p0: 00:00:10 a 1 | 00:02:01 a 1
         rows p1: 00:00:11 a 1 | 00:00:59 a 1
         rows p1: 00:01:00 a 1
         rows p1: 00:02:10 a 1
         end",
        expect![[r#"
            rows p1, 1 of them
                00:00:00..00:00:30 n=2 on_time revision=0
                00:00:30..00:01:00 n=1 on_time revision=0
            rows p1, 1 of them
                00:01:00..00:01:30 n=1 on_time revision=0
            end
                00:02:00..00:02:30 n=2 on_time revision=0
            read 6 = results 6 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn only_rows_that_carry_a_watermark_move_it() {
    // The row of 00:00:59 says nothing about time; that of 00:00:20 does.
    check(
        "time delay=0s when key = 'mark'
         window 10s by key compute n=count(*)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:59 a 1 | 00:00:02 a 1 | 00:00:20 mark 1 | 00:00:03 a 1 | 00:00:21 a 1
         barrier
         rows p0: 00:00:10 mark 1 | 00:00:22 - 1 | 00:01:00 mark 1
         end",
        expect![[r#"
            rows p0, 6 of them
                late a name=a value=1.0 event_time=00:00:03 late_by_ms=17000 00:00:00..00:00:10 source_file=p0 source_offset=4
                00:00:00..00:00:10 a n=2 on_time revision=0
            rows p0, 3 of them
                late mark name=mark value=1.0 event_time=00:00:10 late_by_ms=10000 00:00:10..00:00:20 source_file=p0 source_offset=6
                00:00:20..00:00:30 - n=1 on_time revision=0
                00:00:20..00:00:30 a n=1 on_time revision=0
                00:00:20..00:00:30 mark n=1 on_time revision=0
                00:00:50..00:01:00 a n=1 on_time revision=0
            end
                00:01:00..00:01:10 mark n=1 on_time revision=0
            read 9 = results 7 + filtered 0 + late 2 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn the_delay_of_a_punctuated_watermark_is_taken_from_the_rows_that_carry_it() {
    check(
        "time delay=5s when value > 100
         window 10s by key compute n=count(*)
         ---
         added p0
         rows p0: 00:00:09 a 1 | 00:00:14.999999 a 101 | 00:00:08 a 1 | 00:00:15 a 101 | 00:00:07 a 1 | 00:00:16 a -
         end",
        expect![[r#"
            rows p0, 6 of them
                late a name=a value=1.0 event_time=00:00:07 late_by_ms=3000 00:00:00..00:00:10 source_file=p0 source_offset=4
                00:00:00..00:00:10 a n=2 on_time revision=0
            end
                00:00:10..00:00:20 a n=3 on_time revision=0
            read 6 = results 5 + filtered 0 + late 1 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_partition_without_a_row_that_carries_a_watermark_holds_time_back_until_it_is_idle() {
    check(
        "time delay=0s idle_after=30s when key = 'mark'
         window 10s compute n=count(*)
         ---
         added p0
         added p1
         tick 0s
         rows p0: 00:00:01 a 1 | 00:00:30 mark 1
         rows p1: 00:00:02 a 1 | 00:00:40 a 1
         tick 60s
         caught_up p1
         end",
        expect![[r#"
            caught_up p1
                00:00:00..00:00:10 n=2 on_time revision=0
            end
                00:00:30..00:00:40 n=1 on_time revision=0
                00:00:40..00:00:50 n=1 on_time revision=0
            read 4 = results 4 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_row_of_which_it_cannot_be_told_whether_it_carries_a_watermark_is_rejected_alone() {
    check(
        "time delay=0s when fail_if_negative(value) > 5
         window 10s compute n=count(*)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 a -1 | 00:00:03 a 3 | 00:00:25 a 9 | 00:00:04 a 1
         end",
        expect![[r#"
            rows p0, 5 of them
                rejected p0@1: whether it carries a watermark cannot be told: fail_if_negative(value) > 5: a negative value
                late a name=a value=1.0 event_time=00:00:04 late_by_ms=21000 00:00:00..00:00:10 source_file=p0 source_offset=4
                00:00:00..00:00:10 n=2 on_time revision=0
            end
                00:00:20..00:00:30 n=1 on_time revision=0
            read 5 = results 3 + filtered 0 + late 1 + rejected 1 + open 0
        "#]],
    );
}

#[test]
fn a_mark_from_the_far_future_is_rejected_and_moves_nothing() {
    check(
        "time delay=0s future_limit=1m when key = 'mark'
         window 10s by key compute n=count(*)
         ---
         added p0
         tick 0s
         rows p0: 00:00:01 a 1 | 00:10:00 mark 1 | 00:00:02 a 1 | 00:00:20 mark 1
         end",
        expect![[r#"
            rows p0, 4 of them
                rejected p0@1: the event time 2026-01-01T00:10:00Z is more than 60s ahead of the clock (2026-01-01T00:00:00Z): a wrong clock or a wrong unit, or future_limit is too small
                00:00:00..00:00:10 a n=2 on_time revision=0
            end
                00:00:20..00:00:30 mark n=1 on_time revision=0
            read 4 = results 3 + filtered 0 + late 0 + rejected 1 + open 0
        "#]],
    );
}

#[test]
fn a_partition_is_paused_by_its_steps_and_its_marks() {
    check(
        "time delay=0s max_drift=1m when key = 'mark'
         window 1m compute n=count(*)
         ---
         added p0
         added p1
         rows p0: 00:00:01 mark 1 | 00:05:00 a 1
         rows p1: 00:00:01 mark 1
         rows p0: 00:01:01 mark 1
         rows p0: 00:01:02 mark 1
         barrier
         rows p1: 00:00:02 mark 1
         end",
        expect![[r#"
            rows p0, 2 of them
                pause p0
            rows p1, 1 of them
                resume p0
            rows p0, 1 of them
                pause p0
            rows p1, 1 of them
                resume p0
            end
                00:00:00..00:01:00 n=3 on_time revision=0
                00:01:00..00:02:00 n=2 on_time revision=0
                00:05:00..00:06:00 n=1 on_time revision=0
            read 6 = results 6 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}
