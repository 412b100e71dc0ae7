//! Schemas as they are read and compared.

use expect_test::{Expect, expect};

use super::{Label, NESTING_MAX, Schema, can_read};

fn schema(text: &str) -> Schema {
    Schema::parse(text, &[]).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn proto3(text: &str) -> Schema {
    schema(&format!("syntax = \"proto3\";\n{text}"))
}

#[test]
fn names_are_resolved_and_messages_found_by_name_and_by_index() {
    let money = "syntax = \"proto3\"; package common; message Money { int64 cents = 1; }";
    let text = r#"
        syntax = "proto3";
        package shop;
        import "common/money.proto";
        message Other {}
        message Shop {
          map<string, common.Money> prices = 2;
          message Order { int32 id = 1; common.Money price = 3; }
        }
    "#;
    let schema = Schema::parse(text, &[("common/money.proto", money)]).expect("a schema");
    let order = schema.find("shop.Shop.Order").expect("it is there");
    assert_eq!(schema.find("Order"), Some(order));
    let indexes = schema.indexes(order).expect("it is of this file");
    assert_eq!(schema.at(&indexes), Some(order));
    assert_eq!(schema.indexes(schema.find("common.Money").expect("imported")), None);
    let shop = schema.message(schema.at(&[1]).expect("the second"));
    assert!(matches!(shop.fields[0].label, Label::Map { .. }));
    assert_eq!(schema.names(), ["shop.Other", "shop.Shop"]);
}

#[test]
fn a_file_is_the_same_as_its_descriptor() {
    let text = "syntax = \"proto3\"; message A { optional int32 a = 1; repeated sint64 b = 2; }";
    let descriptor = Schema::descriptor(text, &[]).expect("a schema");
    assert_eq!(Schema::parse(&descriptor, &[]).expect("the same"), schema(text));
    assert_eq!(Schema::descriptor(&descriptor, &[]).expect("again"), descriptor);
}

fn wrong(text: &str, expected: Expect) {
    expected.assert_eq(&Schema::parse(text, &[]).expect_err("it is wrong").to_string());
}

#[test]
fn what_is_no_schema_is_said() {
    wrong("message A { int32 a = 1 }", expect!["not a Protobuf schema: expected ';' or '[', but found '}'"]);
    wrong("syntax = \"proto3\"; message A { B b = 1; }", expect!["not a Protobuf schema: name 'B' is not defined"]);
    wrong(
        "syntax = \"proto3\"; import \"other.proto\"; message A { }",
        expect!["not a Protobuf schema: import 'other.proto' not found"],
    );
    let deep = "message A {".repeat(NESTING_MAX + 1);
    wrong(
        &format!("syntax = \"proto3\"; /* }} */ // }}\n {deep}"),
        expect!["not a Protobuf schema: schema.proto is nested 65 deep; 64 is the most"],
    );
    wrong(&"[".repeat(1 << 20), expect!["not a Protobuf schema: schema.proto is nested 1048576 deep; 64 is the most"]);
    assert!(Schema::from_set(b"nothing").is_err());
}

fn check(old: &str, new: &str, expected: Expect) {
    expected.assert_eq(&can_read(&proto3(new), &proto3(old)).join("\n"));
}

#[test]
fn a_new_schema_reads_what_is_written_alike() {
    check("message A { int32 a = 1; }", "message A { uint64 other_name = 1; string b = 2; }", expect![[""]]);
    check(
        "message A { int32 a = 1; }",
        "message A { sint32 a = 1; }",
        expect![[r#""A.a": int32 cannot be read as sint32"#]],
    );
    check("message A { int32 a = 1; string b = 2; }", "message A { string b = 2; }", expect![[""]]);
    check("message A {} message B {}", "message A {}", expect![[r#""B": the reader has no such message"#]]);
    check(
        "message A { B b = 1; message B { int32 c = 1; } }",
        "message A { B b = 1; message B { string c = 1; } }",
        expect![[r#""A.b.c": int32 cannot be read as string"#]],
    );
    check(
        "message A { repeated int32 a = 1; }",
        "message A { int32 a = 1; }",
        expect![[r#""A.a": one number and several are not written alike"#]],
    );
    check("message A { string a = 1; }", "message A { repeated string a = 1; }", expect![[""]]);
    check(
        "message A { int32 a = 1; int32 b = 2; }",
        "message A { oneof c { int32 a = 1; int32 b = 2; } }",
        expect![[r#""A": fields that stood beside each other are the choice "c" of the reader"#]],
    );
    check("message A { int32 a = 1; }", "message A { oneof c { int32 a = 1; int32 b = 2; } }", expect![[""]]);
    check(
        "message A { oneof c { int32 a = 1; int32 b = 2; } }",
        "message A { oneof c { int32 a = 1; } }",
        expect![[r#""A.b": one of a choice is gone: which of them was written could not be told"#]],
    );
    check(
        "message A { map<string, int32> a = 1; }",
        "message A { map<string, string> a = 1; }",
        expect![[r#"
            "A.a": int32 cannot be read as string
            "A.AEntry.value": int32 cannot be read as string"#]],
    );
    check(
        "message A { message B { int32 c = 1; } }",
        "message A { message B { string c = 1; } }",
        expect![[r#""A.B.c": int32 cannot be read as string"#]],
    );
    check("message A { A a = 1; }", "message A { A a = 1; A b = 2; }", expect![[""]]);
    check("enum E { Z = 0; O = 1; } message A { E e = 1; }", "enum E { Z = 0; } message A { E e = 1; }", expect![[""]]);
    check(
        "package a; message A {}",
        "package b; message A {}",
        expect![[r#"the package is "b", not the writer's "a""#]],
    );
}

#[test]
fn what_must_be_there_must_be_written() {
    let (old, new) = (
        "syntax = \"proto2\"; message A { optional int32 a = 1; }",
        "syntax = \"proto2\"; message A { required int32 a = 1; }",
    );
    expect![[r#""A.a": it is required, and the writer does not always write it"#]]
        .assert_eq(&can_read(&schema(new), &schema(old)).join("\n"));
}
