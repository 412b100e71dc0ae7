//! Stories of envelopes.

use expect_test::{Expect, expect};

use super::{Envelope, Parts};

fn check(envelope: Envelope, key: Option<&[u8]>, value: Option<&[u8]>, expected: Expect) {
    let parts = Parts { topic: "t", partition: 3, offset: 7, timestamp: Some(1_000), key, value };
    let headers = [("trace", Some(&b"x\"y"[..])), ("none", None)];
    let mut out = b"before".to_vec();
    envelope.write(parts, headers.into_iter(), &mut out);
    expected.assert_eq(&String::from_utf8_lossy(&out));
}

#[test]
fn a_record_has_everything_beside_its_value() {
    check(
        Envelope::Json,
        Some(b"k"),
        Some(br#"{"a":1}"#),
        expect![[
            r#"{"topic":"t","partition":3,"offset":7,"timestamp":1000,"key":"k","headers":{"trace":"x\"y","none":null},"value":{"a":1}}"#
        ]],
    );
    check(
        Envelope::Json,
        None,
        None,
        expect![[
            r#"{"topic":"t","partition":3,"offset":7,"timestamp":1000,"key":null,"headers":{"trace":"x\"y","none":null},"value":null}"#
        ]],
    );
    check(
        Envelope::Text,
        Some(b"\xff"),
        Some(b"a\nb"),
        expect![[
            r#"{"topic":"t","partition":3,"offset":7,"timestamp":1000,"key":"/w==","headers":{"trace":"x\"y","none":null},"value":"a\nb"}"#
        ]],
    );
    check(
        Envelope::Base64,
        Some(b""),
        Some(b"\xff\0"),
        expect![[
            r#"{"topic":"t","partition":3,"offset":7,"timestamp":1000,"key":"","headers":{"trace":"x\"y","none":null},"value":"/wA="}"#
        ]],
    );
}

#[test]
fn a_value_that_is_no_json_has_no_envelope_that_it_could_break_out_of() {
    check(Envelope::Json, Some(b"k"), Some(br#"1,"topic":"other""#), expect![[r#"1,"topic":"other""#]]);
    check(Envelope::Json, Some(b"k"), Some(b""), expect![[""]]);
}
