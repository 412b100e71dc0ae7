//! What `/metrics` says. Pipelines, tables and the process are measured when a scrape asks; only what nobody else
//! counts (requests, questions, ingest) is counted here. Label values come from configuration and routes, never from
//! what a client sends, so that a client cannot grow them.

mod pipelines;
mod process;
mod tables;
#[cfg(test)]
mod tests;
mod text;
mod topics;
mod write;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use weir_model::Clock;

use crate::PipelineBoard;

pub use process::{BuildInfo, resident_memory_bytes};
pub use tables::TableMeasure;
pub use text::TextFormat;
pub use topics::TopicMeasure;

/// Every name of ours begins with it.
const PREFIX: &str = "weir";

/// 1 ms to 60 s, the longest a request may take.
const REQUEST_BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 60.0];

/// Which way a question came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuerySource {
    /// SQL text.
    Sql,
    /// The short language of searches.
    Search,
    /// SQL over PostgreSQL's protocol.
    Postgres,
    /// SQL over Arrow Flight.
    Flight,
    /// The rows of the log explorer.
    Logs,
    /// The histogram of the log explorer.
    Histogram,
}

impl QuerySource {
    fn as_str(self) -> &'static str {
        match self {
            Self::Sql => "sql",
            Self::Search => "search",
            Self::Postgres => "postgres",
            Self::Flight => "flight",
            Self::Logs => "logs",
            Self::Histogram => "histogram",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StreamLabels {
    stream: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueryLabels {
    source: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueryErrorLabels {
    source: &'static str,
    code: String,
}

/// Everything `/metrics` shows.
pub struct Metrics {
    registry: Registry,
    tables: Arc<tables::Tables>,
    topics: Arc<topics::Topics>,
    memory_limit: Arc<OnceLock<u64>>,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    requests_in_flight: Gauge,
    connections: Gauge,
    refused: Family<ReasonLabels, Counter>,
    ingested_records: Family<StreamLabels, Counter>,
    ingested_bytes: Family<StreamLabels, Counter>,
    ingest_refused: Family<ReasonLabels, Counter>,
    queries: Family<QueryLabels, Counter>,
    query_seconds: Family<QueryLabels, Histogram, fn() -> Histogram>,
    query_errors: Family<QueryErrorLabels, Counter>,
    queries_given_up: Counter,
    memory_pressure: Gauge,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn request_histogram() -> Histogram {
    Histogram::new(REQUEST_BUCKETS)
}

impl Metrics {
    /// Metrics of this process; it counts as started now.
    pub fn new(board: Arc<PipelineBoard>, build: BuildInfo, clock: Arc<dyn Clock>) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix(PREFIX),
            tables: Arc::default(),
            topics: Arc::default(),
            memory_limit: Arc::default(),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(request_histogram),
            requests_in_flight: Gauge::default(),
            connections: Gauge::default(),
            refused: Family::default(),
            ingested_records: Family::default(),
            ingested_bytes: Family::default(),
            ingest_refused: Family::default(),
            queries: Family::default(),
            query_seconds: Family::new_with_constructor(request_histogram),
            query_errors: Family::default(),
            queries_given_up: Counter::default(),
            memory_pressure: Gauge::default(),
        };
        metrics.register();
        let registry = &mut metrics.registry;
        registry.register_collector(Box::new(pipelines::Pipelines::new(board, Arc::clone(&clock))));
        registry.register_collector(Box::new(Arc::clone(&metrics.tables)));
        registry.register_collector(Box::new(Arc::clone(&metrics.topics)));
        let limit = Arc::clone(&metrics.memory_limit);
        registry.register_collector(Box::new(process::Process::new(build, clock, limit)));
        metrics
    }

    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("http_requests", "HTTP requests that were answered", self.requests.clone());
        r.register(
            "http_request_duration_seconds",
            "From the head of a request to the head of its answer",
            self.request_seconds.clone(),
        );
        r.register("http_requests_in_flight", "HTTP requests that are being answered", self.requests_in_flight.clone());
        r.register("http_connections", "Open HTTP connections", self.connections.clone());
        r.register("http_refused", "Connections and requests turned away by a limit or a check", self.refused.clone());
        r.register("ingest_records", "Records that were made durable and acknowledged", self.ingested_records.clone());
        r.register("ingest_bytes", "Bytes of those records", self.ingested_bytes.clone());
        r.register("ingest_refused", "Ingest requests that were refused whole", self.ingest_refused.clone());
        r.register("queries", "Questions that were answered or refused", self.queries.clone());
        r.register("query_duration_seconds", "From a question to its whole answer", self.query_seconds.clone());
        r.register("query_errors", "Questions that ended in an error", self.query_errors.clone());
        let given_up = "Questions that were ended because the process had no memory left";
        r.register("queries_given_up", given_up, self.queries_given_up.clone());
        let pressure = "How scarce memory is: 0 there is enough, 1 what can wait waits, 2 nothing new is taken";
        r.register("process_memory_pressure", pressure, self.memory_pressure.clone());
    }

    /// Says how much memory the process may take. Called once.
    pub fn limit_memory(&self, bytes: u64) {
        let _first = self.memory_limit.set(bytes);
    }

    /// Memory is scarce from now on: 0 not at all, 1 what can wait waits, 2 nothing new is taken.
    pub fn memory_pressure(&self, level: i64) {
        self.memory_pressure.set(level);
    }

    /// A question was ended because there was no memory left.
    pub fn query_given_up(&self) {
        self.queries_given_up.inc();
    }

    /// Says where a scrape gets the figures of the tables from. Called once, when the store is open; before that
    /// there are none.
    pub fn watch_tables(&self, measure: impl Fn() -> Vec<TableMeasure> + Send + Sync + 'static) {
        self.tables.watch(Box::new(measure));
    }

    /// Says where a scrape gets the figures of the log's topics from. Called once, when the log is open.
    pub fn watch_topics(&self, measure: impl Fn() -> Vec<TopicMeasure> + Send + Sync + 'static) {
        self.topics.watch(Box::new(measure));
    }

    /// A request has come in. What it returns counts it when told how it ended, or as 499 when dropped before: the
    /// client went away. `route` is the pattern that matched, never the path.
    pub fn request(self: &Arc<Self>, method: &'static str, route: &str) -> InFlight {
        self.requests_in_flight.inc();
        InFlight {
            metrics: Arc::clone(self),
            method,
            route: route.to_owned(),
            began: Instant::now(),
            status: CLIENT_GONE,
        }
    }

    /// A connection was opened (`+1`) or closed (`-1`).
    pub fn connections(&self, change: i64) {
        self.connections.inc_by(change);
    }

    /// A connection or a request was turned away by a limit or a check.
    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// Records were acknowledged. `stream` must be one that exists.
    pub fn ingested(&self, stream: &str, records: u64, bytes: u64) {
        let labels = StreamLabels { stream: stream.to_owned() };
        self.ingested_records.get_or_create(&labels).inc_by(records);
        self.ingested_bytes.get_or_create(&labels).inc_by(bytes);
    }

    /// An ingest request was refused.
    pub fn ingest_refused(&self, reason: &'static str) {
        self.ingest_refused.get_or_create(&ReasonLabels { reason }).inc();
    }

    /// A question took `took`, and ended in the error `code` if there is one.
    pub fn query(&self, source: QuerySource, took: Duration, error: Option<&str>) {
        let source = source.as_str();
        self.queries.get_or_create(&QueryLabels { source }).inc();
        self.query_seconds.get_or_create(&QueryLabels { source }).observe(took.as_secs_f64());
        if let Some(code) = error {
            self.query_errors.get_or_create(&QueryErrorLabels { source, code: code.to_owned() }).inc();
        }
    }

    /// All metrics as text.
    pub fn encode(&self, format: TextFormat) -> String {
        text::encode(&self.registry, format)
    }
}

/// The status that is counted when nobody waited for the answer.
const CLIENT_GONE: u16 = 499;

/// A request that is being answered.
#[derive(Debug)]
pub struct InFlight {
    metrics: Arc<Metrics>,
    method: &'static str,
    route: String,
    began: Instant,
    status: u16,
}

impl InFlight {
    /// The head of its answer is ready.
    pub fn finish(mut self, status: u16) {
        self.status = status;
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let (metrics, route) = (&self.metrics, std::mem::take(&mut self.route));
        metrics.requests_in_flight.dec();
        metrics
            .request_seconds
            .get_or_create(&RouteLabels { route: route.clone() })
            .observe(self.began.elapsed().as_secs_f64());
        metrics.requests.get_or_create(&RequestLabels { method: self.method, route, status: self.status }).inc();
    }
}
