//! Stories of plans that need certain fields.

use expect_test::expect;
use weir_model::Decoder;

use super::*;

#[test]
fn the_fields_of_a_plan_become_columns_in_its_order() {
    let text = r#"{"ts":"2026-01-01T00:01:59.509Z","level":"INFO","n":3,"x":1.5,"ok":true,"skipped":{"a":[1,{"b":"}"}]},"message":"long enough to be a view"}
{"message":"short","x":7,"ts":1767225719509,"level":5,"ok":null}
"#;
    let these = vec![
        value("x", DataType::Float64),
        key("level"),
        value("ts", time_type()),
        value("n", DataType::Int64),
        value("ok", DataType::Boolean),
        value("message", DataType::Utf8View),
        value("nowhere", DataType::Utf8),
    ];
    let decoded = decode_these(text, Some("ts"), these);
    expect![[r#"
        1.5 | INFO | 2026-01-01T00:01:59.509 | 3 | true | long enough to be a view | null
        7.0 | 5 | 2026-01-01T00:01:59.509 | null | null | short | null"#]]
    .assert_eq(&shown(&decoded));
    let batch = &decoded.batches[0];
    assert_eq!(batch.times.as_ref(), [1_767_225_719_509_000, 1_767_225_719_509_000]);
    assert_eq!(batch.offsets.as_ref(), [0, text.find("\n").expect("two lines") as u64 + 1]);
    assert!(batch.columns.column(1).data_type().is_dictionary_with_utf8_keys());
}

trait IsKey {
    fn is_dictionary_with_utf8_keys(&self) -> bool;
}

impl IsKey for DataType {
    fn is_dictionary_with_utf8_keys(&self) -> bool {
        *self == DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
    }
}

#[test]
fn dots_lead_into_objects_or_stand_in_the_key() {
    let text = r#"{"tags":{"env":"prod","v":{"major":1}}}
{"tags.env":"flat","tags":{"v.major":2}}
{"tags":"none"}
{"tags":{"env":"a"},"tags":{"v":{"major":3}}}
{"tags":{"env":"a"},"tags":null}
"#;
    let decoded = decode_these(text, None, vec![key("tags.env"), value("tags.v.major", DataType::Int64)]);
    expect![[r#"
        prod | 1
        flat | 2
        null | null
        null | 3
        null | null"#]]
    .assert_eq(&shown(&decoded));
    assert!(decoded.batches[0].times.is_empty());
}

#[test]
fn of_several_the_last_wins_also_when_the_first_did_not_fit() {
    let text = "{\"n\":\"x\",\"n\":1}\n{\"n\":1,\"n\":\"x\"}\n{\"n\":1,\"n\":null}\n";
    let decoded = decode_these(text, None, vec![value("n", DataType::Int64)]);
    expect![[r#"
        1
        null
        ! 16: field "n" at column 13 is "x"; expected a whole number of 64 bits"#]]
    .assert_eq(&shown(&decoded));
}

#[test]
fn keys_may_change_their_order_and_be_escaped() {
    let text = "{\"a\":1,\"b\":2}\n{\"b\":3,\"a\":4}\n { \"\\u0061\" : 5 , \"b\":6 } \n{\"b\":7}\n{}\n{\"c\":0,\"a\":8,\"b\":9}\n";
    let decoded = decode_these(text, None, vec![value("a", DataType::Int64), value("b", DataType::Int64)]);
    assert_eq!(shown(&decoded), "1 | 2\n4 | 3\n5 | 6\nnull | 7\nnull | null\n8 | 9");
}

#[test]
fn escapes_are_read_in_values_and_keys() {
    let text = r#"{"k":"a\"b\\\u00e9\ud83d\ude00\n","v":"\u0041 is long enough for a view","s":"\ud800"}"#;
    let decoded =
        decode_these(text, None, vec![key("k"), value("v", DataType::Utf8View), value("s", DataType::Utf8View)]);
    assert_eq!(shown(&decoded), "a\"b\\é😀\n | A is long enough for a view | \u{FFFD}");
}

#[test]
fn a_bad_record_leaves_no_trace_in_the_columns() {
    let text = "{\"k\":\"a\",\"m\":\"one\",\"n\":1}\n{\"k\":\"b\",\"m\":\"two\",\"n\":true}\n{\"k\":\"c\",\"m\":\"three\",\"n\":3}\n";
    let decoded =
        decode_these(text, None, vec![key("k"), value("m", DataType::Utf8View), value("n", DataType::Float64)]);
    expect![[r#"
        a | one | 1.0
        c | three | 3.0
        ! 26: field "n" at column 24 is "true"; expected a number that fits a 64-bit float"#]]
    .assert_eq(&shown(&decoded));
}

#[test]
fn dictionary_values_are_shared_between_batches() {
    let mut decoder =
        FormatConfig::default().decoder(wanted(None, Fields::These(vec![key("k")]))).expect("a valid plan");
    let mut values = |text: &str| {
        let decoded = decoder.decode(&raw_of(text.as_bytes()));
        let column = decoded.batches[0].columns.column(0).clone();
        column
            .as_any()
            .downcast_ref::<arrow::array::DictionaryArray<arrow::datatypes::Int32Type>>()
            .expect("a dictionary")
            .values()
            .clone()
    };
    let first = values("{\"k\":\"a\"}\n{\"k\":\"b\"}\n");
    let second = values("{\"k\":\"b\"}\n");
    assert!(Arc::ptr_eq(&first, &second) || first.to_data().ptr_eq(&second.to_data()));
    assert_eq!(values("{\"k\":\"c\"}\n").len(), 3);
}

#[test]
fn a_type_that_json_cannot_give_is_a_mistake_in_the_plan() {
    let error = FormatConfig::default().decoder(wanted(None, Fields::These(vec![value("a", DataType::Date32)])));
    let error = error.err().expect("refused");
    assert_eq!(error.kind, weir_model::ErrorKind::Config);
    assert_eq!(error.message, "field \"a\" is wanted as Date32; JSON gives string, int64, float64, bool and timestamp");
}

#[test]
fn a_plan_without_fields_counts_records() {
    let decoded = decode_these("{\"a\":1}\n{}\n", None, Vec::new());
    assert_eq!(decoded.batches[0].rows(), 2);
    let mut decoder: Box<dyn Decoder> =
        FormatConfig::default().decoder(wanted(None, Fields::These(Vec::new()))).expect("a valid plan");
    assert!(decoder.decode(&raw_of(b"")).batches.is_empty());
}
