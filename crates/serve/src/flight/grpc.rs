//! gRPC as far as answering needs it: requests that are read whole, answers that may stream, and how a call ends
//! (gRPC over HTTP/2, github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). It knows nothing of Flight, and unpacks no
//! compressed messages.

use std::convert::Infallible;
use std::fmt::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header, request};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures::{Stream, StreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use prost::Message;
use tokio::sync::mpsc;
use weir_observe::Metrics;

use crate::body::{Bodies, Received};
use crate::error::ApiError;

/// Before each message: whether it is compressed, and how long it is.
const PREFIX_BYTES: usize = 5;
/// Frames of an answer that wait for the client.
const FRAMES_AHEAD: usize = 1;
const CONTENT_TYPE: &str = "application/grpc";
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// How a call ends, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Ok = 0,
    Cancelled = 1,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    DataLoss = 15,
}

/// Why a call fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    pub(super) fn unimplemented(message: impl Into<String>) -> Self {
        Self::new(Code::Unimplemented, message)
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let code = match error.status {
            StatusCode::PAYLOAD_TOO_LARGE => Code::ResourceExhausted,
            StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            StatusCode::REQUEST_TIMEOUT => Code::DeadlineExceeded,
            status if status.is_server_error() => Code::Internal,
            _ => Code::InvalidArgument,
        };
        Self::new(code, error.message)
    }
}

/// The messages of an answer, each with its prefix.
pub(super) type Messages = Pin<Box<dyn Stream<Item = Result<Bytes, Failure>> + Send>>;

/// A message with its prefix.
pub(super) fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX_BYTES + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).expect("answers are sent in pieces of a few megabytes"));
    message.encode(&mut frame).expect("the buffer has room for it");
    frame.freeze()
}

/// An answer of messages that are there.
pub(super) fn all(messages: Vec<Bytes>) -> Messages {
    Box::pin(stream::iter(messages.into_iter().map(Ok)))
}

/// Whether a request speaks gRPC at all; if not, what it is told.
pub(super) fn check(head: &request::Parts) -> Result<(), Box<Response<Body>>> {
    let plain = |status: StatusCode| {
        let mut response = Response::new(Body::from("this port speaks gRPC: Arrow Flight SQL\n"));
        *response.status_mut() = status;
        Box::new(response)
    };
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with(CONTENT_TYPE) {
        return Err(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }
    if head.method != Method::POST {
        return Err(plain(StatusCode::METHOD_NOT_ALLOWED));
    }
    Ok(())
}

/// All messages of a request, and the room that they take.
pub(super) async fn receive(
    bodies: &Bodies,
    headers: &HeaderMap,
    body: Body,
    bytes_max: usize,
) -> Result<(Vec<Bytes>, Received), Failure> {
    let received = bodies.receive(headers, body, bytes_max).await?;
    Ok((split(received.bytes.clone())?, received))
}

fn split(mut bytes: Bytes) -> Result<Vec<Bytes>, Failure> {
    let mut messages = Vec::new();
    while !bytes.is_empty() {
        if bytes.len() < PREFIX_BYTES {
            return Err(Failure::invalid("the request ends inside of a message"));
        }
        let (compressed, length) = (bytes.get_u8() != 0, bytes.get_u32() as usize);
        if compressed {
            return Err(Failure::unimplemented("compressed messages are not read here; send them as they are"));
        }
        if length > bytes.len() {
            let message = format!("a message of {length} bytes is announced, and {} follow", bytes.len());
            return Err(Failure::invalid(message));
        }
        messages.push(bytes.split_to(length));
    }
    Ok(messages)
}

/// The answer that is nothing but a failure.
pub(super) fn refused(failure: &Failure) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.headers_mut() = trailers(failure.code, &failure.message);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    response
}

/// The answer with these messages, during which `keep` is kept. HTTP/2 asks for more only when the client has room for
/// it, which a client could withhold for ever; so a task of its own makes the messages and gives up after `stall_max`.
pub(super) fn answer(
    messages: Messages,
    stall_max: Duration,
    metrics: &Arc<Metrics>,
    keep: impl Send + 'static,
) -> Response<Body> {
    let (sender, frames) = mpsc::channel(FRAMES_AHEAD);
    tokio::spawn(send(messages, sender, stall_max, Arc::clone(metrics)));
    let frames = stream::unfold((frames, keep), async |(mut frames, keep)| {
        let frame = frames.recv().await?;
        Some((Ok::<_, Infallible>(frame), (frames, keep)))
    });
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    response
}

async fn send(mut messages: Messages, sender: mpsc::Sender<Frame<Bytes>>, stall_max: Duration, metrics: Arc<Metrics>) {
    loop {
        let next = tokio::select! {
            biased;
            // Whoever asked has gone or does not want it any more: what is computed ends with `messages`.
            () = sender.closed() => return,
            next = messages.next() => next,
        };
        let is_last = !matches!(next, Some(Ok(_)));
        let frame = match next {
            Some(Ok(message)) => Frame::data(message),
            Some(Err(failure)) => Frame::trailers(trailers(failure.code, &failure.message)),
            None => Frame::trailers(trailers(Code::Ok, "")),
        };
        match tokio::time::timeout(stall_max, sender.send(frame)).await {
            Ok(Ok(())) if !is_last => {}
            Ok(_) => return,
            Err(_) => return metrics.refused("write_stall"),
        }
    }
}

fn trailers(code: Code, message: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(STATUS, HeaderValue::from(code as u16));
    if !message.is_empty() {
        let escaped = HeaderValue::from_str(&escaped(message)).expect("only printable ASCII is left");
        headers.insert(MESSAGE, escaped);
    }
    headers
}

/// A text as it stands in a header: bytes that are not printable ASCII, and `%`, as `%` and two digits.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => escaped.push(char::from(byte)),
            other => write!(escaped, "%{other:02X}").expect("a text takes everything"),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_cut_where_they_say_and_a_lie_about_a_length_is_told() {
        let two = Bytes::from_static(b"\0\0\0\0\x02ab\0\0\0\0\0");
        assert_eq!(split(two).expect("two messages"), ["ab", ""]);
        let refused = |bytes: &'static [u8]| split(Bytes::from_static(bytes)).expect_err("it is wrong").message;
        assert_eq!(refused(b"\0\xff\xff\xff\xffab"), "a message of 4294967295 bytes is announced, and 2 follow");
        assert_eq!(refused(b"\0\0\0"), "the request ends inside of a message");
        assert!(refused(b"\x01\0\0\0\x01a").contains("compressed"));
    }

    #[test]
    fn any_text_can_stand_in_a_trailer() {
        assert_eq!(escaped("no \"é\"\n 100%"), "no \"%C3%A9\"%0A 100%25");
        let told = trailers(Code::NotFound, "naïve");
        assert_eq!(told["grpc-status"], "5");
        assert_eq!(told["grpc-message"], "na%C3%AFve");
    }
}
