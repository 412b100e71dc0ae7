//! `POST /api/v1/tables/{table}/delete`: rows for which a condition is true go, for good. Only for those who may read the data
//! folder: they know the word in it. Counting such rows first is a question, which everybody may ask.

use std::sync::Arc;

use async_trait::async_trait;
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use weir_query::QueryError;

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::input::json;

/// The longest body: the condition may be as long as a question.
const BODY_BYTES_MAX: usize = 512 << 10;

/// The file in the data folder that holds the word.
pub const TOKEN_FILE: &str = "api.token";

/// Which rows of a table are meant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChosenRows {
    /// What must be true of them, in SQL.
    pub r#where: String,
    /// Only counts them.
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeletedRows {
    /// How many went.
    pub deleted: u64,
    /// How many such rows there are now: of a dry run those that would go, else those that came meanwhile, and those of the
    /// last moment that are not committed yet.
    pub left: u64,
}

/// What takes rows out of tables.
#[async_trait]
pub trait Deletions: Send + Sync {
    /// Takes the chosen rows out of `table`, all at once; a crash leaves all or none of them.
    ///
    /// # Errors
    /// As a question with that condition.
    async fn delete(&self, table: &str, chosen: ChosenRows) -> Result<DeletedRows, QueryError>;
}

pub(crate) async fn post(
    State(app): State<Arc<App>>,
    Path(table): Path<String>,
    request: Request,
) -> ApiResult<Json<DeletedRows>> {
    let (parts, body) = request.into_parts();
    let body = app.bodies.receive(&parts.headers, body, BODY_BYTES_MAX).await?;
    let chosen: ChosenRows = json(&body.bytes)?;
    if !chosen.dry_run {
        may_write(&app, &parts.headers)?;
    }
    Ok(Json(app.state.deletions.delete(&table, chosen).await?))
}

/// Whether whoever asks knows the word.
fn may_write(app: &App, headers: &HeaderMap) -> ApiResult<()> {
    let hint = format!("send `Authorization: Bearer WORD`; the word is in the file {TOKEN_FILE} of the data folder");
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let Some(given) = given.and_then(|value| value.strip_prefix("Bearer ")) else {
        let message = "whoever deletes rows must show that they may";
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "unauthorized", message).hint(hint));
    };
    match &app.state.token {
        Some(token) if is_same(given.trim().as_bytes(), token.as_bytes()) => Ok(()),
        Some(_) | None => {
            Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden", "this is not the word of this Weir").hint(hint))
        }
    }
}

/// Compares all of it, however early it differs: how long it takes tells nothing.
fn is_same(given: &[u8], right: &[u8]) -> bool {
    given.len() == right.len() && given.iter().zip(right).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}
