//! `--set` and `WEIR__...`: any key, later ones win, and errors point at the override.

use expect_test::{Expect, expect};
use weir_collect::SourceConfig;
use weir_deliver::OutputConfig;
use weir_model::DurationText;

use super::{SMALL, load_with, rendered};

fn check(overrides: &[&str], env: &[(&str, &str)], expected: Expect) {
    expected.assert_eq(&rendered(load_with(SMALL, overrides, env)));
}

#[test]
fn any_key_can_be_set_and_values_are_yaml() {
    let overrides = ["sources.logs.file.paths=[\"/y/**/*.log\", /z]", "epoch=5s", "name=other", "outputs[0].from=logs"];
    let (config, _) = load_with(SMALL, &overrides, &[]).unwrap();
    let SourceConfig::File(file) = &config.sources["logs"].source else { panic!("a file") };
    assert_eq!(file.paths, ["/y/**/*.log", "/z"]);
    assert_eq!((config.epoch, config.name.as_str()), (DurationText::secs(5), "other"));
    assert_eq!(config.outputs[0].from.as_deref(), Some("logs"));
}

#[test]
fn a_value_may_have_several_lines() {
    let text = format!("{SMALL}time: {{ field: ts }}\n");
    let (config, _) =
        load_with(&text, &["steps=- where: a > 1\n- window:\n    tumbling: 1m\n    compute: { n: count(*) }"], &[])
            .unwrap();
    assert_eq!(config.steps.len(), 2);
    check(
        &["steps=- where: a > 1\n- were: b"],
        &[],
        expect![[r#"
            --set steps: error: unknown key `were`
              |
              | - were: b
              |   ^^^^
              = at: steps[1].were
              = allowed: where, select, add, drop, rename, flatten, explode, parse, mask, sample, rate_limit, join_lines, route, window, deduplicate, enrich, join, name, from
              = did you mean `where`?
        "#]],
    );
}

#[test]
fn maps_on_the_way_and_the_next_item_of_a_list_are_made() {
    let overrides =
        ["time.watermark.bounded.delay=3s", "time.field=ts", "steps.0.where=level = 'ERROR'", "outputs.1.stdout={}"];
    let (config, _) = load_with(&format!("{SMALL}steps: []\n"), &overrides, &[]).unwrap();
    assert_eq!(config.time.unwrap().field, "ts");
    assert_eq!((config.steps.len(), config.outputs.len()), (1, 2));
}

#[test]
fn setting_another_kind_replaces_the_one_in_the_file() {
    let overrides =
        ["outputs.0.file.path=out.ndjson", "sources.logs.stdin={}", "sources.logs.format.spark_log.zone=+02:00"];
    let (config, _) = load_with(SMALL, &overrides, &[]).unwrap();
    assert!(matches!(config.outputs[0].output, OutputConfig::File(_)));
    assert!(matches!(config.sources["logs"].source, SourceConfig::Stdin(_)));
    let (config, _) = load_with(SMALL, &["late.stdout={}", "late.table=too_late"], &[]).unwrap();
    assert_eq!(config.late, OutputConfig::table("too_late"), "of two the later one counts");
}

#[test]
fn text_in_an_override_needs_no_quotes() {
    let (config, _) = load_with(SMALL, &["outputs.0.table=t1"], &[("WEIR__name", "p")]).unwrap();
    assert_eq!(config.name, "p");
    check(
        &["name=5"],
        &[],
        expect![[r#"
        --set name: error: the name `5` does not begin with a lower-case letter
          |
          | name=5
          |      ^
          = at: name
          = help: lower-case letters, digits, `_`, `-`; a letter first
    "#]],
    );
}

#[test]
fn the_environment_comes_after_the_file_and_before_set() {
    let env = [("WEIR__epoch", "2s"), ("WEIR__sources__logs__file__follow", "true"), ("PATH", "/bin")];
    let (config, document) = load_with(SMALL, &["epoch=3s"], &env).unwrap();
    assert_eq!(config.epoch, DurationText::secs(3));
    let SourceConfig::File(file) = &config.sources["logs"].source else { panic!("a file") };
    assert!(file.follow);
    let origin =
        |path| document.origin(path).map(|origin| format!("{}:{}:{}", origin.file, origin.line, origin.column));
    assert_eq!(origin("epoch").as_deref(), Some("--set epoch:1:7"));
    assert_eq!(
        origin("sources.logs.file.follow").as_deref(),
        Some("environment variable WEIR__sources__logs__file__follow:1:35")
    );
    assert_eq!(origin("sources.logs.format").as_deref(), Some("p.yaml:5:13"));
    assert_eq!(origin("late"), None, "a default is written nowhere");
}

#[test]
fn an_override_of_a_key_that_does_not_exist_is_refused_with_the_nearest() {
    check(
        &["sources.logs.fil.paths=[x]"],
        &[],
        expect![[r#"
        --set sources.logs.fil.paths: error: unknown key `fil`
          |
          | sources.logs.fil.paths=[x]
          |              ^^^
          = at: sources.logs.fil
          = allowed: file, stdin, http, log, kafka, format, schema
          = did you mean `file`?
    "#]],
    );
    check(
        &["sources.logz.file.follow=true"],
        &[],
        expect![[r#"
        --set sources.logz.file.follow: error: the key `paths` is missing
          |
          | sources.logz.file.follow=true
          |              ^^^^
          = at: sources.logz.file
          = did you mean `logs`?
    "#]],
    );
    check(
        &["epoc=1s"],
        &[("WEIR__sources__logs__file__folow", "true")],
        expect![[r#"
            environment variable WEIR__sources__logs__file__folow: error: unknown key `folow`
              |
              | WEIR__sources__logs__file__folow=true
              |                            ^^^^^
              = at: sources.logs.file.folow
              = allowed: paths, exclude, follow, max_record_bytes, poll, join_timeout, start
              = did you mean `follow`?

            --set epoc: error: unknown key `epoc`
              |
              | epoc=1s
              | ^^^^
              = at: epoc
              = allowed: name, connections, sources, time, steps, outputs, late, dead_letters, dead_letters_limit, epoch, tasks, state, workers
              = did you mean `epoch`?
        "#]],
    );
}

#[test]
fn an_override_of_an_item_that_does_not_exist_is_refused() {
    check(
        &["outputs.7.table=x"],
        &[],
        expect![[r#"
        --set outputs.7.table: error: there is no item 7: this is a list of 1, from 0
          |
          | outputs.7.table=x
          |         ^
    "#]],
    );
    check(
        &["outputs.first.table=x"],
        &[],
        expect![[r#"
        --set outputs.first.table: error: `first` is no index: this is a list of 1
          |
          | outputs.first.table=x
          |         ^^^^^
    "#]],
    );
}

#[test]
fn an_override_that_is_none_is_refused() {
    check(
        &["epoch"],
        &[],
        expect![[r#"
        --set epoch: error: `=` and a value are missing
          |
          | epoch
          |      ^
          = help: write sources.logs.file.follow=false, or steps[0].where=...
    "#]],
    );
    check(
        &["=1s"],
        &[],
        expect![[r#"
        --set : error: a key is missing
          |
          | =1s
          | ^
          = help: write sources.logs.file.follow=false, or steps[0].where=...
    "#]],
    );
    check(
        &["sources..x=1"],
        &[],
        expect![[r#"
        --set sources..x: error: a key is missing
          |
          | sources..x=1
          |         ^
          = help: write sources.logs.file.follow=false, or steps[0].where=...
    "#]],
    );
    check(
        &["outputs[x].table=1"],
        &[],
        expect![[r#"
        --set outputs[x].table: error: an index that is not a number
          |
          | outputs[x].table=1
          |         ^
          = help: write sources.logs.file.follow=false, or steps[0].where=...
    "#]],
    );
    check(
        &["sources.logs.file.paths=[x"],
        &[],
        expect![[r#"
        --set sources.logs.file.paths: error: this is not YAML: unclosed bracket '['
          |
          | sources.logs.file.paths=[x
          |                         ^
    "#]],
    );
    check(
        &["sources.logs.file.paths=*.log"],
        &[],
        expect![[r#"
        --set sources.logs.file.paths: error: this is not YAML: while parsing node, found unknown anchor
          |
          | sources.logs.file.paths=*.log
          |                         ^
          = help: a value that begins with `*` must be in quotes
    "#]],
    );
    check(
        &[],
        &[("WEIR__", "x"), ("WEIR__epoch__", "1s")],
        expect![[r#"
        environment variable WEIR__: error: a key is missing
          |
          | WEIR__=x
          |       ^
          = help: write sources.logs.file.follow=false, or steps[0].where=...

        environment variable WEIR__epoch__: error: a key is missing
          |
          | WEIR__epoch__=1s
          |              ^
          = help: write sources.logs.file.follow=false, or steps[0].where=...
    "#]],
    );
}

#[test]
fn a_wrong_value_in_an_override_is_shown_there() {
    check(
        &["epoch=5 parsecs"],
        &[("WEIR__sources__logs__file__follow", "perhaps")],
        expect![[r#"
        environment variable WEIR__sources__logs__file__follow: error: the text `perhaps` where `true` or `false` is expected
          |
          | WEIR__sources__logs__file__follow=perhaps
          |                                   ^^^^^^^
          = at: sources.logs.file.follow

        --set epoch: error: the text `5 parsecs` where a duration such as 500ms, 10s, 5m, 2h or 7d is expected
          |
          | epoch=5 parsecs
          |       ^^^^^^^^^
          = at: epoch
    "#]],
    );
}
