//! The pipeline that is simulated: rows pass through, without those that came before, and windows count them.

use std::path::Path;
use std::time::Duration;

use arrow::datatypes::{DataType, TimeUnit};
use weir_collect::{LogConfig, SourceConfig};
use weir_decode::{FormatConfig, JsonConfig};
use weir_deliver::{FileFormat, FileMode, FileOutput, OutputConfig};
use weir_engine::{
    Aggregate, AggregatePlan, DeduplicatePlan, EmitPlan, LateEmit, LateRows, Limits, Node, OperatorPlan, Output, Plan,
    TimePlan, Upstream, WatermarkPlan, WindowKind, WindowPlan,
};
use weir_model::{BackoffConfig, EventTime, FieldKind, Fields, TimeDelta, Wanted, WantedField};
use weir_running::{Job, JobOutput, JobSource, Recovery};

use crate::scenario::{Kind, Setup};

/// Its name.
pub(crate) const PIPELINE: &str = "simulated";
/// Its outputs, in the order of [`Setup::kinds`].
pub(crate) const OUTPUTS: [&str; 4] = ["rows", "counts", "late", "dead_letters"];
/// Longer than any stream of a scenario: of equal rows one goes on.
const DUPLICATES_WITHIN: TimeDelta = TimeDelta::from_secs(24 * 3600);
/// Longer than any simulation: no partition is idle.
const NEVER: TimeDelta = TimeDelta::from_secs(30 * 24 * 3600);

/// The name of a source, which is its topic's too.
pub(crate) fn source(index: usize) -> String {
    format!("s{index}")
}

/// The path of an output that is no table.
pub(crate) fn path_of(root: &Path, kind: Kind, name: &str) -> std::path::PathBuf {
    let file = if kind == Kind::Lines { format!("{name}.ndjson") } else { name.to_owned() };
    root.join("out").join(file)
}

/// The pipeline of `setup` in the data folder `root`, which ends where its sources end unless it is to `follow` them.
pub(crate) fn job(setup: &Setup, root: &Path, follow: bool) -> Job {
    let output = |index: usize| JobOutput {
        name: OUTPUTS[index].to_owned(),
        output: output(root, setup.kinds[index], OUTPUTS[index]),
        time_column: None,
        columns: None,
        retry: BackoffConfig::default(),
        limit: None,
    };
    let sources = (0..setup.sources).map(|index| JobSource {
        name: source(index),
        source: SourceConfig::Log(LogConfig { follow, ..LogConfig::new(source(index)) }),
        format: FormatConfig::Json(JsonConfig::default()),
        wanted: wanted(),
    });
    Job {
        plan: plan(setup),
        sources: sources.collect(),
        outputs: vec![output(0), output(1)],
        tables: Vec::new(),
        lookups: Vec::new(),
        late: output(2),
        dead_letters: output(3),
        epoch: Duration::from_millis(setup.epoch_ms),
        tasks: 1,
        state_bytes_max: setup.state_bytes_max,
        state_said_at: None,
        keys_in_rocksdb: false,
        snapshots: None,
        recovery: Recovery::default(),
        rerun: None,
        share: None,
    }
}

fn output(root: &Path, kind: Kind, name: &str) -> OutputConfig {
    let format = match kind {
        Kind::Table => return OutputConfig::table(name),
        Kind::Lines => FileFormat::Ndjson,
        Kind::Parts => FileFormat::Parquet,
    };
    let path = path_of(root, kind, name).to_string_lossy().into_owned();
    OutputConfig::File(FileOutput { path, format, mode: FileMode::New })
}

fn wanted() -> Wanted {
    let field = |name: &str, kind| WantedField { name: name.into(), kind };
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Wanted {
        time_field: Some("ts".into()),
        not_before: EventTime::from_micros(0),
        fields: Fields::These(vec![
            field("id", FieldKind::Value(DataType::Int64)),
            field("ts", FieldKind::Value(time)),
            field("key", FieldKind::Key),
            field("value", FieldKind::Value(DataType::Int64)),
        ]),
        declared: Vec::new(),
    }
}

fn plan(setup: &Setup) -> Plan {
    let node = |name: &str, from, operator| Node { name: name.to_owned(), from, operator };
    let output = |index: usize, node| Output { name: OUTPUTS[index].to_owned(), from: Upstream::Node(node) };
    let unique = DeduplicatePlan {
        by: vec!["id".to_owned()],
        within: DUPLICATES_WITHIN,
        late: LateRows::Aside,
        keys_max: 100_000,
    };
    Plan {
        pipeline: PIPELINE.to_owned(),
        time: Some(TimePlan {
            watermark: WatermarkPlan::Bounded { delay: TimeDelta::from_secs(setup.delay) },
            idle_after: NEVER,
            future_limit: NEVER,
            max_drift: setup.drift.map(TimeDelta::from_secs),
        }),
        sources: (0..setup.sources).map(source).collect(),
        nodes: vec![
            node("enough", Upstream::AllSources, OperatorPlan::Where(format!("value >= {}", setup.least))),
            node("unique", Upstream::Node(0), OperatorPlan::Deduplicate(unique)),
            node("windows", Upstream::Node(0), OperatorPlan::Window(windows(setup))),
        ],
        outputs: vec![output(0, 1), output(1, 2)],
        limits: Limits::default(),
    }
}

fn windows(setup: &Setup) -> WindowPlan {
    let aggregate = |name: &str, function, argument: Option<&str>| AggregatePlan {
        name: name.to_owned(),
        function,
        argument: argument.map(str::to_owned),
        filter: None,
    };
    WindowPlan {
        window: WindowKind::Tumbling { size: TimeDelta::from_secs(setup.size), offset: TimeDelta::ZERO },
        by: vec!["key".to_owned()],
        compute: vec![
            aggregate("n", Aggregate::Count, None),
            aggregate("total", Aggregate::Sum, Some("value")),
            aggregate("highest", Aggregate::Max, Some("value")),
        ],
        lateness: TimeDelta::from_secs(setup.lateness),
        emit: EmitPlan { late: LateEmit::Every(TimeDelta::from_secs(1)), ..EmitPlan::default() },
    }
}
