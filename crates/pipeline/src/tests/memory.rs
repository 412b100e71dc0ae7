//! Steps that remember rows or look them up: written as YAML and built, and what is wrong with them.

use expect_test::{Expect, expect};
use weir_model::DurationText;

use super::examples::example;
use super::{load_text, rendered};
use crate::builder::{File, Format, Pipeline, Tumbling};
use crate::{DeduplicateConfig, FieldType};

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
