//! One client: its questions one after the other. After an error in the
//! extended protocol everything up to the next `Sync` is skipped, as the protocol says.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::BytesMut;
use futures::FutureExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use weir_observe::QuerySource;
use weir_query::{Parameter, QueryResult, RunOptions, SETTINGS, modifier_of_type};

use super::Shared;
use super::extended::{Portal, Prepared};
use super::message::{
    Described, Key, MESSAGE_BYTES_MAX, Malformed, Opening, Replies, Request, Severity, Target, Transaction, Trouble,
    opening, request,
};
use super::own::{self, Statement};
use super::trouble::{told, trouble};
use super::types::{Cells, Format, Kind};
use crate::stops::Stop;

/// Replies are sent once they have so many bytes.
const SEND_BYTES: usize = 64 << 10;
/// Bytes read at once.
const READ_BYTES: usize = 16 << 10;

/// The connection is over.
#[derive(Debug)]
pub(super) struct Gone;

/// A question that is being answered.
pub(super) struct Answer {
    result: QueryResult,
    /// The batch that is being sent, and how many of its rows were.
    batch: Option<(RecordBatch, usize)>,
    sent: u64,
    began: Instant,
}

/// One client.
pub(super) struct Session<'a> {
    pub(super) shared: &'a Shared,
    socket: TcpStream,
    stopping: watch::Receiver<bool>,
    received: BytesMut,
    pub(super) replies: Replies,
    transaction: Transaction,
    timeout: Option<Duration>,
    pub(super) statements: HashMap<String, Prepared>,
    pub(super) portals: HashMap<String, Portal>,
    /// How its questions are stopped.
    cancel: Stop,
    /// Skips to the next `Sync`.
    skips: bool,
}

/// Says that there is no place, without waiting.
pub(super) fn turn_away(socket: &TcpStream) {
    let mut replies = Replies::default();
    replies.trouble(&trouble(Severity::Fatal, "53300", "too many connections are open"));
    // The socket's buffer is empty, so the answer fits or the client is already gone.
    let _sent = socket.try_write(&replies.0);
}

impl<'a> Session<'a> {
    pub(super) fn new(socket: TcpStream, shared: &'a Shared, stopping: watch::Receiver<bool>) -> Self {
        Self {
            shared,
            socket,
            stopping,
            received: BytesMut::new(),
            replies: Replies::default(),
            transaction: Transaction::None,
            timeout: None,
            statements: HashMap::new(),
            portals: HashMap::new(),
            cancel: shared.running.enter(),
            skips: false,
        }
    }

    /// Serves the client to the end.
    pub(super) async fn run(mut self) {
        let allowed = self.shared.limits.header_time_max;
        match tokio::time::timeout(allowed, self.open()).await {
            Ok(Ok(true)) => {}
            Ok(_) => return,
            Err(_) => return self.shared.metrics.refused("header_time"),
        }
        while let Ok(request) = self.next().await {
            let done = match request {
                Ok(Request::Terminate) => return,
                Ok(request) => self.answer(request).await,
                Err(malformed) => {
                    // Where the next message begins cannot be known.
                    self.replies.trouble(&trouble(Severity::Fatal, "08P01", malformed.0));
                    let _sent = self.send().await;
                    return;
                }
            };
            if done.is_err() {
                return;
            }
        }
    }

    /// The beginning; `false` when there is nothing more to do.
    async fn open(&mut self) -> Result<bool, Gone> {
        loop {
            match opening(&mut self.received) {
                Ok(None) => self.receive().await?,
                Ok(Some(Opening::Encryption)) => {
                    self.replies.not_encrypted();
                    self.send().await?;
                }
                Ok(Some(Opening::Cancel(key))) => {
                    self.shared.running.ring(key.number());
                    return Ok(false);
                }
                Ok(Some(Opening::Startup { parameters })) => {
                    self.greet(&parameters);
                    self.send().await?;
                    return Ok(true);
                }
                Err(malformed) => {
                    self.replies.trouble(&trouble(Severity::Fatal, "08P01", malformed.0));
                    self.send().await?;
                    return Ok(false);
                }
            }
        }
    }

    fn greet(&mut self, parameters: &[(String, String)]) {
        let said = |name: &str| parameters.iter().find(|(said, _)| said == name).map(|(_, value)| value.as_str());
        let timeout = said("statement_timeout")
            .or_else(|| said("options")?.split_once("statement_timeout=").map(|(_, rest)| rest));
        let timeout = timeout.and_then(|said| said.split_whitespace().next());
        self.timeout = timeout.and_then(own::timeout).flatten();
        self.replies.authenticated();
        for setting in SETTINGS.iter().filter(|setting| setting.greets) {
            self.replies.parameter(setting.name, setting.value);
        }
        self.replies.parameter("application_name", said("application_name").unwrap_or_default());
        self.replies.parameter("session_authorization", said("user").unwrap_or_default());
        self.replies.parameter("is_superuser", "off");
        self.replies.parameter("in_hot_standby", "off");
        self.replies.key(Key::of(self.cancel.number()));
        self.replies.ready(Transaction::None);
    }

    /// The next request, or why it is none.
    async fn next(&mut self) -> Result<Result<Request, Malformed>, Gone> {
        loop {
            match request(&mut self.received) {
                Ok(Some(request)) => return Ok(Ok(request)),
                Err(malformed) => return Ok(Err(malformed)),
                Ok(None) => {}
            }
            // Nothing more is here: whoever waits for replies gets them.
            self.send().await?;
            let mut stopping = self.stopping.clone();
            let told = async {
                // An error means that the server itself is gone, which says the same.
                let _stop = stopping.wait_for(|stop| *stop).await;
            };
            tokio::select! {
                received = self.receive() => received?,
                () = told => {
                    self.replies.trouble(&trouble(Severity::Fatal, "57P01", "the server stops"));
                    let _sent = self.send().await;
                    return Err(Gone);
                }
            }
        }
    }

    async fn receive(&mut self) -> Result<(), Gone> {
        receive(&mut self.socket, &mut self.received).await
    }

    async fn send(&mut self) -> Result<(), Gone> {
        if self.replies.0.is_empty() {
            return Ok(());
        }
        let written = self.socket.write_all(&self.replies.0);
        let sent = tokio::time::timeout(self.shared.limits.write_stall_max, written).await;
        self.replies.0.clear();
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Gone),
            Err(_) => {
                self.shared.metrics.refused("write_stall");
                Err(Gone)
            }
        }
    }

    async fn answer(&mut self, request: Request) -> Result<(), Gone> {
        if let Request::Sync = request {
            self.skips = false;
            // What is bound lives as long as its transaction.
            if self.transaction == Transaction::None {
                self.portals.clear();
            }
            self.replies.ready(self.transaction);
            return self.send().await;
        }
        if self.skips {
            return Ok(());
        }
        let done = match request {
            Request::Query(sql) => return self.simple(&sql).await,
            Request::Flush => return self.send().await,
            Request::Parse { statement, sql, types } => self.parse(statement, &sql, &types).await,
            Request::Bind { portal, statement, formats, values, results } => {
                self.bind(portal, &statement, &formats, &values, &results)
            }
            Request::Describe(target) => self.describe(&target),
            Request::Close(target) => {
                match target {
                    Target::Statement(name) => drop(self.statements.remove(&name)),
                    Target::Portal(name) => drop(self.portals.remove(&name)),
                }
                self.replies.closed();
                Ok(())
            }
            Request::Execute { portal, rows } => match self.execute(&portal, rows).await {
                Ok(done) => done,
                Err(gone) => return Err(gone),
            },
            Request::Other(kind) => {
                let kind = kind.escape_ascii();
                Err(trouble(Severity::Error, "0A000", format!("the message {kind} is not answered here")))
            }
            Request::Sync | Request::Terminate => Ok(()),
        };
        if let Err(trouble) = done {
            self.fail(&trouble);
            self.skips = true;
        }
        Ok(())
    }

    fn fail(&mut self, trouble: &Trouble) {
        self.replies.trouble(trouble);
        if self.transaction == Transaction::Open {
            self.transaction = Transaction::Failed;
        }
    }

    /// `Query`: one statement after the other, until one fails.
    async fn simple(&mut self, sql: &str) -> Result<(), Gone> {
        for statement in own::split(sql) {
            let done = match own::read(statement) {
                Statement::Question(question) => self.ask(&question).await?,
                other => self.own(&other, true),
            };
            if let Err(trouble) = done {
                self.fail(&trouble);
                break;
            }
        }
        self.replies.ready(self.transaction);
        self.send().await
    }

    async fn ask(&mut self, sql: &str) -> Result<Result<(), Trouble>, Gone> {
        if let Err(trouble) = self.may_ask() {
            return Ok(Err(trouble));
        }
        let mut answer = match self.start(sql, Vec::new()).await? {
            Ok(answer) => answer,
            Err(trouble) => return Ok(Err(trouble)),
        };
        let schema = Arc::clone(answer.result.schema());
        self.replies.columns(&described(&schema, &[]));
        let formats = vec![Format::Text; schema.fields().len()];
        self.stream(&mut answer, &formats, 0).await.map(|done| done.map(drop))
    }

    /// Within a failed transaction nothing is answered but its end.
    pub(super) fn may_ask(&self) -> Result<(), Trouble> {
        if self.transaction != Transaction::Failed {
            return Ok(());
        }
        let message = "the transaction has failed; statements are ignored until it ends";
        Err(trouble(Severity::Error, "25P02", message))
    }

    /// Starts a question; the client may cancel it, or go.
    pub(super) async fn start(
        &mut self,
        sql: &str,
        parameters: Vec<Parameter>,
    ) -> Result<Result<Answer, Trouble>, Gone> {
        let began = Instant::now();
        // What was to be cancelled has ended before.
        let _late = self.cancel.rung().now_or_never();
        let options = RunOptions { timeout: self.timeout, parameters, ..RunOptions::default() };
        let queries = Arc::clone(&self.shared.queries);
        let started = self.watched(queries.run(sql, options)).await?;
        Ok(match started.and_then(|started| started.map_err(|error| told(&error, sql))) {
            Ok(result) => Ok(Answer { result, batch: None, sent: 0, began }),
            Err(trouble) => {
                self.count(began, Some(&trouble));
                Err(trouble)
            }
        })
    }

    fn count(&self, began: Instant, trouble: Option<&Trouble>) {
        self.shared.metrics.query(QuerySource::Postgres, began.elapsed(), trouble.map(|trouble| trouble.code));
    }

    /// What comes of `work`, unless the client cancels it; an error when the client has gone.
    async fn watched<T>(&mut self, work: impl Future<Output = T>) -> Result<Result<T, Trouble>, Gone> {
        let mut work = std::pin::pin!(work);
        loop {
            // A client may send more meanwhile, but not without end.
            let listens = self.received.len() <= MESSAGE_BYTES_MAX;
            tokio::select! {
                biased;
                () = self.cancel.rung() => {
                    return Ok(Err(trouble(Severity::Error, "57014", "the question was cancelled")));
                }
                done = &mut work => return Ok(Ok(done)),
                received = receive(&mut self.socket, &mut self.received), if listens => received?,
            }
        }
    }

    /// Sends up to `rows` rows of an answer (0: all), and how it ended; `true` if it is at its end.
    pub(super) async fn stream(
        &mut self,
        answer: &mut Answer,
        formats: &[Format],
        rows: u32,
    ) -> Result<Result<bool, Trouble>, Gone> {
        let mut left = if rows == 0 { u64::MAX } else { u64::from(rows) };
        loop {
            let (batch, from) = match answer.batch.take() {
                Some(rest) => rest,
                None => match self.watched(answer.result.next()).await? {
                    Ok(Some(Ok(batch))) => (batch, 0),
                    Ok(None) => {
                        self.warn(answer);
                        self.count(answer.began, None);
                        self.replies.complete(&format!("SELECT {}", answer.sent));
                        return Ok(Ok(true));
                    }
                    Ok(Some(Err(error))) => return Ok(Err(self.broken(answer, told(&error, "")))),
                    Err(cancelled) => return Ok(Err(self.broken(answer, cancelled))),
                },
            };
            let until =
                usize::try_from(left).map_or(batch.num_rows(), |left| batch.num_rows().min(from.saturating_add(left)));
            if let Err(error) = self.rows(&batch, from..until, formats).await? {
                return Ok(Err(self.broken(answer, error)));
            }
            answer.sent += (until - from) as u64;
            left -= (until - from) as u64;
            if until < batch.num_rows() {
                answer.batch = Some((batch, until));
            }
            if left == 0 {
                self.replies.suspended();
                return Ok(Ok(false));
            }
        }
    }

    fn broken(&self, answer: &Answer, trouble: Trouble) -> Trouble {
        self.count(answer.began, Some(&trouble));
        trouble
    }

    async fn rows(
        &mut self,
        batch: &RecordBatch,
        rows: std::ops::Range<usize>,
        formats: &[Format],
    ) -> Result<Result<(), Trouble>, Gone> {
        let columns = batch.columns().iter().zip(formats);
        let cells = columns.map(|(column, format)| Cells::new(column, Kind::of(column.data_type()), *format));
        let cells = match cells.collect::<Result<Vec<_>, _>>() {
            Ok(cells) => cells,
            Err(error) => {
                return Ok(Err(trouble(Severity::Error, "XX000", format!("a column cannot be written: {error}"))));
            }
        };
        for row in rows {
            self.replies.row(cells.len(), |column, out| cells[column].write(row, out));
            if self.replies.0.len() >= SEND_BYTES {
                self.send().await?;
            }
        }
        Ok(Ok(()))
    }

    /// Says what the answer lacks.
    fn warn(&mut self, answer: &Answer) {
        for warning in answer.result.warnings() {
            self.replies.trouble(&trouble(Severity::Warning, "01000", warning));
        }
    }

    /// A statement about the session; `describes`: with its columns.
    pub(super) fn own(&mut self, statement: &Statement, describes: bool) -> Result<(), Trouble> {
        if !matches!(statement, Statement::End(_)) {
            self.may_ask()?;
        }
        match statement {
            Statement::Empty => self.replies.empty(),
            Statement::Begin => {
                self.transaction = Transaction::Open;
                self.replies.complete("BEGIN");
            }
            Statement::End(kept) => {
                let kept = *kept && self.transaction != Transaction::Failed;
                self.transaction = Transaction::None;
                self.replies.complete(if kept { "COMMIT" } else { "ROLLBACK" });
            }
            Statement::Timeout(timeout) => {
                self.timeout = *timeout;
                self.replies.complete("SET");
            }
            Statement::Noted(tag) => self.replies.complete(tag),
            Statement::Forget(name) => {
                match name {
                    Some(name) => drop(self.statements.remove(name)),
                    None => self.statements.clear(),
                }
                self.replies.complete(if name.is_some() { "DEALLOCATE" } else { "DEALLOCATE ALL" });
            }
            Statement::Discard => {
                self.statements.clear();
                self.timeout = None;
                self.replies.complete("DISCARD ALL");
            }
            Statement::Unknown(name) => {
                let message = format!("there is no setting \"{name}\"; SHOW ALL lists those that there are");
                return Err(trouble(Severity::Error, "42704", message));
            }
            Statement::Setting(name, value) => {
                let timeout = (name == "statement_timeout").then(|| own::shown(self.timeout));
                let value = timeout.as_ref().unwrap_or(value);
                if describes {
                    self.replies.columns(&[setting(name)]);
                }
                self.replies.row(1, |_, out| {
                    out.extend_from_slice(value.as_bytes());
                    true
                });
                self.replies.complete("SHOW");
            }
            Statement::Question(_) => unreachable!("questions go to the store"),
        }
        Ok(())
    }
}

async fn receive(socket: &mut TcpStream, received: &mut BytesMut) -> Result<(), Gone> {
    received.reserve(READ_BYTES);
    match socket.read_buf(received).await {
        Ok(0) | Err(_) => Err(Gone),
        Ok(_) => Ok(()),
    }
}

pub(super) fn described(schema: &SchemaRef, formats: &[Format]) -> Vec<Described> {
    let column = |(index, field): (usize, &Arc<arrow::datatypes::Field>)| {
        let (oid, size) = Kind::of(field.data_type()).oid_and_size();
        let format = u16::from(formats.get(index) == Some(&Format::Binary));
        Described { name: field.name().clone(), oid, size, modifier: modifier_of_type(field.data_type()), format }
    };
    schema.fields().iter().enumerate().map(column).collect()
}

pub(super) fn setting(name: &str) -> Described {
    let (oid, size) = Kind::Text.oid_and_size();
    Described { name: name.to_owned(), oid, size, modifier: -1, format: 0 }
}
