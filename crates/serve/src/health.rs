//! `GET /health/{live,ready,startup}`: 200 or 503, with reasons.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use weir_observe::HealthReport;

use crate::app::App;

fn answer(report: HealthReport) -> Response {
    let status = if report.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

pub(crate) async fn live(State(app): State<Arc<App>>) -> Response {
    answer(app.state.health.live(app.state.clock.now()))
}

pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    answer(app.state.health.ready())
}

pub(crate) async fn startup(State(app): State<Arc<App>>) -> Response {
    answer(app.state.health.startup())
}
