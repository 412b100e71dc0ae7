//! A server on a free port with an ingest that only remembers, and the client of the stories.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringViewArray, TimestampMicrosecondArray};
use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use weir_disk::{DataFolder, Disk};
use weir_model::{Clock, CommitPoint, Epoch, EpochCommit, ErrorKind, Pressure, SeamError, SeamResult, SystemClock};
use weir_observe::{BuildInfo, Health, Metrics, PipelineBoard, TextFormat};
use weir_query::{QueryEngine, QueryError};
use weir_store::{Store, StoreConfig, TableConfig, TableWriter};

use crate::{
    Ack, AppState, Asked, ChosenLetters, ChosenRows, DeadLetters, DeletedRows, Deletions, Ingest, IngestError, Limits,
    Purged, ReplaySwap, ReplaySwapped, Replayed, Replays, ServeConfig, Server,
};

/// Every story ends long before.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// Knows the streams `app` (takes everything, of each key once), `reused` (refuses any key), `full` (a full disk), `broken` and `stuck` (never answers).
#[derive(Default)]
pub(super) struct Remembering {
    pub(super) taken: Mutex<Vec<Bytes>>,
    pub(super) keys: Mutex<BTreeSet<String>>,
}

#[async_trait]
impl Ingest for Remembering {
    async fn ingest(&self, stream: &str, asked: &Asked, records: Vec<Bytes>) -> Result<Ack, IngestError> {
        match stream {
            "app" => {
                let mut taken = self.taken.lock().expect("no test panics here");
                let first_offset = (!records.is_empty()).then_some(taken.len() as u64);
                let accepted = records.len() as u64;
                let mut keys = self.keys.lock().expect("no test panics here");
                let repeated = asked.idempotency_key.as_ref().is_some_and(|key| !keys.insert(key.clone()));
                if !repeated {
                    taken.extend(records);
                }
                // The partition is made of the key, so that a test sees that it came.
                let partition = first_offset.map(|_| asked.partition_key.as_ref().map_or(0, |key| key.len() as u32));
                Ok(Ack { accepted, partition, first_offset, repeated })
            }
            "reused" => Err(IngestError::KeyReused { reason: "this key came before with other records".to_owned() }),
            "full" => Err(IngestError::Unavailable {
                reason: "the disk is full; free some space".to_owned(),
                retry_after: Duration::from_secs(30),
            }),
            "broken" => Err(IngestError::Failed { reason: "fsync of the log failed".to_owned() }),
            "stuck" => std::future::pending().await,
            _ => Err(IngestError::UnknownStream { stream: stream.to_owned(), known: vec!["app".to_owned()] }),
        }
    }
}

pub(super) struct Stage {
    pub(super) addr: SocketAddr,
    pub(super) board: Arc<PipelineBoard>,
    pub(super) health: Arc<Health>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) pressure: Pressure,
    pub(super) ingest: Arc<Remembering>,
    pub(super) data: Data,
    pub(super) stop: oneshot::Sender<()>,
    pub(super) running: JoinHandle<usize>,
}

pub(super) struct Parts {
    pub(super) state: AppState,
    pub(super) ingest: Arc<Remembering>,
    pub(super) data: Data,
}

pub(super) fn parts() -> Parts {
    let (board, clock) = (PipelineBoard::new(), Arc::new(SystemClock));
    let folder = tempfile::tempdir().expect("a folder");
    let data = DataFolder::open(folder.path(), Arc::new(Disk)).expect("it is empty");
    let store = Store::open(&data, StoreConfig::default()).expect("it is empty");
    let queries = QueryEngine::new(store.clone(), weir_query::Limits::default()).expect("it has threads");
    let ingest = Arc::new(Remembering::default());
    let build = BuildInfo { version: "0.1.0".to_owned(), commit: "abc".to_owned() };
    let state = AppState {
        metrics: Arc::new(Metrics::new(Arc::clone(&board), build, clock.clone())),
        board,
        health: Arc::new(Health::new(clock.now())),
        ingest: ingest.clone(),
        dead_letters: Arc::new(NoLetters),
        deletions: Arc::new(NoDeletions),
        token: Some("the word".to_owned()),
        replays: Arc::new(NoReplays),
        queries: Arc::new(queries),
        clock,
        data_folder: PathBuf::from("data"),
        version: "0.1.0".to_owned(),
    };
    Parts { state, ingest, data: Data { store, _lock: data, _folder: folder } }
}

/// A store without dead letters.
struct NoLetters;

#[async_trait]
impl DeadLetters for NoLetters {
    async fn replay(&self, chosen: ChosenLetters) -> SeamResult<Replayed> {
        match chosen.from {
            Some(_) => Err(SeamError::new(ErrorKind::Config, "there were no times yet")),
            None => Ok(Replayed::default()),
        }
    }

    async fn purge(&self, _: ChosenLetters) -> SeamResult<Purged> {
        Ok(Purged::default())
    }
}

/// A store out of which nothing is taken.
struct NoDeletions;

#[async_trait]
impl Deletions for NoDeletions {
    async fn delete(&self, _: &str, chosen: ChosenRows) -> Result<DeletedRows, QueryError> {
        Ok(DeletedRows { deleted: if chosen.dry_run { 0 } else { 3 }, left: 4 })
    }
}

/// A store that was never replayed.
struct NoReplays;

#[async_trait]
impl Replays for NoReplays {
    async fn swap(&self, asked: ReplaySwap) -> SeamResult<ReplaySwapped> {
        Err(SeamError::new(ErrorKind::Config, format!("there is no replay of {}", asked.pipeline)))
    }
}

/// A real store in a temporary folder.
pub(super) struct Data {
    store: Arc<Store>,
    _lock: DataFolder,
    _folder: TempDir,
}

impl Data {
    pub(super) fn writer(&self, table: &str) -> TableWriter {
        self.store.writer(table, TableConfig::default()).expect("the name is good")
    }

    /// Makes what `writer` has taken part of its table.
    pub(super) async fn commit(&self, writer: &mut TableWriter, epoch: u64) {
        let epoch = Epoch(epoch);
        let prepared = writer.prepare(epoch).expect("the disk works");
        let commit = EpochCommit {
            pipeline: "test".to_owned(),
            epoch,
            prepared: BTreeMap::from([("out".to_owned(), prepared)]),
            ..EpochCommit::default()
        };
        self.store.commit(commit).await.expect("the disk works");
        writer.committed(epoch).expect("it was committed");
    }
}

/// Log lines, each `seconds level message`, the seconds counted from 2026-01-01.
pub(super) fn logs(lines: &[&str]) -> RecordBatch {
    let parts: Vec<Vec<&str>> = lines.iter().map(|line| line.splitn(3, ' ').collect()).collect();
    let times = parts.iter().map(|part| 1_767_225_600_000_000 + part[0].parse::<i64>().expect("seconds") * 1_000_000);
    let times = TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC");
    let levels = StringViewArray::from_iter_values(parts.iter().map(|part| part[1]));
    let messages = StringViewArray::from_iter_values(parts.iter().map(|part| part[2]));
    let columns: [(&str, ArrayRef); 3] =
        [("ts", Arc::new(times)), ("level", Arc::new(levels)), ("message", Arc::new(messages))];
    RecordBatch::try_from_iter(columns).expect("the columns fit")
}

pub(super) async fn start() -> Stage {
    start_with(Limits::default()).await
}

pub(super) async fn start_with(limits: Limits) -> Stage {
    let Parts { state, ingest, data } = parts();
    let (board, health, metrics) = (state.board.clone(), state.health.clone(), state.metrics.clone());
    let pressure = state.queries.pressure().clone();
    let config = ServeConfig { addr: SocketAddr::from(([127, 0, 0, 1], 0)), limits, ..ServeConfig::default() };
    let server = Server::bind(config, state).await.expect("loopback has a free port");
    let addr = server.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(server.run(async { drop(stopped.await) }));
    Stage { addr, board, health, metrics, pressure, ingest, data, stop, running }
}

/// An answer as it came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let of_name = |line: &&str| line.split_once(':').is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
        self.head.lines().find(of_name).and_then(|line| line.split_once(':')).map(|(_, value)| value.trim())
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The status and the code of an error; the shape is checked too.
    pub(super) fn error(&self) -> (u16, String) {
        let json = self.json();
        let error = json["error"].as_object().expect("an error has the one shape");
        assert_eq!(error.keys().collect::<Vec<_>>(), ["code", "hint", "message"], "{json}");
        let message = json["error"]["message"].as_str().expect("a message is text");
        let mut letters = message.chars();
        let is_sentence =
            letters.next().is_some_and(char::is_uppercase) && letters.next().is_some_and(char::is_lowercase);
        assert!(!message.ends_with('.') && !is_sentence, "{message}");
        (self.status, json["error"]["code"].as_str().expect("a code is text").to_owned())
    }
}

impl Stage {
    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.expect("the server listens")
    }

    /// Sends `head` (without its last empty line) and `body`, and reads the answer to its end.
    pub(super) async fn ask(&self, head: &str, body: &[u8]) -> Answer {
        let mut socket = self.connect().await;
        let head = format!("{head}\r\nConnection: close\r\n\r\n");
        socket.write_all(head.as_bytes()).await.expect("the head is taken");
        // A server that refuses a body may close before it has read all of it.
        let _sent = socket.write_all(body).await;
        read_answer(&mut socket).await
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: localhost"), b"").await
    }

    pub(super) async fn post(&self, path: &str, headers: &str, body: &[u8]) -> Answer {
        let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}{headers}", body.len());
        self.ask(&head, body).await
    }

    pub(super) fn scrape(&self) -> String {
        self.metrics.encode(TextFormat::Prometheus)
    }
}

/// Reads until the server closes the connection.
pub(super) async fn read_answer(socket: &mut TcpStream) -> Answer {
    let bytes = read_all(socket).await;
    let split = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
    let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a head has a status");
    let mut answer = Answer { status, head, body: bytes[split + 4..].to_vec() };
    if answer.header("transfer-encoding") == Some("chunked") {
        answer.body = without_chunks(&answer.body);
    }
    answer
}

pub(super) async fn read_all(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut bytes));
    // A reset after the answer is as good as an end.
    let _end = read.await.expect("the server closes the connection in time");
    bytes
}

fn without_chunks(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = body.windows(2).position(|two| two == b"\r\n") {
        let size = usize::from_str_radix(&String::from_utf8_lossy(&body[..end]), 16).expect("a chunk has a size");
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 2 + size + 2..];
    }
    whole
}
