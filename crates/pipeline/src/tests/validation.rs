//! Pipelines whose keys are right and that make no sense: all problems at once, each at its place.

use expect_test::{Expect, expect};

use super::{SMALL, load_text, load_with, rendered};

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
fn names_have_a_shape() {
    let text = SMALL.replace("name: small", "name: Small Talk").replace("logs", "2logs");
    check(&text, expect![[""]]);
}

#[test]
fn a_reference_must_lead_to_a_source_or_an_earlier_step() {
    check(
        &with(
            "  - { from: logz, where: a > 1 }\n  - { name: b, from: c, where: a > 1 }\n  - { name: c, from: c, where: a > 1 }",
            "  - { table: t, from: nowhere }",
        ),
        expect![[""]],
    );
}

#[test]
fn names_are_given_once() {
    check(
        &with(
            "  - { name: logs, where: a > 1 }\n  - { name: b, where: a > 1 }\n  - { name: b, where: a > 1 }",
            "  - { table: t, name: one }\n  - { stdout: {}, name: one }\n  - stdout\n  - stdout",
        ),
        expect![[""]],
    );
}

#[test]
fn rows_that_nobody_takes_are_a_mistake() {
    check(&with("  - { where: a > 1 }", "  - { table: t, from: logs }"), expect![[""]]);
}

#[test]
fn a_window_needs_time_and_reasonable_lengths() {
    let window = "  - window: { tumbling: 0s, offset: 1h, compute: { n: count(*) }, lateness: 9999d }\n  - window: { tumbling: 1m, offset: 1m, compute: { n: count(*) }, emit: { early: 1m } }";
    check(&with(window, "  - table: t").replace("time: { field: ts }\n", ""), expect![[""]]);
}

#[test]
fn lengths_of_time_that_nobody_means() {
    check(
        &format!("{SMALL}time: {{ field: \"\", watermark: {{ bounded: {{ delay: 9999d }} }}, idle_after: 0s }}\nepoch: 1ms\n"),
        expect![[""]],
    );
}

#[test]
fn columns_have_names_of_their_own() {
    check(
        &with(
            "  - window: { tumbling: 1m, by: [a, a, pane], compute: { a: count(*), revision: count(*), b: \"\" } }\n  - select: {}\n  - where: \" \"",
            "  - table: t",
        ),
        expect![[""]],
    );
}

#[test]
fn two_kinds_of_rows_do_not_share_a_table_or_file() {
    check(
        &with(
            "  - { name: w, window: { tumbling: 1m, compute: { n: count(*) } } }",
            "  - { table: t, from: logs }\n  - { table: t, from: w }\n  - { table: late_events, from: w }\n  - { table: u, from: w }\n  - { table: u, from: w }\n  - { file: { path: f }, from: w }\n  - { file: { path: f }, from: logs, name: other }",
        ),
        expect![[""]],
    );
}

#[test]
fn standard_input_is_read_once() {
    let text = "name: p\nsources:\n  a: { stdin: {}, format: json }\n  b: { stdin: {}, format: text }\noutputs: [{ table: t }]\n";
    check(text, expect![[""]]);
}

#[test]
fn fixed_columns_are_not_declared_and_paths_are_not_empty() {
    let text = "name: p\nsources:\n  a: { file: { paths: [] }, format: spark_log, schema: { a: int64 } }\n  b: { file: { paths: [\"\"] }, format: json }\noutputs: []\n";
    check(text, expect![[""]]);
}

#[test]
fn errors_of_shape_and_of_sense_come_together() {
    check(&format!("{SMALL}epoch: 1ms\nlate: {{ tabel: x }}\nsurprise: 1\n"), expect![[""]]);
}

#[test]
fn problems_of_an_override_point_at_it() {
    expect![[""]].assert_eq(&rendered(load_with(SMALL, &["epoch=1ms"], &[])));
}

#[test]
fn an_error_inside_a_sql_text_is_pointed_at_however_it_is_written() {
    let block = with("  - where: |\n      a > 1\n      AND wrong(b)\n  - where: \"c > wrong\"\n  - where: d > wrong", "  - table: t");
    let (_, document) = load_text(&block).unwrap();
    let show = |path: &str, offset: usize| document.error_at(path, "no such thing", None, Some(offset)).render();
    expect![[""]].assert_eq(&show("steps[0].where", 10));
    expect![[""]].assert_eq(&show("steps[1].where", 4));
    expect![[""]].assert_eq(&show("steps.2.where", 4));
    expect![[""]].assert_eq(&show("steps[0].where.nothing.here", 4));
}
