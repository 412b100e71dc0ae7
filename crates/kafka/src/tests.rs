use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};
use weir_model::{ErrorKind, Secret};

use super::*;

fn settings(connection: Connection<'_>) -> Vec<(String, String)> {
    let settings = connection.settings().expect("right settings");
    let mut all: Vec<_> =
        settings.config_map().iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    all.retain(|(name, _)| ["ssl.", "sasl.", "security."].iter().any(|word| name.starts_with(word)));
    all.sort();
    all
}

#[test]
fn encryption_and_authentication_choose_the_protocol() {
    let brokers = ["b:9092".to_owned()];
    let nothing = BTreeMap::new();
    let login = Login { username: "weir".into(), password: Secret::new("hunter2") };
    let sasl = SaslConfig::ScramSha512(login);
    let tls = TlsConfig { ca: Some("/ca.pem".into()), ..TlsConfig::default() };
    let plain = Connection { brokers: &brokers, tls: None, sasl: None, client: &nothing };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(settings(plain), [pair("security.protocol", "plaintext")]);
    assert_eq!(
        settings(Connection { tls: Some(&tls), sasl: Some(&sasl), ..plain }),
        [
            pair("sasl.mechanisms", "SCRAM-SHA-512"),
            pair("sasl.password", "[sanitized for safety]"),
            pair("sasl.username", "weir"),
            pair("security.protocol", "sasl_ssl"),
            pair("ssl.ca.location", "/ca.pem"),
        ]
    );
    assert!(!format!("{sasl:?}").contains("hunter2"));
}

#[test]
fn a_setting_that_would_break_a_promise_is_refused() {
    let brokers = ["b:9092".to_owned()];
    let client = BTreeMap::from([("enable.auto.commit".to_owned(), "true".to_owned())]);
    let connection = Connection { brokers: &brokers, tls: None, sasl: None, client: &client };
    let error = connection.settings().expect_err("refused");
    assert_eq!(error.kind, ErrorKind::Config);
    assert!(error.message.contains("enable.auto.commit"), "{error}");
}

#[test]
fn an_error_says_whether_trying_again_can_help() {
    let kind = |code| kind_of(&KafkaError::MessageConsumption(code));
    assert_eq!(kind(RDKafkaErrorCode::AllBrokersDown), ErrorKind::Retry);
    assert_eq!(kind(RDKafkaErrorCode::SaslAuthenticationFailed), ErrorKind::Config);
    assert_eq!(kind(RDKafkaErrorCode::BadMessage), ErrorKind::Corrupt);
    assert_eq!(kind(RDKafkaErrorCode::Fenced), ErrorKind::Closed);
}

#[test]
fn a_call_that_never_returns_is_left_behind_and_the_next_one_is_waited_for_longer() {
    const WITHIN: Duration = Duration::from_secs(20);
    let cluster = MockCluster::new(3).expect("a cluster without a log");
    cluster.create_topic("in", 1, 3).expect("a topic");
    cluster.coordinator(MockCoordinator::Transaction("weir".to_owned()), 1).expect("it answers for transactions");
    cluster.coordinator(MockCoordinator::Group("weir".to_owned()), 2).expect("it answers for the group");
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", cluster.bootstrap_servers());
    let group: BaseConsumer = settings.clone().set("group.id", "weir").create().expect("a consumer");
    let group = Arc::new(group.group_metadata().expect("it has a group"));
    let producer: BaseProducer<Hearing> =
        settings.set("transactional.id", "weir").create_with_context(Hearing::default()).expect("a producer");
    let producer = Arc::new(producer);
    producer.init_transactions(WITHIN).expect("the brokers are well");
    producer.begin_transaction().expect("nothing else is open");
    let sends = TransactionOffsets::default();
    let send = || {
        let mut offsets = TopicPartitionList::new();
        offsets.add_partition_offset("in", 0, Offset::Offset(7)).expect("an offset");
        let began = Instant::now();
        (sends.send(&producer, offsets, Arc::clone(&group), WITHIN), began.elapsed())
    };
    assert_eq!(send().0, Some(Ok(())));

    cluster.broker_down(2).expect("it can be stopped");
    let (answer, took) = send();
    assert_eq!(answer, None);
    assert!(took < WITHIN / 4, "{took:?}");
    // Another call, which the client refuses as long as the first one is not over.
    assert!(matches!(send().0, Some(Err(_))));
    // Nor does it end when the broker is back, at least not within a minute: nobody may wait for it.
}
