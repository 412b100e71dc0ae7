//! Steps after windows that wait for event time themselves: each takes what the one before it has made.

use expect_test::expect;

use super::{check, refused};

#[test]
fn a_window_takes_the_results_of_a_window_before_it_hears_of_the_watermark_that_made_them() {
    check(
        "time delay=0s
         window 10s by key compute n=count(*), total=sum(value)
         window 30s by key compute windows=count(*), most=max(n), total=sum(total)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 a 1 | 00:00:11 b 2 | 00:00:21 a 4 | 00:00:29 b 8
         barrier
         rows p0: 00:00:30 a 16 | 00:00:41 a 32 | 00:00:05 b 1
         end",
        expect![[r#"
            rows p0, 3 of them
                late b name=b value=1.0 event_time=00:00:05 late_by_ms=36000 00:00:00..00:00:10 source_file=p0 source_offset=7
                00:00:00..00:00:30 a windows=2 most=2 total=6.0 on_time revision=0
                00:00:00..00:00:30 b windows=2 most=1 total=10.0 on_time revision=0
            end
                00:00:30..00:01:00 a windows=2 most=1 total=48.0 on_time revision=0
            read 8 = results 7 + filtered 0 + late 1 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn steps_between_two_windows_pass_their_rows_on_with_their_time() {
    check(
        "time delay=5s
         window 10s by key compute n=count(*)
         where n > 1
         select app=key, n=n
         window 20s every 10s compute apps=count(*), rows=sum(n)
         where apps > 1
         ---
         added p0
         added p1
         rows p0: 00:00:01 a 1 | 00:00:02 a 1 | 00:00:11 b 2 | 00:00:12 b 2 | 00:00:31 a 4
         rows p1: 00:00:02 c 1 | 00:00:03 b 1 | 00:00:04 b 1 | 00:00:40 b 1
         barrier
         end",
        expect![[r#"
            rows p1, 4 of them
                2025-12-31T23:59:50Z..00:00:10 apps=2 rows=4 on_time revision=0
                00:00:00..00:00:20 apps=3 rows=6 on_time revision=0
            read 9 = results 9 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_result_that_comes_again_as_a_later_run_brings_more_rows_is_late_for_the_window_that_has_counted_it() {
    check(
        "time delay=0s
         window 10s by key compute n=count(*)
         window 20s compute groups=count(*), rows=sum(n)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 1
         end
         added p0
         rows p0: 00:00:03 a 1 | 00:00:11 c 1 | 00:00:25 c 1
         end",
        expect![[r#"
            end
                00:00:00..00:00:20 groups=2 rows=2 on_time revision=0
            rows p0, 3 of them
                late row_window_start=00:00:00 row_window_end=00:00:10 a n=2 late revision=1 event_time=00:00:09.999999 late_by_ms=- 00:00:00..00:00:20 source_file=- source_offset=-
                00:00:00..00:00:20 groups=3 rows=3 late revision=1
            end
                00:00:20..00:00:40 groups=1 rows=1 on_time revision=0
            read 5 = results 5 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_window_does_not_take_results_that_are_replaced_later() {
    for options in ["lateness=1s", "early_every=5s", "early_rows=3"] {
        let story = format!(
            "time delay=0s
             window 10s by key compute n=count(*) {options}
             where n > 1
             window 30s compute most=max(n)
             ---
             end"
        );
        let why = if options.starts_with("late") { "lateness" } else { "early results" };
        assert_eq!(
            refused(&story),
            format!(
                "step window2: takes the results of window0, which are replaced later ({why}): rows would count more \
                 than once; leave that out there, or take from what window0 takes from"
            )
        );
    }
}

#[test]
fn results_beyond_the_limit_of_the_next_window_are_rejected_and_were_counted_as_results() {
    check(
        "time delay=0s
         limit groups=3
         window 10s by key compute n=count(*)
         window 1m by n compute keys=count(*)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 1 | 00:00:03 b 1 | 00:00:11 c 1 | 00:00:12 c 1 | 00:00:13 c 1
         barrier
         rows p0: 00:00:21 d 1 | 00:00:22 d 1 | 00:00:23 d 1 | 00:00:24 d 1 | 00:00:31 e 1
         end",
        expect![[r#"
            rows p0, 5 of them
                rejected result 00:00:20..00:00:30 d n=4 on_time revision=0: window window1 holds 3 groups already, its limit: a coarser key or a shorter lateness makes fewer
            end
                00:00:00..00:01:00 n=1 keys=2 on_time revision=0
                00:00:00..00:01:00 n=2 keys=1 on_time revision=0
                00:00:00..00:01:00 n=3 keys=1 on_time revision=0
            read 11 = results 11 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}
