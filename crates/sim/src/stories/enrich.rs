//! Rows that are looked up in a table.

use expect_test::expect;

use super::check;

fn story(missing: &str) -> String {
    format!(
        "enrich on key=id take team,name{missing}
         ---
         table 0: id name team | a ann red | b bob - | a amy blue | - nobody none
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 2 | 00:00:03 c 3 | 00:00:04 - 4
         end"
    )
}

#[test]
fn rows_get_columns_of_the_last_row_with_their_key_or_nulls() {
    check(
        &story(""),
        expect![[r#"
        rows p0, 4 of them
            a name=amy value=1.0 team=blue
            b name=bob value=2.0 team=-
            c name=- value=3.0 team=-
            - name=- value=4.0 team=-
        read 4 = results 4 + filtered 0 + late 0 + rejected 0 + open 0
    "#]],
    );
}

#[test]
fn rows_that_are_not_found_are_filtered_or_rejected_if_that_is_wanted() {
    check(
        &story(" missing=filter"),
        expect![[r#"
        rows p0, 4 of them
            a name=amy value=1.0 team=blue
            b name=bob value=2.0 team=-
        read 4 = results 2 + filtered 2 + late 0 + rejected 0 + open 0
    "#]],
    );
    check(
        &story(" missing=dead_letter"),
        expect![[r#"
        rows p0, 4 of them
            rejected p0@2: enrich0: the table has no row with id = "c"
            rejected p0@3: enrich0: the table has no row with id is null
            a name=amy value=1.0 team=blue
            b name=bob value=2.0 team=-
        read 4 = results 2 + filtered 0 + late 0 + rejected 2 + open 0
    "#]],
    );
}

#[test]
fn a_row_sees_the_version_that_was_given_last_before_it() {
    check(
        "time delay=0s
         enrich on key=id take team
         window 10s by team compute n=count(*)
         ---
         table 0: id team | a red
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 2
         barrier
         table 0: id team | a blue | b blue
         rows p0: 00:00:03 a 3 | 00:00:04 b 4 | 00:00:11 a 5
         end",
        expect![[r#"
            rows p0, 3 of them
                00:00:00..00:00:10 team=- n=1 on_time revision=0
                00:00:00..00:00:10 team=blue n=2 on_time revision=0
                00:00:00..00:00:10 team=red n=1 on_time revision=0
            end
                00:00:10..00:00:20 team=blue n=1 on_time revision=0
            read 5 = results 5 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn results_of_a_window_can_be_looked_up_too() {
    check(
        "time delay=0s
         window 10s by key compute n=count(*)
         enrich on key=id take team missing=dead_letter
         ---
         table 1: id team | a red
         added p0
         rows p0: 00:00:01 a 1 | 00:00:02 b 2 | 00:00:03 a 2
         end",
        expect![[r#"
            end
                rejected result 00:00:00..00:00:10 b n=1 on_time revision=0: enrich1: the table has no row with id = "b"
                00:00:00..00:00:10 a n=2 on_time revision=0 team=red
            read 3 = results 3 + filtered 0 + late 0 + rejected 0 + open 0
        "#]],
    );
}

#[test]
fn without_a_table_rows_are_rejected() {
    check(
        "enrich on key=id take team
         ---
         added p0
         rows p0: 00:00:01 a 1
         table 0: id team | a red
         rows p0: 00:00:02 a 2
         end",
        expect![[r#"
            rows p0, 1 of them
                rejected p0@0: enrich0: the table to look up in was not given
            rows p0, 1 of them
                a name=a value=2.0 team=red
            read 2 = results 1 + filtered 0 + late 0 + rejected 1 + open 0
        "#]],
    );
}
