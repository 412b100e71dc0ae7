//! Connections: said once, used by several, refused where two say the same.

use expect_test::{Expect, expect};
use weir_collect::{KafkaConfig, SourceConfig};
use weir_decode::FormatConfig;
use weir_deliver::{KafkaOutput, OutputConfig};
use weir_kafka::{KafkaConnection, Login, SaslConfig, TlsConfig};
use weir_model::Secret;

use super::examples::example;
use super::{load_text, load_with, rendered};
use crate::builder::Pipeline;

const SHARED: &str = "\
name: shared
connections:
  shop:
    kafka:
      brokers: [\"a:9092\", \"b:9092\"]
      tls: { ca: ca.pem }
      sasl: { scram_sha_512: { username: weir, password: \"${env:PASSWORD}\" } }
      client: { client.rack: one, socket.nagle.disable: \"true\" }
sources:
  orders: { kafka: { connection: shop, topics: [orders], client: { client.rack: two } }, format: json }
outputs:
  - kafka: { connection: shop, topic: paid }
  - kafka: { brokers: [\"elsewhere:9092\"], topic: copy }
late: { kafka: { connection: shop, topic: late } }
dead_letters: { kafka: { connection: shop, topic: letters } }
";

fn check(text: &str, expected: Expect) {
    expected.assert_eq(&rendered(load_text(text)));
}

#[test]
fn what_a_connection_says_holds_for_everybody_who_names_it() {
    let (config, _) = load_with(SHARED, &[], &[("PASSWORD", "hunter2")]).expect("it is right");
    let login = Login { username: "weir".to_owned(), password: Secret::new("hunter2") };
    let SourceConfig::Kafka(source) = &config.sources["orders"].source else { panic!("it is Kafka") };
    assert_eq!(source.brokers, ["a:9092", "b:9092"]);
    assert_eq!(source.sasl, Some(SaslConfig::ScramSha512(login)));
    assert_eq!(source.connection, None, "nobody after this has to know where it was said");
    let client: Vec<_> = source.client.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(client, [("client.rack", "two"), ("socket.nagle.disable", "true")]);
    let kafka = |output: &OutputConfig| match output {
        OutputConfig::Kafka(kafka) => (kafka.brokers.join(","), kafka.tls.is_some(), kafka.client.len()),
        other => panic!("{other:?} is not Kafka"),
    };
    let shop = ("a:9092,b:9092".to_owned(), true, 2);
    assert_eq!(kafka(&config.outputs[0].output), shop);
    assert_eq!(kafka(&config.outputs[1].output), ("elsewhere:9092".to_owned(), false, 0));
    assert_eq!(kafka(&config.late), shop);
    assert_eq!(kafka(&config.dead_letters), shop);
    // Where a test or a deployment has brokers of its own, that is said once too.
    let moved = ["connections.shop.kafka.brokers=[\"c:9092\"]"];
    let (config, _) = load_with(SHARED, &moved, &[("PASSWORD", "hunter2")]).expect("it is right");
    assert_eq!(kafka(&config.dead_letters).0, "c:9092");
}

#[test]
fn the_builder_says_the_same() {
    let built = Pipeline::named("kafka-connection")
        .connection("shop", KafkaConnection::to(["localhost:9092"]))
        .source("orders", KafkaConfig::by("shop", ["orders"]), FormatConfig::default())
        .source("returns", KafkaConfig::by("shop", ["returns"]), FormatConfig::default())
        .add_columns([("cents", "CAST(round(amount * 100) AS BIGINT)")])
        .to(OutputConfig::Kafka(KafkaOutput { key: Some("account".to_owned()), ..KafkaOutput::by("shop", "ledger") }))
        .dead_letters(OutputConfig::Kafka(KafkaOutput::by("shop", "ledger-dead-letters")))
        .build();
    assert_eq!(built, example("kafka-connection.yaml"));
    let secured = KafkaConnection::to(["localhost:9092"]).with_tls(TlsConfig::default());
    assert!(secured.problems().is_empty());
}

#[test]
fn a_name_that_nobody_has_and_what_is_said_twice_are_refused_where_they_stand() {
    check(
        "\
name: p
connections:
  shop: { kafka: { brokers: [\"localhost\"], client: { group.id: g } } }
  bare: { kafka: { brokers: [] } }
sources:
  a: { kafka: { connection: shp, topics: [a] }, format: json }
  b: { kafka: { connection: shop, brokers: [\"b:9092\"], tls: {}, topics: [b] }, format: json }
  c: { kafka: { topics: [c] }, format: json }
outputs:
  - kafka: { connection: ledger, topic: t }
",
        expect![[r#"
            p.yaml:3:30: error: `localhost` is not a broker's host:port
              |
            3 |   shop: { kafka: { brokers: ["localhost"], client: { group.id: g } } }
              |                              ^^^^^^^^^^^
              = at: connections.shop.kafka.brokers[0]

            p.yaml:3:44: error: the client's setting group.id is Weir's own: another value could lose records
              |
            3 |   shop: { kafka: { brokers: ["localhost"], client: { group.id: g } } }
              |                                            ^^^^^^
              = at: connections.shop.kafka.client

            p.yaml:4:20: error: there is no broker; expected brokers: ["host:port"], or the connection that has them
              |
            4 |   bare: { kafka: { brokers: [] } }
              |                    ^^^^^^^
              = at: connections.bare.kafka.brokers

            p.yaml:6:29: error: there is no connection `shp`
              |
            6 |   a: { kafka: { connection: shp, topics: [a] }, format: json }
              |                             ^^^
              = at: sources.a.kafka.connection
              = help: did you mean `shop`?

            p.yaml:7:35: error: `brokers` is said here, and the connection `shop` says it too
              |
            7 |   b: { kafka: { connection: shop, brokers: ["b:9092"], tls: {}, topics: [b] }, format: json }
              |                                   ^^^^^^^
              = at: sources.b.kafka.brokers
              = help: leave out `connection`, or move `brokers` to connections.shop.kafka

            p.yaml:7:56: error: `tls` is said here, and the connection `shop` says it too
              |
            7 |   b: { kafka: { connection: shop, brokers: ["b:9092"], tls: {}, topics: [b] }, format: json }
              |                                                        ^^^
              = at: sources.b.kafka.tls
              = help: leave out `connection`, or move `tls` to connections.shop.kafka

            p.yaml:8:8: error: there is no broker; expected brokers: ["host:port"], or the connection that has them
              |
            8 |   c: { kafka: { topics: [c] }, format: json }
              |        ^^^^^
              = at: sources.c.kafka.brokers

            p.yaml:10:26: error: there is no connection `ledger`
               |
            10 |   - kafka: { connection: ledger, topic: t }
               |                          ^^^^^^
               = at: outputs[0].kafka.connection
               = help: there are: bare, shop
        "#]],
    );
    check(
        "\
name: p
connections:
  shop: { kafak: { brokers: [\"b:9092\"] } }
sources:
  a: { kafka: { conection: shop, topics: [a] }, format: json }
outputs:
  - stdout: {}
",
        expect![[r#"
            p.yaml:3:11: error: unknown key `kafak`
              |
            3 |   shop: { kafak: { brokers: ["b:9092"] } }
              |           ^^^^^
              = at: connections.shop.kafak
              = allowed: kafka
              = did you mean `kafka`?

            p.yaml:5:17: error: unknown key `conection`
              |
            5 |   a: { kafka: { conection: shop, topics: [a] }, format: json }
              |                 ^^^^^^^^^
              = at: sources.a.kafka.conection
              = allowed: brokers, connection, topics, start, group, follow, refresh, max_record_bytes, buffer_bytes_max, tombstones, envelope, tls, sasl, client
              = did you mean `connection`?
        "#]],
    );
}
