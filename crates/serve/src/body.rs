//! Reading the body of a request into memory: bounded for each one, for all together, and in time.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use weir_model::{Pressure, PressureLevel};

use crate::Limits;
use crate::connection::{Interrupted, impatient};
use crate::error::{ApiError, ApiResult};

/// The memory for bodies, shared by all requests.
#[derive(Clone, Debug)]
pub(crate) struct Bodies {
    room: Arc<Semaphore>,
    limits: Arc<Limits>,
    pressure: Pressure,
}

/// A body in memory, and the room it takes until it is dropped.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    _room: Vec<OwnedSemaphorePermit>,
}

/// The code of the error that says that there is no memory.
pub(crate) const SCARCE: &str = "memory";
/// When a body may be sent again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Room is counted in pieces of this size, so that the count fits a semaphore.
const PIECE_BYTES: usize = 1 << 10;

impl Bodies {
    /// None is received while `pressure` is critical.
    pub(crate) fn new(limits: Arc<Limits>, pressure: Pressure) -> Self {
        Self { room: Arc::new(Semaphore::new(limits.bodies_bytes_max / PIECE_BYTES)), limits, pressure }
    }

    /// Receives a body of at most `bytes_max` bytes.
    pub(crate) async fn receive(&self, headers: &HeaderMap, body: Body, bytes_max: usize) -> ApiResult<Received> {
        let too_large = || {
            let message = format!("the body is longer than {bytes_max} bytes; send it in several requests");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message)
        };
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > bytes_max) {
            return Err(too_large());
        }
        let mut chunks = std::pin::pin!(impatient(body, self.limits.body_idle_max));
        if self.pressure.level() == PressureLevel::Critical {
            // Who is answered in the middle of a body may never read the answer: it is read, and dropped.
            let mut dropped = 0;
            while let Some(Ok(chunk)) = chunks.next().await {
                dropped += chunk.len();
                if dropped > bytes_max {
                    return Err(too_large());
                }
            }
            return Err(self.scarce());
        }
        let (mut bytes, mut room, mut room_bytes) = (BytesMut::new(), Vec::new(), 0);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|why| self.interrupted(why))?;
            if bytes.len() + chunk.len() > bytes_max {
                return Err(too_large());
            }
            if room_bytes < bytes.len() + chunk.len() {
                let step = (bytes.len() + chunk.len() - room_bytes).div_ceil(PIECE_BYTES);
                room.push(self.take(step)?);
                room_bytes += step * PIECE_BYTES;
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Received { bytes: bytes.freeze(), _room: room })
    }

    /// Room for what a body of `received` has become that has `unpacked` bytes, until it is dropped.
    pub(crate) fn unpacked(&self, received: &Received, unpacked: u64) -> ApiResult<Option<OwnedSemaphorePermit>> {
        let more = usize::try_from(unpacked).unwrap_or(usize::MAX).saturating_sub(received.bytes.len());
        if more == 0 { Ok(None) } else { self.take(more.div_ceil(PIECE_BYTES)).map(Some) }
    }

    fn take(&self, pieces: usize) -> ApiResult<OwnedSemaphorePermit> {
        let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
        Arc::clone(&self.room).try_acquire_many_owned(pieces).map_err(|_| {
            let message = "too many bodies are being received at once; try again in a moment";
            ApiError::unavailable("busy", message, RETRY_AFTER)
        })
    }

    /// There is no memory for anything new.
    fn scarce(&self) -> ApiError {
        let error = ApiError::unavailable(SCARCE, format!("nothing is received: {}", self.pressure), RETRY_AFTER);
        error.hint("send it again in a moment, or give the process more memory (--memory)")
    }

    fn interrupted(&self, why: Interrupted) -> ApiError {
        match why {
            Interrupted::TooSlow => {
                let message = format!("nothing of the body came for {} s", self.limits.body_idle_max.as_secs_f32());
                ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", message)
            }
            Interrupted::Broken => ApiError::bad_request("broken_body", "the body broke off before its end"),
        }
    }
}
