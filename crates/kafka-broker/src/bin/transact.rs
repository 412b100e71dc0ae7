//! A process to be killed: copies records from one topic to another in transactions that also hold the offsets and a string
//! beside them, and stops before every step until it is told to go on. Refuses to recover by itself: the test looks first.
//!
//! Speaks lines. On standard output: what it has just done, with `failed STEP KIND CODE` for what a client said. On standard
//! input: a line for every step it may take; `die N` lets it take the step and kills it N microseconds later.

use std::io::{BufRead, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata, Rebalance};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{Header, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

/// How many records a transaction copies.
const EPOCH_RECORDS: usize = 5;
const DEADLINE: Duration = Duration::from_secs(300);

/// What the group is like at the moment a partition is given to this process: the one moment at which it may be asked.
#[derive(Clone, Default)]
struct Membership {
    at_assignment: Arc<Mutex<Option<ConsumerGroupMetadata>>>,
    at_revocation: Arc<Mutex<Option<ConsumerGroupMetadata>>>,
}

impl ClientContext for Membership {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        eprintln!("{facility}: {message}");
    }
}

impl ConsumerContext for Membership {
    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        let place = match rebalance {
            Rebalance::Assign(_) => &self.at_assignment,
            Rebalance::Revoke(_) | Rebalance::Error(_) => &self.at_revocation,
        };
        *place.lock().expect("no other thread panicked") = consumer.group_metadata();
    }
}

struct Settings {
    bootstrap: String,
    input: String,
    output: String,
    group: String,
    instance: String,
    session_ms: String,
    transaction_ms: String,
    /// Asks for the membership after its partitions are lost instead of when they came: what the rules forbid.
    careless: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [bootstrap, input, output, group, instance, session_ms, transaction_ms, care] = arguments.as_slice() else {
        eprintln!("transact BOOTSTRAP INPUT OUTPUT GROUP INSTANCE|- SESSION_MS TRANSACTION_MS careful|careless");
        return ExitCode::from(2);
    };
    let settings = Settings {
        bootstrap: bootstrap.clone(),
        input: input.clone(),
        output: output.clone(),
        group: group.clone(),
        instance: instance.clone(),
        session_ms: session_ms.clone(),
        transaction_ms: transaction_ms.clone(),
        careless: care == "careless",
    };
    if let Err((step, error)) = run(&settings) {
        say(&format!("failed {step} {}", kind(&error)));
    }
    ExitCode::SUCCESS
}

fn run(settings: &Settings) -> Result<(), (&'static str, KafkaError)> {
    let at = |step: &'static str| move |error: KafkaError| (step, error);
    let membership = Membership::default();
    let producer = producer(settings).map_err(at("producer"))?;
    producer.init_transactions(DEADLINE).map_err(at("init"))?;
    step("initialised");
    let consumer = consumer(settings, membership.clone()).map_err(at("consumer"))?;
    let mut attempt = 0;
    loop {
        let records = take(&consumer).map_err(at("take"))?;
        let first = records.first().map_or(0, Message::offset);
        attempt += 1;
        let epoch = 1 + first / EPOCH_RECORDS as i64;
        let name = format!("v1|{epoch}|{}-{attempt}", std::process::id());
        step(&format!("took {first}"));
        producer.begin_transaction().map_err(at("begin"))?;
        step("began");
        for record in &records {
            copy(&producer, settings, record, &name).map_err(at("produce"))?;
        }
        step("produced");
        producer.flush(DEADLINE).map_err(at("flush"))?;
        step("flushed");
        let stored = || membership.at_assignment.lock().expect("no other thread panicked");
        let group = if settings.careless { after_the_loss(&consumer, &membership) } else { stored().take() };
        let group = group.expect("a consumer with a group");
        let mut offsets = TopicPartitionList::new();
        let mut place = offsets.add_partition(&settings.input, 0);
        place.set_offset(Offset::Offset(first + EPOCH_RECORDS as i64)).map_err(at("offset"))?;
        place.set_metadata(&name);
        let sent = producer.send_offsets_to_transaction(&offsets, &group, DEADLINE);
        *stored() = Some(group);
        if let Err(error) = sent {
            say(&format!("failed offsets {}", kind(&error)));
            producer.abort_transaction(DEADLINE).map_err(at("abort"))?;
            say("aborted");
            return Ok(());
        }
        step("sent");
        say("committing");
        if let Err(error) = producer.commit_transaction(DEADLINE) {
            say(&format!("failed commit {}", kind(&error)));
            producer.abort_transaction(DEADLINE).map_err(at("abort"))?;
            say("aborted");
            return Ok(());
        }
        step("committed");
    }
}

fn producer(settings: &Settings) -> KafkaResult<BaseProducer> {
    ClientConfig::new()
        .set("bootstrap.servers", &settings.bootstrap)
        .set("transactional.id", format!("{}/{}", settings.group, settings.instance))
        .set("transaction.timeout.ms", &settings.transaction_ms)
        .set("message.timeout.ms", &settings.transaction_ms)
        .create()
}

fn consumer(settings: &Settings, membership: Membership) -> KafkaResult<BaseConsumer<Membership>> {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.bootstrap)
        .set("group.id", &settings.group)
        .set("session.timeout.ms", &settings.session_ms)
        .set("heartbeat.interval.ms", "200")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", "earliest")
        .set("fetch.wait.max.ms", "20");
    if settings.instance != "-" {
        config.set("group.instance.id", &settings.instance);
    }
    let consumer: BaseConsumer<Membership> = config.create_with_context(membership)?;
    consumer.subscribe(&[&settings.input])?;
    Ok(consumer)
}

/// The next records; waits for all of them.
fn take(consumer: &BaseConsumer<Membership>) -> KafkaResult<Vec<OwnedMessage>> {
    let mut records = Vec::new();
    while records.len() < EPOCH_RECORDS {
        match consumer.poll(Duration::from_millis(50)) {
            Some(Ok(message)) => records.push(message.detach()),
            Some(Err(error)) => eprintln!("poll: {error}"),
            None => {}
        }
    }
    Ok(records)
}

/// The membership as the client says it once it has heard that its partitions are gone.
fn after_the_loss(consumer: &BaseConsumer<Membership>, membership: &Membership) -> Option<ConsumerGroupMetadata> {
    loop {
        let _ = consumer.poll(Duration::from_millis(10));
        let lost = membership.at_revocation.lock().expect("no other thread panicked").take();
        if lost.is_some() {
            say("lost");
            return consumer.group_metadata();
        }
    }
}

fn copy(producer: &BaseProducer, settings: &Settings, record: &OwnedMessage, name: &str) -> KafkaResult<()> {
    let headers = OwnedHeaders::new().insert(Header { key: "snapshot", value: Some(name) });
    let next: BaseRecord<'_, [u8], [u8]> =
        BaseRecord::to(&settings.output).partition(0).payload(record.payload().unwrap_or_default()).headers(headers);
    producer.send(next).map_err(|(error, _)| error)
}

fn say(line: &str) {
    println!("{line}");
    let _ = std::io::stdout().flush();
}

/// Says what was done and waits until it may go on; ends when nobody listens any more.
#[expect(clippy::disallowed_methods, reason = "a process that is there to die, at a moment that no event marks")]
fn step(line: &str) {
    say(line);
    let mut go = String::new();
    if std::io::stdin().lock().read_line(&mut go).unwrap_or(0) == 0 {
        std::process::exit(0);
    }
    if let Some(microseconds) = go.strip_prefix("die ").and_then(|number| number.trim().parse().ok()) {
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_micros(microseconds));
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
        });
    }
}

/// What a client may do about an error, as librdkafka says it: `fatal`, `abortable`, `retriable` or `other`, and its code.
fn kind(error: &KafkaError) -> String {
    let KafkaError::Transaction(inner) = error else { return format!("plain {error:?}") };
    let kind = match (inner.is_fatal(), inner.txn_requires_abort(), inner.is_retriable()) {
        (true, ..) => "fatal",
        (_, true, _) => "abortable",
        (.., true) => "retriable",
        _ => "other",
    };
    format!("{kind} {:?}", inner.code())
}
