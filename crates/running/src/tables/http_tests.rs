//! Tables that are asked for over HTTP, of a server on this machine that does as it is told.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use weir_engine::{EnrichPlan, Missing};
use weir_model::Secret;

use crate::outward::Endpoint;
use crate::tables::{JobTable, TableFormat, TableNews, TablePlace, Tables};

/// What the server is to do, and what it was asked.
pub(crate) struct Server {
    pub(crate) url: String,
    answers: Arc<Mutex<Vec<Answer>>>,
    pub(crate) asked: Arc<Mutex<Vec<String>>>,
}

/// An answer of the server.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These bytes.
    Says(String),
    /// None at all.
    Hangs,
}

impl Answer {
    pub(crate) fn of(status: &str, headers: &str, body: &str) -> Self {
        Self::Says(format!(
            "HTTP/1.1 {status}\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ))
    }

    pub(crate) fn json(body: &str) -> Self {
        Self::of("200 OK", "", body)
    }
}

impl Server {
    /// A server that gives these answers one after the other, and the last one again and again.
    pub(crate) async fn giving(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answers = Arc::new(Mutex::new(answers.into_iter().collect::<Vec<_>>()));
        let server = Self { url, answers: answers.clone(), asked: Arc::default() };
        let asked = server.asked.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answers, asked) = (answers.clone(), asked.clone());
                tokio::spawn(async move {
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        let mut byte = [0];
                        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
                            return;
                        }
                        request.push(byte[0]);
                    }
                    asked.lock().unwrap().push(String::from_utf8(request).unwrap());
                    let answer = {
                        let mut answers = answers.lock().unwrap();
                        if answers.len() > 1 { answers.remove(0) } else { answers[0].clone() }
                    };
                    match answer {
                        Answer::Says(text) => drop(stream.write_all(text.as_bytes()).await),
                        Answer::Hangs => std::future::pending().await,
                    }
                });
            }
        });
        server
    }

    /// From now on it gives these.
    pub(crate) fn give(&self, answers: impl IntoIterator<Item = Answer>) {
        *self.answers.lock().unwrap() = answers.into_iter().collect();
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    pub(crate) fn endpoint(&self, path: &str) -> Endpoint {
        Endpoint {
            url: format!("{}{path}", self.url),
            headers: vec![("Authorization".to_owned(), Secret::new("Bearer hunter2"))],
            timeout: Duration::from_secs(3),
            body_max: 1_000,
        }
    }
}

fn job(endpoint: Endpoint, format: TableFormat) -> JobTable {
    JobTable {
        node: 0,
        step: "teams".to_owned(),
        place: TablePlace::Http(endpoint),
        format,
        refresh: Duration::from_millis(5),
        schema: Default::default(),
        plan: EnrichPlan {
            on: vec![("app".to_owned(), "id".to_owned())],
            take: vec!["team".to_owned()],
            missing: Missing::Keep,
        },
    }
}

async fn next(tables: &mut Tables) -> TableNews {
    loop {
        match tables.next() {
            Some(news) => return news,
            None => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

async fn stays(tables: &mut Tables) -> String {
    let TableNews::Stays(message) = next(tables).await else { panic!("there is nothing newer") };
    message
}

const TEAMS: &str = r#"[ {"id": "a", "team": "red"}, {"id": "b", "team": "blue\n"} ]"#;

#[tokio::test]
async fn a_table_is_asked_for_with_what_the_last_one_came_with_and_is_not_read_again_while_it_is_the_same() {
    let server = Server::giving([
        Answer::of("200 OK", "etag: \"v1\"\r\nlast-modified: Fri, 20 Nov 2026 10:00:00 GMT\r\n", TEAMS),
        Answer::of("304 Not Modified", "", ""),
        Answer::of("200 OK", "etag: \"v2\"\r\n", "{\"id\": \"a\", \"team\": \"red\"}\n"),
        Answer::of("304 Not Modified", "", ""),
    ])
    .await;
    let (mut tables, first) = Tables::open(&[job(server.endpoint("/v1/teams"), TableFormat::Json)]).await.unwrap();
    let [TableNews::Newer { table, remark: None, .. }] = &first[..] else { panic!("a table") };
    assert_eq!(table.rows(), 2);
    let TableNews::Newer { table, .. } = next(&mut tables).await else { panic!("lines are a table too") };
    assert_eq!(table.rows(), 1);
    while server.asked().len() < 4 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let asked = server.asked();
    assert!(
        asked[0].starts_with("GET /v1/teams HTTP/1.1\r\n") && asked[0].contains("authorization: Bearer hunter2\r\n")
    );
    assert!(!asked[0].contains("if-none-match"));
    assert!(asked[1].contains("if-none-match: \"v1\"\r\n") && asked[1].contains("if-modified-since: Fri, 20 Nov"));
    assert!(asked[2].contains("if-none-match: \"v1\"\r\n"), "what is the same has said nothing new");
    assert!(asked[3].contains("if-none-match: \"v2\"\r\n") && !asked[3].contains("if-modified-since"));
}

#[tokio::test]
async fn the_last_good_table_stays_whatever_the_server_does_and_each_failure_is_told() {
    let server = Server::giving([Answer::of("200 OK", "", "id,team\na,red\n")]).await;
    let (mut tables, first) =
        Tables::open(&[job(server.endpoint("/teams?key=hunter2"), TableFormat::Csv)]).await.unwrap();
    assert_eq!(first.len(), 1);
    for (answer, expected) in [
        (Answer::of("500 Internal Server Error", "", "sorry"), "answered 500"),
        (Answer::of("404 Not Found", "", ""), "answered 404"),
        (Answer::of("302 Found", "location: http://169.254.169.254/\r\n", ""), "answered 302"),
        (Answer::of("200 OK", "", &"x".repeat(1_001)), "more than 1000 bytes"),
        (
            Answer::Says(format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}", "x".repeat(1_001))),
            "more than 1000 bytes",
        ),
        (Answer::Says("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nid,team\n".to_owned()), "/teams: "),
        (Answer::of("200 OK", "", "id,owner\na,ann\n"), "there is no column team"),
        (Answer::Hangs, "timed out"),
    ] {
        server.give([answer]);
        let message = loop {
            let message = stays(&mut tables).await;
            if message.contains(expected) {
                break message;
            }
        };
        assert!(message.starts_with("teams: ") && message.ends_with("the version before stays"), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
    server.give([Answer::of("200 OK", "", "id,team\na,green\nb,blue\n")]);
    let newer = loop {
        if let TableNews::Newer { table, .. } = next(&mut tables).await {
            break table;
        }
    };
    assert_eq!(newer.rows(), 2);
}

#[tokio::test]
async fn without_its_first_answer_nothing_starts_and_the_metadata_of_a_cloud_is_not_asked() {
    let server = Server::giving([Answer::of("503 Service Unavailable", "", "")]).await;
    let error = Tables::open(&[job(server.endpoint("/"), TableFormat::Json)]).await.err().unwrap();
    assert!(error.message.contains("answered 503"), "{}", error.message);
    let metadata = Endpoint { url: "http://169.254.169.254/latest/meta-data".to_owned(), ..server.endpoint("/") };
    let error = Tables::open(&[job(metadata, TableFormat::Json)]).await.err().unwrap();
    assert!(error.message.contains("169.254.169.254 is not asked"), "{}", error.message);
    let none = Endpoint { headers: vec![("a b".to_owned(), Secret::new("x"))], ..server.endpoint("/") };
    let error = Tables::open(&[job(none, TableFormat::Json)]).await.err().unwrap();
    assert!(error.message.contains("the header a b"), "{}", error.message);
}
