//! Steps that remember rows or look them up: keys that are there, and for how long.

use std::collections::BTreeSet;

use weir_model::DurationText;

use super::Problem;
use super::times::{YEAR, at_most, between};
use crate::config::{DeduplicateConfig, EnrichConfig, JoinConfig, JoinSpan, Named, PipelineConfig, StepKind};
use crate::feed::Feed;

/// A file is not looked at more often than this.
const REFRESH_MIN: DurationText = DurationText::millis(100);

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    for (index, step) in config.steps.iter().enumerate() {
        if let StepKind::Deduplicate(deduplicate) = &step.kind {
            let path = format!("steps[{index}].deduplicate");
            needs_time(config, &path, "deduplicate", problems);
            check_deduplicate(&path, deduplicate, problems);
        }
        if let StepKind::Enrich(enrich) = &step.kind {
            check_enrich(&format!("steps[{index}].enrich"), enrich, problems);
        }
        if let StepKind::Join(join) = &step.kind {
            let path = format!("steps[{index}].join");
            needs_time(config, &path, "a join", problems);
            if config.feed_of_step(index) == Some(Feed::Sources) && config.sources.len() > 1 {
                let problem =
                    Problem::new(&path, "the left rows of a join are of one source or step, not of all sources");
                problems.push(problem.hint(format!("say `from` which, beside `join`: {}", names(config, &join.with))));
            }
            check_join(&path, join, problems);
        }
    }
}

fn needs_time(config: &PipelineConfig, path: &str, what: &str, problems: &mut Vec<Problem>) {
    if config.event_time().is_none() {
        let problem = Problem::new(path, format!("{what} needs event time, and the pipeline says nothing about it"));
        problems.push(problem.hint("add `time: { field: ts }` with the name of your time field").may_follow());
    }
}

fn check_deduplicate(path: &str, config: &DeduplicateConfig, problems: &mut Vec<Problem>) {
    if config.by.is_empty() {
        let problem = Problem::new(format!("{path}.by"), "there is no column by which rows could be equal");
        problems.push(problem.hint("such as `by: [event_id]`"));
    }
    check_list(&format!("{path}.by"), &config.by, problems);
    between(&format!("{path}.within"), config.within, DurationText::millis(1), YEAR, problems);
    if config.keys_max == 0 {
        problems.push(Problem::new(format!("{path}.keys_max"), "0 keys are too few: at least 1"));
    }
}

fn check_enrich(path: &str, config: &EnrichConfig, problems: &mut Vec<Problem>) {
    let (key, file) = config.table.path();
    if file.trim().is_empty() {
        problems.push(Problem::new(format!("{path}.table.{key}"), "the path of the table is empty"));
    }
    between(&format!("{path}.table.refresh"), config.table.refresh, REFRESH_MIN, YEAR, problems);
    if config.on.is_empty() {
        let problem = Problem::new(format!("{path}.on"), "there is nothing to look rows up by");
        problems.push(problem.hint("such as `on: { app_id: id }`: a column of the row, then one of the table"));
    }
    check_pairs(&format!("{path}.on"), &config.on, problems);
    if config.take.is_empty() {
        let problem = Problem::new(format!("{path}.take"), "no column is taken from the table");
        problems.push(problem.hint("such as `take: [team, owner]`"));
    }
    check_list(&format!("{path}.take"), &config.take, problems);
}

/// The sources besides one.
fn names(config: &PipelineConfig, besides: &str) -> String {
    config.sources.keys().map(String::as_str).filter(|name| *name != besides).collect::<Vec<_>>().join(" or ")
}

fn check_join(path: &str, config: &JoinConfig, problems: &mut Vec<Problem>) {
    if config.on.is_empty() {
        let problem = Problem::new(format!("{path}.on"), "there is nothing that must be equal");
        problems
            .push(problem.hint("such as `on: { order_id: order_id }`: a column of the left row, then of the right"));
    }
    check_pairs(&format!("{path}.on"), &config.on, problems);
    match &config.span {
        JoinSpan::Within(within) => at_most(&format!("{path}.within"), *within, YEAR, problems),
        JoinSpan::Between(span) => {
            at_most(&format!("{path}.between.before"), span.before, YEAR, problems);
            at_most(&format!("{path}.between.after"), span.after, YEAR, problems);
        }
        JoinSpan::Tumbling(size) => {
            between(&format!("{path}.tumbling"), *size, DurationText::millis(1), YEAR, problems);
        }
        JoinSpan::AsOf(table) => {
            if let Some(ttl) = table.ttl {
                between(&format!("{path}.as_of.ttl"), ttl, DurationText::millis(1), YEAR, problems);
            }
            if table.deleted.as_ref().is_some_and(|deleted| deleted.trim().is_empty()) {
                let problem = Problem::new(format!("{path}.as_of.deleted"), "the condition is empty");
                problems.push(problem.hint("such as `op = 'd'` or `price IS NULL`, or leave it out"));
            }
        }
    }
    at_most(&format!("{path}.lateness"), config.lateness, YEAR, problems);
    if config.prefix.as_ref().is_some_and(|prefix| prefix.trim().is_empty()) {
        let problem =
            Problem::new(format!("{path}.prefix"), "the prefix is empty: right columns could be called like left ones");
        problems.push(problem.hint("leave it out for the name of the right stream and `_`"));
    }
    if config.rows_max == 0 {
        problems.push(Problem::new(format!("{path}.rows_max"), "0 rows are too few: at least 1"));
    }
}

/// Names that are there, each once.
fn check_list(path: &str, names: &[String], problems: &mut Vec<Problem>) {
    let mut known = BTreeSet::new();
    for (index, name) in names.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if name.trim().is_empty() {
            problems.push(Problem::new(path, "the name of a column is empty"));
        } else if !known.insert(name) {
            problems.push(Problem::new(path, format!("`{name}` is given twice")));
        }
    }
}

/// Columns on both sides of a comparison.
fn check_pairs(path: &str, pairs: &Named, problems: &mut Vec<Problem>) {
    for (left, right) in pairs.iter() {
        if left.trim().is_empty() || right.trim().is_empty() {
            problems.push(Problem::new(path, format!("`{left}: {right}` compares with nothing")));
        }
    }
}
