use std::io::Write as _;

use expect_test::expect;

use super::*;

const LINES: Option<&str> = Some("application/x-ndjson");
const ARRAY: Option<&str> = Some("application/json; charset=utf-8");

fn split(content_type: Option<&str>, body: &str) -> String {
    let limits = BodyLimits { record_bytes_max: 32, records_max: 3, ..BodyLimits::default() };
    show(split_body(content_type, Bytes::copy_from_slice(body.as_bytes()), &limits))
}

fn show(result: Result<Vec<Bytes>, BodyError>) -> String {
    match result {
        Ok(records) => records.iter().map(|record| String::from_utf8_lossy(record) + "\n").collect(),
        Err(BodyError { status, code, message }) => format!("{status} {code}: {message}"),
    }
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory is writable");
    encoder.finish().expect("memory is writable").into()
}

#[test]
fn every_line_is_a_record() {
    assert_eq!(split(LINES, "{\"a\":1}\r\n\n  {\"b\":\"x y\"}  \n{}"), "{\"a\":1}\n{\"b\":\"x y\"}\n{}\n");
    assert_eq!(split(None, "\u{feff}{\"a\":1}\n"), "{\"a\":1}\n");
    assert_eq!(split(LINES, ""), "");
}

#[test]
fn every_element_of_an_array_is_a_record_on_one_line() {
    let body = "[ {\"a\": \"],{\\\"\"},\n{\"b\":\r\n [1,\n2]} , {}]\n";
    assert_eq!(split(ARRAY, body), "{\"a\": \"],{\\\"\"}\n{\"b\":   [1, 2]}\n{}\n");
    assert_eq!(split(None, " [{}]"), "{}\n");
    assert_eq!(split(ARRAY, "{\"a\":\n1}"), "{\"a\": 1}\n");
    assert_eq!(split(ARRAY, "[]") + &split(ARRAY, " "), "");
}

#[test]
fn a_line_that_is_no_json_object_is_named_and_nothing_is_taken() {
    expect!["400 invalid_json: line 3, column 7: EOF while parsing an object; every line must be a JSON object"]
        .assert_eq(&split(LINES, "{}\n\n{\"a\": 1\n{}"));
    expect!["400 invalid_json: line 2 is a number: every record must be a JSON object"]
        .assert_eq(&split(LINES, "{}\n17\n"));
    expect!["400 invalid_json: line 1, column 4: trailing characters; every line must be a JSON object"]
        .assert_eq(&split(LINES, "{} {}"));
    let not_utf8 = split_body(LINES, Bytes::from_static(b"{}\n{\"a\":\"\xff\"}"), &BodyLimits::default());
    assert!(show(not_utf8).starts_with("400 invalid_json: line 2"));
}

#[test]
fn an_array_that_is_none_is_refused_with_the_place() {
    expect!["400 invalid_json: line 2, column 1: expected value; application/json must be an array of objects or one object (for one object per line use application/x-ndjson)"]
        .assert_eq(&split(ARRAY, "[{},\n}]"));
    expect!["400 invalid_json: element 2 of the array is a string: every record must be a JSON object"]
        .assert_eq(&split(ARRAY, "[{}, \"x\"]"));
    expect!["400 invalid_json: line 2, column 1: trailing characters; application/json must be an array of objects or one object (for one object per line use application/x-ndjson)"]
        .assert_eq(&split(ARRAY, "{}\n{}"));
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(400_000), "]".repeat(400_000));
    let records = split_body(LINES, deep.into(), &BodyLimits::default());
    assert_eq!(records.map(|records| records.len()), Ok(1), "decoding decides about its depth");
}

#[test]
fn other_types_are_refused_with_those_that_are_not() {
    expect![[r#"415 unsupported_type: content-type "text/csv" is not understood: use application/x-ndjson for one JSON object per line, or application/json for an array of objects"#]]
        .assert_eq(&split(Some("text/csv"), "a,b"));
}

#[test]
fn records_have_a_largest_size_and_bodies_a_largest_number_of_them() {
    expect!["413 too_large: line 1 has 33 bytes: a record may have 32"]
        .assert_eq(&split(LINES, &format!("{{\"a\":\"{}\"}}", "x".repeat(25))));
    assert_eq!(split(LINES, "{}\n{}\n{}\n"), "{}\n{}\n{}\n");
    expect!["413 too_large: the body has more than 3 records: send it in parts"]
        .assert_eq(&split(LINES, "{}\n{}\n{}\n{}\n"));
    expect!["413 too_large: the body has more than 3 records: send it in parts"]
        .assert_eq(&split(ARRAY, "[{},{},{},{}]"));
}

#[test]
fn compressed_bodies_are_decompressed() {
    let limits = BodyLimits::default();
    let zstd = Bytes::from(zstd::encode_all(&b"{}"[..], 3).expect("memory is writable"));
    for (encoding, body) in [(Some("gzip"), gzip(b"{}")), (Some("ZSTD"), zstd), (None, Bytes::from_static(b"{}"))] {
        assert_eq!(decompress(encoding, body, &limits), Ok(Bytes::from_static(b"{}")));
    }
    let refused = |encoding, body| decompress(Some(encoding), body, &limits).map(|_| Vec::new());
    expect![[r#"415 unsupported_encoding: content-encoding "br" is not understood: use gzip, zstd or none"#]]
        .assert_eq(&show(refused("br", Bytes::new())));
    let whole = gzip(b"{}");
    let half = show(refused("gzip", whole.slice(..whole.len() - 3)));
    assert!(half.starts_with("400 invalid_encoding: the body is not whole gzip"), "{half}");
}

#[test]
fn bombs_are_refused_before_they_unfold() {
    let bomb = gzip(&vec![b' '; 300 << 20]);
    let refused = |limits: &BodyLimits| show(decompress(Some("gzip"), bomb.clone(), limits).map(|_| Vec::new()));
    let limits = BodyLimits::default();
    expect!["413 too_large: the body is more than 200 times larger than it was sent: send it in parts"]
        .assert_eq(&refused(&BodyLimits { decoded_bytes_max: 1 << 30, ..limits }));
    let larger = BodyLimits { ratio_max: 10_000, ..limits };
    expect!["413 too_large: the body has more than 67108864 bytes after decompression: send it in parts"]
        .assert_eq(&refused(&larger));
}
