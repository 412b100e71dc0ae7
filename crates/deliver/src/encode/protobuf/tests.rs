//! What columns become in Protobuf, and that they are the same when they are read again.

use expect_test::{Expect, expect};
use weir_decode::{FormatConfig, ProtobufConfig};
use weir_schema::SchemaSource;
use weir_schema::protobuf::Schema;

use super::{message_indexes, messages, schema_of};
use crate::encode::trial::{read_back, rows, texts, told, wholes};

fn format(schema: &str) -> FormatConfig {
    let schema = Some(SchemaSource::Text(schema.to_owned()));
    FormatConfig::Protobuf(Box::new(ProtobufConfig { schema, ..ProtobufConfig::default() }))
}

#[test]
fn every_type_of_column_is_the_same_or_its_text_when_it_is_read_again() {
    let rows = rows();
    let text = schema_of("shop.Order", rows.schema_ref().fields(), None);
    expect![[r#"
        syntax = "proto3";
        package shop;
        import "google/protobuf/timestamp.proto";
        message Order {
          optional bool flag = 1;
          optional int32 small = 2;
          optional int64 whole = 3;
          optional uint64 large = 4;
          optional float short = 5;
          optional double float = 6;
          optional string text = 7;
          optional string status = 8;
          optional bytes bytes = 9;
          optional string day = 10;
          optional string clock = 11;
          optional google.protobuf.Timestamp millis = 12;
          optional google.protobuf.Timestamp micros = 13;
          optional google.protobuf.Timestamp nanos = 14;
          optional string local = 15;
          optional string price = 16;
          optional string huge = 17;
          message CustomerOf {
            optional string name = 1;
            optional string born = 2;
          }
          optional CustomerOf customer = 18;
          repeated int64 items = 19;
          map<string, double> tags_of_it = 20;
          optional string nothing = 21;
        }
    "#]]
    .assert_eq(&text);
    let schema = Schema::parse(&text, &[]).expect("a schema");
    let written = messages(&schema, schema.roots()[0], &rows).expect("it fits");
    let written: Vec<Vec<u8>> = written.into_iter().map(|record| record.expect("it fits")).collect();
    expect![[r#"
        {"flag":true,"small":-2147483648,"whole":-9223372036854775808,"large":18446744073709551615,"short":0.5,"float":1e300,"text":"漢\n","status":"paid","bytes":"/wA=","day":"2024-10-04","clock":"23:59:59.999999","millis":"1969-12-31T23:59:59.999Z","micros":"1969-12-31T23:59:59.999999Z","nanos":"1969-12-31T23:59:59.999999Z","local":"1970-01-01T00:00:00.000001","price":"-123.45","huge":"17014118346046923173168730371.5884105727","customer":{"name":"Żaneta","born":"1969-12-31"},"items":[1,-2,3],"tags_of_it":{"a":0.5,"b":-1.0},"nothing":null}
        {"flag":null,"small":null,"whole":null,"large":null,"short":null,"float":null,"text":null,"status":null,"bytes":null,"day":null,"clock":null,"millis":null,"micros":null,"nanos":null,"local":null,"price":null,"huge":null,"customer":null,"items":[],"tags_of_it":{},"nothing":null}
    "#]].assert_eq(&read_back(&format(&text), &written));
}

#[test]
fn a_field_keeps_its_number_and_that_of_one_that_is_gone_is_not_given_again() {
    let fields = |names: &[&str]| {
        names.iter().map(|name| arrow::datatypes::Field::new(*name, arrow::datatypes::DataType::Int64, true)).collect()
    };
    let first = Schema::parse(&schema_of("A", &fields(&["a", "b", "c"]), None), &[]).expect("a schema");
    expect![[r#"
        syntax = "proto3";
        message A {
          optional int64 new = 4;
          optional int64 c = 3;
          optional int64 a = 1;
        }
    "#]]
    .assert_eq(&schema_of("A", &fields(&["new", "c", "a"]), Some(&first)));
}

fn check(schema: &str, rows: &arrow::array::RecordBatch, expected: Expect) {
    let schema = Schema::parse(schema, &[]).expect("a schema");
    expected.assert_eq(&told(messages(&schema, schema.roots()[0], rows)));
}

#[test]
fn rows_are_written_as_a_schema_says_and_those_that_do_not_fit_are_told_apart() {
    let of = |field: &str| {
        format!(
            "syntax = \"proto3\"; import \"google/protobuf/wrappers.proto\"; enum E {{ NEW = 0; PAID = 1; }} message M {{ {field} }}"
        )
    };
    check(
        &of("E c = 1;"),
        &texts("c", &[Some("PAID"), Some("7"), Some("LOST"), None]),
        expect![[r#"
        [8, 1]
        [8, 7]
        column "c": is "LOST", which is no value of the enum E
        []"#]],
    );
    check(
        &of("sint32 c = 1;"),
        &wholes("c", &[Some(-1), Some(1 << 31)]),
        expect![[r#"
        [8, 1]
        column "c": is 2147483648, which sint32 does not hold"#]],
    );
    check(
        &of("google.protobuf.Int64Value c = 1;"),
        &wholes("c", &[Some(0), None]),
        expect![[r#"
        [10, 2, 8, 0]
        []"#]],
    );
    check(
        &of("bool c = 1;"),
        &wholes("c", &[Some(1)]),
        expect![[r#"none: column "c": is Int64; the schema wants bool"#]],
    );
    check(
        &of("repeated int64 c = 1;"),
        &wholes("c", &[Some(1)]),
        expect![[r#"none: column "c": is Int64; the schema wants a list"#]],
    );
    check(
        "syntax = \"proto2\"; message M { required int64 c = 1; }",
        &wholes("c", &[Some(1), None]),
        expect![[r#"
        [8, 1]
        column "c": is null; the schema requires it"#]],
    );
    check(
        "syntax = \"proto2\"; message M { required int64 d = 1; }",
        &wholes("c", &[Some(1)]),
        expect![[r#"none: column "d": the schema requires it, and there is no such column"#]],
    );
}

#[test]
fn the_first_message_of_a_schema_is_a_single_zero() {
    assert_eq!(message_indexes(&[0]), [0]);
    assert_eq!(message_indexes(&[1, 0]), [4, 2, 0]);
}
