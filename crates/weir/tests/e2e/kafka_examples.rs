//! The examples that pass from topic to topic, over a real Kafka.

use std::fs;

use weir_kafka_broker::{Cluster, Isolation, Record};

use crate::formats::registry;
use crate::harness::{Place, Running, awaited, repository, well};
use crate::team::rows_in;

const ORDERS: i64 = 240;

/// Four orders a second for a minute; the last of each partition ends all windows before it.
fn orders() -> Vec<Record> {
    let order = |id: i64| {
        let status = ["new", "paid", "sent"][id as usize % 3];
        let value = format!(
            r#"{{"id":{id},"ts":"2026-11-21T08:00:{:02}Z","status":"{status}","amount":{id}.5}}"#,
            id * 60 / ORDERS
        );
        Record { key: Some(format!("{id}")), ..Record::new(i32::from(id % 2 == 1), value) }
    };
    let last =
        |partition| Record::new(partition, r#"{"id":-1,"ts":"2026-11-21T09:00:00Z","status":"end","amount":0.5}"#);
    (0..ORDERS).map(order).chain([last(0), last(1)]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_workers_example_counts_each_order_once_in_two_processes() {
    let kafka = Cluster::start(1).expect("a broker");
    for (topic, partitions) in [("orders", 2), ("orders-per-minute", 2), ("orders-late", 1), ("orders-dead-letters", 1)]
    {
        kafka.topic(topic, partitions).await.expect("a topic");
    }
    kafka.put("orders", &orders()).expect("stored");
    let state = tempfile::tempdir().unwrap();
    let brokers = format!("kafka.brokers=[{:?}]", kafka.bootstrap());
    let mut settings: Vec<String> = ["sources.orders", "outputs.0", "late", "dead_letters"]
        .iter()
        .map(|path| format!("{path}.{brokers}"))
        .collect();
    settings.push(format!("state.snapshots.url=file://{}", state.path().display()));
    settings.push("workers.key_groups=4".to_owned());
    let places = [Place::new(), Place::new()];
    let mut workers = places.each_ref().map(|place| {
        let said = fs::File::create(place.path("said")).unwrap();
        let mut command = place.run_command(&repository().join("examples/kafka-workers.yaml"), &settings);
        Running(command.stderr(said).spawn().unwrap())
    });
    awaited("there are three windows", || {
        let said = places.each_ref().map(|place| fs::read_to_string(place.path("said")).unwrap());
        for (worker, said) in workers.iter_mut().zip(&said) {
            assert!(worker.0.try_wait().unwrap().is_none(), "it ended by itself:\n{said}");
        }
        if rows_in(&kafka, "orders-per-minute").len() >= 3 { Ok(()) } else { Err(said.concat()) }
    });
    let rows = rows_in(&kafka, "orders-per-minute");
    let orders: i64 = rows.iter().map(|(_, row)| row["orders"].as_i64().unwrap()).sum();
    let amount: f64 = rows.iter().map(|(_, row)| row["amount"].as_f64().unwrap()).sum();
    assert_eq!((rows.len(), orders), (3, ORDERS));
    assert_eq!(amount, (ORDERS * (ORDERS - 1) / 2) as f64 + ORDERS as f64 / 2.0);
    assert!(rows_in(&kafka, "orders-late").is_empty() && rows_in(&kafka, "orders-dead-letters").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_avro_example_takes_headers_along_and_registers_what_it_writes() {
    let kafka = Cluster::start(1).expect("a broker");
    kafka.topic("orders", 2).await.expect("a topic");
    kafka.topic("orders-per-minute", 2).await.expect("a topic");
    let shop = |record: Record| Record { headers: vec![("shop".to_owned(), "mitte".to_owned())], ..record };
    kafka.put("orders", &orders().into_iter().map(shop).collect::<Vec<_>>()).expect("stored");
    let place = Place::new();
    let (_registry, url) = registry(&place);
    let settings = [
        format!("sources.orders.kafka.brokers=[{:?}]", kafka.bootstrap()),
        "sources.orders.kafka.follow=false".to_owned(),
        format!("outputs.0.kafka.brokers=[{:?}]", kafka.bootstrap()),
        format!("outputs.0.kafka.format.avro.registry.urls=[{url:?}]"),
    ];
    well(&place.run(&repository().join("examples/kafka-to-avro.yaml"), &settings));
    kafka.settled("orders-per-minute").expect("every transaction is decided");
    let records = kafka.read("orders-per-minute", Isolation::Committed).expect("read");
    let shop = ("shop".to_owned(), "mitte".to_owned());
    assert!(!records.is_empty() && records.iter().all(|record| record.headers.contains(&shop)), "{records:?}");
    let back = Place::new();
    let pipeline = format!(
        "name: counts\nsources:\n  counts:\n    kafka: {{ brokers: [{:?}], topics: [orders-per-minute], follow: false }}\n    \
         format: {{ avro: {{ registry: {{ urls: [{url:?}] }} }} }}\noutputs:\n  - table: counts\n",
        kafka.bootstrap()
    );
    well(&back.run(&back.write("counts.yaml", pipeline), &[]));
    assert_eq!(back.number("SELECT count(*) FROM counts WHERE shop = 'mitte'"), records.len() as i64);
    assert_eq!(back.number("SELECT CAST(sum(orders) AS BIGINT) FROM counts"), ORDERS + 2);
}
