//! Names: their shape, and that no two are the same.

use weir_collect::{PARTITIONS_MAX, SourceConfig};
use weir_deliver::OutputConfig;

use super::Problem;
use crate::config::{PipelineConfig, StepKind};

/// Names that SQL has for schemas.
const SCHEMAS: [&str; 4] = ["public", "information_schema", "pg_catalog", "live"];
/// The longest name.
const NAME_BYTES_MAX: usize = 63;

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    shape("name", &config.name, "-", problems);
    for (name, entry) in &config.sources {
        let path = format!("sources.{name}");
        shape(&path, name, "", problems);
        match &entry.source {
            SourceConfig::Http(http) => {
                shape(&format!("{path}.http.stream"), &http.stream, "", problems);
                if !(1..=PARTITIONS_MAX).contains(&http.partitions) {
                    let message = format!("a topic cannot have {} partitions", http.partitions);
                    let problem = Problem::new(format!("{path}.http.partitions"), message);
                    problems
                        .push(problem.hint(format!("1 to {PARTITIONS_MAX}: each is written by a thread of its own")));
                }
            }
            SourceConfig::Log(log) => shape(&format!("{path}.log.topic"), &log.topic, "-", problems),
            SourceConfig::File(_) | SourceConfig::Stdin(_) | SourceConfig::Kafka(_) => {}
        }
    }
    steps(config, problems);
    branches(config, problems);
    outputs(config, problems);
}

fn steps(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    for (index, step) in config.steps.iter().enumerate() {
        let Some(name) = &step.name else { continue };
        let path = format!("steps[{index}].name");
        shape(&path, name, "", problems);
        if config.sources.contains_key(name) {
            problems.push(Problem::new(&path, format!("`{name}` is already the name of a source")));
        }
        let same = |other: &crate::config::Step| other.name.as_ref() == Some(name);
        if let Some(first) = config.steps[..index].iter().position(same) {
            problems.push(Problem::new(&path, format!("`{name}` is already the name of steps[{first}]")));
        }
    }
}

/// Branches are taken from by name, as steps are.
fn branches(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    let mut known: Vec<(&str, String)> =
        config.sources.keys().map(|name| (name.as_str(), "a source".to_owned())).collect();
    let named = config.steps.iter().enumerate();
    known.extend(named.filter_map(|(index, step)| Some((step.name.as_deref()?, format!("steps[{index}]")))));
    for (index, step) in config.steps.iter().enumerate() {
        let StepKind::Route(route) = &step.kind else { continue };
        if step.name.is_some() {
            let problem = Problem::new(format!("steps[{index}].name"), "a route has no name: its branches have");
            problems.push(problem.hint("`from` names a branch"));
        }
        for (branch, _) in route.branches.iter() {
            let path = format!("steps[{index}].route.{branch}");
            shape(&path, branch, "", problems);
            if let Some((_, whose)) = known.iter().find(|(name, _)| *name == branch) {
                problems.push(Problem::new(&path, format!("`{branch}` is already the name of {whose}")));
            }
            known.push((branch, path));
        }
    }
}

fn outputs(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    for (path, output) in config.all_outputs() {
        if let OutputConfig::Table(table) = output {
            table_name(&format!("{path}.table"), &table.name, problems);
        }
    }
    for (index, entry) in config.outputs.iter().enumerate() {
        if let Some(name) = &entry.name {
            shape(&format!("outputs[{index}].name"), name, "-", problems);
        }
    }
}

/// A name, or a tenant's and a table's with a dot between them.
fn table_name(path: &str, name: &str, problems: &mut Vec<Problem>) {
    let Some((tenant, table)) = name.split_once('.') else { return shape(path, name, "", problems) };
    let before = problems.len();
    shape(path, tenant, "", problems);
    if problems.len() == before {
        shape(path, table, "", problems);
    }
    if problems.len() == before && SCHEMAS.contains(&tenant) {
        let message = format!("no tenant is called `{tenant}`: SQL has a schema of that name");
        problems.push(Problem::new(path, message));
    }
}

/// A lower-case letter, then letters, digits, `_` and what `more` allows.
fn shape(path: &str, name: &str, more: &str, problems: &mut Vec<Problem>) {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || more.contains(c);
    let message = if name.is_empty() {
        "a name is empty".to_owned()
    } else if name.len() > NAME_BYTES_MAX {
        format!("the name `{name}` has {} bytes, more than {NAME_BYTES_MAX}", name.len())
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        format!("the name `{name}` does not begin with a lower-case letter")
    } else if let Some(wrong) = name.chars().find(|c| !allowed(*c)) {
        format!("the name `{name}` contains `{}`", wrong.escape_debug())
    } else {
        return;
    };
    let dash = if more.is_empty() { "" } else { ", `-`" };
    problems.push(Problem::new(path, message).hint(format!("lower-case letters, digits, `_`{dash}; a letter first")));
}
