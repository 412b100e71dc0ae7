//! Windows: of which kinds they are, and what of them is refused.

use super::{SMALL, load_text, rendered};
use crate::builder::{Calendar, File, Format, Global, Pipeline, Tumbling};
use crate::{CalendarUnit, Weekday};
use weir_model::DurationText;

/// The errors of a pipeline with this window, which also counts.
fn window(text: &str) -> String {
    let step = format!("time: {{ field: ts }}\nsteps:\n  - window: {{ {text}, compute: {{ n: count(*) }} }}\n");
    rendered(load_text(&format!("{SMALL}{step}")))
}

#[test]
fn a_calendar_window_has_a_unit_and_a_zone() {
    for right in [
        "calendar: { unit: day }",
        "calendar: { unit: hour, zone: Australia/Lord_Howe }, offset: 59m",
        "calendar: { unit: week, zone: America/New_York, week_starts: sunday }, lateness: 1h",
        "calendar: { unit: month, zone: CET }, offset: 23h, emit: { early: 1d }",
    ] {
        assert_eq!(window(right), "no error\n", "{right}");
    }
    for (wrong, said) in [
        ("calendar: day", "error"),
        ("calendar: { zone: UTC }", "unit"),
        ("calendar: { unit: days }", "did you mean `day`"),
        ("calendar: { unit: fortnight }", "hour"),
        ("calendar: { unit: week, week_starts: Sun }", "sunday"),
        ("calendar: { unit: day, zone: Europe/Berln }", "did you mean `Europe/Berlin`?"),
        ("calendar: { unit: day, zone: berlin }", "did you mean `Europe/Berlin`?"),
        ("calendar: { unit: day, zone: +02:00 }", "a name of the IANA time zone database"),
        ("calendar: { unit: day }, offset: 24h", "the offset 1d is not shorter than a day"),
        ("calendar: { unit: hour }, offset: 1h", "the offset 1h is not shorter than an hour"),
        ("calendar: { unit: day }, tumbling: 1d", "only one of"),
    ] {
        let errors = window(wrong);
        assert!(errors.contains(said), "{wrong}: {errors}");
    }
}

#[test]
fn an_unknown_zone_is_shown_where_it_stands() {
    let errors = window("calendar: { unit: day, zone: Europe/Bremen }");
    assert!(errors.starts_with("p.yaml:10:44: error: there is no time zone `Europe/Bremen`"), "{errors}");
    assert!(errors.contains("= at: steps[0].window.calendar.zone"), "{errors}");
}

#[test]
fn the_builder_makes_calendar_windows() {
    let text = format!(
        "{SMALL}time: {{ field: ts }}\nsteps:\n  \
         - window: {{ calendar: {{ unit: day, zone: Europe/Berlin }}, offset: 6h, compute: {{ n: count(*) }} }}\n  \
         - window: {{ calendar: {{ unit: week, week_starts: sunday }}, compute: {{ n: count(*) }} }}\n"
    );
    let day = Calendar::of(CalendarUnit::Day, "Europe/Berlin").offset(DurationText::secs(6 * 3_600));
    let built = Pipeline::named("small")
        .source("logs", File::new(["/x/*.log"]).once(), Format::Json(Default::default()))
        .time("ts")
        .window(day.compute("n", "count(*)"))
        .window(Calendar::weeks_from(Weekday::Sunday, "UTC").compute("n", "count(*)"))
        .to_table("logs")
        .build();
    assert_eq!(load_text(&text).map(|(config, _)| config).map_err(|errors| errors.len()), Ok(built));
}

#[test]
fn windows_say_when_late_rows_are_told_and_what_results_contain() {
    for right in [
        "tumbling: 1m, lateness: 1h, emit: { late: immediately }",
        "tumbling: 1m, lateness: 1h, emit: { late: 30s, early: 10s, early_rows: 100, mode: discarding }",
        "sliding: { size: 1m, slide: 10s }, emit: { mode: accumulating }",
    ] {
        assert_eq!(window(right), "no error\n", "{right}");
    }
    for (wrong, said) in [
        ("tumbling: 1m, emit: { late: immediately }", "a window without lateness takes no row after it has fired"),
        ("tumbling: 1m, lateness: 1h, emit: { late: at_once }", "`immediately`, or a length of time such as 10s"),
        ("tumbling: 1m, lateness: 1h, emit: { late: 0s }", "0s is too short"),
        ("tumbling: 1m, emit: { mode: discard }", "did you mean `discarding`?"),
        ("tumbling: 1m, emit: { mode: retracting }", "accumulating, discarding"),
    ] {
        let errors = window(wrong);
        assert!(errors.contains(said), "{wrong}: {errors}");
    }
}

#[test]
fn the_builder_says_when_late_rows_are_told_and_what_results_contain() {
    let text = |emit: &str| {
        let window = format!("tumbling: 1m, lateness: 1h, compute: {{ n: count(*) }}, emit: {emit}");
        let text = format!("{SMALL}time: {{ field: ts }}\nsteps:\n  - window: {{ {window} }}\n");
        load_text(&text).map(|(config, _)| config).map_err(|errors| errors.len())
    };
    let minute = || Tumbling::of(DurationText::secs(60)).lateness(DurationText::secs(3_600)).compute("n", "count(*)");
    let built = |window| {
        let source = File::new(["/x/*.log"]).once();
        let pipeline = Pipeline::named("small").source("logs", source, Format::Json(Default::default())).time("ts");
        Ok(pipeline.window(window).to_table("logs").build())
    };
    assert_eq!(text("{ late: immediately, mode: discarding }"), built(minute().late_immediately().discarding()));
    assert_eq!(text("{ late: 30s }"), built(minute().late(DurationText::secs(30))));
}

#[test]
fn a_global_window_has_no_end_and_keys_that_speak() {
    for right in [
        "global: {}",
        "global: { forget_after: 1d }, by: [user], emit: { every_rows: 100, mode: discarding }",
        "global: {}, emit: { every_rows: 1, early: 10s }",
    ] {
        assert_eq!(window(right), "no error\n", "{right}");
    }
    for (wrong, said) in [
        ("global: {}, offset: 1h", "steps[0].window.offset"),
        ("global: {}, lateness: 1h", "a global window has no end: this means nothing to it"),
        ("global: {}, emit: { early_rows: 10 }", "say `every_rows`: so many rows of one key"),
        ("global: {}, emit: { every_rows: 0 }", "0 rows are too few: at least 1"),
        ("global: { forget_after: 1ms }", "1ms is too short: at least 1s"),
        ("global: { forget: 1d }", "did you mean `forget_after`?"),
        ("tumbling: 1m, emit: { every_rows: 10 }", "every_rows is for global windows"),
    ] {
        let errors = window(wrong);
        assert!(errors.contains(said), "{wrong}: {errors}");
    }
}

#[test]
fn the_builder_makes_global_windows() {
    let window = "global: { forget_after: 1d }, by: [user], compute: { n: count(*) }, emit: { every_rows: 100 }";
    let text = format!("{SMALL}time: {{ field: ts }}\nsteps:\n  - window: {{ {window} }}\n");
    let window = Global::every_rows(100).forget_after(DurationText::secs(86_400)).by(["user"]).compute("n", "count(*)");
    let source = File::new(["/x/*.log"]).once();
    let pipeline = Pipeline::named("small").source("logs", source, Format::Json(Default::default())).time("ts");
    let built = pipeline.window(window).to_table("logs").build();
    assert_eq!(load_text(&text).map(|(config, _)| config).map_err(|errors| errors.len()), Ok(built));
}
