//! One output of a pipeline: what kind it is, whose rows it takes, what it is called.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};
use weir_deliver::OutputConfig;

use crate::tagged;

/// An output: exactly one kind (`table`, `file` or `stdout`).
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
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherKeys {
    from: Option<String>,
    name: Option<String>,
}

impl OutputEntry {
    /// Its keys in the order of the reference page.
    pub(crate) fn keys() -> Vec<&'static str> {
        tagged::keys::<OutputConfig, OtherKeys>()
    }
}

impl<'de> Deserialize<'de> for OutputEntry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (output, OtherKeys { from, name }) = tagged::deserialize(deserializer)?;
        Ok(Self { output, from, name })
    }
}
