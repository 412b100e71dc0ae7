//! Windows of a calendar: days that are not 24 hours long, and clocks that do what governments say.

use expect_test::expect;

use super::check;

#[test]
fn a_day_in_berlin_has_23_hours_when_the_clock_is_put_forward() {
    check(
        "time delay=0s
         window day in Europe/Berlin by key compute n=count(*) lateness=1h
         ---
         added p0
         rows p0: 2026-03-28T22:59:59 a 1 | 2026-03-28T23:00:00 a 1 | 2026-03-29T00:59:59 b 1
         barrier
         rows p0: 2026-03-29T01:00:00 a 1 | 2026-03-29T21:59:59 a 1 | 2026-03-29T22:00:00 a 1
         rows p0: 2026-03-29T21:00:00 b 1 | 2026-03-29T23:00:00 a 1 | 2026-03-29T21:00:00 b 1
         end",
        expect![[r#"
            rows p0, 3 of them
                2026-03-27T23:00:00Z..2026-03-28T23:00:00Z a n=1 on_time revision=0
            rows p0, 3 of them
                2026-03-28T23:00:00Z..2026-03-29T22:00:00Z a n=3 on_time revision=0
                2026-03-28T23:00:00Z..2026-03-29T22:00:00Z b n=1 on_time revision=0
            rows p0, 3 of them
                late b name=b value=1.0 event_time=2026-03-29T21:00:00Z late_by_ms=7200000 2026-03-28T23:00:00Z..2026-03-29T22:00:00Z source_file=p0 source_offset=8
                2026-03-28T23:00:00Z..2026-03-29T22:00:00Z b n=2 late revision=1
            end
                2026-03-29T22:00:00Z..2026-03-30T22:00:00Z a n=2 on_time revision=0
            read 9 = results 8 + filtered 0 + late 1 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_day_in_berlin_has_25_hours_when_the_clock_is_put_back() {
    check(
        "time delay=0s
         window day in Europe/Berlin compute n=count(*), first=first(value), last=last(value)
         ---
         added p0
         rows p0: 2026-10-24T21:59:59 a 1 | 2026-10-24T22:00:00 a 2 | 2026-10-25T00:30:00 a 3 | 2026-10-25T01:30:00 a 4
         barrier
         rows p0: 2026-10-25T22:59:59 a 5 | 2026-10-25T23:00:00 a 6 | 2026-10-26T23:00:00 a 7
         end",
        expect![[r#"
            rows p0, 4 of them
                2026-10-23T22:00:00Z..2026-10-24T22:00:00Z n=1 first=1.0 last=1.0 on_time revision=0
            rows p0, 3 of them
                2026-10-24T22:00:00Z..2026-10-25T23:00:00Z n=4 first=2.0 last=5.0 on_time revision=0
                2026-10-25T23:00:00Z..2026-10-26T23:00:00Z n=1 first=6.0 last=6.0 on_time revision=0
            end
                2026-10-26T23:00:00Z..2026-10-27T23:00:00Z n=1 first=7.0 last=7.0 on_time revision=0
            read 7 = results 7 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn an_hour_that_the_clock_shows_twice_is_two_windows() {
    check(
        "time delay=0s
         window hour in Europe/Berlin compute n=count(*)
         ---
         added p0
         rows p0: 2026-10-25T00:10:00 a 1 | 2026-10-25T01:10:00 a 1 | 2026-10-25T02:10:00 a 1
         end",
        expect![[r#"
            rows p0, 3 of them
                2026-10-25T00:00:00Z..2026-10-25T01:00:00Z n=1 on_time revision=0
                2026-10-25T01:00:00Z..2026-10-25T02:00:00Z n=1 on_time revision=0
            end
                2026-10-25T02:00:00Z..2026-10-25T03:00:00Z n=1 on_time revision=0
            read 3 = results 3 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_business_day_begins_when_the_clock_shows_its_hour() {
    check(
        "time delay=0s
         window day in Europe/Berlin compute n=count(*) offset=6h
         ---
         added p0
         rows p0: 2026-03-28T04:59:59 a 1 | 2026-03-28T05:00:00 a 1 | 2026-03-29T03:59:59 a 1 | 2026-03-29T04:00:00 a 1
         end",
        expect![[r#"
            rows p0, 4 of them
                2026-03-27T05:00:00Z..2026-03-28T05:00:00Z n=1 on_time revision=0
                2026-03-28T05:00:00Z..2026-03-29T04:00:00Z n=2 on_time revision=0
            end
                2026-03-29T04:00:00Z..2026-03-30T04:00:00Z n=1 on_time revision=0
            read 4 = results 4 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn a_day_that_was_skipped_has_no_window_and_a_midnight_that_was_skipped_no_gap() {
    check(
        "time delay=0s
         window day in Pacific/Apia compute n=count(*)
         ---
         added p0
         rows p0: 2011-12-29T10:00:00 a 1 | 2011-12-30T09:59:59 a 1 | 2011-12-30T10:00:00 a 1 | 2011-12-31T10:00:00 a 1
         end",
        expect![[r#"
            rows p0, 4 of them
                2011-12-29T10:00:00Z..2011-12-30T10:00:00Z n=2 on_time revision=0
                2011-12-30T10:00:00Z..2011-12-31T10:00:00Z n=1 on_time revision=0
            end
                2011-12-31T10:00:00Z..2012-01-01T10:00:00Z n=1 on_time revision=0
            read 4 = results 4 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
    check(
        "time delay=0s
         window day in America/Sao_Paulo compute n=count(*)
         ---
         added p0
         rows p0: 2018-11-04T02:59:59 a 1 | 2018-11-04T03:00:00 a 1 | 2018-11-05T01:59:59 a 1 | 2018-11-05T02:00:00 a 1
         end",
        expect![[r#"
            rows p0, 4 of them
                2018-11-03T03:00:00Z..2018-11-04T03:00:00Z n=1 on_time revision=0
                2018-11-04T03:00:00Z..2018-11-05T02:00:00Z n=2 on_time revision=0
            end
                2018-11-05T02:00:00Z..2018-11-06T02:00:00Z n=1 on_time revision=0
            read 4 = results 4 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn weeks_months_quarters_and_years_follow_each_other() {
    for (unit, expected) in [
        (
            "week",
            expect![[r#"
            rows p0, 3 of them
                2025-12-28T23:00:00Z..2026-01-04T23:00:00Z n=2 on_time revision=0
            rows p0, 2 of them
                2026-01-04T23:00:00Z..2026-01-11T23:00:00Z n=1 on_time revision=0
                2026-01-25T23:00:00Z..2026-02-01T23:00:00Z n=1 on_time revision=0
            end
                2026-03-29T22:00:00Z..2026-04-05T22:00:00Z n=1 on_time revision=0
            read 5 = results 5 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
        ),
        (
            "month",
            expect![[r#"
            rows p0, 3 of them
                2025-11-30T23:00:00Z..2025-12-31T23:00:00Z n=1 on_time revision=0
            rows p0, 2 of them
                2025-12-31T23:00:00Z..2026-01-31T23:00:00Z n=2 on_time revision=0
                2026-01-31T23:00:00Z..2026-02-28T23:00:00Z n=1 on_time revision=0
            end
                2026-03-31T22:00:00Z..2026-04-30T22:00:00Z n=1 on_time revision=0
            read 5 = results 5 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
        ),
        (
            "quarter",
            expect![[r#"
            rows p0, 3 of them
                2025-09-30T22:00:00Z..2025-12-31T23:00:00Z n=1 on_time revision=0
            rows p0, 2 of them
                2025-12-31T23:00:00Z..2026-03-31T22:00:00Z n=3 on_time revision=0
            end
                2026-03-31T22:00:00Z..2026-06-30T22:00:00Z n=1 on_time revision=0
            read 5 = results 5 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
        ),
        (
            "year",
            expect![[r#"
            rows p0, 3 of them
                2024-12-31T23:00:00Z..2025-12-31T23:00:00Z n=1 on_time revision=0
            end
                2025-12-31T23:00:00Z..2026-12-31T23:00:00Z n=4 on_time revision=0
            read 5 = results 5 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
        ),
    ] {
        let story = format!(
            "time delay=0s
             window {unit} in Europe/Berlin compute n=count(*)
             ---
             added p0
             rows p0: 2025-12-31T22:59:59 a 1 | 2025-12-31T23:00:00 a 1 | 2026-01-04T23:00:00 a 1
             barrier
             rows p0: 2026-01-31T23:00:00 a 1 | 2026-04-01T00:00:00 a 1
             end"
        );
        check(&story, expected);
    }
}

#[test]
fn a_day_speaks_early_and_corrects_itself() {
    check(
        "time delay=0s future_limit=999999d
         window day in America/New_York by key compute n=count(*) lateness=1d late=1h early_rows=2
         ---
         added p0
         rows p0: 2026-03-08T05:00:00 a 1 | 2026-03-08T07:00:00 a 1 | 2026-03-09T04:00:00 a 1
         barrier
         rows p0: 2026-03-08T06:00:00 b 1 | 2026-03-09T05:00:00 a 1
         rows p0: 2026-03-10T04:00:00 a 1 | 2026-03-08T06:00:00 b 1
         end",
        expect![[r#"
            rows p0, 3 of them
                2026-03-08T05:00:00Z..2026-03-09T04:00:00Z a n=2 early revision=0
                2026-03-08T05:00:00Z..2026-03-09T04:00:00Z a n=2 on_time revision=1
            rows p0, 2 of them
                2026-03-09T04:00:00Z..2026-03-10T04:00:00Z a n=1 early revision=0
                2026-03-08T05:00:00Z..2026-03-09T04:00:00Z b n=1 late revision=2
            rows p0, 2 of them
                late b name=b value=1.0 event_time=2026-03-08T06:00:00Z late_by_ms=165600000 2026-03-08T05:00:00Z..2026-03-09T04:00:00Z source_file=p0 source_offset=6
                2026-03-09T04:00:00Z..2026-03-10T04:00:00Z a n=2 early revision=1
                2026-03-10T04:00:00Z..2026-03-11T04:00:00Z a n=1 early revision=0
                2026-03-09T04:00:00Z..2026-03-10T04:00:00Z a n=2 on_time revision=2
            end
                2026-03-10T04:00:00Z..2026-03-11T04:00:00Z a n=1 on_time revision=1
            read 7 = results 6 + filtered 0 + late 1 + rejected 0 + open 0
        "#]],
    );
}
