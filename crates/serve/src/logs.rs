//! `GET /api/v1/logs` and what is below it: the newest lines that match, page by page; how many there are over time; of
//! which patterns they are; what stands around one. What matches is decided in `query`.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::compute::kernels::cast_utils::string_to_timestamp_nanos;
use axum::Json;
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use weir_model::EventTime;
use weir_observe::QuerySource;
use weir_query::Search;
use weir_query::encode::write_object;
use weir_query::logs::{Histogram, LogContext, LogFilter, LogHistogram, LogPatterns, LogSearch};

use crate::app::App;
use crate::error::{ApiError, ApiResult};
use crate::input::params;

/// Lines of a page, when the request does not say how many.
pub(crate) const LINES: usize = 200;
/// The most lines of a page.
pub(crate) const LINES_MAX: usize = 10_000;
/// Patterns, when the request does not say how many.
const PATTERNS: usize = 100;
/// The most patterns.
const PATTERNS_MAX: usize = 1_000;
/// Lines before and after one, when the request does not say how many.
const AROUND: usize = 20;
/// The most lines before and after one.
const AROUND_MAX: usize = 1_000;
/// Buckets of a histogram, when the request does not say how many.
const BUCKETS: usize = 60;
/// The most buckets of a histogram.
const BUCKETS_MAX: usize = 1_000;

/// Which lines, as the address says it; the same for pages, histograms and tails.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) table: String,
    q: Option<String>,
    search: Option<String>,
    levels: Option<String>,
    from: Option<String>,
    to: Option<String>,
    pub(crate) limit: Option<usize>,
    before: Option<String>,
    pub(crate) budget_ms: Option<usize>,
    buckets: Option<usize>,
}

impl Asked {
    /// The lines that are asked for, `limit` of them.
    pub(crate) fn lines(&self, limit: usize) -> ApiResult<LogSearch> {
        Ok(LogSearch {
            filter: self.filter()?,
            from: micros("from", self.from.as_deref())?,
            to: micros("to", self.to.as_deref())?,
            limit,
            before: self.before.clone().filter(|before| !before.is_empty()),
            table: self.table.clone(),
        })
    }

    /// # Errors
    /// When the search is none, or makes something of the rows: that is for `/api/v1/search`.
    pub(crate) fn filter(&self) -> ApiResult<LogFilter> {
        let levels = self.levels.iter().flat_map(|levels| levels.split(','));
        let levels = levels.map(str::trim).filter(|level| !level.is_empty()).map(str::to_owned).collect();
        let search = self.search.as_deref().map(Search::parse).transpose()?;
        if search.as_ref().is_some_and(Search::has_stages) {
            let message = "the search has stages (|), and this answers with lines as they are";
            return Err(ApiError::bad_request("bad_parameter", message).hint("ask POST /api/v1/search"));
        }
        Ok(LogFilter { text: self.q.clone().filter(|text| !text.is_empty()), levels, search })
    }
}

/// Microseconds of a time like `2026-01-01T00:00:00Z`; without a zone it is UTC.
pub(crate) fn micros(name: &str, text: Option<&str>) -> ApiResult<Option<i64>> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    let nanos = string_to_timestamp_nanos(text).map_err(|_| {
        let message = format!("{name} is \"{text}\"; it should be a time such as 2026-01-01T00:00:00Z");
        ApiError::bad_request("bad_parameter", message)
    })?;
    Ok(Some(nanos.div_euclid(1_000)))
}

pub(crate) fn at_most(name: &str, value: usize, max: usize) -> ApiResult<usize> {
    if (1..=max).contains(&value) {
        return Ok(value);
    }
    Err(ApiError::bad_request("bad_parameter", format!("{name} is {value}; it should be 1 to {max}")))
}

/// Row `row` of `batch` as a JSON object on one line.
pub(crate) fn object(batch: &RecordBatch, row: usize) -> String {
    let mut json = Vec::new();
    write_object(batch, row, &mut json);
    String::from_utf8_lossy(&json).into_owned()
}

pub(crate) async fn get(State(app): State<Arc<App>>, uri: Uri) -> ApiResult<Response> {
    let asked: Asked = params(&uri)?;
    let search = asked.lines(at_most("limit", asked.limit.unwrap_or(LINES), LINES_MAX)?)?;
    let began = Instant::now();
    let page = app.state.queries.search_logs(&search).await;
    let error = page.as_ref().err().map(|error| error.code.as_str());
    app.state.metrics.query(QuerySource::Logs, began.elapsed(), error);
    let page = page?;
    let rows: Vec<String> = (0..page.rows.num_rows()).map(|row| object(&page.rows, row)).collect();
    let body = format!(
        "{{\"rows\":[{}],\"next\":{},\"scanned_ms\":{:.3},\"warnings\":{}}}",
        rows.join(",\n"),
        serde_json::json!(page.next),
        page.elapsed.as_secs_f64() * 1e3,
        serde_json::json!(page.warnings),
    );
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

#[derive(Serialize)]
pub(crate) struct Shown {
    from: String,
    to: String,
    bucket_ms: f64,
    series: Vec<ShownSeries>,
    total: u64,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct ShownSeries {
    /// Null for lines without a level.
    level: Option<String>,
    counts: Vec<u64>,
}

impl From<Histogram> for Shown {
    fn from(histogram: Histogram) -> Self {
        let time = |micros| EventTime::from_micros(micros).to_string();
        let series = histogram.series.into_iter().map(|series| ShownSeries {
            level: Some(series.level).filter(|level| !level.is_empty()),
            counts: series.counts,
        });
        Self {
            from: time(histogram.from),
            to: time(histogram.to),
            bucket_ms: histogram.bucket_us as f64 / 1e3,
            series: series.collect(),
            total: histogram.total,
            warnings: histogram.warnings,
        }
    }
}

pub(crate) async fn histogram(State(app): State<Arc<App>>, uri: Uri) -> ApiResult<Json<Shown>> {
    let asked: Asked = params(&uri)?;
    let wanted = LogHistogram {
        filter: asked.filter()?,
        from: micros("from", asked.from.as_deref())?,
        to: micros("to", asked.to.as_deref())?,
        buckets: at_most("buckets", asked.buckets.unwrap_or(BUCKETS), BUCKETS_MAX)?,
        table: asked.table,
    };
    let began = Instant::now();
    let histogram = app.state.queries.log_histogram(&wanted).await;
    let error = histogram.as_ref().err().map(|error| error.code.as_str());
    app.state.metrics.query(QuerySource::Histogram, began.elapsed(), error);
    Ok(Json(histogram?.into()))
}

#[derive(Serialize)]
pub(crate) struct ShownPatterns {
    patterns: Vec<ShownPattern>,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct ShownPattern {
    pattern: String,
    lines: u64,
    first: String,
    last: String,
    sample: String,
}

pub(crate) async fn patterns(State(app): State<Arc<App>>, uri: Uri) -> ApiResult<Json<ShownPatterns>> {
    let asked: Asked = params(&uri)?;
    let wanted = LogPatterns {
        filter: asked.filter()?,
        from: micros("from", asked.from.as_deref())?,
        to: micros("to", asked.to.as_deref())?,
        limit: at_most("limit", asked.limit.unwrap_or(PATTERNS), PATTERNS_MAX)?,
        table: asked.table,
    };
    let began = Instant::now();
    let found = app.state.queries.log_patterns(&wanted).await;
    let error = found.as_ref().err().map(|error| error.code.as_str());
    app.state.metrics.query(QuerySource::Logs, began.elapsed(), error);
    let found = found?;
    let time = |micros| EventTime::from_micros(micros).to_string();
    let shown = found.patterns.into_iter().map(|one| ShownPattern {
        pattern: one.pattern,
        lines: one.lines,
        first: time(one.times.0),
        last: time(one.times.1),
        sample: one.sample,
    });
    Ok(Json(ShownPatterns { patterns: shown.collect(), warnings: found.warnings }))
}

/// Around which line.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Around {
    table: String,
    at: String,
    file: Option<String>,
    offset: Option<i64>,
    search: Option<String>,
    before: Option<usize>,
    after: Option<usize>,
}

impl Around {
    fn resolved(self) -> ApiResult<LogContext> {
        let filter = Asked { search: self.search, ..Asked::default() }.filter()?;
        let origin = match (self.file, self.offset) {
            (Some(file), Some(offset)) => Some((file, offset)),
            (None, None) => None,
            _ => {
                let message = "file and offset belong together: give both or none";
                return Err(ApiError::bad_request("bad_parameter", message));
            }
        };
        let around = |name: &str, lines: Option<usize>| match lines {
            Some(0) => Ok(0),
            lines => at_most(name, lines.unwrap_or(AROUND), AROUND_MAX),
        };
        let at = micros("at", Some(self.at.as_str()))?;
        let at = at.ok_or_else(|| ApiError::bad_request("bad_parameter", "at is empty; it should be a line's time"))?;
        let (before, after) = (around("before", self.before)?, around("after", self.after)?);
        Ok(LogContext { table: self.table, at, origin, filter, before, after })
    }
}

pub(crate) async fn context(State(app): State<Arc<App>>, uri: Uri) -> ApiResult<Response> {
    let wanted = params::<Around>(&uri)?.resolved()?;
    let began = Instant::now();
    let found = app.state.queries.log_context(&wanted).await;
    let error = found.as_ref().err().map(|error| error.code.as_str());
    app.state.metrics.query(QuerySource::Logs, began.elapsed(), error);
    let found = found?;
    let rows: Vec<String> = (0..found.rows.num_rows()).map(|row| object(&found.rows, row)).collect();
    let body = format!(
        "{{\"rows\":[{}],\"after\":{},\"warnings\":{}}}",
        rows.join(",\n"),
        found.after,
        serde_json::json!(found.warnings),
    );
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}
