//! `GET /api/v1/pipelines`: what every pipeline is doing. It starts and stops none.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use weir_observe::PipelineStatus;

use crate::app::App;

#[derive(Serialize)]
pub(crate) struct Pipelines {
    pipelines: Vec<PipelineStatus>,
}

pub(crate) async fn get(State(app): State<Arc<App>>) -> Json<Pipelines> {
    Json(Pipelines { pipelines: app.state.board.statuses(app.state.clock.now()) })
}
