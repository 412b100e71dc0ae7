//! Stories of rows on their way to an endpoint that fails, forgets to answer and does not like everything.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, Int64Array};
use weir_disk::Disk;
use weir_model::ByteSize;

use super::*;

/// What the endpoint does with a request.
#[derive(Clone, Copy)]
enum Reply {
    Answer(&'static str),
    /// Takes the request and closes the connection without a word.
    Cut,
}

const OK: Reply = Reply::Answer("HTTP/1.1 204 No Content\r\n");

#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    key: String,
    authorization: Option<String>,
    body: String,
}

/// A server that does as it is told, one request after the other; when nothing is left to be told it takes everything.
struct Endpoint {
    url: String,
    replies: Sender<Reply>,
    taken: Arc<Mutex<Vec<Request>>>,
}

impl Endpoint {
    fn start(replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/hook?token=secret", listener.local_addr().expect("bound"));
        let (sender, script) = channel();
        let taken: Arc<Mutex<Vec<Request>>> = Arc::default();
        let endpoint = Self { url, replies: sender, taken: Arc::clone(&taken) };
        replies.iter().for_each(|reply| endpoint.next(*reply));
        std::thread::spawn(move || serve(&listener, &script, &taken));
        endpoint
    }

    fn next(&self, reply: Reply) {
        self.replies.send(reply).expect("the server runs");
    }

    fn taken(&self) -> Vec<Request> {
        self.taken.lock().expect("no panic").clone()
    }
}

fn serve(listener: &TcpListener, script: &Receiver<Reply>, taken: &Mutex<Vec<Request>>) {
    for stream in listener.incoming() {
        let stream = stream.expect("a connection");
        let mut reader = BufReader::new(&stream);
        while let Some(request) = read(&mut reader) {
            taken.lock().expect("no panic").push(request);
            match script.try_recv().unwrap_or(OK) {
                Reply::Answer(head) if head.contains("\r\n\r\n") => (&stream).write_all(head.as_bytes()).expect("sent"),
                Reply::Answer(head) => {
                    (&stream).write_all(format!("{head}Content-Length: 0\r\n\r\n").as_bytes()).expect("sent");
                }
                Reply::Cut => break,
            }
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let (mut key, mut authorization, mut length) = (String::new(), None, 0);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            None => break,
            Some((name, value)) => match name.to_ascii_lowercase().as_str() {
                "idempotency-key" => key = value.to_owned(),
                "authorization" => authorization = Some(value.to_owned()),
                "content-length" => length = value.parse().expect("a length"),
                _ => {}
            },
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { key, authorization, body: String::from_utf8(body).expect("text") })
}

fn rows(numbers: &[i64]) -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from(numbers.to_vec()));
    RecordBatch::try_from_iter([("n", numbers)]).expect("one column")
}

fn config(endpoint: &Endpoint, rows: u32) -> HttpOutput {
    let mut config = HttpOutput::new(&endpoint.url).header("Authorization", "Bearer hunter2");
    config.batch = HttpBatch { rows, bytes: ByteSize(1 << 20) };
    config
}

fn open(folder: &Path, config: &HttpOutput, committed: Option<&Prepared>) -> HttpSink {
    HttpSink::open(Arc::new(Disk), folder, "p/hook", config, committed).expect("it opens")
}

async fn prepared(sink: &mut HttpSink, epoch: u64, numbers: &[i64]) -> Prepared {
    let delivered = sink.write(&rows(numbers)).await.expect("it is written");
    assert_eq!(delivered, Delivered::all());
    sink.prepare(Epoch(epoch)).await.expect("it is durable")
}

/// The numbers in the bodies, by request.
fn numbers(requests: &[Request]) -> Vec<Vec<i64>> {
    let number = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["n"].as_i64().expect("n");
    requests.iter().map(|request| request.body.lines().map(number).collect()).collect()
}

#[tokio::test]
async fn rows_are_sent_after_their_commit_in_batches_with_keys_and_ids() {
    let (place, endpoint) = (tempfile::tempdir().expect("a folder"), Endpoint::start(&[]));
    let mut sink = open(place.path(), &config(&endpoint, 2), None);
    let first = prepared(&mut sink, 1, &[1, 2, 3]).await;
    assert_eq!(endpoint.taken(), [], "nothing is sent before the commit");
    assert_eq!(sink.commit(Epoch(1), &first).await.expect("sent"), Delivered::all());
    let taken = endpoint.taken();
    assert_eq!(numbers(&taken), [vec![1, 2], vec![3]]);
    assert!(taken[0].key.starts_with("p/hook/1/0-2/") && taken[1].key.starts_with("p/hook/1/2-1/"), "{taken:?}");
    assert_eq!(taken[0].authorization.as_deref(), Some("Bearer hunter2"));
    assert!(taken[1].body.contains("-2\"}"), "the third row has the id of its place: {}", taken[1].body);
    assert_eq!(sink.commit(Epoch(1), &first).await.expect("known to be sent"), Delivered::all());
    let empty = sink.prepare(Epoch(2)).await.expect("nothing to prepare");
    assert_eq!(sink.commit(Epoch(2), &empty).await.expect("nothing to send"), Delivered::all());
    assert_eq!(endpoint.taken().len(), 2, "nothing twice");
    assert_eq!(std::fs::read_dir(place.path()).expect("the folder").count(), 0, "nothing is left behind");
}

#[tokio::test]
async fn a_batch_without_an_answer_is_sent_again_with_the_same_key_and_only_it() {
    let (place, endpoint) = (tempfile::tempdir().expect("a folder"), Endpoint::start(&[OK, Reply::Cut]));
    let mut sink = open(place.path(), &config(&endpoint, 1), None);
    let first = prepared(&mut sink, 1, &[1, 2, 3]).await;
    let error = sink.commit(Epoch(1), &first).await.expect_err("cut");
    assert_eq!(error.kind, ErrorKind::Retry);
    assert!(!error.full().contains("secret") && !error.full().contains("hunter2"), "{}", error.full());
    assert_eq!(sink.commit(Epoch(1), &first).await.expect("sent"), Delivered::all());
    let taken = endpoint.taken();
    assert_eq!(numbers(&taken), [[1], [2], [2], [3]]);
    assert_eq!(taken[1], taken[2], "the same request, byte for byte");
}

#[tokio::test]
async fn after_a_crash_an_epoch_is_sent_again_with_the_same_keys_unless_it_is_known_to_be_sent() {
    let (place, endpoint) = (tempfile::tempdir().expect("a folder"), Endpoint::start(&[OK, Reply::Cut]));
    let settings = config(&endpoint, 1);
    let mut sink = open(place.path(), &settings, None);
    let first = prepared(&mut sink, 1, &[1, 2]).await;
    sink.commit(Epoch(1), &first).await.expect_err("cut");
    drop(sink);

    let mut sink = open(place.path(), &settings, Some(&first));
    sink.abort(Epoch(1)).await.expect("nothing to forget");
    assert_eq!(sink.commit(Epoch(1), &first).await.expect("sent"), Delivered::all());
    let taken = endpoint.taken();
    assert_eq!(numbers(&taken), [[1], [2], [1], [2]]);
    assert_eq!(taken[..2], taken[2..], "the other side can tell by the keys");
    drop(sink);

    let mut sink = open(place.path(), &settings, Some(&first));
    sink.abort(Epoch(1)).await.expect("nothing to forget");
    assert_eq!(sink.commit(Epoch(1), &first).await.expect("known to be sent"), Delivered::all());
    assert_eq!(endpoint.taken().len(), 4);
}

#[tokio::test]
async fn rows_of_an_epoch_that_was_not_committed_are_never_sent() {
    let (place, endpoint) = (tempfile::tempdir().expect("a folder"), Endpoint::start(&[]));
    let mut sink = open(place.path(), &config(&endpoint, 1), None);
    prepared(&mut sink, 1, &[1]).await;
    drop(sink);
    let mut sink = open(place.path(), &config(&endpoint, 1), None);
    sink.abort(Epoch(0)).await.expect("forgotten");
    let first = prepared(&mut sink, 1, &[1]).await;
    assert_eq!(sink.commit(Epoch(1), &first).await.expect("sent"), Delivered::all());
    assert_eq!(numbers(&endpoint.taken()), [[1]]);
}

#[tokio::test]
async fn rows_that_are_not_taken_are_found_and_the_others_are_delivered() {
    const BAD: Reply = Reply::Answer("HTTP/1.1 422 Unprocessable\r\nContent-Length: 8\r\n\r\nn is odd");
    // [1 2 3 4], [1 2], [1], [2], [3 4]
    let (place, endpoint) = (tempfile::tempdir().expect("a folder"), Endpoint::start(&[BAD, BAD, BAD, OK, OK]));
    let mut sink = open(place.path(), &config(&endpoint, 100), None);
    let first = prepared(&mut sink, 1, &[1, 2, 3, 4]).await;
    let Delivered { rejected } = sink.commit(Epoch(1), &first).await.expect("sent");
    assert_eq!(numbers(&endpoint.taken()), [vec![1, 2, 3, 4], vec![1, 2], vec![1], vec![2], vec![3, 4]]);
    assert_eq!(rejected.len(), 1);
    assert_eq!((rejected[0].row, rejected[0].reason.as_str()), (0, "422 Unprocessable Entity: n is odd"));
    assert!(rejected[0].payload.starts_with(b"{\"n\":1,"), "{:?}", rejected[0]);
    drop(sink);

    // The next commit holds them as dead letters; without one they are found again.
    [BAD, BAD, BAD, OK, OK].iter().for_each(|reply| endpoint.next(*reply));
    let mut sink = open(place.path(), &config(&endpoint, 100), Some(&first));
    sink.abort(Epoch(1)).await.expect("nothing to forget");
    assert_eq!(sink.commit(Epoch(1), &first).await.expect("sent"), Delivered { rejected });
}

#[tokio::test]
async fn an_answer_may_ask_for_a_pause_and_a_redirect_is_not_followed() {
    let moved = Reply::Answer("HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\n");
    let busy = Reply::Answer("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n");
    let (place, endpoint) = (tempfile::tempdir().expect("a folder"), Endpoint::start(&[busy, moved]));
    let mut sink = open(place.path(), &config(&endpoint, 100), None);
    let first = prepared(&mut sink, 1, &[1]).await;
    let error = sink.commit(Epoch(1), &first).await.expect_err("busy");
    assert_eq!((error.kind, error.retry_after), (ErrorKind::Retry, Some(std::time::Duration::from_secs(7))));
    let error = sink.commit(Epoch(1), &first).await.expect_err("moved");
    assert_eq!(error.kind, ErrorKind::Retry);
    assert!(error.message.contains("redirects are not followed"), "{error}");
}

#[tokio::test]
async fn a_file_that_is_missing_is_not_taken_for_one_that_was_sent() {
    let (place, endpoint) = (tempfile::tempdir().expect("a folder"), Endpoint::start(&[]));
    let mut sink = open(place.path(), &config(&endpoint, 100), None);
    let first = prepared(&mut sink, 1, &[1]).await;
    for entry in std::fs::read_dir(place.path()).expect("the folder") {
        std::fs::remove_file(entry.expect("an entry").path()).expect("removed");
    }
    assert_eq!(sink.commit(Epoch(1), &first).await.expect_err("gone").kind, ErrorKind::Corrupt);
    assert_eq!(endpoint.taken(), []);
}

#[test]
fn settings_that_make_no_sense_are_named() {
    let problems = |config: HttpOutput| -> Vec<String> {
        config.problems().into_iter().map(|(key, message)| format!("{key}: {message}")).collect()
    };
    assert_eq!(problems(HttpOutput::new("https://hooks.example.com/x")), [] as [&str; 0]);
    let mut config = HttpOutput::new("ftp://example.com").header("Host", "x").header("a b", "x").header("X", "a\nb");
    config.batch.rows = 0;
    assert_eq!(
        problems(config),
        [
            "url: it begins with `ftp:`; it has to begin with http:// or https://",
            "headers.Host: the header `Host` is Weir's own",
            "headers.X: the value of `X` has characters that a header cannot have",
            "headers.a b: `a b` cannot be the name of a header",
            "batch.rows: 0 rows: it has to be 1 to 100000",
        ]
    );
    let with_password = problems(HttpOutput::new("https://me:hunter2@example.com"));
    assert!(with_password.len() == 1 && !with_password[0].contains("hunter2"), "{with_password:?}");
}
