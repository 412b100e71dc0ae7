//! Records that are none, and the limits on what a record may ask for.

use expect_test::{Expect, expect};

use super::{config, decode, record};
use crate::protobuf::limits::{CELLS_MAX, DEPTH_MAX, JSON_BYTES_MAX};
use crate::typed::trial::{all, text};

const SCHEMA: &str = r#"
    syntax = "proto3";
    import "google/protobuf/timestamp.proto";
    message M {
      int32 id = 1;
      string name = 2;
      Inner inner = 3;
      repeated Inner many = 4;
      map<string, Inner> by_name = 5;
      google.protobuf.Timestamp at = 6;
      M self = 7;
      repeated int32 numbers = 8;
      message Inner { string text = 1; double number = 2; Inner2 deeper = 3; message Inner2 { fixed32 four = 1; } }
    }
"#;

fn check(record: &[u8], expected: Expect) {
    // The neighbours of a bad record are not harmed.
    let good = [0x08, 0x01].to_vec();
    let decoded = decode(&config(SCHEMA), &all(), &[good.clone(), record.to_vec(), good]);
    assert_eq!(decoded.batches.iter().map(weir_model::Batch::rows).sum::<usize>(), 2);
    expected.assert_eq(&decoded.rejected[0].reason);
}

#[test]
fn what_does_not_fit_is_said_with_its_path_and_its_byte() {
    check(
        &[0x08],
        expect![[
            r#"not the Protobuf of its schema, field "id" at byte 1: it ends within a number; it is cut off, or of another schema"#
        ]],
    );
    check(
        &[0x08, 0x80],
        expect![[
            r#"not the Protobuf of its schema, field "id" at byte 1: it ends within a number; it is cut off, or of another schema"#
        ]],
    );
    check(
        &[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        expect![[
            r#"not the Protobuf of its schema, field "id" at byte 1: a number of more than 64 bits; is it the right schema?"#
        ]],
    );
    check(
        &[0x12, 0x05, b'a'],
        expect![[
            r#"not the Protobuf of its schema, field "name" at byte 1: length 5 where 1 bytes are left; is it the right schema?"#
        ]],
    );
    check(
        &[0x12, 0x01, 0xff],
        expect![[r#"not the Protobuf of its schema, field "name" at byte 2: string is not valid UTF-8 (0xff)"#]],
    );
    check(
        &[0x0a, 0x01, 0x00],
        expect![[
            r#"not the Protobuf of its schema, field "id" at byte 1: is bytes behind their length; expected a varint: is it the right schema?"#
        ]],
    );
    check(
        &[0x0f],
        expect!["not the Protobuf of its schema, at byte 0: wire type 7 does not exist; is it the right schema?"],
    );
    check(
        &[0x00, 0x00],
        expect!["not the Protobuf of its schema, at byte 0: field number 0 does not exist; is it the right schema?"],
    );
    check(
        &[0x0c],
        expect![[
            r#"not the Protobuf of its schema, field "id" at byte 1: is the end of a group; expected a varint: is it the right schema?"#
        ]],
    );
    check(
        &[0x7b, 0x08, 0x01],
        expect![
            "not the Protobuf of its schema, at byte 3: group 15 does not end; it is cut off, or of another schema"
        ],
    );
    check(
        &[0x1a, 0x02, 0x0a, 0x05],
        expect![[
            r#"not the Protobuf of its schema, field "inner.text" at byte 3: length 5 where 0 bytes are left; is it the right schema?"#
        ]],
    );
    check(
        &[0x22, 0x00, 0x22, 0x05, 0x1a, 0x03, 0x0d, 0x01, 0x02],
        expect![[
            r#"not the Protobuf of its schema, field "many[1].deeper.four" at byte 7: 4 bytes are needed and 2 are left; it is cut off, or of another schema"#
        ]],
    );
    check(
        &[0x2a, 0x06, 0x0a, 0x01, b'k', 0x12, 0x01, 0x10],
        expect![[
            r#"not the Protobuf of its schema, field "by_name.k.number" at byte 8: is a varint; expected 8 bytes: is it the right schema?"#
        ]],
    );
    check(
        &[0x2a, 0x02, 0x08, 0x01],
        expect![[
            r#"not the Protobuf of its schema, field "by_name" at byte 3: a key is a varint; expected bytes behind their length"#
        ]],
    );
    check(
        &[0x42, 0x02, 0x01, 0x80],
        expect![[
            r#"not the Protobuf of its schema, field "numbers[1]" at byte 3: it ends within a number; it is cut off, or of another schema"#
        ]],
    );
    check(
        &[0x40, 0x01, 0x45, 0, 0, 0, 0],
        expect![[
            r#"not the Protobuf of its schema, field "numbers" at byte 3: is 4 bytes; expected a varint: is it the right schema?"#
        ]],
    );
}

#[test]
fn times_beyond_the_column_are_rejected() {
    check(
        &record(SCHEMA, "at: { seconds: 253402300799 }"),
        expect![[
            r#"not the Protobuf of its schema, field "at" at byte 2: is 9999-12-31T23:59:59Z; expected a time that fits the column"#
        ]],
    );
    check(
        &record(SCHEMA, "at: { seconds: 1 nanos: -1 }"),
        expect![[
            r#"not the Protobuf of its schema, field "at" at byte 2: 1 seconds and -1 nanoseconds since 1970 are no Timestamp"#
        ]],
    );
}

/// `inner` within so many messages.
fn nested(depth: usize) -> Vec<u8> {
    let mut bytes = vec![0x08, 0x01];
    for _ in 0..depth {
        let mut outer = vec![0x3a];
        let mut length = bytes.len();
        while length >= 0x80 {
            outer.push(length as u8 | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.append(&mut bytes);
        bytes = outer;
    }
    bytes
}

#[test]
fn messages_are_nested_no_deeper_than_the_limit() {
    let deep = decode(&config(SCHEMA), &all(), &[nested(DEPTH_MAX)]);
    assert!(deep.rejected.is_empty(), "{:?}", deep.rejected);
    let reason = &decode(&config(SCHEMA), &all(), &[nested(DEPTH_MAX + 1)]).rejected[0].reason;
    assert!(reason.ends_with("messages are nested deeper than 64"), "{reason}");
    // Groups that nobody knows are looked through as well.
    let groups = vec![0x7b; 100_000];
    let reason = &decode(&config(SCHEMA), &all(), &[groups]).rejected[0].reason;
    assert!(reason.ends_with("messages are nested deeper than 64"), "{reason}");
}

#[test]
fn empty_messages_are_no_way_to_fill_the_memory() {
    let fields: String = (2..500).map(|number| format!("int32 f{number} = {number};")).collect();
    let schema = format!("syntax = \"proto3\"; message M {{ repeated I many = 1; message I {{ {fields} }} }}");
    let records = |count: usize| vec![[0x0a, 0x00].repeat(count)];
    let most = CELLS_MAX / 498 - 1;
    assert!(decode(&config(&schema), &all(), &records(most)).rejected.is_empty());
    let rejected = decode(&config(&schema), &all(), &records(most + 2)).rejected;
    assert!(rejected[0].reason.ends_with("it becomes more than 4194304 values"), "{}", rejected[0].reason);
}

#[test]
fn json_is_no_way_to_fill_the_memory() {
    let name = "a_long_name_for_a_field".repeat(40);
    let schema = format!(
        "syntax = \"proto3\"; message M {{ M self = 1; repeated bool {name} = 2; optional bool {name}x = 3; }}"
    );
    let inner = [0x18, 0x00].as_slice();
    let one = [&[0x0a, inner.len() as u8], inner].concat();
    assert!(decode(&config(&schema), &all(), &[one]).rejected.is_empty());
    // Each of the messages within has two bytes, and becomes a thousand.
    let schema = format!(
        "syntax = \"proto3\"; message M {{ N n = 1; message N {{ repeated N {name} = 1; optional bool {name}x = 2; }} }}"
    );
    let items = [0x0a, 0x02, 0x10, 0x01].repeat(JSON_BYTES_MAX / 900);
    let mut length = Vec::new();
    let mut left = items.len();
    while left >= 0x80 {
        length.push(left as u8 | 0x80);
        left >>= 7;
    }
    length.push(left as u8);
    let record = [&[0x0a][..], &length, &items].concat();
    let decoded = decode(&config(&schema), &all(), &[record]);
    assert!(text(&decoded).ends_with("as JSON it is longer than a record may become"), "{}", decoded.rejected.len());
}
