//! Avro, Protobuf and JSON as the public Python clients write them to a real Kafka, with their schemas in Weir's own registry.

use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::process::{Command, Stdio};

use weir_kafka_broker::Cluster;

use crate::harness::{Place, Running, awaited, python, repository, said, well};

/// The same as the registry's own test uses.
const PACKAGES: [&str; 1] = ["confluent-kafka[avro,json,protobuf,schemaregistry]==2.12.1"];

const ROWS: i64 = 1_000;

/// Starts Weir's registry; it and its address.
pub(crate) fn registry(place: &Place) -> (Running, String) {
    let mut command = place.weir(&["registry", "--listen", "127.0.0.1:0", "--data"]);
    let mut child = command.arg(place.path("schemas")).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let url = lines.find_map(|line| {
        let line = line.unwrap();
        Some(line[line.find("http://")?..].split_whitespace().next()?.to_owned())
    });
    (Running(child), url.expect("it says where it is"))
}

/// Has the Python clients write some of the orders.
fn write(url: &str, kafka: &Cluster, orders: Range<i64>) {
    let script = repository().join("crates/registry/src/tests/clients.py");
    let numbers = [ROWS, orders.start, orders.end].map(|number| number.to_string());
    well(
        &Command::new(python("clients", &PACKAGES))
            .arg(script)
            .args([url, kafka.bootstrap()])
            .args(&numbers)
            .output()
            .unwrap(),
    );
}

/// Waits until the table of orders has so many rows.
fn wait_for(place: &Place, orders: i64) {
    awaited(&format!("{orders} orders are stored"), || {
        let mut query = place.weir(&["query", "--format", "csv", "--data"]);
        let output = query.arg(place.data()).arg("SELECT count(*) FROM orders").output().unwrap();
        let stored = String::from_utf8_lossy(&output.stdout).lines().nth(1).and_then(|line| line.parse().ok());
        if stored == Some(orders) { Ok(()) } else { Err(said(&output)) }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_of_avro_written_by_python_are_one_table_and_what_fits_no_schema_is_a_dead_letter() {
    let kafka = Cluster::start(1).expect("a broker");
    kafka.topic("orders-avro", 1).await.expect("a topic");
    kafka.topic("orders-protobuf", 1).await.expect("a topic");
    kafka.topic("orders-json", 1).await.expect("a topic");
    let place = Place::new();
    let (_registry, url) = registry(&place);
    let example = repository().join("examples/avro-to-table.yaml");
    let settings = |follow: bool| {
        [
            format!("sources.orders.kafka.brokers=[{:?}]", kafka.bootstrap()),
            format!("sources.orders.kafka.follow={follow}"),
            format!("sources.orders.format.avro.registry.urls=[{url:?}]"),
            "sources.orders.format.avro.registry.wait=500ms".to_owned(),
            "epoch=100ms".to_owned(),
        ]
    };
    write(&url, &kafka, 0..ROWS / 2);
    let running = place.run_command(&example, &settings(true)).stderr(Stdio::null()).spawn().unwrap();
    let running = Running(running);
    wait_for(&place, ROWS / 2);
    // A newer schema comes while it runs.
    write(&url, &kafka, ROWS / 2..ROWS);
    wait_for(&place, ROWS);
    drop(running);
    well(&place.run(&example, &settings(false)));
    assert_eq!(place.number("SELECT count(DISTINCT id) FROM orders"), ROWS);
    assert_eq!(place.number("SELECT count(*) FROM orders"), ROWS);
    assert_eq!(place.number("SELECT sum(orders) FROM orders_per_minute"), ROWS);
    // Every fifth order has no price; the others cost a quarter of their number.
    let paid: i64 = (0..ROWS).filter(|id| id % 5 != 0).sum();
    assert_eq!(place.number("SELECT CAST(sum(price) * 4 AS BIGINT) FROM orders"), paid);
    assert_eq!(place.number("SELECT CAST(sum(amount) * 4 AS BIGINT) FROM orders_per_minute"), paid);
    assert_eq!(place.number("SELECT count(*) FROM orders WHERE channel = 'app'"), ROWS / 2);
    let sent: i64 = (ROWS / 2..ROWS).map(|id| i64::from(id % 3 == 2)).sum();
    assert_eq!(place.number("SELECT count(*) FROM orders WHERE status = 'sent'"), sent);
    let reasons = place.query("SELECT reason FROM dead_letters ORDER BY reason");
    let reasons: Vec<&str> = reasons.iter().map(|row| row["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].starts_with("record begins with 0x6e"), "{reasons:?}");
    assert!(reasons[1].starts_with("schema 9999 of the registry"), "{reasons:?}");

    let protobuf = repository().join("examples/protobuf-to-table.yaml");
    let place = Place::new();
    let settings = [
        format!("sources.orders.kafka.brokers=[{:?}]", kafka.bootstrap()),
        "sources.orders.kafka.follow=false".to_owned(),
        format!("sources.orders.format.protobuf.registry.urls=[{url:?}]"),
    ];
    well(&place.run(&protobuf, &settings));
    assert_eq!(place.number("SELECT count(DISTINCT id) FROM orders"), ROWS);
    assert_eq!(place.number("SELECT sum(orders) FROM orders_per_minute"), ROWS);
    assert_eq!(place.number("SELECT sum(cents) FROM orders_per_minute"), paid * 25);
    assert_eq!(place.number("SELECT count(*) FROM orders WHERE channel = 'app'"), ROWS / 2);
    assert_eq!(place.number("SELECT count(*) FROM orders WHERE note = '' AND card IS NOT NULL"), ROWS / 2);
    assert_eq!(place.number("SELECT count(*) FROM orders WHERE voucher > 9223372036854775807"), ROWS / 2);
    assert_eq!(place.number("SELECT count(*) FROM orders WHERE status = 'SENT'"), sent);

    let json = place.write(
        "json.yaml",
        format!(
            "name: framed\nsources:\n  orders:\n    kafka: {{ brokers: [{:?}], topics: [orders-json], follow: false }}\n    \
             format: {{ json: {{ framing: confluent }} }}\noutputs:\n  - table: framed\n",
            kafka.bootstrap()
        ),
    );
    well(&place.run(&json, &[]));
    assert_eq!(place.number("SELECT count(DISTINCT id) FROM framed"), ROWS);

    // And back: what came in as Avro goes out as Avro, Protobuf and JSON, and the Python clients find every value as it was.
    kafka.topic("out-avro", 2).await.expect("a topic");
    kafka.topic("out-protobuf", 2).await.expect("a topic");
    kafka.topic("out-json", 2).await.expect("a topic");
    let brokers = kafka.bootstrap();
    let out = place.write(
        "out.yaml",
        format!(
            "name: out\nsources:\n  orders:\n    kafka: {{ brokers: [{brokers:?}], topics: [orders-avro], follow: false }}\n    \
             format: {{ avro: {{ registry: {{ urls: [{url:?}], wait: 5s }} }} }}\noutputs:\n  \
             - kafka: {{ brokers: [{brokers:?}], topic: out-avro, key: id, \
             format: {{ avro: {{ name: shop.Order, registry: {{ urls: [{url:?}] }} }} }} }}\n  \
             - kafka: {{ brokers: [{brokers:?}], topic: out-protobuf, key: id, \
             format: {{ protobuf: {{ message: shop.Order, registry: {{ urls: [{url:?}] }} }} }} }}\n  \
             - kafka: {{ brokers: [{brokers:?}], topic: out-json, key: id, \
             format: {{ json_schema: {{ registry: {{ urls: [{url:?}] }} }} }} }}\n"
        ),
    );
    well(&place.run(&out, &[]));
    for topic in ["out-avro", "out-protobuf", "out-json"] {
        kafka.settled(topic).expect("every transaction is decided");
    }
    let script = repository().join("crates/registry/src/tests/clients.py");
    well(
        &Command::new(python("clients", &PACKAGES))
            .arg(script)
            .args([&url, brokers, &ROWS.to_string()])
            .output()
            .unwrap(),
    );
}
