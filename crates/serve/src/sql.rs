//! `POST /api/v1/sql`: questions in SQL, answered as one JSON value or as a stream of NDJSON, CSV, Arrow or Parquet. It only
//! reads; what a question may take is said and enforced in `query`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use serde::Deserialize;
use weir_observe::QuerySource;
use weir_query::encode::{Chunks, Format, WriteError};
use weir_query::{Parameter, QueryError, QueryResult, RunOptions};

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::input::{json, params};

/// Rows of an answer as one JSON value, when the question does not say how many.
const JSON_ROWS: u64 = 10_000;
/// The most rows of an answer as one JSON value.
const JSON_ROWS_MAX: u64 = 100_000;
/// The most bytes of an answer as one JSON value, as columns in memory.
const JSON_BYTES_MAX: u64 = 64 << 20;
/// An answer as one JSON value is gathered up to so many bytes, so that what goes wrong until then still becomes a status.
const GATHERED_BYTES: usize = 1 << 20;
/// Bytes of the body: the text may be escaped, and everything else is short.
pub(crate) const BODY_BYTES_MAX: usize = 512 << 10;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    sql: String,
    limit: Option<u64>,
    /// How long the answer may take, in seconds: for exports.
    timeout_s: Option<u64>,
    /// The values of `$1` and so on.
    #[serde(default)]
    parameters: Vec<serde_json::Value>,
}

/// A value as the text that a placeholder takes; nested values as their JSON.
fn parameter(value: serde_json::Value) -> Parameter {
    use serde_json::Value;
    let value = match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    Parameter { value, data_type: None }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Params {
    format: Option<String>,
}

/// The formats of answers; the table for terminals is not one of them.
const FORMATS: [&str; 5] = ["json", "ndjson", "csv", "arrow", "parquet"];

/// Spreadsheets open what browsers save: a text must not become a formula there.
fn named(name: &str) -> Option<Format> {
    match Format::named(name).filter(|_| FORMATS.contains(&name)) {
        Some(Format::Csv { .. }) => Some(Format::Csv { formula_safe: true }),
        other => other,
    }
}

/// The format of the parameter, else the first of ours that `Accept` names, else JSON.
pub(crate) fn wanted(params: &Params, headers: &HeaderMap) -> ApiResult<Format> {
    if let Some(name) = &params.format {
        return named(name).ok_or_else(|| {
            let message = format!("there is no format \"{name}\"; there are {}", FORMATS.join(", "));
            ApiError::bad_request("bad_parameter", message)
        });
    }
    let media_type = |text: &str| text.split(';').next().unwrap_or_default().trim().to_owned();
    let accept = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let mut accepted = accept.flat_map(|value| value.split(',')).map(media_type);
    let ours: Vec<Format> = FORMATS.into_iter().filter_map(named).collect();
    let first = accepted.find_map(|wanted| ours.iter().copied().find(|ours| media_type(ours.content_type()) == wanted));
    Ok(first.unwrap_or(Format::Json))
}

/// How much is returned: all of it for what streams, a page for what is one JSON value.
pub(crate) fn options(format: Format, limit: Option<u64>) -> ApiResult<RunOptions> {
    if format != Format::Json {
        return Ok(RunOptions { max_rows: limit, ..RunOptions::default() });
    }
    let rows = limit.unwrap_or(JSON_ROWS);
    if rows > JSON_ROWS_MAX {
        let message = format!("the limit is {rows}; as JSON at most {JSON_ROWS_MAX} rows are returned");
        return Err(
            ApiError::bad_request("too_many_rows", message).hint("add LIMIT, or ask for ndjson, csv, arrow or parquet")
        );
    }
    Ok(RunOptions { max_rows: Some(rows), max_bytes: Some(JSON_BYTES_MAX), ..RunOptions::default() })
}

pub(crate) async fn post(State(app): State<Arc<App>>, request: Request) -> ApiResult<Response> {
    let (head, body) = request.into_parts();
    let format = wanted(&params(&head.uri)?, &head.headers)?;
    let received = app.bodies.receive(&head.headers, body, BODY_BYTES_MAX).await?;
    let asked: Asked = json(&received.bytes)?;
    let parameters = asked.parameters.into_iter().map(parameter).collect();
    let options =
        RunOptions { parameters, timeout: asked.timeout_s.map(Duration::from_secs), ..options(format, asked.limit)? };
    let counted = Counted::new(&app, QuerySource::Sql);
    answer(app.state.queries.run(&asked.sql, options).await, format, counted).await
}

/// Writes what a question has for an answer.
pub(crate) async fn answer(
    result: Result<QueryResult, QueryError>,
    format: Format,
    mut counted: Counted,
) -> ApiResult<Response> {
    let result = counted.note(result)?;
    let mut chunks = Chunks::new(result, format).map_err(|error| counted.fail(error))?;
    let gathered = if format == Format::Json { GATHERED_BYTES } else { 1 };
    let mut first = BytesMut::new();
    while first.len() < gathered {
        match chunks.next().await.transpose().map_err(|error| counted.fail(error))? {
            Some(chunk) if first.is_empty() => first = chunk.into(),
            Some(chunk) => first.extend_from_slice(&chunk),
            None => {
                counted.error = None;
                return Ok(([(header::CONTENT_TYPE, format.content_type())], first.freeze()).into_response());
            }
        }
    }
    let body = Body::from_stream(stream_of(first.freeze(), chunks, counted));
    Ok(([(header::CONTENT_TYPE, format.content_type())], body).into_response())
}

/// The rest of an answer whose head is already sent: an error can only break it off, so that nobody takes it for whole.
fn stream_of(first: Bytes, chunks: Chunks, counted: Counted) -> impl Stream<Item = Result<Bytes, WriteError>> {
    let first = stream::iter([Ok(first)]);
    let rest = stream::unfold((chunks, counted), async |(mut chunks, mut counted)| {
        let next = chunks.next().await;
        match &next {
            Some(Ok(_)) => {}
            Some(Err(error)) => counted.error = Some(code(error)),
            None => counted.error = None,
        }
        Some((next?, (chunks, counted)))
    });
    first.chain(rest)
}

fn code(error: &WriteError) -> String {
    match error {
        WriteError::Query(error) => error.code.as_str().to_owned(),
        WriteError::Output(_) => "internal".to_owned(),
    }
}

/// Counts a question when its answer has ended, however that was.
pub(crate) struct Counted {
    app: Arc<App>,
    source: QuerySource,
    began: Instant,
    pub(crate) error: Option<String>,
}

impl Counted {
    pub(crate) fn new(app: &Arc<App>, source: QuerySource) -> Self {
        Self { app: Arc::clone(app), source, began: Instant::now(), error: Some("gone".to_owned()) }
    }

    pub(crate) fn note<T>(&mut self, outcome: Result<T, QueryError>) -> ApiResult<T> {
        outcome.map_err(|error| self.fail(error.into()))
    }

    fn fail(&mut self, error: WriteError) -> ApiError {
        self.error = Some(code(&error));
        match error {
            WriteError::Query(error) => error.into(),
            WriteError::Output(error) => ApiError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                format!("the answer could not be written: {error}"),
            ),
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.app.state.metrics.query(self.source, self.began.elapsed(), self.error.as_deref());
    }
}
