//! A copy of what one pipeline is doing, in the shape of `GET /api/v1/pipelines`. Plain values; it knows no pipeline.

use serde::{Serialize, Serializer};
use weir_model::{Balance, Epoch, EventTime, Guarantee, Offset, PartitionId, ProcessingTime, Watermark};

/// How many partitions a status lists; the others are counted only.
pub const PARTITIONS_SHOWN_MAX: usize = 1_000;

/// How many different troubles of a pipeline are kept; the oldest go first.
pub const TROUBLE_KEPT_MAX: usize = 32;

/// What a pipeline as a whole is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PipelineState {
    /// Restoring state and opening sources and sinks.
    Starting,
    /// Reading, or waiting for more to read.
    Running,
    /// All its sources have ended and everything is committed.
    Finished,
    /// It gave up; the error says why.
    Failed,
    /// It was told to stop, and did so after a last commit.
    Stopped,
}

/// What a pipeline is doing with one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartitionState {
    /// There is more to read than was read.
    Reading,
    /// Not read for now, because it is too far ahead of the others in event time.
    Paused,
    /// At its end, for now.
    CaughtUp,
    /// At its end for so long that it does not hold back time any more.
    Idle,
    /// Nothing more will ever come from it.
    Finished,
}

impl PartitionState {
    /// Every state, in the order of a partition's life.
    pub const ALL: [Self; 5] = [Self::Reading, Self::Paused, Self::CaughtUp, Self::Idle, Self::Finished];

    /// The state as it is written in JSON and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Paused => "paused",
            Self::CaughtUp => "caught_up",
            Self::Idle => "idle",
            Self::Finished => "finished",
        }
    }
}

/// Where a pipeline is with one partition.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PartitionStatus {
    /// The partition.
    pub id: PartitionId,
    /// What people know it by: the path of a file, the topic and number of a log.
    pub origin: String,
    /// Rows taken from it since the pipeline started here.
    pub rows: u64,
    /// How many per second, over the last seconds.
    pub rows_per_second: f64,
    /// Where reading goes on.
    pub offset: Offset,
    /// Where the partition ends, as far as its source has heard; null where a source does not say it.
    pub end: Option<Offset>,
    /// How many offsets lie between: those of aborted records and of markers count too.
    pub lag: Option<u64>,
    /// Its own watermark; null in JSON when there is none yet or nothing more will come.
    #[serde(serialize_with = "watermark_text")]
    pub watermark: Watermark,
    /// What is being done with it.
    pub state: PartitionState,
}

/// Where a pipeline is with one output.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct OutputStatus {
    /// The output's name.
    pub name: String,
    /// What it is: `table`, `file`, `stdout`.
    pub kind: String,
    /// What it promises about every row.
    pub guarantee: Guarantee,
    /// Rows given to it, revisions included: what was written, not what was counted.
    pub rows_written: u64,
    /// What became of the rows on the way to it.
    pub balance: Balance,
    /// Whether the conservation law holds for that balance.
    pub holds: bool,
    /// Rows among those written that it will never take; they are in the dead letters.
    pub rows_rejected: u64,
}

/// An output that takes no rows now: the pipeline waits with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OutputWaiting {
    /// Its name; `late` and `dead_letters` are outputs too.
    pub output: String,
    /// Since when.
    #[serde(serialize_with = "as_text")]
    pub since: ProcessingTime,
    /// When it is tried next; null while a try is on its way.
    #[serde(serialize_with = "maybe_as_text")]
    pub next_try: Option<ProcessingTime>,
    /// How many tries have failed since then.
    pub failures: u32,
    /// What the last one said.
    pub error: String,
}

/// Something that went wrong without stopping the pipeline; the same thing again only counts up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trouble {
    /// When it last happened.
    #[serde(serialize_with = "as_text")]
    pub at: ProcessingTime,
    /// What happened, where, and what would be right.
    pub message: String,
    /// How often it happened.
    pub times: u64,
}

/// Where a pipeline is with one step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StepStatus {
    /// The step's name.
    pub name: String,
    /// How far event time has come for it; null in JSON before any has, and for a step that does not wait for it.
    #[serde(serialize_with = "maybe_watermark_text")]
    pub watermark: Option<Watermark>,
    /// Rows that it has taken and no results contain yet.
    pub open_rows: u64,
    /// About how many bytes it holds in memory.
    pub state_bytes: u64,
    /// Groups that it holds: a key in a pane.
    pub groups: u64,
    /// Panes that have rows.
    pub panes: u64,
    /// The window that fires next: once the watermark has reached its end.
    pub next_window: Option<WindowSpan>,
}

/// A span of event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WindowSpan {
    /// Its beginning.
    #[serde(serialize_with = "event_time_text")]
    pub start: EventTime,
    /// Its end, which is not in it.
    #[serde(serialize_with = "event_time_text")]
    pub end: EventTime,
}

/// How long threads worked, by stage, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct BusySeconds {
    /// Bytes became columns.
    pub decode: f64,
    /// Steps and windows.
    pub engine: f64,
    /// Results were written.
    pub sink: f64,
}

/// What one pipeline is doing.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PipelineStatus {
    /// Its name.
    pub name: String,
    /// What it is doing as a whole.
    pub state: PipelineState,
    /// Why it failed.
    pub error: Option<String>,
    /// When it started here.
    #[serde(serialize_with = "as_text")]
    pub started_at: ProcessingTime,
    /// Records read per second over the last five seconds.
    pub rows_per_second: f64,
    /// Bytes read per second over the last five seconds.
    pub bytes_per_second: f64,
    /// Records read since it started here.
    pub rows_read: u64,
    /// Bytes read since it started here.
    pub bytes_read: u64,
    /// How many bytes there are to read in all, where that is known.
    pub bytes_total: Option<u64>,
    /// The last committed epoch.
    pub epoch: Epoch,
    /// When it was committed.
    #[serde(serialize_with = "maybe_as_text")]
    pub last_commit_at: Option<ProcessingTime>,
    /// The pipeline's watermark; null in JSON when there is none yet or nothing more will come.
    #[serde(serialize_with = "watermark_text")]
    pub watermark: Watermark,
    /// The partition that holds it back.
    pub watermark_holder: Option<PartitionId>,
    /// How many bytes its state holds in memory.
    pub state_bytes: u64,
    /// How long its threads have worked.
    pub busy_seconds: BusySeconds,
    /// Its steps, in the order of the pipeline.
    pub steps: Vec<StepStatus>,
    /// How many partitions it has; [`PARTITIONS_SHOWN_MAX`] of them are listed.
    pub partitions_total: usize,
    /// Its partitions, by id.
    pub partitions: Vec<PartitionStatus>,
    /// Its outputs, in the order of the pipeline.
    pub outputs: Vec<OutputStatus>,
    /// The outputs that take no rows now, by name.
    pub waiting: Vec<OutputWaiting>,
    /// What went wrong without stopping it, newest first.
    pub trouble: Vec<Trouble>,
}

fn as_text<S: Serializer>(time: &ProcessingTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn maybe_as_text<S: Serializer>(time: &Option<ProcessingTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

fn event_time_text<S: Serializer>(time: &EventTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn maybe_watermark_text<S: Serializer>(watermark: &Option<Watermark>, serializer: S) -> Result<S::Ok, S::Error> {
    watermark_text(&watermark.unwrap_or(Watermark::UNKNOWN), serializer)
}

/// The two ends of time are no dates that anyone could show.
fn watermark_text<S: Serializer>(watermark: &Watermark, serializer: S) -> Result<S::Ok, S::Error> {
    match *watermark {
        Watermark::UNKNOWN | Watermark::END => serializer.serialize_none(),
        at => serializer.collect_str(&at.time()),
    }
}
