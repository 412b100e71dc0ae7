//! Stories about stories: what a file says, what is told about it, and what `--update` makes of it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use expect_test::{Expect, expect};
use weir_pipeline::{Diagnostic, Input};

use super::{Played, play_file};
use crate::plan::{self, Job};

const PIPELINE: &str = "
name: p
sources:
  app: { http: { stream: app }, format: json, schema: { n: int64, k: string } }
time: { field: ts, watermark: { bounded: { delay: 0s } } }
steps:
  - name: sums
    window: { tumbling: 10s, by: [k], compute: { n: sum(n) }, lateness: 10s }
outputs:
  - table: sums
  - { table: raw, from: app }
";

fn load(path: &Path, overrides: &[String]) -> Result<Job, Vec<Diagnostic>> {
    let (config, document) = weir_pipeline::load(Input::File(path), overrides, [])?;
    let at = |problem: plan::Problem| document.error_at(&problem.path, problem.message, problem.hint, problem.column);
    plan::resolve(&config).map_err(|problems| problems.into_iter().map(at).collect())
}

/// Plays `stories`, which stand in a file below `pipeline:`.
fn play(stories: &str) -> Result<Played, Vec<Diagnostic>> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.yaml"), PIPELINE).unwrap();
    std::fs::write(folder.path().join("records.ndjson"), "{\"ts\":\"2026-01-01T00:00:03Z\",\"n\":5}\n").unwrap();
    let path = folder.path().join("s.yaml");
    std::fs::write(&path, format!("pipeline: p.yaml\nstories:\n{stories}")).unwrap();
    let mut played = play_file(&path, &load, true);
    match &mut played {
        Ok(played) => played.file = "s.yaml".to_owned(),
        Err(wrong) => wrong.iter_mut().for_each(|wrong| wrong.file = "s.yaml".to_owned()),
    }
    played
}

/// What is told about `stories`.
fn check(stories: &str, expected: Expect) {
    let told = match play(stories) {
        Ok(played) => played.text(),
        Err(wrong) => wrong.iter().map(Diagnostic::render).collect(),
    };
    expected.assert_eq(&told);
}

fn check_updated(stories: &str, expected: Expect) {
    let text = play(stories).unwrap().updated().unwrap_or_default();
    expected.assert_eq(text.strip_prefix("pipeline: p.yaml\n").unwrap_or(&text));
}

#[test]
fn rows_may_come_in_any_order_and_only_named_columns_are_looked_at() {
    check(
        r#"
  s:
    - records: |
        {"ts":"2026-01-01T00:00:01Z","n":1,"k":"a b"}
        {"ts":"2026-01-01T00:00:02Z","n":2,"k":"c"}
        {"ts":"2026-01-01T00:00:10Z","n":3}
    - expect:
        sums: |
          n  k
          2  c
          # a comment
          1  "a b"
        balance: { sums: { read: 3, open: 1 } }
        watermark: 2026-01-01T00:00:10Z
    - records: { file: records.ndjson, partition: other }
    - end
    - expect:
        sums: [{ window_start: "00:00:10", k: null }, { n: 5, pane: late }]
"#,
        expect![[r#"
            s.yaml
              ok    s
        "#]],
    );
}

#[test]
fn what_differs_is_marked_beside_what_was_expected() {
    check(
        r#"
  s:
    - records: [{ ts: 2026-01-01T00:00:01Z, n: 1, k: a }, { ts: 2026-01-01T00:00:02Z, n: 2, k: b }]
    - end
    - expect:
        sums: |
          window_start  k  n
          00:00         a  7
          00:00         c  9
        balance: { sums: { results: 3 } }
        watermark: unknown
"#,
        expect![[r#"
            s.yaml
              FAIL  s

                s.yaml:10: the rows of `sums` are not as expected
    
                                 window_start  k  n
                  10 - expected  00:00         a  7
                        + found  00:00:00      a  1
                                                  ^
                  11 - expected  00:00         c  9
                        + found  00:00:00      b  2
                                               ^  ^

                s.yaml:12: results of sums is 2 where 3 is expected

                s.yaml:13: watermark is 2026-01-01T00:00:02Z where unknown is expected

        "#]],
    );
}

#[test]
fn rows_that_no_expectation_looks_at_are_a_failure_where_others_of_their_output_are_looked_at() {
    check(
        r#"
  of the output:
    - records: [{ ts: 2026-01-01T00:00:01Z, n: 1 }]
    - expect: { raw: 1 }
    - records: [{ ts: 2026-01-01T00:00:02Z, n: 2 }]
  dead letters always:
    - records: nonsense
  late rows always:
    - records: [{ ts: 2026-01-01T00:01:00Z, n: 1 }, { ts: 2026-01-01T00:00:01Z, n: 1 }]
"#,
        expect![[r#"
            s.yaml
              FAIL  of the output

                s.yaml:7: 1 row in `raw` that no expectation looks at: add `- expect: { raw: ... }`

                           n  ts
                  + found  2  2026-01-01T00:00:02Z

              FAIL  dead letters always

                s.yaml:9: 1 row in `dead_letters` that no expectation looks at: add `- expect: { dead_letters: ... }`

                           time                  pipeline  kind    format  source_file  partition  source_offset  reason                                                              payload   original_bytes
                  + found  2026-01-01T00:00:00Z  p         record  ""      app          app        0              "not JSON at column 1: expected a JSON object, found \"nonsense\""  nonsense  8

              FAIL  late rows always

                s.yaml:11: 1 row in `late` that no expectation looks at: add `- expect: { late: ... }`

                           n  ts                    event_time            late_by_ms  window_start          window_end            source_file  source_offset  pipeline
                  + found  1  2026-01-01T00:00:01Z  2026-01-01T00:00:01Z  59000       2026-01-01T00:00:00Z  2026-01-01T00:00:10Z  app          1              p

        "#]],
    );
}

#[test]
fn what_the_pipeline_does_not_have_is_an_error_at_its_place() {
    check(
        r#"
  s:
    - records: { source: ap, lines: x }
    - record: x
    - expect: { sum: 1, balance: { sums: { red: 1 }, row: {} } }
    - expect:
        sums: |
          a  b
          1
    - caught_up: other
"#,
        expect![[r#"
            s.yaml:6:7: error: unknown key `record`
              |
            6 |     - record: x
              |       ^^^^^^
              = at: stories.s[1].record
              = allowed: records, added, caught_up, finished, wait, checkpoint, crash, end, expect
              = did you mean `records`?
        "#]],
    );
    check(
        r#"
  s:
    - records: { source: ap, lines: x }
    - expect: { sum: 1, balance: { sums: { red: 1 }, row: {} } }
    - expect:
        sums: |
          a  b
          1
    - caught_up: other
"#,
        expect![[r#"
            s.yaml:5:26: error: the pipeline has no source `ap`
              |
            5 |     - records: { source: ap, lines: x }
              |                          ^^
              = at: stories.s[0].records.source
              = allowed: app
              = did you mean `app`?
            s.yaml:6:17: error: the pipeline has no output `sum`
              |
            6 |     - expect: { sum: 1, balance: { sums: { red: 1 }, row: {} } }
              |                 ^^^
              = at: stories.s[1].expect.sum
              = allowed: sums, raw, late, dead_letters, balance, watermark
              = did you mean `sums`?
            s.yaml:6:44: error: a balance does not count `red`
              |
            6 |     - expect: { sum: 1, balance: { sums: { red: 1 }, row: {} } }
              |                                            ^^^
              = at: stories.s[1].expect.balance.sums.red
              = allowed: read, added, results, filtered, merged, late, rejected, open
              = did you mean `read`?
            s.yaml:6:54: error: the pipeline has no output `row`
              |
            6 |     - expect: { sum: 1, balance: { sums: { red: 1 }, row: {} } }
              |                                                      ^^^
              = at: stories.s[1].expect.balance.row
              = allowed: sums, raw
              = did you mean `raw`?
            s.yaml:10:11: error: 1 cell where there are 2 columns (a, b): a cell with blanks in it is in quotes, nothing is `null`
               |
            10 |           1
               |           ^
               = at: stories.s[2].expect.sums
               = help: a table begins with `|` on the line of its name, then a line of column names, then a line per row
            s.yaml:11:18: error: the story has not spoken of a partition `other` before
               |
            11 |     - caught_up: other
               |                  ^^^^^
               = at: stories.s[3].caught_up
        "#]],
    );
}

#[test]
fn a_step_of_the_wrong_type_or_a_key_twice_is_an_error_at_its_place() {
    check(
        "  s:\n    - wait: 5\n    - end: now\n    - expect: [1]\n",
        expect![[r#"
        s.yaml:4:13: error: the number `5` where a duration such as 500ms, 10s, 5m, 2h or 7d is expected
          |
        4 |     - wait: 5
          |             ^
          = at: stories.s[0].wait
          = help: add the unit: 5ms, 5s, 5m
        s.yaml:5:12: error: the text `now` where nothing is expected
          |
        5 |     - end: now
          |            ^^^
          = at: stories.s[1].end
        s.yaml:6:7: error: a list where a map is expected
          |
        6 |     - expect: [1]
          |       ^^^^^^
          = at: stories.s[2].expect
    "#]],
    );
    check(
        "  s: []\n  s: []\n",
        expect![[r#"
        s.yaml:4:3: error: the key `s` is given twice: first on line 3
          |
        4 |   s: []
          |   ^
    "#]],
    );
}

#[test]
fn an_update_writes_what_was_found_and_nothing_else() {
    check_updated(
        r#"
  # a comment
  s:   # another
    - records: [{ ts: 2026-01-01T00:00:01Z, n: 1, k: a }, { ts: 2026-01-01T00:00:02Z, n: 2, k: b }]
    - end
    - expect:
        sums: |  # why
            window_start   k   n
            # the first
            00:00          a   1

            # the second
            00:00          c   9
            00:00          d   9
        raw:     # everything
        balance: { sums: { results: 3, read: 2 } } # two
        watermark: unknown   # none

    # the end
    - records: [{ ts: 2026-01-01T00:00:03Z, n: 1, k: a }]
    - expect: { raw: [{ n: 2 }], sums: 4 }
    - expect: { raw: 1 }
    - records: [{ ts: 2026-01-01T00:00:04Z, n: 1, k: "null" }]
    - expect:
        raw:
          - { k: x }
          # gone
          - { k: y }
"#,
        expect![[r#"
            stories:

              # a comment
              s:   # another
                - records: [{ ts: 2026-01-01T00:00:01Z, n: 1, k: a }, { ts: 2026-01-01T00:00:02Z, n: 2, k: b }]
                - end
                - expect:
                    sums: | # why
                        window_start  k  n
                        # the first
                        00:00         a  1
                        # the second
                        00:00         b  2
                    raw: | # everything
                      k  n  ts
                      a  1  2026-01-01T00:00:01Z
                      b  2  2026-01-01T00:00:02Z
                    balance: { sums: { results: 2, read: 2 } } # two
                    watermark: 2026-01-01T00:00:02Z   # none

                # the end
                - records: [{ ts: 2026-01-01T00:00:03Z, n: 1, k: a }]
                - expect: { raw: [{ n: 1 }], sums: 0 }
                - expect: { raw: 0 }
                - records: [{ ts: 2026-01-01T00:00:04Z, n: 1, k: "null" }]
                - expect:
                    raw:
                      - { k: "null" }
        "#]],
    );
}

#[test]
fn a_second_update_has_nothing_to_do() {
    let stories = r#"
  s:
    - records: [{ ts: 2026-01-01T00:00:01Z, n: 1, k: "a \"b\"" }, { ts: 2026-01-01T00:00:02Z, n: 2 }, { ts: 2026-01-01T00:00:03Z, k: "null" }]
    - expect:
        raw:
    - end
    - expect: { sums: }
"#;
    let updated = play(stories).unwrap().updated().unwrap();
    let again = play(updated.strip_prefix("pipeline: p.yaml\nstories:\n").unwrap()).unwrap();
    assert_eq!((again.count(), again.updated()), ((1, 0), None), "{}\n{updated}", again.text());
}

#[test]
fn every_story_is_played_again_in_other_ways_unless_it_is_not_wanted() {
    let played =
        play("  s:\n    - records: [{ ts: 2026-01-01T00:00:01Z, n: 1 }]\n    - checkpoint\n    - crash\n    - end\n")
            .unwrap();
    assert_eq!((played.count(), played.replays()), ((1, 0), 2 + 4), "{}", played.text());
}

#[test]
fn what_a_crash_takes_back_is_told_once() {
    check(
        r#"
  s:
    - records: [{ ts: 2026-01-01T00:00:01Z, n: 1 }]
    - expect: { raw: 1 }
    - checkpoint
    - records: [{ ts: 2026-01-01T00:00:12Z, n: 2 }, { ts: nonsense }]
    - expect: { raw: 1, dead_letters: 1, sums: [{ n: 1, pane: on_time }] }
    - wait: 1s
    - crash
    - expect: { raw: none, dead_letters: none, sums: none, balance: { raw: { read: 3 } } }
    - records: [{ ts: 2026-01-01T00:00:13Z, n: 3 }]
    - crash
    - end
    - expect: { raw: [{ n: 3 }], sums: [{ n: 5 }] }
"#,
        expect![[r#"
            s.yaml
              ok    s
        "#]],
    );
}
