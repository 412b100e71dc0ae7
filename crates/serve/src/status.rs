//! `GET /api/v1/status`: which Weir this is, since when, and where its data is.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use crate::app::App;

#[derive(Serialize)]
pub(crate) struct Status {
    version: String,
    started_at: String,
    uptime_s: f64,
    data: String,
}

pub(crate) async fn get(State(app): State<Arc<App>>) -> Json<Status> {
    let state = &app.state;
    Json(Status {
        version: state.version.clone(),
        started_at: app.started_at.to_string(),
        uptime_s: (state.clock.now() - app.started_at).micros() as f64 / 1e6,
        data: state.data_folder.display().to_string(),
    })
}
