//! From a pipeline as written to a job as run: names become indexes, texts become aggregates, sources learn which fields to
//! build. Opens nothing and starts nothing; what is wrong comes back with its place in the file.

mod fields;
mod lowering;
pub(crate) mod memory;
pub(crate) mod rows;
mod steps;
mod types;
mod windows;
mod workers;

use std::collections::BTreeMap;
use std::time::Duration;

use lowering::{Lowered, Place};
pub use steps::{StepColumns, step_columns};
use weir_decode::WrongSchema;
use weir_deliver::OutputConfig;
use weir_engine::{
    Aggregate, AggregatePlan, Limits, Node, OperatorPlan, Output, Plan, Reset, RowsPlan, TimePlan, Upstream,
    WatermarkPlan, WindowPlan,
};
use weir_model::{BackoffConfig, EventTime, Wanted};
use weir_pipeline::{
    PipelineConfig, RetryConfig, SourceEntry, StateBackend, StateConfig, Step, StepKind, TimeConfig, WatermarkConfig,
    WindowConfig,
};
use weir_sql::{AggregateCall, Parameter, SqlError, parse_aggregate};
use weir_state::Bucket;

use crate::running::Recovery;
use crate::running::TableLimit;
pub use crate::running::{Job, JobOutput, JobSource};

/// The most threads that a pipeline takes of itself: its steps run on one of them, which keeps up with about so many.
const TASKS_OF_ITSELF_MAX: usize = 4;

/// Something that is wrong with a pipeline, at the key `path` of its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `steps[1].window.compute.p95`.
    pub path: String,
    /// Where in the key's text, in characters from 1.
    pub column: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl Problem {
    fn sql(path: impl Into<String>, error: SqlError) -> Self {
        Self { path: path.into(), column: error.column, message: error.message, hint: error.hint }
    }
}

/// The job that `config` describes.
///
/// # Errors
/// Everything that is wrong with its SQL texts and the columns they name. `config` has passed the checks of
/// `weir-pipeline`.
pub fn resolve(config: &PipelineConfig) -> Result<Job, Vec<Problem>> {
    let mut steps = Lowered::of(config)?;
    let nodes = std::mem::take(&mut steps.nodes);
    let feeds: Vec<Upstream> =
        (0..config.outputs.len()).map(|index| steps.upstream(config, config.feed_of_output(index))).collect();
    let names =
        unique(config.outputs.iter().map(|entry| entry.name.clone().unwrap_or_else(|| entry.output.default_name())));
    let mut plan = Plan {
        pipeline: config.name.clone(),
        time: config.time.as_ref().map(time_plan),
        sources: config.sources.keys().cloned().collect(),
        outputs: feeds.iter().zip(&names).map(|(from, name)| Output { name: name.clone(), from: *from }).collect(),
        nodes,
        limits: Limits::default(),
    };
    fields::fill_parsed(&mut plan, &steps.places)?;
    let sources = job_sources(config, &plan, &steps.places)?;
    let (known, joined) = types::check(&plan, &sources, &steps.places)?;
    memory::tell_joins(&mut plan, joined);
    let job_output = |name: &str, output: &OutputConfig, time_column, columns| JobOutput {
        name: name.to_owned(),
        output: output.clone(),
        time_column,
        columns,
        retry: BackoffConfig::default(),
        limit: None,
    };
    let time_field = config.time.as_ref().map(|time| time.field.clone());
    let state_memory = config.state.memory.unwrap_or(StateConfig::MEMORY_USUAL);
    let mut job = Job {
        outputs: std::iter::zip(std::iter::zip(&config.outputs, &known), std::iter::zip(&feeds, &names))
            .map(|((entry, known), (from, name))| {
                let time_column = time_column(&plan, *from, time_field.as_deref());
                let retry = entry.retry.map_or_else(BackoffConfig::default, RetryConfig::backoff);
                JobOutput { retry, ..job_output(name, &entry.output, time_column, known.columns()) }
            })
            .collect(),
        tables: memory::tables(config, &plan, &steps.places),
        lookups: memory::lookups(config, &plan, &steps.places),
        late: job_output("late", &config.late, Some("event_time".to_owned()), Some(types::late_columns())),
        dead_letters: JobOutput {
            // Whoever makes room in a full table may take days to do so.
            retry: BackoffConfig { give_up_after: Duration::MAX, ..BackoffConfig::default() },
            limit: Some(TableLimit { rows: config.dead_letters_limit.rows, bytes: config.dead_letters_limit.bytes.0 }),
            ..job_output(
                "dead_letters",
                &config.dead_letters,
                Some("time".to_owned()),
                Some(weir_deliver::dead_letter_schema()),
            )
        },
        epoch: config.epoch.std(),
        tasks: config.tasks.map_or_else(tasks_of_itself, |tasks| tasks as usize),
        state_bytes_max: usize::try_from(state_memory.0).unwrap_or(usize::MAX),
        // Whoever has the text knows better where.
        state_said_at: config.state.memory.map(|_| format!("`state.memory` of {}", config.name)),
        keys_in_rocksdb: keys_in_rocksdb(config)?,
        snapshots: buckets(config).and_then(|()| bucket(config))?,
        recovery: Recovery { fall_back: config.state.fall_back, reset: Reset::Nothing },
        rerun: None,
        plan,
        sources,
        share: None,
    };
    job.share = workers::share(config, &job)?;
    Ok(job)
}

/// Whether keys lie in RocksDB, if this build has it.
fn keys_in_rocksdb(config: &PipelineConfig) -> Result<bool, Vec<Problem>> {
    let wanted = config.state.backend == StateBackend::Rocksdb;
    if wanted && !weir_state::HAS_ROCKSDB {
        return Err(vec![Problem {
            path: "state.backend".to_owned(),
            column: None,
            message: "this weir was built without RocksDB".to_owned(),
            hint: Some(weir_state::ROCKSDB_HINT.to_owned()),
        }]);
    }
    Ok(wanted)
}

/// Whether the buckets of old rows can be named like that.
fn buckets(config: &PipelineConfig) -> Result<(), Vec<Problem>> {
    let outputs = config.outputs.iter().enumerate().map(|(index, entry)| (format!("outputs[{index}]"), &entry.output));
    let side = [("late".to_owned(), &config.late), ("dead_letters".to_owned(), &config.dead_letters)];
    let mut problems = Vec::new();
    for (path, output) in outputs.chain(side) {
        let OutputConfig::Table(table) = output else { continue };
        for (index, tier) in table.tiers.iter().enumerate() {
            let bucket = Bucket { url: tier.url.clone(), options: tier.options.clone() };
            problems.extend(bucket.check().err().map(|error| Problem {
                path: format!("{path}.table.tiers[{index}].url"),
                column: None,
                message: error.full(),
                hint: Some("such as s3://bucket/prefix, with options: { region: eu-central-1 }".to_owned()),
            }));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// The bucket of the snapshots.
fn bucket(config: &PipelineConfig) -> Result<Option<Bucket>, Vec<Problem>> {
    let Some(snapshots) = &config.state.snapshots else { return Ok(None) };
    if config.workers.is_some() && workers::folder(&snapshots.url).is_some() {
        return Ok(None);
    }
    let bucket = Bucket { url: snapshots.url.clone(), options: snapshots.options.clone() };
    let problem = |error: weir_model::SeamError| Problem {
        path: "state.snapshots.url".to_owned(),
        column: None,
        message: error.full(),
        hint: Some("such as s3://bucket/prefix, with options: { region: eu-central-1 }".to_owned()),
    };
    bucket.check().map_err(|error| vec![problem(error)])?;
    Ok(Some(bucket))
}

/// As many tasks as there are processors for this process, up to a limit.
fn tasks_of_itself() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(TASKS_OF_ITSELF_MAX)
}

/// The node of a step that takes from `from`, and where it is a join also from what `with` gives.
fn node(index: usize, step: &Step, from: Upstream, with: impl Fn() -> Upstream) -> Result<Node, Vec<Problem>> {
    let operator = match &step.kind {
        StepKind::Where(text) => OperatorPlan::Where(text.clone()),
        StepKind::Select(columns) => {
            OperatorPlan::Select(columns.iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect())
        }
        StepKind::Add(columns) => rows::plan(index, RowsPlan::Add(rows::pairs(columns)))?,
        StepKind::Drop(columns) => rows::plan(index, RowsPlan::Drop(columns.clone()))?,
        StepKind::Rename(columns) => rows::plan(index, RowsPlan::Rename(rows::pairs(columns)))?,
        StepKind::Join(join) => OperatorPlan::Join(memory::join(join, with())),
        StepKind::Enrich(config) => OperatorPlan::Enrich(memory::enrich(config)),
        StepKind::Deduplicate(config) => OperatorPlan::Deduplicate(memory::deduplicate(config)),
        StepKind::Flatten(config) => rows::plan(index, rows::flatten(config))?,
        StepKind::Explode(config) => rows::plan(index, rows::explode(config))?,
        StepKind::Parse(config) => rows::plan(index, rows::parse(config))?,
        StepKind::Mask(config) => rows::plan(index, rows::mask(config))?,
        StepKind::Sample(config) => rows::plan(index, rows::sample(config))?,
        StepKind::RateLimit(config) => rows::plan(index, rows::rate_limit(config))?,
        StepKind::JoinLines(config) => rows::plan(index, rows::join_lines(config))?,
        StepKind::Route(_) => unreachable!("a route is several nodes"),
        StepKind::Window(window) => OperatorPlan::Window(window_plan(index, window)?),
    };
    let kind = match &operator {
        OperatorPlan::Where(_) => "where",
        OperatorPlan::Select(_) => "select",
        OperatorPlan::Rows(plan) => plan.kind(),
        OperatorPlan::Deduplicate(_) => "deduplicate",
        OperatorPlan::Enrich(_) => "enrich",
        OperatorPlan::Join(_) => "join",
        OperatorPlan::Window(_) => "window",
    };
    let name = step.name.clone().unwrap_or_else(|| format!("{kind}-{}", index + 1));
    Ok(Node { name, from, operator })
}

fn window_plan(index: usize, window: &WindowConfig) -> Result<WindowPlan, Vec<Problem>> {
    let (mut compute, mut problems) = (Vec::new(), Vec::new());
    for (name, text) in window.compute.iter() {
        match parse_aggregate(text).map(|call| aggregate(name, call)) {
            Ok(aggregate) => compute.push(aggregate),
            Err(error) => problems.push(Problem::sql(format!("steps[{index}].window.compute.{name}"), error)),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(WindowPlan {
        window: windows::kind(window),
        by: window.by.clone(),
        compute,
        lateness: window.lateness.delta(),
        emit: windows::emit(&window.emit),
    })
}

fn aggregate(name: &str, call: AggregateCall) -> AggregatePlan {
    let AggregateCall { function, parameters, arguments, filter } = call;
    let number = match parameters.first() {
        Some(Parameter::Number(number)) => Some(*number),
        Some(Parameter::Text(_)) | None => None,
    };
    let number = || number.expect("the parser lets this one through only with a number");
    let function = match function.as_str() {
        "count" => Aggregate::Count,
        "sum" => Aggregate::Sum,
        "avg" => Aggregate::Avg,
        "min" => Aggregate::Min,
        "max" => Aggregate::Max,
        "quantile" => Aggregate::Quantile(number()),
        "median" => Aggregate::Quantile(0.5),
        "variance" => Aggregate::Variance,
        "stddev" => Aggregate::Stddev,
        "first" => Aggregate::First,
        "last" => Aggregate::Last,
        "count_distinct" => Aggregate::CountDistinct,
        "approx_distinct" => Aggregate::ApproxDistinct,
        "top_k" => Aggregate::TopK(number() as u32),
        brought => {
            let function = Aggregate::Other { name: brought.to_owned(), arguments };
            return AggregatePlan { name: name.to_owned(), function, argument: None, filter };
        }
    };
    AggregatePlan { name: name.to_owned(), function, argument: arguments.into_iter().next(), filter }
}

fn time_plan(time: &TimeConfig) -> TimePlan {
    TimePlan {
        watermark: match &time.watermark {
            WatermarkConfig::Bounded(bounded) => WatermarkPlan::Bounded { delay: bounded.delay.delta() },
            WatermarkConfig::Periodic(periodic) => {
                WatermarkPlan::Periodic { delay: periodic.delay.delta(), every: periodic.every.delta() }
            }
            WatermarkConfig::Punctuated(punctuated) => {
                WatermarkPlan::Punctuated { condition: punctuated.r#where.clone(), delay: punctuated.delay.delta() }
            }
        },
        idle_after: time.idle_after.delta(),
        future_limit: time.future_limit.delta(),
        max_drift: time.max_drift.map(|drift| drift.delta()),
    }
}

fn job_sources(config: &PipelineConfig, plan: &Plan, places: &[Place]) -> Result<Vec<JobSource>, Vec<Problem>> {
    let needs = fields::needs(plan, places)?;
    let (mut sources, mut problems) = (Vec::new(), Vec::new());
    for ((name, entry), need) in config.sources.iter().zip(needs) {
        let SourceEntry { source, format, schema } = entry;
        let mut format = format.clone();
        if let Err(WrongSchema { key, reason }) = format.read_schemas(|file| std::fs::read(file)) {
            let path = format!("sources.{name}.format.{key}");
            problems.push(Problem { path, column: None, message: reason, hint: None });
        }
        let time = config.time.as_ref();
        let wanted = Wanted {
            declared: fields::declared(schema),
            time_field: time.map(|time| time.field.as_str().into()),
            not_before: time.map_or(EventTime::MIN, |time| time.not_before.0),
            fields: fields::wanted(need, schema, format.fixed_schema().as_ref(), time.map(|time| time.field.as_str())),
        };
        sources.push(JobSource { name: name.clone(), source: source.clone(), format, wanted });
    }
    if problems.is_empty() { Ok(sources) } else { Err(problems) }
}

/// The column that rows from `from` are kept by: the start of the window they come from, else the time field.
fn time_column(plan: &Plan, from: Upstream, time_field: Option<&str>) -> Option<String> {
    match from {
        Upstream::Source(_) | Upstream::AllSources => time_field.map(str::to_owned),
        Upstream::Node(index) => match &plan.nodes[index].operator {
            OperatorPlan::Window(_) => Some("window_start".to_owned()),
            OperatorPlan::Where(_) | OperatorPlan::Deduplicate(_) | OperatorPlan::Join(_) => {
                time_column(plan, plan.nodes[index].from, time_field)
            }
            OperatorPlan::Rows(rows) => {
                time_column(plan, plan.nodes[index].from, time_field).and_then(|time| rows::time_column(rows, time))
            }
            OperatorPlan::Enrich(plan_of) => {
                time_column(plan, plan.nodes[index].from, time_field).filter(|time| !plan_of.take.contains(time))
            }
            OperatorPlan::Select(columns) => time_column(plan, plan.nodes[index].from, time_field)
                .filter(|time| columns.iter().any(|(name, _)| name == time)),
        },
    }
}

/// The names, with a number behind those that occur again.
fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    names
        .map(|name| {
            let times = seen.entry(name.clone()).or_default();
            *times += 1;
            if *times == 1 { name } else { format!("{name}-{times}") }
        })
        .collect()
}
