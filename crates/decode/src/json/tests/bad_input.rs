//! Stories of records that are not what they should be. Each is rejected with its reason, in both ways of decoding,
//! and the records around it are not touched.

use expect_test::{Expect, expect};

use super::*;

/// What both ways of decoding say about the one bad record in `bytes`, between two good ones.
fn check(bad: &[u8], expected: &Expect) {
    let good = b"{\"ts\":\"2026-01-01T00:00:00Z\",\"n\":1}\n";
    let file = [&good[..], bad, b"\n", good].concat();
    let reasons: Vec<String> = [Fields::All, Fields::These(vec![value("ts", time_type())])]
        .into_iter()
        .map(|fields| {
            let mut decoder = FormatConfig::default().decoder(wanted(Some("ts"), fields)).expect("a valid plan");
            let raw = raw_of(&file);
            let decoded = decoder.decode(&raw);
            assert_eq!(decoded.batches.iter().map(weir_model::Batch::rows).sum::<usize>(), 2, "{decoded:?}");
            assert_eq!(decoded.rejected.len(), 1);
            let rejected = &decoded.rejected[0];
            assert_eq!((rejected.offset, rejected.payload.as_ref()), (Offset(good.len() as u64), bad));
            assert_eq!(rejected.original_bytes, bad.len() as u64);
            rejected.reason.clone()
        })
        .collect();
    assert_eq!(reasons[0], reasons[1]);
    expected.assert_eq(&reasons[0]);
}

#[test]
fn lines_that_are_no_json_objects() {
    check(b"not JSON", &expect![[r#"not JSON at column 1: expected a JSON object, found "not JSON""#]]);
    check(b"", &expect!["empty line; expected a JSON object"]);
    check(b"  ", &expect!["empty line; expected a JSON object"]);
    check(b"[1]", &expect![[r#"not JSON at column 1: expected a JSON object, found "[1]""#]]);
    check(
        b"{\"ts\":\"2026-01-01T00:00:00Z\"",
        &expect![[r#"not JSON: the line ends at column 29; expected "," or "}""#]],
    );
    check(
        b"{\"ts\":\"2026-01-01T00:00:00Z\"} x",
        &expect![[r#"not JSON at column 31: expected nothing after the object, found "x""#]],
    );
    check(
        b"{\"ts\":\"2026-01-01T00:00:00Z\",}",
        &expect![[r#"not JSON at column 30: expected a key in quotes, found "}""#]],
    );
    check(b"{\"ts\" \"2026\"}", &expect![[r#"not JSON at column 7: expected ":" after the key, found "\"2026\"}""#]]);
    check(b"{\"n\":NaN}", &expect![[r#"not JSON at column 6: expected a value, found "NaN}""#]]);
    check(b"{\"n\":01}", &expect![[r#"not JSON at column 7: expected "," or "}", found "1}""#]]);
    check(b"{\"n\":1.}", &expect![[r#"not JSON at column 8: expected a digit, found "}""#]]);
    check(
        b"{\"n\":\"\\x\"}",
        &expect![[r#"not JSON at column 7: expected one of the escapes of JSON after \, found "\\x\"}""#]],
    );
    check(
        b"{\"n\":\"\\u12\"}",
        &expect![[r#"not JSON at column 7: expected \u and four hexadecimal digits, found "\\u12\"}""#]],
    );
    check(
        b"{\"n\":\"a\tb\"}",
        &expect![[r#"not JSON at column 8: expected no unescaped control character in a string, found "\tb\"}""#]],
    );
    check(
        b"{\"n\":\"a\0b\"}",
        &expect![[r#"not JSON at column 8: expected no unescaped control character in a string, found "\0b\"}""#]],
    );
    check(b"{\"n\":[1,2}", &expect![[r#"not JSON at column 10: expected "," or "]", found "}""#]]);
}

#[test]
fn lines_that_are_not_utf8() {
    check(
        b"{\"ts\":\"2026-01-01T00:00:00Z\",\"n\":\"\xFF\"}",
        &expect!["not valid UTF-8 at byte 34 (0xff); expected UTF-8"],
    );
}

#[test]
fn times_that_are_missing_or_absurd() {
    let expected = "expected a time such as \"2026-01-31T12:00:00.5Z\", or a number since 1970";
    let reason = |start: &str| format!("{start}; {expected}");
    for (bad, start) in [
        ("{\"n\":2}", "time field \"ts\" is missing"),
        ("{\"ts\":null}", "time field \"ts\" is null"),
        ("{\"ts\":\"yesterday\"}", "time field \"ts\" at column 8 is \"yesterday\""),
        ("{\"ts\":true}", "time field \"ts\" at column 7 is \"true\""),
        ("{\"ts\":-1}", "time field \"ts\" at column 7 is \"-1\""),
        ("{\"ts\":{\"a\":1}}", "time field \"ts\" at column 7 is \"{\\\"a\\\":1}\""),
    ] {
        let file = format!("{bad}\n");
        for fields in [Fields::All, Fields::These(Vec::new())] {
            let mut decoder = FormatConfig::default().decoder(wanted(Some("ts"), fields)).expect("a valid plan");
            let decoded = decoder.decode(&raw_of(file.as_bytes()));
            assert_eq!(decoded.rejected[0].reason, reason(start));
            assert!(decoded.batches.is_empty());
        }
    }
}

#[test]
fn times_before_the_pipeline_begins_are_rejected_and_far_ones_pass() {
    let text = "{\"ts\":\"1970-01-01T00:00:01Z\"}\n{\"ts\":\"9999-12-31T23:59:59Z\"}\n{\"ts\":99999999999999999999}\n";
    for fields in [Fields::All, Fields::These(vec![value("ts", time_type())])] {
        let wanted = Wanted {
            time_field: Some("ts".into()),
            not_before: EventTime::from_micros(631_152_000_000_000),
            fields,
            declared: Vec::new(),
        };
        let decoded = FormatConfig::default().decoder(wanted).expect("a valid plan").decode(&raw_of(text.as_bytes()));
        expect![[r#"
            9999-12-31T23:59:59
            ! 0: time field "ts" is 1970-01-01T00:00:01Z, which is before not_before 1990-01-01T00:00:00Z
            ! 60: time field "ts" at column 7 is "99999999999999999999"; expected a time such as "2026-01-31T12:00:00.5Z", or a number since 1970"#]]
        .assert_eq(&shown(&decoded));
    }
}

#[test]
fn nesting_has_a_limit() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    let decoded = decode_these(&nested(64), None, Vec::new());
    assert_eq!(decoded.rejected, Vec::new());
    for depth in [65, 100_000] {
        for fields in [Fields::All, Fields::These(Vec::new())] {
            let mut decoder = FormatConfig::default().decoder(wanted(None, fields)).expect("a valid plan");
            let decoded = decoder.decode(&raw_of(nested(depth).as_bytes()));
            let reason = &decoded.rejected[0].reason;
            assert!(
                reason.starts_with("not JSON at column 69: expected objects and arrays nested at most 64 deep, found"),
                "{reason}"
            );
        }
    }
    let objects = "{\"a\":".repeat(100_000);
    assert_eq!(decode_these(&objects, None, vec![value("a.a.a", DataType::Int64)]).rejected.len(), 1);
}

#[test]
fn numbers_have_limits() {
    let text = "{\"n\":1e400}\n{\"n\":9223372036854775807}\n{\"n\":9223372036854775808}\n{\"n\":-0}\n{\"n\":1e3}\n{\"n\":1.5}\n";
    let decoded = decode_these(text, None, vec![value("n", DataType::Int64)]);
    expect![[r#"
        9223372036854775807
        0
        1000
        ! 0: field "n" at column 6 is "1e400"; expected a whole number of 64 bits
        ! 38: field "n" at column 6 is "9223372036854775808"; expected a whole number of 64 bits
        ! 83: field "n" at column 6 is "1.5"; expected a whole number of 64 bits"#]]
    .assert_eq(&shown(&decoded));
    let decoded = decode_these(text, None, vec![value("n", DataType::Float64)]);
    assert_eq!(decoded.rejected.len(), 1);
    assert_eq!(
        decoded.rejected[0].reason,
        "field \"n\" at column 6 is \"1e400\"; expected a number that fits a 64-bit float"
    );
}

#[test]
fn a_record_that_was_cut_is_rejected() {
    let mut raw = raw_of(b"{\"n\":1}");
    raw.records[0].original_bytes = 104_857_600;
    for fields in [Fields::All, Fields::These(Vec::new())] {
        let decoded = FormatConfig::default().decoder(wanted(None, fields)).expect("a valid plan").decode(&raw);
        assert_eq!(
            decoded.rejected[0].reason,
            "record of 104857600 bytes is longer than max_record_bytes, only its first 7 bytes were kept; raise max_record_bytes of the source"
        );
        assert_eq!(decoded.rejected[0].original_bytes, 104_857_600);
    }
}

#[test]
fn a_byte_order_mark_and_windows_line_ends_are_no_faults() {
    let decoded = decode_these("\u{FEFF}{\"n\":1}\r\n{\"n\":2}\r\n", None, vec![value("n", DataType::Int64)]);
    assert_eq!(shown(&decoded), "1\n2");
}
