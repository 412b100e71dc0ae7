//! The steps that remember rows or look them up: as written to as run, which fields they need, which columns they give.

use weir_engine::{DeduplicatePlan, LateRows};
use weir_pipeline::DeduplicateConfig;
use weir_sql::columns;

use super::Problem;
use super::fields::Need;
use super::types::{Checker, Known};

/// The plan of a step.
pub(super) fn deduplicate(config: &DeduplicateConfig) -> DeduplicatePlan {
    DeduplicatePlan {
        by: config.by.clone(),
        within: config.within.delta(),
        late: match config.late {
            weir_pipeline::LateRows::Aside => LateRows::Aside,
            weir_pipeline::LateRows::Pass => LateRows::Pass,
        },
        keys_max: usize::try_from(config.keys_max).unwrap_or(usize::MAX),
    }
}

/// What a step needs of what it takes from, when `need` is needed of what it gives.
pub(super) fn deduplicate_need(plan: &DeduplicatePlan, need: &Need, index: usize) -> Result<Need, Problem> {
    let mut upstream = need.clone();
    for (position, key) in plan.by.iter().enumerate() {
        let path = format!("steps[{index}].deduplicate.by[{position}]");
        upstream.add_uses(&columns(key).map_err(|error| Problem::sql(path, error))?);
    }
    Ok(upstream)
}

/// Checks a step and tells which columns it gives.
pub(super) fn deduplicate_check(checker: &mut Checker, index: usize, plan: &DeduplicatePlan, input: &Known) -> Known {
    for (position, key) in plan.by.iter().enumerate() {
        checker.expression(&format!("steps[{index}].deduplicate.by[{position}]"), key, input);
    }
    input.clone()
}

/// What a step does, in words.
pub(crate) fn describe_deduplicate(plan: &DeduplicatePlan) -> String {
    let late = match plan.late {
        LateRows::Aside => "later ones go to the late output",
        LateRows::Pass => "later ones pass unchecked",
    };
    let (by, within, keys) = (plan.by.join(", "), plan.within, plan.keys_max);
    format!("rows once by {by} within {within}; {late}; at most {keys} keys are remembered")
}
