//! `POST /api/v1/dead-letters/replay` and `/purge`: dead letters are given to their pipeline again, or deleted. Listing them
//! is a question in SQL.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use weir_model::{ErrorKind, SeamError, SeamResult};

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::input::json;

/// The longest body: some ten thousand ids.
const BODY_BYTES_MAX: usize = 512 << 10;

/// Which dead letters are meant: those to which everything applies that is said; without anything all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ChosenLetters {
    /// The table that they are in; `dead_letters` where none is named.
    pub table: Option<String>,
    /// These.
    pub ids: Vec<String>,
    /// Those of this pipeline.
    pub pipeline: Option<String>,
    /// Those of this source.
    pub source: Option<String>,
    /// Those whose reason contains this, in any case.
    pub reason: Option<String>,
    /// Those that were rejected at or after this time (RFC 3339).
    pub from: Option<String>,
    /// Those that were rejected before this time (RFC 3339).
    pub to: Option<String>,
}

/// What became of letters that were to be given again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replayed {
    /// How many are given to their pipeline again; they are no dead letters any more.
    pub replayed: u64,
    /// How many cannot be and stay, with the reason.
    pub kept: Vec<(String, u64)>,
}

/// How many letters were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purged {
    /// That many.
    pub purged: u64,
}

/// What keeps dead letters.
#[async_trait]
pub trait DeadLetters: Send + Sync {
    /// Gives the chosen letters to their pipelines again, each once, however often this is called.
    ///
    /// # Errors
    /// `Config` when the choice makes no sense; else as the disk says.
    async fn replay(&self, chosen: ChosenLetters) -> SeamResult<Replayed>;

    /// Deletes the chosen letters.
    ///
    /// # Errors
    /// As [`DeadLetters::replay`].
    async fn purge(&self, chosen: ChosenLetters) -> SeamResult<Purged>;
}

fn failed(error: SeamError) -> ApiError {
    match error.kind {
        ErrorKind::Config => ApiError::bad_request("bad_choice", error.full()),
        ErrorKind::Retry => ApiError::unavailable("busy", error.full(), std::time::Duration::from_secs(5)),
        ErrorKind::Unknown | ErrorKind::Corrupt | ErrorKind::Closed => {
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.full())
        }
    }
}

async fn chosen(app: &App, request: Request) -> ApiResult<ChosenLetters> {
    let (parts, body) = request.into_parts();
    let body = app.bodies.receive(&parts.headers, body, BODY_BYTES_MAX).await?;
    json(&body.bytes)
}

pub(crate) async fn replay(State(app): State<Arc<App>>, request: Request) -> ApiResult<Json<Replayed>> {
    let chosen = chosen(&app, request).await?;
    app.state.dead_letters.replay(chosen).await.map(Json).map_err(failed)
}

pub(crate) async fn purge(State(app): State<Arc<App>>, request: Request) -> ApiResult<Json<Purged>> {
    let chosen = chosen(&app, request).await?;
    app.state.dead_letters.purge(chosen).await.map(Json).map_err(failed)
}
