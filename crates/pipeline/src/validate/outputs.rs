//! That no two outputs, and no two kinds of rows, get in each other's way.

use std::collections::BTreeMap;

use weir_collect::SourceConfig;
use weir_deliver::OutputConfig;

use super::Problem;
use crate::config::{PipelineConfig, StepKind};
use crate::feed::Feed;

/// What the columns of some rows are, as far as it can be told without looking at data.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Columns {
    /// Those of the sources; tables grow with them.
    Source,
    /// What this step makes of them.
    OfStep(usize),
    /// These.
    These(Vec<String>),
    Late,
    DeadLetters,
}

/// One thing that is written, by whom.
struct Writer<'a> {
    path: String,
    feed: Option<Feed<'a>>,
    columns: Columns,
}

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    for (name, entry) in &config.sources {
        if let SourceConfig::File(file) = &entry.source {
            check_paths(&format!("sources.{name}.file.paths"), &file.paths, problems);
        }
    }
    names(config, problems);
    let mut tables: BTreeMap<&str, Vec<Writer<'_>>> = BTreeMap::new();
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for (path, output, feed, columns) in written(config) {
        match output {
            OutputConfig::Table(table) => {
                let writers = tables.entry(&table.name).or_default();
                let writer = Writer { path: format!("{path}.table"), feed, columns };
                problems.extend(writers.iter().find_map(|first| conflict(&table.name, first, &writer)));
                writers.push(writer);
            }
            OutputConfig::File(file) => {
                let path = format!("{path}.file.path");
                if file.path.trim().is_empty() {
                    problems.push(Problem::new(&path, "the path of the file is empty"));
                } else if let Some(first) = files.insert(&file.path, path.clone()) {
                    problems
                        .push(Problem::new(path, format!("the file `{}` is already written by {first}", file.path)));
                }
            }
            OutputConfig::Stdout(_) | OutputConfig::Kafka(_) | OutputConfig::Http(_) => {}
        }
    }
}

fn check_paths(path: &str, paths: &[String], problems: &mut Vec<Problem>) {
    if paths.is_empty() {
        problems.push(Problem::new(path, "there is no path: no file would be read").may_follow());
    }
    for (index, pattern) in paths.iter().enumerate() {
        if pattern.trim().is_empty() {
            problems.push(Problem::new(format!("{path}[{index}]"), "the path is empty"));
        }
    }
}

/// Outputs are told apart by their names, given or derived.
fn names(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    let mut known: BTreeMap<String, (usize, &OutputConfig)> = BTreeMap::new();
    for (index, entry) in config.outputs.iter().enumerate() {
        let name = entry.name.clone().unwrap_or_else(|| entry.output.default_name());
        match known.get(&name) {
            // Said better, and only once, by what they write to.
            Some((_, first)) if **first == entry.output && entry.name.is_none() && entry.output.kind() != "stdout" => {}
            Some((first, _)) => {
                let key = if entry.name.is_some() { ".name" } else { "" };
                let message = format!("outputs[{first}] is called `{name}` as well");
                let problem = Problem::new(format!("outputs[{index}]{key}"), message);
                problems.push(problem.hint("give it a `name` of its own"));
            }
            None => {
                known.insert(name, (index, &entry.output));
            }
        }
    }
}

/// Everything that the pipeline writes. The outputs come last, so that a conflict with a default points at them.
fn written(config: &PipelineConfig) -> Vec<(String, &OutputConfig, Option<Feed<'_>>, Columns)> {
    let outputs = config.outputs.iter().enumerate().map(|(index, entry)| {
        let feed = config.feed_of_output(index);
        let columns = feed.as_ref().map_or(Columns::Source, |feed| columns_of(config, feed));
        (format!("outputs[{index}]"), &entry.output, feed, columns)
    });
    let late = ("late".to_owned(), &config.late, None, Columns::Late);
    let dead_letters = ("dead_letters".to_owned(), &config.dead_letters, None, Columns::DeadLetters);
    [late, dead_letters].into_iter().chain(outputs).collect()
}

fn columns_of(config: &PipelineConfig, feed: &Feed<'_>) -> Columns {
    let (Feed::Step(index) | Feed::Branch(index, _)) = feed else { return Columns::Source };
    match &config.steps[*index].kind {
        StepKind::Select(columns) => Columns::These(columns.iter().map(|(name, _)| name.to_owned()).collect()),
        StepKind::Window(window) => {
            let computed = window.compute.iter().map(|(name, _)| name.to_owned());
            Columns::These(window.by.iter().cloned().chain(computed).chain(["window".to_owned()]).collect())
        }
        StepKind::Where(_)
        | StepKind::Route(_)
        | StepKind::Deduplicate(_)
        | StepKind::Mask(_)
        | StepKind::Sample(_)
        | StepKind::RateLimit(_)
        | StepKind::JoinLines(_) => {
            config.feed_of_step(*index).map_or(Columns::Source, |feed| columns_of(config, &feed))
        }
        StepKind::Enrich(_)
        | StepKind::Join(_)
        | StepKind::Add(_)
        | StepKind::Drop(_)
        | StepKind::Rename(_)
        | StepKind::Flatten(_)
        | StepKind::Explode(_)
        | StepKind::Parse(_) => Columns::OfStep(*index),
    }
}

fn conflict(table: &str, first: &Writer<'_>, second: &Writer<'_>) -> Option<Problem> {
    let message = if first.feed.is_some() && first.feed == second.feed {
        format!("the table `{table}` would get the same rows twice: {} writes them already", first.path)
    } else if first.columns != second.columns {
        format!("the table `{table}` would get rows of two kinds: {} writes other columns to it", first.path)
    } else {
        return None;
    };
    Some(Problem::new(&second.path, message).hint("use another table"))
}
