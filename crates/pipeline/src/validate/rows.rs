//! Steps that look at rows one after the other: what they need of the pipeline around them.

use super::Problem;
use crate::config::{MaskConfig, ParseConfig, ParseKind, PipelineConfig, StepKind};
use crate::feed::Feed;

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    for (index, step) in config.steps.iter().enumerate() {
        let path = format!("steps[{index}]");
        match &step.kind {
            StepKind::Sample(sample) if sample.by.is_empty() => {
                after_window(config, index, &format!("{path}.sample"), problems);
            }
            StepKind::RateLimit(_) => {
                let path = format!("{path}.rate_limit");
                needs_time(config, &path, problems);
                after_window(config, index, &path, problems);
            }
            StepKind::JoinLines(lines) => {
                let path = format!("{path}.join_lines");
                if lines.max_wait.is_some() {
                    needs_time(config, &format!("{path}.max_wait"), problems);
                }
                after_window(config, index, &path, problems);
            }
            StepKind::Mask(mask) => check_mask(&format!("{path}.mask"), mask, problems),
            StepKind::Parse(parse) => check_parse(&format!("{path}.parse"), parse, problems),
            StepKind::Where(_)
            | StepKind::Select(_)
            | StepKind::Add(_)
            | StepKind::Drop(_)
            | StepKind::Rename(_)
            | StepKind::Flatten(_)
            | StepKind::Explode(_)
            | StepKind::Sample(_)
            | StepKind::Route(_)
            | StepKind::Enrich(_)
            | StepKind::Join(_)
            | StepKind::Deduplicate(_)
            | StepKind::Window(_) => {}
        }
    }
}

fn needs_time(config: &PipelineConfig, path: &str, problems: &mut Vec<Problem>) {
    if config.event_time().is_none() {
        let problem = Problem::new(path, "this needs event time, and the pipeline says nothing about it");
        problems.push(problem.hint("add `time: { field: ts }` with the name of your time field").may_follow());
    }
}

/// Results of a window have no position in a partition.
fn after_window(config: &PipelineConfig, index: usize, path: &str, problems: &mut Vec<Problem>) {
    let mut feed = config.feed_of_step(index);
    while let Some(Feed::Step(before) | Feed::Branch(before, _)) = feed {
        if let StepKind::Window(_) | StepKind::Join(_) = config.steps[before].kind {
            let message = format!("this needs rows with their positions, but steps[{before}] makes its own");
            let hint = match config.steps[index].kind {
                StepKind::Sample(_) => "sample results `by` a column",
                _ => "put it before the window",
            };
            problems.push(Problem::new(path, message).hint(hint));
            return;
        }
        feed = config.feed_of_step(before);
    }
}

fn check_mask(path: &str, mask: &MaskConfig, problems: &mut Vec<Problem>) {
    let ways = [("with", mask.with.is_some()), ("keep_last", mask.keep_last.is_some()), ("hash", mask.hash.is_some())];
    let ways: Vec<&str> = ways.into_iter().filter(|(_, given)| *given).map(|(way, _)| way).collect();
    if let [first, second, ..] = ways[..] {
        let message = format!("`{first}` and `{second}` both say what stands in place of what is found");
        problems.push(Problem::new(format!("{path}.{second}"), message).hint("one of them"));
    }
}

fn check_parse(path: &str, parse: &ParseConfig, problems: &mut Vec<Problem>) {
    if !parse.patterns.is_empty() && !matches!(parse.how, ParseKind::Grok(_)) {
        problems.push(Problem::new(format!("{path}.patterns"), "only `grok` is made of named patterns"));
    }
    if let ParseKind::KeyValue(pairs) = &parse.how {
        let texts = [("pairs", pairs.pairs.as_deref()), ("equals", Some(pairs.equals.as_str()))];
        for (key, text) in texts.into_iter().filter_map(|(key, text)| Some((key, text?))) {
            if text.chars().count() != 1 {
                problems
                    .push(Problem::new(format!("{path}.key_value.{key}"), format!("`{text}` is not one character")));
            }
        }
    }
}
