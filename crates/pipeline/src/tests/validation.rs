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
    check(
        &text,
        expect![[r#"
        p.yaml:1:7: error: the name `Small Talk` does not begin with a lower-case letter
          |
        1 | name: Small Talk
          |       ^^^^^^^^^^
          = at: name
          = help: lower-case letters, digits, `_`, `-`; a letter first

        p.yaml:3:3: error: the name `2logs` does not begin with a lower-case letter
          |
        3 |   2logs:
          |   ^^^^^
          = at: sources.2logs
          = help: lower-case letters, digits, `_`; a letter first

        p.yaml:7:12: error: the name `2logs` does not begin with a lower-case letter
          |
        7 |   - table: 2logs
          |            ^^^^^
          = at: outputs[0].table
          = help: lower-case letters, digits, `_`; a letter first
    "#]],
    );
}

#[test]
fn a_reference_must_lead_to_a_source_or_an_earlier_step() {
    check(
        &with(
            "  - { from: logz, where: a > 1 }\n  - { name: b, from: c, where: a > 1 }\n  - { name: c, from: c, where: a > 1 }",
            "  - { table: t, from: nowhere }",
        ),
        expect![[r#"
            p.yaml:6:13: error: `logz` is neither a source nor an earlier step
              |
            6 |   - { from: logz, where: a > 1 }
              |             ^^^^
              = at: steps[0].from
              = help: did you mean `logs`?

            p.yaml:7:22: error: `c` is steps[2], which comes only later
              |
            7 |   - { name: b, from: c, where: a > 1 }
              |                      ^
              = at: steps[1].from
              = help: there are: logs

            p.yaml:8:22: error: `c` is this step itself
              |
            8 |   - { name: c, from: c, where: a > 1 }
              |                      ^
              = at: steps[2].from
              = help: did you mean `b`?

            p.yaml:10:23: error: `nowhere` is neither a source nor an earlier step
               |
            10 |   - { table: t, from: nowhere }
               |                       ^^^^^^^
               = at: outputs[0].from
               = help: there are: logs, b, c
        "#]],
    );
}

#[test]
fn names_are_given_once() {
    check(
        &with(
            "  - { name: logs, where: a > 1 }\n  - { name: b, where: a > 1 }\n  - { name: b, where: a > 1 }",
            "  - { table: t, name: one }\n  - { stdout: {}, name: one }\n  - stdout\n  - stdout",
        ),
        expect![[r#"
            p.yaml:6:13: error: `logs` is already the name of a source
              |
            6 |   - { name: logs, where: a > 1 }
              |             ^^^^
              = at: steps[0].name

            p.yaml:8:13: error: `b` is already the name of steps[1]
              |
            8 |   - { name: b, where: a > 1 }
              |             ^
              = at: steps[2].name

            p.yaml:11:25: error: outputs[0] is called `one` as well
               |
            11 |   - { stdout: {}, name: one }
               |                         ^^^
               = at: outputs[1].name
               = help: give it a `name` of its own

            p.yaml:13:5: error: outputs[2] is called `stdout` as well
               |
            13 |   - stdout
               |     ^^^^^^
               = at: outputs[3]
               = help: give it a `name` of its own
        "#]],
    );
}

#[test]
fn rows_that_nobody_takes_are_a_mistake() {
    check(
        &with("  - { where: a > 1 }", "  - { table: t, from: logs }"),
        expect![[r#"
        p.yaml:6:5: error: nothing takes the rows of this step
          |
        6 |   - { where: a > 1 }
          |     ^
          = at: steps[0]
          = help: name it, and write `from: NAME` in an output or a later step
    "#]],
    );
}

#[test]
fn a_window_needs_time_and_reasonable_lengths() {
    let window = "  - window: { tumbling: 0s, offset: 1h, compute: { n: count(*) }, lateness: 9999d }\n  - window: { tumbling: 1m, offset: 1m, compute: { n: count(*) }, emit: { early: 1m } }";
    check(
        &with(window, "  - table: t").replace("time: { field: ts }\n", ""),
        expect![[r#"
            p.yaml:5:5: error: a window needs event time, and the pipeline says nothing about it
              |
            5 |   - window: { tumbling: 0s, offset: 1h, compute: { n: count(*) }, lateness: 9999d }
              |     ^^^^^^
              = at: steps[0].window
              = help: add `time: { field: ts }` with the name of your time field

            p.yaml:5:25: error: 0s is too short: at least 1ms
              |
            5 |   - window: { tumbling: 0s, offset: 1h, compute: { n: count(*) }, lateness: 9999d }
              |                         ^^
              = at: steps[0].window.tumbling

            p.yaml:5:77: error: 9999d is too long: at most 366d
              |
            5 |   - window: { tumbling: 0s, offset: 1h, compute: { n: count(*) }, lateness: 9999d }
              |                                                                             ^^^^^
              = at: steps[0].window.lateness

            p.yaml:6:5: error: a window needs event time, and the pipeline says nothing about it
              |
            6 |   - window: { tumbling: 1m, offset: 1m, compute: { n: count(*) }, emit: { early: 1m } }
              |     ^^^^^^
              = at: steps[1].window
              = help: add `time: { field: ts }` with the name of your time field

            p.yaml:6:5: error: the results of steps[0] are replaced later: a window over them would count them twice
              |
            6 |   - window: { tumbling: 1m, offset: 1m, compute: { n: count(*) }, emit: { early: 1m } }
              |     ^^^^^^
              = at: steps[1].window
              = help: leave `lateness` out of steps[0], or take `from` what it takes its rows from

            p.yaml:6:37: error: the offset 1m is not shorter than the window of 1m
              |
            6 |   - window: { tumbling: 1m, offset: 1m, compute: { n: count(*) }, emit: { early: 1m } }
              |                                     ^^
              = at: steps[1].window.offset

            p.yaml:6:82: error: 1m is not shorter than the window of 1m: nothing would be early
              |
            6 |   - window: { tumbling: 1m, offset: 1m, compute: { n: count(*) }, emit: { early: 1m } }
              |                                                                                  ^^
              = at: steps[1].window.emit.early
        "#]],
    );
}

#[test]
fn a_format_with_a_time_of_its_own_needs_no_time_section() {
    let text = with("  - window: { tumbling: 1m, compute: { n: count(*) } }", "  - table: t");
    let text = text.replace("time: { field: ts }\n", "");
    let (config, _) = load_text(&text.replace("json", "spark_log")).unwrap();
    assert_eq!(config.time, Some(crate::TimeConfig::field("ts")));
    assert!(load_text(&text).is_err(), "json has none");
    let both = text.replace("steps:", "  two: { stdin: {}, format: spark_log }\nsteps:");
    assert!(load_text(&both).is_err(), "not all of them have one");
}

#[test]
fn lengths_of_time_that_nobody_means() {
    check(
        &format!(
            "{SMALL}time: {{ field: \"\", watermark: {{ bounded: {{ delay: 9999d }} }}, idle_after: 0s }}\nepoch: 1ms\n"
        ),
        expect![[r#"
            p.yaml:8:16: error: the name of the time field is empty
              |
            8 | time: { field: "", watermark: { bounded: { delay: 9999d } }, idle_after: 0s }
              |                ^^
              = at: time.field

            p.yaml:8:51: error: 9999d is too long: at most 366d
              |
            8 | time: { field: "", watermark: { bounded: { delay: 9999d } }, idle_after: 0s }
              |                                                   ^^^^^
              = at: time.watermark.bounded.delay

            p.yaml:8:74: error: 0s is too short: at least 1ms
              |
            8 | time: { field: "", watermark: { bounded: { delay: 9999d } }, idle_after: 0s }
              |                                                                          ^^
              = at: time.idle_after

            p.yaml:9:8: error: 1ms is too short: at least 100ms
              |
            9 | epoch: 1ms
              |        ^^^
              = at: epoch
        "#]],
    );
}

#[test]
fn a_number_of_tasks_that_makes_no_sense() {
    check(
        &format!("{SMALL}tasks: 0\n"),
        expect![[r#"
        p.yaml:8:8: error: 0 tasks do nothing: at least 1
          |
        8 | tasks: 0
          |        ^
          = at: tasks
          = help: leave it out for as many as there are processors, at most 4
    "#]],
    );
    check(
        &format!("{SMALL}tasks: 1000\n"),
        expect![[r#"
        p.yaml:8:8: error: 1000 tasks are too many: at most 64
          |
        8 | tasks: 1000
          |        ^^^^
          = at: tasks
          = help: leave it out for as many as there are processors, at most 4
    "#]],
    );
}

#[test]
fn columns_have_names_of_their_own() {
    check(
        &with(
            "  - window: { tumbling: 1m, by: [a, a, pane], compute: { a: count(*), revision: count(*), b: \"\" } }\n  - select: {}\n  - where: \" \"",
            "  - table: t",
        ),
        expect![[r#"
            p.yaml:6:37: error: `a` is given twice
              |
            6 |   - window: { tumbling: 1m, by: [a, a, pane], compute: { a: count(*), revision: count(*), b: "" } }
              |                                     ^
              = at: steps[0].window.by[1]

            p.yaml:6:40: error: the name `pane` is taken
              |
            6 |   - window: { tumbling: 1m, by: [a, a, pane], compute: { a: count(*), revision: count(*), b: "" } }
              |                                        ^^^^
              = at: steps[0].window.by[2]
              = help: windows add these columns themselves: window_start, window_end, pane, revision, row_id

            p.yaml:6:61: error: `a` is already a column: rows are grouped by it
              |
            6 |   - window: { tumbling: 1m, by: [a, a, pane], compute: { a: count(*), revision: count(*), b: "" } }
              |                                                             ^^^^^^^^
              = at: steps[0].window.compute.a

            p.yaml:6:81: error: the name `revision` is taken
              |
            6 |   - window: { tumbling: 1m, by: [a, a, pane], compute: { a: count(*), revision: count(*), b: "" } }
              |                                                                                 ^^^^^^^^
              = at: steps[0].window.compute.revision
              = help: windows add these columns themselves: window_start, window_end, pane, revision, row_id

            p.yaml:6:94: error: the expression is empty
              |
            6 |   - window: { tumbling: 1m, by: [a, a, pane], compute: { a: count(*), revision: count(*), b: "" } }
              |                                                                                              ^^
              = at: steps[0].window.compute.b

            p.yaml:7:5: error: there is no column: nothing would come out
              |
            7 |   - select: {}
              |     ^^^^^^
              = at: steps[1].select

            p.yaml:8:12: error: the expression is empty
              |
            8 |   - where: " "
              |            ^^^
              = at: steps[2].where
        "#]],
    );
}

#[test]
fn two_kinds_of_rows_do_not_share_a_table_or_file() {
    check(
        &with(
            "  - { name: w, window: { tumbling: 1m, compute: { n: count(*) } } }",
            "  - { table: t, from: logs }\n  - { table: t, from: w }\n  - { table: late_events, from: w }\n  - { table: u, from: w }\n  - { table: u, from: w }\n  - { file: { path: f }, from: w }\n  - { file: { path: f }, from: logs, name: other }",
        ),
        expect![[r#"
            p.yaml:9:14: error: the table `t` would get rows of two kinds: outputs[0].table writes other columns to it
              |
            9 |   - { table: t, from: w }
              |              ^
              = at: outputs[1].table
              = help: use another table

            p.yaml:10:14: error: the table `late_events` would get rows of two kinds: late.table writes other columns to it
               |
            10 |   - { table: late_events, from: w }
               |              ^^^^^^^^^^^
               = at: outputs[2].table
               = help: use another table

            p.yaml:12:14: error: the table `u` would get the same rows twice: outputs[3].table writes them already
               |
            12 |   - { table: u, from: w }
               |              ^
               = at: outputs[4].table
               = help: use another table

            p.yaml:14:21: error: the file `f` is already written by outputs[5].file.path
               |
            14 |   - { file: { path: f }, from: logs, name: other }
               |                     ^
               = at: outputs[6].file.path
        "#]],
    );
}

#[test]
fn standard_input_is_read_once() {
    let text = "name: p\nsources:\n  a: { stdin: {}, format: json }\n  b: { stdin: {}, format: text }\noutputs: [{ table: t }]\n";
    check(
        text,
        expect![[r#"
        p.yaml:4:8: error: `a` reads standard input already: it can be read only once
          |
        4 |   b: { stdin: {}, format: text }
          |        ^^^^^
          = at: sources.b.stdin
    "#]],
    );
}

#[test]
fn fixed_columns_are_not_declared_and_paths_are_not_empty() {
    let text = "name: p\nsources:\n  a: { file: { paths: [] }, format: spark_log, schema: { a: int64 } }\n  b: { file: { paths: [\"\"] }, format: json }\noutputs: []\n";
    check(
        text,
        expect![[r#"
        p.yaml:3:16: error: there is no path: no file would be read
          |
        3 |   a: { file: { paths: [] }, format: spark_log, schema: { a: int64 } }
          |                ^^^^^
          = at: sources.a.file.paths

        p.yaml:3:48: error: the columns of `spark_log` are fixed: a schema can be declared for `json`, `csv`, `avro` and `protobuf` only
          |
        3 |   a: { file: { paths: [] }, format: spark_log, schema: { a: int64 } }
          |                                                ^^^^^^
          = at: sources.a.schema

        p.yaml:4:24: error: the path is empty
          |
        4 |   b: { file: { paths: [""] }, format: json }
          |                        ^^
          = at: sources.b.file.paths[0]

        p.yaml:5:1: error: there is no output: nothing would be written
          |
        5 | outputs: []
          | ^^^^^^^
          = at: outputs
          = help: add `- table: NAME` or `- stdout: {}`
    "#]],
    );
}

#[test]
fn errors_of_shape_and_of_sense_come_together() {
    check(
        &format!("{SMALL}epoch: 1ms\nlate: {{ tabel: x }}\nsurprise: 1\n"),
        expect![[r#"
            p.yaml:8:8: error: 1ms is too short: at least 100ms
              |
            8 | epoch: 1ms
              |        ^^^
              = at: epoch

            p.yaml:9:9: error: unknown key `tabel`
              |
            9 | late: { tabel: x }
              |         ^^^^^
              = at: late.tabel
              = allowed: table, file, stdout, kafka, http
              = did you mean `table`?

            p.yaml:10:1: error: unknown key `surprise`
               |
            10 | surprise: 1
               | ^^^^^^^^
               = at: surprise
               = allowed: name, connections, sources, time, steps, outputs, late, dead_letters, dead_letters_limit, epoch, tasks, state, workers
        "#]],
    );
}

#[test]
fn problems_of_an_override_point_at_it() {
    expect![[r#"
        --set epoch: error: 1ms is too short: at least 100ms
          |
          | epoch=1ms
          |       ^^^
          = at: epoch
    "#]]
    .assert_eq(&rendered(load_with(SMALL, &["epoch=1ms"], &[])));
}

#[test]
fn an_error_inside_a_sql_text_is_pointed_at_however_it_is_written() {
    let block = with(
        "  - where: |\n      a > 1\n      AND wrong(b)\n  - where: \"c > wrong\"\n  - where: d > wrong\n  - where: >\n      e > 1 AND\n      wrong",
        "  - table: t",
    );
    let (_, document) = load_text(&block).unwrap();
    let show = |path: &str, offset: usize| document.error_at(path, "no such thing", None, Some(offset)).render();
    expect![[r#"
        p.yaml:8:11: error: no such thing
          |
        8 |       AND wrong(b)
          |           ^
          = at: steps[0].where
    "#]]
    .assert_eq(&show("steps[0].where", 10));
    expect![[r#"
        p.yaml:9:17: error: no such thing
          |
        9 |   - where: "c > wrong"
          |                 ^
          = at: steps[1].where
    "#]]
    .assert_eq(&show("steps[1].where", 4));
    expect![[r#"
        p.yaml:10:16: error: no such thing
           |
        10 |   - where: d > wrong
           |                ^
           = at: steps[2].where
    "#]]
    .assert_eq(&show("steps.2.where", 4));
    expect![[r#"
        p.yaml:7:7: error: no such thing
          |
        7 |       a > 1
          |       ^^^^^
          = at: steps[0].where.nothing.here
    "#]]
    .assert_eq(&show("steps[0].where.nothing.here", 4));
    expect![[r#"
        p.yaml:13:7: error: no such thing
           |
        13 |       wrong
           |       ^
           = at: steps[3].where
    "#]]
    .assert_eq(&show("steps[3].where", 10));
}

#[test]
fn sliding_windows_have_a_slide_that_fits_them() {
    let window = |sliding: &str| format!("  - window: {{ sliding: {sliding}, compute: {{ n: count(*) }} }}");
    let load = |sliding: &str| rendered(load_text(&with(&window(sliding), "  - table: t")));
    for right in
        ["{ size: 1m, slide: 10s }", "{ size: 1m, slide: 1m }", "{ size: 10s, slide: 1ms }", "{ size: 1h, slide: 7s }"]
    {
        assert_eq!(load(right), "no error\n", "{right}");
    }
    for (wrong, place, said) in [
        ("{ size: 1m, slide: 0s }", "slide", "0s is too short: at least 1ms"),
        ("{ size: 0s, slide: 1s }", "size", "0s is too short: at least 1ms"),
        ("{ size: 9999d, slide: 1s }", "size", "9999d is too long: at most 366d"),
        ("{ size: 1m, slide: 61s }", "slide", "the slide of 61s is longer than the window of 1m"),
        ("{ size: 10001ms, slide: 1ms }", "slide", "10001 windows would overlap, more than 10000"),
        ("{ size: 1m, slide: 7001ms }", "slide", "windows would be put together from 60000 pieces"),
        ("{ size: 1m, slide: -1s }", "slide", "error"),
        ("{ size: 1m }", "sliding", "slide"),
        ("{ size: 1m, slide: 1s, step: 1s }", "step", "step"),
        ("1m", "sliding", "error"),
    ] {
        let errors = load(wrong);
        assert!(errors.contains(said) && errors.contains(place), "{wrong}: {errors}");
    }
}

#[test]
fn windows_are_of_one_kind_and_speak_early_after_something() {
    let load = |window: &str| {
        rendered(load_text(&with(&format!("  - window: {{ compute: {{ n: count(*) }}, {window} }}"), "  - table: t")))
    };
    for right in ["tumbling: 1m, emit: { early: 10s, early_rows: 1 }", "sliding: { size: 1m, slide: 10s }, offset: 9s"]
    {
        assert_eq!(load(right), "no error\n", "{right}");
    }
    for (wrong, said) in [
        ("sliding: { size: 1m, slide: 10s }, tumbling: 1m", "only one of"),
        ("lateness: 1m", "one of"),
        ("sliding: { size: 1m, slide: 10s }, offset: 10s", "the offset 10s is not shorter than the slide of 10s"),
        ("sliding: { size: 1m, slide: 10s }, emit: { early: 1m }", "1m is not shorter than the window of 1m"),
        ("tumbling: 1m, emit: { early: 1ms }", "1ms is too short: at least 100ms"),
        ("tumbling: 1m, emit: { early_rows: 0 }", "0 rows are too few: at least 1"),
        ("tumbling: 1m, emit: { early_rows: -5 }", "number"),
        ("tumbling: 1m, emit: { every_rows: 5 }", "early_rows"),
    ] {
        let errors = load(wrong);
        assert!(errors.contains(said), "{wrong}: {errors}");
    }
}

#[test]
fn partitions_are_not_held_together_too_closely() {
    let load = |drift: &str| rendered(load_text(&format!("{SMALL}time: {{ field: ts, max_drift: {drift} }}\n")));
    assert_eq!(load("1s"), "no error\n");
    for (wrong, said) in [("999ms", "999ms is too short: at least 1s"), ("9999d", "9999d is too long: at most 366d")] {
        assert!(load(wrong).contains(said), "{wrong}: {}", load(wrong));
        assert!(load(wrong).contains("time.max_drift"), "{wrong}: {}", load(wrong));
    }
}

#[test]
fn watermarks_say_how_far_apart_and_of_which_records() {
    let with = |watermark: &str| {
        format!(
            "name: p\nsources: {{ logs: {{ file: {{ paths: [x] }}, format: json }} }}\n\
             time: {{ field: ts, watermark: {watermark} }}\noutputs: [ {{ table: rows }} ]\n"
        )
    };
    check(
        &with("{ periodic: { delay: 1s } }"),
        expect![[r#"
        p.yaml:3:33: error: the key `every` is missing
          |
        3 | time: { field: ts, watermark: { periodic: { delay: 1s } } }
          |                                 ^^^^^^^^
          = at: time.watermark.periodic
    "#]],
    );
    check(
        &with("{ periodic: { every: 0s } }"),
        expect![[r#"
        p.yaml:3:52: error: 0s is too short: at least 1ms
          |
        3 | time: { field: ts, watermark: { periodic: { every: 0s } } }
          |                                                    ^^
          = at: time.watermark.periodic.every
    "#]],
    );
    check(
        &with("{ punctuated: { where: ' ', delay: 400d } }"),
        expect![[r#"
        p.yaml:3:54: error: no record would move the watermark
          |
        3 | time: { field: ts, watermark: { punctuated: { where: ' ', delay: 400d } } }
          |                                                      ^^^
          = at: time.watermark.punctuated.where
          = help: write a SQL condition, such as `kind = 'heartbeat'`

        p.yaml:3:66: error: 400d is too long: at most 366d
          |
        3 | time: { field: ts, watermark: { punctuated: { where: ' ', delay: 400d } } }
          |                                                                  ^^^^
          = at: time.watermark.punctuated.delay
    "#]],
    );
    check(
        &with("{ punctuatd: { where: x } }"),
        expect![[r#"
        p.yaml:3:33: error: unknown key `punctuatd`
          |
        3 | time: { field: ts, watermark: { punctuatd: { where: x } } }
          |                                 ^^^^^^^^^
          = at: time.watermark.punctuatd
          = allowed: bounded, periodic, punctuated
          = did you mean `punctuated`?
    "#]],
    );
}

#[test]
fn keys_lie_in_files_or_in_rocksdb_and_those_of_workers_in_files() {
    check(
        &format!("{SMALL}state: {{ backend: rocksdb }}\nworkers: {{ group: small }}\n"),
        expect![[r#"
        p.yaml:8:19: error: workers have keys in the files of their snapshots alone
          |
        8 | state: { backend: rocksdb }
          |                   ^^^^^^^
          = at: state.backend
          = help: leave `backend` out: partitions move between workers, and keys with them
    "#]],
    );
    check(
        &format!("{SMALL}state: {{ backend: rockdb }}\n"),
        expect![[r#"
        p.yaml:8:19: error: unknown word `rockdb`
          |
        8 | state: { backend: rockdb }
          |                   ^^^^^^
          = at: state.backend
          = allowed: files, rocksdb
          = did you mean `rocksdb`?
    "#]],
    );
}
