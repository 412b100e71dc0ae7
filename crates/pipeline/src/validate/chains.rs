//! Steps that wait for event time and take what a window has made: they would count a result again each time it is
//! replaced.

use super::Problem;
use crate::config::{PipelineConfig, StepKind, WindowConfig, WindowKind};
use crate::feed::Feed;

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    for (index, step) in config.steps.iter().enumerate() {
        let (key, what) = match &step.kind {
            StepKind::Window(_) => ("window", "a window over them"),
            StepKind::Join(_) => ("join", "a join of them"),
            StepKind::Deduplicate(_) => ("deduplicate", "deduplicate after them"),
            StepKind::Where(_)
            | StepKind::Select(_)
            | StepKind::Add(_)
            | StepKind::Drop(_)
            | StepKind::Rename(_)
            | StepKind::Flatten(_)
            | StepKind::Explode(_)
            | StepKind::Parse(_)
            | StepKind::Mask(_)
            | StepKind::Sample(_)
            | StepKind::RateLimit(_)
            | StepKind::JoinLines(_)
            | StepKind::Route(_)
            | StepKind::Enrich(_) => continue,
        };
        if let Some((before, revised)) = revised_before(config, index) {
            let earlier = &config.steps[before];
            let name = earlier.name.as_ref().map_or(format!("steps[{before}]"), |name| format!("`{name}`"));
            let message = format!("the results of {name} are replaced later: {what} would count them twice");
            let hint = format!("leave `{revised}` out of {name}, or take `from` what it takes its rows from");
            problems.push(Problem::new(format!("steps[{index}].{key}"), message).hint(hint));
        }
    }
}

/// The first step on the ways to step `index` whose results may be replaced by others, and the key that says so.
fn revised_before(config: &PipelineConfig, index: usize) -> Option<(usize, &'static str)> {
    let right = config.feed_of_join(index).and_then(Result::ok);
    // Steps take from earlier ones only, or `from` is wrong and was found so.
    let mut before = [config.feed_of_step(index), right].into_iter().flatten().filter_map(|feed| match feed {
        Feed::Step(before) | Feed::Branch(before, _) if before < index => Some(before),
        Feed::Step(_) | Feed::Branch(..) | Feed::Source(_) | Feed::Sources => None,
    });
    before.find_map(|before| {
        let own = if let StepKind::Window(window) = &config.steps[before].kind { revises(window) } else { None };
        own.map(|key| (before, key)).or_else(|| revised_before(config, before))
    })
}

/// The key for which the results of a window may be replaced by others while its sources go on.
fn revises(window: &WindowConfig) -> Option<&'static str> {
    let kinds = [
        ("global", matches!(window.kind, WindowKind::Global(_))),
        ("emit.early", window.emit.early.is_some()),
        ("emit.early_rows", window.emit.early_rows.is_some()),
        ("lateness", window.lateness.delta().micros() > 0),
    ];
    kinds.into_iter().find(|(_, revises)| *revises).map(|(key, _)| key)
}
