//! An oracle: sorts and groups all rows by the rules on one page, in a way of its own, and knows what must come out.
//! Shares no code with the engine; random streams are played to both.
//!
//! The rules, for one window node: a row is in every window that covers it, and late for one if the watermark of its
//! partition before it had reached the end of the window plus the lateness; or that of any partition had, when all ended
//! for a while. The watermark is the highest event time so far, of rows that carry it, less the delay; if it is periodic,
//! the beginning of the step in which that lies. A row that is late for all of its windows is late; every other one
//! counts, once in each window that it is not late for. What windows that discard emit adds up to the same.

use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy, prop_assert_eq};

use super::lines::{Lines, partition, partitions, places};
use super::{Check, Verdict};
use crate::story::DAY;
use crate::{Line, Outcome, Row, Story};

const DAY_SECONDS: i64 = 24 * 60 * 60;
/// Seconds of the day before the first row, longer than any window.
const BEFORE: i64 = 120;

/// What is random about a case.
#[derive(Clone, Debug)]
struct Case {
    delay: i64,
    watermark: Told,
    lateness: i64,
    size: i64,
    slide: i64,
    partitions: usize,
    /// Which partition, its row, and whether a line (a batch) ends after it.
    rows: Vec<(usize, Row, bool)>,
    /// After which rows there are barriers and ticks.
    barriers: Vec<usize>,
    ticks: Vec<usize>,
    /// After which rows everything ends, and all partitions are announced again.
    ends: Vec<usize>,
    /// Whether windows speak early.
    early: bool,
    /// Whether late rows are told at once.
    immediately: bool,
    /// Whether an emission has only what came since the last one.
    discarding: bool,
}

/// What tells event time.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    /// Every row.
    Each,
    /// Every row, in steps of so many seconds.
    Steps(i64),
    /// Rows with a value above this.
    Above(f64),
}

impl Case {
    fn story(&self) -> Story {
        let plan = format!(
            "time delay={}s{}\nlimit runs=2\nwindow {}s{} by key,name compute n=count(*), values=count(value), total=sum(value), \
             mean=avg(value), low=min(value), high=max(value), first=first(value), last=last(value), kinds=count_distinct(value), about=approx_distinct(value), often=top2(value), big=count(*) if value > 50 lateness={}s late={}{}{}",
            self.delay,
            match self.watermark {
                Told::Each => String::new(),
                Told::Steps(every) => format!(" every={every}s"),
                Told::Above(value) => format!(" when value > {value}"),
            },
            self.size,
            if self.slide == self.size { String::new() } else { format!(" every {}s", self.slide) },
            self.lateness,
            if self.immediately { "immediately" } else { "3s" },
            if self.discarding { " mode=discarding" } else { "" },
            if self.early { " early_every=1s early_rows=7" } else { "" },
        );
        let mut lines = Lines::of(&plan);
        lines.added(partitions(self.partitions));
        lines.push(Line::Tick(DAY + 1_000_000_000));
        for (index, (from, row, ends)) in self.rows.iter().enumerate() {
            lines.row(partition(*from), row.clone(), *ends);
            lines.barrier(&self.barriers, index);
            if self.ticks.contains(&index) {
                lines.push(Line::Tick(DAY + 1_000_000_000 + index as i64 * 700_000));
            }
            if self.ends.contains(&index) {
                lines.push(Line::End);
                lines.added(partitions(self.partitions));
            }
        }
        lines.end()
    }
}

impl Case {
    /// The watermark in seconds of the day after rows whose highest event time is this.
    fn watermark_after(&self, highest: i64) -> f64 {
        if highest == i64::MIN {
            return f64::NEG_INFINITY;
        }
        let seconds = (highest - DAY) as f64 / 1e6 - self.delay as f64;
        match self.watermark {
            Told::Each | Told::Above(_) => seconds,
            Told::Steps(every) => (seconds / every as f64).floor() * every as f64,
        }
    }
}

/// A group in words that can be compared with the engine's: window, key, and what was computed.
#[derive(Debug, Default)]
struct Group {
    n: u64,
    values: Vec<f64>,
    timed: Vec<(i64, f64)>,
}

/// The results and the number of late rows.
fn answer(case: &Case) -> (Vec<String>, usize) {
    let mut highest: BTreeMap<usize, i64> = BTreeMap::new();
    let mut groups: BTreeMap<(i64, Option<&str>), Group> = BTreeMap::new();
    let mut late = 0;
    let (mut furthest, mut ended) = (i64::MIN, i64::MIN);
    for (place, (partition, row, _)) in case.rows.iter().enumerate() {
        let second = 1_000_000;
        let mut taken = false;
        let covering = (0..DAY_SECONDS / case.slide).map(|window| window * case.slide);
        let covering = covering.skip_while(|start| DAY + (start + case.size) * second <= row.time);
        for start in covering.take_while(|start| DAY + start * second <= row.time) {
            let closes = start + case.size + case.lateness;
            let has_closed = |highest: i64| case.watermark_after(highest) >= closes as f64;
            if !has_closed(ended) && !highest.get(partition).is_some_and(|highest| has_closed(*highest)) {
                let group = groups.entry((start, row.key.as_deref())).or_default();
                group.n += 1;
                group.values.extend(row.value);
                group.timed.extend(row.value.map(|value| (row.time, value)));
                taken = true;
            }
        }
        late += usize::from(!taken);
        let carries = match case.watermark {
            Told::Each | Told::Steps(_) => true,
            Told::Above(least) => row.value.is_some_and(|value| value > least),
        };
        if carries {
            let highest = highest.entry(*partition).or_insert(i64::MIN);
            *highest = (*highest).max(row.time);
            furthest = furthest.max(row.time);
        }
        if case.ends.contains(&place) {
            ended = furthest;
        }
    }
    let mut results: Vec<String> =
        groups.into_iter().map(|((start, key), group)| group.show(start, case.size, key)).collect();
    results.sort();
    (results, late)
}

impl Group {
    fn show(mut self, start: i64, size: i64, key: Option<&str>) -> String {
        self.values.sort_by(f64::total_cmp);
        self.timed.sort_by(|left, right| left.partial_cmp(right).expect("values are numbers"));
        let count = self.values.len();
        // Values are quarters: these sums are exact in any order.
        let sum: f64 = self.values.iter().sum();
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:?}"));
        let some = |value: f64| number(Some(value).filter(|_| count > 0));
        let key = key.unwrap_or("-");
        let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
        self.values.iter().for_each(|value| *counts.entry((value * 4.0) as i64).or_default() += 1);
        let kinds = counts.len();
        let mut often: Vec<(usize, i64)> = counts.into_iter().map(|(value, count)| (count, -value)).collect();
        often.sort_by(|left, right| right.cmp(left));
        let show = |(count, value): &(usize, i64)| format!("{{value: {:?}, count: {count}}}", -*value as f64 / 4.0);
        let often: Vec<String> = often.iter().take(2).map(show).collect();
        let often = if kinds == 0 { "-".to_owned() } else { format!("[{}]", often.join(", ")) };
        format!(
            "{}..{} {key} name={key} n={} values={count} total={} mean={} low={} high={} first={} last={} kinds={kinds} about={kinds} often={often} big={}",
            clock(start),
            clock(start + size),
            self.n,
            some(sum),
            some(sum / count as f64),
            number(self.values.first().copied()),
            number(self.values.last().copied()),
            number(self.timed.first().map(|(_, value)| *value)),
            number(self.timed.last().map(|(_, value)| *value)),
            self.values.iter().filter(|value| **value > 50.0).count()
        )
    }
}

/// A result without how it was emitted.
fn without_pane(text: &str) -> &str {
    let ends = [" early revision", " on_time", " late revision"];
    ends.iter().fold(text, |text, end| text.split(end).next().unwrap_or(text))
}

/// Emissions added up by window and key.
fn added_up(texts: Vec<&str>) -> Vec<String> {
    let mut sums: BTreeMap<String, Vec<Option<f64>>> = BTreeMap::new();
    for text in texts {
        let (head, numbers) = numbers(text);
        let Some(sums) = sums.get_mut(&head) else {
            sums.insert(head, numbers);
            continue;
        };
        for ((sum, number), name) in sums.iter_mut().zip(numbers).zip(SUMMABLE) {
            *sum = match (*sum, number, name) {
                (None, other, _) | (other, None, _) => other,
                (Some(one), Some(other), "low") => Some(one.min(other)),
                (Some(one), Some(other), "high") => Some(one.max(other)),
                (Some(one), Some(other), _) => Some(one + other),
            };
        }
    }
    sums.into_iter().map(|(head, numbers)| format!("{head} {numbers:?}")).collect()
}

fn summable(text: &str) -> String {
    let (head, numbers) = numbers(text);
    format!("{head} {numbers:?}")
}

/// What can be put together from parts of a group.
const SUMMABLE: [&str; 6] = ["n", "values", "total", "low", "high", "big"];

/// The window and key of a result, and its numbers.
fn numbers(text: &str) -> (String, Vec<Option<f64>>) {
    let number = |name: &&str| {
        let value = text.split(' ').find_map(|word| word.strip_prefix(*name)?.strip_prefix('='));
        value.expect("it is computed").parse().ok()
    };
    let head = text.split(" n=").next().unwrap_or(text).to_owned();
    (head, SUMMABLE.iter().map(number).collect())
}

fn clock(seconds: i64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn cases() -> impl Strategy<Value = Case> {
    // Sizes and slides divide a day, so that windows begin with it.
    let told = proptest::prop_oneof![
        Just(Told::Each),
        proptest::sample::select(vec![1, 2, 7, 30]).prop_map(Told::Steps),
        proptest::sample::select(vec![0.0, 50.0, 90.0]).prop_map(Told::Above),
    ];
    let shape = (
        (0..4_i64, told),
        proptest::sample::select(vec![0, 0, 4, 15]),
        // The size, and how often windows begin.
        proptest::sample::select(vec![
            (1, 1),
            (2, 2),
            (3, 3),
            (5, 5),
            (8, 8),
            (10, 10),
            (12, 12),
            (2, 1),
            (5, 2),
            (8, 5),
            (10, 3),
            (12, 8),
            (20, 1),
            (40, 1),
        ]),
        1..=4_usize,
        1..60_usize,
    );
    shape.prop_flat_map(|(time, lateness, (size, slide), partitions, count)| {
        // Event time moves on by about a second per row and jumps back and ahead.
        let row = (0..partitions, -6_i64..6, 0..5_u8, 0..400_i32, proptest::bool::ANY);
        let rows = proptest::collection::vec(row, count).prop_map(|rows| {
            let place = |(index, (from, jitter, key, value, ends)): (usize, (usize, i64, u8, i32, bool))| {
                let time = DAY + (BEFORE + index as i64 + jitter * 2).max(0) * 1_000_000 + i64::from(value);
                let key = (key > 0).then(|| format!("k{key}"));
                let value = (value % 7 > 0).then(|| f64::from(value) / 4.0);
                (from, Row { time, key, value }, ends)
            };
            rows.into_iter().enumerate().map(place).collect::<Vec<_>>()
        });
        let emit = (proptest::bool::ANY, proptest::bool::ANY, proptest::bool::ANY);
        let (barriers, ticks, ends) = (places(count, 0..4), places(count, 0..4), places(count, 0..2));
        (Just((time, lateness, size, slide, partitions)), rows, barriers, ticks, ends, emit).prop_map(
            |(
                ((delay, watermark), lateness, size, slide, partitions),
                rows,
                barriers,
                ticks,
                ends,
                (early, immediately, discarding),
            )| Case {
                delay,
                watermark,
                lateness,
                size,
                slide,
                partitions,
                rows,
                barriers,
                ticks,
                ends,
                early,
                immediately,
                discarding,
            },
        )
    })
}

/// Whether the engine told what the oracle knows: of each result its last revision, or all that it was told in parts.
fn compare(case: &Case, (expected, late): &(Vec<String>, usize), outcome: &Outcome) -> Verdict {
    let last = outcome.last_revisions();
    let texts: Vec<&str> = last.values().map(|(_, text)| without_pane(text)).collect();
    let (mut found, mut expected): (Vec<String>, Vec<String>) = if case.discarding {
        prop_assert_eq!(texts.len(), outcome.results.len(), "every emission has an id of its own");
        (added_up(texts), expected.iter().map(|text| summable(text)).collect())
    } else {
        (texts.into_iter().map(str::to_owned).collect(), expected.clone())
    };
    found.sort();
    expected.sort();
    prop_assert_eq!(found, expected);
    prop_assert_eq!(outcome.late.len(), *late);
    prop_assert_eq!(outcome.rejected.len(), 0);
    Ok(())
}

#[test]
fn random_streams_give_what_the_oracle_says_however_they_are_cut_and_wherever_they_crash() {
    // What a row counts for is decided by its own partition, so it does not matter who reads it and how fast.
    Check {
        weight: 5,
        crashes: 1,
        story: Case::story,
        answer,
        straight: compare,
        tasks: compare,
        // Which revisions of a result are said between the first and the last depends on when groups travel.
        is_final: |case| case.lateness == 0 && !case.early && case.ends.is_empty(),
    }
    .run(cases);
}
