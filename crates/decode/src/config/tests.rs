//! Stories of formats as people write them.

use serde_json::json;

use super::*;

fn read(value: serde_json::Value) -> Result<FormatConfig, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

#[test]
fn a_bare_word_is_the_format_with_its_defaults() {
    assert_eq!(read(json!("json")), Ok(FormatConfig::Json(JsonConfig::default())));
    assert_eq!(read(json!({"json": {}})), read(json!("json")));
    assert_eq!(read(json!({"text": null})), read(json!("text")));
    let zone = "+02:00".parse().expect("valid");
    assert_eq!(read(json!({"spark_log": {"zone": "+02:00"}})), Ok(FormatConfig::SparkLog(SparkLogConfig { zone })));
}

#[test]
fn what_is_written_is_read_again() {
    for format in [
        FormatConfig::default(),
        FormatConfig::Text(TextConfig::default()),
        FormatConfig::Csv(CsvConfig::default()),
        FormatConfig::Raw(RawConfig::default()),
        FormatConfig::SparkLog(SparkLogConfig::default()),
        FormatConfig::Avro(Box::default()),
        FormatConfig::Protobuf(Box::default()),
    ] {
        let written = serde_json::to_value(&format).expect("always writable");
        assert_eq!(read(written), Ok(format));
    }
}

#[test]
fn mistakes_name_what_is_allowed() {
    let error = |value| read(value).expect_err("refused");
    assert_eq!(
        error(json!("jsonl")),
        "unknown variant `jsonl`, expected one of `json`, `text`, `csv`, `raw`, `spark_log`, `avro`, `protobuf`"
    );
    assert_eq!(error(json!({"json": {"zon": "UTC"}})), "unknown field `zon`, expected `zone` or `framing`");
    assert_eq!(
        error(json!({"spark_log": {"zone": "Berlin"}})),
        "\"Berlin\" is not an offset from UTC such as UTC, +02:00 or -05:30"
    );
    assert_eq!(error(json!({})), "no format is named; name one of json, text, csv, raw, spark_log, avro, protobuf");
    assert_eq!(error(json!({"json": {}, "text": {}})), "a source has one format, here are two: json and text");
    assert!(error(json!(5)).contains("expected a format: one of json, text,"), "{}", error(json!(5)));
}

#[test]
fn formats_say_what_their_records_have() {
    let names = |format: &str| {
        let schema = read(json!(format)).expect("a format").fixed_schema()?;
        Some(schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(names("json"), None);
    assert_eq!(names("text").as_deref(), Some("ts message"));
    assert_eq!(names("raw").as_deref(), Some("ts value"));
    let spark = "ts level logger thread message exception_class stack app_id executor_id stage_id task_id host source_file source_offset";
    assert_eq!(names("spark_log").as_deref(), Some(spark));
    assert_eq!(read(json!("spark_log")).expect("a format").default_time_field(), Some("ts"));
}

#[test]
fn the_schema_of_a_format_offers_words_and_settings() {
    let schema = serde_json::to_value(schemars::schema_for!(FormatConfig)).expect("always writable");
    assert_eq!(schema["oneOf"][0]["enum"], json!(["json", "text", "csv", "raw", "spark_log", "avro", "protobuf"]));
    assert_eq!(schema["oneOf"][5]["required"], json!(["spark_log"]));
    assert!(schema["$defs"]["SparkLogConfig"]["properties"]["zone"].is_object());
}
