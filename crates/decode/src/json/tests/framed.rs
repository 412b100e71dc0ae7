//! JSON behind the Confluent wire format.

use expect_test::expect;

use super::*;
use crate::{JsonConfig, JsonFraming};

#[test]
fn what_stands_before_the_json_is_passed_over_in_both_ways_of_decoding() {
    let format = FormatConfig::Json(JsonConfig { framing: Some(JsonFraming::Confluent), ..JsonConfig::default() });
    // The number of the second schema is no UTF-8.
    let parts: [&[u8]; 4] = [
        b"\0\0\0\0\x07{\"a\":\"longer than twelve\"}",
        b"\0\0\0\xff\xfe{\"a\":\"x\"}",
        b"{\"a\":1}",
        b"\0\0\0\0\x01{\"a\":\"\xff\"}",
    ];
    let mut raw = raw_of(&parts.concat());
    let mut at = 0;
    raw.records = parts
        .iter()
        .map(|part| {
            let (start, end) = (at as u32, (at + part.len()) as u32);
            at += part.len();
            RecordSpan { start, end, offset: Offset(u64::from(start)), original_bytes: part.len() as u64 }
        })
        .collect();
    for fields in [Fields::All, Fields::These(vec![value("a", DataType::Utf8View)])] {
        let decoded = format.decoder(wanted(None, fields)).expect("a valid plan").decode(&raw);
        expect![[r#"
            longer than twelve
            x
            ! 45: record begins with 0x7b; expected the Confluent wire format, which begins with 0x00 and the schema's id
            ! 52: not valid UTF-8 at byte 6 (0xff); expected UTF-8"#]]
        .assert_eq(&shown(&decoded));
    }
}
