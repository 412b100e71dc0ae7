use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::mocking::{MockCluster, MockCoordinator};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka::{Offset, TopicPartitionList};
use weir_model::{ErrorKind, Secret};

use super::*;
use crate::direction::{READING, WRITING};
use crate::outage::{broker_in, until_given_up};

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
    const WITHIN: Duration = Duration::from_secs(300);
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
    // Another call, which the client refuses as long as the first one is not over; a machine that does other things beside may
    // need more than one to say so in time.
    let answer = (0..6).find_map(|_| send().0);
    assert!(matches!(answer, Some(Err(_))), "{answer:?}");
    // Nor does it end when the broker is back, at least not within a minute: nobody may wait for it.
}

#[test]
fn an_error_names_the_broker_that_was_lost() {
    let cases = [
        ("127.0.0.1:9092/1: Disconnected (after 12ms in state UP)", Some("127.0.0.1:9092")),
        ("sasl_ssl://kafka-2:9093/bootstrap: Connect to ipv4#10.0.0.2:9093 failed", Some("kafka-2:9093")),
        ("TxnCoordinator: kafka-3:9092: Connection refused", Some("kafka-3:9092")),
        ("3/3 brokers are down", None),
        ("GroupCoordinator: not known: 127.0.0.1:9092", None),
    ];
    for (reason, broker) in cases {
        assert_eq!(broker_in(reason).as_deref(), broker, "{reason}");
    }
}

#[test]
fn only_a_broker_that_the_others_still_count_and_nobody_reaches_is_waited_for() {
    let cluster = MockCluster::new(1).expect("a cluster without a log");
    cluster.create_topic("in", 1, 1).expect("a topic");
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", cluster.bootstrap_servers());
    let client: BaseProducer = settings.create().expect("a producer");
    let known = cluster.bootstrap_servers();
    // On a port of nobody.
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("an address");
    for lost in [None, Some(known), Some(nobody.to_string())] {
        let lost: BTreeSet<String> = lost.into_iter().collect();
        assert!(!until_given_up(client.client(), "in", (&lost, Duration::from_secs(10))), "{lost:?}");
    }
}

/// Keeps what a client says of itself.
#[derive(Clone, Debug, Default)]
struct Said(Arc<Mutex<Vec<String>>>);

impl ClientContext for Said {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        self.0.lock().expect("nobody failed with it").push(format!("{facility} {message}"));
    }
}

impl ConsumerContext for Said {}

impl ProducerContext for Said {
    type DeliveryOpaque = ();
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

impl Said {
    /// The warnings about settings that name one of these.
    fn warnings(&self, names: &[&str]) -> Vec<String> {
        let said = self.0.lock().expect("nobody failed with it").clone();
        let warns = |line: &String| line.contains("CONFWARN") && names.iter().any(|name| line.contains(*name));
        said.into_iter().filter(warns).collect()
    }
}

#[test]
fn no_client_is_given_settings_that_only_those_of_the_other_direction_know() {
    const POLL: Duration = Duration::from_millis(20);
    const PATIENCE: Duration = Duration::from_secs(300);
    let both = [("fetch.min.bytes", "2"), ("queued.min.messages", "7"), ("linger.ms", "3"), ("partitioner", "random")];
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", "127.0.0.1:1").set("group.id", "weir");
    both.iter().for_each(|(name, value)| _ = settings.set(*name, *value));
    // What it says of its settings it says when it is made: before it finds nobody at that address, and says so.
    let heard = |said: &Said, poll: &dyn Fn()| {
        let started = Instant::now();
        while !said.0.lock().expect("nobody failed with it").iter().any(|line| line.starts_with("FAIL")) {
            assert!(started.elapsed() < PATIENCE, "{said:?}");
            poll();
        }
    };
    let reading = |settings: &ClientConfig| {
        let said = Said::default();
        let client: BaseConsumer<Said> = settings.create_with_context(said.clone()).expect("a consumer");
        heard(&said, &|| drop(client.poll(POLL)));
        said.warnings(&WRITING)
    };
    let writing = |settings: &ClientConfig| {
        let said = Said::default();
        let client: BaseProducer<Said> = settings.create_with_context(said.clone()).expect("a producer");
        heard(&said, &|| client.poll(POLL));
        said.warnings(&READING)
    };
    assert!(!reading(&settings).is_empty() && !writing(&settings).is_empty(), "the client says so itself");
    assert_eq!(reading(&for_reading(&settings)), Vec::<String>::new());
    assert_eq!(writing(&for_writing(&settings)), Vec::<String>::new());
}

#[test]
fn a_topic_with_another_id_is_another_topic_and_one_that_is_first_heard_of_is_none() {
    let speaker = Speaker::default();
    let hears = |old: &str| {
        let line = format!("[thrd:main]: Topic spans changed id from {old} to 5lBEMUpxT7uD0fgFWwKmBw");
        speaker.log(RDKafkaLogLevel::Debug, "METADATA", &line);
        speaker.has_another_topic()
    };
    assert!(!hears("AAAAAAAAAAAAAAAAAAAAAA"));
    assert!(hears("Wm0rVbBYQ2iLrVDX4oA5bQ"));
}
