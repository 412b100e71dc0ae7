//! A pipeline as written: one struct per level of the YAML file. Refuses nothing by itself: what parses here may still
//! make no sense together, which is the business of [`crate::validate`].
//!
//! The doc comments of these types are the reference page, so they are written for the people who write pipelines.

mod connection;
mod deduplicate;
mod enrich;
mod join;
mod ordered;
mod output;
mod route;
mod rows;
mod source;
mod state;
mod step;
mod time;
mod window;
mod workers;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_deliver::OutputConfig;
use weir_model::DurationText;

pub use connection::ConnectionConfig;
pub use deduplicate::{DeduplicateConfig, LateRows};
pub use enrich::{
    EnrichConfig, HttpFormat, HttpLookup, HttpTable, LookupBreaker, LookupCache, LookupFailure, LookupFile,
    LookupTable, MissingRows,
};
pub use join::{AsOfConfig, BetweenConfig, JoinConfig, JoinKind, JoinSpan};
pub use ordered::Named;
pub use output::{DeadLettersLimit, OutputEntry, RetryConfig};
pub use route::{MatchConfig, RouteConfig};
pub use rows::{
    BeginConfig, ClashConfig, EmptyConfig, ExplodeConfig, FlattenConfig, HashConfig, IntoConfig, JoinLinesConfig,
    KeyValueConfig, MaskConfig, OnFailureConfig, OverConfig, ParseConfig, ParseJsonConfig, ParseKind, PiiConfig,
    RateLimitConfig, SampleConfig,
};
pub use source::{FieldType, SourceEntry};
pub use state::{SnapshotsConfig, StateBackend, StateConfig};
pub use step::{Step, StepKind};
pub use time::{BoundedConfig, PeriodicConfig, PunctuatedConfig, TimeConfig, TimeText, WatermarkConfig};
pub use window::{
    CalendarConfig, CalendarUnit, EmitConfig, GlobalConfig, LateConfig, ModeConfig, SlidingConfig, Weekday,
    WindowConfig, WindowKind,
};
pub use workers::{KEY_GROUPS_MAX, WorkersConfig};

/// A pipeline: where records come from, what is done with them, and where the results go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PipelineConfig {
    /// The name of the pipeline: lower-case letters, digits, `-` and `_`, beginning with a letter.
    /// Its state, its metrics and its rows in the late and dead-letter tables carry it.
    #[schemars(extend("examples" = ["spark-logs"]))]
    pub name: String,
    /// How brokers are reached, by a name of your choice: said once for all sources and outputs that name it with `connection`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("examples" = [{ "shop": { "kafka": { "brokers": ["broker-1:9092"], "tls": {} } } }]))]
    pub connections: BTreeMap<String, ConnectionConfig>,
    /// Where records come from, by a name of your choice. Steps and outputs refer to these names with `from`.
    pub sources: BTreeMap<String, SourceEntry>,
    /// Which field is the event time and how far out of order it may come. Needed by windows. Default: the time of the
    /// format where it has one (`ts` of `spark_log`); else rows carry no event time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeConfig>,
    /// What is done with the rows, in this order. Each step takes the rows of the one before it unless it says `from`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
    /// Where results go. Each output takes the rows of the last step unless it says `from`.
    pub outputs: Vec<OutputEntry>,
    /// Where rows go whose windows are all closed, with how late they were and which window they missed.
    #[serde(default = "default_late")]
    pub late: OutputConfig,
    /// Where records go that could not be decoded or processed, with the reason, the position and the bytes.
    #[serde(default = "default_dead_letters")]
    pub dead_letters: OutputConfig,
    /// How many dead letters there may be before the pipeline waits; where they go to a table.
    #[serde(default, skip_serializing_if = "is_default_limit")]
    pub dead_letters_limit: DeadLettersLimit,
    /// How often results, positions and state are committed together. Shorter shows results sooner; longer costs less.
    #[serde(default = "default_epoch")]
    pub epoch: DurationText,
    /// How many threads read and decode, 1 to 64; one of them runs the steps too. Results do not depend on it, to the byte.
    /// Default: as many as there are processors, at most 4: one thread's steps keep up with about that many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 64))]
    pub tasks: Option<u32>,
    /// What the pipeline remembers: where that is kept, and what is done when it is damaged.
    #[serde(default, skip_serializing_if = "is_default")]
    pub state: StateConfig,
    /// Several processes that share the pipeline over Kafka. Default: one process runs all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<WorkersConfig>,
}

fn is_default(state: &StateConfig) -> bool {
    *state == StateConfig::default()
}

/// The most threads that read and decode for one pipeline: the steps run on one, which more could not be faster than.
pub const TASKS_MAX: u32 = 64;

/// The table that late rows go to when the pipeline does not say.
pub const LATE_TABLE: &str = "late_events";
/// The table that rejected records go to when the pipeline does not say.
pub const DEAD_LETTERS_TABLE: &str = "dead_letters";

fn default_late() -> OutputConfig {
    OutputConfig::table(LATE_TABLE)
}

fn default_dead_letters() -> OutputConfig {
    OutputConfig::table(DEAD_LETTERS_TABLE)
}

fn is_default_limit(limit: &DeadLettersLimit) -> bool {
    *limit == DeadLettersLimit::default()
}

fn default_epoch() -> DurationText {
    DurationText::secs(1)
}

impl PipelineConfig {
    /// Everything that is written to, with its path: the outputs, then those for late rows and for dead letters.
    pub(crate) fn all_outputs(&self) -> impl Iterator<Item = (String, &OutputConfig)> {
        let outputs =
            self.outputs.iter().enumerate().map(|(index, entry)| (format!("outputs[{index}]"), &entry.output));
        outputs.chain([("late".to_owned(), &self.late), ("dead_letters".to_owned(), &self.dead_letters)])
    }

    /// A pipeline that has a name and nothing else: every other key at its default.
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            connections: BTreeMap::new(),
            sources: BTreeMap::new(),
            time: None,
            steps: Vec::new(),
            outputs: Vec::new(),
            late: default_late(),
            dead_letters: default_dead_letters(),
            dead_letters_limit: DeadLettersLimit::default(),
            epoch: default_epoch(),
            tasks: None,
            state: StateConfig::default(),
            workers: None,
        }
    }
}
