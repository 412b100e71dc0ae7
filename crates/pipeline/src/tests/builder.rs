//! The builder gives exactly the pipelines that YAML gives.

use weir_collect::{Envelope, HttpConfig, KafkaConfig, StartAt};
use weir_decode::{ProtobufConfig, RegistryConfig};
use weir_deliver::{
    AvroOutput, FileFormat, FileMode, FileOutput, HttpOutput, KafkaOutput, OutputConfig, RowFormat, StdoutFormat,
    StdoutOutput,
};
use weir_model::DurationText;

use super::examples::example;
use crate::builder::{File, Format, Pipeline, Sessions, Sliding, Tumbling};
use crate::{FieldType, RetryConfig};

const fn secs(secs: i64) -> DurationText {
    DurationText::secs(secs)
}

fn json() -> Format {
    Format::Json(Default::default())
}

#[test]
fn spark_logs() {
    let paths = ["stderr", "stdout", "err", "log"].map(|end| format!("examples/data/spark/**/*.{end}"));
    let built = Pipeline::named("spark-logs")
        .source("logs", File::new(paths).once(), Format::SparkLog(Default::default()))
        .time("ts")
        .delay(secs(30))
        .filter("level IN ('ERROR', 'FATAL')")
        .window(Tumbling::of(secs(60)).by(["app_id", "executor_id"]).compute("errors", "count(*)").lateness(secs(120)))
        .to_table("spark_logs")
        .from("logs")
        .to_table("errors_per_minute")
        .build();
    assert_eq!(built, example("spark-logs.yaml"));
}

#[test]
fn alerts_webhook() {
    let failures = Tumbling::of(secs(10))
        .by(["service"])
        .compute("requests", "count(*)")
        .compute("failed", "count(*) FILTER (WHERE status >= 500)");
    let mut http = HttpOutput::new("http://localhost:9000/alerts");
    http.batch.rows = 100;
    http.timeout = secs(10);
    let built = Pipeline::named("alerts-webhook")
        .source("requests", File::new(["bench/logs.ndjson"]).once(), json())
        .field("requests", "status", FieldType::Int64)
        .time("ts")
        .delay(secs(10))
        .window(failures)
        .filter("failed > 0")
        .to_http(http)
        .called("alerts")
        .retry(RetryConfig { max: secs(5), give_up_after: secs(3600), ..RetryConfig::default() })
        .build();
    assert_eq!(built, example("alerts-webhook.yaml"));
}

#[test]
fn user_sessions() {
    let visits = Sessions::of(secs(30))
        .by(["app_id", "executor_id"])
        .compute("events", "count(*)")
        .compute("failed", "count(*) FILTER (WHERE status >= 500)")
        .compute("busy_ms", "sum(duration_ms)")
        .compute("last_message", "last(message)");
    let per_quarter = Tumbling::of(secs(900))
        .by(["app_id"])
        .compute("visits", "count(*)")
        .compute("events", "sum(events)")
        .compute("longest", "max(events)");
    let built = Pipeline::named("user-sessions")
        .source("requests", File::new(["bench/logs.ndjson"]).once(), json())
        .field("requests", "duration_ms", FieldType::Float64)
        .field("requests", "status", FieldType::Int64)
        .field("requests", "message", FieldType::String)
        .time("ts")
        .delay(secs(10))
        .window(visits)
        .called("visits")
        .window(per_quarter)
        .called("per_quarter")
        .to_table("visits")
        .from("visits")
        .to_table("visits_per_quarter")
        .from("per_quarter")
        .build();
    assert_eq!(built, example("user-sessions.yaml"));
}

#[test]
fn bench_a_and_bench_store() {
    let source = || File::new(["bench/logs.ndjson"]).once();
    let statistics = Tumbling::of(secs(60))
        .by(["service", "level"])
        .compute("count", "count(*)")
        .compute("sum", "sum(duration_ms)")
        .compute("avg", "avg(duration_ms)")
        .compute("min", "min(duration_ms)")
        .compute("max", "max(duration_ms)")
        .compute("p95", "quantile(0.95, duration_ms)");
    let file =
        FileOutput { path: "out/bench-a.ndjson".to_owned(), format: FileFormat::Ndjson, mode: FileMode::Overwrite };
    let built = Pipeline::named("bench-a")
        .source("logs", source(), json())
        .field("logs", "duration_ms", FieldType::Float64)
        .time("ts")
        .delay(secs(10))
        .window(statistics)
        .to(OutputConfig::File(file))
        .build();
    assert_eq!(built, example("bench-a.yaml"));
    let built =
        Pipeline::named("bench-store").source("logs", source(), json()).time("ts").delay(secs(10)).to_table("logs");
    assert_eq!(built.build(), example("bench-store.yaml"));
}

#[test]
fn kafka_to_avro() {
    let source = KafkaConfig { envelope: Some(Envelope::Json), ..KafkaConfig::new(["localhost:9092"], ["orders"]) };
    let avro = AvroOutput {
        registry: Some(RegistryConfig::at("http://127.0.0.1:8081")),
        name: Some("shop.OrdersPerMinute".to_owned()),
        ..AvroOutput::default()
    };
    let output = KafkaOutput {
        key: Some("status".to_owned()),
        headers: [("shop".to_owned(), "shop".to_owned())].into(),
        format: RowFormat::Avro(avro),
        ..KafkaOutput::new(["localhost:9092"], "orders-per-minute")
    };
    let built = Pipeline::named("kafka-to-avro")
        .source("orders", source, json())
        .field("orders", "value.amount", FieldType::Float64)
        .time("timestamp")
        .delay(secs(10))
        .idle_after(secs(30))
        .select([("status", "value.status"), ("amount", "value.amount"), ("shop", "headers.shop")])
        .window(
            Tumbling::of(secs(60))
                .by(["status", "shop"])
                .compute("orders", "count(*)")
                .compute("amount", "sum(amount)"),
        )
        .to(OutputConfig::Kafka(output))
        .build();
    assert_eq!(built, example("kafka-to-avro.yaml"));
}

#[test]
fn protobuf_to_table() {
    let registry = RegistryConfig { wait: secs(30), ..RegistryConfig::at("http://127.0.0.1:8081") };
    let format = ProtobufConfig { registry: Some(registry), ..ProtobufConfig::default() };
    let built = Pipeline::named("protobuf-to-table")
        .source("orders", KafkaConfig::new(["localhost:9092"], ["orders-protobuf"]), Format::Protobuf(Box::new(format)))
        .time("ts")
        .delay(secs(10))
        .idle_after(secs(30))
        .window(
            Tumbling::of(secs(60)).by(["status"]).compute("orders", "count(*)").compute("cents", "sum(price.cents)"),
        )
        .called("per_minute")
        .to_table("orders")
        .from("orders")
        .to_table("orders_per_minute")
        .build();
    assert_eq!(built, example("protobuf-to-table.yaml"));
}

#[test]
fn http_ingest() {
    let built = Pipeline::named("http-ingest")
        .source("app", HttpConfig::new("app"), json())
        .field("app", "ts", FieldType::Timestamp)
        .field("app", "level", FieldType::String)
        .field("app", "message", FieldType::String)
        .time("ts")
        .delay(secs(5))
        .to_table("app_events")
        .build();
    assert_eq!(built, example("http-ingest.yaml"));
}

#[test]
fn tail_file() {
    let source = File { exclude: vec!["*.gz".to_owned()], start: StartAt::End, ..File::new(["/var/log/app/*.log"]) };
    let built = Pipeline::named("tail-file")
        .source("app", source, json())
        .time("ts")
        .delay(secs(2))
        .idle_after(secs(10))
        .select([("ts", "ts"), ("level", "upper(level)"), ("message", "message")])
        .window(Tumbling::of(secs(10)).by(["level"]).compute("lines", "count(*)").early(secs(1)))
        .called("per_level")
        .to_table("app_lines")
        .from("app")
        .to(OutputConfig::Stdout(StdoutOutput { format: StdoutFormat::Text }))
        .from("per_level")
        .late(OutputConfig::table("late_events"))
        .dead_letters(OutputConfig::table("dead_letters"))
        .epoch(secs(1))
        .build();
    assert_eq!(built, example("tail-file.yaml"));
}

#[test]
fn slow_requests() {
    let window = Sliding::of(secs(60), secs(10))
        .by(["service"])
        .compute("requests", "count(*)")
        .compute("p95", "quantile(0.95, duration_ms)")
        .compute("spread", "stddev(duration_ms)")
        .compute("last_message", "last(message) FILTER (WHERE status >= 500)")
        .early(secs(2))
        .early_rows(10_000);
    let built = Pipeline::named("slow-requests")
        .source("requests", File::new(["bench/logs.ndjson"]).once(), json())
        .field("requests", "duration_ms", FieldType::Float64)
        .field("requests", "status", FieldType::Int64)
        .field("requests", "message", FieldType::String)
        .time("ts")
        .delay(secs(10))
        .max_drift(secs(3600))
        .window(window)
        .called("per_service")
        .to_table("slow_requests")
        .build();
    assert_eq!(built, example("slow-requests.yaml"));
}

#[test]
fn watermarks_of_every_kind() {
    let yaml = |watermark: &str| {
        let text = format!(
            "name: p\nsources: {{ logs: {{ file: {{ paths: [x] }}, format: json }} }}\n\
             time: {{ field: ts, watermark: {watermark} }}\noutputs: [ {{ table: rows }} ]\n"
        );
        super::load_text(&text).unwrap().0
    };
    let built = |with: fn(Pipeline) -> Pipeline| {
        with(Pipeline::named("p").source("logs", File::new(["x"]), json()).time("ts")).to_table("rows").build()
    };
    assert_eq!(yaml("{ bounded: { delay: 3s } }"), built(|pipeline| pipeline.delay(secs(3))));
    assert_eq!(yaml("{ periodic: { every: 30s } }"), built(|pipeline| pipeline.periodic(secs(10), secs(30))));
    assert_eq!(
        yaml("{ punctuated: { where: kind = 'heartbeat' } }"),
        built(|pipeline| pipeline.punctuated("kind = 'heartbeat'", secs(0)))
    );
}
