//! What to compute: a pipeline as the engine takes it. It is data alone, and knows nothing of files or YAML.

use chrono::Weekday;
use weir_model::{TimeDelta, TimeZone};

pub use crate::operator::RowsPlan;
use crate::operator::{DeduplicatePlan, EnrichPlan, JoinPlan};

/// A pipeline: sources feed nodes, nodes feed nodes, and outputs take from any of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The pipeline's name; part of every result's id.
    pub pipeline: String,
    /// How event time is told; without it only `where` and `select` are possible.
    pub time: Option<TimePlan>,
    /// The names of the sources.
    pub sources: Vec<String>,
    /// The steps, each after those that it takes from.
    pub nodes: Vec<Node>,
    /// Where results leave.
    pub outputs: Vec<Output>,
    /// What may not grow without bound.
    pub limits: Limits,
}

/// How event time is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimePlan {
    /// How a partition's watermark follows its records.
    pub watermark: WatermarkPlan,
    /// A partition that is caught up and silent for so long (processing time) no longer holds event time back.
    pub idle_after: TimeDelta,
    /// A record whose event time is further ahead of the last tick than this is rejected and moves nothing.
    pub future_limit: TimeDelta,
    /// A partition whose watermark is further ahead than this of the slowest that holds event time back is paused
    /// ([`crate::Effect::Pause`]) until it is not, so that few windows are open at a time. One that was not read yet
    /// is behind all others. `None`: nobody is paused.
    pub max_drift: Option<TimeDelta>,
}

/// How a partition's watermark follows its records: never batches or the clock, so that a replay tells the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatermarkPlan {
    /// The latest event time of the partition less `delay`: a row may be so much out of order and still be on time.
    Bounded {
        /// How far out of order rows may be.
        delay: TimeDelta,
    },
    /// The same, down to the next multiple of `every` (event time, since the epoch): it moves in steps, at the first
    /// row that lies `delay` or more beyond one. A row may be up to `delay + every` out of order and still be on time.
    Periodic {
        /// How far out of order rows may be in any case.
        delay: TimeDelta,
        /// How far apart the watermarks are.
        every: TimeDelta,
    },
    /// Only rows for which the condition is true move it: it is the latest of their event times less `delay`. Nothing is
    /// said by the event times of other rows, nor where the condition is null. A row for which it cannot be computed is
    /// rejected. Until the first row that carries a watermark the partition holds time back like one that was not read.
    Punctuated {
        /// The condition, over the columns of the source, as SQL text.
        condition: String,
        /// How far behind the event times of such rows other rows may come.
        delay: TimeDelta,
    },
}

/// Where a node or an output takes its rows from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Upstream {
    /// One source, by its index.
    Source(usize),
    /// Every source.
    AllSources,
    /// An earlier node, by its index.
    Node(usize),
}

impl Plan {
    /// How far behind the watermark of its sources each node's is, in microseconds.
    pub(crate) fn holds(&self) -> Vec<i64> {
        let mut holds: Vec<i64> = Vec::new();
        for node in &self.nodes {
            let given = node.inputs().into_iter().map(|from| match from {
                Upstream::Source(_) | Upstream::AllSources => 0,
                Upstream::Node(index) => holds[index].saturating_add(self.nodes[index].operator.holds_back()),
            });
            let hold = given.max().unwrap_or(0);
            holds.push(hold);
        }
        holds
    }

    /// Whether rows from there were made by a step, which has settled the balance of those that it took.
    pub(crate) fn is_made(&self, from: Upstream) -> bool {
        match from {
            Upstream::Source(_) | Upstream::AllSources => false,
            Upstream::Node(index) => {
                let node = &self.nodes[index];
                node.operator.makes_rows() || self.is_made(node.from)
            }
        }
    }
}

/// A step of the pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name, unique in the pipeline.
    pub name: String,
    /// Where its rows come from.
    pub from: Upstream,
    /// What it does with them.
    pub operator: OperatorPlan,
}

impl Node {
    /// Where its rows come from, by port.
    #[must_use]
    pub fn inputs(&self) -> Vec<Upstream> {
        match &self.operator {
            OperatorPlan::Join(join) => vec![self.from, join.with],
            OperatorPlan::Where(_)
            | OperatorPlan::Select(_)
            | OperatorPlan::Rows(_)
            | OperatorPlan::Window(_)
            | OperatorPlan::Deduplicate(_)
            | OperatorPlan::Enrich(_) => vec![self.from],
        }
    }
}

/// What a step does. Expressions are text, compiled for each schema by the [`weir_model::Compiler`].
#[derive(Clone, Debug, PartialEq)]
pub enum OperatorPlan {
    /// Keeps the rows for which the expression is true; the others are filtered, also where it is null.
    Where(String),
    /// Replaces the columns by these: name and expression.
    Select(Vec<(String, String)>),
    /// Looks at rows one after the other.
    Rows(RowsPlan),
    /// Groups rows by time and keys.
    Window(WindowPlan),
    /// Lets rows with equal keys through once in a while.
    Deduplicate(DeduplicatePlan),
    /// Looks rows up in a table.
    Enrich(EnrichPlan),
    /// Pairs the rows of two streams.
    Join(JoinPlan),
}

impl OperatorPlan {
    /// Whether it hears how event time goes on, and cannot be without it.
    pub(crate) fn waits_for_time(&self) -> bool {
        match self {
            Self::Where(_) | Self::Select(_) | Self::Enrich(_) => false,
            Self::Rows(rows) => rows.waits(),
            Self::Window(_) | Self::Deduplicate(_) | Self::Join(_) => true,
        }
    }

    /// Whether it makes rows of its own out of those that it takes, and settles the balance of these.
    pub(crate) fn makes_rows(&self) -> bool {
        match self {
            Self::Where(_) | Self::Select(_) | Self::Rows(_) | Self::Deduplicate(_) | Self::Enrich(_) => false,
            Self::Window(_) | Self::Join(_) => true,
        }
    }

    /// Whether what it does with a row depends on rows with equal keys, of whatever partition.
    pub(crate) fn is_keyed(&self) -> bool {
        match self {
            Self::Where(_) | Self::Select(_) | Self::Rows(_) | Self::Enrich(_) => false,
            Self::Window(_) | Self::Deduplicate(_) | Self::Join(_) => true,
        }
    }

    /// How far behind the watermark the event time of rows that it makes may be, in microseconds.
    pub(crate) fn holds_back(&self) -> i64 {
        match self {
            Self::Join(join) => join.holds_back(),
            Self::Where(_)
            | Self::Select(_)
            | Self::Rows(_)
            | Self::Window(_)
            | Self::Deduplicate(_)
            | Self::Enrich(_) => 0,
        }
    }

    /// Whether a row may have to wait for those that follow it in its partition.
    pub(crate) fn waits_for_rows(&self) -> bool {
        if let Self::Rows(rows) = self { rows.waits() } else { false }
    }
}

/// A window: which span of time, by what, computing what, and when it speaks.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowPlan {
    /// Which spans of event time.
    pub window: WindowKind,
    /// The keys, as expressions; each is also the name of its column.
    pub by: Vec<String>,
    /// What is computed of each group.
    pub compute: Vec<AggregatePlan>,
    /// For how long after its end (event time) a window still takes rows.
    pub lateness: TimeDelta,
    /// When results are emitted, besides once the watermark has passed the window's end.
    pub emit: EmitPlan,
}

impl WindowPlan {
    /// Why results may be replaced by others of the same window while sources go on, if they may.
    #[must_use]
    pub fn revises(&self) -> Option<&'static str> {
        if let WindowKind::Global(_) = self.window {
            return Some("a global window never ends");
        }
        match (self.emit.early_every.is_some() || self.emit.early_rows.is_some(), self.lateness > TimeDelta::ZERO) {
            (true, _) => Some("early results"),
            (false, true) => Some("lateness"),
            (false, false) => None,
        }
    }
}

/// Which spans of event time a window covers. A window contains its start and not its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WindowKind {
    /// One span after the other, each `size` long, beginning at `offset` after the epoch.
    Tumbling {
        /// How long a window is.
        size: TimeDelta,
        /// How far the windows are shifted from multiples of `size`.
        offset: TimeDelta,
    },
    /// Overlapping spans, each `size` long, one beginning every `slide`. A row is in every window that covers its time;
    /// one that is late for some of them counts in the others and is not late. State is kept per pane (the greatest
    /// common divisor of `size` and `slide`), so that a row costs the same however many windows overlap. In the balance
    /// a row is a result once the first of its windows has fired.
    Sliding {
        /// How long a window is.
        size: TimeDelta,
        /// How far apart windows begin; not longer than `size`, and not shorter than a 100,000th of it.
        slide: TimeDelta,
        /// How far the windows are shifted from multiples of `slide`.
        offset: TimeDelta,
    },
    /// One span of a calendar after the other, as a clock in `zone` shows it: a day across a change of the clock has 23
    /// or 25 hours, and a date that was skipped has no window. A span begins at the first instant at which the clock
    /// shows its beginning or more.
    Calendar {
        /// Which spans.
        unit: CalendarUnit,
        /// Whose clock.
        zone: TimeZone,
        /// How much later, by that clock, each span begins: a business day from 6 to 6. Shorter than a day, and than an
        /// hour where the unit is one.
        offset: TimeDelta,
    },
    /// All of time. Each key speaks on its own; `window_start` and `window_end` are the earliest and the latest event time
    /// of the rows in a result. No row is late.
    Global(GlobalPlan),
    /// Rows of one key, each less than `gap` after the one before it. A session is `[first, last + gap)` and fires when the
    /// watermark has passed its end; a row at exactly `last + gap` begins the next one.
    ///
    /// A row counts if it lies no more than the lateness behind the watermark of its own partition before it, or falls
    /// into a session of its own partition (its key's rows there) whose end that watermark has not passed by the lateness.
    /// Every other row is late. Sessions are what the rows that count make of themselves, however partitions interleave.
    /// A session that has fired and turns out to have begun earlier, or to be part of another, retracts its result
    /// (`pane: retracted`, the next revision of its `row_id`, nothing computed) before the one that is right.
    Session {
        /// How long there is nothing between two sessions of a key.
        gap: TimeDelta,
    },
}

/// A window that never ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GlobalPlan {
    /// A key speaks (`pane: early`) with every so many rows of its own, at exactly that row however batches are cut.
    pub every_rows: Option<u64>,
    /// A key is forgotten when the watermark is so far ahead of its latest row, or at most a sixteenth of it further; rows
    /// that no results contain are emitted then (`on_time`). Without it only the limit of groups bounds the state.
    pub forget_after: Option<TimeDelta>,
}

/// A unit of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalendarUnit {
    /// From a full hour to the next: shorter or longer where the clock is changed by less than an hour.
    Hour,
    /// From midnight to midnight.
    Day,
    /// Seven days.
    Week {
        /// The first of them; Monday in ISO 8601.
        starts: Weekday,
    },
    /// From the first day of a month.
    Month,
    /// Three months, from January, April, July and October.
    Quarter,
    /// From 1 January.
    Year,
}

/// When a window emits besides on time, and what an emission contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmitPlan {
    /// What of earlier emissions a later one contains.
    pub mode: EmitMode,
    /// When rows that reach a window which event time has passed are emitted.
    pub late: LateEmit,
    /// Every so often (processing time: at the first tick in each multiple of this), windows that event time has not
    /// passed emit the groups that have changed since they last did, with all their rows so far and `pane: early`. The
    /// rows then count as results. Once event time has passed the window, all of its groups are emitted (`on_time`).
    pub early_every: Option<TimeDelta>,
    /// The same after every so many rows that the window node has taken, of all groups and windows together: at exactly
    /// that row, however batches are cut.
    pub early_rows: Option<u64>,
}

impl Default for EmitPlan {
    fn default() -> Self {
        let late = LateEmit::Every(TimeDelta::from_secs(10));
        Self { mode: EmitMode::Accumulating, late, early_every: None, early_rows: None }
    }
}

/// What of a window's earlier emissions a later one contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmitMode {
    /// All of its groups' rows so far: a row of the result replaces the one before with the same `row_id`, which has a
    /// lower `revision`.
    Accumulating,
    /// Only what came since the window's last emission: what it emits adds up, and every row of the result has a `row_id`
    /// of its own. A window with nothing new says nothing, also when event time passes it. What a tumbling or calendar
    /// window has said is no longer kept.
    Discarding,
}

/// When rows that reach a window which event time has passed are emitted. Both are decided by event time and rows alone,
/// so that a replay emits the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LateEmit {
    /// They are collected, and the groups they touch are emitted again when the watermark passes the next multiple of
    /// this (at most the size of the window), or the window is dropped.
    Every(TimeDelta),
    /// With each such row its group is emitted again, in every window that event time has passed and that takes the row.
    Immediately,
}

/// One aggregate of a window.
#[derive(Clone, Debug, PartialEq)]
pub struct AggregatePlan {
    /// The name of its column.
    pub name: String,
    /// What is computed.
    pub function: Aggregate,
    /// Of which expression; only `count` may go without, and then counts rows.
    pub argument: Option<String>,
    /// Only of rows for which this expression is true.
    pub filter: Option<String>,
}

/// An aggregate function. Nulls are not values: every function passes over them.
#[derive(Clone, Debug, PartialEq)]
pub enum Aggregate {
    /// How many rows, or how many values that are not null. `Int64`.
    Count,
    /// The exact sum, rounded once at the end: `Int64` of integers, `Float64` of floats, a decimal of 38 digits of
    /// decimals; null if it does not fit.
    Sum,
    /// The exact sum divided by the count. `Float64`; of decimals a decimal with four places more.
    Avg,
    /// The smallest value, of the argument's type.
    Min,
    /// The largest value, of the argument's type.
    Max,
    /// The value below which this part (0 to 1) of the values lies, with a relative error of at most 1%. `Float64`.
    Quantile(f64),
    /// The variance of a sample (divided by one less than the count); null of fewer than two values. `Float64`.
    Variance,
    /// The square root of [`Aggregate::Variance`]. `Float64`.
    Stddev,
    /// The value with the earliest event time, of the argument's type; of several at that time the smallest.
    First,
    /// The value with the latest event time, of the argument's type; of several at that time the largest.
    Last,
    /// How many distinct values. `Int64`; null of more than 10,000 in one group.
    CountDistinct,
    /// About how many distinct values: exact up to 512, then with a standard error of 1.6%. `Int64`.
    ApproxDistinct,
    /// The so many most frequent values (1 to 100) with their counts: a list of objects with a `value` and a `count`, the
    /// most frequent first. Exact up to 1,000 distinct values in a group. Beyond, a value that makes up 1% of the rows
    /// is missed once in 20,000 times, and no count is too low, nor (98 times in 100) too high by more than 0.14% of
    /// the rows.
    TopK(u32),
    /// An aggregate that the [`weir_model::Compiler`] brings.
    Other {
        /// Its name.
        name: String,
        /// All of its arguments, as expressions; [`AggregatePlan::argument`] is empty.
        arguments: Vec<String>,
    },
}

impl Aggregate {
    /// Its name, as errors show it.
    pub fn name(&self) -> &str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::Quantile(_) => "quantile",
            Self::Variance => "variance",
            Self::Stddev => "stddev",
            Self::First => "first",
            Self::Last => "last",
            Self::CountDistinct => "count_distinct",
            Self::ApproxDistinct => "approx_distinct",
            Self::TopK(_) => "top_k",
            Self::Other { name, .. } => name,
        }
    }
}

impl AggregatePlan {
    /// The expressions of its arguments.
    pub fn arguments(&self) -> &[String] {
        match &self.function {
            Aggregate::Other { arguments, .. } => arguments,
            _ => self.argument.as_slice(),
        }
    }
}

/// A place where results leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its name.
    pub name: String,
    /// Where its rows come from.
    pub from: Upstream,
}

/// What may not grow without bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Groups (a window and its keys) that one window node holds at a time; rows that would make more are rejected.
    pub groups_per_node: usize,
    /// Runs that one pane holds at a time; more are merged into one.
    pub runs_per_pane: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { groups_per_node: 1_000_000, runs_per_pane: 8 }
    }
}
