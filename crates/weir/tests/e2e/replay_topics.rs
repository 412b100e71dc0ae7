//! Replays of what lies in topics: of the log, of which retention has deleted the beginning, and of a real Kafka, where that
//! happens too. What is needed and gone is named, with the time from which on a replay is possible; never a shorter result.

use std::time::Instant;

use serde_json::{Value, json};
use weir_kafka_broker::{Cluster, Record};

use crate::harness::{PATIENCE, Place, well};
use crate::replay::{counts, refusal, replay};
use crate::up::{Server, exchange};

/// A stream of which one MiB is kept.
const RETAINED: &str = "\
name: retained
sources:
  app: { http: { stream: app, retain: { bytes: 1MiB } }, format: json }
time: { field: ts, watermark: { bounded: { delay: 1s } } }
steps:
  - name: per_minute
    window: { tumbling: 1m, compute: { events: count(*), total: sum(n) } }
outputs:
  - table: rows
    from: app
  - table: per_minute
epoch: 100ms
";

/// Rows of ten seconds, half a second apart, each of two kilobytes; `n` counts them all.
fn ten_seconds(part: u32) -> String {
    let padding = "x".repeat(2_000);
    let row = |n: u32| {
        let (minute, millis) = (n / 120, n % 120 * 500);
        let (second, milli) = (millis / 1000, millis % 1000);
        format!(
            "{{\"ts\":\"2026-01-01T00:{minute:02}:{second:02}.{milli:03}Z\",\"n\":{n},\"padding\":\"{padding}\"}}\n"
        )
    };
    (part * 20..(part + 1) * 20).map(row).collect()
}

/// The time that a refusal says a replay is possible from.
fn possible_from(report: &Value) -> String {
    let why = report["refusal"].as_str().unwrap_or_else(|| panic!("it is refused: {report}"));
    why.split("--from ").nth(1).unwrap_or_else(|| panic!("{why}")).split([' ', ';', ')']).next().unwrap().to_owned()
}

/// From the time that a refusal names on everything is there, and is the same; just before it, it is refused.
fn replays_from(place: &Place, report: &Value, tables: &[&str]) {
    let from = possible_from(report);
    let rest = replay(place, &["--from", &from]);
    assert!(rest["refusal"].is_null(), "what it says is possible is possible: {rest}");
    for table in tables {
        let [equal, others @ ..] = counts(&rest, table);
        assert!(equal > 0 && others == [0; 3], "{table} from {from}: {rest}");
    }
    let earlier = from.replace(".000001Z", ".000000Z");
    let earlier = if earlier == from { "2026-01-01T00:00:00Z".to_owned() } else { earlier };
    assert!(replay(place, &["--from", &earlier])["refusal"].is_string(), "from {earlier} records are missing");
}

#[test]
fn what_retention_has_deleted_of_a_topic_is_named_and_what_does_not_need_it_is_replayed() {
    let place = Place::new();
    let pipeline = place.write("p.yaml", RETAINED);
    let server = Server::start(&place, &[pipeline.to_str().unwrap()]);
    let deleted = || {
        let metrics = server.get("/metrics").1;
        let line = metrics.lines().find(|line| line.starts_with("weir_log_deleted_bytes_total"));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or(0.0) > 0.0
    };
    let (began, mut part) = (Instant::now(), 0);
    // What the oldest commit that is kept still needs stays, so more has to come before anything goes.
    while part < 60 || !deleted() {
        let (status, _, answer) =
            exchange(server.address(), "POST", "/api/v1/ingest/app", "application/x-ndjson", &ten_seconds(part))
                .unwrap();
        assert_eq!(status, 200, "{answer}");
        part += 1;
        server.sql_becomes("SELECT count(*) FROM rows", u64::from(part) * 20);
        assert!(part < 350 && began.elapsed() < PATIENCE, "nothing is deleted");
    }
    assert_eq!(server.stop("-TERM"), Some(0));

    let report = replay(&place, &[]);
    let why = report["refusal"].as_str().unwrap_or_else(|| panic!("the beginning is gone: {report}"));
    assert!(why.contains("app:app now begins at record"), "{why}");
    let [equal, _, only_live, only_replay] = counts(&report, "rows");
    assert!(equal > 0 && only_live > 0 && only_replay == 0, "what is gone is not given again: {report}");
    assert!(refusal(&place, &["--apply"]).contains("cannot be swapped in"));
    replays_from(&place, &report, &["rows", "per_minute"]);
    // What was stored of the records does for them.
    let stored = replay(&place, &["--input", "app=rows"]);
    assert!(stored["refusal"].is_null() && counts(&stored, "per_minute")[1..] == [0; 3], "{stored}");
}

#[test]
fn stored_rows_in_the_place_of_records_are_on_time_whatever_the_order_of_the_segments() {
    let place = Place::new();
    let yaml = RETAINED.replace("retain: { bytes: 1MiB }", "partitions: 2").replace("compute", "by: [hour], compute");
    let pipeline = place.write("p.yaml", yaml);
    let server = Server::start(&place, &[pipeline.to_str().unwrap()]);
    // Partitions take turns: the second one is an hour behind, and stored after the first.
    for (count, hour) in [9, 8, 10, 11].into_iter().enumerate() {
        let row = |n: u32| format!("{{\"ts\":\"2026-01-01T{hour:02}:{n:02}:00Z\",\"hour\":{hour},\"n\":{n}}}\n");
        let body: String = (0..50).map(row).collect();
        let (status, _, answer) =
            exchange(server.address(), "POST", "/api/v1/ingest/app", "application/x-ndjson", &body).unwrap();
        assert_eq!(status, 200, "{answer}");
        server.sql_becomes("SELECT count(*) FROM rows", (count as u64 + 1) * 50);
    }
    server.sql_becomes("SELECT count(*) FROM per_minute", 148);
    assert_eq!(server.stop("-TERM"), Some(0));
    let report = replay(&place, &["--input", "app=rows"]);
    assert!(report["refusal"].is_null(), "{report}");
    assert_eq!(counts(&report, "per_minute")[1..], [0; 3], "{report}");
    assert!(counts(&report, "per_minute")[0] > 100, "{report}");
}

#[test]
fn a_deduplicated_stream_needs_the_records_that_may_have_been_the_first_of_their_kind() {
    let place = Place::new();
    let row = |hour: u32, minute: u32| format!("{{\"ts\":\"2026-01-01T{hour:02}:{minute:02}:00Z\",\"id\":{minute}}}\n");
    let rows = |hour: u32| (0..60).map(|minute| row(hour, minute)).collect::<String>();
    for hour in 8..12 {
        place.write(&format!("{hour:02}.ndjson"), rows(hour));
    }
    let text = "\
name: once
sources:
  in: { file: { paths: ['*.ndjson'], follow: false }, format: json }
time: { field: ts, watermark: { bounded: { delay: 0s } } }
steps:
  - name: once
    deduplicate: { by: [id], within: 90m }
outputs:
  - table: once
";
    well(&place.run(&place.write("p.yaml", text), &[]));
    std::fs::remove_file(place.path("08.ndjson")).unwrap();
    let report = replay(&place, &["--from", "2026-01-01T09:00:00Z"]);
    // What came at nine was there at eight: without those records it would be new.
    assert!(report["refusal"].as_str().is_some_and(|why| why.contains("in:08.ndjson is gone")), "{report}");
    let from = possible_from(&report);
    assert!(from.starts_with("2026-01-01T10:29:00"), "ninety minutes after the last of them: {from}");
}

/// Orders of a partition, a second apart.
fn order(id: i64) -> Record {
    let (minute, second) = (id / 60, id % 60);
    let value = format!(r#"{{"id":{id},"ts":"2026-11-21T08:{minute:02}:{second:02}Z","amount":{}}}"#, id % 7);
    Record::new(i32::try_from(id % 2).unwrap(), value)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_of_kafka_replays_to_the_same_rows_and_what_the_broker_has_deleted_is_named() {
    let kafka = Cluster::start(1).expect("a broker");
    kafka.topic("orders", 2).await.expect("a topic");
    kafka.put("orders", &(0..1_200).map(order).collect::<Vec<_>>()).expect("stored");
    let place = Place::new();
    let text = format!(
        "\
name: orders
sources:
  orders: {{ kafka: {{ brokers: [\"{}\"], topics: [orders], follow: false }}, format: json }}
time: {{ field: ts, watermark: {{ bounded: {{ delay: 5s }} }} }}
steps:
  - name: per_minute
    window: {{ tumbling: 1m, compute: {{ orders: count(*), amount: sum(amount) }} }}
outputs:
  - table: orders
    from: orders
  - table: per_minute
",
        kafka.bootstrap()
    );
    well(&place.run(&place.write("p.yaml", &text), &[]));
    // What came since the last commit is not read: it is the pipeline's own to process.
    kafka.put("orders", &(1_200..1_300).map(order).collect::<Vec<_>>()).expect("stored");
    let report = replay(&place, &[]);
    assert!(report["refusal"].is_null(), "{report}");
    assert_eq!(counts(&report, "orders"), [1_200, 0, 0, 0], "{report}");
    assert_eq!(counts(&report, "per_minute"), [20, 0, 0, 0], "{report}");

    place.write("p.yaml", text.replace("sum(amount)", "sum(amount * 2)"));
    let swapped = replay(&place, &["--swap"]);
    assert_eq!(counts(&swapped, "per_minute"), [0, 20, 0, 0], "{swapped}");
    let doubled = json!({ "amount": place.number("SELECT sum(amount) FROM orders") * 2 });
    assert_eq!(place.query("SELECT sum(amount) AS amount FROM per_minute")[0], doubled);
    assert_eq!(replay(&place, &["--undo"])["standing"], "undone");

    place.write("p.yaml", &text);
    kafka.delete_records("orders", 1, 300).await.expect("deleted");
    let report = replay(&place, &[]);
    let why = report["refusal"].as_str().unwrap_or_else(|| panic!("records are gone: {report}"));
    assert!(why.contains("orders:orders/1 now begins at record 300"), "{why}");
    replays_from(&place, &report, &["orders", "per_minute"]);
    // All of them: nothing of that partition can be known any more but what the pipeline has seen.
    kafka.delete_records("orders", 1, 600).await.expect("deleted");
    kafka.delete_records("orders", 0, 600).await.expect("deleted");
    assert!(replay(&place, &["--from", "2026-11-21T08:05:00Z"])["refusal"].is_string());
}
