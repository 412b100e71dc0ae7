//! Plays events through an engine and counts the processor time that each of the two takes.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::TimestampMicrosecondType;
use weir::plan::{Job, JobSource, resolve};
use weir_engine::{Effect, Engine, Input};
use weir_model::{Batch, Epoch, Fields, PartitionId, ProcessingTime};
use weir_pipeline::{Input as Yaml, load};
use weir_sql::SqlCompiler;

use crate::events::{Events, STREAMS, Stream};
use crate::queries::Query;

/// Events that are made at a time.
const EVENTS_PER_STEP: u64 = 8_192;
/// How often the engine seals its state.
pub(crate) const EVENTS_PER_SNAPSHOT: u64 = 1_000_000;

/// What a run took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// Processor time of making events, in seconds.
    pub(crate) events_secs: f64,
    /// Processor time of the engine, in seconds.
    pub(crate) engine_secs: f64,
    pub(crate) results: u64,
}

impl Cost {
    pub(crate) fn total_secs(&self) -> f64 {
        self.events_secs + self.engine_secs
    }
}

/// The job that a query's pipeline describes.
pub(crate) fn job(query: &Query) -> Result<Job, String> {
    let yaml = Yaml::Text { name: query.name, text: query.pipeline };
    let (config, _) = load(yaml, &[], [])
        .map_err(|faults| faults.iter().map(weir_pipeline::Diagnostic::render).collect::<Vec<_>>().join("\n"))?;
    resolve(&config).map_err(|problems| format!("{}: {problems:?}", query.name))
}

/// Plays `events` events of `source`, and gives the rows of the query's result to `take`. Events arrive when `clock` says,
/// or without one when they happen.
pub(crate) fn run(
    query: &Query,
    mut source: Events,
    events: u64,
    clock: Option<fn() -> i64>,
    mut take: impl FnMut(RecordBatch),
) -> Result<Cost, String> {
    let job = job(query)?;
    let failed = |error: &dyn std::fmt::Display| format!("{}: {error}", query.name);
    let mut engine = Engine::new(job.plan.clone(), Arc::new(SqlCompiler::new())).map_err(|error| failed(&error))?;
    let (mut cost, mut effects, mut made) = (Cost::default(), Vec::new(), 0);
    for index in 0..job.sources.len() {
        engine.step(Input::PartitionAdded { source: index, partition: partition(&job, index) }, &mut effects);
    }
    while made < events {
        let begin = cpu_secs()?;
        let count = EVENTS_PER_STEP.min(events - made);
        let (now, arrived) = (source.time(), clock.map(|clock| clock()));
        let streams = source.take(count, arrived);
        let middle = cpu_secs()?;
        engine.step(Input::Tick(ProcessingTime::from_micros(now.max(arrived.unwrap_or(now)))), &mut effects);
        for (index, from) in job.sources.iter().enumerate() {
            let Some(stream) = STREAMS.iter().position(|name| *name == from.name) else {
                return Err(format!("{}: there is no stream {}", query.name, from.name));
            };
            let batch = batch(from, partition(&job, index), &streams[stream]);
            engine.step(Input::Batch { source: index, batch }, &mut effects);
        }
        if (made + count) / EVENTS_PER_SNAPSHOT > made / EVENTS_PER_SNAPSHOT {
            engine.step(Input::Barrier(Epoch(made)), &mut effects);
        }
        made += count;
        cost.results += drain(query, &mut effects, &mut take)?;
        cost.events_secs += middle - begin;
        cost.engine_secs += cpu_secs()? - middle;
    }
    let begin = cpu_secs()?;
    engine.step(Input::End, &mut effects);
    cost.results += drain(query, &mut effects, &mut take)?;
    cost.engine_secs += cpu_secs()? - begin;
    match engine.balances().iter().find(|balance| !balance.holds()) {
        Some(balance) => Err(failed(&format!("rows are lost: {balance:?}"))),
        None => Ok(cost),
    }
}

fn partition(job: &Job, source: usize) -> PartitionId {
    PartitionId::new(job.sources[source].name.as_str())
}

/// The rows as the decoder of a source would hand them over: the columns that the plan wants, and no others.
fn batch(source: &JobSource, partition: PartitionId, stream: &Stream) -> Batch {
    let all = &stream.columns;
    let columns = match &source.wanted.fields {
        Fields::All => all.clone(),
        Fields::These(fields) => {
            let these: Vec<usize> = fields.iter().filter_map(|field| all.schema().index_of(&field.name).ok()).collect();
            all.project(&these).expect("the indices are of this batch")
        }
    };
    let time = source.wanted.time_field.as_deref().and_then(|time| all.column_by_name(time));
    let times = time.map(|time| time.as_primitive::<TimestampMicrosecondType>().values().clone());
    Batch {
        origin: partition.as_str().into(),
        partition,
        columns,
        times: times.unwrap_or_default(),
        offsets: stream.numbers.clone().into(),
    }
}

/// Hands results on; returns how many rows they are. A row that is late or refused makes the run worthless.
fn drain(query: &Query, effects: &mut Vec<Effect>, take: &mut impl FnMut(RecordBatch)) -> Result<u64, String> {
    let mut results = 0;
    for effect in effects.drain(..) {
        match effect {
            Effect::Emit { rows, .. } => {
                results += rows.num_rows() as u64;
                take(rows);
            }
            Effect::Late { rows, .. } => return Err(format!("{}: {} rows are late", query.name, rows.num_rows())),
            Effect::Reject { reason, .. } | Effect::RejectRow { reason, .. } | Effect::RejectResult { reason, .. } => {
                return Err(format!("{}: a row is rejected: {reason}", query.name));
            }
            Effect::Pause(_) | Effect::Resume(_) | Effect::Snapshot(_) | Effect::Lost { .. } => {}
        }
    }
    Ok(results)
}

/// Microseconds since 1970.
pub(crate) fn clock() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Seconds that this thread, the only one, was on a processor.
fn cpu_secs() -> Result<f64, String> {
    let path = "/proc/thread-self/schedstat";
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let nanos: Option<f64> = text.split(' ').next().and_then(|nanos| nanos.parse().ok());
    nanos.map(|nanos| nanos / 1e9).ok_or_else(|| format!("{path} begins with no number"))
}
