//! The steps that look at rows one after the other, and routes: from YAML and from Rust, and what is wrong with them.

use expect_test::{Expect, expect};
use weir_model::{DurationText, Secret};

use super::examples::example;
use super::{load_text, rendered};
use crate::builder::{File, Format, Pipeline};
use crate::{
    BeginConfig, EmptyConfig, ExplodeConfig, FieldType, FlattenConfig, HashConfig, JoinLinesConfig, KeyValueConfig,
    MaskConfig, Named, OverConfig, ParseConfig, ParseKind, PiiConfig, RateLimitConfig,
};

fn pipeline(steps: &str) -> String {
    format!("name: p\nsources:\n  logs: {{ file: {{ paths: [x] }}, format: json }}\nsteps:\n{steps}\n")
}

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&rendered(load_text(text)));
}

#[test]
fn access_logs() {
    let grok = "%{COMBINEDAPACHELOG} %{NUMBER:duration_ms:float}";
    let parse = ParseConfig { drop_source: true, ..ParseConfig::new("message", ParseKind::Grok(grok.to_owned())) };
    let mask = MaskConfig {
        columns: vec!["clientip".to_owned(), "auth".to_owned()],
        patterns: Some(vec![PiiConfig::Value]),
        with: Some("***".to_owned()),
        ..MaskConfig::default()
    };
    let explode = ExplodeConfig {
        column: "tags".to_owned(),
        into: Some("tag".to_owned()),
        index: None,
        empty: EmptyConfig::Keep,
    };
    let limit = RateLimitConfig {
        rows: 2,
        per: DurationText::secs(60),
        by: vec!["request".to_owned()],
        over: OverConfig::Drop,
    };
    let built = Pipeline::named("access-logs")
        .source("access", File::new(["examples/data/access.ndjson"]).once(), Format::Json(Default::default()))
        .field("access", "ts", FieldType::Timestamp)
        .field("access", "host", FieldType::String)
        .field("access", "message", FieldType::String)
        .time("ts")
        .delay(DurationText::secs(10))
        .parse(parse)
        .mask(mask)
        .rename([("status", "response")])
        .add_columns([("seconds", "duration_ms / 1000.0"), ("failed", "status >= 500")])
        .drop_columns(["ident", "rawrequest"])
        .route([("broken", "failed"), ("slow", "seconds > 1"), ("rest", "else")])
        .sample(0.5, ["request"])
        .called("sampled")
        .from("rest")
        .explode(explode)
        .called("tagged")
        .from("broken")
        .rate_limit(limit)
        .called("alerts")
        .from("slow")
        .to_table("broken_requests")
        .from("tagged")
        .to_table("slow_requests_alerts")
        .from("alerts")
        .to_table("some_requests")
        .from("sampled")
        .build();
    assert_eq!(built, example("access-logs.yaml"));
}

#[test]
fn what_yaml_says_the_builder_says() {
    let text = pipeline(
        "  - flatten: { columns: [a], depth: 2, prefix: '' }
  - parse: { column: q, key_value: { pairs: '&' }, types: { n: int64 } }
  - join_lines: { column: message, starts_with: '[0-9]', max_lines: 9 }
  - mask: { regex: { customer: 'C-[0-9]+' }, hash: { key: 0123456789abcdef } }
  - route: { match: all, big: n > 5, small: else }
outputs:
  - { table: big, from: big }
  - { table: small, from: small }",
    );
    let flatten = FlattenConfig {
        columns: vec!["a".to_owned()],
        depth: Some(2),
        prefix: Some(String::new()),
        ..FlattenConfig::default()
    };
    let mut parse = ParseConfig::new(
        "q",
        ParseKind::KeyValue(KeyValueConfig { pairs: Some("&".to_owned()), ..KeyValueConfig::default() }),
    );
    parse.types.insert("n".to_owned(), FieldType::Int64);
    let lines = JoinLinesConfig {
        max_lines: 9,
        ..JoinLinesConfig::new("message", BeginConfig::StartsWith("[0-9]".to_owned()))
    };
    let mask = MaskConfig {
        regex: Named::from_iter([("customer", "C-[0-9]+")]),
        hash: Some(HashConfig { key: Secret::new("0123456789abcdef") }),
        ..MaskConfig::default()
    };
    let built = Pipeline::named("p")
        .source("logs", File::new(["x"]), Format::Json(Default::default()))
        .flatten(flatten)
        .parse(parse)
        .join_lines(lines)
        .mask(mask)
        .route_all([("big", "n > 5"), ("small", "else")])
        .to_table("big")
        .from("big")
        .to_table("small")
        .from("small")
        .build();
    let (loaded, _) = load_text(&text).expect("it is right");
    assert_eq!(built, loaded);
    assert!(!built.to_yaml().contains("0123456789abcdef"), "a key is never written");
}

#[test]
fn branches_are_taken_from_by_name() {
    check(
        &pipeline(
            "  - route: { errors: level = 'ERROR', rest: else, never: x > 1, logs: 'true' }
  - where: a > 1
outputs:
  - { table: t, from: eror }
  - table: u",
        ),
        expect![[r#"
            p.yaml:5:45: error: `else` takes what no other branch takes: it comes last
              |
            5 |   - route: { errors: level = 'ERROR', rest: else, never: x > 1, logs: 'true' }
              |                                             ^^^^
              = at: steps[0].route.rest
              = help: nothing would ever reach the branches after it

            p.yaml:5:71: error: `logs` is already the name of a source
              |
            5 |   - route: { errors: level = 'ERROR', rest: else, never: x > 1, logs: 'true' }
              |                                                                       ^^^^^^
              = at: steps[0].route.logs

            p.yaml:6:5: error: this takes from steps[0], a route, and does not say from which branch
              |
            6 |   - where: a > 1
              |     ^
              = at: steps[1]
              = help: `from:` one of errors, rest, never, logs

            p.yaml:8:23: error: `eror` is neither a source nor an earlier step
              |
            8 |   - { table: t, from: eror }
              |                       ^^^^
              = at: outputs[0].from
              = help: there are: logs, errors, rest, never, logs
        "#]],
    );
}

#[test]
fn steps_that_need_positions_or_time_say_so() {
    check(
        &pipeline(
            "  - rate_limit: { rows: 1, per: 1s }
  - parse: { column: a, json: {}, patterns: { A: b } }
  - mask: { with: x, keep_last: 2 }
  - parse: { column: a, key_value: { pairs: ab } }
  - drop: []
outputs:
  - table: t",
        ),
        expect![[r#"
            p.yaml:5:5: error: this needs event time, and the pipeline says nothing about it
              |
            5 |   - rate_limit: { rows: 1, per: 1s }
              |     ^^^^^^^^^^
              = at: steps[0].rate_limit
              = help: add `time: { field: ts }` with the name of your time field

            p.yaml:6:35: error: only `grok` is made of named patterns
              |
            6 |   - parse: { column: a, json: {}, patterns: { A: b } }
              |                                   ^^^^^^^^
              = at: steps[1].parse.patterns

            p.yaml:7:33: error: `with` and `keep_last` both say what stands in place of what is found
              |
            7 |   - mask: { with: x, keep_last: 2 }
              |                                 ^
              = at: steps[2].mask.keep_last
              = help: one of them

            p.yaml:8:45: error: `ab` is not one character
              |
            8 |   - parse: { column: a, key_value: { pairs: ab } }
              |                                             ^^
              = at: steps[3].parse.key_value.pairs

            p.yaml:9:5: error: there is no column: nothing would be done
              |
            9 |   - drop: []
              |     ^^^^
              = at: steps[4].drop
        "#]],
    );
    check(
        &pipeline("  - window: { tumbling: 1m, compute: { n: count(*) } }\n  - join_lines: { column: a, continues: x }\noutputs:\n  - table: t")
            .replace("steps:", "time: { field: ts }\nsteps:"),
        expect![[r#"
            p.yaml:7:5: error: this needs rows with their positions, but steps[0] makes its own
              |
            7 |   - join_lines: { column: a, continues: x }
              |     ^^^^^^^^^^
              = at: steps[1].join_lines
              = help: put it before the window
        "#]],
    );
}
