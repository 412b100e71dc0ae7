//! The window that never ends: when its keys speak, what they say, and when they are forgotten.

use expect_test::expect;

use super::check;

#[test]
fn each_key_speaks_with_every_so_many_rows_of_its_own() {
    check(
        "time delay=0s
         where value > 0
         window global by key compute n=count(*), total=sum(value), last=last(value) every_rows=3
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 2 | 00:00:03 a 4 | 00:00:09 a 8 | 00:00:04 a 16 | 00:00:05 a 0
         barrier
         rows p0: 00:00:06 b 32 | 00:00:00 a 64
         barrier
         rows p0: 00:00:07 a 128 | 00:00:08 a 256 | 00:00:10 b 512 | 00:00:11 c 1024
         end",
        expect![[r#"
            rows p0, 6 of them
                00:00:01..00:00:09 a n=3 total=13.0 last=8.0 early revision=0
            rows p0, 4 of them
                00:00:00..00:00:09 a n=6 total=221.0 last=8.0 early revision=1
                00:00:02..00:00:10 b n=3 total=546.0 last=512.0 early revision=0
            end
                00:00:00..00:00:09 a n=7 total=477.0 last=8.0 on_time revision=2
                00:00:11..00:00:11 c n=1 total=1024.0 last=1024.0 on_time revision=0
            read 12 = results 11 + filtered 1 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_key_that_discards_says_only_what_came_since() {
    check(
        "time delay=0s
         window global by key compute n=count(*), total=sum(value), low=min(value) every_rows=2 mode=discarding
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 2 | 00:00:03 a 4 | 00:00:05 a 8 | 00:00:04 a 16 | 00:00:06 a 32
         barrier
         rows p0: 00:00:07 b 64 | 00:00:08 a 128
         barrier
         rows p0: 00:00:09 a 256
         end",
        expect![[r#"
            rows p0, 6 of them
                00:00:01..00:00:03 a n=2 total=5.0 low=1.0 early revision=0
                00:00:04..00:00:05 a n=2 total=24.0 low=8.0 early revision=1
            rows p0, 2 of them
                00:00:02..00:00:07 b n=2 total=66.0 low=2.0 early revision=0
                00:00:06..00:00:08 a n=2 total=160.0 low=32.0 early revision=2
            end
                00:00:09..00:00:09 a n=1 total=256.0 low=256.0 on_time revision=3
            read 9 = results 9 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn without_keys_every_row_may_be_told() {
    check(
        "time delay=0s
         window global compute n=count(*), high=max(value) every_rows=1
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 3 | 00:00:03 a 2
         barrier
         rows p0: 00:00:04 b 4
         end",
        expect![[r#"
            rows p0, 3 of them
                00:00:01..00:00:01 n=1 high=1.0 early revision=0
                00:00:01..00:00:02 n=2 high=3.0 early revision=1
                00:00:01..00:00:03 n=3 high=3.0 early revision=2
            rows p0, 1 of them
                00:00:01..00:00:04 n=4 high=4.0 early revision=3
            read 4 = results 4 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn keys_speak_as_processing_time_goes_on_and_begin_to_count_anew() {
    check(
        "time delay=0s
         window global by key compute n=count(*) every_rows=3 early_every=10s
         ---
         added p0
         tick 1s
         rows p0: 00:00:01 b 1 | 00:00:02 a 1 | 00:00:03 a 1
         tick 10s
         barrier
         rows p0: 00:00:04 a 1 | 00:00:05 a 1
         tick 20s
         rows p0: 00:00:06 a 1 | 00:00:07 a 1 | 00:00:08 a 1
         tick 30s
         end",
        expect![[r#"
            tick 10s
                00:00:02..00:00:03 a n=2 early revision=0
                00:00:01..00:00:01 b n=1 early revision=0
            tick 20s
                00:00:02..00:00:05 a n=4 early revision=1
            rows p0, 3 of them
                00:00:02..00:00:08 a n=7 early revision=2
            read 8 = results 8 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_key_without_rows_for_so_long_has_a_last_word_and_is_forgotten() {
    check(
        "time delay=0s
         window global by key compute n=count(*) every_rows=2 forget_after=16s
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 1 | 00:00:03 b 1 | 00:00:10 c 1
         barrier
         rows p0: 00:00:17.5 d 1 | 00:00:18.5 d 1
         barrier
         rows p0: 00:00:30 a 1 | 00:00:02 c 1 | 00:00:31 a 1 | 00:00:32 d 1
         barrier
         rows p0: 00:01:00 e 1
         rows p0: 00:00:01 a 1 | 00:01:01 e 1
         end",
        expect![[r#"
            rows p0, 4 of them
                00:00:02..00:00:03 b n=2 early revision=0
            rows p0, 2 of them
                00:00:17.5..00:00:18.5 d n=2 early revision=0
                00:00:01..00:00:01 a n=1 on_time revision=0
            rows p0, 4 of them
                00:00:10..00:00:10 c n=1 on_time revision=0
                00:00:30..00:00:31 a n=2 early revision=0
                00:00:02..00:00:02 c n=1 on_time revision=0
            rows p0, 1 of them
                00:00:17.5..00:00:32 d n=3 on_time revision=1
            rows p0, 2 of them
                00:01:00..00:01:01 e n=2 early revision=0
                00:00:01..00:00:01 a n=1 on_time revision=0
            read 13 = results 13 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn keys_beyond_the_limit_are_rejected_until_others_are_forgotten() {
    check(
        "time delay=0s
         limit groups=2
         window global by key compute n=count(*) every_rows=2 forget_after=16s
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 1 | 00:00:03 c 1 | 00:00:04 a 1 | 00:00:05 c 1
         barrier
         rows p0: 00:00:30 a 1 | 00:00:31 c 1 | 00:00:32 c 1
         end",
        expect![[r#"
            rows p0, 5 of them
                rejected p0@2: window window0 holds 2 groups already, its limit: a coarser key or a shorter forget_after makes fewer
                rejected p0@4: window window0 holds 2 groups already, its limit: a coarser key or a shorter forget_after makes fewer
                00:00:01..00:00:04 a n=2 early revision=0
            rows p0, 3 of them
                00:00:02..00:00:02 b n=1 on_time revision=0
                00:00:31..00:00:32 c n=2 early revision=0
            end
                00:00:01..00:00:30 a n=3 on_time revision=1
            read 8 = results 6 + filtered 0 + late 0 + rejected 2 + open 0
        "#]],
    );
}

#[test]
fn rows_after_an_end_go_on_where_it_stopped() {
    check(
        "time delay=0s
         window global by key compute n=count(*) every_rows=2
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 1 | 00:00:03 b 1
         end
         added p0
         rows p0: 00:00:04 a 1 | 00:00:05 a 1 | 00:00:06 b 1
         barrier
         end",
        expect![[r#"
            rows p0, 3 of them
                00:00:02..00:00:03 b n=2 early revision=0
            end
                00:00:01..00:00:01 a n=1 on_time revision=0
            rows p0, 3 of them
                00:00:01..00:00:05 a n=3 early revision=1
            end
                00:00:02..00:00:06 b n=3 on_time revision=1
            read 6 = results 6 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}
