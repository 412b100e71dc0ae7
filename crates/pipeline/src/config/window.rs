//! A window step: which windows, by which keys, what is computed, when it is emitted.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use weir_model::DurationText;

use super::Named;
use crate::tagged;

/// A window step. Its rows are `window_start`, `window_end`, the keys, the aggregates, then `pane` (`early`, `on_time`
/// or `late`; of sessions also `retracted`), `revision` (0 for the first result of a window) and `row_id` (the same for the same result, always).
///
/// A window can take the results of a window: each is a row of the last instant of its window, and comes in time. Where
/// results may be replaced by others later (`lateness`, `emit.early`) they would be counted twice, and that is refused.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WindowConfig {
    /// Which windows a row belongs to.
    #[serde(flatten)]
    pub kind: WindowKind,
    /// How far the windows' beginnings are shifted from whole multiples of their length (of sliding windows: of their
    /// slide) since 1970-01-01T00:00:00Z. Of calendar windows: how much later, by the clock of their zone, they begin;
    /// with `6h` a day lasts from six to six.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(extend("default" = "0s"))]
    pub offset: DurationText,
    /// The columns to group by; one result per window and combination of their values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("examples" = [["app_id", "executor_id"]]))]
    pub by: Vec<String>,
    /// What is computed, by column name, in this order; each also with `FILTER (WHERE ...)`.
    ///
    /// `count(*)`, `count(x)`, `sum(x)`, `avg(x)`, `min(x)`, `max(x)`: exact, of floats rounded once, of decimals as
    /// decimals; null where the result does not fit.
    ///
    /// `quantile(0.95, x)` and `median(x)`: within 1% of the value.
    ///
    /// `variance(x)` and `stddev(x)`: of a sample.
    ///
    /// `first(x)` and `last(x)`: by event time.
    ///
    /// `count_distinct(x)`: exact; null of more than 10,000 distinct values in a group.
    ///
    /// `approx_distinct(x)`: exact up to 512, then with a standard error of 1.6%.
    ///
    /// `top_k(10, x)`: the most frequent values (up to 100), as a list of `{ value, count }`. Exact up to 1,000
    /// distinct values in a group. Beyond, a value that makes up 1% of the rows is missed once in 20,000 times, and no
    /// count is too low, nor (98 times in 100) too high by more than 0.14% of the rows.
    ///
    /// `bool_and(x)`, `bool_or(x)`, `bit_and(x)`, `bit_or(x)`, `bit_xor(x)`.
    ///
    /// `corr(y, x)`, `covar_pop(y, x)`, `covar_samp(y, x)`, `regr_slope(y, x)` and the other `regr_` functions of SQL,
    /// `var_pop(x)`, `stddev_pop(x)`: of these alone the last digits depend on how rows were cut into batches.
    ///
    /// Nulls are passed over. Functions whose result would depend on the order of rows, such as `array_agg`, do not exist.
    #[schemars(extend("examples" = [{ "errors": "count(*)" }]))]
    pub compute: Named,
    /// How long after its end a window still takes rows. They correct the result (`pane: late`, `revision` one higher)
    /// when `emit.late` says; rows later than that go to the late output.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(extend("default" = "0s"))]
    pub lateness: DurationText,
    /// When results are emitted besides the end of the window.
    #[serde(default, skip_serializing_if = "EmitConfig::is_default")]
    pub emit: EmitConfig,
}

/// The windows that a row belongs to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowKind {
    /// Windows of this length, one after the other, without gaps or overlap.
    #[schemars(extend("examples" = ["1m"]))]
    Tumbling(DurationText),
    /// Windows that overlap: each of the same length, one beginning every so often. A row counts in all that cover its
    /// time, and costs the same however many these are.
    #[schemars(extend("examples" = [{ "size": "1m", "slide": "10s" }]))]
    Sliding(SlidingConfig),
    /// Days, weeks, months and the like, one after the other, as the clocks of a place show them: where these are put
    /// forward or back, a day has 23 or 25 hours.
    #[schemars(extend("examples" = [{ "unit": "day", "zone": "Europe/Berlin" }]))]
    Calendar(CalendarConfig),
    /// One window that never ends, of each key on its own: it speaks by `emit.every_rows`, by `emit.early`, when a key is
    /// forgotten and when everything ends. Its `window_start` and `window_end` are the earliest and the latest event time
    /// of the rows in a result. No row is late for it.
    #[schemars(extend("examples" = [{ "forget_after": "1d" }]))]
    Global(GlobalConfig),
    /// Sessions: rows of a group that follow each other in less than this time, however long that goes on. A session is
    /// from its first row to this long after its last one, and a row at exactly that end begins the next.
    ///
    /// A row counts if it is no more than `lateness` behind its partition's watermark, or falls into a session of its own
    /// partition that has not ended by `lateness`; others go to the late output. So which rows count, and which sessions
    /// they make, does not depend on the order in which partitions are read. `row_id` is of the group and the session's
    /// first instant. Where a session that has spoken (`lateness`, `emit`) turns out to have begun earlier, or to be part
    /// of another, its result comes again with `pane: retracted` and nothing computed, just before the one that is right:
    /// a `where` on what is computed does not let that through unless it says so (`OR pane = 'retracted'`).
    #[schemars(extend("examples" = ["30m"]))]
    Session(DurationText),
}

impl WindowKind {
    /// How long each window is, if all are of one length.
    pub fn size(&self) -> Option<DurationText> {
        match self {
            Self::Tumbling(size) => Some(*size),
            Self::Sliding(sliding) => Some(sliding.size),
            Self::Calendar(_) | Self::Global(_) | Self::Session(_) => None,
        }
    }
}

/// Sliding windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlidingConfig {
    /// How long each window is.
    #[schemars(extend("examples" = ["1m"]))]
    pub size: DurationText,
    /// How far apart windows begin: at most `size`, and best a whole part of it. At most 10,000 windows may overlap.
    #[schemars(extend("examples" = ["10s"]))]
    pub slide: DurationText,
}

/// Windows of a calendar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CalendarConfig {
    /// What a window is.
    pub unit: CalendarUnit,
    /// Whose clock: a name of the IANA time zone database, whose rules up to the year 2100 are part of Weir.
    #[serde(default = "utc", skip_serializing_if = "is_utc")]
    #[schemars(extend("examples" = ["Europe/Berlin"], "default" = "UTC"))]
    pub zone: String,
    /// The first day of a week.
    #[serde(default, skip_serializing_if = "Weekday::is_default")]
    pub week_starts: Weekday,
}

/// A window that never ends.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GlobalConfig {
    /// A key is forgotten when event time is so far ahead of its latest row (or at most a sixteenth of this further); what
    /// it has not said yet it says then, with `pane: on_time`. Default: never, so that the number of keys is the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["1d"]))]
    pub forget_after: Option<DurationText>,
}

/// A unit of the calendar. It begins at the first instant at which the clock shows its beginning or, where the clock was
/// put forward over that, more; a date that was skipped has no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CalendarUnit {
    /// From a full hour to the next. An hour that a clock shows twice is two windows.
    Hour,
    /// From midnight to midnight.
    Day,
    /// Seven days, from Monday unless `week_starts` says otherwise.
    Week,
    /// From the first day of a month.
    Month,
    /// Three months, from January, April, July and October.
    Quarter,
    /// From 1 January.
    Year,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weekday {
    /// As ISO 8601 has it.
    #[default]
    Monday,
    /// The second day of ISO 8601.
    Tuesday,
    /// The third.
    Wednesday,
    /// The fourth.
    Thursday,
    /// The fifth.
    Friday,
    /// The sixth.
    Saturday,
    /// The seventh.
    Sunday,
}

impl Weekday {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

fn is_utc(zone: &str) -> bool {
    zone == "UTC"
}

/// When a window's results are emitted besides its end (`pane: on_time`), and what of earlier ones they contain. Whatever is
/// said here, rows of the result with the same `row_id` replace each other (the highest `revision` stands), and rows with
/// different ones add up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EmitConfig {
    /// Emit the groups that have changed this often (by the clock, not by event time) while the window is open.
    /// Default: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["10s"]))]
    pub early: Option<DurationText>,
    /// The same each time that the step has taken so many rows, of all groups and windows together.
    /// Default: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("examples" = [10_000]))]
    pub early_rows: Option<u64>,
    /// Of a global window: emit a key with every so many rows of its own, at exactly that row (`pane: early`).
    /// Default: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1), extend("examples" = [100]))]
    pub every_rows: Option<u64>,
    /// When rows that come within the `lateness` of a window that has fired are emitted (`pane: late`): so long, in event
    /// time, they are collected, or `immediately`: with each such row its group is emitted again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("default" = "10s"))]
    pub late: Option<LateConfig>,
    /// What of earlier results of a window a later one contains.
    #[serde(skip_serializing_if = "ModeConfig::is_default")]
    pub mode: ModeConfig,
}

/// What of earlier results of a window a later one contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModeConfig {
    /// All rows so far: a result replaces the one with the same `row_id` and a lower `revision`.
    #[default]
    Accumulating,
    /// Only what came since the window's last result: every result has a `row_id` of its own, and sums and counts of all
    /// add up. A window with nothing new says nothing at its end.
    Discarding,
}

impl ModeConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// When late rows are emitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LateConfig {
    /// Each at once.
    Immediately,
    /// Collected for so long, in event time.
    Every(DurationText),
}

const LATE_EXPECTED: &str = "`immediately`, or a length of time such as 10s";

impl FromStr for LateConfig {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "immediately" => Ok(Self::Immediately),
            text => text.parse().map(Self::Every).map_err(|_| format!("\"{text}\" is not {LATE_EXPECTED}")),
        }
    }
}

impl fmt::Display for LateConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Immediately => f.write_str("immediately"),
            Self::Every(every) => every.fmt(f),
        }
    }
}

impl Serialize for LateConfig {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LateConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LateVisitor;
        impl Visitor<'_> for LateVisitor {
            type Value = LateConfig;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(LATE_EXPECTED)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<LateConfig, E> {
                text.parse().map_err(|_| E::invalid_value(Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_str(LateVisitor)
    }
}

impl JsonSchema for LateConfig {
    fn schema_name() -> Cow<'static, str> {
        "LateConfig".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "examples": ["immediately", "10s"], "description": LATE_EXPECTED })
    }
}

impl EmitConfig {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn is_zero(duration: &DurationText) -> bool {
    duration.delta().micros() == 0
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherKeys {
    #[serde(default)]
    offset: DurationText,
    #[serde(default)]
    by: Vec<String>,
    compute: Named,
    #[serde(default)]
    lateness: DurationText,
    #[serde(default)]
    emit: EmitConfig,
}

impl WindowConfig {
    /// Its keys in the order of the reference page.
    pub(crate) fn keys() -> Vec<&'static str> {
        tagged::keys::<WindowKind, OtherKeys>()
    }
}

impl<'de> Deserialize<'de> for WindowConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (kind, OtherKeys { offset, by, compute, lateness, emit }) = tagged::deserialize(deserializer)?;
        Ok(Self { kind, offset, by, compute, lateness, emit })
    }
}
