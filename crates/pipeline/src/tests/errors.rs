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
    check_change("outputs:", "output:", expect![[""]]);
}

#[test]
fn a_wrong_key_beside_the_kind_of_a_source() {
    check_change("format: json", "fromat: json", expect![[""]]);
}

#[test]
fn a_wrong_kind_of_source() {
    check_change("file: {", "fil: {", expect![[""]]);
}

#[test]
fn a_wrong_key_inside_a_kind_of_source() {
    check_change("follow: false", "folow: false", expect![[""]]);
}

#[test]
fn a_wrong_word_for_a_format() {
    check_change("format: json", "format: jsn", expect![[""]]);
}

#[test]
fn a_wrong_key_inside_a_format() {
    check_change("format: json", "format: { spark_log: { zones: UTC } }", expect![[""]]);
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
        expect![[""]],
    );
}

#[test]
fn a_wrong_type_says_what_came_and_what_is_expected() {
    check_change("name: small", "name: 5", expect![[""]]);
    check_change("paths: [\"/x/*.log\"]", "paths: /x/*.log", expect![[""]]);
    check_change("follow: false", "follow: no", expect![[""]]);
    check_change("follow: false", "follow: \"false\"", expect![[""]]);
    check_change("outputs:\n  - table: logs", "outputs: { table: logs }", expect![[""]]);
}

#[test]
fn a_duration_or_size_without_a_unit() {
    check(&format!("{SMALL}epoch: 10\n"), expect![[""]]);
    check(&format!("{SMALL}epoch: 10 parsecs\n"), expect![[""]]);
    check(&format!("{SMALL}epoch: -1s\n"), expect![[""]]);
    check_change("follow: false", "max_record_bytes: 5 apples", expect![[""]]);
}

#[test]
fn a_time_that_is_none() {
    check(&format!("{SMALL}time: {{ field: ts, not_before: yesterday }}\n"), expect![[""]]);
}

#[test]
fn a_key_that_is_missing() {
    check_change("    format: json\n", "", expect![[""]]);
    check_change("outputs:\n  - table: logs\n", "", expect![[""]]);
}

#[test]
fn a_kind_that_is_missing() {
    check_change("    file: { paths: [\"/x/*.log\"], follow: false }\n", "", expect![[""]]);
    check_change("- table: logs", "- from: logs", expect![[""]]);
}

#[test]
fn two_kinds_at_once() {
    check_change("format: json", "format: json\n    stdin: {}", expect![[""]]);
    check_change("format: json", "format: { json: {}, text: {} }", expect![[""]]);
}

#[test]
fn a_key_given_twice() {
    check(&format!("{SMALL}name: again\n"), expect![[""]]);
}

#[test]
fn a_value_that_is_missing() {
    check_change("table: logs", "table:", expect![[""]]);
    check_change("name: small", "name:", expect![[""]]);
}

#[test]
fn a_comma_that_cuts_a_call_in_two() {
    check(
        &format!("{SMALL}time: {{ field: ts }}\nsteps:\n  - window: {{ tumbling: 1m, compute: {{ p: quantile(0.95, x) }} }}\n"),
        expect![[""]],
    );
}

#[test]
fn tabs_quotes_and_other_text_that_is_not_yaml() {
    check("name: small\nsources:\n\tlogs: {}\n", expect![[""]]);
    check("name: \"small\nsources: {}\n", expect![[""]]);
    check("name: small\nsources: { logs: [ }\n", expect![[""]]);
    check("name: small\npaths: *.log\n", expect![[""]]);
    check("name: a: b\n", expect![[""]]);
    check("name: small\n---\nname: other\n", expect![[""]]);
    check("- a\n- b\n", expect![[""]]);
    check("", expect![[""]]);
    check("# only a comment\n", expect![[""]]);
    check("name: !secret x\n", expect![[""]]);
    check("? [a]\n: b\n", expect![[""]]);
}

#[test]
fn errors_have_a_one_line_form_and_a_json_form() {
    let errors = load_text(&SMALL.replace("follow", "folow")).unwrap_err();
    expect![[""]].assert_eq(&errors[0].to_string());
    expect![[""]].assert_eq(&serde_json::to_string_pretty(&errors[0]).unwrap());
}
