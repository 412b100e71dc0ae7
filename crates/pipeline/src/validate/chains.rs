//! Steps that aggregate what a window has made: they would count a result again each time it is replaced.

use super::Problem;
use crate::config::{PipelineConfig, StepKind, WindowConfig, WindowKind};
use crate::feed::Feed;

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    for (index, step) in config.steps.iter().enumerate() {
        let StepKind::Window(_) = step.kind else { continue };
        let mut feed = config.feed_of_step(index);
        // Steps take from earlier ones only, or `from` is wrong and was found so.
        let mut below = index;
        while let Some(Feed::Step(before)) = feed.filter(|feed| matches!(feed, Feed::Step(before) if *before < below)) {
            let earlier = &config.steps[before];
            if let StepKind::Window(window) = &earlier.kind
                && let Some(key) = revises(window)
            {
                let name = earlier.name.as_ref().map_or(format!("steps[{before}]"), |name| format!("`{name}`"));
                let message =
                    format!("the results of {name} are replaced later: a window over them would count them twice");
                let hint = format!("leave `{key}` out of {name}, or take `from` what it takes its rows from");
                problems.push(Problem::new(format!("steps[{index}].window"), message).hint(hint));
                break;
            }
            (feed, below) = (config.feed_of_step(before), before);
        }
    }
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
