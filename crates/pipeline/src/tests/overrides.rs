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
fn maps_on_the_way_and_the_next_item_of_a_list_are_made() {
    let overrides = ["time.watermark.bounded.delay=3s", "time.field=ts", "steps.0.where=level = 'ERROR'", "outputs.1.stdout={}"];
    let (config, _) = load_with(&format!("{SMALL}steps: []\n"), &overrides, &[]).unwrap();
    assert_eq!(config.time.unwrap().field, "ts");
    assert_eq!((config.steps.len(), config.outputs.len()), (1, 2));
}

#[test]
fn setting_another_kind_replaces_the_one_in_the_file() {
    let overrides = ["outputs.0.file.path=out.ndjson", "sources.logs.stdin={}", "sources.logs.format.spark_log.zone=+02:00"];
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
    check(&["name=5"], &[], expect![[""]]);
}

#[test]
fn the_environment_comes_after_the_file_and_before_set() {
    let env = [("WEIR__epoch", "2s"), ("WEIR__sources__logs__file__follow", "true"), ("PATH", "/bin")];
    let (config, document) = load_with(SMALL, &["epoch=3s"], &env).unwrap();
    assert_eq!(config.epoch, DurationText::secs(3));
    let SourceConfig::File(file) = &config.sources["logs"].source else { panic!("a file") };
    assert!(file.follow);
    let origin = |path| document.origin(path).map(|origin| format!("{}:{}:{}", origin.file, origin.line, origin.column));
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
    check(&["sources.logs.fil.paths=[x]"], &[], expect![[""]]);
    check(&["sources.logz.file.follow=true"], &[], expect![[""]]);
    check(&["epoc=1s"], &[("WEIR__sources__logs__file__folow", "true")], expect![[""]]);
}

#[test]
fn an_override_of_an_item_that_does_not_exist_is_refused() {
    check(&["outputs.7.table=x"], &[], expect![[""]]);
    check(&["outputs.first.table=x"], &[], expect![[""]]);
}

#[test]
fn an_override_that_is_none_is_refused() {
    check(&["epoch"], &[], expect![[""]]);
    check(&["=1s"], &[], expect![[""]]);
    check(&["sources..x=1"], &[], expect![[""]]);
    check(&["outputs[x].table=1"], &[], expect![[""]]);
    check(&["sources.logs.file.paths=[x"], &[], expect![[""]]);
    check(&["sources.logs.file.paths=*.log"], &[], expect![[""]]);
    check(&[], &[("WEIR__", "x"), ("WEIR__epoch__", "1s")], expect![[""]]);
}

#[test]
fn a_wrong_value_in_an_override_is_shown_there() {
    check(&["epoch=5 parsecs"], &[("WEIR__sources__logs__file__follow", "perhaps")], expect![[""]]);
}
