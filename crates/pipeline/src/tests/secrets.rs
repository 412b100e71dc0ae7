//! References to secrets are resolved at load, and their values are shown nowhere.

use expect_test::expect;
use weir_collect::SourceConfig;

use super::{SMALL, load_with, rendered};

const SECRET: (&str, &str) = ("DB_PASSWORD", "hunter2-and-more");

fn with_path(path: &str) -> String {
    SMALL.replace("\"/x/*.log\"", path)
}

fn paths(text: &str) -> Vec<String> {
    let (config, _) = load_with(text, &[], &[SECRET]).unwrap();
    let SourceConfig::File(file) = &config.sources["logs"].source else { panic!("a file") };
    file.paths.clone()
}

#[test]
fn env_and_file_references_are_resolved() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "from a file\n").unwrap();
    assert_eq!(paths(&with_path("\"${env:DB_PASSWORD}\"")), ["hunter2-and-more"]);
    assert_eq!(paths(&with_path("\"/a/${env:DB_PASSWORD}/b\"")), ["/a/hunter2-and-more/b"]);
    assert_eq!(paths(&with_path(&format!("\"${{file:{}}}\"", file.path().display()))), ["from a file"]);
    assert_eq!(paths(&with_path("\"$${env:DB_PASSWORD} ${HOME} $5\"")), ["${env:DB_PASSWORD} ${HOME} $5"]);
}

#[test]
fn the_value_of_a_secret_is_in_no_error() {
    let text = SMALL.replace("follow: false", "follow: \"${env:DB_PASSWORD}\"").replace("json", "\"${env:DB_PASSWORD}\"");
    let errors = rendered(load_with(&text, &["outputs.0.from=${env:DB_PASSWORD}"], &[SECRET]));
    assert!(!errors.contains("hunter2"), "{errors}");
    expect![[""]].assert_eq(&errors);
}

#[test]
fn the_value_of_a_secret_is_in_no_semantic_error() {
    let errors = rendered(load_with(SMALL, &["outputs.0.from=${env:DB_PASSWORD}"], &[SECRET]));
    assert!(!errors.contains("hunter2"), "{errors}");
    expect![[""]].assert_eq(&errors);
}

#[test]
fn messages_can_be_cleared_of_secrets() {
    let (_, document) = load_with(&with_path("\"${env:DB_PASSWORD}\""), &[], &[SECRET]).unwrap();
    assert_eq!(document.redact("cannot open hunter2-and-more"), "cannot open ${env:DB_PASSWORD}");
}

#[test]
fn a_reference_that_leads_nowhere_is_refused() {
    let check = |path: &str| rendered(load_with(&with_path(path), &[], &[SECRET]));
    expect![[""]].assert_eq(&check("\"${env:DB_PASWORD}\""));
    expect![[""]].assert_eq(&check("\"${file:/nowhere/secret}\""));
    expect![[""]].assert_eq(&check("\"${vault:kv/db}\""));
    expect![[""]].assert_eq(&check("\"${envv:X}\""));
}

#[test]
fn the_value_of_a_key_that_sounds_secret_is_not_shown() {
    let text = format!("{SMALL}password: hunter2\n");
    let errors = rendered(load_with(&text, &["late.pasword=1"], &[]));
    assert!(!errors.contains("hunter2"), "{errors}");
}
