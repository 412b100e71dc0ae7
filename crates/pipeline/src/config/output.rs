//! One output of a pipeline: what kind it is, whose rows it takes, what it is called.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use weir_deliver::OutputConfig;
use weir_model::{BackoffConfig, ByteSize, DurationText};

use crate::tagged;

/// An output: exactly one kind (`table`, `file`, `stdout`, `kafka` or `http`).
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OutputEntry {
    /// Where the rows go.
    #[serde(flatten)]
    pub output: OutputConfig,
    /// The step or source whose rows are written. Default: the last step; without steps, all sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["logs"]))]
    pub from: Option<String>,
    /// What this output is called in metrics and messages. Default: derived from what it writes to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How long it is waited for when it takes no rows: the pipeline waits with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = [{ "give_up_after": "1h" }]))]
    pub retry: Option<RetryConfig>,
}

/// How long an output is waited for when it takes no rows. The pauses between two tries grow from `first` to `max`; how long
/// each one really is, is drawn by lot, so that those who failed together do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    /// The longest pause after the first failure; it doubles with every further one.
    pub first: DurationText,
    /// The longest pause of all.
    pub max: DurationText,
    /// So long after the first failure it is given up: `weir run` ends with an error, `weir up` starts the pipeline again from
    /// its last commit and goes on waiting. Nothing is lost either way.
    pub give_up_after: DurationText,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { first: DurationText::millis(100), max: DurationText::secs(10), give_up_after: DurationText::secs(600) }
    }
}

impl RetryConfig {
    /// What is done accordingly.
    pub fn backoff(self) -> BackoffConfig {
        BackoffConfig { first: self.first.std(), max: self.max.std(), give_up_after: self.give_up_after.std() }
    }
}

/// How many dead letters their table holds at most. When it is full the pipeline waits, until letters were given again or
/// deleted: nothing is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeadLettersLimit {
    /// So many rows.
    #[schemars(range(min = 1))]
    pub rows: u64,
    /// So many bytes on disk.
    pub bytes: ByteSize,
}

impl Default for DeadLettersLimit {
    fn default() -> Self {
        Self { rows: 10_000_000, bytes: ByteSize(10 << 30) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherKeys {
    from: Option<String>,
    name: Option<String>,
    retry: Option<RetryConfig>,
}

impl OutputEntry {
    /// Its keys in the order of the reference page.
    pub(crate) fn keys() -> Vec<&'static str> {
        tagged::keys::<OutputConfig, OtherKeys>()
    }
}

impl<'de> Deserialize<'de> for OutputEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (output, OtherKeys { from, name, retry }) = tagged::deserialize(deserializer)?;
        Ok(Self { output, from, name, retry })
    }
}
