//! Lengths of time that nobody means, and windows without time.

use weir_model::{DurationText, TimeZone};

use super::Problem;
use crate::config::{
    CalendarUnit, GlobalConfig, LateConfig, ModeConfig, PipelineConfig, SlidingConfig, StepKind, WatermarkConfig,
    WindowConfig, WindowKind,
};
use crate::nearest::nearest;

/// Commits more often than this cost more than the work between them.
const EPOCH_MIN: DurationText = DurationText::millis(100);
/// Commits less often than this are a mistake in the unit.
const EPOCH_MAX: DurationText = DurationText::secs(3_600);
/// Results earlier and more often than this are of no use to anybody.
const EARLY_MIN: DurationText = DurationText::millis(100);
/// Partitions are not held together more closely than this: they would do nothing but wait.
const DRIFT_MIN: DurationText = DurationText::secs(1);
/// The most windows that overlap at one time.
const OVERLAP_MAX: i64 = 10_000;
/// The most pieces that a sliding window is put together from.
const PIECES_MAX: i64 = 10_000;
const HOUR: DurationText = DurationText::secs(3_600);
const DAY: DurationText = DurationText::secs(86_400);
/// Anything longer is a mistake in the unit.
pub(super) const YEAR: DurationText = DurationText::secs(366 * 86_400);

pub(super) fn check(config: &PipelineConfig, problems: &mut Vec<Problem>) {
    between("epoch", config.epoch, EPOCH_MIN, EPOCH_MAX, problems);
    if let Some(time) = &config.time {
        if time.field.trim().is_empty() {
            problems.push(Problem::new("time.field", "the name of the time field is empty"));
        }
        check_watermark(&time.watermark, problems);
        between("time.idle_after", time.idle_after, DurationText::millis(1), YEAR, problems);
        at_most("time.future_limit", time.future_limit, YEAR, problems);
        if let Some(drift) = time.max_drift {
            between("time.max_drift", drift, DRIFT_MIN, YEAR, problems);
        }
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

fn check_watermark(watermark: &WatermarkConfig, problems: &mut Vec<Problem>) {
    match watermark {
        WatermarkConfig::Bounded(bounded) => {
            at_most("time.watermark.bounded.delay", bounded.delay, YEAR, problems);
        }
        WatermarkConfig::Periodic(periodic) => {
            at_most("time.watermark.periodic.delay", periodic.delay, YEAR, problems);
            between("time.watermark.periodic.every", periodic.every, DurationText::millis(1), YEAR, problems);
        }
        WatermarkConfig::Punctuated(punctuated) => {
            at_most("time.watermark.punctuated.delay", punctuated.delay, YEAR, problems);
            if punctuated.r#where.trim().is_empty() {
                let problem = Problem::new("time.watermark.punctuated.where", "no record would move the watermark");
                problems.push(problem.hint("write a SQL condition, such as `kind = 'heartbeat'`"));
            }
        }
    }
}

fn check_window(path: &str, window: &WindowConfig, problems: &mut Vec<Problem>) {
    let offset_limit = match &window.kind {
        WindowKind::Tumbling(size) => {
            between(&format!("{path}.tumbling"), *size, DurationText::millis(1), YEAR, problems);
            (*size, format!("the window of {size}"))
        }
        WindowKind::Sliding(sliding) => {
            check_sliding(&format!("{path}.sliding"), sliding, problems);
            (sliding.slide, format!("the slide of {}", sliding.slide))
        }
        WindowKind::Global(global) => return check_global(path, window, global, problems),
        WindowKind::Session(gap) => {
            check_session(path, window, *gap, problems);
            (YEAR, "a year".to_owned())
        }
        WindowKind::Calendar(calendar) => {
            check_zone(&format!("{path}.calendar.zone"), &calendar.zone, problems);
            match calendar.unit {
                CalendarUnit::Hour => (HOUR, "an hour".to_owned()),
                CalendarUnit::Day
                | CalendarUnit::Week
                | CalendarUnit::Month
                | CalendarUnit::Quarter
                | CalendarUnit::Year => (DAY, "a day".to_owned()),
            }
        }
    };
    at_most(&format!("{path}.lateness"), window.lateness, YEAR, problems);
    if !matches!(window.kind, WindowKind::Session(_)) && window.offset >= offset_limit.0 && is_positive(offset_limit.0)
    {
        let message = format!("the offset {} is not shorter than {}", window.offset, offset_limit.1);
        problems.push(Problem::new(format!("{path}.offset"), message));
    }
    if let Some(early) = window.emit.early {
        let path = format!("{path}.emit.early");
        match window.kind.size() {
            Some(size) if early >= size && is_positive(size) => {
                let message = format!("{early} is not shorter than the window of {size}: nothing would be early");
                problems.push(Problem::new(path, message));
            }
            Some(_) | None => between(&path, early, EARLY_MIN, YEAR, problems),
        }
    }
    if let Some(late) = window.emit.late {
        check_late(path, late, window.lateness, problems);
    }
    if window.emit.every_rows.is_some() {
        let message = "every_rows is for global windows, where each key speaks on its own";
        let problem = Problem::new(format!("{path}.emit.every_rows"), message);
        problems.push(problem.hint("`early_rows` counts the rows of all keys and windows together"));
    }
    if window.emit.early_rows == Some(0) {
        let problem = Problem::new(format!("{path}.emit.early_rows"), "0 rows are too few: at least 1");
        problems.push(problem.hint("leave it out if nothing is to be emitted early"));
    }
}

/// What sessions need, and what means nothing to them.
fn check_session(path: &str, window: &WindowConfig, gap: DurationText, problems: &mut Vec<Problem>) {
    between(&format!("{path}.session"), gap, DurationText::millis(1), YEAR, problems);
    if is_positive(window.offset) {
        let problem = Problem::new(format!("{path}.offset"), "sessions begin with their first row: no offset");
        problems.push(problem.hint("leave it out"));
    }
    if window.emit.mode == ModeConfig::Discarding {
        let message = "sessions grow together: what they said does not add up";
        problems.push(Problem::new(format!("{path}.emit.mode"), message).hint("leave it out"));
    }
}

/// A window that never ends has no use for what is said about ends.
fn check_global(path: &str, window: &WindowConfig, global: &GlobalConfig, problems: &mut Vec<Problem>) {
    let useless = [
        ("offset", is_positive(window.offset)),
        ("lateness", is_positive(window.lateness)),
        ("emit.late", window.emit.late.is_some()),
    ];
    for (key, _) in useless.into_iter().filter(|(_, is_there)| *is_there) {
        let message = "a global window has no end: this means nothing to it";
        problems.push(Problem::new(format!("{path}.{key}"), message).hint("leave it out"));
    }
    if window.emit.early_rows.is_some() {
        let problem = Problem::new(format!("{path}.emit.early_rows"), "the keys of a global window speak on their own");
        problems.push(problem.hint("say `every_rows`: so many rows of one key"));
    }
    if window.emit.every_rows == Some(0) {
        let problem = Problem::new(format!("{path}.emit.every_rows"), "0 rows are too few: at least 1");
        problems.push(problem.hint("leave it out if keys are to speak only at the end"));
    }
    if let Some(early) = window.emit.early {
        between(&format!("{path}.emit.early"), early, EARLY_MIN, YEAR, problems);
    }
    if let Some(after) = global.forget_after {
        between(&format!("{path}.global.forget_after"), after, DurationText::secs(1), YEAR, problems);
    }
}

fn check_late(path: &str, late: LateConfig, lateness: DurationText, problems: &mut Vec<Problem>) {
    let path_of_late = format!("{path}.emit.late");
    if let LateConfig::Every(every) = late {
        between(&path_of_late, every, DurationText::millis(1), YEAR, problems);
    }
    if !is_positive(lateness) {
        let problem = Problem::new(path_of_late, "a window without lateness takes no row after it has fired");
        problems.push(problem.hint("say for how long it does, beside `emit`: `lateness: 1h`"));
    }
}

fn check_zone(path: &str, zone: &str, problems: &mut Vec<Problem>) {
    if zone.parse::<TimeZone>().is_ok() {
        return;
    }
    // Places are often named without their continent.
    let city = |name: &&str| name.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(zone));
    let meant = TimeZone::names().find(city).map(str::to_owned).or_else(|| nearest(zone, TimeZone::names()));
    let hint = match meant {
        Some(name) => format!("did you mean `{name}`?"),
        None => "a name of the IANA time zone database, such as Europe/Berlin or UTC".to_owned(),
    };
    let message = format!("there is no time zone `{zone}` (rules of {})", TimeZone::RULES);
    problems.push(Problem::new(path, message).hint(hint));
}

fn check_sliding(path: &str, sliding: &SlidingConfig, problems: &mut Vec<Problem>) {
    let SlidingConfig { size, slide } = *sliding;
    let before = problems.len();
    between(&format!("{path}.size"), size, DurationText::millis(1), YEAR, problems);
    between(&format!("{path}.slide"), slide, DurationText::millis(1), YEAR, problems);
    if problems.len() > before {
        return;
    }
    let (size_micros, slide_micros) = (size.delta().micros(), slide.delta().micros());
    let shared = common_divisor(size_micros, slide_micros);
    let (message, hint) = if slide > size {
        let message = format!("the slide of {slide} is longer than the window of {size}: rows would be in no window");
        (message, format!("at most {size}"))
    } else if size_micros / slide_micros > OVERLAP_MAX {
        let message = format!("{} windows would overlap, more than {OVERLAP_MAX}", size_micros / slide_micros);
        (message, "a longer slide, or a shorter window".to_owned())
    } else if size_micros / shared > PIECES_MAX {
        let pieces = size_micros / shared;
        let message = format!("{slide} does not fit into {size}: windows would be put together from {pieces} pieces");
        (message, format!("a slide that is a whole part of {size}"))
    } else {
        return;
    };
    problems.push(Problem::new(format!("{path}.slide"), message).hint(hint));
}

/// The longest time that divides both.
fn common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

fn is_positive(duration: DurationText) -> bool {
    duration > DurationText::default()
}

pub(super) fn between(
    path: &str,
    value: DurationText,
    min: DurationText,
    max: DurationText,
    problems: &mut Vec<Problem>,
) {
    if value < min {
        problems.push(Problem::new(path, format!("{} is too short: at least {min}", shown(value))));
    }
    at_most(path, value, max, problems);
}

pub(super) fn at_most(path: &str, value: DurationText, max: DurationText, problems: &mut Vec<Problem>) {
    if value > max {
        problems.push(Problem::new(path, format!("{} is too long: at most {max}", shown(value))));
    }
}

fn shown(value: DurationText) -> String {
    if is_positive(value) { value.to_string() } else { "0s".to_owned() }
}
