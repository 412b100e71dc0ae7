//! The routes, and what happens to every request on its way to one: it gets an id, is checked, timed, counted, and its
//! answer gets the headers that every answer has. What an answer says is the business of the resources.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::sync::{Semaphore, watch};
use weir_model::{Clock, ProcessingTime};
use weir_observe::{Health, Metrics, PipelineBoard};
use weir_query::{QueryEngine, Snapshot};

use crate::body::Bodies;
use crate::error::{ApiError, ApiResult, ErrorCode, nearest};
use crate::guard::Guard;
use crate::{
    DeadLetters, Deletions, Ingest, Limits, Replays, dead_letters, deletions, health, ingest, logs, metrics, page,
    pipelines, replays, scan, search, sql, status, tables, tail,
};

/// What the resources answer from.
#[derive(Clone)]
pub struct AppState {
    /// What the pipelines are doing.
    pub board: Arc<PipelineBoard>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What the probes answer.
    pub health: Arc<Health>,
    /// Where records go that come in.
    pub ingest: Arc<dyn Ingest>,
    /// What keeps dead letters.
    pub dead_letters: Arc<dyn DeadLetters>,
    /// What takes rows out of tables.
    pub deletions: Arc<dyn Deletions>,
    /// What those must know who change tables; `None` where nobody may.
    pub token: Option<String>,
    /// What keeps replays.
    pub replays: Arc<dyn Replays>,
    /// What answers questions about the tables.
    pub queries: Arc<QueryEngine>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where the data is, as people are shown it.
    pub data_folder: PathBuf,
    /// Which Weir this is.
    pub version: String,
}

/// The state of the server: what it was given, and its own.
pub(crate) struct App {
    pub(crate) state: AppState,
    pub(crate) limits: Arc<Limits>,
    pub(crate) guard: Guard,
    pub(crate) bodies: Bodies,
    /// Compressed bodies that may be unpacked at once.
    pub(crate) unpacking: Semaphore,
    /// Live tails that may be open.
    pub(crate) tails: Arc<Semaphore>,
    pub(crate) started_at: ProcessingTime,
    /// Becomes true when streaming answers should end.
    pub(crate) stopping: watch::Receiver<bool>,
    requests: AtomicU64,
}

/// Every path of the API, for suggestions. A test compares it with the router.
pub(crate) const ROUTES: [&str; 22] = [
    "/api/v1/ingest/{stream}",
    "/api/v1/sql",
    "/api/v1/search",
    "/api/v1/search/complete",
    "/api/v1/tables",
    "/api/v1/tables/{table}/delete",
    "/api/v1/logs",
    "/api/v1/logs/histogram",
    "/api/v1/logs/patterns",
    "/api/v1/logs/context",
    "/api/v1/logs/tail",
    "/api/v1/logs/scan",
    "/api/v1/pipelines",
    "/api/v1/dead-letters/replay",
    "/api/v1/dead-letters/purge",
    "/api/v1/replays/swap",
    "/api/v1/status",
    "/metrics",
    "/health/live",
    "/health/ready",
    "/health/startup",
    "/",
];

impl App {
    pub(crate) fn new(
        state: AppState,
        limits: Arc<Limits>,
        guard: Guard,
        stopping: watch::Receiver<bool>,
    ) -> Arc<Self> {
        Arc::new(Self {
            started_at: state.clock.now(),
            bodies: Bodies::new(Arc::clone(&limits), state.queries.pressure().clone()),
            unpacking: Semaphore::new(limits.unpacking_max),
            tails: Arc::new(Semaphore::new(limits.tails_max)),
            requests: AtomicU64::default(),
            state,
            limits,
            guard,
            stopping,
        })
    }

    /// All tables at this moment.
    pub(crate) async fn snapshot(&self) -> ApiResult<Snapshot> {
        let queries = Arc::clone(&self.state.queries);
        let taken = tokio::task::spawn_blocking(move || queries.snapshot()).await;
        let panicked =
            |error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", format!("no tables: {error}"));
        Ok(taken.map_err(panicked)??)
    }

    pub(crate) fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/api/v1/ingest/{stream}", post(ingest::post))
            .route("/api/v1/sql", post(sql::post))
            .route("/api/v1/search", post(search::post))
            .route("/api/v1/search/complete", get(search::complete))
            .route("/api/v1/tables", get(tables::get))
            .route("/api/v1/tables/{table}/delete", post(deletions::post))
            .route("/api/v1/logs", get(logs::get))
            .route("/api/v1/logs/histogram", get(logs::histogram))
            .route("/api/v1/logs/patterns", get(logs::patterns))
            .route("/api/v1/logs/context", get(logs::context))
            .route("/api/v1/logs/tail", get(tail::get))
            .route("/api/v1/logs/scan", get(scan::get))
            .route("/api/v1/pipelines", get(pipelines::get))
            .route("/api/v1/dead-letters/replay", post(dead_letters::replay))
            .route("/api/v1/dead-letters/purge", post(dead_letters::purge))
            .route("/api/v1/replays/swap", post(replays::swap))
            .route("/api/v1/status", get(status::get))
            .route("/metrics", get(metrics::get))
            .route("/health/live", get(health::live))
            .route("/health/ready", get(health::ready))
            .route("/health/startup", get(health::startup))
            .fallback(elsewhere)
            .method_not_allowed_fallback(wrong_method)
            .layer(from_fn_with_state(Arc::clone(self), around))
            .with_state(Arc::clone(self))
    }
}

/// Everything that is no route: the page, or an error that names the nearest route.
async fn elsewhere(method: Method, uri: Uri, request: Request) -> Response {
    let path = uri.path();
    let of_api = ["/api/", "/health/", "/metrics/"].iter().any(|prefix| path.starts_with(prefix));
    if of_api || path == "/api" || path == "/health" {
        let error = ApiError::new(StatusCode::NOT_FOUND, "unknown_route", format!("there is no {path} here"));
        return error.maybe_hint(nearest(path, ROUTES)).into_response();
    }
    if ![Method::GET, Method::HEAD].contains(&method) {
        let message = format!("{method} is not possible on {path}; it is part of the page");
        return ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message).into_response();
    }
    page::get(path, request.headers())
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    let message = format!("{method} is not possible on {}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "wrong_method", message)
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

async fn around(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = request_id(&app, request.headers().get(&REQUEST_ID));
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let route = request.extensions().get::<MatchedPath>().map_or("page", MatchedPath::as_str).to_owned();
    let counted = app.state.metrics.request(method_name(&method), &route);

    let mut response = answer(&app, request, next).await;

    let status = response.status();
    counted.finish(status.as_u16());
    let error = response.extensions_mut().remove::<ErrorCode>();
    tracing::debug!(
        id, %method, path = uri.path(), route, status = status.as_u16(),
        error = error.as_ref().map(|code| &*code.0), elapsed_ms = began.elapsed().as_secs_f64() * 1e3,
        "request"
    );
    dress(response, &route, &id)
}

async fn answer(app: &App, request: Request, next: Next) -> Response {
    if let Err(refused) = app.guard.check(request.method(), request.uri(), request.headers()) {
        app.state.metrics.refused(if refused.code == "bad_host" { "bad_host" } else { "cross_origin" });
        return refused.into_response();
    }
    let allowed = app.limits.request_time_max;
    match tokio::time::timeout(allowed, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!("the answer took longer than {} s", allowed.as_secs_f32());
            ApiError::new(StatusCode::GATEWAY_TIMEOUT, "timeout", message).into_response()
        }
    }
}

/// Nothing may be executed, framed or guessed that did not come from here.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'";

fn dress(mut response: Response, route: &str, id: &str) -> Response {
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if route != "page" {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

/// The id that the client gave, if it is one that can stand in a log, else a number that is new in this process.
fn request_id(app: &App, given: Option<&HeaderValue>) -> String {
    const GIVEN_ID_BYTES_MAX: usize = 64;
    let plain = |id: &&str| {
        (1..=GIVEN_ID_BYTES_MAX).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    match given.and_then(|id| id.to_str().ok()).filter(plain) {
        Some(id) => id.to_owned(),
        None => format!("{:x}-{:x}", app.started_at.micros(), app.requests.fetch_add(1, Relaxed)),
    }
}

/// A label must not grow with what clients make up.
fn method_name(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
