//! Discarding: what a window emits is only what came since it last did, and adds up.

use expect_test::expect;

use super::check;

#[test]
fn each_emission_has_what_came_since_the_last_one() {
    check(
        "time delay=0s
         window 1m by key compute n=count(*), total=sum(value) lateness=1m late=10s early_every=10s mode=discarding
         ---
         added p0
         tick 1s
         rows p0: 00:00:01 a 1 | 00:00:02 b 1 | 00:00:03 a 2
         tick 10s
         barrier
         rows p0: 00:00:12 a 4
         tick 20s
         tick 30s
         rows p0: 00:00:40 b 8 | 00:01:02 c 1
         rows p0: 00:00:59 a 16 | 00:00:58 c 32 | 00:01:11 c 2
         tick 40s
         end",
        expect![[r#"
            tick 10s
                00:00:00..00:01:00 a n=2 total=3.0 early revision=0
                00:00:00..00:01:00 b n=1 total=1.0 early revision=0
            tick 20s
                00:00:00..00:01:00 a n=1 total=4.0 early revision=1
            rows p0, 2 of them
                00:00:00..00:01:00 b n=1 total=8.0 on_time revision=2
            rows p0, 3 of them
                00:00:00..00:01:00 a n=1 total=16.0 late revision=3
                00:00:00..00:01:00 c n=1 total=32.0 late revision=3
            tick 40s
                00:01:00..00:02:00 c n=2 total=3.0 early revision=0
            read 9 = results 9 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_window_with_nothing_new_says_nothing_when_event_time_passes_it() {
    check(
        "time delay=0s
         window 10s by key compute n=count(*) early_rows=2 mode=discarding
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 a 1
         barrier
         rows p0: 00:00:11 a 1 | 00:00:21 a 1
         end",
        expect![[r#"
            rows p0, 2 of them
                00:00:00..00:00:10 a n=2 early revision=0
            rows p0, 2 of them
                00:00:10..00:00:20 a n=1 early revision=0
                00:00:20..00:00:30 a n=1 early revision=0
            read 4 = results 4 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn sliding_windows_each_emit_what_they_have_not_said() {
    check(
        "time delay=0s
         window 20s every 5s by key compute n=count(*), total=sum(value) lateness=20s late=immediately early_rows=3 mode=discarding
         ---
         added p0
         rows p0: 00:00:21 a 1 | 00:00:22 b 2 | 00:00:26 a 4
         barrier
         rows p0: 00:00:27 a 8 | 00:00:31 b 16
         rows p0: 00:00:24 b 32 | 00:00:42 a 64
         barrier
         rows p0: 00:00:23 a 128 | 00:00:43 b 256 | 00:00:40 b 512
         end",
        expect![[r#"
            rows p0, 3 of them
                00:00:05..00:00:25 a n=1 total=1.0 early revision=0
                00:00:05..00:00:25 b n=1 total=2.0 early revision=0
                00:00:10..00:00:30 a n=2 total=5.0 early revision=0
                00:00:10..00:00:30 b n=1 total=2.0 early revision=0
                00:00:15..00:00:35 a n=2 total=5.0 early revision=0
                00:00:15..00:00:35 b n=1 total=2.0 early revision=0
                00:00:20..00:00:40 a n=2 total=5.0 early revision=0
                00:00:20..00:00:40 b n=1 total=2.0 early revision=0
                00:00:25..00:00:45 a n=1 total=4.0 early revision=0
            rows p0, 2 of them
                00:00:10..00:00:30 a n=1 total=8.0 on_time revision=1
            rows p0, 2 of them
                00:00:05..00:00:25 b n=1 total=32.0 late revision=1
                00:00:10..00:00:30 b n=1 total=32.0 late revision=2
                00:00:15..00:00:35 a n=1 total=8.0 early revision=1
                00:00:15..00:00:35 b n=2 total=48.0 early revision=1
                00:00:20..00:00:40 a n=1 total=8.0 early revision=1
                00:00:20..00:00:40 b n=2 total=48.0 early revision=1
                00:00:25..00:00:45 a n=1 total=8.0 early revision=1
                00:00:25..00:00:45 b n=1 total=16.0 early revision=1
                00:00:30..00:00:50 b n=1 total=16.0 early revision=0
            rows p0, 3 of them
                00:00:05..00:00:25 a n=1 total=128.0 late revision=2
                00:00:10..00:00:30 a n=1 total=128.0 late revision=3
                00:00:15..00:00:35 a n=1 total=128.0 late revision=2
                00:00:20..00:00:40 a n=1 total=128.0 late revision=2
                00:00:25..00:00:45 a n=1 total=64.0 early revision=2
                00:00:25..00:00:45 b n=1 total=256.0 early revision=2
                00:00:30..00:00:50 a n=1 total=64.0 early revision=1
                00:00:30..00:00:50 b n=1 total=256.0 early revision=1
                00:00:35..00:00:55 a n=1 total=64.0 early revision=0
                00:00:35..00:00:55 b n=1 total=256.0 early revision=0
                00:00:40..00:01:00 a n=1 total=64.0 early revision=0
                00:00:40..00:01:00 b n=1 total=256.0 early revision=0
            end
                00:00:25..00:00:45 b n=1 total=512.0 on_time revision=3
                00:00:30..00:00:50 b n=1 total=512.0 on_time revision=2
                00:00:35..00:00:55 b n=1 total=512.0 on_time revision=1
                00:00:40..00:01:00 b n=1 total=512.0 on_time revision=1
            read 10 = results 10 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn many_runs_of_a_pane_are_merged_without_what_was_said() {
    check(
        "time delay=0s
         limit runs=2
         window 20s every 10s compute n=count(*), total=sum(value) early_rows=4 mode=discarding
         ---
         added p0
         rows p0: 00:00:11 a 1
         barrier
         rows p0: 00:00:12 a 2
         barrier
         rows p0: 00:00:13 a 4 | 00:00:14 a 8
         barrier
         rows p0: 00:00:15 a 16
         barrier
         rows p0: 00:00:16 a 32
         barrier
         rows p0: 00:00:17 a 64
         barrier
         rows p0: 00:00:20 a 128 | 00:00:18 a 256
         barrier
         rows p0: 00:00:30 a 512
         end",
        expect![[r#"
            rows p0, 2 of them
                00:00:00..00:00:20 n=4 total=15.0 early revision=0
                00:00:10..00:00:30 n=4 total=15.0 early revision=0
            rows p0, 2 of them
                00:00:00..00:00:20 n=3 total=112.0 early revision=1
                00:00:10..00:00:30 n=4 total=240.0 early revision=1
                00:00:20..00:00:40 n=1 total=128.0 early revision=0
            rows p0, 1 of them
                00:00:10..00:00:30 n=1 total=256.0 on_time revision=2
            end
                00:00:20..00:00:40 n=1 total=512.0 on_time revision=1
                00:00:30..00:00:50 n=1 total=512.0 on_time revision=0
            read 10 = results 10 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn rows_that_were_said_make_no_groups_any_longer() {
    check(
        "time delay=0s
         limit groups=2
         window 1m by key compute n=count(*) early_rows=2 mode=discarding
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 1 | 00:00:03 c 1 | 00:00:04 d 1
         barrier
         rows p0: 00:00:05 a 1 | 00:01:05 d 1
         end",
        expect![[r#"
            rows p0, 4 of them
                00:00:00..00:01:00 a n=1 early revision=0
                00:00:00..00:01:00 b n=1 early revision=0
                00:00:00..00:01:00 c n=1 early revision=1
                00:00:00..00:01:00 d n=1 early revision=1
            rows p0, 2 of them
                00:00:00..00:01:00 a n=1 early revision=2
                00:01:00..00:02:00 d n=1 early revision=0
            read 6 = results 6 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_day_in_a_zone_emits_in_parts() {
    check(
        "time delay=0s
         window day in Europe/Berlin by key compute n=count(*) lateness=1d late=immediately early_rows=2 mode=discarding
         ---
         added p0
         rows p0: 2026-03-28T23:00:00 a 1 | 2026-03-29T01:00:00 b 1 | 2026-03-29T21:59:59 a 1
         barrier
         rows p0: 2026-03-29T22:00:00 a 1 | 2026-03-29T03:00:00 b 1
         end",
        expect![[r#"
            rows p0, 3 of them
                2026-03-28T23:00:00Z..2026-03-29T22:00:00Z a n=1 early revision=0
                2026-03-28T23:00:00Z..2026-03-29T22:00:00Z b n=1 early revision=0
            rows p0, 2 of them
                2026-03-28T23:00:00Z..2026-03-29T22:00:00Z a n=1 early revision=1
                2026-03-29T22:00:00Z..2026-03-30T22:00:00Z a n=1 early revision=0
                2026-03-28T23:00:00Z..2026-03-29T22:00:00Z b n=1 late revision=2
            read 5 = results 5 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}
