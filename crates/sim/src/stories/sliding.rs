//! Sliding windows: what is shared between them, and what a late row reaches.

use expect_test::expect;

use super::check;

#[test]
fn a_row_counts_in_every_window_that_covers_it() {
    check(
        "time delay=0s
         window 10s every 5s by key compute n=count(*), total=sum(value)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:06 a 2 | 00:00:11 b 4
         barrier
         rows p0: 00:00:15 a 8
         end",
        expect![[r#"
            rows p0, 3 of them
                2025-12-31T23:59:55Z..00:00:05 a n=1 total=1.0 on_time revision=0
                00:00:00..00:00:10 a n=2 total=3.0 on_time revision=0
            rows p0, 1 of them
                00:00:05..00:00:15 a n=1 total=2.0 on_time revision=0
                00:00:05..00:00:15 b n=1 total=4.0 on_time revision=0
            end
                00:00:10..00:00:20 a n=1 total=8.0 on_time revision=0
                00:00:10..00:00:20 b n=1 total=4.0 on_time revision=0
                00:00:15..00:00:25 a n=1 total=8.0 on_time revision=0
            read 4 = results 4 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_row_that_is_late_for_one_window_still_counts_in_the_open_ones() {
    check(
        "time delay=0s
         window 10s every 5s by key compute n=count(*)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:08 a 1 | 00:00:12 a 1 | 00:00:07 b 1 | 00:00:02 b 1
         rows p0: 00:00:16 a 1 | 00:00:08 c 1
         end",
        expect![[r#"
            rows p0, 5 of them
                late b name=b value=1.0 event_time=00:00:02 late_by_ms=10000 00:00:00..00:00:10 source_file=p0 source_offset=4
                2025-12-31T23:59:55Z..00:00:05 a n=1 on_time revision=0
                00:00:00..00:00:10 a n=2 on_time revision=0
            rows p0, 2 of them
                late c name=c value=1.0 event_time=00:00:08 late_by_ms=8000 00:00:05..00:00:15 source_file=p0 source_offset=6
                00:00:05..00:00:15 a n=2 on_time revision=0
                00:00:05..00:00:15 b n=1 on_time revision=0
            end
                00:00:10..00:00:20 a n=2 on_time revision=0
                00:00:15..00:00:25 a n=1 on_time revision=0
            read 7 = results 5 + filtered 0 + late 2 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_row_that_is_late_for_its_partition_stays_out_of_a_window_that_another_holds_open() {
    check(
        "time delay=0s
         window 10s every 5s by key compute n=count(*)
         ---
         added p0
         added p1
         rows p0: 00:00:01 a 1 | 00:00:12 a 1 | 00:00:07 b 1
         barrier
         rows p1: 00:00:02 a 1 | 00:00:08 b 1
         rows p1: 00:00:20 a 1
         rows p0: 00:00:20 a 1
         end",
        expect![[r#"
            rows p1, 2 of them
                2025-12-31T23:59:55Z..00:00:05 a n=2 on_time revision=0
            rows p1, 1 of them
                00:00:00..00:00:10 a n=2 on_time revision=0
                00:00:00..00:00:10 b n=1 on_time revision=0
            rows p0, 1 of them
                00:00:05..00:00:15 a n=1 on_time revision=0
                00:00:05..00:00:15 b n=2 on_time revision=0
                00:00:10..00:00:20 a n=1 on_time revision=0
            end
                00:00:15..00:00:25 a n=2 on_time revision=0
                00:00:20..00:00:30 a n=2 on_time revision=0
            read 7 = results 7 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn lateness_fires_each_window_that_a_row_has_changed_again() {
    check(
        "time delay=0s
         window 10s every 5s by key compute n=count(*) lateness=10s late=1s
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:06 b 1 | 00:00:16 c 1
         rows p0: 00:00:07 a 1 | 00:00:17 c 1
         barrier
         rows p0: 00:00:08 b 1 | 00:00:21 c 1
         end",
        expect![[r#"
            rows p0, 3 of them
                2025-12-31T23:59:55Z..00:00:05 a n=1 on_time revision=0
                00:00:00..00:00:10 a n=1 on_time revision=0
                00:00:00..00:00:10 b n=1 on_time revision=0
                00:00:05..00:00:15 b n=1 on_time revision=0
            rows p0, 2 of them
                00:00:00..00:00:10 a n=2 late revision=1
                00:00:05..00:00:15 a n=1 late revision=1
            rows p0, 2 of them
                00:00:00..00:00:10 b n=2 late revision=2
                00:00:05..00:00:15 b n=2 late revision=2
                00:00:10..00:00:20 c n=2 on_time revision=0
            end
                00:00:15..00:00:25 c n=3 on_time revision=0
                00:00:20..00:00:30 c n=1 on_time revision=0
            read 7 = results 7 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_slide_need_not_divide_the_size() {
    check(
        "time delay=0s
         window 5s every 3s compute n=count(*) offset=1s
         ---
         added p0
         rows p0: 00:00:10 a 1 | 00:00:11.5 a 1 | 00:00:13 a 1
         end",
        expect![[r#"
            rows p0, 3 of them
                00:00:07..00:00:12 n=2 on_time revision=0
            end
                00:00:10..00:00:15 n=3 on_time revision=0
                00:00:13..00:00:18 n=1 on_time revision=0
            read 3 = results 3 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn many_overlapping_windows_over_a_gap_are_put_together_from_tiers() {
    check(
        "time delay=0s
         window 30s every 1s compute n=count(*), total=sum(value) offset=0s
         where total >= 11
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:05 a 2 | 00:00:09 a 3 | 00:00:29 a 5
         barrier
         rows p0: 00:00:31 a 1 | 12:00:00 a 11
         rows p0: 12:00:00.5 a 2 | 12:00:31 a 1",
        expect![[r#"
            rows p0, 2 of them
                00:00:00..00:00:30 n=4 total=11.0 on_time revision=0
                00:00:01..00:00:31 n=4 total=11.0 on_time revision=0
                00:00:02..00:00:32 n=4 total=11.0 on_time revision=0
                00:00:03..00:00:33 n=4 total=11.0 on_time revision=0
                00:00:04..00:00:34 n=4 total=11.0 on_time revision=0
                00:00:05..00:00:35 n=4 total=11.0 on_time revision=0
            rows p0, 2 of them
                11:59:31..12:00:01 n=2 total=13.0 on_time revision=0
                11:59:32..12:00:02 n=2 total=13.0 on_time revision=0
                11:59:33..12:00:03 n=2 total=13.0 on_time revision=0
                11:59:34..12:00:04 n=2 total=13.0 on_time revision=0
                11:59:35..12:00:05 n=2 total=13.0 on_time revision=0
                11:59:36..12:00:06 n=2 total=13.0 on_time revision=0
                11:59:37..12:00:07 n=2 total=13.0 on_time revision=0
                11:59:38..12:00:08 n=2 total=13.0 on_time revision=0
                11:59:39..12:00:09 n=2 total=13.0 on_time revision=0
                11:59:40..12:00:10 n=2 total=13.0 on_time revision=0
                11:59:41..12:00:11 n=2 total=13.0 on_time revision=0
                11:59:42..12:00:12 n=2 total=13.0 on_time revision=0
                11:59:43..12:00:13 n=2 total=13.0 on_time revision=0
                11:59:44..12:00:14 n=2 total=13.0 on_time revision=0
                11:59:45..12:00:15 n=2 total=13.0 on_time revision=0
                11:59:46..12:00:16 n=2 total=13.0 on_time revision=0
                11:59:47..12:00:17 n=2 total=13.0 on_time revision=0
                11:59:48..12:00:18 n=2 total=13.0 on_time revision=0
                11:59:49..12:00:19 n=2 total=13.0 on_time revision=0
                11:59:50..12:00:20 n=2 total=13.0 on_time revision=0
                11:59:51..12:00:21 n=2 total=13.0 on_time revision=0
                11:59:52..12:00:22 n=2 total=13.0 on_time revision=0
                11:59:53..12:00:23 n=2 total=13.0 on_time revision=0
                11:59:54..12:00:24 n=2 total=13.0 on_time revision=0
                11:59:55..12:00:25 n=2 total=13.0 on_time revision=0
                11:59:56..12:00:26 n=2 total=13.0 on_time revision=0
                11:59:57..12:00:27 n=2 total=13.0 on_time revision=0
                11:59:58..12:00:28 n=2 total=13.0 on_time revision=0
                11:59:59..12:00:29 n=2 total=13.0 on_time revision=0
                12:00:00..12:00:30 n=2 total=13.0 on_time revision=0
            read 8 = results 7 + filtered 0 + late 0 + rejected 0 + open 1
        "#]],
    );
}
