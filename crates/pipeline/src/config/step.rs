//! One step of a pipeline. Refuses two kinds of step in one entry.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    DeduplicateConfig, EnrichConfig, ExplodeConfig, FlattenConfig, JoinConfig, JoinLinesConfig, MaskConfig, Named,
    ParseConfig, RateLimitConfig, RouteConfig, SampleConfig, WindowConfig,
};
use crate::tagged;

/// A step: exactly one kind (`where`, `select`, `window` and so on).
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Step {
    /// A name that later steps and outputs can refer to with `from`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["per_minute"]))]
    pub name: Option<String>,
    /// The source or earlier step whose rows this step takes. Default: the step before; for the first, all sources.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["logs"]))]
    pub from: Option<String>,
    /// What is done.
    #[serde(flatten)]
    pub kind: StepKind,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepKind {
    /// Keeps the rows for which this SQL expression is true. The others are counted as filtered.
    #[schemars(extend("examples" = ["level IN ('ERROR', 'FATAL')"]))]
    Where(String),
    /// The columns that go on, by name: each is a SQL expression over the columns that came in, in this order.
    #[schemars(extend("examples" = [{ "ts": "ts", "app": "upper(app_id)" }]))]
    Select(Named),
    /// Computes columns beside those that are there, by name: each is a SQL expression over the columns that came in. A
    /// column of the same name is replaced.
    #[schemars(extend("examples" = [{ "seconds": "duration_ms / 1000.0" }]))]
    Add(Named),
    /// Leaves these columns out.
    #[schemars(extend("examples" = [["debug_info", "host_ip"]]))]
    Drop(Vec<String>),
    /// Gives columns other names: the new name, then the one that it has.
    #[schemars(extend("examples" = [{ "app": "application_id" }]))]
    Rename(Named),
    /// Replaces columns that are objects by what is inside of them.
    Flatten(FlattenConfig),
    /// Makes a row of each element of a list.
    Explode(ExplodeConfig),
    /// Makes columns of what a text says.
    Parse(ParseConfig),
    /// Replaces what tells who somebody is.
    Mask(MaskConfig),
    /// Keeps a share of the rows.
    Sample(SampleConfig),
    /// Lets so many rows pass per span of event time.
    RateLimit(RateLimitConfig),
    /// Joins rows whose texts are lines of one record.
    JoinLines(JoinLinesConfig),
    /// Sends each row to a branch: names and SQL conditions, of which the first that is true counts (`match: all`: every
    /// one that is true). `else` takes the rows that no other branch takes. Later steps and outputs say `from: BRANCH`; the
    /// rows of other branches are filtered for them.
    #[schemars(extend("examples" = [{ "errors": "level = 'ERROR'", "slow": "duration_ms > 1000", "rest": "else" }]))]
    Route(RouteConfig),
    /// Aggregates rows over windows of event time.
    Window(WindowConfig),
    /// Filters rows that equal one which went on before.
    Deduplicate(DeduplicateConfig),
    /// Looks each row up in a table and takes columns from it.
    Enrich(EnrichConfig),
    /// Pairs rows with those of another stream.
    Join(JoinConfig),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherKeys {
    name: Option<String>,
    from: Option<String>,
}

impl Step {
    /// Its keys in the order of the reference page.
    pub(crate) fn keys() -> Vec<&'static str> {
        tagged::keys::<StepKind, OtherKeys>()
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (kind, OtherKeys { name, from }) = tagged::deserialize(deserializer)?;
        Ok(Self { name, from, kind })
    }
}

impl From<StepKind> for Step {
    /// A step without a name, after the one before it.
    fn from(kind: StepKind) -> Self {
        Self { name: None, from: None, kind }
    }
}
