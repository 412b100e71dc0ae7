//! Talks to a Weir that is up on this machine. One request per connection; it follows no redirects and knows no TLS.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use weir_disk::DataFolder;

use crate::exit::Failure;

/// The largest error answer that is read.
const ERROR_BYTES_MAX: usize = 64 << 10;
/// The longest answer that is read as a whole.
const ANSWER_BYTES_MAX: usize = 16 << 20;

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

    /// The instance that is up on the data folder `data`, if one is and serves HTTP.
    ///
    /// # Errors
    /// When it cannot be told who has the folder.
    pub fn of(data: &Path) -> Result<Option<Self>, Failure> {
        let address = DataFolder::peek(data)?.and_then(|occupant| occupant.http);
        Ok(address.map(|address| Self::new(address.to_string())))
    }

    /// Where it is, such as `127.0.0.1:7280`.
    pub fn address(&self) -> &str {
        &self.address
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

    /// The whole answer to a GET request.
    ///
    /// # Errors
    /// As [`Client::get`]; when the answer is too long or is something else.
    pub async fn fetch<A: DeserializeOwned>(&self, path: &str) -> Result<A, Failure> {
        whole(self.get(path).await?).await
    }

    /// The whole answer to `question`.
    ///
    /// # Errors
    /// As [`Client::fetch`].
    pub async fn ask<A: DeserializeOwned>(&self, path: &str, question: &impl Serialize) -> Result<A, Failure> {
        let question = serde_json::to_value(question).map_err(|error| Failure::run(error.to_string()))?;
        whole(self.post_json(path, &question).await?).await
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

async fn whole<A: DeserializeOwned>(answer: Response<Incoming>) -> Result<A, Failure> {
    let broken = |error: &dyn std::fmt::Display| Failure::run(format!("the answer cannot be read: {error}"));
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|error| broken(&error))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| broken(&error))
}

/// `text` as a part of a path or query: everything but letters, digits and `-_.~` is percent-encoded (RFC 3986, 2.3).
pub fn escape(text: &str) -> String {
    let escaped = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    escaped.collect()
}

/// The message inside an error answer, `{"error":{"message":...,"hint":...}}`.
async fn error_message(response: Response<Incoming>) -> Option<String> {
    let body = Limited::new(response.into_body(), ERROR_BYTES_MAX).collect().await.ok()?.to_bytes();
    let answer: serde_json::Value = serde_json::from_slice(&body).ok()?;
    let error = answer.get("error")?;
    let message = error.get("message")?.as_str()?.to_owned();
    Some(match error.get("hint").and_then(serde_json::Value::as_str) {
        Some(hint) => format!("{message} ({hint})"),
        None => message,
    })
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn names_and_queries_are_escaped() {
        assert_eq!(escape("a b&c=ü/d-e_f.g~"), "a%20b%26c%3D%C3%BC%2Fd-e_f.g~");
    }
}
