//! What is chosen about a table: errors point at the key, say what is allowed and what was probably meant.

use expect_test::{Expect, expect};
use proptest::prelude::*;
use weir_deliver::{IndexConfig, OutputConfig, SortConfig, TableOutput, TierConfig, TtlByConfig};
use weir_model::DurationText;

use super::examples::example;
use super::round_trip::{durations, texts};
use super::{SMALL, load_text, rendered};
use crate::builder::{File, Format, Pipeline};

/// The pipeline with this in the place of its table.
fn check(table: &str, expected: Expect) {
    let text = SMALL.replacen("- table: logs", &format!("- table: {table}"), 1);
    assert_ne!(text, SMALL);
    expected.assert_eq(&rendered(load_text(&text)));
}

#[test]
fn a_wrong_key() {
    check(
        "{ name: t, tll: 30d }",
        expect![[r#"
            p.yaml:7:23: error: unknown key `tll`
              |
            7 |   - table: { name: t, tll: 30d }
              |                       ^^^
              = at: outputs[0].table.tll
              = allowed: name, time, ttl, ttl_by, sort, index, rollups, tiers
              = did you mean `ttl`?
        "#]],
    );
}

#[test]
fn a_wrong_key_of_levels_and_of_rollups() {
    check(
        "{ name: t, ttl_by: { colum: level, values: { debug: 1d } }, rollups: [{ every: 1m, on: [a] }] }",
        expect![[r#"
        p.yaml:7:33: error: unknown key `colum`
          |
        7 |   - table: { name: t, ttl_by: { colum: level, values: { debug: 1d } }, rollups: [{ every: 1m, on: [a] }] }
          |                                 ^^^^^
          = at: outputs[0].table.ttl_by.colum
          = allowed: column, values
          = did you mean `column`?

        p.yaml:7:95: error: unknown key `on`
          |
        7 |   - table: { name: t, ttl_by: { colum: level, values: { debug: 1d } }, rollups: [{ every: 1m, on: [a] }] }
          |                                                                                               ^^
          = at: outputs[0].table.rollups[0].on
          = allowed: every, by, of
          = did you mean `of`?
    "#]],
    );
}

#[test]
fn a_wrong_word() {
    check(
        "{ name: t, sort: tiem, index: ful }",
        expect![[r#"
        p.yaml:7:29: error: unknown word `tiem`
          |
        7 |   - table: { name: t, sort: tiem, index: ful }
          |                             ^^^^
          = at: outputs[0].table.sort
          = allowed: time, arrival, columns
          = did you mean `time`?

        p.yaml:7:42: error: unknown word `ful`
          |
        7 |   - table: { name: t, sort: tiem, index: ful }
          |                                          ^^^
          = at: outputs[0].table.index
          = allowed: tokens, full, none
          = did you mean `full`?
    "#]],
    );
}

#[test]
fn what_makes_no_sense() {
    check(
        "{ name: t, ttl: 0s, ttl_by: { values: { debug: 0s, DEBUG: 1d } }, sort: { columns: [a, a, ''] }, rollups: [{ every: 7m, by: [a, b, c, d, e], of: [x, x] }, { every: 1m }, { every: 60s }] }",
        expect![[r#"
            p.yaml:7:28: error: rows that stay for 0us would never be there
              |
            7 |   - table: { name: t, ttl: 0s, ttl_by: { values: { debug: 0s, DEBUG: 1d } }, sort: { columns: [a, a, ''] }, rollups: [{ 
              |                            ^^
              = at: outputs[0].table.ttl
              = help: such as 12h or 30d

            p.yaml:7:59: error: rows that stay for 0us would never be there
              |
            7 |   - table: { name: t, ttl: 0s, ttl_by: { values: { debug: 0s, DEBUG: 1d } }, sort: { columns: [a, a, ''] }, rollups: [{ 
              |                                                           ^^
              = at: outputs[0].table.ttl_by.values.debug
              = help: such as 12h or 30d

            p.yaml:7:59: error: `debug` and `DEBUG` are the same value: case does not matter
              |
            7 |   - table: { name: t, ttl: 0s, ttl_by: { values: { debug: 0s, DEBUG: 1d } }, sort: { columns: [a, a, ''] }, rollups: [{ 
              |                                                           ^^
              = at: outputs[0].table.ttl_by.values.debug

            p.yaml:7:99: error: `a` is given twice
              |
            7 |  { values: { debug: 0s, DEBUG: 1d } }, sort: { columns: [a, a, ''] }, rollups: [{ every: 7m, by: [a, b, c, d, e], of: [x
              |                                                             ^
              = at: outputs[0].table.sort.columns[1]

            p.yaml:7:102: error: the name of a column is empty
              |
            7 | values: { debug: 0s, DEBUG: 1d } }, sort: { columns: [a, a, ''] }, rollups: [{ every: 7m, by: [a, b, c, d, e], of: [x, x
              |                                                             ^^
              = at: outputs[0].table.sort.columns[2]

            p.yaml:7:128: error: spans of 7m do not divide a day
              |
            7 | : 1d } }, sort: { columns: [a, a, ''] }, rollups: [{ every: 7m, by: [a, b, c, d, e], of: [x, x] }, { every: 1m }, { ever
              |                                                             ^^
              = at: outputs[0].table.rollups[0].every
              = help: such as 10s, 1m, 15m, 1h or 1d: questions are about such spans

            p.yaml:7:132: error: 5 columns are more than 4
              |
            7 |  } }, sort: { columns: [a, a, ''] }, rollups: [{ every: 7m, by: [a, b, c, d, e], of: [x, x] }, { every: 1m }, { every: 6
              |                                                             ^^
              = at: outputs[0].table.rollups[0].by

            p.yaml:7:161: error: `x` is given twice
              |
            7 |  ''] }, rollups: [{ every: 7m, by: [a, b, c, d, e], of: [x, x] }, { every: 1m }, { every: 60s }] }
              |                                                             ^
              = at: outputs[0].table.rollups[0].of[1]

            p.yaml:7:182: error: rollups[1] has the same spans and columns
              |
            7 | very: 7m, by: [a, b, c, d, e], of: [x, x] }, { every: 1m }, { every: 60s }] }
              |                                                             ^
              = at: outputs[0].table.rollups[2]
              = help: put their `of` together
        "#]],
    );
}

#[test]
fn one_table_is_kept_in_one_way() {
    check(
        "{ name: late_events, ttl: 2d }\nlate: { table: { name: late_events, ttl: 1d } }",
        expect![[r#"
        p.yaml:7:5: error: the table `late_events` would get rows of two kinds: late.table writes other columns to it
          |
        7 |   - table: { name: late_events, ttl: 2d }
          |     ^^^^^
          = at: outputs[0].table
          = help: use another table

        p.yaml:8:9: error: the table `late_events` is kept differently by outputs[0].table
          |
        8 | late: { table: { name: late_events, ttl: 1d } }
          |         ^^^^^
          = at: late.table
          = help: say the same for both, or for one of them only
    "#]],
    );
}

#[test]
fn tiers_have_an_age_and_an_order() {
    check(
        "{ name: t, tiers: [{ after: 0s, url: 's3://a' }, { after: 9d, url: 's3://b' }, { after: 7d, url: 's3://c', optoins: {} }] }",
        expect![[r#"
            p.yaml:7:40: error: rows are never that old when they come
              |
            7 |   - table: { name: t, tiers: [{ after: 0s, url: 's3://a' }, { after: 9d, url: 's3://b' }, { after: 7d, url: 's3://c', op
              |                                        ^^
              = at: outputs[0].table.tiers[0].after
              = help: such as 12h or 30d

            p.yaml:7:100: error: tiers[1] is for rows that are as old or older
              |
            7 | 0s, url: 's3://a' }, { after: 9d, url: 's3://b' }, { after: 7d, url: 's3://c', optoins: {} }] }
              |                                                             ^^
              = at: outputs[0].table.tiers[2].after
              = help: the youngest first

            p.yaml:7:119: error: unknown key `optoins`
              |
            7 | , { after: 9d, url: 's3://b' }, { after: 7d, url: 's3://c', optoins: {} }] }
              |                                                             ^^^^^^^
              = at: outputs[0].table.tiers[2].optoins
              = allowed: after, url, options
              = did you mean `options`?
        "#]],
    );
    check(
        "{ name: t, tiers: [{ after: 0s, url: 's3://a' }, { after: 9d, url: 's3://b' }, { after: 7d, url: 's3://c' }] }",
        expect![[r#"
            p.yaml:7:40: error: rows are never that old when they come
              |
            7 |   - table: { name: t, tiers: [{ after: 0s, url: 's3://a' }, { after: 9d, url: 's3://b' }, { after: 7d, url: 's3://c' }] 
              |                                        ^^
              = at: outputs[0].table.tiers[0].after
              = help: such as 12h or 30d

            p.yaml:7:100: error: tiers[1] is for rows that are as old or older
              |
            7 | 0s, url: 's3://a' }, { after: 9d, url: 's3://b' }, { after: 7d, url: 's3://c' }] }
              |                                                             ^^
              = at: outputs[0].table.tiers[2].after
              = help: the youngest first
        "#]],
    );
}

#[test]
fn a_tenants_table_has_a_name_of_two_parts_and_no_name_is_a_path() {
    for good in ["acme.logs", "a.b_2"] {
        let text = SMALL.replacen("- table: logs", &format!("- table: {good}"), 1);
        load_text(&text).expect(good);
    }
    for wrong in ["../x", "a..b", "a.b.c", "a/b", ".a", "a.", "public.logs", "A.b"] {
        let text = SMALL.replacen("- table: logs", &format!("- table: '{wrong}'"), 1);
        assert!(load_text(&text).is_err(), "{wrong}");
    }
}

#[test]
fn what_is_chosen_is_the_same_from_the_builder() {
    let table = TableOutput::named("requests")
        .ttl(DurationText::secs(30 * 86_400))
        .ttl_by("level", [("debug", DurationText::secs(86_400)), ("error", DurationText::secs(90 * 86_400))])
        .sorted_by(["service", "ts"])
        .index(IndexConfig::Full)
        .rollup(DurationText::secs(60), ["service", "status"], ["duration_ms"]);
    let built = Pipeline::named("kept-requests")
        .source("requests", File::new(["bench/logs.ndjson"]).once(), Format::Json(Default::default()))
        .field("requests", "ts", crate::FieldType::Timestamp)
        .field("requests", "status", crate::FieldType::Int64)
        .field("requests", "duration_ms", crate::FieldType::Float64)
        .time("ts")
        .delay(DurationText::secs(10))
        .to_table_kept(table)
        .build();
    assert_eq!(built, example("kept-requests.yaml"));
}

/// Tables about which anything is chosen.
pub(super) fn tables() -> impl Strategy<Value = OutputConfig> {
    let names = || prop::collection::vec(texts(), 0..3);
    let values = prop::collection::btree_map(texts(), durations(), 0..3);
    let by = prop::option::of((texts(), values).prop_map(|(column, values)| TtlByConfig { column, values }));
    let sort = prop_oneof![Just(SortConfig::Time), Just(SortConfig::Arrival), names().prop_map(SortConfig::Columns)];
    let index = prop_oneof![Just(IndexConfig::Tokens), Just(IndexConfig::Full), Just(IndexConfig::None)];
    let rollups = prop::collection::vec((durations(), names(), names()), 0..2);
    let tiers = prop::collection::vec((durations(), texts()), 0..2);
    (texts(), prop::option::of(durations()), by, sort, index, rollups, tiers).prop_map(
        |(name, ttl, ttl_by, sort, index, rollups, tiers)| {
            let table = TableOutput { ttl, ttl_by, sort, ..TableOutput::named(name).index(index) };
            let table = rollups.into_iter().fold(table, |table, (every, by, of)| table.rollup(every, by, of));
            let tiers = tiers.into_iter().map(|(after, url)| TierConfig::new(after, url));
            OutputConfig::Table(tiers.fold(table, TableOutput::tier))
        },
    )
}
