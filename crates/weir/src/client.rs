//! Talks to a Weir that is up on this machine. One request per connection; it follows no redirects and knows no TLS.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::exit::Failure;

/// The largest error answer that is read.
const ERROR_BYTES_MAX: usize = 64 << 10;

/// An instance that serves HTTP at `address`.
#[derive(Clone, Debug)]
pub struct Client {
    address: String,
    /// The word of those who change tables.
    token: Option<String>,
}

impl Client {
    /// A client of the instance at `address`, such as `127.0.0.1:7280`.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), token: None }
    }

    /// Shows the instance that it may change tables.
    #[must_use]
    pub fn with_token(self, token: String) -> Self {
        Self { token: Some(token), ..self }
    }

    /// Sends a GET request and returns the answer if it is a success.
    ///
    /// # Errors
    /// When nobody answers, or with the message of an error answer.
    pub async fn get(&self, path: &str) -> Result<Response<Incoming>, Failure> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// Sends `body` as JSON and returns the answer if it is a success.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post_json(&self, path: &str, body: &serde_json::Value) -> Result<Response<Incoming>, Failure> {
        self.send(Method::POST, path, Bytes::from(body.to_string())).await
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Failure> {
        let failed = |error: &dyn std::fmt::Display| Failure::run(format!("http://{}{path}: {error}", self.address));
        let stream = TcpStream::connect(&self.address).await.map_err(|error| failed(&error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        // The connection ends with the answer's body; an error in it shows there.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.address)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "*/*");
        let request = match &self.token {
            Some(token) => request.header(AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        };
        let request = request.body(Full::new(body)).map_err(|error| failed(&error))?;
        let response = sender.send_request(request).await.map_err(|error| failed(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        Err(failed(&error_message(response).await.unwrap_or_else(|| status.to_string())))
    }
}

/// The message inside an error answer, `{"error":{"message":...,"hint":...}}`.
async fn error_message(response: Response<Incoming>) -> Option<String> {
    let body = http_body_util::Limited::new(response.into_body(), ERROR_BYTES_MAX).collect().await.ok()?.to_bytes();
    let answer: serde_json::Value = serde_json::from_slice(&body).ok()?;
    let error = answer.get("error")?;
    let message = error.get("message")?.as_str()?.to_owned();
    Some(match error.get("hint").and_then(serde_json::Value::as_str) {
        Some(hint) => format!("{message} ({hint})"),
        None => message,
    })
}
