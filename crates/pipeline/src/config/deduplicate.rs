//! A step that lets no row through twice: by which keys, and for how long they are remembered.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_model::DurationText;

/// A step that filters rows which equal one that went on before. The first that comes goes on, as it is. A row in which
/// one of the keys is null equals no other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeduplicateConfig {
    /// The columns (or SQL expressions) by which rows are equal.
    #[schemars(extend("examples" = [["event_id"]]))]
    pub by: Vec<String>,
    /// How far apart in event time equal rows must be for both to go on. Keys are remembered for two to three times as
    /// long, so that rows may come out of order by this.
    #[schemars(extend("examples" = ["10m"]))]
    pub within: DurationText,
    /// What becomes of rows whose event time is `within` or more behind the watermark.
    #[serde(default, skip_serializing_if = "LateRows::is_default")]
    pub late: LateRows,
    /// The most keys that are remembered at a time (about 70 bytes each). Rows that would make more go to the dead letters.
    #[serde(default = "default_keys_max", skip_serializing_if = "is_default_keys_max")]
    #[schemars(range(min = 1))]
    pub keys_max: u64,
}

/// What becomes of rows that come when the keys of their time are forgotten already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LateRows {
    /// They go to the late output.
    #[default]
    Aside,
    /// They go on unchecked, perhaps for the second time.
    Pass,
}

impl LateRows {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

const KEYS_MAX: u64 = 4_000_000;

fn default_keys_max() -> u64 {
    KEYS_MAX
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_default_keys_max(keys_max: &u64) -> bool {
    *keys_max == KEYS_MAX
}

impl DeduplicateConfig {
    /// Rows are equal by these columns if they are less than `within` apart; everything else at its default.
    pub fn by(columns: impl IntoIterator<Item = impl Into<String>>, within: DurationText) -> Self {
        let by = columns.into_iter().map(Into::into).collect();
        Self { by, within, late: LateRows::default(), keys_max: KEYS_MAX }
    }

    /// What becomes of rows that come too late.
    #[must_use]
    pub fn late(self, late: LateRows) -> Self {
        Self { late, ..self }
    }

    /// How many keys are remembered.
    #[must_use]
    pub fn keys_max(self, keys_max: u64) -> Self {
        Self { keys_max, ..self }
    }
}
