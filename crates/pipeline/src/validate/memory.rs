//! Steps that remember rows or look them up: keys that are there, and for how long.

use std::collections::BTreeSet;

use weir_model::DurationText;

use super::Problem;
use super::times::{YEAR, between};
use crate::config::{DeduplicateConfig, PipelineConfig, StepKind};

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    for (index, step) in config.steps.iter().enumerate() {
        if let StepKind::Deduplicate(deduplicate) = &step.kind {
            let path = format!("steps[{index}].deduplicate");
            needs_time(config, &path, "deduplicate", problems);
            check_deduplicate(&path, deduplicate, problems);
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
    let mut keys = BTreeSet::new();
    for (index, key) in config.by.iter().enumerate() {
        let path = format!("{path}.by[{index}]");
        if key.trim().is_empty() {
            problems.push(Problem::new(path, "the name of a column is empty"));
        } else if !keys.insert(key) {
            problems.push(Problem::new(path, format!("`{key}` is given twice")));
        }
    }
    between(&format!("{path}.within"), config.within, DurationText::millis(1), YEAR, problems);
    if config.keys_max == 0 {
        problems.push(Problem::new(format!("{path}.keys_max"), "0 keys are too few: at least 1"));
    }
}
