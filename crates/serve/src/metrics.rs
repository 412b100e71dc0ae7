//! `GET /metrics`: Prometheus text, or OpenMetrics for those who ask.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use weir_observe::TextFormat;

use crate::app::App;

pub(crate) async fn get(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).map(|accept| String::from_utf8_lossy(accept.as_bytes()));
    let format = TextFormat::accepted(accept.as_deref().unwrap_or_default());
    ([(header::CONTENT_TYPE, format.content_type())], app.state.metrics.encode(format)).into_response()
}
