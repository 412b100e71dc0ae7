//! Records that are not what their schema says: each is rejected with the field's path and the byte.

use expect_test::{Expect, expect};

use super::{config, decode};
use crate::avro::limits::{COLUMNS_MAX, DEPTH_MAX, EMPTY_ITEMS_MAX, EMPTY_VALUES_MAX};
use crate::typed::trial::{all, text};

fn check(ty: &str, record: &[u8], expected: Expect) {
    let schema = format!(
        r#"{{"type":"record","name":"R","fields":[{{"name":"o","type":{{"type":"record","name":"O","fields":[{{"name":"a","type":{ty}}}]}}}}]}}"#
    );
    expected.assert_eq(&text(&decode(&config(&schema), &all(), &[record.to_vec()])));
}

#[test]
fn what_is_cut_off_or_too_long_is_rejected() {
    check(
        "\"double\"",
        &[1, 2],
        expect![[
            r#"0: not the Avro of its schema, field "o.a" at byte 0: 8 bytes are needed and the record has 2 left; it is cut off, or of another schema"#
        ]],
    );
    check(
        "\"long\"",
        &[],
        expect![[
            r#"0: not the Avro of its schema, field "o.a" at byte 0: the record ends within a number; it is cut off, or of another schema"#
        ]],
    );
    check(
        "\"long\"",
        &[2, 9],
        expect!["0: not the Avro of its schema, at byte 1: 1 bytes are left after the value; is it the right schema?"],
    );
    check(
        "\"string\"",
        &[0x80, 0x80, 0x80, 0x80, 0x10, b'a'],
        expect![[
            r#"0: not the Avro of its schema, field "o.a" at byte 0: length 2147483648 where 1 bytes are left; is it the right schema?"#
        ]],
    );
    check(
        "\"bytes\"",
        &[1],
        expect![[
            r#"0: not the Avro of its schema, field "o.a" at byte 0: length -1 where 0 bytes are left; is it the right schema?"#
        ]],
    );
}

#[test]
fn numbers_that_are_too_large_are_rejected() {
    check(
        "\"int\"",
        &[0x80, 0x80, 0x80, 0x80, 0x20],
        expect![[
            r#"0: not the Avro of its schema, field "o.a" at byte 0: int 4294967296 is beyond 32 bits; is it the right schema?"#
        ]],
    );
    check(
        "\"long\"",
        &[0xff; 10],
        expect![[
            r#"0: not the Avro of its schema, field "o.a" at byte 0: a number of more than 64 bits; is it the right schema?"#
        ]],
    );
    check(
        "\"boolean\"",
        &[2],
        expect![[r#"0: not the Avro of its schema, field "o.a" at byte 0: boolean is 0x02; expected 0x00 or 0x01"#]],
    );
    check(
        r#"{"type":"bytes","logicalType":"decimal","precision":3,"scale":1}"#,
        &[4, 0x03, 0xe8],
        expect![[
            r#"0: not the Avro of its schema, field "o.a" at byte 0: is 100.0; expected a decimal of no more digits than the column has"#
        ]],
    );
    check(
        r#"{"type":"long","logicalType":"timestamp-millis"}"#,
        &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        expect![[
            r#"0: not the Avro of its schema, field "o.a" at byte 0: is 9223372036854775807 milliseconds since 1970; expected a time that fits the column"#
        ]],
    );
    check(
        r#"{"type":"int","logicalType":"time-millis"}"#,
        &[1],
        expect![[r#"0: not the Avro of its schema, field "o.a" at byte 0: time of day -1 is not within a day"#]],
    );
}

#[test]
fn choices_that_are_not_there_are_rejected() {
    check(
        r#"["null","int"]"#,
        &[4],
        expect![[r#"0: not the Avro of its schema, field "o.a" at byte 0: branch 2 of 2; is it the right schema?"#]],
    );
    check(
        r#"{"type":"enum","name":"E","symbols":["A"]}"#,
        &[1],
        expect![[r#"0: not the Avro of its schema, field "o.a" at byte 0: symbol -1 of 1; is it the right schema?"#]],
    );
}

#[test]
fn text_that_is_not_utf8_is_rejected_with_its_item() {
    check(
        r#"{"type":"array","items":"string"}"#,
        &[4, 2, b'a', 4, b'b', 0xff, 0],
        expect![[r#"0: not the Avro of its schema, field "o.a[1]" at byte 5: string is not valid UTF-8 (0xff)"#]],
    );
}

#[test]
fn few_bytes_cannot_claim_many_items() {
    let claim = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1];
    check(
        r#"{"type":"array","items":"null"}"#,
        &claim,
        expect![[r#"0: not the Avro of its schema, field "o.a" at byte 10: more than 1024 items without bytes"#]],
    );
    check(
        r#"{"type":"array","items":"int"}"#,
        &claim,
        expect![[
            r#"0: not the Avro of its schema, field "o.a[0]" at byte 10: the record ends within a number; it is cut off, or of another schema"#
        ]],
    );
    assert_eq!(EMPTY_ITEMS_MAX, 1024);
}

#[test]
fn values_are_nested_to_a_limit() {
    let list = r#"{"type":"record","name":"L","fields":[{"name":"next","type":["null","L"]}]}"#;
    let chain = |deep: usize| [vec![2; deep], vec![0]].concat();
    let decoded = decode(&config(list), &all(), &[chain(DEPTH_MAX - 1), chain(DEPTH_MAX)]);
    assert_eq!((decoded.batches[0].rows(), decoded.rejected.len()), (1, 1));
    assert!(
        decoded.rejected[0].reason.ends_with("at byte 64: values are nested deeper than 64"),
        "{}",
        decoded.rejected[0].reason
    );
}

#[test]
fn records_that_hold_records_without_bytes_are_counted() {
    // Each holds two of the next, so that the first holds 2^20 of the last, in no bytes at all.
    let mut inner = r#"{"type":"record","name":"R20","fields":[{"name":"n","type":"null"}]}"#.to_owned();
    for level in (0..20).rev() {
        let next = level + 1;
        inner = format!(
            r#"{{"type":"record","name":"R{level}","fields":[{{"name":"a","type":{inner}}},{{"name":"b","type":"R{next}"}}]}}"#
        );
    }
    let decoded = decode(&config(&inner), &all(), &[Vec::new()]);
    assert!(decoded.rejected[0].reason.contains(&format!("more than {EMPTY_VALUES_MAX} values without bytes")));
}

#[test]
fn columns_are_made_to_a_limit_and_the_rest_is_json() {
    let inner = |name: usize| {
        let fields: Vec<String> = (0..100).map(|index| format!(r#"{{"name":"f{index}","type":"int"}}"#)).collect();
        format!(r#"{{"name":"r{name}","type":{{"type":"record","name":"I{name}","fields":[{}]}}}}"#, fields.join(","))
    };
    let fields: Vec<String> = (0..12).map(inner).collect();
    let schema = format!(r#"{{"type":"record","name":"R","fields":[{}]}}"#, fields.join(","));
    let decoded = decode(&config(&schema), &all(), &[vec![2; 1_200]]);
    let columns = &decoded.batches[0].columns;
    let structs = columns.schema().fields().iter().filter(|field| field.data_type().is_nested()).count();
    assert_eq!((columns.num_columns(), structs), (12, COLUMNS_MAX / 100));
}
