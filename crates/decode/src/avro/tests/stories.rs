//! What plans want of Avro, framings, times, and schemas that come while it runs.

use arrow::datatypes::DataType;
use expect_test::expect;
use weir_model::{Decoder, EventTime, FieldKind, KnownSchema, Remembers, SchemaId, SchemaLanguage, Wanted};
use weir_schema::RegistryConfig;
use weir_schema::avro::Schema;

use super::{config, decode};
use crate::avro::default::long;
use crate::avro::{AvroConfig, AvroDecoder, AvroFraming};
use crate::typed::trial::{all, raw, text, these};

const ORDER: &str = r#"{"type":"record","name":"Order","fields":[
    {"name":"id","type":"long"},
    {"name":"status","type":{"type":"enum","name":"Status","symbols":["new","paid"]}},
    {"name":"ts","type":{"type":"long","logicalType":"timestamp-millis"}},
    {"name":"price","type":["null",{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}]},
    {"name":"customer","type":["null",{"type":"record","name":"Customer","fields":[
        {"name":"name","type":"string"},{"name":"address","type":{"type":"record","name":"Address","fields":[{"name":"city","type":"string"}]}}]}]},
    {"name":"tags","type":{"type":"map","values":"string"}}]}"#;

fn string(text: &str, out: &mut Vec<u8>) {
    long(text.len() as i64, out);
    out.extend_from_slice(text.as_bytes());
}

fn order(id: i64, city: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    long(id, &mut out);
    long(id % 2, &mut out);
    long(1_700_000_000_000 + id, &mut out);
    out.extend_from_slice(&[2, 4, 0x01, 0x00]);
    match city {
        Some(city) => {
            long(1, &mut out);
            string("a name of more than twelve", &mut out);
            string(city, &mut out);
        }
        None => long(0, &mut out),
    }
    long(2, &mut out);
    string("env", &mut out);
    string("prod", &mut out);
    string("a.b", &mut out);
    string("dotted", &mut out);
    long(0, &mut out);
    out
}

fn value(data_type: DataType) -> FieldKind {
    FieldKind::Value(data_type)
}

#[test]
fn every_field_is_a_column() {
    expect![[r#"
        {"customer":null,"id":1,"price":"256","status":"paid","tags":{"a.b":"dotted","env":"prod"},"ts":1700000000001000}
        {"customer":{"address":{"city":"Oslo"},"name":"a name of more than twelve"},"id":2,"price":"256","status":"new","tags":{"a.b":"dotted","env":"prod"},"ts":1700000000002000}"#]]
    .assert_eq(&text(&decode(&config(ORDER), &all(), &[order(1, None), order(2, Some("Oslo"))])));
}

#[test]
fn only_what_a_plan_wants_is_built_also_from_within_records_and_maps() {
    let wanted = these(&[
        ("tags.env", FieldKind::Key),
        ("customer.address.city", FieldKind::Key),
        ("price", value(DataType::Float64)),
        ("tags.a.b", value(DataType::Utf8View)),
        ("id", value(DataType::Utf8View)),
        ("status", FieldKind::Key),
        ("nowhere", value(DataType::Int64)),
    ]);
    expect![[r#"
        {"customer.address.city":null,"id":"1","nowhere":null,"price":2.56,"status":"paid","tags.a.b":"dotted","tags.env":"prod"}
        {"customer.address.city":"Oslo","id":"2","nowhere":null,"price":2.56,"status":"new","tags.a.b":"dotted","tags.env":"prod"}"#]]
    .assert_eq(&text(&decode(&config(ORDER), &wanted, &[order(1, None), order(2, Some("Oslo"))])));
}

#[test]
fn a_record_that_is_wanted_whole_and_in_part_is_read_for_both_and_as_text_it_is_json() {
    let wanted = these(&[("customer.name", FieldKind::Key), ("customer", value(DataType::Utf8View))]);
    expect![[r#"{"customer":"{\"name\":\"a name of more than twelve\",\"address\":{\"city\":\"Oslo\"}}","customer.name":"a name of more than twelve"}"#]]
        .assert_eq(&text(&decode(&config(ORDER), &wanted, &[order(2, Some("Oslo"))])));
}

#[test]
fn the_event_time_is_read_from_its_field_and_too_early_ones_are_rejected() {
    let wanted = Wanted {
        time_field: Some("ts".into()),
        not_before: EventTime::from_micros(1_700_000_000_002_000),
        ..these(&[("id", value(DataType::Int64)), ("ts", value(crate::columns::time_type()))])
    };
    let decoded = decode(&config(ORDER), &wanted, &[order(1, None), order(2, None)]);
    assert_eq!(decoded.batches[0].times.to_vec(), [1_700_000_000_002_000]);
    expect![[r#"
        {"id":2,"ts":1700000000002000}
        0: time field "ts" is 2023-11-14T22:13:20.001Z, which is before not_before 2023-11-14T22:13:20.002Z"#]]
    .assert_eq(&text(&decoded));
}

#[test]
fn a_value_that_is_no_record_is_the_column_value() {
    expect![[r#"{"value":7}"#]].assert_eq(&text(&decode(&config("\"long\""), &all(), &[vec![14]])));
}

#[test]
fn a_record_within_itself_is_kept_as_json() {
    let list =
        r#"{"type":"record","name":"L","fields":[{"name":"v","type":"int"},{"name":"next","type":["null","L"]}]}"#;
    expect![[r#"{"next":"{\"v\":2,\"next\":{\"v\":3,\"next\":null}}","v":1}"#]].assert_eq(&text(&decode(
        &config(list),
        &all(),
        &[vec![2, 2, 4, 2, 6, 0]],
    )));
}

#[test]
fn single_objects_are_known_by_their_fingerprint() {
    let older = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;
    let newer = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"long"},{"name":"b","type":"string","default":"-"}]}"#;
    let config = AvroConfig {
        framing: Some(AvroFraming::SingleObject),
        written_with: vec![weir_schema::SchemaSource::Text(older.to_owned())],
        ..config(newer)
    };
    let framed = |schema: &str, value: &[u8]| {
        let fingerprint = Schema::parse(schema).expect("a schema").fingerprint().to_le_bytes();
        [&[0xc3, 0x01][..], &fingerprint, value].concat()
    };
    let records = [framed(older, &[14]), framed(newer, &[16, 2, b'x']), framed("\"int\"", &[2]), vec![1, 2, 3]];
    expect![[r#"
        {"a":7,"b":"-"}
        {"a":8,"b":"x"}
        2: no schema of the fingerprint 0x7275d51a3f395c8f is given; add it to written_with of the format
        3: record of 3 bytes begins with [01, 02]; expected single-object encoding: 0xc3 0x01, the schema's fingerprint in 8 bytes, the value"#]]
    .assert_eq(&text(&decode(&config, &all(), &records)));
}

fn known(text: &str) -> KnownSchema {
    KnownSchema { language: SchemaLanguage::Avro, text: text.into(), references: Vec::new() }
}

fn confluent(id: u8, value: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, id], value].concat()
}

#[test]
fn schemas_are_wanted_once_and_the_columns_grow_with_them() {
    let config = AvroConfig { registry: Some(RegistryConfig::at("http://registry")), ..AvroConfig::default() };
    let mut decoder = AvroDecoder::new(&config, &all()).expect("a decoder");
    assert_eq!(decoder.remembers(), Remembers::Everything);
    let batch = raw(&[confluent(1, &[14]), confluent(2, &[16, 2, b'x']), confluent(3, &[0]), confluent(1, &[18])]);
    let decoded = decoder.decode(&batch);
    assert_eq!(decoded.wanted_schemas, [SchemaId(1), SchemaId(2), SchemaId(3)]);
    assert!(decoded.batches.is_empty() && decoded.rejected.is_empty());
    let one = known(r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#);
    let two =
        known(r#"{"type":"record","name":"R","fields":[{"name":"a","type":"long"},{"name":"b","type":"string"}]}"#);
    decoder.learn(SchemaId(1), Ok(&one));
    decoder.learn(SchemaId(2), Ok(&two));
    decoder.learn(SchemaId(3), Err("it is not there"));
    expect![[r#"
        {"a":7}
        {"a":8,"b":"x"}
        {"a":9,"b":null}
        2: schema 3 of the registry: it is not there"#]]
    .assert_eq(&text(&decoder.decode(&batch)));
    assert_eq!(decoder.decode(&batch).wanted_schemas, [SchemaId(3)], "what was missing may be there by now");
}

#[test]
fn a_column_keeps_its_type_when_a_schema_changes_it_but_whole_numbers_become_floats() {
    let config = AvroConfig { registry: Some(RegistryConfig::at("http://registry")), ..AvroConfig::default() };
    let mut decoder = AvroDecoder::new(&config, &all()).expect("a decoder");
    let of = |ty: &str| known(&format!(r#"{{"type":"record","name":"R","fields":[{{"name":"a","type":"{ty}"}}]}}"#));
    for (id, ty) in [(1, "int"), (2, "double"), (3, "string")] {
        decoder.learn(SchemaId(id), Ok(&of(ty)));
    }
    let half = 0.5_f64.to_le_bytes();
    let records = [confluent(1, &[14]), confluent(2, &half), confluent(3, &[2, b'x']), confluent(1, &[16])];
    expect![[r#"
        {"a":7}
        {"a":0.5}
        {"a":8.0}
        2: not the Avro of its schema, field "a" at byte 5: is "x"; expected a number"#]]
    .assert_eq(&text(&decoder.decode(&raw(&records))));
}

#[test]
fn a_decoder_without_a_schema_is_refused() {
    let error = AvroDecoder::new(&AvroConfig::default(), &all()).expect_err("no schema");
    expect!["avro with framing binary needs a schema; add schema: { file: ... }, or a registry"]
        .assert_eq(&error.to_string());
}
