//! When windows speak before event time has passed them.

use expect_test::expect;

use super::check;

#[test]
fn an_open_window_tells_what_has_changed_as_processing_time_goes_on() {
    check(
        "time delay=0s
         window 1m by key compute n=count(*), total=sum(value) early_every=10s
         ---
         added p0
         tick 1s
         rows p0: 00:00:01 a 1 | 00:00:02 b 1 | 00:00:03 a 2
         tick 9s
         tick 10s
         barrier
         tick 19s
         rows p0: 00:00:12 a 4
         tick 25s
         tick 31s
         rows p0: 00:01:02 c 1
         tick 40s
         end",
        expect![[r#"
            tick 10s
                00:00:00..00:01:00 a n=2 total=3.0 early revision=0
                00:00:00..00:01:00 b n=1 total=1.0 early revision=0
            tick 25s
                00:00:00..00:01:00 a n=3 total=7.0 early revision=1
            rows p0, 1 of them
                00:00:00..00:01:00 a n=3 total=7.0 on_time revision=2
                00:00:00..00:01:00 b n=1 total=1.0 on_time revision=2
            tick 40s
                00:01:00..00:02:00 c n=1 total=1.0 early revision=0
            end
                00:01:00..00:02:00 c n=1 total=1.0 on_time revision=1
            read 5 = results 5 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_window_that_spoke_early_and_did_not_change_is_still_told_on_time() {
    check(
        "time delay=0s
         window 1m by key compute n=count(*) lateness=1m late=10s early_every=1s
         ---
         added p0
         tick 0s
         rows p0: 00:00:01 a 1
         tick 1s
         rows p0: 00:01:05 b 1
         barrier
         rows p0: 00:00:59 a 1 | 00:01:15 b 1
         tick 2s
         end
         tick 3s
         rows p0: 00:01:16 b 1
         tick 4s
         end",
        expect![[r#"
            tick 1s
                00:00:00..00:01:00 a n=1 early revision=0
            rows p0, 1 of them
                00:00:00..00:01:00 a n=1 on_time revision=1
            rows p0, 2 of them
                00:00:00..00:01:00 a n=2 late revision=2
            tick 2s
                00:01:00..00:02:00 b n=2 early revision=0
            end
                00:01:00..00:02:00 b n=2 on_time revision=1
            end
                00:01:00..00:02:00 b n=3 late revision=2
            read 5 = results 5 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn every_open_sliding_window_speaks_early() {
    check(
        "time delay=0s
         window 10s every 5s compute n=count(*) early_every=1s
         ---
         added p0
         tick 0s
         rows p0: 00:00:11 a 1
         tick 1s
         rows p0: 00:00:16 a 1
         tick 2s
         end",
        expect![[r#"
            tick 1s
                00:00:05..00:00:15 n=1 early revision=0
                00:00:10..00:00:20 n=1 early revision=0
            rows p0, 1 of them
                00:00:05..00:00:15 n=1 on_time revision=1
            tick 2s
                00:00:10..00:00:20 n=2 early revision=1
                00:00:15..00:00:25 n=1 early revision=0
            end
                00:00:10..00:00:20 n=2 on_time revision=2
                00:00:15..00:00:25 n=1 on_time revision=1
            read 2 = results 2 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn open_windows_speak_after_every_so_many_rows() {
    check(
        "time delay=0s
         where value > 0
         window 10s by key compute n=count(*) early_rows=3
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 a 0 | 00:00:03 b 1 | 00:00:04 a 1 | 00:00:05 b 1
         barrier
         rows p0: 00:00:06 b 1 | 00:00:11 c 1 | 00:00:02 b 1
         rows p0: 00:00:12 c 1 | 00:00:13 c 1 | 00:00:14 c 1
         end",
        expect![[r#"
            rows p0, 5 of them
                00:00:00..00:00:10 a n=2 early revision=0
                00:00:00..00:00:10 b n=1 early revision=0
            rows p0, 3 of them
                late b name=b value=1.0 event_time=00:00:02 late_by_ms=9000 00:00:00..00:00:10 source_file=p0 source_offset=7
                00:00:00..00:00:10 b n=3 early revision=1
                00:00:10..00:00:20 c n=1 early revision=0
                00:00:00..00:00:10 a n=2 on_time revision=2
                00:00:00..00:00:10 b n=3 on_time revision=2
            rows p0, 3 of them
                00:00:10..00:00:20 c n=4 early revision=1
            end
                00:00:10..00:00:20 c n=4 on_time revision=2
            read 11 = results 9 + filtered 1 + late 1 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn windows_that_speak_after_every_row_and_every_second_tell_all_in_the_end() {
    check(
        "time delay=5s
         window 10s every 5s by key compute n=count(*) lateness=5s early_rows=1 early_every=1s
         ---
         added p0
         tick 0s
         rows p0: 00:00:11 a 1 | 00:00:12 b 1
         tick 1s
         barrier
         rows p0: 00:00:26 b 1 | 00:00:14 a 1
         end",
        expect![[r#"
            rows p0, 2 of them
                00:00:05..00:00:15 a n=1 early revision=0
                00:00:10..00:00:20 a n=1 early revision=0
                00:00:05..00:00:15 b n=1 early revision=1
                00:00:10..00:00:20 b n=1 early revision=1
            rows p0, 2 of them
                00:00:20..00:00:30 b n=1 early revision=0
                00:00:25..00:00:35 b n=1 early revision=0
                00:00:05..00:00:15 a n=1 on_time revision=2
                00:00:05..00:00:15 b n=1 on_time revision=2
                00:00:10..00:00:20 a n=1 on_time revision=2
                00:00:10..00:00:20 b n=1 on_time revision=2
            end
                00:00:10..00:00:20 a n=2 late revision=3
                00:00:20..00:00:30 b n=1 on_time revision=1
                00:00:25..00:00:35 b n=1 on_time revision=1
            read 4 = results 4 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}
