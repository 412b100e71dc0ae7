//! Schemas that change: what one writes another reads, against Apache's own implementation and by example.

use apache_avro::{Schema, from_avro_datum, to_avro_datum};
use expect_test::{Expect, expect};
use proptest::prelude::{any, proptest};
use proptest::test_runner::Config;
use serde_json::{Value, json};
use weir_schema::SchemaSource;

use super::random::{Ty, fresh};
use super::{config, decode};
use crate::avro::AvroConfig;
use crate::typed::shown;
use crate::typed::trial::{Dice, all, text};

/// A schema that reads what `ty` writes: fields left out, moved, widened and added. And the changed type. (The oracle knows
/// no aliases of fields: they have an example of their own.)
fn evolved(ty: &Ty, dice: &mut Dice, names: &mut usize) -> (Value, Ty) {
    let Ty::Record(name, fields) = ty else { return (ty.schema(), ty.clone()) };
    let (mut written, mut known) = (Vec::new(), Vec::new());
    for (name, ty) in fields {
        let widened = match (ty, dice.below(3)) {
            (Ty::Int, 0) => Ty::Long,
            (Ty::Int | Ty::Float, 1) => Ty::Double,
            (Ty::Long, 1) => Ty::Double,
            (other, _) => other.clone(),
        };
        let (schema, ty) = match &widened {
            Ty::Record(..) => evolved(&widened, dice, names),
            other => (other.schema(), other.clone()),
        };
        match dice.below(5) {
            0 => {}
            1 => {
                written.insert(0, json!({ "name": name, "type": schema }));
                known.insert(0, (name.clone(), ty));
            }
            _ => {
                written.push(json!({ "name": name, "type": schema }));
                known.push((name.clone(), ty));
            }
        }
    }
    let added = fresh(names);
    written.push(json!({ "name": added, "type": "long", "default": 42 }));
    known.push((added, Ty::Long));
    (json!({ "type": "record", "name": name, "fields": written }), Ty::Record(name.clone(), known))
}

proptest! {
    #![proptest_config(Config::with_cases(400))]

    #[test]
    fn a_newer_schema_reads_what_the_oracle_reads(seed in any::<u64>()) {
        let (mut dice, mut names) = (Dice(seed), 0);
        let ty = Ty::record(&mut dice, &mut names, 2);
        let (reader, known) = evolved(&ty, &mut dice, &mut names);
        let writer = ty.schema().to_string();
        if writer.contains("decimal") {
            // The oracle refuses to resolve decimals of fewer bytes than their precision allows.
            return Ok(());
        }
        let value = ty.value(&mut dice);
        let schema = Schema::parse_str(&writer).expect("the oracle reads it");
        let record = to_avro_datum(&schema, value).expect("the oracle writes it");
        let reader_schema = Schema::parse_str(&reader.to_string()).expect("the oracle reads it");
        let read = from_avro_datum(&schema, &mut record.as_slice(), Some(&reader_schema)).expect("the oracle resolves it");
        let config = AvroConfig { written_with: vec![SchemaSource::Text(writer.clone())], ..config(&reader.to_string()) };
        let decoded = decode(&config, &all(), &[record]);
        assert!(decoded.rejected.is_empty(), "{writer}\n{reader}\n{:?}", decoded.rejected[0].reason);
        assert_eq!(shown::row(&decoded.batches[0].columns, 0), known.column(&read), "{writer}\n{reader}");
    }
}

/// `value` written as `writer` and read as `reader`, each the type of the one field `a`.
fn check(writer: Value, reader: Value, record: &[u8], expected: Expect) {
    let schema = |ty: Value| {
        let mut field = json!({ "name": "a" });
        match ty {
            Value::Object(mut own) if own.contains_key("field") => {
                field["type"] = own.remove("field").expect("it is there");
                field.as_object_mut().expect("an object").extend(own);
            }
            ty => field["type"] = ty,
        }
        json!({ "type": "record", "name": "R", "fields": [field] }).to_string()
    };
    let config = AvroConfig { written_with: vec![SchemaSource::Text(schema(writer))], ..config(&schema(reader)) };
    expected.assert_eq(&text(&decode(&config, &all(), &[record.to_vec()])));
}

#[test]
fn numbers_are_widened_and_never_narrowed() {
    check(json!("int"), json!("double"), &[14], expect![[r#"{"a":7.0}"#]]);
    check(
        json!("long"),
        json!("int"),
        &[14],
        expect![[
            r#"0: not the Avro of its schema, field "a" at byte 0: is long in the writer's schema, which cannot be read as int"#
        ]],
    );
}

#[test]
fn a_field_goes_by_its_alias() {
    let reader = r#"{"type":"record","name":"R","fields":[{"name":"b","aliases":["old","a"],"type":"int"}]}"#;
    let writer = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
    let config = AvroConfig { written_with: vec![SchemaSource::Text(writer.to_owned())], ..config(reader) };
    expect![[r#"{"b":7}"#]].assert_eq(&text(&decode(&config, &all(), &[vec![14]])));
}

#[test]
fn text_and_bytes_become_each_other_if_they_can() {
    check(json!("string"), json!("bytes"), &[4, b'h', b'i'], expect![[r#"{"a":"6869"}"#]]);
    check(json!("bytes"), json!("string"), &[4, b'h', b'i'], expect![[r#"{"a":"hi"}"#]]);
    check(
        json!("bytes"),
        json!("string"),
        &[2, 0xff],
        expect![[r#"0: not the Avro of its schema, field "a" at byte 0: is "�"; expected text in UTF-8"#]],
    );
}

#[test]
fn a_symbol_that_the_reader_does_not_know_is_its_default_or_rejected() {
    let of = |symbols: &[&str], default: Value| json!({ "type": "enum", "name": "E", "symbols": symbols, "default": default });
    let writer = || of(&["A", "B", "C"], Value::Null);
    check(writer(), of(&["X", "B"], json!("X")), &[4], expect![[r#"{"a":"X"}"#]]);
    check(writer(), of(&["X", "B"], json!("X")), &[2], expect![[r#"{"a":"B"}"#]]);
    check(
        writer(),
        of(&["X", "B"], Value::Null),
        &[4],
        expect![[
            r#"0: not the Avro of its schema, field "a" at byte 0: symbol "C" is not known to the reader, and it has no default"#
        ]],
    );
}

#[test]
fn unions_are_resolved_branch_by_branch() {
    check(json!("int"), json!(["null", "long"]), &[14], expect![[r#"{"a":7}"#]]);
    check(json!(["null", "int"]), json!("int"), &[2, 14], expect![[r#"{"a":7}"#]]);
    check(
        json!(["null", "int"]),
        json!("int"),
        &[0],
        expect![[
            r#"0: not the Avro of its schema, field "a" at byte 1: is null in the writer's schema, which cannot be read as int"#
        ]],
    );
    check(
        json!(["int", "string"]),
        json!(["string", "long", "boolean"]),
        &[0, 14],
        expect![[r#"{"a":{"boolean":null,"long":7,"string":null}}"#]],
    );
    check(
        json!(["int", "bytes"]),
        json!(["int", "boolean"]),
        &[2, 0],
        expect![[r#"0: not the Avro of its schema, field "a" at byte 1: the reader's union takes no bytes"#]],
    );
}

#[test]
fn what_the_writer_lacks_is_the_default_of_whatever_type() {
    let reader = json!({ "type": "record", "name": "R", "fields": [
        { "name": "r", "type": { "type": "record", "name": "S", "fields": [
            { "name": "x", "type": "int" }, { "name": "y", "type": "string", "default": "far longer than twelve" }] },
          "default": { "x": 3 } },
        { "name": "l", "type": { "type": "array", "items": "long" }, "default": [1, -2] },
        { "name": "m", "type": { "type": "map", "values": "bytes" }, "default": { "k": "\u{ff}" } },
        { "name": "u", "type": ["null", "string"], "default": null },
        { "name": "lost", "type": ["string", "null"], "default": "here" }] });
    let writer = r#"{"type":"record","name":"R","fields":[{"name":"z","type":"int"}]}"#;
    let config =
        AvroConfig { written_with: vec![SchemaSource::Text(writer.to_owned())], ..config(&reader.to_string()) };
    expect![[r#"{"l":[1,-2],"lost":"here","m":{"k":"ff"},"r":{"x":3,"y":"far longer than twelve"},"u":null}"#]]
        .assert_eq(&sorted(&text(&decode(&config, &all(), &[vec![2]]))));
}

fn sorted(line: &str) -> String {
    let value: std::collections::BTreeMap<String, Value> = serde_json::from_str(line).expect("JSON");
    serde_json::to_string(&value).expect("JSON")
}
