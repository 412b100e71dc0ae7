//! Steps that remember rows or look them up: written as YAML and built, and what is wrong with them.

use expect_test::{Expect, expect};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use weir_model::{ByteSize, DurationText, Secret};

use super::examples::example;
use super::round_trip::{durations, named, texts};
use super::{load_text, rendered};
use crate::builder::{File, Format, Pipeline, Tumbling};
use crate::{AsOfConfig, BetweenConfig, JoinConfig, JoinKind, JoinSpan};
use crate::{
    DeduplicateConfig, EnrichConfig, FieldType, HttpFormat, HttpLookup, HttpTable, LateRows, LookupBreaker,
    LookupCache, LookupFailure, LookupFile, LookupTable, MissingRows, StepKind,
};

const fn secs(secs: i64) -> DurationText {
    DurationText::secs(secs)
}

fn json() -> Format {
    Format::Json(Default::default())
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&rendered(load_text(text)));
}

/// A pipeline with these steps and outputs.
fn with(steps: &str, outputs: &str) -> String {
    format!(
        "name: p\nsources:\n  logs: {{ file: {{ paths: [x] }}, format: json }}\ntime: {{ field: ts }}\nsteps:\n{steps}\noutputs:\n{outputs}\n"
    )
}

#[test]
fn deliveries_once() {
    let window = Tumbling::of(secs(60)).by(["kind"]).compute("events", "count(*)").compute("amount", "sum(amount)");
    let built = Pipeline::named("deliveries-once")
        .source("deliveries", File::new(["examples/data/deliveries/*.ndjson"]).once(), json())
        .field("deliveries", "amount", FieldType::Float64)
        .time("ts")
        .delay(secs(30))
        .deduplicate(DeduplicateConfig::by(["event_id"], secs(600)))
        .called("once")
        .window(window)
        .to_table("deliveries")
        .from("once")
        .to_table("deliveries_per_minute")
        .build();
    assert_eq!(built, example("deliveries-once.yaml"));
}

#[test]
fn deduplicate_needs_keys_time_and_a_length() {
    let steps = "  - deduplicate: { by: [], within: 0s, keys_max: 0 }\n  - deduplicate: { by: [a, a, \"\"], within: 1m, late: keep }";
    check(
        &with(steps, "  - table: t").replace("time: { field: ts }\n", ""),
        expect![[r#"
        p.yaml:5:20: error: there is no column by which rows could be equal
          |
        5 |   - deduplicate: { by: [], within: 0s, keys_max: 0 }
          |                    ^^
          = at: steps[0].deduplicate.by
          = help: such as `by: [event_id]`

        p.yaml:5:36: error: 0s is too short: at least 1ms
          |
        5 |   - deduplicate: { by: [], within: 0s, keys_max: 0 }
          |                                    ^^
          = at: steps[0].deduplicate.within

        p.yaml:5:50: error: 0 keys are too few: at least 1
          |
        5 |   - deduplicate: { by: [], within: 0s, keys_max: 0 }
          |                                                  ^
          = at: steps[0].deduplicate.keys_max

        p.yaml:6:28: error: `a` is given twice
          |
        6 |   - deduplicate: { by: [a, a, ""], within: 1m, late: keep }
          |                            ^
          = at: steps[1].deduplicate.by[1]

        p.yaml:6:31: error: the name of a column is empty
          |
        6 |   - deduplicate: { by: [a, a, ""], within: 1m, late: keep }
          |                               ^^
          = at: steps[1].deduplicate.by[2]

        p.yaml:6:54: error: unknown word `keep`
          |
        6 |   - deduplicate: { by: [a, a, ""], within: 1m, late: keep }
          |                                                      ^^^^
          = at: steps[1].deduplicate.late
          = allowed: aside, pass
    "#]],
    );
    let steps = "  - deduplicate: { by: [a, a, \"\"], within: 9999d }\n  - deduplicate: { within: 1m, bye: [a] }";
    check(
        &with(steps, "  - table: t"),
        expect![[r#"
        p.yaml:6:28: error: `a` is given twice
          |
        6 |   - deduplicate: { by: [a, a, ""], within: 9999d }
          |                            ^
          = at: steps[0].deduplicate.by[1]

        p.yaml:6:31: error: the name of a column is empty
          |
        6 |   - deduplicate: { by: [a, a, ""], within: 9999d }
          |                               ^^
          = at: steps[0].deduplicate.by[2]

        p.yaml:6:44: error: 9999d is too long: at most 366d
          |
        6 |   - deduplicate: { by: [a, a, ""], within: 9999d }
          |                                            ^^^^^
          = at: steps[0].deduplicate.within

        p.yaml:7:32: error: unknown key `bye`
          |
        7 |   - deduplicate: { within: 1m, bye: [a] }
          |                                ^^^
          = at: steps[1].deduplicate.bye
          = allowed: by, within, late, keys_max
          = did you mean `by`?
    "#]],
    );
}

/// Any step of these kinds.
pub(super) fn kinds() -> impl Strategy<Value = StepKind> {
    let deduplicate =
        (vec(texts(), 0..3), durations(), any::<bool>(), 0u64..1 << 40).prop_map(|(by, within, passes, keys_max)| {
            let late = if passes { LateRows::Pass } else { LateRows::Aside };
            StepKind::Deduplicate(DeduplicateConfig { by, within, late, keys_max })
        });
    let file = (texts(), 0..5).prop_map(|(path, kind)| match kind {
        4 => LookupFile::HttpLookup(HttpLookup::at(path).on_failure(LookupFailure::Wait).concurrency(3)),
        3 => LookupFile::Http(HttpTable { body_max: ByteSize(1 << 10), ..HttpTable::at(path).format(HttpFormat::Csv) }),
        0 => LookupFile::Csv(path),
        1 => LookupFile::Ndjson(path),
        _ => LookupFile::Parquet(path),
    });
    let types = btree_map(texts(), prop_oneof![Just(FieldType::Bool), Just(FieldType::Int64)], 0..2);
    let table = (file, durations(), types).prop_map(|(file, refresh, schema)| LookupTable { file, refresh, schema });
    let missing = prop_oneof![Just(MissingRows::Keep), Just(MissingRows::DeadLetter), Just(MissingRows::Filter)];
    let enrich = (table, named(), vec(texts(), 0..3), missing)
        .prop_map(|(table, on, take, missing)| StepKind::Enrich(EnrichConfig { table, on, take, missing }));
    let span = prop_oneof![
        durations().prop_map(JoinSpan::Within),
        (durations(), durations()).prop_map(|(before, after)| JoinSpan::Between(BetweenConfig { before, after })),
        durations().prop_map(JoinSpan::Tumbling),
        (option::of(durations()), option::of(texts()))
            .prop_map(|(ttl, deleted)| JoinSpan::AsOf(AsOfConfig { ttl, deleted })),
    ];
    let join = (texts(), named(), span, any::<bool>(), durations(), option::of(texts())).prop_map(
        |(with, on, span, left, lateness, prefix)| {
            let kind = if left { JoinKind::Left } else { JoinKind::Inner };
            StepKind::Join(JoinConfig { on, kind, lateness, prefix, ..JoinConfig::with(with, span) })
        },
    );
    prop_oneof![deduplicate, enrich, join]
}

#[test]
fn requests_by_team() {
    let teams = EnrichConfig::csv("examples/data/teams.csv")
        .on("service", "service")
        .take(["team", "owner", "budget_ms"])
        .column("budget_ms", FieldType::Float64)
        .refresh(secs(10));
    let built = Pipeline::named("requests-by-team")
        .source("requests", File::new(["bench/logs.ndjson"]).once(), json())
        .field("requests", "duration_ms", FieldType::Float64)
        .time("ts")
        .delay(secs(10))
        .enrich(teams)
        .window(
            Tumbling::of(secs(60))
                .by(["team", "owner"])
                .compute("requests", "count(*)")
                .compute("too_slow", "count(*) FILTER (WHERE duration_ms > budget_ms)"),
        )
        .to_table("requests_by_team")
        .build();
    assert_eq!(built, example("requests-by-team.yaml"));
}

#[test]
fn enrich_needs_a_table_keys_and_columns() {
    check(
        &with("  - enrich: { table: { csv: '', refresh: 1ms }, on: {}, take: [] }", "  - table: t"),
        expect![[r#"
            p.yaml:6:29: error: the path of the table is empty
              |
            6 |   - enrich: { table: { csv: '', refresh: 1ms }, on: {}, take: [] }
              |                             ^^
              = at: steps[0].enrich.table.csv

            p.yaml:6:42: error: 1ms is too short: at least 100ms
              |
            6 |   - enrich: { table: { csv: '', refresh: 1ms }, on: {}, take: [] }
              |                                          ^^^
              = at: steps[0].enrich.table.refresh

            p.yaml:6:49: error: there is nothing to look rows up by
              |
            6 |   - enrich: { table: { csv: '', refresh: 1ms }, on: {}, take: [] }
              |                                                 ^^
              = at: steps[0].enrich.on
              = help: such as `on: { app_id: id }`: a column of the row, then one of the table

            p.yaml:6:57: error: no column is taken from the table
              |
            6 |   - enrich: { table: { csv: '', refresh: 1ms }, on: {}, take: [] }
              |                                                         ^^^^
              = at: steps[0].enrich.take
              = help: such as `take: [team, owner]`
        "#]],
    );
    check(
        &with("  - enrich: { table: { cvs: teams.csv }, on: { a: '' }, take: [a, a], missing: drop }", "  - table: t"),
        expect![[r#"
            p.yaml:6:24: error: unknown key `cvs`
              |
            6 |   - enrich: { table: { cvs: teams.csv }, on: { a: '' }, take: [a, a], missing: drop }
              |                        ^^^
              = at: steps[0].enrich.table.cvs
              = allowed: csv, ndjson, parquet, http, http_lookup, refresh, schema
              = did you mean `csv`?

            p.yaml:6:80: error: unknown word `drop`
              |
            6 |   - enrich: { table: { cvs: teams.csv }, on: { a: '' }, take: [a, a], missing: drop }
              |                                                                                ^^^^
              = at: steps[0].enrich.missing
              = allowed: keep, dead_letter, filter
        "#]],
    );
    check(
        &with("  - enrich: { table: { csv: teams.csv }, on: { a: '' }, take: [a, a], missing: null }", "  - table: t"),
        expect![[r#"
            p.yaml:6:42: error: `a: ` compares with nothing
              |
            6 |   - enrich: { table: { csv: teams.csv }, on: { a: '' }, take: [a, a], missing: null }
              |                                          ^^
              = at: steps[0].enrich.on

            p.yaml:6:67: error: `a` is given twice
              |
            6 |   - enrich: { table: { csv: teams.csv }, on: { a: '' }, take: [a, a], missing: null }
              |                                                                   ^
              = at: steps[0].enrich.take[1]

            p.yaml:6:71: error: one of `keep`, `dead_letter`, `filter` is missing
              |
            6 |   - enrich: { table: { csv: teams.csv }, on: { a: '' }, take: [a, a], missing: null }
              |                                                                       ^^^^^^^
              = at: steps[0].enrich.missing
              = allowed: keep, dead_letter, filter
        "#]],
    );
}

#[test]
fn a_table_over_http_is_an_url_with_limits() {
    let built = Pipeline::named("p")
        .source("logs", File::new(["x"]).once(), json())
        .enrich(
            EnrichConfig::http(
                HttpTable::at("https://teams.example/v1/teams")
                    .format(HttpFormat::Csv)
                    .header("Authorization", Secret::new("Bearer x"))
                    .timeout(secs(2))
                    .body_max(ByteSize(1 << 20)),
            )
            .on("app", "id")
            .take(["team"])
            .refresh(secs(300)),
        )
        .to_table("t")
        .build();
    let step = "  - enrich:\n      table:\n        http: { url: 'https://teams.example/v1/teams', format: csv, headers: { Authorization: Bearer x }, timeout: 2s, body_max: 1MiB }\n        refresh: 5m\n      on: { app: id }\n      take: [team]";
    let written = load_text(&with(step, "  - table: t")).expect("it is right");
    assert_eq!(written.0.steps, built.steps);
    check(
        &with(
            "  - enrich: { table: { http: { url: 'teams', timeout: 0s, body_max: 1GiB } }, on: { app: id }, take: [team] }",
            "  - table: t",
        ),
        expect![[r#"
            p.yaml:6:37: error: this is no URL that can be asked
              |
            6 |   - enrich: { table: { http: { url: 'teams', timeout: 0s, body_max: 1GiB } }, on: { app: id }, take: [team] }
              |                                     ^^^^^^^
              = at: steps[0].enrich.table.http.url
              = help: such as `https://teams.example/v1/teams`

            p.yaml:6:55: error: 0s is too short: at least 1ms
              |
            6 |   - enrich: { table: { http: { url: 'teams', timeout: 0s, body_max: 1GiB } }, on: { app: id }, take: [team] }
              |                                                       ^^
              = at: steps[0].enrich.table.http.timeout

            p.yaml:6:69: error: 1073741824 bytes are not possible: from 1 to 268435456
              |
            6 |   - enrich: { table: { http: { url: 'teams', timeout: 0s, body_max: 1GiB } }, on: { app: id }, take: [team] }
              |                                                                     ^^^^
              = at: steps[0].enrich.table.http.body_max
        "#]],
    );
    check(
        &with("  - enrich: { table: { http: { format: xml } }, on: { app: id }, take: [team] }", "  - table: t"),
        expect![[r#"
            p.yaml:6:40: error: unknown word `xml`
              |
            6 |   - enrich: { table: { http: { format: xml } }, on: { app: id }, take: [team] }
              |                                        ^^^
              = at: steps[0].enrich.table.http.format
              = allowed: json, csv
        "#]],
    );
}

#[test]
fn rows_over_http_are_asked_for_by_key_right_after_the_source() {
    let lookup = HttpLookup::at("https://users.example/v1/users/{id}")
        .header("Authorization", Secret::new("Bearer x"))
        .timeout(secs(2))
        .body_max(ByteSize(1 << 10))
        .concurrency(16)
        .cache(LookupCache { entries_max: 500, ttl: secs(60), negative_ttl: secs(5) })
        .breaker(LookupBreaker { failures: 3, open_for: secs(5) })
        .on_failure(LookupFailure::DeadLetter);
    let built = Pipeline::named("p")
        .source("logs", File::new(["x"]).once(), json())
        .enrich(EnrichConfig::http_lookup(lookup).on("user", "id").take(["name"]))
        .to_table("t")
        .build();
    let step = "  - enrich:\n      table:\n        http_lookup:\n          url: https://users.example/v1/users/{id}\n          headers: { Authorization: Bearer x }\n          timeout: 2s\n          body_max: 1KiB\n          concurrency: 16\n          cache: { entries_max: 500, ttl: 1m, negative_ttl: 5s }\n          breaker: { failures: 3, open_for: 5s }\n          on_failure: dead_letter\n      on: { user: id }\n      take: [name]";
    let written = load_text(&with(step, "  - table: t")).expect("it is right");
    assert_eq!(written.0.steps, built.steps);
    check(
        &with(
            "  - where: a = 1\n  - enrich: { table: { http_lookup: { url: 'http://{host}/users', concurrency: 0, body_max: 1GiB } }, on: { user: id }, take: [name] }",
            "  - table: t",
        ),
        expect![[r#"
            p.yaml:7:24: error: rows are asked for when records are read: the step must be the first one after its source
              |
            7 |   - enrich: { table: { http_lookup: { url: 'http://{host}/users', concurrency: 0, body_max: 1GiB } }, on: { user: id }, 
              |                        ^^^^^^^^^^^
              = at: steps[1].enrich.table.http_lookup
              = help: put it first, or take the whole table with `http`

            p.yaml:7:44: error: the URL does not say which row: there is no `{id}` in it
              |
            7 |   - enrich: { table: { http_lookup: { url: 'http://{host}/users', concurrency: 0, body_max: 1GiB } }, on: { user: id }, 
              |                                            ^^^^^^^^^^^^^^^^^^^^^
              = at: steps[1].enrich.table.http_lookup.url
              = help: such as `https://users.example/v1/users/{id}`

            p.yaml:7:44: error: a value cannot stand for the host: which one is asked is said here alone
              |
            7 |   - enrich: { table: { http_lookup: { url: 'http://{host}/users', concurrency: 0, body_max: 1GiB } }, on: { user: id }, 
              |                                            ^^^^^^^^^^^^^^^^^^^^^
              = at: steps[1].enrich.table.http_lookup.url

            p.yaml:7:80: error: 0 is not possible: from 1 to 256
              |
            7 | : { http_lookup: { url: 'http://{host}/users', concurrency: 0, body_max: 1GiB } }, on: { user: id }, take: [name] }
              |                                                             ^
              = at: steps[1].enrich.table.http_lookup.concurrency

            p.yaml:7:93: error: 1073741824 is not possible: from 1 to 16777216
              |
            7 | up: { url: 'http://{host}/users', concurrency: 0, body_max: 1GiB } }, on: { user: id }, take: [name] }
              |                                                             ^^^^
              = at: steps[1].enrich.table.http_lookup.body_max
        "#]],
    );
}

#[test]
fn orders_paid() {
    let file = |name: &str| File::new([format!("examples/data/shop/{name}.ndjson")]).once();
    let span = JoinSpan::Between(BetweenConfig { before: secs(0), after: secs(300) });
    let window = Tumbling::of(secs(60))
        .compute("orders", "count(*)")
        .compute("paid", "count(payment_amount)")
        .compute("taken", "sum(payment_amount)");
    let built = Pipeline::named("orders-paid")
        .source("orders", file("orders"), json())
        .field("orders", "order_id", FieldType::String)
        .field("orders", "customer", FieldType::String)
        .field("orders", "amount", FieldType::Float64)
        .source("payments", file("payments"), json())
        .field("payments", "order_id", FieldType::String)
        .field("payments", "method", FieldType::String)
        .field("payments", "amount", FieldType::Float64)
        .time("ts")
        .delay(secs(10))
        .join(JoinConfig::with("payments", span).on("order_id", "order_id").left().prefix("payment_"))
        .called("paid")
        .from("orders")
        .window(window)
        .to_table("orders_paid")
        .from("paid")
        .to_table("paid_per_minute")
        .build();
    assert_eq!(built, example("orders-paid.yaml"));
}

#[test]
fn orders_in_euro() {
    let file = |name: &str| File::new([format!("examples/data/rates/{name}.ndjson")]).once();
    let span = JoinSpan::AsOf(AsOfConfig { ttl: Some(secs(86_400)), deleted: Some("euro IS NULL".to_owned()) });
    let window = Tumbling::of(secs(3_600))
        .compute("orders", "count(*)")
        .compute("unknown", "count(*) filter (where euro IS NULL)")
        .compute("euro", "sum(euro)");
    let built = Pipeline::named("orders-in-euro")
        .source("orders", file("orders"), json())
        .field("orders", "order_id", FieldType::String)
        .field("orders", "currency", FieldType::String)
        .field("orders", "amount", FieldType::Float64)
        .source("rates", file("rates"), json())
        .field("rates", "currency", FieldType::String)
        .field("rates", "euro", FieldType::Float64)
        .time("ts")
        .delay(secs(60))
        .join(JoinConfig::with("rates", span).on("currency", "currency").left().prefix("rate_"))
        .from("orders")
        .add_columns([("euro", "amount * rate_euro")])
        .called("valued")
        .window(window)
        .to_table("orders_in_euro")
        .from("valued")
        .to_table("euro_per_hour")
        .build();
    assert_eq!(built, example("orders-in-euro.yaml"));
}

#[test]
fn a_join_needs_two_streams_keys_and_a_span() {
    let two = |join: &str| {
        with(join, "  - table: t").replace("sources:\n", "sources:\n  pays: { file: { paths: [y] }, format: json }\n")
    };
    check(
        &two("  - join: { with: pays, on: {}, within: 9999d, prefix: '', rows_max: 0 }"),
        expect![[r#"
        p.yaml:7:5: error: the left rows of a join are of one source or step, not of all sources
          |
        7 |   - join: { with: pays, on: {}, within: 9999d, prefix: '', rows_max: 0 }
          |     ^^^^
          = at: steps[0].join
          = help: say `from` which, beside `join`: logs

        p.yaml:7:25: error: there is nothing that must be equal
          |
        7 |   - join: { with: pays, on: {}, within: 9999d, prefix: '', rows_max: 0 }
          |                         ^^
          = at: steps[0].join.on
          = help: such as `on: { order_id: order_id }`: a column of the left row, then of the right

        p.yaml:7:41: error: 9999d is too long: at most 366d
          |
        7 |   - join: { with: pays, on: {}, within: 9999d, prefix: '', rows_max: 0 }
          |                                         ^^^^^
          = at: steps[0].join.within

        p.yaml:7:56: error: the prefix is empty: right columns could be called like left ones
          |
        7 |   - join: { with: pays, on: {}, within: 9999d, prefix: '', rows_max: 0 }
          |                                                        ^^
          = at: steps[0].join.prefix
          = help: leave it out for the name of the right stream and `_`

        p.yaml:7:70: error: 0 rows are too few: at least 1
          |
        7 |   - join: { with: pays, on: {}, within: 9999d, prefix: '', rows_max: 0 }
          |                                                                      ^
          = at: steps[0].join.rows_max
    "#]],
    );
    check(
        &two("  - from: logs\n    join: { with: pays, on: { a: b }, within: 1m, rows_max: 268435457 }"),
        expect![[r#"
            p.yaml:8:61: error: 268435457 rows are too many: at most 268435456
              |
            8 |     join: { with: pays, on: { a: b }, within: 1m, rows_max: 268435457 }
              |                                                             ^^^^^^^^^
              = at: steps[0].join.rows_max
        "#]],
    );
    check(
        &two("  - from: logs\n    join: { with: payz, on: { a: b }, within: 1m }"),
        expect![[r#"
        p.yaml:8:19: error: `payz` is neither a source nor an earlier step
          |
        8 |     join: { with: payz, on: { a: b }, within: 1m }
          |                   ^^^^
          = at: steps[0].join.with
          = help: did you mean `pays`?
    "#]],
    );
    check(
        &two("  - from: logs\n    join: { with: pays, on: { a: b }, as_of: { ttl: 0s, deleted: '' } }"),
        expect![[r#"
            p.yaml:8:53: error: 0s is too short: at least 1ms
              |
            8 |     join: { with: pays, on: { a: b }, as_of: { ttl: 0s, deleted: '' } }
              |                                                     ^^
              = at: steps[0].join.as_of.ttl

            p.yaml:8:66: error: the condition is empty
              |
            8 |     join: { with: pays, on: { a: b }, as_of: { ttl: 0s, deleted: '' } }
              |                                                                  ^^
              = at: steps[0].join.as_of.deleted
              = help: such as `op = 'd'` or `price IS NULL`, or leave it out
        "#]],
    );
    check(
        &two("  - from: logs\n    join: { with: pays, on: { a: b }, as_of: { tll: 1h } }"),
        expect![[r#"
        p.yaml:8:48: error: unknown key `tll`
          |
        8 |     join: { with: pays, on: { a: b }, as_of: { tll: 1h } }
          |                                                ^^^
          = at: steps[0].join.as_of.tll
          = allowed: ttl, deleted
          = did you mean `ttl`?
    "#]],
    );
    check(
        &two("  - from: logs\n    join: { with: pays, on: { a: b }, kind: outer }"),
        expect![[r#"
        p.yaml:8:45: error: unknown word `outer`
          |
        8 |     join: { with: pays, on: { a: b }, kind: outer }
          |                                             ^^^^^
          = at: steps[0].join.kind
          = allowed: inner, left
    "#]],
    );
    check(
        &two(
            "  - { name: w, from: logs, window: { tumbling: 1m, compute: { n: count(*) }, lateness: 1m } }\n  - join: { with: pays, on: { a: b }, within: 1m }\n  - { from: w, deduplicate: { by: [n], within: 1m } }",
        ),
        expect![[r#"
            p.yaml:8:5: error: nothing takes the rows of this step
              |
            8 |   - join: { with: pays, on: { a: b }, within: 1m }
              |     ^
              = at: steps[1]
              = help: name it, and write `from: NAME` in an output or a later step

            p.yaml:8:5: error: the results of `w` are replaced later: a join of them would count them twice
              |
            8 |   - join: { with: pays, on: { a: b }, within: 1m }
              |     ^^^^
              = at: steps[1].join
              = help: leave `lateness` out of `w`, or take `from` what it takes its rows from

            p.yaml:9:16: error: the results of `w` are replaced later: deduplicate after them would count them twice
              |
            9 |   - { from: w, deduplicate: { by: [n], within: 1m } }
              |                ^^^^^^^^^^^
              = at: steps[2].deduplicate
              = help: leave `lateness` out of `w`, or take `from` what it takes its rows from
        "#]],
    );
}
