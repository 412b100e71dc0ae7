//! Schemas that are right, wrong, the same, and compatible.

use expect_test::{Expect, expect};

use super::{Kind, Logical, Schema, can_read};

fn schema(text: &str) -> Schema {
    Schema::parse(text).expect("a schema")
}

fn wrong(text: &str, expected: Expect) {
    expected.assert_eq(&Schema::parse(text).expect_err("not a schema").to_string());
}

#[test]
fn the_canonical_form_keeps_what_a_reader_of_bytes_needs_and_nothing_else() {
    let text = r#"{"type":"record","namespace":"a.b","name":"R","doc":"x","aliases":["Old"],"fields":[
        {"name":"n","type":{"type":"long","logicalType":"timestamp-millis"},"default":1,"order":"ignore"},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"],"default":"A"}},
        {"name":"again","type":["null","E"]},{"name":"self","type":["null","R"]},
        {"name":"f","type":{"type":"fixed","name":"c.F","size":16}},
        {"name":"m","type":{"type":"map","values":{"type":"array","items":"string"}}}]}"#;
    expect![[r#"{"name":"a.b.R","type":"record","fields":[{"name":"n","type":"long"},{"name":"e","type":{"name":"a.b.E","type":"enum","symbols":["A","B"]}},{"name":"again","type":["null","a.b.E"]},{"name":"self","type":["null","a.b.R"]},{"name":"f","type":{"name":"c.F","type":"fixed","size":16}},{"name":"m","type":{"type":"map","values":{"type":"array","items":"string"}}}]}"#]]
        .assert_eq(&schema(text).canonical());
}

#[test]
fn fingerprints_are_those_of_the_reference_implementation() {
    // From Apache Avro's share/test/data/schema-tests.txt.
    assert_eq!(schema("\"null\"").fingerprint() as i64, 7195948357588979594);
    assert_eq!(schema("\"boolean\"").fingerprint() as i64, -6970731678124411036);
    assert_eq!(schema("\"int\"").fingerprint() as i64, 8247732601305521295);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    wrong("{", expect!["not an Avro schema: EOF while parsing an object at line 1 column 1"]);
    wrong(
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":"Lost"}}]}"#,
        expect![[
            r#"not an Avro schema, at a.items: no type "Lost" was defined before; define it or add the reference"#
        ]],
    );
    wrong(r#"["int","int"]"#, expect!["not an Avro schema, at its root: branch 1 of the union is there twice"]);
    wrong(
        r#"{"type":"enum","name":"E","symbols":["A"],"default":"B"}"#,
        expect![[r#"not an Avro schema, at its root: default "B" is none of the symbols"#]],
    );
}

#[test]
fn logical_types_that_do_not_go_with_their_type_are_none() {
    let logical = |text| schema(text).node(schema(text).root()).logical;
    assert_eq!(logical(r#"{"type":"int","logicalType":"timestamp-millis"}"#), None);
    assert_eq!(logical(r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":9}"#), None);
    assert_eq!(
        logical(r#"{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}"#),
        Some(Logical::Decimal { precision: 9, scale: 2 })
    );
}

#[test]
fn references_are_known_by_their_full_name() {
    let money = r#"{"type":"record","name":"shop.Money","fields":[{"name":"cents","type":"long"}]}"#;
    let order = r#"{"type":"record","name":"shop.Order","fields":[{"name":"price","type":"Money"}]}"#;
    let schema = Schema::parse_with(order, &[money]).expect("a schema");
    let Kind::Record(record) = schema.kind(schema.root()) else { panic!("a record") };
    assert_eq!(schema.word(record.fields[0].node), "Money");
}

#[test]
fn nesting_has_a_limit() {
    let deep =
        (0..super::NESTING_MAX + 1).fold("\"int\"".to_owned(), |of, _| format!(r#"{{"type":"array","items":{of}}}"#));
    assert!(Schema::parse(&deep).expect_err("too deep").to_string().contains("nested deeper than 64"));
}

#[test]
fn a_reader_says_everything_that_it_cannot_read() {
    let writer = schema(
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"long"},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B"]}},{"name":"u","type":["null","string"]}]}"#,
    );
    let reader = schema(
        r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["A"]}},{"name":"u","type":"string"},
        {"name":"new","type":"int"},{"name":"fine","type":"int","default":1}]}"#,
    );
    let found: Vec<String> = can_read(&reader, &writer).iter().map(ToString::to_string).collect();
    expect![[r#"
        field "a": long cannot be read as int
        field "e": enum "E" has no symbol "B" and no default
        field "u": null cannot be read as string
        field "new": the writer has no such field, and there is no default"#]]
    .assert_eq(&found.join("\n"));
    assert_eq!(can_read(&writer, &writer), []);
}

#[test]
fn a_list_that_holds_itself_is_compared_once() {
    let list = schema(
        r#"{"type":"record","name":"L","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","L"]}]}"#,
    );
    assert_eq!(can_read(&list, &list), []);
}
