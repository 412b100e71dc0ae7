//! Stories of decoding every field.

use expect_test::expect;
use weir_model::{FieldKind, WantedField};

use crate::columns::time_type;

use super::*;

/// Decodes every field of several batches with one decoder.
fn decode_all(time_field: Option<&str>, batches: &[&str]) -> Vec<Decoded> {
    let mut decoder = FormatConfig::default().decoder(wanted(time_field, Fields::All)).expect("a valid plan");
    batches.iter().map(|text| decoder.decode(&raw_of(text.as_bytes()))).collect()
}

fn only(decoded: &[Decoded]) -> &RecordBatch {
    assert_eq!((decoded.len(), decoded[0].batches.len()), (1, 1), "{decoded:?}");
    &decoded[0].batches[0].columns
}

#[test]
fn columns_take_the_type_of_what_is_found() {
    let text = r#"{"ts":"2026-01-01T00:00:00Z","s":"text","i":1,"f":1.5,"b":true,"o":{"x":"in","y":{"z":2}},"l":[1,null,2],"time":"not the time field"}
{"ts":"2026-01-01T00:00:01Z","s":"a longer text with \"escapes\"","o":{"y":{"z":3}},"l":[]}
{"ts":"2026-01-01T00:00:02Z","o":null,"new":false}
"#;
    let decoded = decode_all(Some("ts"), &[text]);
    expect![[r#"
        ts: Timestamp(µs, "UTC")
        s: Utf8View
        i: Int64
        f: Float64
        b: Boolean
        o: Struct("x": Utf8View, "y": Struct("z": Int64))
        l: List(Int64)
        time: Utf8View
        new: Boolean"#]]
    .assert_eq(&columns(only(&decoded)));
    expect![[r#"
        2026-01-01T00:00:00 | text | 1 | 1.5 | true | {x: in, y: {z: 2}} | [1, null, 2] | not the time field | null
        2026-01-01T00:00:01 | a longer text with "escapes" | null | null | null | {x: null, y: {z: 3}} | [] | null | null
        2026-01-01T00:00:02 | null | null | null | null | null | null | null | false"#]]
    .assert_eq(&shown(&decoded[0]));
    assert_eq!(decoded[0].batches[0].times.len(), 3);
}

#[test]
fn the_schema_only_grows_and_is_shared_while_it_does_not() {
    let decoded = decode_all(
        None,
        &[
            "{\"a\":1}\n",
            "{\"a\":2}\n",
            "{\"b\":1,\"a\":3}\n",
            "{\"c\":{\"d\":1}}\n",
            "{\"c\":{\"e\":1}}\n",
            "{\"a\":1.5}\n",
        ],
    );
    let schemas: Vec<_> = decoded.iter().map(|decoded| decoded.batches[0].columns.schema()).collect();
    assert!(Arc::ptr_eq(&schemas[0], &schemas[1]));
    let shown: Vec<String> =
        decoded.iter().map(|decoded| columns(&decoded.batches[0].columns).replace('\n', ", ")).collect();
    expect![[r#"
        a: Int64
        a: Int64
        a: Int64, b: Int64
        a: Int64, b: Int64, c: Struct("d": Int64)
        a: Int64, b: Int64, c: Struct("d": Int64, "e": Int64)
        a: Float64, b: Int64, c: Struct("d": Int64, "e": Int64)"#]]
    .assert_eq(&shown.join("\n"));
}

#[test]
fn what_fits_no_column_is_kept_as_it_is_written() {
    let text = r#"{"a":1,"o":{"x":"in"}}
{"a":"text","o":5}
{"a":18446744073709551615,"o":{"x":[1]}}
{"a":1e400,"m":[1,"two"],"n":[{"k":1}],"e":[],"g":{}}
{"a":2,"_rest":{"q":1},"":0}
"#;
    let decoded = decode_all(None, &[text]);
    expect![[r#"
        a: Int64
        o: Struct("x": Utf8View)
        _rest: Utf8View"#]]
    .assert_eq(&columns(only(&decoded)));
    expect![[r#"
        1 | {x: in} | null
        null | null | {"a":"text","o":5}
        null | {x: null} | {"a":18446744073709551615,"o.x":[1]}
        null | null | {"a":1e400,"m":[1,"two"],"n":[{"k":1}],"e":[],"g":{}}
        2 | null | {"_rest":{"q":1},"":0}"#]]
    .assert_eq(&shown(&decoded[0]));
}

#[test]
fn whole_numbers_become_floats_when_a_float_comes() {
    let decoded = decode_all(None, &["{\"n\":1,\"l\":[1]}\n{\"n\":2.5,\"l\":[2,0.5]}\n{\"n\":3}\n"]);
    assert_eq!(shown(&decoded[0]), "1.0 | [1.0]\n2.5 | [2.0, 0.5]\n3.0 | null");
}

#[test]
fn of_several_the_last_wins() {
    let text = r#"{"a":1,"a":2,"o":{"x":1},"o":{"y":2}}
{"a":1,"a":"text"}
{"a":"text","a":3}
{"a":1,"a":null,"o":{"x":1},"o":7}
{"o":7,"o":{"x":1}}
{"q":[],"q":null}
"#;
    let decoded = decode_all(None, &[text]);
    expect![[r#"
        2 | {x: null, y: 2} | null
        null | null | {"a":"text"}
        3 | null | null
        null | null | {"o":7}
        null | {x: 1, y: null} | null
        null | null | null"#]]
    .assert_eq(&shown(&decoded[0]));
}

#[test]
fn a_bad_record_adds_no_column_and_no_value() {
    let text = "{\"a\":1}\n{\"a\":2,\"new\":1,\"a\"}\n{\"a\":3.5,\"o\":{\"x\":1}\n{\"a\":4}\n";
    let decoded = decode_all(None, &[text]);
    assert_eq!(columns(only(&decoded)), "a: Int64");
    assert_eq!(decoded[0].rejected.len(), 2);
    assert_eq!(rows(only(&decoded)), "1\n4");
    let decoded = decode_all(Some("ts"), &["{\"a\":1}\n{\"ts\":1767225600,\"b\":1}\n"]);
    assert_eq!(columns(only(&decoded)), "ts: Timestamp(µs, \"UTC\")\nb: Int64");
}

#[test]
fn a_nested_time_field_is_a_time() {
    let decoded = decode_all(Some("event.at"), &["{\"event\":{\"at\":\"2026-01-01T00:00:00Z\"}}\n{\"event\":{}}\n"]);
    assert_eq!(columns(only(&decoded)), "event: Struct(\"at\": Timestamp(µs, \"UTC\"))");
    assert_eq!(decoded[0].batches[0].times.as_ref(), [1_767_225_600_000_000]);
    assert!(decoded[0].rejected[0].reason.starts_with("time field \"event.at\" is missing"));
}

#[test]
fn columns_have_a_limit_and_nothing_beyond_it_is_lost() {
    let members: Vec<String> = (0..super::super::all::COLUMNS_MAX + 2).map(|n| format!("\"f{n}\":{n}")).collect();
    let text = format!("{{{}}}\n{{{}}}\n", members.join(","), members[1..].join(","));
    let decoded = decode_all(None, &[&text]);
    let batch = only(&decoded);
    assert_eq!(batch.num_columns(), super::super::all::COLUMNS_MAX + 1);
    let last = rows(batch).lines().map(|row| row.rsplit(" | ").next().expect("a value").to_owned()).collect::<Vec<_>>();
    assert_eq!(last, [r#"{"f1000":1000,"f1001":1001}"#, r#"{"f1000":1000,"f1001":1001}"#]);
}

#[test]
fn objects_too_deep_are_kept_whole() {
    let text = "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":{\"g\":{\"h\":{\"i\":1}},\"j\":2}}}}}}}\n";
    let decoded = decode_all(None, &[text]);
    assert!(rows(only(&decoded)).ends_with(r#"| {"a.b.c.d.e.f.g.h":{"i":1}}"#), "{}", rows(only(&decoded)));
}

#[test]
fn fields_that_are_only_ever_null_have_no_column_and_are_not_remembered() {
    let text: String = (0..10_000).map(|n| format!("{{\"k{n}\":null,\"a\":1}}\n")).collect();
    assert_eq!(columns(only(&decode_all(None, &[&text]))), "a: Int64");
}

#[test]
fn a_declared_field_has_its_type_from_the_start_and_a_value_that_does_not_fit_rejects_its_record() {
    let mut wanted = wanted(None, Fields::All);
    wanted.declared = [("o.d", DataType::Float64), ("at", time_type()), ("id", DataType::Utf8View)]
        .map(|(name, data_type)| WantedField { name: name.into(), kind: FieldKind::Value(data_type) })
        .to_vec();
    let mut decoder = FormatConfig::default().decoder(wanted).expect("a valid plan");
    let text = r#"{"o":{"d":1},"id":7,"at":"2026-01-01T00:00:00Z","x":1}
{"o":{"d":"fast"},"id":"b"}
{"o":{"d":2.5},"id":"c","x":"misfit"}
{"o":{"d":null},"at":"soon"}
"#;
    let decoded = decoder.decode(&raw_of(text.as_bytes()));
    expect![[r#"
        o: Struct("d": Float64)
        id: Utf8View
        at: Timestamp(µs, "UTC")
        x: Int64
        _rest: Utf8View"#]]
    .assert_eq(&columns(&decoded.batches[0].columns));
    expect![[r#"
        {d: 1.0} | 7 | 2026-01-01T00:00:00 | 1 | null
        {d: 2.5} | c | null | null | {"x":"misfit"}
        ! 55: field "o.d" at column 12 is "fast"; expected a number that fits a 64-bit float
        ! 121: field "at" at column 23 is "soon"; expected a time such as "2026-01-31T12:00:00.5Z", or a number since 1970"#]]
    .assert_eq(&shown(&decoded));
    let reasons: Vec<&str> = decoded.rejected.iter().map(|rejected| rejected.reason.as_str()).collect();
    expect![[r#"
        field "o.d" at column 12 is "fast"; expected a number that fits a 64-bit float
        field "at" at column 23 is "soon"; expected a time such as "2026-01-31T12:00:00.5Z", or a number since 1970"#]]
    .assert_eq(&reasons.join("\n"));
}
