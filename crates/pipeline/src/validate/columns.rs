//! The columns that steps make: names that are free, texts that are there.

use std::collections::BTreeSet;

use weir_decode::FormatConfig;

use super::Problem;
use crate::config::{Named, PipelineConfig, RouteConfig, StepKind, WindowConfig};

/// The columns that a window adds to its result.
pub const RESERVED_COLUMNS: [&str; 5] = ["window_start", "window_end", "pane", "revision", "row_id"];
/// The most columns that a step can make.
const COLUMNS_MAX: usize = 1_000;
/// The most branches of a route.
const BRANCHES_MAX: usize = 100;

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    for (name, source) in &config.sources {
        let kind = match source.format {
            FormatConfig::Json(_) | FormatConfig::Csv(_) | FormatConfig::Avro(_) | FormatConfig::Protobuf(_) => {
                continue;
            }
            FormatConfig::Raw(_) => "raw",
            FormatConfig::Text(_) => "text",
            FormatConfig::SparkLog(_) => "spark_log",
        };
        if !source.schema.is_empty() {
            let message = format!(
                "the columns of `{kind}` are fixed: a schema can be declared for `json`, `csv`, `avro` and `protobuf` only"
            );
            problems.push(Problem::new(format!("sources.{name}.schema"), message));
        }
    }
    for (index, step) in config.steps.iter().enumerate() {
        let path = format!("steps[{index}]");
        match &step.kind {
            StepKind::Where(text) if text.trim().is_empty() => {
                problems.push(Problem::new(format!("{path}.where"), "the expression is empty"));
            }
            StepKind::Where(_) => {}
            StepKind::Select(columns) => check_named(&format!("{path}.select"), columns, problems),
            StepKind::Add(columns) => check_named(&format!("{path}.add"), columns, problems),
            StepKind::Drop(columns) => check_list(&format!("{path}.drop"), columns, problems),
            StepKind::Rename(columns) => check_named(&format!("{path}.rename"), columns, problems),
            StepKind::Deduplicate(_) | StepKind::Enrich(_) | StepKind::Join(_) => {}
            StepKind::Route(route) => check_route(&path, route, problems),
            StepKind::Flatten(_)
            | StepKind::Explode(_)
            | StepKind::Parse(_)
            | StepKind::Mask(_)
            | StepKind::Sample(_)
            | StepKind::RateLimit(_)
            | StepKind::JoinLines(_) => {}
            StepKind::Window(window) => check_window(&format!("{path}.window"), window, problems),
        }
    }
}

fn check_window(path: &str, window: &WindowConfig, problems: &mut Vec<Problem>) {
    check_named(&format!("{path}.compute"), &window.compute, problems);
    let mut keys = BTreeSet::new();
    for (index, key) in window.by.iter().enumerate() {
        let path = format!("{path}.by[{index}]");
        if key.trim().is_empty() {
            problems.push(Problem::new(path, "the name of a column is empty"));
        } else if !keys.insert(key.as_str()) {
            problems.push(Problem::new(path, format!("`{key}` is given twice")));
        } else if RESERVED_COLUMNS.contains(&key.as_str()) {
            problems.push(reserved(path, key));
        }
    }
    for (name, _) in window.compute.iter() {
        let path = format!("{path}.compute.{}", quoted(name));
        if keys.contains(name) {
            problems.push(Problem::new(path, format!("`{name}` is already a column: rows are grouped by it")));
        } else if RESERVED_COLUMNS.contains(&name) {
            problems.push(reserved(path, name));
        }
    }
}

fn reserved(path: String, name: &str) -> Problem {
    let hint = format!("windows add these columns themselves: {}", RESERVED_COLUMNS.join(", "));
    Problem::new(path, format!("the name `{name}` is taken")).hint(hint)
}

fn check_named(path: &str, columns: &Named, problems: &mut Vec<Problem>) {
    if columns.is_empty() {
        problems.push(Problem::new(path, "there is no column: nothing would come out").may_follow());
    }
    if columns.len() > COLUMNS_MAX {
        problems.push(Problem::new(path, format!("{} columns are more than {COLUMNS_MAX}", columns.len())));
    }
    let mut names = BTreeSet::new();
    for (name, text) in columns.iter() {
        let path = format!("{path}.{}", quoted(name));
        if name.trim().is_empty() {
            problems.push(Problem::new(&path, "the name of a column is empty"));
        }
        if !names.insert(name) {
            problems.push(Problem::new(&path, format!("`{name}` is given twice")));
        }
        if text.trim().is_empty() {
            problems.push(Problem::new(path, "the expression is empty"));
        }
    }
}

fn check_route(path: &str, route: &RouteConfig, problems: &mut Vec<Problem>) {
    let path = format!("{path}.route");
    if route.branches.is_empty() {
        problems.push(Problem::new(&path, "there is no branch: nothing would come out").may_follow());
    }
    if route.branches.len() > BRANCHES_MAX {
        problems.push(Problem::new(&path, format!("{} branches are more than {BRANCHES_MAX}", route.branches.len())));
    }
    for (index, (name, condition)) in route.branches.iter().enumerate() {
        let path = format!("{path}.{}", quoted(name));
        if condition.trim().is_empty() {
            problems.push(Problem::new(path, "the condition is empty"));
        } else if RouteConfig::is_else(condition) && index + 1 < route.branches.len() {
            let problem = Problem::new(path, "`else` takes what no other branch takes: it comes last");
            problems.push(problem.hint("nothing would ever reach the branches after it"));
        }
    }
}

fn check_list(path: &str, columns: &[String], problems: &mut Vec<Problem>) {
    if columns.is_empty() {
        problems.push(Problem::new(path, "there is no column: nothing would be done"));
    }
    let mut names = BTreeSet::new();
    for (index, name) in columns.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if name.trim().is_empty() {
            problems.push(Problem::new(path, "the name of a column is empty"));
        } else if !names.insert(name) {
            problems.push(Problem::new(path, format!("`{name}` is given twice")));
        }
    }
}

/// A name as a segment of a path.
pub(super) fn quoted(name: &str) -> String {
    if name.is_empty() || name.contains(['.', '[', '"']) { format!("\"{name}\"") } else { name.to_owned() }
}
