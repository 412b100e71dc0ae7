use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, DictionaryArray, Float64Array, Int64Array, Int64Builder, ListArray,
    MapBuilder, RecordBatch, StringArray, StringBuilder, StringViewArray, StructArray, TimestampMicrosecondArray,
    UInt8Array,
};
use arrow::datatypes::{DataType, Field, Int32Type};
use expect_test::expect;

use super::{base64, csv_header, csv_rows, ndjson, raw_values};

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter(columns).expect("columns of one length")
}

fn json(rows: &RecordBatch) -> String {
    let mut out = Vec::new();
    ndjson(rows, &mut out);
    for line in out.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        serde_json::from_slice::<serde_json::Value>(line).expect("every line is JSON");
    }
    String::from_utf8(out).expect("JSON is text")
}

fn rows() -> RecordBatch {
    let keys: DictionaryArray<Int32Type> = [Some("k"), None].into_iter().collect();
    let list = ListArray::from_iter_primitive::<arrow::datatypes::Int64Type, _, _>([Some(vec![Some(1), None]), None]);
    let inner: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
    let object = StructArray::from(vec![(Arc::new(Field::new("a", DataType::Utf8, true)), inner)]);
    batch(vec![
        ("ts", Arc::new(TimestampMicrosecondArray::from(vec![1_767_225_600_000_000, -1]).with_timezone("UTC"))),
        ("text", Arc::new(StringViewArray::from(vec![Some("a \"b\"\\\n\u{1}\u{2028}é"), None]))),
        ("key", Arc::new(keys)),
        ("float", Arc::new(Float64Array::from(vec![0.1 + 0.2, f64::NAN]))),
        ("int", Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX]))),
        ("small", Arc::new(UInt8Array::from(vec![0, 255]))),
        ("yes", Arc::new(BooleanArray::from(vec![true, false]))),
        ("bytes", Arc::new(BinaryArray::from(vec![&b"ab"[..], &b""[..]]))),
        ("list", Arc::new(list)),
        ("object", Arc::new(object)),
    ])
}

#[test]
fn every_row_is_a_json_object_on_its_line() {
    expect![[r#"
        {"ts":"2026-01-01T00:00:00Z","text":"a \"b\"\\\n\u0001\u{2028}é","key":"k","float":0.30000000000000004,"int":-9223372036854775808,"small":0,"yes":true,"bytes":"YWI=","list":[1,null],"object":{"a":"x"}}
        {"ts":"1969-12-31T23:59:59.999999Z","text":null,"key":null,"float":null,"int":9223372036854775807,"small":255,"yes":false,"bytes":"","list":null,"object":{"a":"y"}}
    "#]]
    .assert_eq(&json(&rows()).replace('\u{2028}', "\\u{2028}"));
}

#[test]
fn maps_are_objects() {
    let mut named = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for (key, value) in [("a \"b\"", Some(1)), ("c", None)] {
        named.keys().append_value(key);
        named.values().append_option(value);
    }
    named.append(true).expect("as many keys as values");
    named.append(false).expect("as many keys as values");
    let mut numbered = MapBuilder::new(None, Int64Builder::new(), Int64Builder::new());
    numbered.append(true).expect("as many keys as values");
    numbered.keys().append_value(7);
    numbered.values().append_value(8);
    numbered.append(true).expect("as many keys as values");
    let rows = batch(vec![("named", Arc::new(named.finish()) as ArrayRef), ("numbered", Arc::new(numbered.finish()))]);
    expect![[r#"
        {"named":{"a \"b\"":1,"c":null},"numbered":{}}
        {"named":null,"numbered":{"7":8}}
    "#]]
    .assert_eq(&json(&rows));
}

#[test]
fn floats_read_back_as_they_were() {
    let values = [0.0, -0.0, 1.0, 1e300, 5e-324, 123_456_789.123, f64::MAX];
    let text = json(&batch(vec![("f", Arc::new(Float64Array::from(values.to_vec())) as ArrayRef)]));
    let read: Vec<f64> = text
        .lines()
        .map(|line| line.trim_start_matches("{\"f\":").trim_end_matches('}').parse().expect("a number"))
        .collect();
    assert_eq!(read.iter().map(|f| f.to_bits()).collect::<Vec<_>>(), values.map(f64::to_bits));
}

#[test]
fn csv_quotes_what_needs_it_and_nothing_else() {
    let rows = batch(vec![
        ("a,b", Arc::new(StringArray::from(vec![Some("x"), Some("say \"hi\"\n"), Some(""), None])) as ArrayRef),
        ("n", Arc::new(Float64Array::from(vec![Some(1.5), None, Some(f64::NAN), Some(2.0)]))),
    ]);
    let columns = ["a,b", "n", "missing"].map(str::to_owned);
    let mut out = Vec::new();
    csv_header(&columns, &mut out);
    csv_rows(&rows, &columns, &mut out);
    expect![[r#"
        "a,b",n,missing
        x,1.5,
        "say ""hi""
        ",,
        "",,
        ,2.0,
    "#]]
    .assert_eq(&String::from_utf8(out).expect("it is text"));
}

#[test]
fn base64_is_padded() {
    let encoded = ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(|text| base64(text.as_bytes()));
    assert_eq!(encoded, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]);
    assert_eq!(rows().column(7).len(), 2);
}

#[test]
fn the_json_schema_of_rows_says_what_each_column_is() {
    let rows = super::trial::rows();
    expect_test::expect![[r#"{"$schema":"http://json-schema.org/draft-07/schema#","additionalProperties":false,"properties":{"bytes":{"type":["string","null"]},"clock":{"type":["string","null"]},"customer":{"additionalProperties":false,"properties":{"born":{"format":"date-time","type":["string","null"]},"name":{"type":["string","null"]}},"type":["object","null"]},"day":{"format":"date-time","type":["string","null"]},"flag":{"type":["boolean","null"]},"float":{"type":["number","null"]},"huge":{"type":["string","null"]},"items":{"items":{"type":["integer","null"]},"type":["array","null"]},"large":{"type":["integer","null"]},"local":{"format":"date-time","type":["string","null"]},"micros":{"format":"date-time","type":["string","null"]},"millis":{"format":"date-time","type":["string","null"]},"nanos":{"format":"date-time","type":["string","null"]},"nothing":{"type":"null"},"price":{"type":["string","null"]},"short":{"type":["number","null"]},"small":{"type":["integer","null"]},"status":{"type":["string","null"]},"tags.of it":{"additionalProperties":{"type":["number","null"]},"type":["object","null"]},"text":{"type":["string","null"]},"whole":{"type":["integer","null"]}},"title":"t","type":"object"}"#]].assert_eq(&super::json_schema("t", rows.schema_ref().fields()).to_string());
}

#[test]
fn a_column_of_text_or_bytes_is_a_whole_record_and_others_are_refused() {
    let keys: DictionaryArray<Int32Type> = [Some("k"), None].into_iter().collect();
    let rows = batch(vec![
        ("text", Arc::new(StringViewArray::from(vec!["", "a line\nand another"]))),
        ("key", Arc::new(keys)),
        ("bytes", Arc::new(BinaryArray::from(vec![&b"\xff\x00"[..], b""]))),
        ("number", Arc::new(Int64Array::from(vec![1, 2]))),
    ]);
    let raw = |column: &str| raw_values(&rows, column);
    assert_eq!(raw("text"), Ok(vec![Ok(Vec::new()), Ok(b"a line\nand another".to_vec())]));
    assert_eq!(raw("key"), Ok(vec![Ok(b"k".to_vec()), Err("column \"key\" is null".to_owned())]));
    assert_eq!(raw("bytes"), Ok(vec![Ok(vec![0xff, 0]), Ok(Vec::new())]));
    assert_eq!(raw("number"), Err("column `number` is Int64; expected text or bytes".to_owned()));
    assert_eq!(raw("txt"), Err("there is no column `txt`; there are: text, key, bytes, number".to_owned()));
}
