//! The sink on a real broker: what is visible, when, and what a repeated commit does.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Int64Array, StringArray};
use tempfile::TempDir;
use weir_disk::Disk;
use weir_kafka_broker::{Cluster, Isolation};
use weir_model::{ByteSize, DurationText, ErrorKind, SeamError};

use super::*;
use crate::{AvroFrame, AvroOutput, RowFormat};

/// A machine that does other things beside is only slow.
const PATIENCE: Duration = Duration::from_secs(300);

/// The one broker of all tests here. It ends with this process.
fn kafka() -> &'static Cluster {
    static KAFKA: OnceLock<Cluster> = OnceLock::new();
    KAFKA.get_or_init(|| Cluster::start(1).expect("a broker"))
}

fn output(topic: &str, delivery: Delivery) -> KafkaOutput {
    KafkaOutput { delivery, key: Some("k".into()), ..KafkaOutput::new([kafka().bootstrap()], topic) }
}

fn open(folder: &TempDir, config: &KafkaOutput, committed: Option<&Prepared>) -> SeamResult<KafkaSink> {
    KafkaSink::open(Arc::new(Disk), folder.path(), config, committed)
}

/// Opens it as a start does: what came after the last commit is forgotten, what it prepared is shown.
async fn start(folder: &TempDir, config: &KafkaOutput, last: Option<(u64, &Prepared)>) -> SeamResult<KafkaSink> {
    let mut sink = open(folder, config, last.map(|(_, prepared)| prepared))?;
    sink.abort(Epoch(last.map_or(0, |(epoch, _)| epoch))).await?;
    if let Some((epoch, prepared)) = last {
        sink.commit(Epoch(epoch), prepared).await?;
    }
    Ok(sink)
}

fn rows(numbers: &[i64]) -> RecordBatch {
    let texts = |word: &str| numbers.iter().map(|number| format!("{word}{number}")).collect::<Vec<_>>();
    let columns: [(&str, ArrayRef); 3] = [
        ("k", Arc::new(StringArray::from(texts("key-")))),
        ("n", Arc::new(Int64Array::from(numbers.to_vec()))),
        ("row_id", Arc::new(StringArray::from(texts("id-")))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// The row ids that a reader sees, in order.
fn seen(topic: &str, isolation: Isolation) -> Vec<String> {
    kafka().settled(topic).unwrap();
    let mut ids: Vec<String> =
        kafka().read(topic, isolation).unwrap().into_iter().map(|record| record.headers[0].1.clone()).collect();
    ids.sort();
    ids
}

fn files(folder: &TempDir) -> usize {
    std::fs::read_dir(folder.path()).unwrap().count() - 1
}

#[tokio::test]
async fn at_least_once_rows_are_there_when_the_epoch_is_prepared_with_keys_and_ids() {
    kafka().topic("at-least", 2).await.unwrap();
    let folder = TempDir::new().unwrap();
    let mut sink = start(&folder, &output("at-least", Delivery::AtLeastOnce), None).await.unwrap();
    assert_eq!(sink.guarantee(), Guarantee::AtLeastOnce);
    sink.write(&rows(&[1, 2, 3])).await.unwrap();
    sink.prepare(Epoch(1)).await.unwrap();
    let records = kafka().read("at-least", Isolation::Committed).unwrap();
    assert_eq!(records.len(), 3);
    let second = records.iter().find(|record| record.key.as_deref() == Some("key-2")).unwrap();
    assert_eq!(second.value.as_deref(), Some(r#"{"k":"key-2","n":2,"row_id":"id-2"}"#));
    assert_eq!(second.headers, [("row_id".to_owned(), "id-2".to_owned())]);
}

#[tokio::test]
async fn exactly_once_rows_are_visible_after_their_commit_and_a_repeated_commit_sends_nothing() {
    kafka().topic("exactly", 3).await.unwrap();
    let folder = TempDir::new().unwrap();
    let config = output("exactly", Delivery::ExactlyOnce);
    let mut sink = start(&folder, &config, None).await.unwrap();
    sink.write(&rows(&[1, 2])).await.unwrap();
    let first = sink.prepare(Epoch(1)).await.unwrap();
    assert!(seen("exactly", Isolation::Uncommitted).is_empty(), "nothing leaves before the commit");
    sink.commit(Epoch(1), &first).await.unwrap();
    sink.commit(Epoch(1), &first).await.unwrap();
    assert_eq!(seen("exactly", Isolation::Committed), ["id-1", "id-2"]);
    assert_eq!(files(&folder), 0, "what was sent is not kept");

    // A start that does not know whether the last commit was carried out.
    let mut sink = start(&folder, &config, Some((1, &first))).await.unwrap();
    let empty = sink.prepare(Epoch(2)).await.unwrap();
    sink.commit(Epoch(2), &empty).await.unwrap();
    let mut sink = start(&folder, &config, Some((2, &empty))).await.unwrap();
    sink.write(&rows(&[3])).await.unwrap();
    let third = sink.prepare(Epoch(3)).await.unwrap();
    sink.commit(Epoch(3), &third).await.unwrap();
    assert_eq!(seen("exactly", Isolation::Uncommitted), ["id-1", "id-2", "id-3"]);
}

#[tokio::test]
async fn a_start_sends_what_was_committed_and_not_sent_and_forgets_what_was_not_committed() {
    kafka().topic("forward", 1).await.unwrap();
    let folder = TempDir::new().unwrap();
    let config = output("forward", Delivery::ExactlyOnce);
    let mut sink = start(&folder, &config, None).await.unwrap();
    sink.write(&rows(&[1])).await.unwrap();
    let first = sink.prepare(Epoch(1)).await.unwrap();
    sink.write(&rows(&[2])).await.unwrap();
    sink.prepare(Epoch(2)).await.unwrap();
    sink.write(&rows(&[3])).await.unwrap();
    drop(sink);
    start(&folder, &config, Some((1, &first))).await.unwrap();
    assert_eq!(seen("forward", Isolation::Uncommitted), ["id-1"]);
    assert_eq!(files(&folder), 0);
}

#[tokio::test]
async fn two_of_the_same_output_fence_each_other_and_nothing_is_twice() {
    kafka().topic("zombie", 1).await.unwrap();
    let folder = TempDir::new().unwrap();
    let config = output("zombie", Delivery::ExactlyOnce);
    let mut zombie = start(&folder, &config, None).await.unwrap();
    zombie.write(&rows(&[1])).await.unwrap();
    let first = zombie.prepare(Epoch(1)).await.unwrap();
    // Another process goes on from the commit while this one is asleep between commit and sending.
    start(&folder, &config, Some((1, &first))).await.unwrap();
    let outcome = zombie.commit(Epoch(1), &first).await;
    assert!(outcome.is_err(), "its file is gone, and its producer is fenced");
    assert_eq!(seen("zombie", Isolation::Committed), ["id-1"]);
}

#[tokio::test]
async fn a_data_folder_older_than_what_was_sent_is_refused() {
    kafka().topic("older", 1).await.unwrap();
    let folder = TempDir::new().unwrap();
    let config = output("older", Delivery::ExactlyOnce);
    let mut sink = start(&folder, &config, None).await.unwrap();
    let mut prepared = Vec::new();
    for epoch in 1..=2 {
        sink.write(&rows(&[epoch])).await.unwrap();
        prepared.push(sink.prepare(Epoch(epoch.unsigned_abs())).await.unwrap());
        sink.commit(Epoch(epoch.unsigned_abs()), prepared.last().unwrap()).await.unwrap();
    }
    let error = start(&folder, &config, Some((1, &prepared[0]))).await.err().unwrap();
    assert_eq!(error.kind, ErrorKind::Corrupt);
    assert!(error.message.contains("older than what was sent"), "{error}");
}

#[tokio::test]
async fn an_identity_that_is_gone_is_not_made_up_again() {
    kafka().topic("identity", 1).await.unwrap();
    let folder = TempDir::new().unwrap();
    let config = output("identity", Delivery::ExactlyOnce);
    let mut sink = start(&folder, &config, None).await.unwrap();
    sink.write(&rows(&[1])).await.unwrap();
    let first = sink.prepare(Epoch(1)).await.unwrap();
    sink.commit(Epoch(1), &first).await.unwrap();
    std::fs::remove_file(folder.path().join("identity")).unwrap();
    let error: SeamError = open(&folder, &config, Some(&first)).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_asked_for_and_not_repeated() {
    let kafka = Cluster::start(1).expect("a broker");
    kafka.topic("lost", 1).await.unwrap();
    let folder = TempDir::new().unwrap();
    let config = KafkaOutput { key: Some("k".into()), ..KafkaOutput::new([kafka.bootstrap()], "lost") };
    let mut sink = start(&folder, &config, None).await.unwrap();
    sink.write(&rows(&[1, 2])).await.unwrap();
    let first = sink.prepare(Epoch(1)).await.unwrap();
    kafka.node(1).kill();
    kafka.node(1).start().expect("it starts again");
    // As the outlet does it: again after a failure that may pass.
    let started = Instant::now();
    while let Err(error) = sink.commit(Epoch(1), &first).await {
        assert!(error.kind == ErrorKind::Retry && started.elapsed() < PATIENCE, "{}", error.full());
    }
    kafka.settled("lost").unwrap();
    assert_eq!(kafka.read("lost", Isolation::Committed).unwrap().len(), 2);
}

#[test]
fn a_row_without_the_column_of_the_key_is_refused_with_the_columns_there_are() {
    let config = KafkaOutput { key: Some("app".to_owned()), ..KafkaOutput::new(["localhost:9092"], "t") };
    let error = frames(&rows(&[1]), &config, Vec::new(), &mut Vec::new()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Config);
    assert!(error.message.contains("`app`") && error.message.contains("k, n, row_id"), "{error}");
}

#[test]
fn frames_read_back_as_they_were_written_and_a_torn_one_is_none() {
    let frame = Frame { key: Some(b"k"), row_id: Some(b""), ..Frame::default() };
    let mut bytes = Vec::new();
    frame.write(&mut bytes);
    assert_eq!(Frame::read(&bytes), Some((frame, &[][..])));
    for length in 0..bytes.len() {
        assert_eq!(Frame::read(&bytes[..length]), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_has_the_headers_of_its_columns_and_no_value_where_its_key_is_deleted() {
    kafka().topic("headers", 1).await.unwrap();
    let folder = TempDir::new().unwrap();
    let config = KafkaOutput {
        headers: [("trace".to_owned(), "t".to_owned())].into(),
        tombstone: Some("gone".to_owned()),
        ..output("headers", Delivery::ExactlyOnce)
    };
    let columns: [(&str, ArrayRef); 3] = [
        ("k", Arc::new(StringArray::from(vec!["a", "b"]))),
        ("t", Arc::new(StringArray::from(vec![Some("x"), None]))),
        ("gone", Arc::new(arrow::array::BooleanArray::from(vec![None, Some(true)]))),
    ];
    let rows = RecordBatch::try_from_iter(columns).unwrap();
    let mut sink = start(&folder, &config, None).await.unwrap();
    sink.write(&rows).await.unwrap();
    let prepared = sink.prepare(Epoch(1)).await.unwrap();
    sink.commit(Epoch(1), &prepared).await.unwrap();
    kafka().settled("headers").unwrap();
    let records = kafka().read("headers", Isolation::Committed).unwrap();
    let shown: Vec<_> =
        records.iter().map(|record| (record.key.as_deref(), record.value.is_some(), &record.headers)).collect();
    let trace = vec![("trace".to_owned(), "x".to_owned())];
    assert_eq!(shown, [(Some("a"), true, &trace), (Some("b"), false, &Vec::new())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_does_not_fit_the_schema_is_rejected_and_the_others_are_sent() {
    kafka().topic("fits", 1).await.unwrap();
    let folder = TempDir::new().unwrap();
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"n","type":"int"}]}"#;
    let format = RowFormat::Avro(AvroOutput {
        schema: Some(weir_schema::SchemaSource::Text(schema.to_owned())),
        ..AvroOutput::default()
    });
    let config = KafkaOutput { format, ..output("fits", Delivery::AtLeastOnce) };
    let mut sink = start(&folder, &config, None).await.unwrap();
    let delivered = sink.write(&rows(&[1, 1 << 40, 3])).await.unwrap();
    sink.prepare(Epoch(1)).await.unwrap();
    assert_eq!(delivered.rejected.len(), 1);
    assert_eq!(delivered.rejected[0].row, 1);
    assert_eq!(delivered.rejected[0].reason, "column \"n\": is 1099511627776; the schema wants 32 bits");
    let values: Vec<_> =
        kafka().read("fits", Isolation::Committed).unwrap().into_iter().map(|record| record.value).collect();
    assert_eq!(values, [Some("\u{2}".to_owned()), Some("\u{6}".to_owned())]);
}

/// Records of these keys, one each.
fn keyed(keys: &[&str]) -> RecordBatch {
    let columns: [(&str, ArrayRef); 1] = [("k", Arc::new(StringArray::from(keys.to_vec())))];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Sends rows at least once, and waits until they are stored.
async fn sent(config: &KafkaOutput, rows: &RecordBatch) {
    let folder = TempDir::new().unwrap();
    let mut sink = start(&folder, config, None).await.unwrap();
    sink.write(rows).await.unwrap();
    sink.prepare(Epoch(1)).await.unwrap();
}

/// Keys and what `org.apache.kafka.common.utils.Utils.murmur2` says of them, by Kafka's own tests of it.
const MURMUR2: [(&str, i32); 6] = [
    ("21", -973_932_308),
    ("foobar", -790_332_482),
    ("a-little-bit-long-string", -985_981_536),
    ("a-little-bit-longer-string", -1_486_304_829),
    ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
    ("abc", 479_470_107),
];

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 })
    })
}

fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

#[tokio::test]
async fn a_key_lies_in_the_partition_in_which_other_clients_put_it() {
    const PARTITIONS: i32 = 7;
    /// Where a key lies, by itself and by what murmur2 says of it.
    type Place = fn(&str, i32) -> i32;
    let place: [(Partitioner, Place); 3] = [
        (Partitioner::Murmur2, |_, murmur2| (murmur2 & i32::MAX) % PARTITIONS),
        (Partitioner::Crc32, |key, _| (crc32(key.as_bytes()) % PARTITIONS as u32) as i32),
        // Sarama takes the rest of a number with a sign, and its absolute value.
        (Partitioner::Fnv1a, |key, _| (fnv1a(key.as_bytes()) as i32 % PARTITIONS).abs()),
    ];
    assert_eq!((crc32(b"123456789"), fnv1a(b"a")), (0xcbf4_3926, 0xe40c_292c), "as their authors say");
    for (partitioner, place) in place {
        let topic = format!("placed-{}", partitioner.name());
        kafka().topic(&topic, PARTITIONS).await.unwrap();
        let config = KafkaOutput { partitioner, ..output(&topic, Delivery::AtLeastOnce) };
        sent(&config, &keyed(&MURMUR2.map(|(key, _)| key))).await;
        let records = kafka().read(&topic, Isolation::Committed).unwrap();
        for (key, murmur2) in MURMUR2 {
            let record = records.iter().find(|record| record.key.as_deref() == Some(key)).unwrap();
            assert_eq!(record.partition, place(key, murmur2), "{key} by {partitioner:?}");
        }
    }
    // And in fact: what a producer in Java does with the same keys.
    let keys: Vec<String> =
        (0..300).map(|n| format!("{}key-{}{n}", "a-longer-".repeat(n % 5), "ü".repeat(n % 3))).collect();
    let placed = |topic: &str| -> BTreeMap<Option<String>, i32> {
        let records = kafka().read(topic, Isolation::Committed).unwrap();
        records.into_iter().map(|record| (record.key, record.partition)).collect()
    };
    for topic in ["placed-by-java", "placed-by-weir"] {
        kafka().topic(topic, 12).await.unwrap();
    }
    kafka().put_by_java("placed-by-java", &keys).unwrap();
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    sent(&output("placed-by-weir", Delivery::AtLeastOnce), &keyed(&names)).await;
    let by_java = placed("placed-by-java");
    assert_eq!(by_java.len(), keys.len());
    assert_eq!(placed("placed-by-weir"), by_java);
    // Spread although the key is the same.
    kafka().topic("placed-random", PARTITIONS).await.unwrap();
    let config = KafkaOutput {
        partitioner: Partitioner::Random,
        batch: KafkaBatch { records_max: 1, ..KafkaBatch::default() },
        ..output("placed-random", Delivery::AtLeastOnce)
    };
    sent(&config, &keyed(&["same"; 200])).await;
    let partitions: BTreeSet<i32> =
        kafka().read("placed-random", Isolation::Committed).unwrap().iter().map(|record| record.partition).collect();
    assert!(partitions.len() > 1, "{partitions:?}");
}

#[tokio::test]
async fn batches_are_as_long_and_as_small_as_is_said() {
    const ROWS: usize = 2_000;
    let keys: Vec<String> = (0..ROWS).map(|row| format!("a key of some length {row}")).collect();
    let rows = keyed(&keys.iter().map(String::as_str).collect::<Vec<_>>());
    let long = KafkaBatch { linger: DurationText::secs(1), ..KafkaBatch::default() };
    let cases = [
        ("few", KafkaBatch { records_max: 50, ..long.clone() }, Compression::None, 0),
        ("small", KafkaBatch { bytes_max: ByteSize(4_000), ..long.clone() }, Compression::Gzip, 1),
        ("snappy", long.clone(), Compression::Snappy, 2),
        ("lz4", long.clone(), Compression::Lz4, 3),
        ("zstd", long, Compression::Zstd, 4),
    ];
    for (name, batch, compression, codec) in cases {
        let topic = format!("batches-{name}");
        kafka().topic(&topic, 1).await.unwrap();
        sent(&KafkaOutput { batch, compression, ..output(&topic, Delivery::AtLeastOnce) }, &rows).await;
        let batches = kafka().batches(1, &topic, 0).unwrap();
        assert_eq!(batches.iter().map(|batch| batch.records as usize).sum::<usize>(), ROWS, "{topic}");
        assert!(batches.iter().all(|batch| batch.codec == codec), "{topic}: {batches:?}");
        match name {
            "few" => assert!(batches.iter().all(|batch| batch.records <= 50), "{batches:?}"),
            // What is said counts before it is compressed, and each row takes more than 40 bytes.
            "small" => assert!(batches.iter().all(|batch| batch.records <= 100), "{batches:?}"),
            // Nothing but its linger time ends a batch; here that may be over a few times.
            _ => assert!(batches.len() <= ROWS / 100, "{topic}: {batches:?}"),
        }
    }
}

#[test]
fn what_makes_no_sense_is_said_with_its_key() {
    let problems = |output: KafkaOutput| {
        let keys = output.problems().into_iter().map(|(key, _)| key);
        keys.collect::<Vec<_>>()
    };
    let avro = |framing| RowFormat::Avro(AvroOutput { framing: Some(framing), ..AvroOutput::default() });
    let output = |format| KafkaOutput { format, ..KafkaOutput::new(["localhost:9092"], "t") };
    assert_eq!(problems(output(avro(AvroFrame::Confluent))), ["format.avro.framing"]);
    assert_eq!(problems(output(avro(AvroFrame::SingleObject))), ["format.avro"], "nobody would know the schema");
    assert_eq!(problems(KafkaOutput::new(["localhost"], "two words")), ["brokers[0]", "topic"]);
    assert_eq!(problems(KafkaOutput::by("shop", "t")), Vec::<String>::new(), "its brokers are said elsewhere");
}
