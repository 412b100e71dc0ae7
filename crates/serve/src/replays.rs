//! `POST /api/v1/replays/swap`: what a replay found takes the place of what is shown, or goes again. Making one is the
//! business of `weir replay`, in a process of its own.

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

/// The longest body.
const BODY_BYTES_MAX: usize = 4 << 10;

/// Which replay is exchanged, and which way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplaySwap {
    /// The pipeline.
    pub pipeline: String,
    /// The replay, which must be the last of its pipeline.
    pub id: String,
    /// `in`, or `out` to take it back.
    pub way: String,
}

/// What was exchanged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplaySwapped {
    /// The replay.
    pub id: String,
    /// The tables that have changed.
    pub tables: Vec<SwappedTable>,
}

/// What was exchanged in a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwappedTable {
    /// Its name.
    pub table: String,
    /// Rows that are not shown any more.
    pub gone: u64,
    /// Rows that are shown now.
    pub come: u64,
}

/// What keeps replays.
#[async_trait]
pub trait Replays: Send + Sync {
    /// Exchanges rows in all tables at once: whoever asks sees all of it or nothing of it.
    ///
    /// # Errors
    /// `Config` when there is no such replay, it cannot be exchanged, or was already; nothing has changed then.
    async fn swap(&self, asked: ReplaySwap) -> SeamResult<ReplaySwapped>;
}

pub(crate) async fn swap(State(app): State<Arc<App>>, request: Request) -> ApiResult<Json<ReplaySwapped>> {
    let (parts, body) = request.into_parts();
    let body = app.bodies.receive(&parts.headers, body, BODY_BYTES_MAX).await?;
    let asked = json(&body.bytes)?;
    app.state.replays.swap(asked).await.map(Json).map_err(failed)
}

fn failed(error: SeamError) -> ApiError {
    match error.kind {
        ErrorKind::Config => ApiError::bad_request("cannot_swap", error.full()),
        ErrorKind::Retry => ApiError::unavailable("busy", error.full(), std::time::Duration::from_secs(5)),
        ErrorKind::Unknown | ErrorKind::Corrupt | ErrorKind::Closed => {
            ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", error.full())
        }
    }
}
