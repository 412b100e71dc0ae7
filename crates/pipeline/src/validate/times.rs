//! Lengths of time that nobody means, and windows without time.

use weir_model::DurationText;

use super::Problem;
use crate::config::{PipelineConfig, StepKind, WatermarkConfig, WindowConfig, WindowKind};

/// Commits more often than this cost more than the work between them.
const EPOCH_MIN: DurationText = DurationText::millis(100);
/// Commits less often than this are a mistake in the unit.
const EPOCH_MAX: DurationText = DurationText::secs(3_600);
/// Results earlier and more often than this are of no use to anybody.
const EARLY_MIN: DurationText = DurationText::millis(100);
/// Anything longer is a mistake in the unit.
const YEAR: DurationText = DurationText::secs(366 * 86_400);

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    between("epoch", config.epoch, EPOCH_MIN, EPOCH_MAX, problems);
    if let Some(time) = &config.time {
        if time.field.trim().is_empty() {
            problems.push(Problem::new("time.field", "the name of the time field is empty"));
        }
        let WatermarkConfig::Bounded(bounded) = &time.watermark;
        at_most("time.watermark.bounded.delay", bounded.delay, YEAR, problems);
        between("time.idle_after", time.idle_after, DurationText::millis(1), YEAR, problems);
        at_most("time.future_limit", time.future_limit, YEAR, problems);
    }
    for (index, step) in config.steps.iter().enumerate() {
        if let StepKind::Window(window) = &step.kind {
            let path = format!("steps[{index}].window");
            if config.event_time().is_none() {
                let problem = Problem::new(&path, "a window needs event time, and the pipeline says nothing about it");
                problems.push(problem.hint("add `time: { field: ts }` with the name of your time field").may_follow());
            }
            check_window(&path, window, problems);
        }
    }
}

fn check_window(path: &str, window: &WindowConfig, problems: &mut Vec<Problem>) {
    let WindowKind::Tumbling(size) = window.kind;
    between(&format!("{path}.tumbling"), size, DurationText::millis(1), YEAR, problems);
    at_most(&format!("{path}.lateness"), window.lateness, YEAR, problems);
    if window.offset >= size && is_positive(size) {
        let message = format!("the offset {} is not shorter than the window of {size}", window.offset);
        problems.push(Problem::new(format!("{path}.offset"), message));
    }
    if let Some(early) = window.emit.early {
        let path = format!("{path}.emit.early");
        if early >= size && is_positive(size) {
            let message = format!("{early} is not shorter than the window of {size}: nothing would be early");
            problems.push(Problem::new(path, message));
        } else {
            between(&path, early, EARLY_MIN, YEAR, problems);
        }
    }
}

fn is_positive(duration: DurationText) -> bool {
    duration > DurationText::default()
}

fn between(path: &str, value: DurationText, min: DurationText, max: DurationText, problems: &mut Vec<Problem>) {
    if value < min {
        problems.push(Problem::new(path, format!("{} is too short: at least {min}", shown(value))));
    }
    at_most(path, value, max, problems);
}

fn at_most(path: &str, value: DurationText, max: DurationText, problems: &mut Vec<Problem>) {
    if value > max {
        problems.push(Problem::new(path, format!("{} is too long: at most {max}", shown(value))));
    }
}

fn shown(value: DurationText) -> String {
    if is_positive(value) { value.to_string() } else { "0s".to_owned() }
}
