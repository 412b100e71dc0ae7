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
    let text =
        SMALL.replace("follow: false", "follow: \"${env:DB_PASSWORD}\"").replace("json", "\"${env:DB_PASSWORD}\"");
    let errors = rendered(load_with(&text, &["outputs.0.from=${env:DB_PASSWORD}"], &[SECRET]));
    assert!(!errors.contains("hunter2"), "{errors}");
    expect![[r#"
        p.yaml:4:42: error: the text `${env:DB_PASSWORD}` where `true` or `false` is expected
          |
        4 |     file: { paths: ["/x/*.log"], follow: "${env:DB_PASSWORD}" }
          |                                          ^^^^^^^^^^^^^^^^^^^^
          = at: sources.logs.file.follow

        p.yaml:5:13: error: unknown word `${env:DB_PASSWORD}`
          |
        5 |     format: "${env:DB_PASSWORD}"
          |             ^^^^^^^^^^^^^^^^^^^^
          = at: sources.logs.format
          = allowed: json, text, csv, raw, spark_log, avro, protobuf
    "#]]
    .assert_eq(&errors);
}

#[test]
fn the_value_of_a_secret_is_in_no_semantic_error() {
    let errors = rendered(load_with(SMALL, &["outputs.0.from=${env:DB_PASSWORD}"], &[SECRET]));
    assert!(!errors.contains("hunter2"), "{errors}");
    expect![[r#"
        --set outputs.0.from: error: `${env:DB_PASSWORD}` is neither a source nor an earlier step
          |
          | outputs.0.from=${env:DB_PASSWORD}
          |                ^^^^^^^^^^^^^^^^^^
          = at: outputs[0].from
          = help: there are: logs
    "#]]
    .assert_eq(&errors);
}

#[test]
fn messages_can_be_cleared_of_secrets() {
    let (_, document) = load_with(&with_path("\"${env:DB_PASSWORD}\""), &[], &[SECRET]).unwrap();
    assert_eq!(document.redact("cannot open hunter2-and-more"), "cannot open ${env:DB_PASSWORD}");
}

#[test]
fn a_reference_that_leads_nowhere_is_refused() {
    let check = |path: &str| rendered(load_with(&with_path(path), &[], &[SECRET]));
    expect![[r#"
        p.yaml:4:21: error: the environment variable `DB_PASWORD` is not set
          |
        4 |     file: { paths: ["${env:DB_PASWORD}"], follow: false }
          |                     ^^^^^^^^^^^^^^^^^^^
          = help: did you mean `DB_PASSWORD`?
    "#]]
    .assert_eq(&check("\"${env:DB_PASWORD}\""));
    expect![[r#"
        p.yaml:4:21: error: cannot read the secret in `/nowhere/secret`: No such file or directory (os error 2)
          |
        4 |     file: { paths: ["${file:/nowhere/secret}"], follow: false }
          |                     ^^^^^^^^^^^^^^^^^^^^^^^^^
    "#]]
    .assert_eq(&check("\"${file:/nowhere/secret}\""));
    expect![[r#"
        p.yaml:4:21: error: `${vault:kv/db}`: secrets from a vault are not supported yet
          |
        4 |     file: { paths: ["${vault:kv/db}"], follow: false }
          |                     ^^^^^^^^^^^^^^^^
          = help: use ${env:NAME} or ${file:/path}
    "#]]
    .assert_eq(&check("\"${vault:kv/db}\""));
    expect![[r#"
        p.yaml:4:21: error: unknown kind of reference `envv` in `${envv:X}`
          |
        4 |     file: { paths: ["${envv:X}"], follow: false }
          |                     ^^^^^^^^^^^
          = help: did you mean `${env:...}`? For the text itself write $${
    "#]]
    .assert_eq(&check("\"${envv:X}\""));
}

#[test]
fn the_value_of_a_key_that_sounds_secret_is_not_shown() {
    let text = format!("{SMALL}password: hunter2\n");
    let errors = rendered(load_with(&text, &["late.pasword=1"], &[]));
    assert!(!errors.contains("hunter2"), "{errors}");
}
