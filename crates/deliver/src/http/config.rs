//! What a pipeline file says about an HTTP endpoint as an output. Refuses to reach out.

use std::collections::BTreeMap;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_model::{ByteSize, DurationText, Secret};

/// The most rows of one request.
const BATCH_ROWS_MAX: u32 = 100_000;
/// The longest body of one request.
const BATCH_BYTES_MAX: ByteSize = ByteSize(64 << 20);
/// Headers that Weir answers for.
const OUR_HEADERS: [&str; 5] = ["content-length", "content-type", "host", "idempotency-key", "transfer-encoding"];

/// An HTTP endpoint (a webhook), at least once: the rows of an epoch are sent after its commit, in order, as one request per
/// batch. A batch that is sent again, also after a crash, has the same `Idempotency-Key` header and its rows the same
/// `row_id`, so that the other side can tell. Every row has a `row_id`; those of windows have it from the window.
///
/// What the other side answers decides: 2xx: delivered. 408, 425, 429, 5xx, no answer: tried again, not before `Retry-After`.
/// 401, 403 and redirects, which are not followed: tried again after a longer pause, since somebody has to put it right.
/// 400, 413 and 422: the batch is halved until the rows that are not taken are found; they go to the dead letters with
/// the answer. Other 4xx: so do all rows of the batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpOutput {
    /// Where to, `http://` or `https://`.
    #[schemars(extend("examples" = ["https://hooks.example.com/weir"]))]
    pub url: String,
    /// How.
    #[serde(default)]
    pub method: HttpMethod,
    /// Headers of every request; their values are never shown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("examples" = [{ "Authorization": "Bearer ${env:HOOK_TOKEN}" }], "x-map-of" = "text"))]
    pub headers: BTreeMap<String, Secret>,
    /// How the rows of a batch become a body.
    #[serde(default)]
    pub format: HttpFormat,
    /// How much goes into one request.
    #[serde(default)]
    pub batch: HttpBatch,
    /// How long one request may take, from connecting to the end of the answer.
    #[serde(default = "default_timeout")]
    pub timeout: DurationText,
}

/// How much goes into one request: it ends where either limit would be passed. One row alone may be longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HttpBatch {
    /// The most rows, 1 to 100000.
    #[schemars(range(min = 1, max = 100_000))]
    pub rows: u32,
    /// The longest body, up to 64MiB.
    pub bytes: ByteSize,
}

impl Default for HttpBatch {
    fn default() -> Self {
        Self { rows: 500, bytes: ByteSize(1 << 20) }
    }
}

/// How a request is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpMethod {
    /// `POST`.
    #[default]
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
}

/// How rows become a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HttpFormat {
    /// A JSON object per line, `application/x-ndjson`.
    #[default]
    Ndjson,
    /// A JSON array of objects, `application/json`.
    Json,
}

fn default_timeout() -> DurationText {
    DurationText::secs(30)
}

impl HttpOutput {
    /// This URL, everything else as by default.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            method: HttpMethod::default(),
            headers: BTreeMap::new(),
            format: HttpFormat::default(),
            batch: HttpBatch::default(),
            timeout: default_timeout(),
        }
    }

    /// With a header more in every request.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.insert(name.into(), Secret::new(value));
        self
    }

    /// The URL without its query, which may hold a secret.
    pub(super) fn url_shown(&self) -> &str {
        self.url.split(['?', '#']).next().unwrap_or_default()
    }

    /// The host, without dots; a name for the output.
    pub(crate) fn host(&self) -> Option<String> {
        Url::parse(&self.url).ok()?.host_str().map(|host| host.replace('.', "_"))
    }

    /// What makes no sense: the key below `http` it is about, and what is wrong. Nothing is sent.
    pub fn problems(&self) -> Vec<(String, String)> {
        let mut problems = Vec::new();
        let mut problem = |key: &str, message: String| problems.push((key.to_owned(), message));
        match Url::parse(&self.url) {
            // What cannot be read may hold a secret, so it is not shown.
            Err(error) => problem("url", format!("it is not a URL: {error}")),
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                problem("url", format!("it begins with `{}:`; it has to begin with http:// or https://", url.scheme()));
            }
            Ok(url) if !url.username().is_empty() || url.password().is_some() => {
                problem("url", "a name and a password belong into the header Authorization".to_owned());
            }
            Ok(_) => {}
        }
        for (name, value) in &self.headers {
            let key = format!("headers.{name}");
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                problem(&key, format!("`{name}` cannot be the name of a header"));
            } else if OUR_HEADERS.contains(&name.to_ascii_lowercase().as_str()) {
                problem(&key, format!("the header `{name}` is Weir's own"));
            } else if HeaderValue::from_str(value.expose()).is_err() {
                problem(&key, format!("the value of `{name}` has characters that a header cannot have"));
            }
        }
        if !(1..=BATCH_ROWS_MAX).contains(&self.batch.rows) {
            problem("batch.rows", format!("{} rows: it has to be 1 to {BATCH_ROWS_MAX}", self.batch.rows));
        }
        if self.batch.bytes == ByteSize(0) || self.batch.bytes > BATCH_BYTES_MAX {
            problem("batch.bytes", format!("{}: it has to be 1B to {BATCH_BYTES_MAX}", self.batch.bytes));
        }
        if self.timeout <= DurationText::millis(0) {
            problem("timeout", "a request needs some time".to_owned());
        }
        problems
    }
}
