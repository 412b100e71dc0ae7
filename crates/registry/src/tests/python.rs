//! The public Python clients: they work with this registry, and what their serializers write is read as it is meant.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use expect_test::expect;
use tempfile::TempDir;
use weir_decode::{AvroConfig, FormatConfig, JsonConfig, JsonFraming, ProtobufConfig};
use weir_model::{Decoded, Decoder, EventTime, Fields, Offset, PartitionId, Position, Raw, RecordSpan, Wanted};
use weir_schema::RegistryConfig;

use crate::{Client, Shelf, serve};

/// Pinned, so that the test is the same tomorrow.
const PACKAGES: &str = "confluent-kafka[avro,json,protobuf,schemaregistry]==2.12.1";

/// A Python with the clients, installed once.
fn python() -> PathBuf {
    let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    let venv = home.join(".cache/weir/python").join(format!("clients {PACKAGES}"));
    let python = venv.join("bin/python");
    let done = venv.join("installed");
    if !done.exists() {
        let well = |command: &mut Command| {
            let output = command.stdin(Stdio::null()).output().expect("python3 is there");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        };
        well(Command::new("python3").args(["-m", "venv"]).arg(&venv));
        well(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PACKAGES]));
        std::fs::write(done, "").expect("written");
    }
    python
}

fn raw(records: &[Vec<u8>]) -> Raw {
    let (mut bytes, mut spans) = (Vec::new(), Vec::new());
    for (offset, record) in records.iter().enumerate() {
        let (start, end) = (bytes.len() as u32, (bytes.len() + record.len()) as u32);
        bytes.extend_from_slice(record);
        spans.push(RecordSpan { start, end, offset: Offset(offset as u64), original_bytes: record.len() as u64 });
    }
    Raw {
        partition: PartitionId::new("p"),
        origin: "p".into(),
        bytes: bytes.into(),
        records: spans,
        next: Position::default(),
        fallback_time: None,
    }
}

fn decoder(format: &FormatConfig) -> Box<dyn Decoder> {
    let not_before = EventTime::from_micros(0);
    let wanted = Wanted { time_field: None, not_before, fields: Fields::All, declared: Vec::new() };
    format.decoder(wanted).expect("a decoder")
}

fn lines(decoded: &Decoded) -> String {
    assert!(decoded.rejected.is_empty(), "{:?}", decoded.rejected);
    let mut out = Vec::new();
    let mut writer = arrow::json::LineDelimitedWriter::new(&mut out);
    for batch in &decoded.batches {
        writer.write(&batch.columns).expect("rows as JSON");
    }
    writer.finish().expect("written");
    String::from_utf8(out).expect("text")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_clients_work_with_this_registry_and_what_they_write_is_read() {
    let folder = TempDir::new().expect("a folder");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let shelf = Shelf::open(folder.path()).expect("a registry");
    let _served = tokio::spawn(serve(listener, shelf, std::future::pending()));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/tests/clients.py");
    let asked = url.clone();
    let run = move || Command::new(python()).arg(script).arg(asked).output().expect("it starts");
    let output = tokio::task::spawn_blocking(run).await.expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let said = String::from_utf8(output.stdout).expect("text");
    let records = |format: &str| -> Vec<Vec<u8>> {
        let lines = said.lines().filter_map(|line| line.strip_prefix(format)?.strip_prefix(' '));
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).expect("hex"), 16).expect("hex");
        lines.map(|hex| hex.as_bytes().chunks(2).map(byte).collect()).collect()
    };
    let config = AvroConfig { registry: Some(RegistryConfig::at(&url)), ..AvroConfig::default() };
    let client = Client::new(&RegistryConfig::at(&url)).expect("a client");
    let mut avro = decoder(&FormatConfig::Avro(Box::new(config)));
    let batch = raw(&records("avro"));
    for id in avro.decode(&batch).wanted_schemas {
        let schema = client.schema(id).await;
        avro.learn(id, schema.as_ref().map(Arc::as_ref).map_err(String::as_str));
    }
    expect![[r#"
        {"id":0,"status":"new","ts":"2026-11-21T08:00:00Z","day":"2026-11-21","customer":{"name":"Żaneta Świątek","id":"00000000-0000-0000-0000-000000000000"},"tags":{"env":"prod","n":"0"},"items":[]}
        {"id":1,"status":"paid","ts":"2026-11-21T08:00:01Z","day":"2026-11-21","price":0.25,"tags":{"env":"prod","n":"1"},"items":[0.5],"note":{"string":"a note"}}
        {"id":2,"status":"sent","ts":"2026-11-21T08:00:02Z","day":"2026-11-21","price":0.50,"customer":{"name":"Żaneta Świątek","id":"00000000-0000-0000-0000-000000000002"},"tags":{"env":"prod","n":"2"},"items":[0.5,0.5],"note":{"long":2},"channel":"app"}
        {"id":3,"status":"new","ts":"2026-11-21T08:00:03Z","day":"2026-11-21","price":0.75,"tags":{"env":"prod","n":"3"},"items":[],"channel":"app"}
    "#]].assert_eq(&lines(&avro.decode(&batch)));

    let config = ProtobufConfig { registry: Some(RegistryConfig::at(&url)), ..ProtobufConfig::default() };
    let mut protobuf = decoder(&FormatConfig::Protobuf(Box::new(config)));
    let batch = raw(&records("protobuf"));
    for id in protobuf.decode(&batch).wanted_schemas {
        let schema = client.schema(id).await;
        protobuf.learn(id, schema.as_ref().map(Arc::as_ref).map_err(String::as_str));
    }
    expect![[r#"
        {"id":0,"status":"NEW","ts":"2026-11-21T08:00:00Z","tags":{"env":"prod"},"items":[],"voucher":9223372036854775808}
        {"id":1,"status":"PAID","ts":"2026-11-21T08:00:01Z","price":{"cents":25,"currency":"EUR"},"tags":{"env":"prod"},"items":[0.5],"note":"","card":"1"}
        {"id":2,"status":"SENT","ts":"2026-11-21T08:00:02Z","price":{"cents":50,"currency":"EUR"},"tags":{"env":"prod"},"items":[0.5,0.5],"voucher":9223372036854775810,"channel":"app"}
        {"id":3,"status":"NEW","ts":"2026-11-21T08:00:03Z","price":{"cents":75,"currency":"EUR"},"tags":{"env":"prod"},"items":[],"note":"","card":"3","channel":"app"}
    "#]].assert_eq(&lines(&protobuf.decode(&batch)));

    let framed = JsonConfig { framing: Some(JsonFraming::Confluent), ..JsonConfig::default() };
    let mut json = decoder(&FormatConfig::Json(framed));
    expect![[r#"
        {"id":7,"status":"new"}
    "#]]
    .assert_eq(&lines(&json.decode(&raw(&records("json")))));
}
