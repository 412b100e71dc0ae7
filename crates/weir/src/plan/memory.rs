//! The steps that remember rows or look them up: as written to as run, which fields they need, which columns they give.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::{DataType, Field, Schema};
use weir_engine::{
    DeduplicatePlan, EnrichPlan, JoinKind, JoinPlan, JoinSpan, LateRows, Missing, OperatorPlan, Plan, Upstream,
};
use weir_model::{BreakerConfig, Secret, TimeDelta};
use weir_pipeline::{
    DeduplicateConfig, EnrichConfig, HttpFormat, HttpTable, JoinConfig, LookupFailure, LookupFile, MissingRows,
    PipelineConfig, StepKind,
};
use weir_sql::columns;

use super::Problem;
use super::fields::Need;
use super::lowering::Place;
use super::types::{Checker, JoinColumns, Known};
use crate::running::{Endpoint, JobLookup, JobTable, OnLookupFailure, TableFormat, TablePlace};

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

/// The plan of a step whose right rows come from `with`.
pub(super) fn join(config: &JoinConfig, with: Upstream) -> JoinPlan {
    JoinPlan {
        with,
        prefix: config.column_prefix(),
        on: super::rows::pairs(&config.on),
        span: match &config.span {
            weir_pipeline::JoinSpan::Within(within) => {
                JoinSpan::Within { before: within.delta(), after: within.delta() }
            }
            weir_pipeline::JoinSpan::Between(span) => {
                JoinSpan::Within { before: span.before.delta(), after: span.after.delta() }
            }
            weir_pipeline::JoinSpan::Tumbling(size) => {
                JoinSpan::Tumbling { size: size.delta(), offset: TimeDelta::ZERO }
            }
            weir_pipeline::JoinSpan::AsOf(table) => {
                JoinSpan::AsOf { ttl: table.ttl.map(|ttl| ttl.delta()), deleted: table.deleted.clone() }
            }
        },
        kind: match config.kind {
            weir_pipeline::JoinKind::Inner => JoinKind::Inner,
            weir_pipeline::JoinKind::Left => JoinKind::Left,
        },
        lateness: config.lateness.delta(),
        rows_max: usize::try_from(config.rows_max).unwrap_or(usize::MAX),
        known: Default::default(),
    }
}

/// What a join needs of its left rows.
pub(super) fn left_need(plan: &JoinPlan, need: &Need, index: usize) -> Result<Need, Problem> {
    let upstream = need.renamed(|name| Some(name.to_owned()).filter(|name| !name.starts_with(&plan.prefix)));
    with_keys(plan, upstream, index, plan.on.iter().map(|(left, _)| left))
}

/// What a join needs of its right rows.
pub(super) fn right_need(plan: &JoinPlan, need: &Need, index: usize) -> Result<Need, Problem> {
    let upstream = need.renamed(|name| name.strip_prefix(&plan.prefix).map(str::to_owned));
    let mut need = with_keys(plan, upstream, index, plan.on.iter().map(|(_, right)| right))?;
    if let JoinSpan::AsOf { deleted: Some(deleted), .. } = &plan.span {
        let path = format!("steps[{index}].join.as_of.deleted");
        need.add_uses(&columns(deleted).map_err(|error| Problem::sql(path, error))?);
    }
    Ok(need)
}

fn with_keys<'a>(
    plan: &JoinPlan,
    mut need: Need,
    index: usize,
    keys: impl Iterator<Item = &'a String>,
) -> Result<Need, Problem> {
    for (key, (left, _)) in keys.zip(&plan.on) {
        let path = format!("steps[{index}].join.on.{left}");
        need.add_uses(&columns(key).map_err(|error| Problem::sql(path, error))?);
    }
    Ok(need)
}

/// The columns that rows are known to have.
pub(super) fn columns_of(known: &Known) -> Vec<(String, DataType)> {
    let schema = known.columns();
    let fields = schema.iter().flat_map(|schema| schema.fields());
    fields.map(|field| (field.name().clone(), field.data_type().clone())).collect()
}

/// Tells every join which columns its rows are known to have, so that they are there before a row was seen.
pub(super) fn tell_joins(plan: &mut Plan, joins: Vec<JoinColumns>) {
    for (node, columns) in joins {
        if let OperatorPlan::Join(join) = &mut plan.nodes[node].operator {
            join.known = columns;
        }
    }
}

/// Checks a step and tells which columns it gives.
pub(super) fn join_check(checker: &mut Checker, index: usize, plan: &JoinPlan, left: &Known, right: &Known) -> Known {
    for (own, other) in &plan.on {
        let path = format!("steps[{index}].join.on.{own}");
        checker.expression(&path, own, left);
        checker.expression(&path, other, right);
    }
    if let JoinSpan::AsOf { deleted: Some(deleted), .. } = &plan.span {
        checker.condition(&format!("steps[{index}].join.as_of.deleted"), deleted, right);
    }
    let (Some(left), Some(right)) = (left.columns(), right.columns()) else { return Known::Open };
    let plain = |field: &Field, name: String| {
        let data_type = match field.data_type() {
            DataType::Dictionary(_, values) => values.as_ref(),
            DataType::Utf8View => &DataType::Utf8,
            other => other,
        };
        Field::new(name, data_type.clone(), true)
    };
    let right: Vec<Field> =
        right.fields().iter().map(|field| plain(field, format!("{}{}", plan.prefix, field.name()))).collect();
    let left = left.fields().iter().filter(|field| right.iter().all(|other| other.name() != field.name()));
    let left: Vec<Field> = left.map(|field| plain(field, field.name().clone())).collect();
    Known::Columns(Arc::new(Schema::new([left, right].concat())))
}

/// What a step does, in words.
pub(crate) fn describe_join(plan: &JoinPlan) -> String {
    let on: Vec<String> = plan.on.iter().map(|(left, right)| format!("{left} = {right}")).collect();
    let span = match &plan.span {
        JoinSpan::Within { before, after } if before == after => format!("within {before}"),
        JoinSpan::Within { before, after } => format!("at most {before} before and {after} after"),
        JoinSpan::Tumbling { size, .. } => format!("in the same window of {size}"),
        JoinSpan::AsOf { ttl, deleted } => {
            let ttl = ttl.map(|ttl| format!(", at most {ttl} old")).unwrap_or_default();
            let deleted = deleted.as_ref().map(|deleted| format!(", none where {deleted}")).unwrap_or_default();
            format!("as of the left row's event time{ttl}{deleted}")
        }
    };
    let alone = match plan.kind {
        JoinKind::Inner => "rows without a partner are filtered",
        JoinKind::Left => "left rows without a partner go on with nulls",
    };
    let (lateness, rows, prefix) = (plan.lateness, plan.rows_max, &plan.prefix);
    format!(
        "pairs with {} {span}, the right columns as {prefix}...; {alone}; late by up to {lateness}; at most {rows} rows are held",
        on.join(" and ")
    )
}

/// The tables of all steps.
pub(super) fn tables(config: &PipelineConfig, plan: &Plan, places: &[Place]) -> Vec<JobTable> {
    let steps = places.iter().map(|place| &config.steps[place.step]).zip(&plan.nodes).enumerate();
    let tables = steps.filter_map(|(node, (step, named))| {
        let StepKind::Enrich(enriched) = &step.kind else { return None };
        if let LookupFile::HttpLookup(_) = &enriched.table.file {
            return None;
        }
        Some(JobTable {
            node,
            step: named.name.clone(),
            place: match &enriched.table.file {
                LookupFile::Csv(path) | LookupFile::Ndjson(path) | LookupFile::Parquet(path) => {
                    TablePlace::File(PathBuf::from(path))
                }
                LookupFile::Http(http) => TablePlace::Http(Endpoint {
                    url: http.url.clone(),
                    headers: headers(&http.headers),
                    timeout: http.timeout.std(),
                    body_max: http.body_max.0,
                }),
                LookupFile::HttpLookup(_) => unreachable!("its rows are asked for one by one"),
            },
            format: match &enriched.table.file {
                LookupFile::Csv(_) => TableFormat::Csv,
                LookupFile::Ndjson(_) => TableFormat::Ndjson,
                LookupFile::Parquet(_) => TableFormat::Parquet,
                LookupFile::Http(HttpTable { format: HttpFormat::Json, .. }) => TableFormat::Json,
                LookupFile::Http(HttpTable { format: HttpFormat::Csv, .. }) => TableFormat::Csv,
                LookupFile::HttpLookup(_) => unreachable!("its rows are asked for one by one"),
            },
            refresh: enriched.table.refresh.std(),
            schema: declared(enriched),
            plan: enrich(enriched),
        })
    });
    tables.collect()
}

/// The tables of all steps whose rows are asked for one by one.
pub(super) fn lookups(config: &PipelineConfig, plan: &Plan, places: &[Place]) -> Vec<JobLookup> {
    let steps = places.iter().map(|place| &config.steps[place.step]).zip(&plan.nodes).enumerate();
    let lookups = steps.filter_map(|(node, (step, named))| {
        let StepKind::Enrich(enriched) = &step.kind else { return None };
        let LookupFile::HttpLookup(http) = &enriched.table.file else { return None };
        Some(JobLookup {
            node,
            step: named.name.clone(),
            sources: match named.from {
                Upstream::Source(source) => vec![source],
                Upstream::AllSources => (0..plan.sources.len()).collect(),
                Upstream::Node(_) => unreachable!("the pipeline was checked: it takes from a source"),
            },
            endpoint: Endpoint {
                url: http.url.clone(),
                headers: headers(&http.headers),
                timeout: http.timeout.std(),
                body_max: http.body_max.0,
            },
            schema: declared(enriched),
            plan: enrich(enriched),
            entries_max: usize::try_from(http.cache.entries_max).unwrap_or(usize::MAX),
            ttl: http.cache.ttl.std(),
            negative_ttl: http.cache.negative_ttl.std(),
            concurrency: http.concurrency as usize,
            breaker: BreakerConfig {
                failures_in_a_row: http.breaker.failures,
                rate: None,
                open_for: http.breaker.open_for.std(),
                open_for_max: Duration::from_mins(1),
            },
            on_failure: match http.on_failure {
                LookupFailure::Keep => OnLookupFailure::Keep,
                LookupFailure::Wait => OnLookupFailure::Wait,
                LookupFailure::DeadLetter => OnLookupFailure::DeadLetter,
            },
        })
    });
    lookups.collect()
}

/// The declared types of a table's columns.
fn declared(config: &EnrichConfig) -> BTreeMap<String, DataType> {
    let schema = config.table.schema.iter();
    schema.map(|(name, declared)| (name.clone(), super::fields::data_type(*declared))).collect()
}

fn headers(headers: &BTreeMap<String, Secret>) -> Vec<(String, Secret)> {
    headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
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
