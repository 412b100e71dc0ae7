//! `from`: that it leads somewhere, and that nothing leads nowhere.

use weir_collect::SourceConfig;

use super::Problem;
use crate::config::{PipelineConfig, StepKind};
use crate::feed::Feed;
use crate::nearest::nearest;

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    if config.sources.is_empty() {
        problems.push(Problem::new("sources", "there is no source: nothing would be read").may_follow());
    }
    if config.outputs.is_empty() {
        let problem = Problem::new("outputs", "there is no output: nothing would be written");
        problems.push(problem.hint("add `- table: NAME` or `- stdout: {}`").may_follow());
    }
    for (index, step) in config.steps.iter().enumerate() {
        if let (Some(from), None) = (&step.from, config.feed_of_step(index)) {
            problems.push(lost(config, format!("steps[{index}].from"), from, index));
        }
        if let Some(Err(with)) = config.feed_of_join(index) {
            problems.push(lost(config, format!("steps[{index}].join.with"), with, index));
        }
    }
    for (index, output) in config.outputs.iter().enumerate() {
        if let (Some(from), None) = (&output.from, config.feed_of_output(index)) {
            problems.push(lost(config, format!("outputs[{index}].from"), from, config.steps.len()));
        }
    }
    whole_routes(config, problems);
    unread(config, problems);
    stdin_twice(config, problems);
}

/// Steps and outputs that take from a route and do not say which branch.
fn whole_routes(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    let steps = (0..config.steps.len()).map(|index| (format!("steps[{index}]"), config.feed_of_step(index)));
    let outputs = (0..config.outputs.len()).map(|index| (format!("outputs[{index}]"), config.feed_of_output(index)));
    for (path, feed) in steps.chain(outputs) {
        let Some(Feed::Step(route)) = feed else { continue };
        let StepKind::Route(config) = &config.steps[route].kind else { continue };
        let message = format!("this takes from steps[{route}], a route, and does not say from which branch");
        let branches: Vec<&str> = config.branches.iter().map(|(name, _)| name).collect();
        problems.push(Problem::new(path, message).hint(format!("`from:` one of {}", branches.join(", "))).may_follow());
    }
}

/// A `from` that leads nowhere: the name is unknown, or that of a step that comes only later.
fn lost(config: &PipelineConfig, path: String, from: &str, index: usize) -> Problem {
    let later = config.steps[index..].iter().position(|step| step.name.as_deref() == Some(from));
    let message = match later {
        Some(0) => format!("`{from}` is this step itself"),
        Some(more) => format!("`{from}` is steps[{}], which comes only later", index + more),
        None => format!("`{from}` is neither a source nor an earlier step"),
    };
    let steps = config.steps[..index].iter().flat_map(|step| {
        let route = if let StepKind::Route(route) = &step.kind { Some(route) } else { None };
        let branches = route.into_iter().flat_map(|route| route.branches.iter().map(|(name, _)| name));
        step.name.as_deref().into_iter().chain(branches)
    });
    let names: Vec<&str> = config.sources.keys().map(String::as_str).chain(steps).collect();
    let hint = match nearest(from, names.iter().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("there are: {}", names.join(", ")),
    };
    Problem::new(path, message).hint(hint).may_follow()
}

/// Sources and steps whose rows nobody takes.
fn unread(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    let feeds: Option<Vec<Feed<'_>>> = (0..config.steps.len())
        .map(|index| config.feed_of_step(index))
        .chain((0..config.outputs.len()).map(|index| config.feed_of_output(index)))
        .chain((0..config.steps.len()).filter_map(|index| config.feed_of_join(index).map(Result::ok)))
        .collect();
    // With a reference that leads nowhere it is not known what is read.
    let Some(feeds) = feeds.filter(|_| !config.outputs.is_empty()) else { return };
    for name in config.sources.keys() {
        if !feeds.contains(&Feed::Sources) && !feeds.contains(&Feed::Source(name)) {
            let problem =
                Problem::new(format!("sources.{name}"), format!("nothing takes the rows of the source `{name}`"));
            problems.push(problem.hint("remove it, or name it in a `from`").may_follow());
        }
    }
    for index in 0..config.steps.len() {
        let of_branch = |feed: &Feed<'_>| matches!(feed, Feed::Branch(step, _) if *step == index);
        if !feeds.contains(&Feed::Step(index)) && !feeds.iter().any(of_branch) {
            let problem = Problem::new(format!("steps[{index}]"), "nothing takes the rows of this step");
            problems.push(problem.hint("name it, and write `from: NAME` in an output or a later step").may_follow());
        }
    }
}

fn stdin_twice(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    let reads_stdin =
        |(_, entry): &(&String, &crate::config::SourceEntry)| matches!(entry.source, SourceConfig::Stdin(_));
    let mut all = config.sources.iter().filter(reads_stdin);
    let Some((first, _)) = all.next() else { return };
    for (name, _) in all {
        let message = format!("`{first}` reads standard input already: it can be read only once");
        problems.push(Problem::new(format!("sources.{name}.stdin"), message));
    }
}
