//! A client for benchmarks: makes topics, puts the lines of a file into one, writes one into a file, and measures how long
//! records take from one topic to another. Refuses to start a broker.
//!
//! ```text
//! feed topic  BROKERS TOPIC                      where the brokers make topics by themselves
//! feed put    BROKERS TOPIC PARTITIONS FILE       line n goes to partition n modulo PARTITIONS
//! feed read   BROKERS TOPIC FILE                  what is committed now
//! feed delays BROKERS IN OUT RATE SECONDS         p50, p99 and the largest, in milliseconds, of records that are committed
//! ```

use std::error::Error;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

const DEADLINE: Duration = Duration::from_secs(60);
/// Records are put so often, as many as are due.
const BEAT: Duration = Duration::from_millis(2);
/// How long records may take to arrive after the last one was put.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// The first so many seconds are not counted: clients connect, leaders are found.
const WARM_UP: Duration = Duration::from_secs(3);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["topic", brokers, topic] => make(brokers, topic),
        ["put", brokers, topic, partitions, file] => put(brokers, topic, partitions, file),
        ["read", brokers, topic, file] => read(brokers, topic, file),
        ["delays", brokers, input, output, rate, seconds] => delays(brokers, (input, output), rate, seconds),
        _ => Err("see the head of feed.rs".into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("feed: {error}");
            ExitCode::FAILURE
        }
    }
}

fn settings(brokers: &str) -> ClientConfig {
    let mut settings = ClientConfig::new();
    settings.set("bootstrap.servers", brokers).set("isolation.level", "read_committed");
    settings
}

/// Has the brokers make a topic, as they do for producers when they may.
fn make(brokers: &str, topic: &str) -> Outcome {
    let (producer, started) = (producer(brokers, "0")?, Instant::now());
    loop {
        let metadata = producer.client().fetch_metadata(Some(topic), DEADLINE)?;
        if metadata.topics().iter().any(|topic| topic.error().is_none() && !topic.partitions().is_empty()) {
            return Ok(());
        }
        if started.elapsed() > DEADLINE {
            return Err(format!("the brokers do not make {topic}").into());
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn producer(brokers: &str, linger_ms: &str) -> Outcome<BaseProducer> {
    let mut settings = settings(brokers);
    settings.set("enable.idempotence", "true").set("compression.type", "lz4").set("linger.ms", linger_ms);
    Ok(settings.create()?)
}

/// Gives the client a record, after those that wait if its queue is full.
fn send(producer: &BaseProducer, topic: &str, partition: i32, value: &str) -> Outcome {
    let mut next = BaseRecord::<str, str>::to(topic).partition(partition).payload(value);
    while let Err((error, again)) = producer.send(next) {
        if !matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)) {
            return Err(error.into());
        }
        producer.poll(Duration::from_millis(10));
        next = again;
    }
    Ok(())
}

fn put(brokers: &str, topic: &str, partitions: &str, file: &str) -> Outcome {
    make(brokers, topic)?;
    let partitions: i32 = partitions.parse()?;
    let producer = producer(brokers, "20")?;
    for (number, line) in BufReader::with_capacity(1 << 20, File::open(file)?).lines().enumerate() {
        send(&producer, topic, i32::try_from(number % usize::try_from(partitions)?)?, &line?)?;
        if number % 1024 == 0 {
            producer.poll(Duration::ZERO);
        }
    }
    producer.flush(DEADLINE)?;
    Ok(())
}

/// A reader of a whole topic, from its beginning or its end on; and how many partitions it has.
fn reader(brokers: &str, topic: &str, from: Offset) -> Outcome<(BaseConsumer, usize)> {
    let mut settings = settings(brokers);
    settings.set("group.id", "feed").set("enable.auto.commit", "false").set("enable.partition.eof", "true");
    settings.set("fetch.wait.max.ms", "10");
    let consumer: BaseConsumer = settings.create()?;
    let metadata = consumer.fetch_metadata(Some(topic), DEADLINE)?;
    let partitions = metadata.topics().first().map_or(0, |topic| topic.partitions().len());
    let mut all = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions)? {
        all.add_partition_offset(topic, partition, from)?;
    }
    consumer.assign(&all)?;
    Ok((consumer, partitions))
}

fn read(brokers: &str, topic: &str, file: &str) -> Outcome {
    let (consumer, partitions) = reader(brokers, topic, Offset::Beginning)?;
    let mut file = BufWriter::new(File::create(file)?);
    let (mut ended, started) = (std::collections::BTreeSet::new(), Instant::now());
    while ended.len() < partitions {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                file.write_all(message.payload().unwrap_or_default())?;
                file.write_all(b"\n")?;
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => _ = ended.insert(partition),
            Some(Err(error)) => return Err(error.into()),
            None if started.elapsed() > DEADLINE => return Err(format!("{topic} does not end").into()),
            None => {}
        }
    }
    Ok(file.flush()?)
}

fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// The number behind `"sent":` in a row.
fn sent(row: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"\"sent\":";
    let at = row.windows(NAME.len()).position(|bytes| bytes == NAME)? + NAME.len();
    let digits = row[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

fn delays(brokers: &str, (input, output): (&str, &str), rate: &str, seconds: &str) -> Outcome {
    let (rate, seconds): (u64, u64) = (rate.parse()?, seconds.parse()?);
    let (consumer, _) = reader(brokers, output, Offset::End)?;
    let (put, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let mut delays = std::thread::scope(|scope| {
        let receiving = scope.spawn(|| receive(&consumer, &put, &done));
        let outcome = keep_rate(brokers, input, (rate, seconds), &put);
        done.store(true, Ordering::Release);
        let delays = receiving.join().map_err(|_| "the reader has died")?;
        outcome.map(|()| delays)
    })?;
    delays.sort_unstable();
    let at = |part: f64| delays[((delays.len() - 1) as f64 * part) as usize] as f64 / 1e3;
    if delays.is_empty() {
        return Err("nothing arrived".into());
    }
    println!(
        "{} of {} records: p50 {:.1}, p99 {:.1}, max {:.1} ms",
        delays.len(),
        put.into_inner(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    Ok(())
}

/// Puts records at the rate until the time is over.
fn keep_rate(brokers: &str, topic: &str, (rate, seconds): (u64, u64), put: &AtomicU64) -> Outcome {
    const PARTITIONS: u64 = 4;
    let producer = producer(brokers, "1")?;
    let (started, mut number) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(seconds) {
        let due = (started.elapsed().as_secs_f64() * rate as f64) as u64;
        for number in number..due {
            let row = format!(
                r#"{{"id":{number},"sent":{},"service":"service-{}","level":"INFO","message":"request {number} was answered"}}"#,
                now_micros(),
                number % 20
            );
            send(&producer, topic, i32::try_from(number % PARTITIONS)?, &row)?;
        }
        number = number.max(due);
        put.store(number, Ordering::Release);
        producer.poll(Duration::ZERO);
        std::thread::park_timeout(BEAT);
    }
    producer.flush(DEADLINE)?;
    Ok(())
}

/// How long each record took, until all have arrived or no more can be waited for.
fn receive(consumer: &BaseConsumer, put: &AtomicU64, done: &AtomicBool) -> Vec<u64> {
    let (mut delays, mut arrived) = (Vec::new(), 0);
    let (started, mut last) = (Instant::now(), Instant::now());
    while !done.load(Ordering::Acquire) || (arrived < put.load(Ordering::Acquire) && last.elapsed() < LAST_WORDS) {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
        (arrived, last) = (arrived + 1, Instant::now());
        if started.elapsed() >= WARM_UP
            && let Some(sent) = message.payload().and_then(sent)
        {
            delays.push(now_micros().saturating_sub(sent));
        }
    }
    delays
}
