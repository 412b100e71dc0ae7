//! Errors of shape: each points at the key or value, says what is allowed and what was probably meant.

use expect_test::{Expect, expect};

use super::{SMALL, load_text, rendered};

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&rendered(load_text(text)));
}

/// `SMALL` with `from` replaced by `to`.
fn check_change(from: &str, to: &str, expected: Expect) {
    assert!(SMALL.contains(from), "{from}");
    check(&SMALL.replacen(from, to, 1), expected);
}

#[test]
fn a_wrong_key_at_the_top() {
    check_change(
        "outputs:",
        "output:",
        expect![[r#"
            p.yaml:6:1: error: unknown key `output`
              |
            6 | output:
              | ^^^^^^
              = at: output
              = allowed: name, connections, sources, time, steps, outputs, late, dead_letters, dead_letters_limit, epoch, tasks, state, workers
              = did you mean `outputs`?
        "#]],
    );
}

#[test]
fn a_wrong_key_beside_the_kind_of_a_source() {
    check_change(
        "format: json",
        "fromat: json",
        expect![[r#"
        p.yaml:5:5: error: unknown key `fromat`
          |
        5 |     fromat: json
          |     ^^^^^^
          = at: sources.logs.fromat
          = allowed: file, stdin, http, log, kafka, format, schema
          = did you mean `format`?
    "#]],
    );
}

#[test]
fn a_wrong_kind_of_source() {
    check_change(
        "file: {",
        "fil: {",
        expect![[r#"
        p.yaml:4:5: error: unknown key `fil`
          |
        4 |     fil: { paths: ["/x/*.log"], follow: false }
          |     ^^^
          = at: sources.logs.fil
          = allowed: file, stdin, http, log, kafka, format, schema
          = did you mean `file`?
    "#]],
    );
}

#[test]
fn a_wrong_key_inside_a_kind_of_source() {
    check_change(
        "follow: false",
        "folow: false",
        expect![[r#"
        p.yaml:4:34: error: unknown key `folow`
          |
        4 |     file: { paths: ["/x/*.log"], folow: false }
          |                                  ^^^^^
          = at: sources.logs.file.folow
          = allowed: paths, exclude, follow, max_record_bytes, poll, join_timeout, start
          = did you mean `follow`?
    "#]],
    );
}

#[test]
fn a_wrong_word_for_a_format() {
    check_change(
        "format: json",
        "format: jsn",
        expect![[r#"
            p.yaml:5:13: error: unknown word `jsn`
              |
            5 |     format: jsn
              |             ^^^
              = at: sources.logs.format
              = allowed: json, text, csv, raw, spark_log, avro, protobuf
              = did you mean `json`?
        "#]],
    );
}

#[test]
fn a_wrong_key_inside_a_format() {
    check_change(
        "format: json",
        "format: { spark_log: { zones: UTC } }",
        expect![[r#"
        p.yaml:5:28: error: unknown key `zones`
          |
        5 |     format: { spark_log: { zones: UTC } }
          |                            ^^^^^
          = at: sources.logs.format.spark_log.zones
          = allowed: zone
          = did you mean `zone`?
    "#]],
    );
}

#[test]
fn a_wrong_key_in_time_steps_and_outputs_all_at_once() {
    check(
        "\
name: small
sources:
  logs: { file: { paths: [a] }, format: json }
time: { feld: ts, watermark: { bounded: { dely: 10s } } }
steps:
  - filter: level = 'ERROR'
  - window: { tumbling: 1m, group_by: [a], compute: { n: count(*) }, emit: { ealry: 1s } }
outputs:
  - file: { path: x, formt: csv }
  - tabel: x
late: { tabel: late }
",
        expect![[r#"
            p.yaml:4:9: error: unknown key `feld`
              |
            4 | time: { feld: ts, watermark: { bounded: { dely: 10s } } }
              |         ^^^^
              = at: time.feld
              = allowed: field, watermark, idle_after, future_limit, not_before, max_drift
              = did you mean `field`?

            p.yaml:4:43: error: unknown key `dely`
              |
            4 | time: { feld: ts, watermark: { bounded: { dely: 10s } } }
              |                                           ^^^^
              = at: time.watermark.bounded.dely
              = allowed: delay
              = did you mean `delay`?

            p.yaml:6:5: error: unknown key `filter`
              |
            6 |   - filter: level = 'ERROR'
              |     ^^^^^^
              = at: steps[0].filter
              = allowed: where, select, add, drop, rename, flatten, explode, parse, mask, sample, rate_limit, join_lines, route, window, deduplicate, enrich, join, name, from
              = did you mean `where`?

            p.yaml:7:29: error: unknown key `group_by`
              |
            7 |   - window: { tumbling: 1m, group_by: [a], compute: { n: count(*) }, emit: { ealry: 1s } }
              |                             ^^^^^^^^
              = at: steps[1].window.group_by
              = allowed: tumbling, sliding, calendar, global, session, offset, by, compute, lateness, emit
              = did you mean `by`?

            p.yaml:7:78: error: unknown key `ealry`
              |
            7 |   - window: { tumbling: 1m, group_by: [a], compute: { n: count(*) }, emit: { ealry: 1s } }
              |                                                                              ^^^^^
              = at: steps[1].window.emit.ealry
              = allowed: early, early_rows, every_rows, late, mode
              = did you mean `early`?

            p.yaml:9:22: error: unknown key `formt`
              |
            9 |   - file: { path: x, formt: csv }
              |                      ^^^^^
              = at: outputs[0].file.formt
              = allowed: path, format, mode
              = did you mean `format`?

            p.yaml:10:5: error: unknown key `tabel`
               |
            10 |   - tabel: x
               |     ^^^^^
               = at: outputs[1].tabel
               = allowed: table, file, stdout, kafka, http, from, name, retry
               = did you mean `table`?

            p.yaml:11:9: error: unknown key `tabel`
               |
            11 | late: { tabel: late }
               |         ^^^^^
               = at: late.tabel
               = allowed: table, file, stdout, kafka, http
               = did you mean `table`?
        "#]],
    );
}

#[test]
fn a_wrong_type_says_what_came_and_what_is_expected() {
    check_change(
        "name: small",
        "name: 5",
        expect![[r#"
        p.yaml:1:7: error: the number `5` where text is expected
          |
        1 | name: 5
          |       ^
          = at: name
          = help: write "5"
    "#]],
    );
    check_change(
        "paths: [\"/x/*.log\"]",
        "paths: /x/*.log",
        expect![[r#"
        p.yaml:4:20: error: the text `/x/*.log` where a list is expected
          |
        4 |     file: { paths: /x/*.log, follow: false }
          |                    ^^^^^^^^
          = at: sources.logs.file.paths
          = help: write ["/x/*.log"]
    "#]],
    );
    check_change(
        "follow: false",
        "follow: no",
        expect![[r#"
        p.yaml:4:42: error: the text `no` where `true` or `false` is expected
          |
        4 |     file: { paths: ["/x/*.log"], follow: no }
          |                                          ^^
          = at: sources.logs.file.follow
          = help: YAML's booleans are `true` and `false`
    "#]],
    );
    check_change(
        "follow: false",
        "follow: \"false\"",
        expect![[r#"
        p.yaml:4:42: error: the text `false` where `true` or `false` is expected
          |
        4 |     file: { paths: ["/x/*.log"], follow: "false" }
          |                                          ^^^^^^^
          = at: sources.logs.file.follow
          = help: leave the quotes away: what is in quotes is text
    "#]],
    );
    check_change(
        "outputs:\n  - table: logs",
        "outputs: { table: logs }",
        expect![[r#"
        p.yaml:6:1: error: a map where a list is expected
          |
        6 | outputs: { table: logs }
          | ^^^^^^^
          = at: outputs
    "#]],
    );
}

#[test]
fn a_duration_or_size_without_a_unit() {
    check(
        &format!("{SMALL}epoch: 10\n"),
        expect![[r#"
        p.yaml:8:8: error: the number `10` where a duration such as 500ms, 10s, 5m, 2h or 7d is expected
          |
        8 | epoch: 10
          |        ^^
          = at: epoch
          = help: add the unit: 10ms, 10s, 10m
    "#]],
    );
    check(
        &format!("{SMALL}epoch: 10 parsecs\n"),
        expect![[r#"
        p.yaml:8:8: error: the text `10 parsecs` where a duration such as 500ms, 10s, 5m, 2h or 7d is expected
          |
        8 | epoch: 10 parsecs
          |        ^^^^^^^^^^
          = at: epoch
    "#]],
    );
    check(
        &format!("{SMALL}epoch: -1s\n"),
        expect![[r#"
        p.yaml:8:8: error: the text `-1s` where a duration such as 500ms, 10s, 5m, 2h or 7d is expected
          |
        8 | epoch: -1s
          |        ^^^
          = at: epoch
    "#]],
    );
    check_change(
        "follow: false",
        "max_record_bytes: 5 apples",
        expect![[r#"
        p.yaml:4:52: error: the text `5 apples` where a size such as 512KiB, 64MiB or 2GiB is expected
          |
        4 |     file: { paths: ["/x/*.log"], max_record_bytes: 5 apples }
          |                                                    ^^^^^^^^
          = at: sources.logs.file.max_record_bytes
    "#]],
    );
}

#[test]
fn a_time_that_is_none() {
    check(
        &format!("{SMALL}time: {{ field: ts, not_before: yesterday }}\n"),
        expect![[r#"
        p.yaml:8:32: error: the text `yesterday` where a time in RFC 3339 such as 1990-01-01T00:00:00Z is expected
          |
        8 | time: { field: ts, not_before: yesterday }
          |                                ^^^^^^^^^
          = at: time.not_before
    "#]],
    );
}

#[test]
fn a_key_that_is_missing() {
    check_change(
        "    format: json\n",
        "",
        expect![[r#"
        p.yaml:3:3: error: the key `format` is missing
          |
        3 |   logs:
          |   ^^^^
          = at: sources.logs
    "#]],
    );
    check_change(
        "outputs:\n  - table: logs\n",
        "",
        expect![[r#"
        p.yaml:1:1: error: the key `outputs` is missing
          |
        1 | name: small
          | ^
    "#]],
    );
}

#[test]
fn a_kind_that_is_missing() {
    check_change(
        "    file: { paths: [\"/x/*.log\"], follow: false }\n",
        "",
        expect![[r#"
        p.yaml:3:3: error: one of file, stdin, http, log, kafka is missing
          |
        3 |   logs:
          |   ^^^^
          = at: sources.logs
    "#]],
    );
    check_change(
        "- table: logs",
        "- from: logs",
        expect![[r#"
            p.yaml:7:5: error: one of table, file, stdout, kafka, http is missing
              |
            7 |   - from: logs
              |     ^
              = at: outputs[0]
        "#]],
    );
}

#[test]
fn two_kinds_at_once() {
    check_change(
        "format: json",
        "format: json\n    stdin: {}",
        expect![[r#"
        p.yaml:6:5: error: `file` and `stdin` exclude each other: only one of them can be given
          |
        6 |     stdin: {}
          |     ^^^^^
          = at: sources.logs.stdin
    "#]],
    );
    check_change(
        "format: json",
        "format: { json: {}, text: {} }",
        expect![[r#"
        p.yaml:5:25: error: `json` and `text` exclude each other: only one of them can be given
          |
        5 |     format: { json: {}, text: {} }
          |                         ^^^^
          = at: sources.logs.format.text
    "#]],
    );
}

#[test]
fn a_key_given_twice() {
    check(
        &format!("{SMALL}name: again\n"),
        expect![[r#"
        p.yaml:8:1: error: the key `name` is given twice: first on line 1
          |
        8 | name: again
          | ^^^^
    "#]],
    );
}

#[test]
fn a_value_that_is_missing() {
    check_change(
        "table: logs",
        "table:",
        expect![[r#"
        p.yaml:7:5: error: nothing where the name of a table, or { name: ..., time: ... } is expected
          |
        7 |   - table:
          |     ^^^^^
          = at: outputs[0].table
    "#]],
    );
    check_change(
        "name: small",
        "name:",
        expect![[r#"
        p.yaml:1:1: error: nothing where text is expected
          |
        1 | name:
          | ^^^^
          = at: name
    "#]],
    );
}

#[test]
fn a_comma_that_cuts_a_call_in_two() {
    check(
        &format!(
            "{SMALL}time: {{ field: ts }}\nsteps:\n  - window: {{ tumbling: 1m, compute: {{ p: quantile(0.95, x) }} }}\n"
        ),
        expect![[r#"
            p.yaml:10:43: error: `quantile(0.95` is cut off: inside { } a comma ends the value
               |
            10 |   - window: { tumbling: 1m, compute: { p: quantile(0.95, x) } }
               |                                           ^^^^^^^^^^^^^
               = help: put the whole text in double quotes
        "#]],
    );
}

#[test]
fn tabs_quotes_and_other_text_that_is_not_yaml() {
    check(
        "name: small\nsources:\n\tlogs: {}\n",
        expect![[r#"
        p.yaml:3:2: error: this is not YAML: tabs disallowed within this context (block indentation)
          |
        3 |  logs: {}
          |  ^
          = help: indent with spaces: YAML allows no tabs there
    "#]],
    );
    check(
        "name: \"small\nsources: {}\n",
        expect![[r#"
        p.yaml:2:1: error: this is not YAML: invalid indentation in multiline quoted scalar
          |
        2 | sources: {}
          | ^
          = help: a quote that was opened here or before is not closed
    "#]],
    );
    check(
        "name: small\nsources: { logs: [ }\n",
        expect![[r#"
        p.yaml:2:18: error: this is not YAML: mismatched bracket '[' closed by '}'
          |
        2 | sources: { logs: [ }
          |                  ^
    "#]],
    );
    check(
        "name: small\npaths: *.log\n",
        expect![[r#"
        p.yaml:2:8: error: this is not YAML: while parsing node, found unknown anchor
          |
        2 | paths: *.log
          |        ^
          = help: a value that begins with `*` must be in quotes
    "#]],
    );
    check(
        "name: a: b\n",
        expect![[r#"
        p.yaml:1:8: error: this is not YAML: mapping values are not allowed in this context
          |
        1 | name: a: b
          |        ^
          = help: put a text that contains `: ` in quotes
    "#]],
    );
    check(
        "name: small\n---\nname: other\n",
        expect![[r#"
        p.yaml:2:1: error: a second document begins here: a file holds one pipeline
          |
        2 | ---
          | ^^^
    "#]],
    );
    check(
        "- a\n- b\n",
        expect![[r#"
        p.yaml:1:1: error: a list where a map is expected
          |
        1 | - a
          | ^
    "#]],
    );
    check(
        "",
        expect![[r#"
        p.yaml:1:1: error: there is nothing in this file: a pipeline needs name, sources and outputs
    "#]],
    );
    check(
        "# only a comment\n",
        expect![[r#"
        p.yaml:1:1: error: there is nothing in this file: a pipeline needs name, sources and outputs
    "#]],
    );
    check(
        "name: !secret x\n",
        expect![[r#"
        p.yaml:1:15: error: tags (`!...`) are not part of a pipeline
          |
        1 | name: !secret x
          |               ^
    "#]],
    );
    check(
        "? [a]\n: b\n",
        expect![[r#"
        p.yaml:1:3: error: a key must be text
          |
        1 | ? [a]
          |   ^
    "#]],
    );
}

#[test]
fn errors_have_a_one_line_form_and_a_json_form() {
    let errors = load_text(&SMALL.replace("follow", "folow")).unwrap_err();
    expect!["p.yaml:4:34: error: unknown key `folow` (did you mean `follow`?)"].assert_eq(&errors[0].to_string());
    expect![[r#"
        {
          "file": "p.yaml",
          "line": 4,
          "column": 34,
          "path": "sources.logs.file.folow",
          "message": "unknown key `folow`",
          "allowed": [
            "paths",
            "exclude",
            "follow",
            "max_record_bytes",
            "poll",
            "join_timeout",
            "start"
          ],
          "nearest": "follow",
          "hint": null
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&errors[0]).unwrap());
}
