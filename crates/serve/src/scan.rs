//! `GET /api/v1/logs/scan`: the newest lines that match, as server-sent events while they are found: first what the search
//! costs, then lines with how far it has come, at last why it ended. A client that goes ends it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, stream};
use serde_json::{Value, json};
use weir_model::EventTime;
use weir_observe::QuerySource;
use weir_query::logs::{LogPiece, LogScan};

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::input::params;
use crate::logs::{Asked, LINES, LINES_MAX, at_most, object};
use crate::sql::Counted;

/// How long a search may take, when it does not say so.
const BUDGET_MS: usize = 30_000;
/// The most that it may take.
const BUDGET_MS_MAX: usize = 600_000;

pub(crate) async fn get(State(app): State<Arc<App>>, uri: Uri) -> ApiResult<Response> {
    let asked: Asked = params(&uri)?;
    let budget = at_most("budget_ms", asked.budget_ms.unwrap_or(BUDGET_MS), BUDGET_MS_MAX)?;
    let search = asked.lines(at_most("limit", asked.limit.unwrap_or(LINES), LINES_MAX)?)?;
    let mut counted = Counted::new(&app, QuerySource::Logs);
    let scan = counted.note(app.state.queries.scan_logs(&search).await)?;
    let deadline = Instant::now() + Duration::from_millis(budget as u64);
    let first = event("estimate", &estimate(&scan));
    let looking = Looking { app, scan, deadline, counted, reached: None, next: None };
    let events = stream::iter([Ok::<_, std::convert::Infallible>(first)]);
    let headers = [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, Body::from_stream(futures::StreamExt::chain(events, looking.events()))).into_response())
}

fn event(name: &str, data: &Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}

fn estimate(scan: &LogScan) -> Value {
    let cost = scan.cost();
    json!({
        "segments": cost.segments, "segments_read": cost.segments_read, "rows": cost.rows, "bytes": cost.bytes,
        "indexed": cost.is_indexed, "warnings": scan.warnings(),
    })
}

/// A search that is being answered.
struct Looking {
    app: Arc<App>,
    scan: LogScan,
    deadline: Instant,
    counted: Counted,
    /// From when on everything has been looked through.
    reached: Option<i64>,
    next: Option<String>,
}

impl Looking {
    fn events(self) -> impl Stream<Item = Result<Bytes, std::convert::Infallible>> {
        stream::unfold(Some(self), async |looking| {
            let mut looking = looking?;
            let (event, is_last) = looking.look().await;
            Some((Ok(event), (!is_last).then_some(looking)))
        })
    }

    /// The next event, and whether it is the last.
    async fn look(&mut self) -> (Bytes, bool) {
        if self.next.is_some() {
            return (self.end("limit"), true);
        }
        if *self.app.stopping.borrow() {
            return (self.end("stopping"), true);
        }
        let left = self.deadline.saturating_duration_since(Instant::now());
        let queries = Arc::clone(&self.app.state.queries);
        match tokio::time::timeout(left, self.scan.next(&queries)).await {
            Err(_) => (self.end("budget"), true),
            Ok(Ok(None)) => (self.end("complete"), true),
            Ok(Ok(Some(piece))) => (self.found(piece), false),
            Ok(Err(error)) => {
                self.counted.error = Some(error.code.as_str().to_owned());
                let error = ApiError::from(error);
                let told = json!({ "code": error.code, "message": error.message, "hint": error.hint });
                (event("error", &told), true)
            }
        }
    }

    fn found(&mut self, piece: LogPiece) -> Bytes {
        let LogPiece { rows, reached, done, next } = piece;
        (self.reached, self.next) = (Some(reached), next);
        let lines: Vec<String> = (0..rows.num_rows()).map(|row| object(&rows, row)).collect();
        let reached = EventTime::from_micros(reached).to_string();
        // Lines are written as the page writes them; no line break is left in JSON.
        let data = format!("{{\"rows\":[{}],\"reached\":{},\"done\":{done:.4}}}", lines.join(","), json!(reached));
        format!("event: lines\ndata: {data}\n\n").into()
    }

    fn end(&mut self, reason: &str) -> Bytes {
        self.counted.error = None;
        let reached = self.reached.map(|reached| EventTime::from_micros(reached).to_string());
        event("end", &json!({ "reason": reason, "reached": reached, "next": self.next }))
    }
}
