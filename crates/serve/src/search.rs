//! `POST /api/v1/search` and `GET /api/v1/search/complete`: the short language of searches, answered like SQL, and what
//! could be written next. What a search means is decided in `query`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::Uri;
use axum::response::Response;
use serde::Deserialize;
use weir_observe::QuerySource;
use weir_query::logs::StagedSearch;
use weir_query::{Completion, Search};

use crate::app::App;
use crate::error::ApiResult;
use crate::input::{json, params};
use crate::logs::micros;
use crate::sql::{BODY_BYTES_MAX, Counted, answer, options, wanted};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    table: String,
    #[serde(default)]
    search: String,
    from: Option<String>,
    to: Option<String>,
    limit: Option<u64>,
}

pub(crate) async fn post(State(app): State<Arc<App>>, request: Request) -> ApiResult<Response> {
    let (head, body) = request.into_parts();
    let format = wanted(&params(&head.uri)?, &head.headers)?;
    let received = app.bodies.receive(&head.headers, body, BODY_BYTES_MAX).await?;
    let asked: Asked = json(&received.bytes)?;
    let options = options(format, asked.limit)?;
    let search = StagedSearch {
        search: Search::parse(&asked.search)?,
        from: micros("from", asked.from.as_deref())?,
        to: micros("to", asked.to.as_deref())?,
        table: asked.table,
    };
    let counted = Counted::new(&app, QuerySource::Search);
    answer(app.state.queries.search(&search, options).await, format, counted).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unfinished {
    table: String,
    search: String,
    /// The cursor stands behind so many characters; without it, at the end.
    cursor: Option<usize>,
}

pub(crate) async fn complete(State(app): State<Arc<App>>, uri: Uri) -> ApiResult<Json<Completion>> {
    let asked: Unfinished = params(&uri)?;
    let cursor = asked.cursor.unwrap_or(usize::MAX);
    Ok(Json(app.state.queries.complete_search(&asked.table, &asked.search, cursor).await?))
}
