//! A real HTTP server for outputs to send to. It answers as it is told, and remembers what it has taken.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::Value;

use crate::harness::PATIENCE;

/// What it does with a request.
#[derive(Clone, Copy)]
pub(crate) enum Reply {
    /// Says that it has taken the rows.
    Take,
    /// Answers with this text, for those who look something up.
    Say(&'static str),
    /// Takes the rows and closes the connection without a word.
    TakeAndCut,
    /// Answers with this status and this text.
    Refuse(u16, &'static str),
}

/// A request, as it was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) key: String,
    pub(crate) body: String,
}

#[derive(Default)]
struct Taken {
    requests: Mutex<Vec<Request>>,
    more: Condvar,
}

pub(crate) struct Endpoint {
    pub(crate) address: SocketAddr,
    taken: Arc<Taken>,
}

impl Endpoint {
    /// Answers each request as `reply` says, which is told how many were taken before. It may take its time.
    pub(crate) fn start(reply: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap(), reply)
    }

    pub(crate) fn listen(listener: TcpListener, reply: impl Fn(usize, &str) -> Reply + Send + Sync + 'static) -> Self {
        let endpoint = Self { address: listener.local_addr().unwrap(), taken: Arc::default() };
        let (taken, reply) = (Arc::clone(&endpoint.taken), Arc::new(reply));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (taken, reply) = (Arc::clone(&taken), Arc::clone(&reply));
                std::thread::spawn(move || serve(&stream, &taken, &*reply));
            }
        });
        endpoint
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Every request whose rows were taken, in their order.
    pub(crate) fn taken(&self) -> Vec<Request> {
        self.taken.requests.lock().unwrap().clone()
    }

    /// The rows that were taken, by `row_id`. Asserts that a row that came again was the same.
    pub(crate) fn rows(&self) -> BTreeMap<String, Value> {
        let mut rows = BTreeMap::new();
        for line in self.taken().iter().flat_map(|request| request.body.lines().map(str::to_owned)) {
            let row: Value = serde_json::from_str(&line).unwrap();
            let id = row["row_id"].as_str().unwrap().to_owned();
            if let Some(before) = rows.insert(id, row.clone()) {
                assert_eq!(before, row, "the same row_id for another row");
            }
        }
        rows
    }

    /// Waits until so many requests were taken.
    pub(crate) fn wait_for(&self, requests: usize) {
        let taken = self.taken.requests.lock().unwrap();
        let waited = self.taken.more.wait_timeout_while(taken, PATIENCE, |taken| taken.len() < requests);
        assert!(!waited.unwrap().1.timed_out(), "waited in vain for {requests} requests");
    }
}

fn serve(stream: &TcpStream, taken: &Taken, reply: &(impl Fn(usize, &str) -> Reply + ?Sized)) {
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let before = taken.requests.lock().unwrap().len();
        let reply = reply(before, &request.body);
        if matches!(reply, Reply::Take | Reply::TakeAndCut) {
            taken.requests.lock().unwrap().push(request);
            taken.more.notify_all();
        }
        let answer = match reply {
            Reply::Take => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n".to_owned(),
            Reply::TakeAndCut => return,
            Reply::Say(text) => format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{text}", text.len()),
            Reply::Refuse(status, why) => {
                format!("HTTP/1.1 {status} No\r\nContent-Length: {}\r\n\r\n{why}", why.len())
            }
        };
        if (&mut &*stream).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let (mut key, mut length, mut line) = (String::new(), 0, String::new());
    reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        match line.trim_end().split_once(": ") {
            None => break,
            Some((name, value)) if name.eq_ignore_ascii_case("idempotency-key") => key = value.to_owned(),
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => length = value.parse().ok()?,
            Some(_) => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { key, body: String::from_utf8(body).ok()? })
}
