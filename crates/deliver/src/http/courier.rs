//! Makes requests and finds out what became of their rows. Refuses to remember what it sent.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Client, Method, Response};
use weir_model::{Epoch, ErrorKind, RejectedRow, SeamError, SeamResult};

use super::answer::{Verdict, verdict};
use super::body::Chunk;
use super::config::{HttpFormat, HttpMethod, HttpOutput};

/// The header that tells one request from another, whenever it is sent. Source: draft-ietf-httpapi-idempotency-key-header.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// How much of an answer is kept as a reason.
const REASON_BYTES_MAX: usize = 1024;

/// Sends chunks of rows to one endpoint.
pub(super) struct Courier {
    config: HttpOutput,
    /// The pipeline and the output, by which the other side knows who sends.
    name: String,
    client: Client,
    headers: HeaderMap,
}

impl Courier {
    /// # Errors
    /// `Config` when a setting is not right.
    pub(super) fn new(sender: String, config: &HttpOutput) -> SeamResult<Self> {
        if let Some((key, message)) = config.problems().into_iter().next() {
            return Err(SeamError::new(ErrorKind::Config, format!("{key}: {message}")));
        }
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(config.timeout.std())
            .user_agent(concat!("weir/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| SeamError::caused(ErrorKind::Config, "the HTTP client cannot be made", error))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("it was just checked");
            let mut value = HeaderValue::from_str(value.expose()).expect("it was just checked");
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(Self { config: config.clone(), name: sender, client, headers })
    }

    /// Sends one chunk, or finds out which of its rows are not taken.
    ///
    /// # Errors
    /// `Retry` when nothing of it is known to be taken.
    pub(super) async fn send(&self, id: &str, epoch: Epoch, chunk: Chunk<'_>) -> SeamResult<Vec<RejectedRow>> {
        // What is still to be sent, the next one last.
        let (mut open, mut rejected) = (vec![chunk], Vec::new());
        while let Some(chunk) = open.pop() {
            let answer = self.request(id, epoch, chunk).await?;
            let status = answer.status();
            let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
            match verdict(status, retry_after, unix_seconds()) {
                Verdict::Delivered => {}
                Verdict::Again(pause) => {
                    let hint =
                        if status.is_redirection() { "; redirects are not followed: name the right url" } else { "" };
                    let message =
                        format!("{} answers {status}{hint}: {}", self.config.url_shown(), reason(answer).await);
                    let error = SeamError::new(ErrorKind::Retry, message);
                    return Err(match pause {
                        Some(pause) => error.after(pause),
                        None => error,
                    });
                }
                Verdict::SomeRejected if chunk.rows > 1 => {
                    let [left, right] = chunk.halves().expect("there is more than one row");
                    open.extend([right, left]);
                }
                Verdict::SomeRejected | Verdict::AllRejected => {
                    let reason = format!("{status}: {}", reason(answer).await);
                    rejected.extend(chunk.each().map(|(row, payload)| RejectedRow {
                        row,
                        payload: Bytes::copy_from_slice(payload),
                        reason: reason.clone(),
                    }));
                }
            }
        }
        rejected.sort_by_key(|row| row.row);
        Ok(rejected)
    }

    async fn request(&self, id: &str, epoch: Epoch, chunk: Chunk<'_>) -> SeamResult<Response> {
        let method = match self.config.method {
            HttpMethod::Post => Method::POST,
            HttpMethod::Put => Method::PUT,
            HttpMethod::Patch => Method::PATCH,
        };
        let kind = match self.config.format {
            HttpFormat::Ndjson => "application/x-ndjson",
            HttpFormat::Json => "application/json",
        };
        // Other limits of a batch make other chunks, and those must have other keys.
        let key = format!("{}/{epoch}/{}-{}/{}", self.name, chunk.first, chunk.rows, id);
        let request = self
            .client
            .request(method, &self.config.url)
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, kind)
            .header(IDEMPOTENCY_KEY, key)
            .body(chunk.body(self.config.format));
        request.send().await.map_err(|error| {
            let doing = format!("{} gives no answer", self.config.url_shown());
            // The URL may hold a secret in its query.
            SeamError::caused(ErrorKind::Retry, doing, error.without_url())
        })
    }
}

/// The beginning of an answer, on one line, as a reason.
async fn reason(mut answer: Response) -> String {
    let mut body = Vec::new();
    while let Ok(Some(piece)) = answer.chunk().await {
        body.extend_from_slice(&piece);
        if body.len() >= REASON_BYTES_MAX {
            body.truncate(REASON_BYTES_MAX);
            break;
        }
    }
    let text = String::from_utf8_lossy(&body).split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() { "no reason given".to_owned() } else { text }
}

fn unix_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
