//! The steps that remember rows or look them up: as written to as run, which fields they need, which columns they give.

use std::path::PathBuf;

use weir_engine::{DeduplicatePlan, EnrichPlan, LateRows, Missing, Plan};
use weir_pipeline::{DeduplicateConfig, EnrichConfig, LookupFile, MissingRows, PipelineConfig, StepKind};
use weir_sql::columns;

use super::Problem;
use super::fields::Need;
use super::types::{Checker, Known};
use crate::running::{JobTable, TableFormat};

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

/// The plan of a step.
pub(super) fn enrich(config: &EnrichConfig) -> EnrichPlan {
    EnrichPlan {
        on: super::rows::pairs(&config.on),
        take: config.take.clone(),
        missing: match config.missing {
            MissingRows::Keep => Missing::Keep,
            MissingRows::DeadLetter => Missing::DeadLetter,
            MissingRows::Filter => Missing::Filter,
        },
    }
}

/// The tables of all steps.
pub(super) fn tables(config: &PipelineConfig, plan: &Plan) -> Vec<JobTable> {
    let steps = config.steps.iter().zip(&plan.nodes).enumerate();
    let tables = steps.filter_map(|(node, (step, named))| {
        let StepKind::Enrich(enriched) = &step.kind else { return None };
        let (_, path) = enriched.table.path();
        let schema = enriched.table.schema.iter();
        Some(JobTable {
            node,
            step: named.name.clone(),
            path: PathBuf::from(path),
            format: match enriched.table.file {
                LookupFile::Csv(_) => TableFormat::Csv,
                LookupFile::Ndjson(_) => TableFormat::Ndjson,
                LookupFile::Parquet(_) => TableFormat::Parquet,
            },
            refresh: enriched.table.refresh.std(),
            schema: schema.map(|(name, declared)| (name.clone(), super::fields::data_type(*declared))).collect(),
            plan: enrich(enriched),
        })
    });
    tables.collect()
}

/// What a step needs of what it takes from, when `need` is needed of what it gives.
pub(super) fn enrich_need(plan: &EnrichPlan, need: &Need, index: usize) -> Result<Need, Problem> {
    let mut upstream = need.renamed(|name| Some(name.to_owned()).filter(|name| !plan.take.contains(name)));
    for (text, _) in &plan.on {
        let path = format!("steps[{index}].enrich.on.{text}");
        upstream.add_uses(&columns(text).map_err(|error| Problem::sql(path, error))?);
    }
    Ok(upstream)
}

/// Checks a step. Which columns it gives is known only with its table.
pub(super) fn enrich_check(checker: &mut Checker, index: usize, plan: &EnrichPlan, input: &Known) -> Known {
    for (text, _) in &plan.on {
        checker.expression(&format!("steps[{index}].enrich.on.{text}"), text, input);
    }
    Known::Open
}

/// What a step does, in words.
pub(crate) fn describe_enrich(plan: &EnrichPlan) -> String {
    let on: Vec<String> = plan.on.iter().map(|(row, table)| format!("{row} = {table}")).collect();
    let missing = match plan.missing {
        Missing::Keep => "rows without one go on with nulls",
        Missing::DeadLetter => "rows without one go to the dead letters",
        Missing::Filter => "rows without one are filtered",
    };
    format!("{} of the row of the table with {}; {missing}", plan.take.join(", "), on.join(" and "))
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
