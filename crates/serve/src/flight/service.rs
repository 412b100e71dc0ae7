//! The calls of Flight, one by one: what is asked is planned when it is described, and computed when it is fetched. What a
//! question may take is said and enforced in `query`, as for HTTP.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::http::Response;
use bytes::Bytes;
use futures::stream;
use hyper::Request;
use hyper::body::Incoming;
use prost::Message;
use weir_observe::QuerySource;
use weir_query::encode::Plain;
use weir_query::{Parameter, QueryError, QueryErrorCode, QueryResult, RunOptions};

use super::batches::{self, Writer};
use super::catalog::{self, About};
use super::grpc::{self, Code, Failure, Messages, framed};
use super::message::{
    Action, ActionAnswer, ActionType, Asked, CancelFlightInfoRequest, CancelQuery, Cancelled, FlightData,
    FlightDescriptor, FlightEndpoint, FlightInfo, GetSchemas, GetSqlInfo, GetTables, Given, Handle, PreparedStatement,
    PutResult, SchemaResult, Text, Ticket, packed, unpacked,
};
use super::prepared::Prepared;
use super::{Call, Shared};
use crate::stops::{Stop, unguessable};

const SERVICE: &str = "/arrow.flight.protocol.FlightService/";
/// Bytes of all messages of a request: a text, its parameters, and what stands around them.
const REQUEST_BYTES_MAX: usize = 1 << 20;
/// Outcomes of cancelling.
const CANCELLED: i32 = 1;
const NOT_CANCELLABLE: i32 = 3;
/// The kind of a [`FlightDescriptor`] that holds a command.
const COMMAND: i32 = 2;

/// What is done with a name in [`Action`].
const ACTIONS: [(&str, &str); 4] = [
    ("CreatePreparedStatement", "prepares a question"),
    ("ClosePreparedStatement", "forgets a prepared question"),
    ("CancelFlightInfo", "stops a question that is being answered"),
    ("CancelQuery", "stops a question that is being answered"),
];

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let code = match error.code {
            QueryErrorCode::UnknownTable => Code::NotFound,
            QueryErrorCode::ReadOnly => Code::Unimplemented,
            QueryErrorCode::Timeout => Code::DeadlineExceeded,
            QueryErrorCode::Memory => Code::ResourceExhausted,
            QueryErrorCode::Busy => Code::Unavailable,
            QueryErrorCode::CorruptSegment => Code::DataLoss,
            QueryErrorCode::Internal => Code::Internal,
            QueryErrorCode::SqlSyntax
            | QueryErrorCode::SearchSyntax
            | QueryErrorCode::UnknownColumn
            | QueryErrorCode::UnknownFunction
            | QueryErrorCode::InvalidQuery
            | QueryErrorCode::TooLong
            | QueryErrorCode::TooComplex
            | QueryErrorCode::TooManyRows
            | QueryErrorCode::Failed
            | QueryErrorCode::NoTime
            | QueryErrorCode::InvalidRequest => Code::InvalidArgument,
        };
        Self::new(code, error.to_string())
    }
}

/// What a descriptor or a ticket asks for.
enum Command {
    /// A text.
    Sql(String),
    /// A question that was asked for before.
    Asked(Asked),
    /// A prepared statement, by its handle.
    Prepared(Bytes),
    About(About),
}

impl Command {
    fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let (name, value) =
            unpacked(bytes).ok_or_else(|| Failure::invalid("this is no command of Flight SQL, packed as Any"))?;
        let value = value.as_slice();
        Ok(match name.as_str() {
            "CommandStatementQuery" => Self::Sql(read::<Text>(value)?.sql),
            "TicketStatementQuery" => Self::Asked(read(&read::<Handle>(value)?.handle)?),
            "CommandPreparedStatementQuery" => Self::Prepared(read::<Handle>(value)?.handle),
            "CommandGetCatalogs" => Self::About(About::Catalogs),
            "CommandGetDbSchemas" => Self::About(About::Schemas(read::<GetSchemas>(value)?)),
            "CommandGetTables" => Self::About(About::Tables(read::<GetTables>(value)?)),
            "CommandGetTableTypes" => Self::About(About::TableTypes),
            "CommandGetSqlInfo" => Self::About(About::Server(read::<GetSqlInfo>(value)?.wanted)),
            "CommandGetPrimaryKeys" => Self::About(About::PrimaryKeys),
            "CommandGetExportedKeys" | "CommandGetImportedKeys" | "CommandGetCrossReference" => {
                Self::About(About::ForeignKeys)
            }
            "CommandGetXdbcTypeInfo" => Self::About(About::Types),
            "CommandStatementUpdate" | "CommandPreparedStatementUpdate" | "CommandStatementIngest" => {
                return Err(read_only());
            }
            other => return Err(Failure::unimplemented(format!("{other} is not answered here"))),
        })
    }
}

fn read_only() -> Failure {
    Failure::unimplemented("tables are only read here; rows come in through pipelines and POST /api/v1/ingest")
}

fn read<M: Message + Default>(bytes: &[u8]) -> Result<M, Failure> {
    M::decode(bytes).map_err(|error| Failure::invalid(format!("a message cannot be read: {error}")))
}

/// The only message of a request.
fn only<M: Message + Default>(messages: &[Bytes]) -> Result<M, Failure> {
    match messages {
        [one] => read(one),
        several => Err(Failure::invalid(format!("the request has {} messages instead of one", several.len()))),
    }
}

/// Answers one call.
pub(super) async fn answer(shared: &Arc<Shared>, call: Call, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    if let Err(plain) = grpc::check(&head) {
        return *plain;
    }
    let answered = async {
        let received = grpc::receive(&shared.bodies, &head.headers, Body::new(body), REQUEST_BYTES_MAX).await;
        let (messages, _room) = received?;
        respond(shared, head.uri.path(), &messages).await
    };
    let allowed = shared.limits.request_time_max;
    match tokio::time::timeout(allowed, answered).await {
        Ok(Ok(messages)) => grpc::answer(messages, shared.limits.write_stall_max, &shared.metrics, call),
        Ok(Err(failure)) => grpc::refused(&failure),
        Err(_) => {
            let message = format!("the answer took longer than {} s", allowed.as_secs_f32());
            grpc::refused(&Failure::new(Code::DeadlineExceeded, message))
        }
    }
}

async fn respond(shared: &Arc<Shared>, path: &str, messages: &[Bytes]) -> Result<Messages, Failure> {
    let one = |bytes: Bytes| grpc::all(vec![bytes]);
    Ok(match path.strip_prefix(SERVICE).unwrap_or(path) {
        "GetFlightInfo" => one(framed(&info(shared, only(messages)?).await?)),
        "GetSchema" => {
            let asked: FlightDescriptor = only(messages)?;
            one(framed(&SchemaResult { schema: info(shared, asked).await?.schema }))
        }
        "DoGet" => fetch(shared, Command::read(&only::<Ticket>(messages)?.ticket)?).await?,
        "DoPut" => grpc::all(put(shared, messages)?),
        "DoAction" => grpc::all(act(shared, only(messages)?).await?),
        "ListActions" => {
            let told = |(name, description): &(&str, &str)| {
                framed(&ActionType { name: (*name).to_owned(), description: (*description).to_owned() })
            };
            grpc::all(ACTIONS.iter().map(told).collect())
        }
        // Whoever says who they are is believed, as everywhere here: it listens where only this machine can reach it.
        "Handshake" => one(framed(&())),
        "ListFlights" => grpc::all(Vec::new()),
        other => return Err(Failure::unimplemented(format!("the call {other} is not answered here"))),
    })
}

/// What an answer looks like, and the ticket for it.
async fn info(shared: &Arc<Shared>, descriptor: FlightDescriptor) -> Result<FlightInfo, Failure> {
    let (schema, ticket) = match Command::read(&descriptor.command)? {
        Command::Sql(sql) => described(shared, sql, Vec::new()).await?,
        Command::Asked(asked) => described(shared, asked.sql, asked.parameters).await?,
        Command::Prepared(handle) => {
            let Prepared { sql, parameters, placeholders } = shared.statements.get(&handle, Instant::now())?;
            if parameters.len() < placeholders {
                let message = format!("the question has {placeholders} placeholders, and {} values", parameters.len());
                return Err(Failure::invalid(message));
            }
            described(shared, sql, parameters).await?
        }
        Command::About(about) => (batches::schema_message(&about.schema()), descriptor.command.clone()),
    };
    let endpoint = FlightEndpoint { ticket: Some(Ticket { ticket }) };
    let descriptor = Some(FlightDescriptor { kind: COMMAND, ..descriptor });
    Ok(FlightInfo { schema, descriptor, endpoints: vec![endpoint], total_records: -1, total_bytes: -1, ordered: true })
}

/// The columns of a question's answer, and a ticket that holds the question.
async fn described(shared: &Arc<Shared>, sql: String, parameters: Vec<Given>) -> Result<(Bytes, Bytes), Failure> {
    let described = shared.queries.describe(&sql, &[]).await?;
    let asked = Asked { id: unguessable(), sql, parameters };
    let ticket = packed("TicketStatementQuery", &Handle { handle: asked.encode_to_vec().into() });
    Ok((batches::plain_schema(&described.schema), ticket))
}

/// The batches of an answer.
async fn fetch(shared: &Arc<Shared>, command: Command) -> Result<Messages, Failure> {
    let asked = match command {
        Command::Sql(sql) => Asked { id: unguessable(), sql, parameters: Vec::new() },
        Command::Asked(asked) => asked,
        Command::Prepared(handle) => {
            let Prepared { sql, parameters, .. } = shared.statements.get(&handle, Instant::now())?;
            Asked { id: unguessable(), sql, parameters }
        }
        Command::About(about) => {
            let batch = about.answer(&tables(shared, &about).await?)?;
            let (mut writer, first) = Writer::new(Plain::already(&batch.schema()));
            let mut messages = VecDeque::from([first]);
            writer.batch(&batch, &mut messages)?;
            return Ok(grpc::all(messages.into()));
        }
    };
    let mut counted = Counted { shared: Arc::clone(shared), began: Instant::now(), error: Some("gone") };
    let stop = shared.running.enter_as(asked.id);
    let parameters = asked.parameters.into_iter().map(|given| Parameter { value: given.value, data_type: None });
    let options = RunOptions { parameters: parameters.collect(), ..RunOptions::default() };
    let started = tokio::select! {
        started = shared.queries.run(&asked.sql, options) => started,
        () = stop.rung() => return Err(stopped()),
    };
    let result = started.map_err(|error| counted.fail(error))?;
    let (writer, first) = Writer::new(Plain::of(result.schema()));
    let answering = Answering { result, writer, ready: VecDeque::from([first]), stop, counted };
    Ok(Box::pin(stream::unfold(Some(answering), async |answering| {
        let mut answering = answering?;
        match answering.next().await {
            Some(Ok(message)) => Some((Ok(message), Some(answering))),
            Some(Err(failure)) => Some((Err(failure), None)),
            None => None,
        }
    })))
}

async fn tables(shared: &Arc<Shared>, about: &About) -> Result<Vec<catalog::Shown>, Failure> {
    if !matches!(about, About::Schemas(_) | About::Tables(_)) {
        return Ok(Vec::new());
    }
    let queries = Arc::clone(&shared.queries);
    let taken = tokio::task::spawn_blocking(move || queries.snapshot()).await;
    let snapshot = taken.map_err(|error| Failure::new(Code::Internal, format!("no tables: {error}")))??;
    Ok(catalog::tables_of(&snapshot))
}

fn stopped() -> Failure {
    Failure::new(Code::Cancelled, "the question was cancelled")
}

/// A question that is being answered.
struct Answering {
    result: QueryResult,
    writer: Writer,
    /// Messages that are made and not yet sent.
    ready: VecDeque<Bytes>,
    stop: Stop,
    counted: Counted,
}

impl Answering {
    async fn next(&mut self) -> Option<Result<Bytes, Failure>> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(Ok(message));
            }
            let batch = tokio::select! {
                biased;
                () = self.stop.rung() => return Some(Err(stopped())),
                batch = self.result.next() => batch,
            };
            let written = match batch {
                Some(Ok(batch)) => self.writer.batch(&batch, &mut self.ready),
                Some(Err(error)) => Err(self.counted.fail(error)),
                None => {
                    self.counted.error = None;
                    return None;
                }
            };
            if let Err(failure) = written {
                return Some(Err(failure));
            }
        }
    }
}

/// Counts a question when its answer has ended, however that was.
struct Counted {
    shared: Arc<Shared>,
    began: Instant,
    error: Option<&'static str>,
}

impl Counted {
    fn fail(&mut self, error: QueryError) -> Failure {
        self.error = Some(error.code.as_str());
        error.into()
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.shared.metrics.query(QuerySource::Flight, self.began.elapsed(), self.error);
    }
}

/// Takes the values of the placeholders of a prepared statement.
fn put(shared: &Arc<Shared>, messages: &[Bytes]) -> Result<Vec<Bytes>, Failure> {
    let sent = messages.iter().map(|message| read::<FlightData>(message)).collect::<Result<Vec<_>, _>>()?;
    let descriptor = sent.first().and_then(|first| first.descriptor.as_ref());
    let descriptor = descriptor.ok_or_else(|| Failure::invalid("nothing says what the data is for"))?;
    let Command::Prepared(handle) = Command::read(&descriptor.command)? else { return Err(read_only()) };
    shared.statements.bind(&handle, batches::parameters(&sent)?, Instant::now())?;
    Ok(vec![framed(&PutResult { metadata: Handle { handle }.encode_to_vec().into() })])
}

async fn act(shared: &Arc<Shared>, action: Action) -> Result<Vec<Bytes>, Failure> {
    let content = || {
        let content = unpacked(&action.body).map(|(_, value)| value);
        content.ok_or_else(|| Failure::invalid(format!("{} needs its message, packed as Any", action.name)))
    };
    let answer = |body: Bytes| Ok(vec![framed(&ActionAnswer { body })]);
    match action.name.as_str() {
        "CreatePreparedStatement" => answer(prepare(shared, read::<Text>(&content()?)?.sql).await?),
        "ClosePreparedStatement" => {
            shared.statements.close(&read::<Handle>(&content()?)?.handle);
            Ok(Vec::new())
        }
        "CancelFlightInfo" => {
            let info = read::<CancelFlightInfoRequest>(&action.body)?.info.unwrap_or_default();
            answer(cancel(shared, &info).encode_to_vec().into())
        }
        "CancelQuery" => {
            let info = read(&read::<CancelQuery>(&content()?)?.info)?;
            answer(packed("ActionCancelQueryResult", &cancel(shared, &info)))
        }
        "BeginTransaction" | "EndTransaction" | "BeginSavepoint" | "EndSavepoint" => {
            let message = "there are no transactions here: each question sees all tables at its own moment";
            Err(Failure::unimplemented(message))
        }
        other => Err(Failure::unimplemented(format!("the action {other} is not known here"))),
    }
}

async fn prepare(shared: &Arc<Shared>, sql: String) -> Result<Bytes, Failure> {
    use arrow::datatypes::{DataType, Field, Fields, Schema};
    let described = shared.queries.describe(&sql, &[]).await?;
    let places = described.parameters.iter().enumerate();
    let fields = places.map(|(index, kind)| {
        let kind = kind.clone().unwrap_or(DataType::Utf8);
        Field::new(format!("${}", index + 1), kind, true)
    });
    let parameter_schema = batches::plain_schema(&Arc::new(Schema::new(fields.collect::<Fields>())));
    let statement = Prepared { sql, placeholders: described.parameters.len(), parameters: Vec::new() };
    let handle = shared.statements.add(statement, Instant::now())?;
    let schema = batches::plain_schema(&described.schema);
    Ok(packed("ActionCreatePreparedStatementResult", &PreparedStatement { handle, schema, parameter_schema }))
}

/// Stops what the tickets of `info` ask for.
fn cancel(shared: &Arc<Shared>, info: &FlightInfo) -> Cancelled {
    let tickets = info.endpoints.iter().filter_map(|endpoint| endpoint.ticket.as_ref());
    let stopped = tickets.filter(|ticket| match Command::read(&ticket.ticket) {
        Ok(Command::Asked(asked)) => shared.running.ring(asked.id),
        _ => false,
    });
    Cancelled { outcome: if stopped.count() > 0 { CANCELLED } else { NOT_CANCELLABLE } }
}
