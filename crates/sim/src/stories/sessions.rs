//! Sessions: what belongs together, when it is said, and what a late row does to it.

use expect_test::expect;

use super::check;

#[test]
fn rows_of_a_key_that_follow_each_other_closely_are_a_session() {
    check(
        "time delay=0s
         session 10s by key compute n=count(*), total=sum(value), first=first(value), last=last(value)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 2 | 00:00:08 a 4 | 00:00:17 a 8 | 00:00:20 b 16
         barrier
         rows p0: 00:00:40 c 1
         rows p0: 00:01:00 a 32
         end",
        expect![[r#"
            rows p0, 5 of them
                00:00:02..00:00:12 b n=1 total=2.0 first=2.0 last=2.0 on_time revision=0
            rows p0, 1 of them
                00:00:01..00:00:27 a n=3 total=13.0 first=1.0 last=8.0 on_time revision=0
                00:00:20..00:00:30 b n=1 total=16.0 first=16.0 last=16.0 on_time revision=0
            rows p0, 1 of them
                00:00:40..00:00:50 c n=1 total=1.0 first=1.0 last=1.0 on_time revision=0
            end
                00:01:00..00:01:10 a n=1 total=32.0 first=32.0 last=32.0 on_time revision=0
            read 7 = results 7 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_row_at_the_end_of_a_session_begins_the_next_one() {
    check(
        "time delay=0s
         session 10s compute n=count(*)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:10.999999 a 1 | 00:00:20.999999 a 1
         barrier
         end",
        expect![[r#"
            rows p0, 3 of them
                00:00:01..00:00:20.999999 n=2 on_time revision=0
            end
                00:00:20.999999..00:00:30.999999 n=1 on_time revision=0
            read 3 = results 3 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_row_between_two_sessions_makes_them_one() {
    check(
        "time delay=30s
         session 10s by key compute n=count(*), total=sum(value)
         ---
         added p0
         rows p0: 00:00:00 a 1 | 00:00:16 a 2 | 00:00:16 b 2 | 00:00:32 a 4
         barrier
         rows p0: 00:00:08 a 8 | 00:00:24 a 16 | 00:00:05 b 32
         end",
        expect![[r#"
            end
                00:00:05..00:00:15 b n=1 total=32.0 on_time revision=0
                00:00:16..00:00:26 b n=1 total=2.0 on_time revision=0
                00:00:00..00:00:42 a n=5 total=31.0 on_time revision=0
            read 7 = results 7 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_row_behind_the_watermark_counts_where_its_own_partition_has_a_session_that_has_not_ended() {
    check(
        "time delay=0s
         session 10s by key compute n=count(*), total=sum(value)
         ---
         added p0
         rows p0: 00:00:00 a 1 | 00:00:09 a 2 | 00:00:15 b 4
         barrier
         rows p0: 00:00:05 a 8 | 00:00:14 a 16 | 00:00:14 c 32
         rows p0: 00:00:30 b 64 | 00:00:10 a 128
         end",
        expect![[r#"
            rows p0, 3 of them
                late c name=c value=32.0 event_time=00:00:14 late_by_ms=1000 00:00:14..00:00:24 source_file=p0 source_offset=5
            rows p0, 2 of them
                late a name=a value=128.0 event_time=00:00:10 late_by_ms=20000 00:00:10..00:00:20 source_file=p0 source_offset=7
                00:00:00..00:00:24 a n=4 total=27.0 on_time revision=0
                00:00:15..00:00:25 b n=1 total=4.0 on_time revision=0
            end
                00:00:30..00:00:40 b n=1 total=64.0 on_time revision=0
            read 8 = results 6 + filtered 0 + late 2 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn which_rows_are_late_does_not_depend_on_which_partition_was_read_first() {
    let ahead = "rows p0: 00:00:00 a 1 | 00:00:30 b 1 | 00:00:22 a 2";
    let behind = "rows p1: 00:00:15 a 4 | 00:00:31 b 1";
    let told = |lines: [&str; 2]| {
        let story = format!(
            "time delay=0s\nsession 20s by key compute n=count(*), total=sum(value)\n---\nadded p0\nadded p1\n{}\n{}\nend",
            lines[0], lines[1]
        );
        let story = crate::Story::parse(&story).expect("the story can be read");
        crate::play(&story).expect("the story can be played").1.sorted()
    };
    assert_eq!(told([ahead, behind]), told([behind, ahead]));
    check(
        &format!(
            "time delay=0s\nsession 20s by key compute n=count(*), total=sum(value)\n---\nadded p0\nadded p1\n{behind}\n{ahead}\nend"
        ),
        expect![[r#"
            rows p0, 3 of them
                late a name=a value=2.0 event_time=00:00:22 late_by_ms=8000 00:00:22..00:00:42 source_file=p0 source_offset=2
            end
                00:00:00..00:00:35 a n=2 total=5.0 on_time revision=0
                00:00:30..00:00:51 b n=2 total=2.0 on_time revision=0
            read 5 = results 4 + filtered 0 + late 1 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_late_row_that_joins_two_sessions_replaces_one_result_and_retracts_the_other() {
    check(
        "time delay=0s
         session 10s by key compute n=count(*), total=sum(value) lateness=1m late=5s
         ---
         added p0
         rows p0: 00:00:00 a 1 | 00:00:16 a 2 | 00:00:31 b 4
         barrier
         rows p0: 00:00:08 a 8 | 00:00:32 b 16
         rows p0: 00:00:36 b 32
         end",
        expect![[r#"
            rows p0, 3 of them
                00:00:00..00:00:10 a n=1 total=1.0 on_time revision=0
                00:00:16..00:00:26 a n=1 total=2.0 on_time revision=0
            rows p0, 1 of them
                00:00:16..00:00:26 a n=- total=- retracted revision=1
                00:00:00..00:00:26 a n=3 total=11.0 late revision=1
            end
                00:00:31..00:00:46 b n=3 total=52.0 on_time revision=0
            read 6 = results 6 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_result_is_retracted_when_its_session_turns_out_to_have_begun_earlier() {
    check(
        "time delay=0s
         session 10s by key compute n=count(*) lateness=1m late=5s
         where n > 0
         ---
         added p0
         rows p0: 00:00:10 a 1 | 00:00:21 b 1
         barrier
         rows p0: 00:00:05 a 1 | 00:00:26 b 1
         rows p0: 00:00:24 a 1 | 00:00:12 a 1
         rows p0: 00:00:35 b 1
         end",
        expect![[r#"
            rows p0, 2 of them
                00:00:10..00:00:20 a n=1 on_time revision=0
            rows p0, 2 of them
                00:00:05..00:00:20 a n=2 late revision=1
            rows p0, 1 of them
                00:00:05..00:00:22 a n=3 late revision=2
                00:00:24..00:00:34 a n=1 on_time revision=0
            end
                00:00:21..00:00:45 b n=3 on_time revision=0
            read 7 = results 7 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
    check(
        "time delay=0s
         session 10s by key compute n=count(*) lateness=1m late=5s
         ---
         added p0
         rows p0: 00:00:10 a 1 | 00:00:21 b 1
         barrier
         rows p0: 00:00:05 a 1 | 00:00:26 b 1
         end",
        expect![[r#"
            rows p0, 2 of them
                00:00:10..00:00:20 a n=1 on_time revision=0
            rows p0, 2 of them
                00:00:10..00:00:20 a n=- retracted revision=1
                00:00:05..00:00:20 a n=2 late revision=1
            end
                00:00:21..00:00:36 b n=2 on_time revision=0
            read 4 = results 4 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_session_that_has_fired_and_goes_on_speaks_again_when_it_ends_again() {
    check(
        "time delay=0s
         session 10s by key compute n=count(*) lateness=30s late=1s
         ---
         added p0
         rows p0: 00:00:00 a 1 | 00:00:12 b 1
         rows p0: 00:00:09 a 1 | 00:00:14 b 1 | 00:00:18 a 1
         barrier
         rows p0: 00:00:29 b 1 | 00:00:03 a 1
         rows p0: 00:00:31 b 1
         rows p0: 00:01:10 c 1 | 00:00:20 a 1
         end",
        expect![[r#"
            rows p0, 2 of them
                00:00:00..00:00:10 a n=1 on_time revision=0
            rows p0, 2 of them
                00:00:12..00:00:24 b n=2 on_time revision=0
                00:00:00..00:00:28 a n=3 late revision=1
            rows p0, 1 of them
                00:00:00..00:00:28 a n=4 late revision=2
            rows p0, 2 of them
                late a name=a value=1.0 event_time=00:00:20 late_by_ms=50000 00:00:20..00:00:30 source_file=p0 source_offset=9
                00:00:29..00:00:41 b n=2 on_time revision=0
            end
                00:01:10..00:01:20 c n=1 on_time revision=0
            read 10 = results 9 + filtered 0 + late 1 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn open_sessions_speak_early_by_the_clock_and_by_rows() {
    check(
        "time delay=20s
         session 10s by key compute n=count(*) early_every=5s early_rows=4
         ---
         added p0
         tick 1s
         rows p0: 00:00:10 a 1 | 00:00:11 b 1
         tick 4s
         tick 5s
         rows p0: 00:00:02 a 1 | 00:00:12 b 1 | 00:00:13 b 1
         barrier
         tick 11s
         rows p0: 00:01:00 c 1
         end",
        expect![[r#"
            tick 5s
                00:00:10..00:00:20 a n=1 early revision=0
                00:00:11..00:00:21 b n=1 early revision=0
            rows p0, 3 of them
                00:00:10..00:00:20 a n=- retracted revision=1
                00:00:02..00:00:20 a n=2 early revision=1
                00:00:11..00:00:22 b n=2 early revision=1
            tick 11s
                00:00:11..00:00:23 b n=3 early revision=2
            rows p0, 1 of them
                00:00:02..00:00:20 a n=2 on_time revision=2
                00:00:11..00:00:23 b n=3 on_time revision=3
            end
                00:01:00..00:01:10 c n=1 on_time revision=0
            read 6 = results 6 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn sessions_that_end_with_the_run_stay_and_a_later_run_goes_on_with_them() {
    check(
        "time delay=0s
         session 10s by key compute n=count(*)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:05 b 1
         end
         added p0
         rows p0: 00:00:08 a 1 | 00:00:30 c 1
         barrier
         end
         end",
        expect![[r#"
            end
                00:00:01..00:00:11 a n=1 on_time revision=0
                00:00:05..00:00:15 b n=1 on_time revision=0
            rows p0, 2 of them
                00:00:01..00:00:18 a n=2 late revision=1
            end
                00:00:30..00:00:40 c n=1 on_time revision=0
            read 4 = results 4 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_partition_that_was_idle_finds_no_session_that_has_gone() {
    check(
        "time delay=0s idle_after=10s
         session 10s by key compute n=count(*)
         ---
         added p0
         added p1
         tick 1s
         rows p1: 00:00:02 a 1
         caught_up p1
         tick 20s
         rows p0: 00:00:01 a 1 | 00:00:20 b 1
         rows p1: 00:00:05 a 1 | 00:00:20 a 1
         end",
        expect![[r#"
            rows p0, 2 of them
                00:00:01..00:00:12 a n=2 on_time revision=0
            rows p1, 2 of them
                late a name=a value=1.0 event_time=00:00:05 late_by_ms=15000 00:00:05..00:00:15 source_file=p1 source_offset=1
            end
                00:00:20..00:00:30 a n=1 on_time revision=0
                00:00:20..00:00:30 b n=1 on_time revision=0
            read 5 = results 4 + filtered 0 + late 1 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn one_session_more_than_there_may_be_is_rejected_and_rows_of_the_others_are_not() {
    check(
        "time delay=0s
         limit groups=2
         session 10s by key compute n=count(*)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 1 | 00:00:03 c 1 | 00:00:04 a 1 | 00:00:12 d 1 | 00:00:13 c 1
         barrier
         end",
        expect![[r#"
            rows p0, 6 of them
                rejected p0@2: window session0 holds 2 sessions already, its limit: a coarser key, a shorter gap or a shorter lateness makes fewer
                rejected p0@4: window session0 holds 2 sessions already, its limit: a coarser key, a shorter gap or a shorter lateness makes fewer
                00:00:02..00:00:12 b n=1 on_time revision=0
            end
                00:00:01..00:00:14 a n=2 on_time revision=0
                00:00:13..00:00:23 c n=1 on_time revision=0
            read 6 = results 4 + filtered 0 + late 0 + rejected 2 + open 0
        "#]],
    );
}

#[test]
fn sessions_of_windows_and_windows_of_sessions() {
    check(
        "time delay=0s
         window 5s by key compute n=count(*)
         session 10s by key compute windows=count(*), rows=sum(n)
         window 1m compute sessions=count(*), rows=sum(rows), longest=max(windows)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:03 a 1 | 00:00:04 b 1 | 00:00:09 a 1 | 00:00:25 b 1 | 00:00:31 b 1
         barrier
         rows p0: 00:01:10 a 1 | 00:02:00 b 1
         end",
        expect![[r#"
            rows p0, 2 of them
                00:00:00..00:01:00 sessions=3 rows=6 longest=2 on_time revision=0
                00:01:00..00:02:00 sessions=1 rows=1 longest=1 on_time revision=0
            end
                00:02:00..00:03:00 sessions=1 rows=1 longest=1 on_time revision=0
            read 8 = results 8 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn the_row_that_an_expression_fails_for_is_rejected_and_the_session_goes_on() {
    check(
        "time delay=0s
         session 10s by key compute total=sum(fail_if_negative(value)), n=count(*)
         ---
         added p0
         rows p0: 00:00:01 a 1 | 00:00:09 a -2 | 00:00:10 a 4
         end",
        expect![[r#"
            rows p0, 3 of them
                rejected p0@1: fail_if_negative(value): a negative value
            end
                00:00:01..00:00:20 a total=5.0 n=2 on_time revision=0
            read 3 = results 2 + filtered 0 + late 0 + rejected 1 + open 0
        "#]],
    );
}

#[test]
fn many_parts_of_long_sessions_are_merged() {
    let mut lines = String::new();
    for n in 0..60 {
        lines.push_str(&format!(
            "rows p0: 00:0{}:{:02} a 1 | 00:0{}:{:02} k{n} 2\nbarrier\n",
            n / 60,
            n % 60,
            n / 60,
            n % 60
        ));
    }
    check(
        &format!(
            "time delay=0s\nlimit runs=2\nsession 5s by key compute n=count(*), total=sum(value), p=p50(value)\nwhere n > 1\n---\nadded p0\n{lines}end"
        ),
        expect![[r#"
            end
                00:00:00..00:01:04 a n=60 total=60.0 p=1.0099842501579575 on_time revision=0
            read 120 = results 120 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_late_row_is_told_at_once_where_that_is_asked_for() {
    check(
        "time delay=0s
         session 10s by key compute n=count(*) lateness=1m late=immediately
         ---
         added p0
         rows p0: 00:00:10 a 1 | 00:00:21 b 1 | 00:00:05 a 1 | 00:00:12 a 1 | 00:00:08 c 1 | 00:00:22 b 1
         barrier
         end",
        expect![[r#"
            rows p0, 6 of them
                00:00:10..00:00:20 a n=1 on_time revision=0
                00:00:10..00:00:20 a n=- retracted revision=1
                00:00:05..00:00:20 a n=2 late revision=1
                00:00:08..00:00:18 c n=1 late revision=0
                00:00:05..00:00:22 a n=3 late revision=2
            end
                00:00:21..00:00:32 b n=2 on_time revision=0
            read 6 = results 6 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn sessions_do_not_discard() {
    let story = "time delay=0s
         session 10s by key compute n=count(*) mode=discarding
         ---
         end";
    assert_eq!(
        super::refused(story),
        "step session0: sessions grow together, and what they said does not add up: they are accumulating"
    );
}
