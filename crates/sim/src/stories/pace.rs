//! A replay at the pace at which the rows once came, and one as fast as can be, tell the same: nothing but processing time
//! is different, and of that only what a plan asks of it may depend.

use weir_model::PartitionId;

use crate::{Line, Outcome, Row, Story, play_once};

/// How many times faster than they once came rows are read; `None`: all at one moment.
const PACES: [Option<i64>; 4] = [Some(1), Some(7), Some(3_600), None];

/// The rows of a day in two partitions: some out of order, with pauses of minutes and of hours.
fn rows() -> Vec<Line> {
    let mut lines: Vec<Line> = ["p0", "p1"].map(|partition| Line::Added(PartitionId::new(partition))).into();
    let mut at = crate::story::DAY;
    for index in 0..600_i64 {
        at += [700_000, 1_000_000, 4_000_000, if index % 97 == 0 { 5_000_000_000 } else { 45_000_000 }]
            [index as usize % 4];
        let back = if index % 11 == 0 { 8_000_000 } else { index * 7919 % 1_500_000 };
        let key = Some(format!("k{}", index * 31 % 5));
        let row = Row { time: at - back, key, value: Some((index * 17 % 100) as f64) };
        lines.push(Line::Rows(PartitionId::new(["p0", "p1"][usize::from(index % 3 == 0)]), vec![row]));
    }
    lines.push(Line::End);
    lines
}

/// The same on the day after, with the clock going on before each row as it did when the row came, or as much less as
/// the pace says.
fn at(pace: Option<i64>, lines: &[Line]) -> Vec<Line> {
    let begun = crate::story::DAY + 24 * 60 * 60 * 1_000_000;
    let mut now = begun;
    let mut paced = vec![Line::Tick(now)];
    for line in lines {
        if let (Line::Rows(_, rows), Some(pace)) = (line, pace) {
            now = now.max(begun + (rows[0].time - crate::story::DAY) / pace);
            paced.push(Line::Tick(now));
        }
        paced.push(line.clone());
    }
    paced
}

fn told(plan: &str, pace: Option<i64>) -> Outcome {
    let mut story = Story::parse(&format!("{plan}\n---")).expect("the plan can be read");
    story.lines = at(pace, &rows());
    play_once(&story).expect("the story can be played")
}

#[track_caller]
fn check(plan: &str) {
    let once = told(plan, PACES[0]);
    assert!(!once.results.is_empty(), "{plan} tells nothing");
    for pace in &PACES[1..] {
        // Not sorted: also the order of what is told is the same.
        let again = told(plan, *pace);
        let differs = once.results.iter().zip(&again.results).find(|(once, again)| once != again);
        assert!(again == once, "{plan} at {pace:?} times the pace: {differs:?}");
    }
}

#[test]
fn windows_of_every_kind_tell_the_same_at_any_pace() {
    let windows = [
        "window 10s",
        "window 1m every 10s",
        "window day in Europe/Berlin",
        "session 30s",
        "window global every_rows=50",
    ];
    for window in windows {
        check(&format!("time delay=2s\n{window} by key compute n=count(*), total=sum(value), p95=p95(value)"));
    }
}

#[test]
fn late_rows_and_what_they_change_are_the_same_at_any_pace() {
    check("time delay=0s\nwindow 10s by key compute n=count(*) lateness=5s late=immediately");
    check("time delay=0s\nwindow 10s by key compute n=count(*)");
    assert!(!told("time delay=0s\nwindow 10s by key compute n=count(*)", None).late.is_empty(), "some rows are late");
}

#[test]
fn first_rows_of_keys_are_the_same_at_any_pace() {
    check("time delay=2s\ndeduplicate by key within=1m\nwindow 10s compute n=count(*)");
}
