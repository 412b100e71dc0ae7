use super::*;

fn read(json: &str) -> Result<OutputConfig, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

#[test]
fn a_bare_name_is_a_table() {
    assert_eq!(read(r#"{"table": "errors"}"#), Ok(OutputConfig::table("errors")));
    assert_eq!(read(r#"{"table": {"name": "errors"}}"#), Ok(OutputConfig::table("errors")));
    let wrong = read(r#"{"table": {"name": "errors", "tiem": "ts"}}"#).expect_err("a wrong key");
    assert!(wrong.contains("unknown field `tiem`, expected one of `name`, `time`, "), "{wrong}");
    let wrong = read(r#"{"table": 7}"#).expect_err("no table");
    assert!(wrong.contains("expected the name of a table, or { name: ..., time: ... }"), "{wrong}");
}

#[test]
fn what_is_not_said_has_a_default() {
    let file = FileOutput { path: "x".to_owned(), format: FileFormat::Ndjson, mode: FileMode::New };
    assert_eq!(read(r#"{"file": {"path": "x"}}"#), Ok(OutputConfig::File(file)));
    assert_eq!(read(r#"{"stdout": {}}"#), Ok(OutputConfig::Stdout(StdoutOutput::default())));
    assert!(read(r#"{"file": {"path": "x", "fromat": "csv"}}"#).is_err());
}

#[test]
fn outputs_have_a_name_by_what_they_write_to() {
    let names = ["out/errors.ndjson", "Out/My Errors.csv.gz", "2026.csv", "out/parts/", ".hidden"].map(name_of_file);
    assert_eq!(names, ["errors", "my_errors", "file_2026", "parts", "hidden"]);
    assert!(name_of_file(&"x".repeat(100)).len() <= NAME_BYTES_MAX);
    assert_eq!(OutputConfig::table("t").default_name(), "t");
}
