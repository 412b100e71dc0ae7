//! A step that pairs the rows of two streams: which, by what, and how close in time.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use weir_model::DurationText;

use super::Named;
use crate::tagged;

/// A step that pairs rows of two streams whose keys are equal and whose event times lie close to each other. The left rows
/// are those that the step takes as any step does (`from`, or the step before it), the right ones are those of `with`. A
/// pair has the left row's columns and the right row's, these with a prefix before their names; its event time, as far as
/// later windows go, is the later of the two. With `as_of` the right stream is a table, and each left row gets at most one of
/// its rows.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct JoinConfig {
    /// The source or earlier step whose rows are the right ones.
    #[schemars(extend("examples" = ["payments"]))]
    pub with: String,
    /// What must be equal: columns (or SQL expressions) of the left row, each with that of the right row. Null equals
    /// nothing.
    #[schemars(extend("examples" = [{ "order_id": "order_id" }]))]
    pub on: Named,
    /// How close in event time the two rows must be.
    #[serde(flatten)]
    pub span: JoinSpan,
    /// What becomes of left rows that find no partner. Right ones are filtered.
    #[serde(default, skip_serializing_if = "JoinKind::is_default")]
    pub kind: JoinKind,
    /// How far behind the watermark a row may be and still find partners; rows later than that go to the late output.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(extend("default" = "0s"))]
    pub lateness: DurationText,
    /// What stands before the names of the right row's columns. Default: the name of the right stream and `_`, so that the
    /// column `amount` of `payments` is `payments_amount`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["paid_"]))]
    pub prefix: Option<String>,
    /// The most rows of both sides that are held at a time. Rows that would be more go to the dead letters. With `as_of`: left
    /// rows that wait, and rows of the table, of which the last one of each key and those that are newer than the watermark
    /// are held.
    #[serde(default = "default_rows_max", skip_serializing_if = "is_default_rows_max")]
    #[schemars(range(min = 1))]
    pub rows_max: u64,
}

/// How close in event time rows must be to make a pair.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JoinSpan {
    /// At most so far apart, whichever is the earlier.
    #[schemars(extend("examples" = ["5m"]))]
    Within(DurationText),
    /// The right one at most so much earlier and so much later than the left one.
    #[schemars(extend("examples" = [{ "before": "0s", "after": "5m" }]))]
    Between(BetweenConfig),
    /// Both in one of the windows of this length that follow each other from 1970-01-01T00:00:00Z.
    #[schemars(extend("examples" = ["10s"]))]
    Tumbling(DurationText),
    /// The right stream is a table (a temporal join): each of its rows holds from its event time until the next one of its
    /// key, and each left row gets the one that held at its own event time, once the watermark of both has passed that.
    /// `as_of: {}` for the defaults.
    #[schemars(extend("examples" = [{ "ttl": "30d", "deleted": "op = 'd'" }]))]
    AsOf(AsOfConfig),
}

/// For how long the row of a table holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AsOfConfig {
    /// How long after its event time a row of the table holds at most. Without it the last row of each key is kept for ever,
    /// and the number of keys is bounded by `rows_max` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["30d"]))]
    pub ttl: Option<DurationText>,
    /// A condition (SQL) over the columns of a row of the table: where it is true, the table has no row of this key from its
    /// event time on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["op = 'd'"]))]
    pub deleted: Option<String>,
}

/// How much earlier and later than the left row the right one may be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BetweenConfig {
    /// How much earlier.
    pub before: DurationText,
    /// How much later.
    pub after: DurationText,
}

/// What becomes of left rows that find no partner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum JoinKind {
    /// They are filtered.
    #[default]
    Inner,
    /// They go on once no partner can come any more, with nulls in the right row's columns.
    Left,
}

impl JoinKind {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

const ROWS_MAX: u64 = 1_000_000;

fn default_rows_max() -> u64 {
    ROWS_MAX
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_default_rows_max(rows_max: &u64) -> bool {
    *rows_max == ROWS_MAX
}

fn is_zero(duration: &DurationText) -> bool {
    duration.delta().micros() == 0
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherKeys {
    with: String,
    on: Named,
    #[serde(default)]
    kind: JoinKind,
    #[serde(default)]
    lateness: DurationText,
    #[serde(default)]
    prefix: Option<String>,
    #[serde(default = "default_rows_max")]
    rows_max: u64,
}

impl<'de> Deserialize<'de> for JoinConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (span, OtherKeys { with, on, kind, lateness, prefix, rows_max }) = tagged::deserialize(deserializer)?;
        Ok(Self { with, on, span, kind, lateness, prefix, rows_max })
    }
}

impl JoinConfig {
    /// Its keys in the order of the reference page.
    pub(crate) fn keys() -> Vec<&'static str> {
        tagged::keys::<JoinSpan, OtherKeys>()
    }

    /// A join with the rows of this source or step; what must be equal is said next.
    pub fn with(with: impl Into<String>, span: JoinSpan) -> Self {
        Self {
            with: with.into(),
            on: Named::default(),
            span,
            kind: JoinKind::default(),
            lateness: DurationText::default(),
            prefix: None,
            rows_max: ROWS_MAX,
        }
    }

    /// Adds what must be equal: of the left row and of the right one.
    #[must_use]
    pub fn on(mut self, left: impl Into<String>, right: impl Into<String>) -> Self {
        self.on.push(left, right);
        self
    }

    /// Lets left rows without a partner go on.
    #[must_use]
    pub fn left(self) -> Self {
        Self { kind: JoinKind::Left, ..self }
    }

    /// How far behind the watermark a row may be.
    #[must_use]
    pub fn lateness(self, lateness: DurationText) -> Self {
        Self { lateness, ..self }
    }

    /// What stands before the names of the right row's columns.
    #[must_use]
    pub fn prefix(self, prefix: impl Into<String>) -> Self {
        Self { prefix: Some(prefix.into()), ..self }
    }

    /// How many rows are held.
    #[must_use]
    pub fn rows_max(self, rows_max: u64) -> Self {
        Self { rows_max, ..self }
    }

    /// What stands before the names of the right row's columns, as it is meant.
    pub fn column_prefix(&self) -> String {
        self.prefix.clone().unwrap_or_else(|| format!("{}_", self.with))
    }
}
