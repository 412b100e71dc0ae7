//! What columns become in Avro, and that they are the same when they are read again.

use expect_test::{Expect, expect};
use weir_decode::{AvroConfig, FormatConfig};
use weir_schema::SchemaSource;
use weir_schema::avro::Schema;

use super::{records, schema_of};
use crate::encode::trial::{read_back, rows, texts, told, wholes};

fn format(schema: &str) -> FormatConfig {
    let schema = Some(SchemaSource::Text(schema.to_owned()));
    FormatConfig::Avro(Box::new(AvroConfig { schema, ..AvroConfig::default() }))
}

#[test]
fn every_type_of_column_is_the_same_when_it_is_read_again() {
    let rows = rows();
    let schema = schema_of("shop.Order", rows.schema_ref().fields()).to_string();
    expect![[r#"{"fields":[{"default":null,"name":"flag","type":["null","boolean"]},{"default":null,"name":"small","type":["null","int"]},{"default":null,"name":"whole","type":["null","long"]},{"default":null,"name":"large","type":["null",{"logicalType":"decimal","precision":20,"scale":0,"type":"bytes"}]},{"default":null,"name":"short","type":["null","float"]},{"default":null,"name":"float","type":["null","double"]},{"default":null,"name":"text","type":["null","string"]},{"default":null,"name":"status","type":["null","string"]},{"default":null,"name":"bytes","type":["null","bytes"]},{"default":null,"name":"day","type":["null",{"logicalType":"date","type":"int"}]},{"default":null,"name":"clock","type":["null",{"logicalType":"time-micros","type":"long"}]},{"default":null,"name":"millis","type":["null",{"logicalType":"timestamp-millis","type":"long"}]},{"default":null,"name":"micros","type":["null",{"logicalType":"timestamp-micros","type":"long"}]},{"default":null,"name":"nanos","type":["null",{"logicalType":"timestamp-nanos","type":"long"}]},{"default":null,"name":"local","type":["null",{"logicalType":"local-timestamp-micros","type":"long"}]},{"default":null,"name":"price","type":["null",{"logicalType":"decimal","precision":9,"scale":2,"type":"bytes"}]},{"default":null,"name":"huge","type":["null",{"logicalType":"decimal","precision":60,"scale":10,"type":"bytes"}]},{"default":null,"name":"customer","type":["null",{"fields":[{"default":null,"name":"name","type":["null","string"]},{"default":null,"name":"born","type":["null",{"logicalType":"date","type":"int"}]}],"name":"Order_customer","type":"record"}]},{"default":null,"name":"items","type":["null",{"items":["null","long"],"type":"array"}]},{"default":null,"doc":"column tags.of it","name":"tags_of_it","type":["null",{"type":"map","values":["null","double"]}]},{"default":null,"name":"nothing","type":"null"}],"name":"Order","namespace":"shop","type":"record"}"#]].assert_eq(&schema);
    let written = records(&Schema::parse(&schema).expect("a schema"), &rows).expect("it fits");
    let written: Vec<Vec<u8>> = written.into_iter().map(|record| record.expect("it fits")).collect();
    expect![[r#"
        {"flag":true,"small":-2147483648,"whole":-9223372036854775808,"large":"18446744073709551615","short":0.5,"float":1e300,"text":"漢\n","status":"paid","bytes":"/wA=","day":"2024-10-04T00:00:00Z","clock":"23:59:59.999999","millis":"1969-12-31T23:59:59.999Z","micros":"1969-12-31T23:59:59.999999Z","nanos":"1969-12-31T23:59:59.999999Z","local":"1970-01-01T00:00:00.000001Z","price":"-123.45","huge":"17014118346046923173168730371.5884105727","customer":{"name":"Żaneta","born":"1969-12-31T00:00:00Z"},"items":[1,-2,3],"tags_of_it":{"a":0.5,"b":-1.0}}
        {"flag":null,"small":null,"whole":null,"large":null,"short":null,"float":null,"text":null,"status":null,"bytes":null,"day":null,"clock":null,"millis":null,"micros":null,"nanos":null,"local":null,"price":null,"huge":null,"customer":null,"items":null,"tags_of_it":null}
    "#]].assert_eq(&read_back(&format(&schema), &written));
}

fn check(schema: &str, rows: &arrow::array::RecordBatch, expected: Expect) {
    let schema = Schema::parse(schema).expect("a schema");
    expected.assert_eq(&told(records(&schema, rows)));
}

fn record(of: &str) -> String {
    format!(r#"{{"type":"record","name":"R","fields":[{{"name":"c","type":{of}}}]}}"#)
}

#[test]
fn rows_are_written_as_a_schema_says_and_those_that_do_not_fit_are_told_apart() {
    let symbols = record(r#"{"type":"enum","name":"E","symbols":["new","paid"]}"#);
    check(
        &symbols,
        &texts("c", &[Some("paid"), Some("lost"), None]),
        expect![[r#"
        [2]
        column "c": is "lost", which is no symbol of the enum E
        column "c": is null; the schema wants E"#]],
    );
    let default = record(r#"{"type":"enum","name":"E","symbols":["new","paid"],"default":"new"}"#);
    check(&default, &texts("c", &[Some("lost")]), expect!["[0]"]);
    check(
        &record(r#""int""#),
        &wholes("c", &[Some(1), Some(1 << 31)]),
        expect![[r#"
        [2]
        column "c": is 2147483648; the schema wants 32 bits"#]],
    );
    check(
        &record(r#"["string","long","null"]"#),
        &wholes("c", &[Some(1), None]),
        expect![[r#"
            [2, 2]
            [4]"#]],
    );
    check(&record(r#"["long","null"]"#), &texts("other", &[Some("x")]), expect!["[2]"]);
    check(
        &record(r#""long""#),
        &texts("other", &[Some("x")]),
        expect![[r#"none: column "c": the schema wants it, and there is no such column"#]],
    );
    check(
        &record(r#""long""#),
        &texts("c", &[Some("x")]),
        expect![[r#"none: column "c": is Utf8; the schema wants long"#]],
    );
    let decimal = record(r#"{"type":"fixed","name":"F","size":2,"logicalType":"decimal","precision":4,"scale":2}"#);
    check(
        &decimal,
        &wholes("c", &[Some(-1), Some(99), Some(100)]),
        expect![[r#"
        [255, 156]
        [38, 172]
        column "c": is a decimal that 4 digits, 2 of them after the point, do not hold"#]],
    );
    check(r#""long""#, &wholes("c", &[Some(1)]), expect!["none: the schema is long; rows are records"]);
}
