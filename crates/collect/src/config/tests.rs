use weir_model::{ByteSize, DurationText};

use super::*;

fn read(json: &str) -> Result<SourceConfig, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn what_is_not_said_has_a_default() {
    let SourceConfig::File(file) = read(r#"{"file": {"paths": ["a"]}}"#).expect("it is read") else {
        panic!("it is a file");
    };
    assert_eq!(file, FileConfig::new(["a"]));
    assert_eq!((file.follow, file.max_record_bytes), (true, ByteSize(1 << 20)));
    assert_eq!((file.poll, file.join_timeout), (DurationText::millis(250), DurationText::secs(1)));
    assert_eq!(read(r#"{"stdin": {}}"#), Ok(SourceConfig::Stdin(StdinConfig::default())));
}

#[test]
fn a_wrong_key_is_refused_with_those_that_are_right() {
    let wrong = read(r#"{"file": {"path": ["a"]}}"#).expect_err("a wrong key");
    assert!(wrong.contains("unknown field `path`, expected one of `paths`, `exclude`"), "{wrong}");
    let wrong = read(r#"{"files": {}}"#).expect_err("a wrong word");
    assert!(wrong.contains("unknown variant `files`, expected one of `file`, `stdin`, `http`, `log`"), "{wrong}");
}

#[test]
fn only_what_ends_by_itself_is_bounded() {
    let bounded = |json| read(json).map(|source| (source.kind(), source.is_bounded()));
    assert_eq!(bounded(r#"{"file": {"paths": ["a"]}}"#), Ok(("file", false)));
    assert_eq!(bounded(r#"{"file": {"paths": ["a"], "follow": false}}"#), Ok(("file", true)));
    assert_eq!(bounded(r#"{"stdin": {}}"#), Ok(("stdin", true)));
    assert_eq!(bounded(r#"{"http": {"stream": "app"}}"#), Ok(("http", false)));
    assert_eq!(bounded(r#"{"log": {"topic": "app", "follow": false}}"#), Ok(("log", true)));
}
