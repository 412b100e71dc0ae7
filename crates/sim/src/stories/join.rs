//! Rows of two streams that belong together.

use expect_test::expect;

use super::check;

/// Orders and payments; a payment comes at most a minute after its order.
fn story(join: &str, lines: &str) -> String {
    format!("time delay=0s\nsources orders payments\njoin with payments on key=key {join}\n{lines}")
}

const STREAMS: &str = "---
    added orders/0
    added payments/0
    rows orders/0: 00:00:01 a 1 | 00:00:02 b 2 | 00:00:03 c 3
    rows payments/0: 00:00:02 a 10 | 00:00:05 a 11 | 00:00:07 c 12 | 00:00:07 d 13
    barrier
    rows orders/0: 00:00:20 e 4
    rows payments/0: 00:00:21 e 14
    end";

#[test]
fn rows_with_equal_keys_and_times_in_reach_make_pairs_once_the_second_comes() {
    check(
        &story("before=0s after=4s", STREAMS),
        expect![[r#"
        rows payments/0, 4 of them
            a name=a value=1.0 payments_key=a payments_name=a payments_value=10.0
            a name=a value=1.0 payments_key=a payments_name=a payments_value=11.0
            c name=c value=3.0 payments_key=c payments_name=c payments_value=12.0
        rows payments/0, 1 of them
            e name=e value=4.0 payments_key=e payments_name=e payments_value=14.0
        read 9 = results 7 + filtered 2 + late 0 + rejected 0 + open 0
    "#]],
    );
}

#[test]
fn a_left_row_without_a_partner_is_emitted_once_none_can_come() {
    check(
        &story("before=0s after=4s kind=left", STREAMS),
        expect![[r#"
        rows payments/0, 4 of them
            a name=a value=1.0 payments_key=a payments_name=a payments_value=10.0
            a name=a value=1.0 payments_key=a payments_name=a payments_value=11.0
            c name=c value=3.0 payments_key=c payments_name=c payments_value=12.0
        rows orders/0, 1 of them
            b name=b value=2.0 payments_key=- payments_name=- payments_value=-
        rows payments/0, 1 of them
            e name=e value=4.0 payments_key=e payments_name=e payments_value=14.0
        read 9 = results 8 + filtered 1 + late 0 + rejected 0 + open 0
    "#]],
    );
}

#[test]
fn pairs_of_one_window_are_those_whose_times_it_covers() {
    check(
        &story("tumbling=4s kind=left", STREAMS),
        expect![[r#"
        rows payments/0, 4 of them
            a name=a value=1.0 payments_key=a payments_name=a payments_value=10.0
        rows orders/0, 1 of them
            b name=b value=2.0 payments_key=- payments_name=- payments_value=-
            c name=c value=3.0 payments_key=- payments_name=- payments_value=-
        rows payments/0, 1 of them
            e name=e value=4.0 payments_key=e payments_name=e payments_value=14.0
        read 9 = results 6 + filtered 3 + late 0 + rejected 0 + open 0
    "#]],
    );
}

#[test]
fn a_row_behind_the_watermark_of_its_partition_or_of_the_join_is_late() {
    let lines = "---
        added orders/0
        added orders/1
        added payments/0
        rows orders/0: 00:00:10 a 1
        rows orders/0: 00:00:09 a 2 | 00:00:08 a 3
        rows payments/0: 00:00:10 a 10 | 00:00:08 a 11 | 00:00:09 a 12
        rows orders/1: 00:00:03 a 4 | 00:00:20 a 5
        end";
    check(
        &story("within=10s lateness=1s", lines),
        expect![[r#"
            rows orders/0, 2 of them
                late a name=a value=3.0 event_time=00:00:08 late_by_ms=2000 -..- source_file=orders/0 source_offset=2
            rows payments/0, 3 of them
                late a name=a value=11.0 event_time=00:00:08 late_by_ms=2000 -..- source_file=payments/0 source_offset=1
                a name=a value=2.0 payments_key=a payments_name=a payments_value=10.0
                a name=a value=1.0 payments_key=a payments_name=a payments_value=10.0
                a name=a value=2.0 payments_key=a payments_name=a payments_value=12.0
                a name=a value=1.0 payments_key=a payments_name=a payments_value=12.0
            rows orders/1, 2 of them
                a name=a value=4.0 payments_key=a payments_name=a payments_value=12.0
                a name=a value=4.0 payments_key=a payments_name=a payments_value=10.0
                a name=a value=5.0 payments_key=a payments_name=a payments_value=10.0
            read 8 = results 6 + filtered 0 + late 2 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn null_equals_nothing() {
    let lines = "---
        added orders/0
        added payments/0
        rows orders/0: 00:00:10 - 1
        rows payments/0: 00:00:10 - 10
        rows orders/0: 00:01:10 a 1
        end";
    check(
        &story("within=10s", lines),
        expect![[r#"
        read 3 = results 0 + filtered 3 + late 0 + rejected 0 + open 0
    "#]],
    );
    check(
        &story("within=10s kind=left", lines),
        expect![[r#"
        end
            - name=- value=1.0 payments_key=- payments_name=- payments_value=-
            a name=a value=1.0 payments_key=- payments_name=- payments_value=-
        read 3 = results 2 + filtered 1 + late 0 + rejected 0 + open 0
    "#]],
    );
}

#[test]
fn more_rows_than_may_be_held_are_rejected_until_others_are_let_go() {
    let lines = "---
        added orders/0
        added payments/0
        rows orders/0: 00:00:01 a 1 | 00:00:02 b 2 | 00:00:03 c 3
        rows payments/0: 00:00:03 b 4 | 00:00:05 b 4
        barrier
        rows orders/0: 00:00:05 c 3 | 00:00:06 c 3
        rows payments/0: 00:00:06 c 4
        end";
    check(
        &story("within=1s rows=2", lines),
        expect![[r#"
        rows orders/0, 3 of them
            rejected orders/0@2: join0 holds 2 rows already, its limit: a shorter `within` or a higher `rows_max` makes room
        rows payments/0, 2 of them
            rejected payments/0@0: join0 holds 2 rows already, its limit: a shorter `within` or a higher `rows_max` makes room
        rows orders/0, 2 of them
            rejected orders/0@3: join0 holds 2 rows already, its limit: a shorter `within` or a higher `rows_max` makes room
        rows payments/0, 1 of them
            rejected payments/0@2: join0 holds 2 rows already, its limit: a shorter `within` or a higher `rows_max` makes room
        read 8 = results 0 + filtered 4 + late 0 + rejected 4 + open 0
    "#]],
    );
}

#[test]
fn a_window_after_a_join_counts_the_pairs_and_the_rows_that_stayed_alone() {
    let lines = "window 10s by key compute orders=count(*), payments=count(payments_value), paid=sum(payments_value)\n"
        .to_owned()
        + STREAMS;
    check(
        &story("before=0s after=4s kind=left", &lines),
        expect![[r#"
        rows payments/0, 1 of them
            00:00:00..00:00:10 a orders=2 payments=2 paid=21.0 on_time revision=0
            00:00:00..00:00:10 b orders=1 payments=0 paid=- on_time revision=0
            00:00:00..00:00:10 c orders=1 payments=1 paid=12.0 on_time revision=0
        end
            00:00:20..00:00:30 e orders=1 payments=1 paid=14.0 on_time revision=0
        read 9 = results 8 + filtered 1 + late 0 + rejected 0 + open 0
    "#]],
    );
}

#[test]
fn a_join_takes_what_windows_make() {
    check(
        "time delay=0s
         sources orders payments
         window 10s by key compute n=count(*)
         join with payments on key=key before=20s after=20s
         ---
         added orders/0
         added payments/0
         rows orders/0: 00:00:01 a 1 | 00:00:02 a 2 | 00:00:11 b 3
         rows payments/0: 00:00:05 a 10 | 00:00:12 b 11
         barrier
         rows orders/0: 00:00:31 a 4
         rows payments/0: 00:00:30 a 12
         end",
        expect![[r#"
            rows payments/0, 2 of them
                00:00:00..00:00:10 a n=3 on_time revision=0 payments_key=a payments_name=a payments_value=10.0
            rows payments/0, 1 of them
                00:00:10..00:00:20 b n=2 on_time revision=0 payments_key=b payments_name=b payments_value=11.0
            end
                00:00:30..00:00:40 a n=2 on_time revision=0 payments_key=a payments_name=a payments_value=12.0
            read 10 = results 10 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_source_that_has_not_shown_a_partition_holds_time_back_for_a_while() {
    let lines = |tick: &str| {
        format!(
            "---
             tick 0s
             added orders/0
             rows orders/0: 00:00:01 a 1 | 00:04:00 b 2
             finished orders/0
             barrier
             tick {tick}
             added payments/0
             rows payments/0: 00:00:02 a 10 | 00:04:00 b 11
             end"
        )
    };
    check(
        &story("within=10s kind=left", &lines("29s")),
        expect![[r#"
        rows payments/0, 2 of them
            a name=a value=1.0 payments_key=a payments_name=a payments_value=10.0
            b name=b value=2.0 payments_key=b payments_name=b payments_value=11.0
        read 4 = results 4 + filtered 0 + late 0 + rejected 0 + open 0
    "#]],
    );
    check(
        &story("within=10s kind=left", &lines("30s")),
        expect![[r#"
            tick 30s
                a name=a value=1.0
            rows payments/0, 2 of them
                late a name=a value=10.0 event_time=00:00:02 late_by_ms=238000 -..- source_file=payments/0 source_offset=0
                b name=b value=2.0 payments_key=b payments_name=b payments_value=11.0
            read 4 = results 3 + filtered 0 + late 1 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn rows_that_stayed_alone_are_on_time_for_the_next_window_however_far_time_jumps() {
    let lines = "window 10s by key compute orders=count(*)
        ---
        added orders/0
        added payments/0
        rows orders/0: 00:00:01 a 1 | 00:00:11 b 2 | 00:01:00 c 3 | 00:10:00 d 4
        barrier
        finished payments/0
        rows orders/0: 00:10:01 e 5
        end";
    check(
        &story("within=10s kind=left", lines),
        expect![[r#"
        finished payments/0
            00:00:00..00:00:10 a orders=1 on_time revision=0
            00:00:10..00:00:20 b orders=1 on_time revision=0
            00:01:00..00:01:10 c orders=1 on_time revision=0
        end
            00:10:00..00:10:10 d orders=1 on_time revision=0
            00:10:00..00:10:10 e orders=1 on_time revision=0
        read 5 = results 5 + filtered 0 + late 0 + rejected 0 + open 0
    "#]],
    );
}
