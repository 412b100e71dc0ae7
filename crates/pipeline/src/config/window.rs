//! A window step: which windows, by which keys, what is computed, when it is emitted.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use weir_model::DurationText;

use super::Named;
use crate::tagged;

/// A window step. Its rows are `window_start`, `window_end`, the keys, the aggregates, then `pane` (`early`, `on_time`
/// or `late`), `revision` (0 for the first result of a window) and `row_id` (the same for the same result, always).
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct WindowConfig {
    /// Which windows a row belongs to.
    #[serde(flatten)]
    pub kind: WindowKind,
    /// How far the windows' beginnings are shifted from whole multiples of their length since 1970-01-01T00:00:00Z.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[schemars(extend("default" = "0s"))]
    pub offset: DurationText,
    /// The columns to group by; one result per window and combination of their values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("examples" = [["app_id", "executor_id"]]))]
    pub by: Vec<String>,
    /// What is computed, by column name, in this order: SQL aggregates such as `count(*)`, `sum(x)`, `avg(x)`,
    /// `min(x)`, `max(x)` and `quantile(0.95, x)`.
    #[schemars(extend("examples" = [{ "errors": "count(*)" }]))]
    pub compute: Named,
    /// How long after its end a window still takes rows. Each such row corrects the result (`pane: late`, `revision`
    /// one higher); rows later than that go to the late output.
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
}

/// When a window's results are emitted besides its end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EmitConfig {
    /// Emit what there is so far this often while the window is open (`pane: early`). Default: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["10s"]))]
    pub early: Option<DurationText>,
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
