//! Rows that are written to topics in every format, and read back from there: what comes out is what went in.

use std::fmt::Write;
use std::fs;

use serde_json::{Value, json};
use weir_kafka_broker::{Cluster, Isolation, Record};

use crate::formats::registry;
use crate::harness::{Place, well};

const ROWS: i64 = 300;

const AVRO: &str = r#"{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"id","type":"long"},{"name":"name","type":"string"},{"name":"price","type":["null","double"]},{"name":"ok","type":"boolean"},{"name":"at","type":"string"}]}"#;

const PROTO: &str = "syntax = \"proto3\"; package shop; message Other { int32 o = 1; } message Shop { message Order { \
                     int64 id = 1; string name = 2; optional double price = 3; bool ok = 4; string at = 5; } }";

fn row(id: i64) -> Value {
    // What CSV has to put into quotes, and what is long enough to be kept elsewhere than short texts.
    let name = ["", "a", "näme, \"quoted\"\nand longer than twelve bytes", "null", " spaces "][id as usize % 5];
    let price = if id % 3 == 0 { Value::Null } else { json!(id as f64 / 4.0) };
    json!({ "id": id, "name": name, "price": price, "ok": id % 2 == 0, "at": format!("2026-11-21T08:00:{:02}Z", id % 60) })
}

fn rows() -> String {
    (0..ROWS).fold(String::new(), |mut text, id| {
        let _ = writeln!(text, "{}", row(id));
        text
    })
}

/// What a topic holds, read as `format`.
fn read_back(kafka: &Cluster, topic: &str, format: &str, schema: &str) -> Vec<Value> {
    let place = Place::new();
    let pipeline = format!(
        "name: back\nsources:\n  orders:\n    kafka: {{ brokers: [{:?}], topics: [{topic}], follow: false }}\n    \
         format: {format}\n    schema: {schema}\nsteps:\n  - select: {{ id: id, name: name, price: price, ok: ok, at: at }}\n\
         outputs:\n  - file: {{ path: back.ndjson, format: ndjson }}\n",
        kafka.bootstrap()
    );
    well(&place.run(&place.write("back.yaml", pipeline), &[]));
    let text = fs::read_to_string(place.path("back.ndjson")).unwrap();
    let mut rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    rows.sort_by_key(|row| row["id"].as_i64());
    rows
}

/// A field of a message that is a number, and one that has a length.
fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

fn sized(field: u8, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u64;
    let mut out = vec![(field << 3) | 2];
    if length >= 0x80 {
        out.push(length as u8 | 0x80);
    }
    out.push(if length >= 0x80 { (length >> 7) as u8 } else { length as u8 });
    [out, bytes.to_vec()].concat()
}

/// The same message as `PROTO` has, as `protoc` would describe it (proto2, in which every field can be missing).
fn descriptor_set() -> Vec<u8> {
    let field = |name: &str, of: u8, kind: u8| {
        let parts = [sized(1, name.as_bytes()), number(3, of), number(4, 1), number(5, kind)];
        sized(2, &parts.concat())
    };
    let (long, double, boolean, string) = (3, 1, 8, 9);
    let fields = [
        field("id", 1, long),
        field("name", 2, string),
        field("price", 3, double),
        field("ok", 4, boolean),
        field("at", 5, string),
    ];
    let order = [sized(1, b"Order"), fields.concat()].concat();
    let shop = [sized(1, b"Shop"), sized(3, &order)].concat();
    let file = [sized(1, b"shop.proto"), sized(2, b"shop"), sized(4, &shop)].concat();
    sized(1, &file)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_written_in_every_format_are_read_back_as_they_were() {
    let kafka = Cluster::start(1).expect("a broker");
    let topics = ["as-json", "as-csv", "as-avro", "as-single", "as-proto", "as-raw"];
    let with_registry = ["with-avro", "with-proto", "with-json"];
    for topic in topics.into_iter().chain(with_registry) {
        kafka.topic(topic, 2).await.expect("a topic");
    }
    let place = Place::new();
    let (_registry, url) = registry(&place);
    place.write("in.ndjson", rows());
    place.write("order.avsc", AVRO);
    place.write("order.proto", PROTO);
    let output = |topic: &str, format: &str| {
        format!("  - kafka: {{ brokers: [{:?}], topic: {topic}, key: id, format: {format} }}\n", kafka.bootstrap())
    };
    let outputs = [
        output("as-json", "json"),
        output("as-csv", "csv"),
        output("as-avro", "{ avro: { schema: { file: order.avsc } } }"),
        output("as-single", "{ avro: { schema: { file: order.avsc }, framing: single_object } }"),
        output("as-proto", "{ protobuf: { schema: { file: order.proto }, message: shop.Shop.Order } }"),
        output("as-raw", "{ raw: { column: name } }"),
        // The second message of the schema, within its second one.
        output(
            "with-proto",
            &format!(
                "{{ protobuf: {{ schema: {{ file: order.proto }}, message: shop.Shop.Order, registry: {{ urls: [{url:?}] }} }} }}"
            ),
        ),
        output("with-avro", &format!("{{ avro: {{ registry: {{ urls: [{url:?}] }} }} }}")),
        output("with-json", &format!("{{ json_schema: {{ registry: {{ urls: [{url:?}] }} }} }}")),
    ];
    let pipeline = format!(
        "name: out\nsources:\n  orders:\n    file: {{ paths: [in.ndjson], follow: false }}\n    format: json\n    \
         schema: {{ id: int64, price: float64, ok: bool }}\nsteps:\n  \
         - select: {{ id: id, name: name, price: price, ok: ok, at: at }}\noutputs:\n{}",
        outputs.concat()
    );
    well(&place.run(&place.write("out.yaml", pipeline), &[]));
    for topic in topics.into_iter().chain(with_registry) {
        kafka.settled(topic).expect("every transaction is decided");
    }
    let expected: Vec<Value> = (0..ROWS).map(row).collect();
    let set = place.write("order.desc", descriptor_set());
    let (avsc, proto) = (place.path("order.avsc"), place.path("order.proto"));
    let csv = "{ csv: { columns: [id, name, price, ok, at] } }";
    let typed = "{ id: int64, price: float64, ok: bool }";
    for (topic, format, schema) in [
        ("as-json", "json".to_owned(), typed),
        ("as-csv", csv.to_owned(), typed),
        ("as-avro", format!("{{ avro: {{ schema: {{ file: {avsc:?} }} }} }}"), "{}"),
        ("as-single", format!("{{ avro: {{ schema: {{ file: {avsc:?} }}, framing: single_object }} }}"), "{}"),
        ("as-proto", format!("{{ protobuf: {{ schema: {{ file: {proto:?} }}, message: shop.Shop.Order }} }}"), "{}"),
        (
            "as-proto",
            format!("{{ protobuf: {{ descriptor_set: {{ file: {set:?} }}, message: shop.Shop.Order }} }}"),
            "{}",
        ),
        ("with-proto", format!("{{ protobuf: {{ registry: {{ urls: [{url:?}] }} }} }}"), typed),
        ("with-avro", format!("{{ avro: {{ registry: {{ urls: [{url:?}] }} }} }}"), typed),
        ("with-json", "{ json: { framing: confluent } }".to_owned(), typed),
    ] {
        let rows = read_back(&kafka, topic, &format, schema);
        assert!(rows == expected, "{topic}: {} rows, the first {:?}", rows.len(), rows.first());
    }
    let mut raw: Vec<Record> = kafka.read("as-raw", Isolation::Committed).expect("read");
    raw.sort_by_key(|record| record.key.as_ref().and_then(|key| key.parse::<i64>().ok()));
    assert!(raw.iter().zip(&expected).all(|(record, row)| record.value.as_deref() == row["name"].as_str()));
    assert_eq!(raw.len() as i64, ROWS);
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_csv_in_files_and_in_topics_are_no_rows() {
    let kafka = Cluster::start(1).expect("a broker");
    kafka.topic("lines", 1).await.expect("a topic");
    let record = |value: &str| Record::new(0, value);
    // An export that begins with its header, one whose every record has it, and one that began anew.
    let lines = ["id,name", "1,a", "id,name\r\n2,\"b, c\"\r\n", "id,name", "3,d\n", "4", "5,e\n6,f"];
    kafka.put("lines", &lines.map(record)).expect("stored");
    let place = Place::new();
    place.write("one.csv", "id,name\n7,g\n8,\"h\ni\"\n");
    place.write("two.csv", "id,name\r\n9,j\r\nid,name\r\n10,k\r\n");
    let pipeline = format!(
        "name: csv\nsources:\n  topic:\n    kafka: {{ brokers: [{:?}], topics: [lines], follow: false }}\n    \
         format: {{ csv: {{ columns: [id, name], header: true }} }}\n    schema: {{ id: int64 }}\n  files:\n    \
         file: {{ paths: [\"*.csv\"], follow: false }}\n    \
         format: {{ csv: {{ columns: [id, name], header: true }} }}\n    schema: {{ id: int64 }}\n\
         outputs:\n  - table: names\n  - file: {{ path: names.out, format: csv }}\n    name: file\n",
        kafka.bootstrap()
    );
    well(&place.run(&place.write("csv.yaml", pipeline), &[]));
    let rows = place.query("SELECT id, name FROM names ORDER BY id");
    let shown: Vec<(i64, &str)> =
        rows.iter().map(|row| (row["id"].as_i64().unwrap(), row["name"].as_str().unwrap())).collect();
    assert_eq!(shown, [(1, "a"), (2, "b, c"), (3, "d"), (7, "g"), (8, "h\ni"), (9, "j"), (10, "k")]);
    let letters = place.query("SELECT reason FROM dead_letters ORDER BY reason");
    let reasons: Vec<&str> = letters.iter().map(|row| row["reason"].as_str().unwrap()).collect();
    assert_eq!(
        reasons,
        ["record has 1 values; expected 2: id, name", "the line ends at byte 3, and more follows; a record is one row",]
    );
    // A file that is written has its header, once.
    let written = fs::read_to_string(place.path("names.out")).unwrap();
    let headers = written.lines().filter(|line| line.starts_with("id,name")).count();
    assert_eq!((headers, written.starts_with("id,name")), (1, true), "{written}");
}
