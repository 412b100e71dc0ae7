//! Rows of a stream with the row of a table as it was at their time.

use expect_test::expect;

use super::check;

/// Orders in a currency, and its rates.
fn story(join: &str, lines: &str) -> String {
    format!("time delay=0s\nsources orders rates\njoin with rates on key=key as_of {join}\n{lines}")
}

const STREAMS: &str = "---
    added orders/0
    added rates/0
    rows orders/0: 00:00:01 a 1 | 00:00:10 a 2 | 00:00:15 b 3 | 00:00:19 a 4
    rows rates/0: 00:00:02 a 100 | 00:00:10 a 200 | 00:00:12 b 300
    barrier
    rows orders/0: 00:00:21 - 5 | 00:00:22 a 6
    rows rates/0: 00:00:20 a 400 | 00:00:21 b 0
    rows orders/0: 00:00:25 b 7 | 00:00:30 b 8
    rows rates/0: 00:00:30 c 500
    end";

#[test]
fn a_row_gets_the_version_that_holds_at_its_time_once_both_sides_have_passed_it() {
    check(
        &story("", STREAMS),
        expect![[r#"
        rows rates/0, 3 of them
            a name=a value=2.0 rates_key=a rates_name=a rates_value=200.0
        rows rates/0, 2 of them
            b name=b value=3.0 rates_key=b rates_name=b rates_value=300.0
            a name=a value=4.0 rates_key=a rates_name=a rates_value=200.0
        rows rates/0, 1 of them
            a name=a value=6.0 rates_key=a rates_name=a rates_value=400.0
            b name=b value=7.0 rates_key=b rates_name=b rates_value=0.0
        end
            b name=b value=8.0 rates_key=b rates_name=b rates_value=0.0
        read 14 = results 6 + filtered 2 + merged 6 + late 0 + rejected 0 + open 0
    "#]],
    );
}

#[test]
fn rows_without_a_version_go_on_with_nulls_if_wanted_and_deleted_rows_are_none() {
    check(
        &story("kind=left deleted value = 0", STREAMS),
        expect![[r#"
        rows rates/0, 3 of them
            a name=a value=1.0 rates_key=- rates_name=- rates_value=-
            a name=a value=2.0 rates_key=a rates_name=a rates_value=200.0
        rows rates/0, 2 of them
            b name=b value=3.0 rates_key=b rates_name=b rates_value=300.0
            a name=a value=4.0 rates_key=a rates_name=a rates_value=200.0
        rows rates/0, 1 of them
            - name=- value=5.0 rates_key=- rates_name=- rates_value=-
            a name=a value=6.0 rates_key=a rates_name=a rates_value=400.0
            b name=b value=7.0 rates_key=- rates_name=- rates_value=-
        end
            b name=b value=8.0 rates_key=- rates_name=- rates_value=-
        read 14 = results 8 + filtered 0 + merged 6 + late 0 + rejected 0 + open 0
    "#]],
    );
}

#[test]
fn a_version_holds_no_longer_than_its_ttl() {
    check(
        &story("kind=left ttl=8s", STREAMS),
        expect![[r#"
        rows rates/0, 3 of them
            a name=a value=1.0 rates_key=- rates_name=- rates_value=-
            a name=a value=2.0 rates_key=a rates_name=a rates_value=200.0
        rows rates/0, 2 of them
            b name=b value=3.0 rates_key=b rates_name=b rates_value=300.0
            a name=a value=4.0 rates_key=- rates_name=- rates_value=-
        rows rates/0, 1 of them
            - name=- value=5.0 rates_key=- rates_name=- rates_value=-
            a name=a value=6.0 rates_key=a rates_name=a rates_value=400.0
            b name=b value=7.0 rates_key=b rates_name=b rates_value=0.0
        end
            b name=b value=8.0 rates_key=- rates_name=- rates_value=-
        read 14 = results 8 + filtered 0 + merged 6 + late 0 + rejected 0 + open 0
    "#]],
    );
}

#[test]
fn which_side_is_read_first_changes_nothing() {
    let plan = |lines: &str| story("kind=left", &format!("---\nadded orders/0\nadded rates/0\n{lines}\nend"));
    let orders = "rows orders/0: 00:00:01 a 1 | 00:00:05 a 2 | 00:00:09 a 3";
    let rates = "rows rates/0: 00:00:01 a 100 | 00:00:05 a 200 | 00:00:05 a 300 | 00:00:20 a 400";
    let results = |lines: String| {
        let (_, outcome) = crate::play(&crate::Story::parse(&plan(&lines)).expect("a story")).expect("it plays");
        outcome.results.into_iter().map(|(_, _, text)| text).collect::<Vec<_>>()
    };
    let first = results(format!("{orders}\n{rates}"));
    assert_eq!(first, results(format!("{rates}\n{orders}")));
    assert_eq!(first.len(), 3);
    assert!(first[1].contains("rates_value=300"), "of two of one time the later record holds: {first:?}");
}

#[test]
fn a_version_that_comes_late_holds_from_the_watermark_on_unless_a_newer_one_does() {
    check(
        &story(
            "kind=left",
            "---
            added orders/0
            added rates/0
            rows rates/0: 00:00:01 a 100 | 00:00:10 b 1 | 00:00:05 a 200 | 00:00:03 a 300 | 00:00:04 c 400
            rows orders/0: 00:00:04 a 1 | 00:00:06 a 2 | 00:00:09 c 3 | 00:00:10 c 4 | 00:00:11 a 5
            rows rates/0: 00:00:20 b 2
            end",
        ),
        expect![[r#"
            rows orders/0, 5 of them
                a name=a value=1.0 rates_key=a rates_name=a rates_value=100.0
                a name=a value=2.0 rates_key=a rates_name=a rates_value=100.0
                c name=c value=3.0 rates_key=- rates_name=- rates_value=-
            rows rates/0, 1 of them
                c name=c value=4.0 rates_key=c rates_name=c rates_value=400.0
            end
                a name=a value=5.0 rates_key=a rates_name=a rates_value=200.0
            read 11 = results 5 + filtered 0 + merged 6 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_row_behind_the_watermark_is_late_and_lateness_makes_all_wait() {
    check(
        &story(
            "lateness=5s",
            "---
            added orders/0
            added rates/0
            rows rates/0: 00:00:01 a 100
            rows orders/0: 00:00:10 a 1 | 00:00:05 a 2 | 00:00:04 a 3
            rows rates/0: 00:00:20 a 200
            rows orders/0: 00:00:15 a 4 | 00:00:16 a 5
            end",
        ),
        expect![[r#"
            rows orders/0, 3 of them
                late a name=a value=3.0 event_time=00:00:04 late_by_ms=6000 -..- source_file=orders/0 source_offset=2
            rows orders/0, 2 of them
                a name=a value=2.0 rates_key=a rates_name=a rates_value=100.0
                a name=a value=1.0 rates_key=a rates_name=a rates_value=100.0
            end
                a name=a value=4.0 rates_key=a rates_name=a rates_value=100.0
                a name=a value=5.0 rates_key=a rates_name=a rates_value=100.0
            read 7 = results 4 + filtered 0 + merged 2 + late 1 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn old_versions_are_let_go_and_make_room() {
    check(
        &story(
            "rows=3",
            "---
            added orders/0
            added rates/0
            rows rates/0: 00:00:01 a 100 | 00:00:02 a 200 | 00:00:03 a 300 | 00:00:04 a 400
            barrier
            rows orders/0: 00:00:05 a 1 | 00:00:06 a 2
            rows rates/0: 00:00:10 a 500 | 00:00:11 b 600 | 00:00:12 c 700
            rows orders/0: 00:00:20 a 3
            rows rates/0: 00:00:30 d 800
            end",
        ),
        expect![[r#"
            rows rates/0, 4 of them
                rejected rates/0@3: join0 holds 3 rows and versions already, its limit: a shorter `ttl` or a higher `rows_max` makes room
            rows orders/0, 2 of them
                rejected orders/0@0: join0 holds 3 rows and versions already, its limit: a shorter `ttl` or a higher `rows_max` makes room
            rows rates/0, 3 of them
                rejected rates/0@5: join0 holds 3 rows and versions already, its limit: a shorter `ttl` or a higher `rows_max` makes room
                rejected rates/0@6: join0 holds 3 rows and versions already, its limit: a shorter `ttl` or a higher `rows_max` makes room
            rows orders/0, 1 of them
                rejected orders/0@2: join0 holds 3 rows and versions already, its limit: a shorter `ttl` or a higher `rows_max` makes room
                a name=a value=2.0 rates_key=a rates_name=a rates_value=300.0
            read 11 = results 1 + filtered 0 + merged 5 + late 0 + rejected 5 + open 0
        "#]],
    );
}

#[test]
fn versions_that_are_over_are_let_go() {
    check(
        &story(
            "rows=2 ttl=10s",
            "---
            added orders/0
            added rates/0
            rows rates/0: 00:00:01 a 100 | 00:00:02 b 200 | 00:00:03 c 300
            rows orders/0: 00:00:30 a 1
            barrier
            rows rates/0: 00:00:31 a 400
            rows orders/0: 00:00:31 a 2
            end",
        ),
        expect![[r#"
            rows rates/0, 3 of them
                rejected rates/0@2: join0 holds 2 rows and versions already, its limit: a shorter `ttl` or a higher `rows_max` makes room
            rows orders/0, 1 of them
                rejected orders/0@0: join0 holds 2 rows and versions already, its limit: a shorter `ttl` or a higher `rows_max` makes room
            rows rates/0, 1 of them
                rejected rates/0@3: join0 holds 2 rows and versions already, its limit: a shorter `ttl` or a higher `rows_max` makes room
            read 6 = results 0 + filtered 1 + merged 2 + late 0 + rejected 3 + open 0
        "#]],
    );
}

#[test]
fn a_window_behind_it_misses_no_row() {
    check(
        "time delay=0s
         sources orders rates
         join with rates on key=key as_of kind=left
         window 10s by rates_name compute n=count(*), total=sum(rates_value)
         ---
         added orders/0
         added rates/0
         rows orders/0: 00:00:01 a 1 | 00:00:09 a 2 | 00:00:12 a 3
         rows rates/0: 00:00:01 a 10 | 00:00:40 a 20
         rows orders/0: 00:00:13 b 4 | 00:00:45 a 5
         rows rates/0: 00:00:50 a 30
         end",
        expect![[r#"
            rows rates/0, 2 of them
                00:00:00..00:00:10 rates_name=a n=2 total=20.0 on_time revision=0
            rows orders/0, 2 of them
                00:00:10..00:00:20 rates_name=- n=1 total=- on_time revision=0
                00:00:10..00:00:20 rates_name=a n=1 total=10.0 on_time revision=0
            end
                00:00:40..00:00:50 rates_name=a n=1 total=20.0 on_time revision=0
            read 8 = results 5 + filtered 0 + merged 3 + late 0 + rejected 0 + open 0
        "#]],
    );
}
