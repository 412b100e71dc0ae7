//! The source on a real broker: what is read, where it goes on, what it says when records are missing.

use std::sync::OnceLock;
use std::time::Duration;

use base64::Engine;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use weir_kafka::{Login, SaslConfig, TlsConfig, TokenLogin};
use weir_kafka_broker::{Cluster, PASSWORD, Record, Secured, USER};
use weir_model::{DurationText, ErrorKind, Offset, PartitionId, Position, Positions, Secret, Source, SourceEvent};

use super::*;

/// A wedged test is a failed one; a machine that does other things beside is only slow.
const DEADLINE: Duration = Duration::from_secs(300);

/// The one broker of all tests here. It ends with this process.
fn kafka() -> &'static Cluster {
    static KAFKA: OnceLock<Cluster> = OnceLock::new();
    KAFKA.get_or_init(|| Cluster::start(1).expect("a broker"))
}

fn config(topics: &[&str]) -> KafkaConfig {
    KafkaConfig::new([kafka().bootstrap()], topics.iter().copied())
}

async fn open(config: &KafkaConfig, positions: &Positions) -> KafkaSource {
    let mut source = KafkaSource::open("s", config).expect("it is right");
    source.seek(positions).await.expect("the broker answers");
    source
}

async fn next(source: &mut KafkaSource) -> SourceEvent {
    tokio::time::timeout(DEADLINE, source.next()).await.expect("something happens").expect("and nothing fails")
}

/// What a source has said so far.
#[derive(Default)]
struct Said {
    values: BTreeMap<String, Vec<String>>,
    added: Vec<String>,
    caught_up: BTreeSet<String>,
    finished: BTreeSet<String>,
    trouble: Vec<String>,
    positions: Positions,
    ended: bool,
}

impl Said {
    async fn until(source: &mut KafkaSource, done: impl Fn(&Self) -> bool) -> Self {
        let mut said = Self::default();
        while !said.ended && !done(&said) {
            said.hear(next(source).await);
        }
        said
    }

    fn hear(&mut self, event: SourceEvent) {
        match event {
            SourceEvent::PartitionAdded(partition) => self.added.push(partition.as_str().to_owned()),
            SourceEvent::Records(raw) => {
                let values = self.values.entry(raw.partition.as_str().to_owned()).or_default();
                values.extend(raw.records.iter().map(|span| String::from_utf8_lossy(raw.record(span)).into_owned()));
                self.positions.insert(raw.partition, raw.next);
            }
            SourceEvent::CaughtUp(partition) => _ = self.caught_up.insert(partition.as_str().to_owned()),
            SourceEvent::PartitionFinished(partition) => _ = self.finished.insert(partition.as_str().to_owned()),
            SourceEvent::Trouble { message, .. } => self.trouble.push(message),
            SourceEvent::End => self.ended = true,
        }
    }

    fn of(&self, partition: &str) -> Vec<&str> {
        self.values.get(partition).into_iter().flatten().map(String::as_str).collect()
    }
}

fn numbers(partition: i32, range: std::ops::Range<i32>) -> Vec<Record> {
    range.map(|number| Record::new(partition, number.to_string())).collect()
}

fn at(partition: &str, offset: u64) -> Positions {
    let position = Position { offset: Offset(offset), ..Position::default() };
    Positions::from([(PartitionId::new(partition), position)])
}

#[tokio::test]
async fn a_bounded_source_reads_every_partition_in_order_to_its_end_and_ends() {
    kafka().topic("bounded", 3).await.expect("a topic");
    let records = [numbers(0, 0..1000), numbers(1, 1000..1010)].concat();
    kafka().put("bounded", &records).expect("stored");
    let said = Said::until(&mut open(&config(&["bounded"]).once(), &Positions::new()).await, |_| false).await;
    assert_eq!(said.added, ["s:bounded/0", "s:bounded/1", "s:bounded/2"]);
    let expected: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    assert_eq!(said.of("s:bounded/0"), expected);
    assert_eq!(said.of("s:bounded/1").len(), 10);
    assert_eq!(said.finished.len(), 3, "an empty partition ends too");
    assert_eq!(said.positions[&PartitionId::new("s:bounded/0")].offset, Offset(1000));
    assert!(said.trouble.is_empty(), "{:?}", said.trouble);
}

#[tokio::test]
async fn after_a_seek_it_yields_exactly_what_follows_the_position() {
    kafka().topic("sought", 1).await.expect("a topic");
    kafka().put("sought", &numbers(0, 0..100)).expect("stored");
    let said = Said::until(&mut open(&config(&["sought"]).once(), &at("s:sought/0", 97)).await, |_| false).await;
    assert_eq!(said.of("s:sought/0"), ["97", "98", "99"]);
    let again = Said::until(&mut open(&config(&["sought"]).once(), &said.positions).await, |_| false).await;
    assert!(again.of("s:sought/0").is_empty(), "everything was read");
    kafka().put("sought", &numbers(0, 100..101)).expect("stored");
    let more = Said::until(&mut open(&config(&["sought"]).once(), &said.positions).await, |_| false).await;
    assert_eq!(more.of("s:sought/0"), ["100"]);
}

#[tokio::test]
async fn a_followed_source_says_when_it_is_caught_up_and_goes_on() {
    kafka().topic("followed", 2).await.expect("a topic");
    kafka().put("followed", &numbers(0, 0..3)).expect("stored");
    let mut source = open(&config(&["followed"]), &Positions::new()).await;
    let said = Said::until(&mut source, |said| said.caught_up.len() == 2).await;
    assert_eq!(said.of("s:followed/0"), ["0", "1", "2"], "records come before the word that all were read");
    kafka().put("followed", &numbers(1, 3..4)).expect("stored");
    let said = Said::until(&mut source, |said| said.caught_up.contains("s:followed/1")).await;
    assert_eq!(said.of("s:followed/1"), ["3"]);
}

#[tokio::test]
async fn topics_and_partitions_that_appear_are_read_from_their_beginning() {
    kafka().topic("grow-a", 1).await.expect("a topic");
    kafka().put("grow-a", &numbers(0, 0..1)).expect("stored");
    let config = KafkaConfig { refresh: DurationText::millis(100), start: KafkaStart::Latest, ..config(&["^grow-"]) };
    let mut source = open(&config, &Positions::new()).await;
    let said = Said::until(&mut source, |said| !said.caught_up.is_empty()).await;
    assert!(said.of("s:grow-a/0").is_empty(), "it starts after what is there");
    kafka().topic("grow-b", 1).await.expect("a topic");
    kafka().put("grow-b", &numbers(0, 1..2)).expect("stored");
    kafka().grow("grow-a", 2).await.expect("more partitions");
    kafka().put("grow-a", &numbers(1, 2..3)).expect("stored");
    let said = Said::until(&mut source, |said| said.values.values().map(Vec::len).sum::<usize>() == 2).await;
    assert_eq!(said.of("s:grow-b/0"), ["1"]);
    assert_eq!(said.of("s:grow-a/1"), ["2"]);
    assert_eq!(said.added.len(), 2);
}

#[tokio::test]
async fn it_starts_at_a_time_or_where_a_group_has_committed_or_after_the_newest_record() {
    kafka().topic("started", 1).await.expect("a topic");
    kafka().put("started", &numbers(0, 0..10)).expect("stored");
    let consumer: BaseConsumer = kafka().client().set("group.id", "people").create().expect("a consumer");
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset("started", 0, rdkafka::Offset::Offset(7)).expect("an offset");
    consumer.commit(&offsets, rdkafka::consumer::CommitMode::Sync).expect("the group commits");
    let first = async |start, group: Option<&str>| {
        let config = KafkaConfig { start, group: group.map(str::to_owned), ..config(&["started"]).once() };
        let said = Said::until(&mut open(&config, &Positions::new()).await, |_| false).await;
        said.of("s:started/0").first().map(|value| (*value).to_owned())
    };
    let time = |text: &str| KafkaStart::Timestamp(text.parse().expect("a time"));
    assert_eq!(first(KafkaStart::Committed, Some("people")).await.as_deref(), Some("7"));
    assert_eq!(first(KafkaStart::Committed, Some("nobody")).await.as_deref(), Some("0"));
    assert_eq!(first(KafkaStart::Latest, None).await, None);
    assert_eq!(first(time("2020-01-01T00:00:00Z"), None).await.as_deref(), Some("0"));
    assert_eq!(first(time("2999-01-01T00:00:00Z"), None).await, None);
}

#[tokio::test]
async fn a_paused_partition_yields_nothing_until_it_is_resumed_and_loses_nothing() {
    kafka().topic("paused", 2).await.expect("a topic");
    let mut source = open(&config(&["paused"]), &Positions::new()).await;
    Said::until(&mut source, |said| said.caught_up.len() == 2).await;
    let first = PartitionId::new("s:paused/0");
    source.pause(&first);
    kafka().put("paused", &[numbers(0, 0..500), numbers(1, 500..1000)].concat()).expect("stored");
    let said = Said::until(&mut source, |said| said.of("s:paused/1").len() == 500).await;
    assert!(said.of("s:paused/0").is_empty());
    source.resume(&first);
    let said = Said::until(&mut source, |said| said.of("s:paused/0").len() == 500).await;
    assert_eq!((said.of("s:paused/0")[0], said.of("s:paused/0")[499]), ("0", "499"));
}

#[tokio::test]
async fn aborted_transactions_and_tombstones_are_no_rows_and_markers_no_gap() {
    kafka().topic("transactions", 1).await.expect("a topic");
    let producer: BaseProducer = kafka().client().set("transactional.id", "t").create().expect("a producer");
    producer.init_transactions(DEADLINE).expect("a transaction");
    for (value, commit) in [("kept", true), ("aborted", false), ("kept too", true)] {
        producer.begin_transaction().expect("a transaction");
        producer.send(BaseRecord::<str, str>::to("transactions").partition(0).payload(value)).expect("queued");
        producer.flush(DEADLINE).expect("stored");
        let ended = if commit { producer.commit_transaction(DEADLINE) } else { producer.abort_transaction(DEADLINE) };
        ended.expect("ended");
    }
    kafka().put("transactions", &[Record { key: Some("k".into()), ..Record::default() }]).expect("stored");
    kafka().settled("transactions").expect("every marker is written");
    let config = KafkaConfig { tombstones: Tombstones::Skip, ..config(&["transactions"]).once() };
    let said = Said::until(&mut open(&config, &Positions::new()).await, |_| false).await;
    assert_eq!(said.of("s:transactions/0"), ["kept", "kept too"]);
}

#[tokio::test]
async fn keys_headers_and_places_come_with_the_value_in_an_envelope() {
    kafka().topic("enveloped", 1).await.expect("a topic");
    let headers = vec![("trace".to_owned(), "x".to_owned())];
    let whole = Record { key: Some("k".into()), headers, ..Record::new(0, r#"{"n":1}"#) };
    kafka().put("enveloped", &[whole, Record { key: Some("gone".into()), ..Record::default() }]).expect("stored");
    let config = KafkaConfig { envelope: Some(Envelope::Json), ..config(&["enveloped"]).once() };
    let said = Said::until(&mut open(&config, &Positions::new()).await, |_| false).await;
    let shown: Vec<String> = said
        .of("s:enveloped/0")
        .iter()
        .map(|record| {
            let mut record: serde_json::Value = serde_json::from_str(record).expect("JSON");
            assert!(record["timestamp"].as_i64().expect("milliseconds") > 1_700_000_000_000);
            record["timestamp"] = 0.into();
            record.to_string()
        })
        .collect();
    assert_eq!(
        shown[0],
        r#"{"headers":{"trace":"x"},"key":"k","offset":0,"partition":0,"timestamp":0,"topic":"enveloped","value":{"n":1}}"#
    );
    assert_eq!(
        shown[1],
        r#"{"headers":{},"key":"gone","offset":1,"partition":0,"timestamp":0,"topic":"enveloped","value":null}"#
    );
}

#[tokio::test]
async fn a_record_over_the_limit_is_cut_and_says_how_long_it_was() {
    kafka().topic("long", 1).await.expect("a topic");
    kafka().put("long", &[Record::new(0, "x".repeat(1000)), Record::new(0, "short")]).expect("stored");
    let config = KafkaConfig { max_record_bytes: weir_model::ByteSize(100), ..config(&["long"]).once() };
    let mut source = open(&config, &Positions::new()).await;
    loop {
        if let SourceEvent::Records(raw) = next(&mut source).await
            && !raw.records.is_empty()
        {
            assert!(raw.records[0].is_truncated());
            assert_eq!((raw.record(&raw.records[0]).len(), raw.records[0].original_bytes), (100, 1000));
            assert_eq!(raw.record(&raw.records[1]), b"short");
            return;
        }
    }
}

#[tokio::test]
async fn records_that_were_deleted_unread_are_said_and_a_topic_made_anew_is_refused() {
    kafka().topic("anew", 1).await.expect("a topic");
    kafka().put("anew", &numbers(0, 0..5)).expect("stored");
    let mut source = KafkaSource::open("s", &config(&["anew"])).expect("it is right");
    let error = source.seek(&at("s:anew/0", 9)).await.expect_err("the topic ends before that");
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.message.contains("made anew"), "{error}");

    kafka().delete_records("anew", 0, 3).await.expect("deleted");
    let said = Said::until(&mut open(&config(&["anew"]).once(), &at("s:anew/0", 1)).await, |_| false).await;
    assert_eq!(said.of("s:anew/0"), ["3", "4"]);
    assert!(said.trouble[0].contains("records 1 to 2 were deleted"), "{:?}", said.trouble);
}

#[tokio::test]
async fn a_topic_made_anew_is_refused_also_if_it_has_more_records_than_were_read() {
    kafka().topic("another", 2).await.expect("a topic");
    kafka().put("another", &numbers(0, 0..5)).expect("stored");
    let said = Said::until(&mut open(&config(&["another"]).once(), &Positions::new()).await, |_| false).await;
    kafka().put("another", &numbers(0, 5..6)).expect("stored");
    let again = Said::until(&mut open(&config(&["another"]).once(), &said.positions).await, |_| false).await;
    assert_eq!(again.of("s:another/0"), ["5"], "the same topic is read on");
    kafka().delete_topic("another").await.expect("deleted");
    kafka().topic("another", 2).await.expect("made anew");
    kafka().put("another", &numbers(0, 100..120)).expect("stored");
    let mut source = KafkaSource::open("s", &config(&["another"])).expect("it is right");
    let error = source.seek(&again.positions).await.expect_err("the same offsets name other records");
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.message.contains("s:another/0: record 5 is not the one that was read"), "{error}");
}

#[tokio::test]
async fn while_a_topic_is_made_anew_nothing_of_the_new_one_is_taken_for_the_old() {
    kafka().topic("replaced", 1).await.expect("a topic");
    kafka().put("replaced", &numbers(0, 0..5)).expect("stored");
    let mut source = open(&config(&["replaced"]), &Positions::new()).await;
    let said = Said::until(&mut source, |said| said.caught_up.len() == 1).await;
    assert_eq!(said.of("s:replaced/0").len(), 5);
    kafka().delete_topic("replaced").await.expect("deleted");
    kafka().topic("replaced", 1).await.expect("made anew");
    kafka().put("replaced", &numbers(0, 100..120)).expect("stored");
    let error = loop {
        match tokio::time::timeout(DEADLINE, source.next()).await.expect("something happens") {
            Err(error) => break error,
            Ok(SourceEvent::Records(raw)) => assert!(raw.records.is_empty(), "record {} was taken", raw.next.offset.0),
            Ok(_) => {}
        }
    };
    assert!(error.full().contains("replaced"), "{}", error.full());
}

#[tokio::test]
async fn a_topic_that_is_not_there_is_refused_with_its_name() {
    let mut source = KafkaSource::open("s", &config(&["nowhere"])).expect("it is right");
    let error = source.seek(&Positions::new()).await.expect_err("it is not there");
    assert_eq!(error.kind, ErrorKind::Config);
    assert!(error.full().contains("nowhere"), "{error}");
}

#[tokio::test]
async fn reading_goes_on_when_the_broker_was_killed_and_comes_back() {
    let kafka = Cluster::start(1).expect("a broker");
    kafka.topic("back", 1).await.expect("a topic");
    kafka.put("back", &numbers(0, 0..10)).expect("stored");
    let mut source = open(&KafkaConfig::new([kafka.bootstrap()], ["back"]), &Positions::new()).await;
    Said::until(&mut source, |said| said.of("s:back/0").len() == 10).await;
    kafka.node(1).kill();
    kafka.node(1).start().expect("it starts again");
    kafka.put("back", &numbers(0, 10..20)).expect("stored");
    let said = Said::until(&mut source, |said| said.of("s:back/0").len() == 10).await;
    assert_eq!(said.of("s:back/0")[0], "10");
}

/// A token of `name` that nobody signed, good for an hour.
fn token(name: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is after 1970").as_secs();
    let part = |json: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json);
    let claims = format!(r#"{{"sub":"{name}","iat":{now},"exp":{}}}"#, now + 3_600);
    format!("{}.{}.\n", part(r#"{"alg":"none"}"#.to_owned()), part(claims))
}

#[tokio::test]
async fn those_whom_the_broker_knows_are_let_in_and_others_are_told_why_not() {
    let secured = Secured::start().expect("a broker");
    secured.cluster.topic("secret", 1).await.expect("a topic");
    secured.cluster.put("secret", &numbers(0, 0..3)).expect("stored");
    let login = |password: &str| Login { username: USER.into(), password: Secret::new(password) };
    let trusting = TlsConfig { ca: Some(secured.certificate.display().to_string()), ..TlsConfig::default() };
    let config = |address: &str, sasl: SaslConfig, tls: Option<TlsConfig>| KafkaConfig {
        sasl: Some(sasl),
        tls,
        ..KafkaConfig::new([address], ["secret"]).once()
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("token");
    std::fs::write(&file, token("weir")).expect("written");
    let by_token =
        |file: &std::path::Path| SaslConfig::OauthBearer(TokenLogin { token_file: file.display().to_string() });
    for right in [
        config(&secured.sasl, by_token(&file), None),
        config(&secured.sasl_tls, by_token(&file), Some(trusting.clone())),
        config(&secured.sasl, SaslConfig::Plain(login(PASSWORD)), None),
        config(&secured.sasl, SaslConfig::ScramSha512(login(PASSWORD)), None),
        config(&secured.sasl_tls, SaslConfig::Plain(login(PASSWORD)), Some(trusting.clone())),
        config(&secured.sasl_tls, SaslConfig::ScramSha512(login(PASSWORD)), Some(trusting.clone())),
    ] {
        let said = Said::until(&mut open(&right, &Positions::new()).await, |_| false).await;
        assert_eq!(said.of("s:secret/0"), ["0", "1", "2"]);
    }
    for (wrong, reason) in [
        (config(&secured.sasl, SaslConfig::ScramSha512(login("wrong")), None), "uthentication"),
        (config(&secured.sasl_tls, SaslConfig::Plain(login(PASSWORD)), Some(TlsConfig::default())), "certificate"),
        (config(&secured.sasl, by_token(&folder.path().join("none")), None), "cannot be read"),
    ] {
        let mut source = KafkaSource::open("s", &wrong).expect("it is right");
        let error = source.seek(&Positions::new()).await.expect_err("refused");
        assert_eq!(error.kind, ErrorKind::Config, "{}", error.full());
        assert!(error.full().contains(reason), "{}", error.full());
        assert!(!error.full().contains(PASSWORD), "{}", error.full());
    }
}

#[test]
fn what_makes_no_sense_is_said_with_its_key() {
    let config = KafkaConfig {
        start: KafkaStart::Committed,
        client: [("isolation.level".to_owned(), "read_uncommitted".to_owned())].into(),
        ..KafkaConfig::new(["localhost"], ["two words", "^("])
    };
    let keys: Vec<String> = config.problems().into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["brokers[0]", "client", "topics[0]", "topics[1]", "start"]);
}
