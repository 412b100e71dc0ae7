//! What fields become, by kind, by presence, by what a plan needs and by what a registry says.

use expect_test::{Expect, expect};
use weir_model::{
    Decoder, EventTime, FieldKind, KnownSchema, ReferencedSchema, Remembers, SchemaId, SchemaLanguage, Wanted,
};
use weir_schema::{RegistryConfig, SchemaSource};

use super::{config, decode, record};
use crate::protobuf::{ProtobufConfig, ProtobufDecoder, ProtobufFraming};
use crate::typed::trial::{all, raw, text, these};

fn check(schema: &str, wanted: &Wanted, messages: &[&str], expected: Expect) {
    let records: Vec<Vec<u8>> = messages.iter().map(|message| record(schema, message)).collect();
    expected.assert_eq(&text(&decode(&config(schema), wanted, &records)));
}

const ORDER: &str = r#"
    syntax = "proto3";
    package shop;
    import "google/protobuf/struct.proto";
    import "google/protobuf/timestamp.proto";
    import "google/protobuf/duration.proto";
    import "google/protobuf/wrappers.proto";
    enum Status { NEW = 0; PAID = 1; }
    message M {
      uint64 id = 1;
      optional string note = 2;
      Status status = 3;
      google.protobuf.Timestamp at = 4;
      google.protobuf.Duration took = 5;
      google.protobuf.Int32Value rating = 6;
      Customer customer = 7;
      repeated double prices = 8;
      map<string, string> tags = 9;
      map<int32, Customer> by_rank = 10;
      oneof paid_by { string card = 11; Customer friend = 12; }
      M parent = 13;
      google.protobuf.Struct extra = 14;
      bytes blob = 15;
      message Customer { string name = 1; int32 age = 2; }
    }
"#;

#[test]
fn what_is_not_there_is_null_where_that_can_be_told_and_else_the_default() {
    check(
        ORDER,
        &all(),
        &[
            "",
            r#"id: 18446744073709551615 note: "" status: PAID at: { seconds: 1 nanos: 5 } took: { seconds: -2 nanos: -5 }
               rating: { } customer: { } prices: [1, 2.5] tags: { key: "a" value: "b" } by_rank: { key: -1 value: { age: 3 } }
               card: "1234" blob: "\xff""#,
            r#"status: 7 friend: { name: "F" } parent: { id: 2 status: PAID parent: { note: "x" tags: { key: "k" } }
               blob: "ab" } extra: { fields: { key: "l" value: { list_value: { values: { number_value: 1 }
               values: { string_value: "s" } values: { null_value: NULL_VALUE } values: { bool_value: true } } } } }"#,
        ],
        expect![[r#"
            {"at":null,"blob":"","by_rank":{},"card":null,"customer":null,"extra":null,"friend":null,"id":0,"note":null,"parent":null,"prices":[],"rating":null,"status":"NEW","tags":{},"took":null}
            {"at":1000000005,"blob":"ff","by_rank":{"-1":{"age":3,"name":""}},"card":"1234","customer":{"age":0,"name":""},"extra":null,"friend":null,"id":18446744073709551615,"note":"","parent":null,"prices":[1.0,2.5],"rating":0,"status":"PAID","tags":{"a":"b"},"took":"-2000000005"}
            {"at":null,"blob":"","by_rank":{},"card":null,"customer":null,"extra":"{\"l\":[1.0,\"s\",null,true]}","friend":{"age":0,"name":"F"},"id":0,"note":null,"parent":"{\"id\":2,\"status\":\"PAID\",\"parent\":{\"note\":\"x\",\"tags\":{\"k\":\"\"}},\"blob\":\"YWI=\"}","prices":[],"rating":null,"status":"7","tags":{},"took":null}"#]],
    );
}

#[test]
fn only_what_a_plan_needs_is_read() {
    let wanted = Wanted {
        time_field: Some("at".into()),
        not_before: EventTime::from_micros(0),
        ..these(&[
            ("customer.name", FieldKind::Key),
            ("tags.env", FieldKind::Value(arrow::datatypes::DataType::Utf8View)),
            ("by_rank.1.age", FieldKind::Value(arrow::datatypes::DataType::Int64)),
            ("friend.name", FieldKind::Value(arrow::datatypes::DataType::Utf8View)),
            ("missing", FieldKind::Value(arrow::datatypes::DataType::Int64)),
            ("tags", FieldKind::Value(arrow::datatypes::DataType::Int64)),
        ])
    };
    let messages = [
        r#"at: { seconds: 7 } customer: { name: "A" } tags: { key: "env" value: "prod" } by_rank: { key: 1 value: { age: 9 } }"#,
        "at: { seconds: 8 }",
        r#"customer: { name: "no time" }"#,
    ];
    check(
        ORDER,
        &wanted,
        &messages,
        expect![[r#"
        {"by_rank.1.age":null,"customer.name":null,"friend.name":null,"missing":null,"tags":null,"tags.env":null}
        0: not the Protobuf of its schema, field "tags" at byte 11: is a map of string in its schema; the column is Int64
        2: time field "at" is missing or null; expected a time"#]],
    );
    let wanted = these(&[
        ("customer.name", FieldKind::Key),
        ("tags.env", FieldKind::Value(arrow::datatypes::DataType::Utf8View)),
        ("by_rank.1.age", FieldKind::Value(arrow::datatypes::DataType::Int64)),
        ("friend.name", FieldKind::Value(arrow::datatypes::DataType::Utf8View)),
        ("id", FieldKind::Value(arrow::datatypes::DataType::Int64)),
    ]);
    check(
        ORDER,
        &wanted,
        &[messages[0], r#"friend: { name: "F" }"#, "id: 5 customer: {}"],
        expect![[r#"
        {"by_rank.1.age":9,"customer.name":"A","friend.name":null,"id":0,"tags.env":"prod"}
        {"by_rank.1.age":null,"customer.name":null,"friend.name":"F","id":0,"tags.env":null}
        {"by_rank.1.age":null,"customer.name":"","friend.name":null,"id":5,"tags.env":null}"#]],
    );
}

#[test]
fn of_a_choice_the_last_one_counts_even_when_only_another_is_needed() {
    let mut bytes = record(ORDER, r#"friend: { name: "first" }"#);
    bytes.extend(record(ORDER, r#"card: "last""#));
    let wanted = these(&[("friend.name", FieldKind::Value(arrow::datatypes::DataType::Utf8View))]);
    expect![[r#"{"friend.name":null}"#]].assert_eq(&text(&decode(&config(ORDER), &wanted, &[bytes])));
}

#[test]
fn proto2_has_defaults_groups_and_fields_that_must_be_there() {
    let schema = r#"
        syntax = "proto2";
        message M {
          required int32 id = 1;
          optional string kind = 2 [default = "none"];
          optional group Place = 3 { optional string city = 1; }
          repeated int32 numbers = 4 [packed = true];
          optional sint64 plain = 5;
        }
    "#;
    check(
        schema,
        &all(),
        &["id: 1", r#"id: 2 kind: "" Place { city: "Köln" } numbers: [1, 2] plain: -3"#],
        expect![[r#"
            {"id":1,"kind":"none","numbers":[],"place":null,"plain":null}
            {"id":2,"kind":"","numbers":[1,2],"place":{"city":"Köln"},"plain":-3}"#]],
    );
}

#[test]
fn fields_of_later_schemas_are_passed_over() {
    let later = r#"
        syntax = "proto3";
        message M { int32 id = 1; string added = 2; M within = 3; repeated fixed64 many = 4; }
    "#;
    let bytes = record(later, r#"id: 1 added: "x" within: { id: 2 } many: [1, 2]"#);
    let schema = r#"syntax = "proto3"; message M { int32 id = 1; }"#;
    expect![[r#"{"id":1}"#]].assert_eq(&text(&decode(&config(schema), &all(), &[bytes])));
}

/// A record of the Confluent wire format.
fn framed(id: u32, indexes: &[u8], message: &[u8]) -> Vec<u8> {
    [&[0][..], &id.to_be_bytes(), indexes, message].concat()
}

fn known(text: &str) -> KnownSchema {
    KnownSchema { language: SchemaLanguage::Protobuf, text: text.into(), references: Vec::new() }
}

#[test]
fn each_record_is_read_by_its_schema_and_says_which_message_of_it_it_is() {
    let first = r#"
        syntax = "proto3";
        import "common/money.proto";
        message Other { int32 o = 1; message Inner { int32 i = 1; } }
        message M { int32 id = 1; common.Money price = 2; }
    "#;
    let money = r#"syntax = "proto3"; package common; message Money { int64 cents = 1; }"#;
    let second = r#"syntax = "proto3"; message M { int64 id = 1; string added = 3; double price = 2; }"#;
    let config = ProtobufConfig { registry: Some(RegistryConfig::at("http://r")), ..ProtobufConfig::default() };
    let mut decoder = ProtobufDecoder::new(&config, &all()).expect("a decoder");
    assert_eq!(decoder.remembers(), Remembers::Everything);
    let batch = raw(&[
        framed(7, &[2, 2], &[0x08, 0x05, 0x12, 0x02, 0x08, 0x63]),
        framed(7, &[4, 0, 0], &[0x08, 0x06]),
        framed(7, &[0], &[0x08, 0x07]),
        framed(8, &[0], &[0x08, 0x08, 0x1a, 0x01, 0x61]),
        framed(8, &[0], &[0x11, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]),
        framed(9, &[0], &[0x08, 0x08]),
        framed(7, &[2, 8], &[]),
        framed(7, &[1], &[]),
        framed(7, &[0xfe, 0x7f], &[]),
        vec![7],
    ]);
    let wanted = decoder.decode(&batch);
    assert!(wanted.batches.is_empty() && wanted.rejected.is_empty());
    assert_eq!(wanted.wanted_schemas, [7, 8, 9].map(SchemaId));
    let money = ReferencedSchema { name: "common/money.proto".to_owned(), text: money.into() };
    decoder.learn(SchemaId(7), Ok(&KnownSchema { references: vec![money], ..known(first) }));
    decoder.learn(SchemaId(8), Ok(&known(second)));
    decoder.learn(SchemaId(9), Err("it is not there"));
    expect![[r#"
        {"id":5,"price":{"cents":99}}
        {"i":6,"id":null,"price":null}
        {"i":null,"id":null,"o":7,"price":null}
        {"added":"a","i":null,"id":8,"o":null,"price":null}
        4: not the Protobuf of its schema, field "price" at byte 7: is double in its schema; the column is Struct("cents": Int64)
        5: schema 9 of the registry: it is not there
        6: the record says that it is message [4] of its schema, which has no such message
        7: record names its message by -1 indexes; expected the Confluent wire format of Protobuf, with at most 64
        8: record names its message by 8191 indexes; expected the Confluent wire format of Protobuf, with at most 64
        9: record begins with 0x07; expected the Confluent wire format, which begins with 0x00 and the schema's id"#]].assert_eq(&text(&decoder.decode(&batch)));
}

#[test]
fn a_schema_to_read_as_needs_no_registry() {
    let schema = r#"syntax = "proto3"; message M { int32 id = 1; }"#;
    let config = ProtobufConfig { framing: Some(ProtobufFraming::Confluent), ..config(schema) };
    let decoded = decode(&config, &all(), &[framed(7, &[2, 2], &[0x08, 0x05])]);
    expect![[r#"{"id":5}"#]].assert_eq(&text(&decoded));
}

#[test]
fn what_is_wrong_with_a_configuration_is_said_with_what_would_be_right() {
    let check = |config: ProtobufConfig, expected: Expect| {
        let mut config = config;
        let read = |file: &str| match file {
            "two.proto" => Ok(b"syntax = \"proto3\"; message A {} message B {}".to_vec()),
            _ => Err(std::io::Error::other("no such file")),
        };
        let wrong = config.read_schemas(read).expect_err("it is wrong");
        expected.assert_eq(&format!("{}: {}", wrong.key, wrong.reason));
    };
    let file = |name: &str| Some(SchemaSource::File(name.to_owned()));
    let none = ProtobufConfig::default;
    check(
        none(),
        expect![
            "protobuf: protobuf with framing binary needs a schema; add schema: { file: ... } or descriptor_set: { file: ... }, or a registry"
        ],
    );
    check(
        ProtobufConfig { schema: file("none.proto"), ..none() },
        expect!["protobuf.schema: schema none.proto cannot be read: no such file"],
    );
    check(
        ProtobufConfig { schema: file("two.proto"), ..none() },
        expect!["protobuf.message: the schema has several messages; say which of them: message: one of A, B"],
    );
    check(
        ProtobufConfig { schema: file("two.proto"), message: Some("C".to_owned()), ..none() },
        expect![[r#"protobuf.message: the schema has no message "C"; it has A, B"#]],
    );
    check(
        ProtobufConfig { descriptor_set: file("two.proto"), ..none() },
        expect![
            "protobuf.descriptor_set: not a Protobuf schema: no descriptor set: failed to decode file descriptor set"
        ],
    );
    check(
        ProtobufConfig { schema: file("two.proto"), descriptor_set: file("two.proto"), ..none() },
        expect!["protobuf: protobuf has a schema and a descriptor_set; give one of them"],
    );
    check(
        config("message M { bytes a = 1 }"),
        expect!["protobuf.schema: not a Protobuf schema: expected ';' or '[', but found '}'"],
    );
    check(
        config("syntax = \"proto3\"; import \"other.proto\"; message M { }"),
        expect!["protobuf.schema: not a Protobuf schema: import 'other.proto' not found"],
    );
}
