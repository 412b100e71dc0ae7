//! `POST /api/v1/ingest/{stream}`: records come in and are acknowledged when they are durable, all of a body or none.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use serde::Serialize;
use weir_collect::{BodyError, decompress, split_body};

use crate::app::App;
use crate::body::SCARCE;
use crate::error::{ApiError, ApiResult, nearest};

/// The longest key.
const KEY_BYTES_MAX: usize = 255;

/// What takes records and makes them durable.
#[async_trait]
pub trait Ingest: Send + Sync {
    /// Appends `records` to `stream` and returns when they are durable: all of them or none. With an idempotency key that
    /// came before with the same records nothing is appended again.
    ///
    /// # Errors
    /// When nothing of it was or will be kept, as far as is known.
    async fn ingest(&self, stream: &str, asked: &Asked, records: Vec<Bytes>) -> Result<Ack, IngestError>;
}

/// What a client says about its records besides the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// What a repetition is known by (`Idempotency-Key`).
    pub idempotency_key: Option<String>,
    /// Requests with the same text go to the same partition (`Weir-Partition-Key`).
    pub partition_key: Option<String>,
}

/// Records are durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Ack {
    /// How many.
    pub accepted: u64,
    /// The partition of the stream that they went to. Nothing for an empty body.
    pub partition: Option<u32>,
    /// The offset of the first of them; the others follow. Nothing for an empty body.
    pub first_offset: Option<u64>,
    /// They had been taken before, with the same key.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repeated: bool,
}

/// Why records were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngestError {
    /// No running pipeline reads this stream.
    #[error("no running pipeline reads the stream \"{stream}\"")]
    UnknownStream {
        /// The stream that was asked for.
        stream: String,
        /// The streams there are.
        known: Vec<String>,
    },
    /// The key came before with other records.
    #[error("{reason}")]
    KeyReused {
        /// Where it came.
        reason: String,
    },
    /// Not now: the disk is full, or the process is stopping.
    #[error("{reason}")]
    Unavailable {
        /// Why, and what to do about it.
        reason: String,
        /// When to ask again.
        retry_after: Duration,
    },
    /// Writing failed, and the log can no longer be trusted.
    #[error("{reason}")]
    Failed {
        /// What failed.
        reason: String,
    },
}

impl From<IngestError> for ApiError {
    fn from(error: IngestError) -> Self {
        let message = error.to_string();
        match error {
            IngestError::UnknownStream { stream, known } => {
                let hint = nearest(&stream, known.iter().map(String::as_str)).unwrap_or_else(|| match known.len() {
                    0 => "run a pipeline with a source like `http: { stream: NAME }`".to_owned(),
                    _ => format!("the streams are {}", known.join(", ")),
                });
                Self::new(StatusCode::NOT_FOUND, "unknown_stream", message).hint(hint)
            }
            IngestError::KeyReused { .. } => Self::new(StatusCode::UNPROCESSABLE_ENTITY, "key_reused", message),
            IngestError::Unavailable { retry_after, .. } => Self::unavailable("unavailable", message, retry_after),
            IngestError::Failed { .. } => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "ingest_failed", message),
        }
    }
}

/// The reasons that metrics know, whatever a client sends.
fn reason(error: &ApiError) -> &'static str {
    match error.status {
        StatusCode::SERVICE_UNAVAILABLE if error.code == SCARCE => "memory",
        StatusCode::BAD_REQUEST => "bad_body",
        StatusCode::NOT_FOUND => "unknown_stream",
        StatusCode::REQUEST_TIMEOUT => "too_slow",
        StatusCode::PAYLOAD_TOO_LARGE => "too_large",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => "unsupported_type",
        StatusCode::UNPROCESSABLE_ENTITY => "key_reused",
        StatusCode::SERVICE_UNAVAILABLE => "unavailable",
        _ => "failed",
    }
}

pub(crate) async fn post(
    State(app): State<Arc<App>>,
    Path(stream): Path<String>,
    request: Request,
) -> ApiResult<Json<Ack>> {
    take(&app, &stream, request).await.inspect_err(|error| app.state.metrics.ingest_refused(reason(error)))
}

async fn take(app: &App, stream: &str, request: Request) -> ApiResult<Json<Ack>> {
    let (head, body) = request.into_parts();
    let asked = Asked {
        idempotency_key: key(&head.headers, "idempotency-key", "an Idempotency-Key")?,
        partition_key: key(&head.headers, "weir-partition-key", "a Weir-Partition-Key")?,
    };
    let received = app.bodies.receive(&head.headers, body, app.limits.body_bytes_max).await?;
    let unpacking = app.unpacking.acquire().await.expect("this semaphore is never closed");
    let (limits, bytes) = (app.limits.body, received.bytes.clone());
    let split = tokio::task::spawn_blocking(move || records(&head.headers, bytes, &limits));
    let (records, bytes) = split.await.map_err(|panic| {
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("reading the body failed: {panic}"))
    })??;
    let _unpacked = app.bodies.unpacked(&received, bytes)?;
    drop(unpacking);
    let ack = app.state.ingest.ingest(stream, &asked, records).await?;
    if !ack.repeated {
        app.state.metrics.ingested(stream, ack.accepted, bytes);
    }
    Ok(Json(ack))
}

/// What the client says that a repetition is known by (draft-ietf-httpapi-idempotency-key-header), or that its partition
/// is chosen by; `what` is what people call it.
fn key(headers: &HeaderMap, name: &str, what: &str) -> ApiResult<Option<String>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= KEY_BYTES_MAX => Ok(Some(key.to_owned())),
        _ => Err(ApiError::bad_request(
            "bad_key",
            format!("{what} is 1 to {KEY_BYTES_MAX} visible ASCII characters, such as a UUID"),
        )),
    }
}

/// The records of a body, and how long they are together.
fn records(
    headers: &HeaderMap,
    body: Bytes,
    limits: &weir_collect::BodyLimits,
) -> Result<(Vec<Bytes>, u64), BodyError> {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let body = decompress(text(header::CONTENT_ENCODING).as_deref(), body, limits)?;
    let records = split_body(text(header::CONTENT_TYPE).as_deref(), body, limits)?;
    let bytes = records.iter().map(|record| record.len() as u64).sum();
    Ok((records, bytes))
}
