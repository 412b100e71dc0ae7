//! Text that is no configuration: too long, too deep, too much, or not text.

use expect_test::expect;
use proptest::prelude::proptest;

use super::{load_text, rendered};
use crate::{Input, load};

#[test]
fn a_file_of_ten_megabytes_is_refused_unread() {
    let text = "a: b\n".repeat(2 << 20);
    expect![[r#"
        p.yaml:1:1: error: longer than 1048576 bytes: this is not a pipeline
    "#]]
    .assert_eq(&rendered(load_text(&text)));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let errors = load(Input::File(file.path()), &[], []).unwrap_err();
    assert_eq!(errors[0].message, "longer than 1048576 bytes: this is not a pipeline");
}

#[test]
fn a_billion_laughs_are_not_laughed() {
    let mut text = "a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha, ha]\n".to_owned();
    for level in 1..10 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        text += &format!("a{level}: &a{level} [{below}]\n");
    }
    expect![[r#"
        p.yaml:5:10: error: more than 20000 keys and values, aliases written out
          |
        5 | a4: &a4 [*a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3, *a3]
          |          ^^^
    "#]]
    .assert_eq(&rendered(load_text(&text)));
}

#[test]
fn a_few_anchors_are_fine() {
    let text = "\
name: anchors
sources:
  a: { file: &files { paths: [x], follow: false }, format: json }
  b: { file: *files, format: json }
outputs: [{ table: logs }]
";
    let (config, _) = load_text(text).unwrap();
    assert_eq!(config.sources["a"], config.sources["b"]);
}

#[test]
fn what_is_nested_too_deep_is_refused() {
    expect![[r#"
        p.yaml:1:103: error: this is not YAML: unclosed bracket '['
          |
        1 | a: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[
          |                                                                                                       ^
    "#]]
    .assert_eq(&rendered(load_text(&format!("a: {}", "[".repeat(100)))));
    let text = format!("a: {}", "[".repeat(1_000_000));
    assert!(rendered(load_text(&text)).contains("error"));
    let indented: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    assert!(rendered(load_text(&indented)).contains("nested deeper than 32 levels"));
}

#[test]
fn bytes_that_are_not_utf8_are_pointed_at() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), b"name: small\n# caf\xe9\n").unwrap();
    let errors = load(Input::File(file.path()), &[], []).unwrap_err();
    assert_eq!((errors[0].line, errors[0].column), (2, 6));
    expect!["the byte 0xe9 is not UTF-8"].assert_eq(&errors[0].message);
}

#[test]
fn a_file_that_is_not_there() {
    let errors = load(Input::File(std::path::Path::new("/nowhere/p.yaml")), &[], []).unwrap_err();
    expect![[r#"
        /nowhere/p.yaml:1:1: error: cannot read this file: No such file or directory (os error 2)
    "#]]
    .assert_eq(&rendered(Err(errors)));
}

/// Whatever is typed, the answer is a pipeline or errors that can be shown.
fn check_answers(text: &str, overrides: &[String]) {
    if let Err(errors) = load(Input::Text { name: "p.yaml", text }, overrides, []) {
        assert!(!errors.is_empty());
        for error in errors {
            assert!(error.line >= 1 && error.column >= 1 && !error.message.is_empty(), "{error:?}");
            assert!(error.render().contains("error: ") && !error.to_string().contains('\n'), "{error:?}");
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(text in "\\PC{0,80}|[-a-z:{}\\[\\]&*'\"#|>,\n\t 0-9$!%]{0,120}") {
        check_answers(&text, &[]);
        check_answers(super::SMALL, &[text.clone(), format!("name={text}"), format!("{text}=1")]);
    }

    #[test]
    fn a_damaged_pipeline_is_answered(at in 0usize..600, cut in 0usize..30, put in "\\PC{0,4}|[\n\t:{}\\[\\]'\" -]{0,3}") {
        let text = std::fs::read_to_string(super::examples::folder().join("tail-file.yaml")).unwrap();
        let text: Vec<char> = text.chars().skip(380).collect();
        let (at, end) = (at.min(text.len()), (at + cut).min(text.len()));
        check_answers(&text[..at].iter().copied().chain(put.chars()).chain(text[end..].iter().copied()).collect::<String>(), &[]);
    }
}
