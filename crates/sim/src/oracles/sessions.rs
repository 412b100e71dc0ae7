//! An oracle for sessions: puts rows together by the rules on one page, and knows what must come out. Shares no code with
//! the engine; random streams are played to both.
//!
//! The rules. The watermark before a row is the highest event time of its partition before it less the delay, or where
//! the furthest partition was when all ended, if that is further. A row counts if it is not more than the lateness
//! behind it; or if it falls into a session of the rows of its partition and key that count, whose end, plus the
//! lateness, the watermark has not reached. Sessions are the rows of a key that count, cut wherever none follows within
//! the gap.

use std::collections::BTreeMap;

use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq};

use super::lines::{Lines, partition, partitions, places};
use super::{Check, Verdict};
use crate::story::DAY;
use crate::{Line, Outcome, Row, Story};

const SECOND: i64 = 1_000_000;

/// What is random about a case. Lengths in seconds.
#[derive(Clone, Debug)]
struct Case {
    delay: i64,
    lateness: i64,
    gap: i64,
    partitions: usize,
    /// Which partition, its row, and whether a line (a batch) ends after it.
    rows: Vec<(usize, Row, bool)>,
    barriers: Vec<usize>,
    ticks: Vec<usize>,
    /// After which rows everything ends, and all partitions are announced again.
    ends: Vec<usize>,
    early: bool,
}

impl Case {
    fn story(&self) -> Story {
        let plan = format!(
            "time delay={}s\nlimit runs=2\nsession {}s by key,name compute n=count(*), total=sum(value), low=min(value), \
             first=first(value), big=count(*) if value > 50 lateness={}s late=3s{}",
            self.delay,
            self.gap,
            self.lateness,
            if self.early { " early_every=1s early_rows=7" } else { "" },
        );
        let mut lines = Lines::of(&plan);
        lines.added(partitions(self.partitions));
        lines.push(Line::Tick(DAY + 1_000 * SECOND));
        for (index, (from, row, ends)) in self.rows.iter().enumerate() {
            lines.row(partition(*from), row.clone(), *ends);
            lines.barrier(&self.barriers, index);
            if self.ticks.contains(&index) {
                lines.push(Line::Tick(DAY + 1_000 * SECOND + index as i64 * 700_000));
            }
            if self.ends.contains(&index) {
                lines.push(Line::End);
                lines.added(partitions(self.partitions));
            }
        }
        lines.end()
    }

    /// The sessions that must come out, and how many rows are late.
    fn answer(&self) -> (Vec<String>, usize) {
        let mut highest: BTreeMap<usize, i64> = BTreeMap::new();
        let mut counted: Vec<(usize, &Row)> = Vec::new();
        let (mut late, mut ended) = (0, i64::MIN);
        for (place, (partition, row, _)) in self.rows.iter().enumerate() {
            let mark = highest.get(partition).map_or(i64::MIN, |highest| highest - self.delay * SECOND).max(ended);
            let in_time = mark == i64::MIN || row.time >= mark - self.lateness * SECOND;
            let own = counted.iter().filter(|(from, known)| from == partition && known.key == row.key);
            let holds = |session: &Vec<&Row>| {
                let end = session.last().map_or(i64::MIN, |last| last.time + self.gap * SECOND);
                session[0].time <= row.time && row.time < end && end + self.lateness * SECOND > mark
            };
            if in_time || self.sessions(own.map(|(_, row)| *row).collect()).iter().any(holds) {
                counted.push((*partition, row));
            } else {
                late += 1;
            }
            let highest = highest.entry(*partition).or_insert(i64::MIN);
            *highest = (*highest).max(row.time);
            if self.ends.contains(&place) {
                ended =
                    self.rows[..=place].iter().map(|(_, row, _)| row.time).max().unwrap_or(DAY) - self.delay * SECOND;
            }
        }
        let mut by_key: BTreeMap<Option<&str>, Vec<&Row>> = BTreeMap::new();
        counted.iter().for_each(|(_, row)| by_key.entry(row.key.as_deref()).or_default().push(row));
        let sessions = by_key.into_values().flat_map(|rows| self.sessions(rows));
        let mut sessions: Vec<String> = sessions.map(|session| self.show(&session)).collect();
        sessions.sort();
        (sessions, late)
    }

    /// Rows of one key, in sessions.
    fn sessions<'a>(&self, mut rows: Vec<&'a Row>) -> Vec<Vec<&'a Row>> {
        rows.sort_by_key(|row| row.time);
        let close = |left: &&Row, right: &&Row| right.time < left.time + self.gap * SECOND;
        rows.chunk_by(close).map(<[&Row]>::to_vec).collect()
    }

    fn show(&self, session: &[&Row]) -> String {
        let clock = |micros: i64| weir_model::EventTime::from_micros(micros).to_string();
        let clock = |micros: i64| clock(micros).trim_start_matches("2026-01-01T").trim_end_matches('Z').to_owned();
        let mut values: Vec<f64> = session.iter().filter_map(|row| row.value).collect();
        values.sort_by(f64::total_cmp);
        let mut timed: Vec<(i64, f64)> = session.iter().filter_map(|row| Some((row.time, row.value?))).collect();
        timed.sort_by(|left, right| left.partial_cmp(right).expect("values are numbers"));
        let number = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:?}"));
        let key = session[0].key.as_deref().unwrap_or("-");
        format!(
            "{}..{} {key} name={key} n={} total={} low={} first={} big={}",
            clock(session[0].time),
            clock(session[session.len() - 1].time + self.gap * SECOND),
            session.len(),
            // Values are quarters: these sums are exact in any order.
            number(Some(values.iter().sum()).filter(|_| !values.is_empty())),
            number(values.first().copied()),
            number(timed.first().map(|(_, value)| *value)),
            values.iter().filter(|value| **value > 50.0).count()
        )
    }
}

fn cases() -> impl Strategy<Value = Case> {
    let shape =
        (0..5_i64, proptest::sample::select(vec![0, 0, 2, 6, 20]), 1..7_i64, 1..=4_usize, 1..70_usize, 2..30_i64);
    shape.prop_flat_map(|(delay, lateness, gap, partitions, count, scatter)| {
        // Event time moves on by about a second per row, and jumps back and ahead.
        let row = (0..partitions, -scatter..scatter, 0..4_u8, 0..400_i32, proptest::bool::ANY);
        let rows = proptest::collection::vec(row, count).prop_map(|rows| {
            let place = |(index, (from, jitter, key, value, ends)): (usize, (usize, i64, u8, i32, bool))| {
                // Whole seconds half of the time, so that rows lie exactly on the ends of sessions.
                let micros = if value % 2 == 0 { 0 } else { i64::from(value) };
                let time = DAY + (120 + index as i64 + jitter).max(0) * SECOND + micros;
                let key = (key > 0).then(|| format!("k{key}"));
                let value = (value % 7 > 0).then(|| f64::from(value) / 4.0);
                (from, Row { time, key, value }, ends)
            };
            rows.into_iter().enumerate().map(place).collect::<Vec<_>>()
        });
        let (barriers, ticks, ends) = (places(count, 0..4), places(count, 0..4), places(count, 0..2));
        (Just((delay, lateness, gap, partitions)), rows, barriers, ticks, ends, proptest::bool::ANY).prop_map(
            |((delay, lateness, gap, partitions), rows, barriers, ticks, ends, early)| Case {
                delay,
                lateness,
                gap,
                partitions,
                rows,
                barriers,
                ticks,
                ends,
                early,
            },
        )
    })
}

/// Whether the engine told what the oracle knows.
fn compare(case: &Case, (expected, late): &(Vec<String>, usize), outcome: &Outcome) -> Verdict {
    let standing = |text: &str| {
        let panes = [" on_time", " late", " early", " retracted"];
        let (result, pane) =
            panes.iter().find_map(|pane| Some((text.split_once(&format!("{pane} revision="))?.0, pane)))?;
        (*pane != " retracted").then(|| result.to_owned())
    };
    let mut found: Vec<String> = outcome.last_revisions().values().filter_map(|(_, text)| standing(text)).collect();
    found.sort();
    prop_assert_eq!(&found, expected);
    prop_assert_eq!(outcome.late.len(), *late);
    prop_assert_eq!(outcome.rejected.len(), 0);
    if case.lateness == 0 && !case.early && case.ends.is_empty() {
        let revised = outcome.results.iter().find(|(_, revision, _)| *revision > 0);
        prop_assert!(revised.is_none(), "without lateness every result is the last: {:?}", revised);
    }
    Ok(())
}

#[test]
fn random_streams_make_the_sessions_that_the_oracle_says_however_they_are_cut_and_wherever_they_crash() {
    // Whether a row counts is decided by its own partition, so it does not matter who reads it and how fast.
    Check {
        weight: 1,
        crashes: 1,
        story: Case::story,
        answer: Case::answer,
        straight: compare,
        tasks: compare,
        is_final: |case| case.lateness == 0 && !case.early && case.ends.is_empty(),
    }
    .run(cases);
}
